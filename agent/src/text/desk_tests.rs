use super::*;
use crate::text::grammar::parse;
use muster_core::apply::apply;
use muster_core::command::AgentDeclaration;
use muster_core::state::{Authority, MemberRole};

/// A group of one log without a network: what is proposed is applied at once.
#[derive(Debug)]
pub(in crate::text) struct OneLog {
    state: Mutex<Arc<ClusterState>>,
    proposed: Mutex<Vec<Entry>>,
    heard: Mutex<Vec<MemberId>>,
    agent_id: Option<AgentId>,
    broken: std::sync::atomic::AtomicBool,
}

impl OneLog {
    pub(in crate::text) fn new() -> Self {
        let mut state = ClusterState::default();
        let agent = |name: &str| AgentDeclaration {
            name: name.into(),
            address: format!("{name}:7400"),
            site: String::new(),
            priority: 100,
            arbitrator: false,
            version: "0.1.0".into(),
        };
        let mut index = 0;
        let mut does = |command| {
            index += 1;
            let outcome = apply(&mut state, index, &entry("test".into(), command));
            assert!(!matches!(outcome, Outcome::Refused { .. }), "{outcome:?}");
        };
        does(Command::Found {
            cluster_id: "0a0b0c0d-0000-4000-8000-000000000000".into(),
            cluster_name: "test".into(),
            authority: Authority::default(),
            agent: agent("n1"),
            key_fingerprint: "1".repeat(64),
        });
        does(Command::CreateToken {
            token_hash: "2".repeat(64),
        });
        does(Command::Join {
            token_hash: "2".repeat(64),
            key_fingerprint: "3".repeat(64),
            agent: agent("n2"),
        });
        Self {
            state: Mutex::new(Arc::new(state)),
            proposed: Mutex::default(),
            heard: Mutex::default(),
            agent_id: Some(AgentId(1)),
            broken: false.into(),
        }
    }

    pub(in crate::text) fn heard_of(&self) -> Vec<MemberId> {
        self.heard.lock().unwrap().clone()
    }

    fn proposals(&self) -> usize {
        self.proposed.lock().unwrap().len()
    }
}

impl Group for Arc<OneLog> {
    fn agent_id(&self) -> Option<AgentId> {
        self.agent_id
    }

    fn state(&self) -> Arc<ClusterState> {
        Arc::clone(&self.state.lock().unwrap())
    }

    fn beats(&self) -> BTreeMap<MemberId, Beat> {
        BTreeMap::new()
    }

    fn heard(&self, member_id: &MemberId, _boot_ms: u64, _wall_us: i64) {
        self.heard.lock().unwrap().push(member_id.clone());
    }

    async fn propose(&self, entry: Entry) -> Result<Outcome, String> {
        if self.broken.load(std::sync::atomic::Ordering::Relaxed) {
            return Err("no majority of the voters answers".into());
        }
        let mut state = self.state.lock().unwrap();
        let mut next = ClusterState::clone(&state);
        self.proposed.lock().unwrap().push(entry.clone());
        let index = 100 + u64::try_from(self.proposals()).unwrap();
        let outcome = apply(&mut next, index, &entry);
        *state = Arc::new(next);
        Ok(outcome)
    }
}

async fn say(desk: &Desk<Arc<OneLog>>, line: &str) -> String {
    match parse(format!("{line}\n").as_bytes()) {
        Ok(request) => desk.answer(request).await.to_string(),
        Err(error) => Answer::Error(error).to_string(),
    }
}

/// An answer with its timestamp replaced by `T`.
async fn say_untimed(desk: &Desk<Arc<OneLog>>, line: &str) -> String {
    let answer = say(desk, line).await;
    let lines = answer.lines().map(|line| match line.rsplit_once(' ') {
        Some((rest, time)) if time.len() == 20 && time.ends_with('Z') => format!("{rest} T"),
        _ => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn desk() -> (Arc<OneLog>, Desk<Arc<OneLog>>) {
    let group = Arc::new(OneLog::new());
    (Arc::clone(&group), Desk::new(group))
}

#[tokio::test]
async fn the_conversation_of_the_contract() {
    let (group, desk) = desk();
    assert_eq!(
        say(&desk, "join").await,
        "2 Wrong number of parameters, syntax: join <host> <port> <status> <role>\n"
    );
    assert_eq!(say(&desk, "serverlist").await, "0 \n");
    assert_eq!(say(&desk, "join 127.0.0.1 3305 on master").await, "0 OK\n");
    assert_eq!(
        say_untimed(&desk, "heartbeat 127.0.0.1 3305 on").await,
        "0 1 127.0.0.1 3305 on master 30 T"
    );
    assert_eq!(
        say(&desk, "join 10.0.0.8 3306 standby slave").await,
        "0 OK\n"
    );
    assert_eq!(
        say_untimed(&desk, "serverlist").await,
        "0 1 10.0.0.8 3306 standby slave 30 T\n1 127.0.0.1 3305 on master 30 T"
    );
    assert_eq!(say(&desk, "leave 127.0.0.1 3305").await, "0 OK\n");
    assert_eq!(
        say_untimed(&desk, "serverlist").await,
        "0 1 10.0.0.8 3306 standby slave 30 T"
    );
    let state = group.state();
    let member = state.members.values().next().unwrap();
    assert!(member.draining && member.role == MemberRole::Replica && !member.writable);
}

#[tokio::test]
async fn what_changes_nothing_costs_no_entry() {
    let (group, desk) = desk();
    say(&desk, "join db1 3306 on slave").await;
    assert_eq!(group.proposals(), 1);
    for _ in 0..100 {
        assert!(
            say(&desk, "heartbeat db1 3306 on")
                .await
                .starts_with("0 1 db1")
        );
        assert_eq!(say(&desk, "join db1 3306 on slave").await, "0 OK\n");
        say(&desk, "serverlist").await;
        say(&desk, "leave db9 3306").await;
    }
    assert_eq!(group.proposals(), 1);
    assert_eq!(
        say_untimed(&desk, "heartbeat db1 3306 stopping").await,
        "0 1 db1 3306 stopping slave 30 T"
    );
    assert_eq!(
        say_untimed(&desk, "heartbeat DB1 3306 off").await,
        "0 1 db1 3306 off slave 30 T"
    );
    assert_eq!(group.proposals(), 3);
}

#[tokio::test]
async fn a_second_master_and_unknown_names_are_error_five() {
    let (_, desk) = desk();
    say(&desk, "join db1 3306 on master").await;
    let second = say(&desk, "join db2 3306 on primary").await;
    assert!(
        second.starts_with("5 ") && second.contains("db1:3306"),
        "{second}"
    );
    for line in [
        "heartbeat db3 3306 on",
        "leave db3 3306",
        "heartbeat db1 3307 on",
    ] {
        let answer = say(&desk, line).await;
        assert!(
            answer.starts_with("5 No member bears the name db"),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn only_the_agent_it_joined_through_speaks_for_a_server() {
    let (group, desk) = desk();
    say(&desk, "join db1 3306 on slave").await;
    let elsewhere = Arc::new(OneLog {
        state: Mutex::new(group.state()),
        proposed: Mutex::default(),
        heard: Mutex::default(),
        agent_id: Some(AgentId(2)),
        broken: false.into(),
    });
    let other = Desk::new(Arc::clone(&elsewhere));
    for line in ["heartbeat db1 3306 on", "leave db1 3306"] {
        let answer = say(&other, line).await;
        assert!(
            answer.starts_with("5 ") && answer.contains("agent 1"),
            "{answer}"
        );
    }
    assert_eq!(elsewhere.proposals(), 0);
    assert_eq!(
        say(&other, "serverlist").await,
        "0 1 db1 3306 on slave 30 -\n"
    );
    assert_eq!(say(&other, "join db1 3306 on slave").await, "0 OK\n");
    assert_eq!(
        say_untimed(&other, "serverlist").await,
        "0 2 db1 3306 on slave 30 T"
    );
    assert_eq!(
        group.state().members.keys().next(),
        elsewhere.state().members.keys().next()
    );
}

#[tokio::test]
async fn a_member_with_a_plugin_is_listed_and_left_alone() {
    let (group, desk) = desk();
    let declared = group
        .propose(entry(
            "test".into(),
            Command::DeclareMember {
                agent_id: AgentId(2),
                member: muster_core::command::MemberDeclaration {
                    member_id: MemberId("99999999-0000-4000-8000-000000000000".into()),
                    host: "db7".into(),
                    port: 3306,
                    server_version: "9.7.4".into(),
                },
            },
        ))
        .await;
    assert!(
        matches!(declared, Ok(Outcome::Changed { .. })),
        "{declared:?}"
    );
    let before = group.proposals();
    assert_eq!(
        say(&desk, "serverlist").await,
        "0 2 db7 3306 starting standalone 2 -\n"
    );
    for line in ["heartbeat db7 3306 on", "leave DB7 3306"] {
        let answer = say(&desk, line).await;
        assert!(
            answer.starts_with("5 ") && answer.contains("plugin"),
            "{answer}"
        );
    }
    assert_eq!(group.proposals(), before);
    assert!(
        say(&desk, "join db7 3306 on master")
            .await
            .starts_with("5 ")
    );
}

#[tokio::test]
async fn without_a_majority_the_reason_is_said() {
    let (group, desk) = desk();
    say(&desk, "join db1 3306 on slave").await;
    group
        .broken
        .store(true, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(
        say(&desk, "join db2 3306 on slave").await,
        "5 no majority of the voters answers\n"
    );
    assert!(
        say(&desk, "heartbeat db1 3306 on").await.starts_with("0 "),
        "nothing to agree on"
    );
}

#[tokio::test]
async fn an_agent_without_a_cluster_says_so() {
    let desk = Desk::new(Arc::new(OneLog {
        state: Mutex::default(),
        proposed: Mutex::default(),
        heard: Mutex::default(),
        agent_id: None,
        broken: false.into(),
    }));
    assert_eq!(
        say(&desk, "serverlist").await,
        "5 This agent belongs to no cluster yet\n"
    );
    desk.look().await;
}

#[tokio::test]
async fn who_is_silent_for_its_ttl_is_let_go() {
    let (group, desk) = desk();
    say(&desk, "join db1 3306 on slave").await;
    say(&desk, "join db2 3306 on slave").await;
    let db1 = text_member_id(&group.state().cluster_id, "db1", 3306);
    // As if thirty seconds of looks had found db1 silent.
    let ours: Vec<_> = group.state().members.keys().cloned().collect();
    let base = boot_ms() - TEXT_TTL_MS;
    for step in 0..=60 {
        let now = base + step * 500;
        let mut presence = desk.presence();
        if step == 0 || step == 30 {
            for id in ours.iter().filter(|id| step == 0 || **id != db1) {
                presence.hear(id, now, 0);
            }
        }
        presence.look(now, &ours);
    }
    group
        .broken
        .store(true, std::sync::atomic::Ordering::Relaxed);
    desk.look().await;
    assert_eq!(group.state().members.len(), 2, "it cannot be told yet");
    group
        .broken
        .store(false, std::sync::atomic::Ordering::Relaxed);
    desk.look().await;
    let state = group.state();
    assert!(!state.members.contains_key(&db1));
    assert_eq!(state.members.len(), 1);
    let told = state.events.back().unwrap().reason.clone();
    assert_eq!(told, "db1:3306 sent no heartbeat for 30 s");
}

#[test]
fn a_text_members_id_is_a_uuid_of_host_port_and_cluster() {
    let cluster = "0a0b0c0d-0000-4000-8000-000000000000";
    let id = text_member_id(cluster, "db1", 3306);
    assert_eq!(Uuid::parse_str(&id.0).unwrap().get_version_num(), 5);
    assert_eq!(id, text_member_id(cluster, "DB1", 3306));
    assert_ne!(id, text_member_id(cluster, "db1", 3307));
    assert_ne!(id, text_member_id("another", "db1", 3306));
}
