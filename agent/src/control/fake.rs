//! An agent that only remembers: what it shows is given, what it is asked to do is written down.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use muster_link::view::{
    AgentObserved, AgentRow, EventRow, MemberObserved, MemberRow, Observed, View,
};
use tokio::sync::watch;

use super::handler::{Answer, Handler, Picture, Refusal};
use super::permission::{Accounts, Operators};
use super::server::ControlServer;
use super::types::{
    ConfigReply, Done, InitReply, InitRequest, JoinReply, JoinRequest, Local, RecoverRequest,
    RemoveRequest, Setting, TokenReply,
};

pub(crate) struct Fake {
    pub(crate) picture: Mutex<Picture>,
    pub(crate) events: Mutex<VecDeque<EventRow>>,
    newest: watch::Sender<u64>,
    /// What was asked for, in words.
    pub(crate) asked: Mutex<Vec<String>>,
    /// What the next actions are answered with instead of success.
    pub(crate) refusals: Mutex<VecDeque<Refusal>>,
    /// How often the events were looked at.
    pub(crate) looks: AtomicUsize,
    /// How many actions have begun.
    pub(crate) arrived: AtomicUsize,
    /// Actions wait for a permit.
    pub(crate) gate: tokio::sync::Semaphore,
}

impl Fake {
    /// One that belongs to no cluster.
    pub(crate) fn empty() -> Arc<Self> {
        Self::showing(Picture {
            local: local(),
            ..Picture::default()
        })
    }

    pub(crate) fn showing(picture: Picture) -> Arc<Self> {
        Arc::new(Self {
            picture: Mutex::new(picture),
            events: Mutex::default(),
            newest: watch::Sender::new(0),
            asked: Mutex::default(),
            refusals: Mutex::default(),
            looks: AtomicUsize::new(0),
            arrived: AtomicUsize::new(0),
            gate: tokio::sync::Semaphore::new(tokio::sync::Semaphore::MAX_PERMITS),
        })
    }

    /// Three members and an arbitrator; the third member's host is cut off.
    pub(crate) fn cluster() -> Arc<Self> {
        let fake = Self::showing(cluster());
        fake.happens("CLUSTER_FOUNDED", None, "'muster init' was run on db1");
        fake.happens("MEMBER_STATE", Some("m3"), "2 of 3 voters have no report");
        fake
    }

    /// Says that there is an event which the next look does not show yet.
    pub(crate) fn announce(&self, event_id: u64) {
        self.newest.send_replace(event_id);
    }

    /// Adds an event.
    pub(crate) fn happens(&self, event_type: &str, member: Option<&str>, reason: &str) {
        let mut events = self.events.lock().unwrap();
        let event_id = events.back().map_or(0, |event| event.event_id) + 1;
        events.push_back(EventRow {
            event_id,
            view_id: 10 + event_id,
            time_us: 1_795_194_407_000_000 + i64::try_from(event_id).unwrap() * 1_000,
            event_type: event_type.to_owned(),
            member_id: member.map(str::to_owned),
            previous_state: member.map(|_| "ONLINE".to_owned()),
            state: member.map(|_| "UNREACHABLE".to_owned()),
            reason: reason.to_owned(),
            ..EventRow::default()
        });
        drop(events);
        self.newest.send_replace(event_id);
    }

    fn answer<'a, T: Send + 'a>(&'a self, what: String, success: T) -> Answer<'a, T> {
        Box::pin(async move {
            self.arrived.fetch_add(1, Ordering::SeqCst);
            self.gate.acquire().await.unwrap().forget();
            self.asked.lock().unwrap().push(what);
            match self.refusals.lock().unwrap().pop_front() {
                Some(refusal) => Err(refusal),
                None => Ok(success),
            }
        })
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn local() -> Local {
    Local {
        agent_id: 0,
        agent_name: "db1".into(),
        agent_version: "0.1.0".into(),
        uptime_ms: 65_000,
        ..Local::default()
    }
}

/// See [`Fake::cluster`].
pub(crate) fn cluster() -> Picture {
    let member = |n: u64, state: &str, role: &str| MemberRow {
        member_id: format!("m{n}"),
        name: format!("db{n}"),
        host: format!("10.0.0.{n}"),
        port: 3306,
        state: state.into(),
        role: role.into(),
        writable: role == "PRIMARY",
        site: "paris".into(),
        priority: 100,
        server_version: "9.7.0".into(),
        agent_id: n,
        ..MemberRow::default()
    };
    let seen = |n: u64, age_ms: u64, lag: Option<u64>| MemberObserved {
        member_id: format!("m{n}"),
        received_boot_ms: 100_000 - age_ms,
        heartbeat_ttl_ms: 2_000,
        replication_lag_ms: lag,
        threads_running: Some(3),
        queries_per_second: Some(1234.5),
        ..MemberObserved::default()
    };
    let agent = |n: u64, name: &str, voter: bool| AgentRow {
        agent_id: n,
        name: name.into(),
        address: format!("10.0.0.{n}:7400"),
        site: "paris".into(),
        voter,
        version: "0.1.0".into(),
        member_id: (n < 4).then(|| format!("m{n}")),
    };
    let heard = |n: u64, state: &str, age_ms: u64| AgentObserved {
        agent_id: n,
        state: state.into(),
        last_contact_boot_ms: Some(100_000 - age_ms),
    };
    let mut cut_off = seen(3, 6_200, None);
    cut_off.last_error = Some("2 of 3 voters have no report".into());
    Picture {
        view: Arc::new(View {
            view_id: 12,
            cluster_name: "orders".into(),
            cluster_id: "7d9f2c1e-0000-4000-8000-000000000001".into(),
            primary_member_id: Some("m1".into()),
            members: vec![
                member(1, "ONLINE", "PRIMARY"),
                member(2, "ONLINE", "REPLICA"),
                member(3, "UNREACHABLE", "REPLICA"),
            ],
            agents: vec![
                agent(1, "db1", true),
                agent(2, "db2", true),
                agent(3, "db3", false),
                agent(4, "arbiter", true),
            ],
            ..View::default()
        }),
        observed: Arc::new(Observed {
            quorum: true,
            leader_agent_id: Some(2),
            local_agent_id: 1,
            local_member_id: Some("m1".into()),
            summary: "2 of 3 members are online; db3 is unreachable.".into(),
            members: vec![seen(1, 120, None), seen(2, 340, Some(15)), cut_off],
            agents: vec![
                heard(2, "ONLINE", 80),
                heard(3, "UNREACHABLE", 6_100),
                heard(4, "ONLINE", 90),
            ],
        }),
        now_boot_ms: 100_000,
        local: Local {
            agent_id: 1,
            plugin_connected: true,
            plugin_build: Some("0.1.0+abc".into()),
            notes: vec![
                "loaded build 0.1.0+abc is not the build on disk: restart the server".into(),
            ],
            ..local()
        },
    }
}

impl Handler for Fake {
    fn picture(&self) -> Picture {
        self.picture.lock().unwrap().clone()
    }

    fn events_after(&self, after: u64) -> Vec<EventRow> {
        self.looks.fetch_add(1, Ordering::SeqCst);
        let events = self.events.lock().unwrap();
        events
            .iter()
            .filter(|event| event.event_id > after)
            .cloned()
            .collect()
    }

    fn newest_event(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    fn config_get(&self) -> Answer<'_, ConfigReply> {
        let settings = [("heartbeat_ttl_ms", "2000"), ("voters_max", "5")];
        let settings = settings.map(|(key, value)| Setting {
            key: key.into(),
            value: value.into(),
        });
        self.answer(
            "config get".into(),
            ConfigReply {
                settings: settings.into(),
            },
        )
    }

    fn config_set(&self, setting: Setting) -> Answer<'_, Done> {
        let message = format!("{} is now {}.", setting.key, setting.value);
        self.answer(
            format!("config set {} {}", setting.key, setting.value),
            Done { message },
        )
    }

    fn init(&self, request: InitRequest) -> Answer<'_, InitReply> {
        self.answer(
            format!("init {}", request.cluster_name),
            InitReply {
                cluster_id: "7d9f2c1e-0000-4000-8000-000000000001".into(),
                token: "muster1-first".into(),
            },
        )
    }

    fn token_create(&self) -> Answer<'_, TokenReply> {
        self.answer(
            "token".into(),
            TokenReply {
                token: "muster1-next".into(),
                ttl_ms: 3_600_000,
            },
        )
    }

    fn join(&self, request: JoinRequest) -> Answer<'_, JoinReply> {
        self.answer(
            format!(
                "join {} {} {}",
                request.token, request.address, request.arbitrator
            ),
            JoinReply {
                agent_id: 5,
                cluster_name: "orders".into(),
            },
        )
    }

    fn leave(&self) -> Answer<'_, Done> {
        self.answer(
            "leave".into(),
            Done {
                message: "This host has left 'orders'.".into(),
            },
        )
    }

    fn remove(&self, request: RemoveRequest) -> Answer<'_, Done> {
        let message = format!("'{}' is forgotten.", request.name);
        self.answer(format!("remove {}", request.name), Done { message })
    }

    fn recover(&self, request: RecoverRequest) -> Answer<'_, Done> {
        self.answer(
            format!("recover {}", request.force),
            Done {
                message: "A new group of this host alone goes on.".into(),
            },
        )
    }
}

/// Accounts of a host that has no operator group.
struct NoAccounts;

impl Accounts for NoAccounts {
    fn group_id(&self, _: &str) -> Option<u32> {
        None
    }

    fn groups_of(&self, _: u32) -> Vec<u32> {
        Vec::new()
    }
}

/// A fake agent on a real socket in a folder of its own.
pub(crate) struct Served {
    pub(crate) socket: PathBuf,
    folder: tempfile::TempDir,
    end: Option<tokio::sync::oneshot::Sender<()>>,
    task: Option<tokio::task::JoinHandle<()>>,
}

impl Served {
    pub(crate) async fn new(fake: Arc<Fake>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut served = Self {
            socket: folder.path().join("control.sock"),
            folder,
            end: None,
            task: None,
        };
        served.start(fake).await;
        served
    }

    /// Starts (again) on the same path.
    pub(crate) async fn start(&mut self, fake: Arc<Fake>) {
        let own_uid = rustix::process::geteuid().as_raw();
        let operators = Operators::new(own_uid, "muster", NoAccounts);
        let server = ControlServer::bind(&self.socket, operators, fake)
            .await
            .unwrap();
        let (end, ended) = tokio::sync::oneshot::channel();
        self.end = Some(end);
        self.task = Some(tokio::spawn(server.serve(async {
            ended.await.ok();
        })));
    }

    pub(crate) async fn stop(&mut self) {
        drop(self.end.take());
        if let Some(task) = self.task.take() {
            task.await.unwrap();
        }
    }

    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }
}
