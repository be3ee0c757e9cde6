//! Random sequences of commands against the promises of `apply`.

#![allow(
    clippy::unwrap_used,
    reason = "a panic here is a failed test with a line number"
)]

use std::collections::{BTreeMap, BTreeSet};

use muster_core::apply::apply;
use muster_core::command::{
    AgentDeclaration, Command, Entry, MemberChange, MemberDeclaration, Outcome,
};
use muster_core::ids::{AgentId, MemberId, ViewId};
use muster_core::limits::EVENTS_MAX;
use muster_core::state::{Authority, ClusterState, MemberRole, MemberState};
use proptest::prelude::*;

/// A command still without the view it is based on, which only the run knows.
#[derive(Debug, Clone)]
enum Step {
    Plain(Command),
    /// SetMembers; the number says how many views old the decision is.
    Set(Vec<(u8, MemberState, MemberRole, bool)>, u64),
}

fn hash(n: u8) -> String {
    format!("{n:064x}")
}

fn declaration(name: u8, address: u8) -> AgentDeclaration {
    AgentDeclaration {
        name: format!("n{name}"),
        address: format!("10.0.0.{address}:7400"),
        site: "a".to_owned(),
        priority: 100,
        arbitrator: name == 5,
        version: "1".to_owned(),
    }
}

fn member_id(n: u8) -> MemberId {
    MemberId(format!("uuid-{n}"))
}

fn state_word() -> impl Strategy<Value = MemberState> {
    prop_oneof![
        4 => Just(MemberState::Online),
        2 => Just(MemberState::Offline),
        2 => Just(MemberState::Unreachable),
        1 => Just(MemberState::Starting),
        1 => Just(MemberState::Stopping),
        1 => Just(MemberState::Error),
    ]
}

fn role_word() -> impl Strategy<Value = MemberRole> {
    prop_oneof![
        Just(MemberRole::Primary),
        Just(MemberRole::Replica),
        Just(MemberRole::Standalone)
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let agent = || (1u64..9).prop_map(AgentId);
    let plain = prop_oneof![
        1 => (0u8..3).prop_map(|t| Command::Found {
            cluster_id: format!("cluster-{t}"),
            cluster_name: "c".to_owned(),
            authority: Authority::default(),
            agent: declaration(1, 1),
            key_fingerprint: hash(1),
        }),
        4 => (0u8..6).prop_map(|t| Command::CreateToken { token_hash: hash(t) }),
        1 => (0u8..6).prop_map(|t| Command::ExpireToken { token_hash: hash(t) }),
        6 => (0u8..6, 1u8..8, 1u8..8, 1u8..8).prop_map(|(t, key, name, address)| Command::Join {
            token_hash: hash(t),
            key_fingerprint: hash(key),
            agent: declaration(name, address),
        }),
        2 => (agent(), 1u8..8, 1u8..8).prop_map(|(agent_id, name, address)| Command::DeclareAgent {
            agent_id,
            agent: declaration(name, address),
        }),
        8 => (agent(), 1u8..8, 1u16..3).prop_map(|(agent_id, m, port)| Command::DeclareMember {
            agent_id,
            member: MemberDeclaration {
                member_id: member_id(m),
                host: "h".to_owned(),
                port,
                server_version: "9.7".to_owned(),
            },
        }),
        1 => agent().prop_map(|agent_id| Command::RemoveAgent { agent_id }),
        1 => (0u64..9000).prop_map(|v| Command::Set {
            key: "heartbeat_ttl_ms".to_owned(),
            value: v.to_string(),
        }),
        4 => (agent(), 20u8..23, 1u16..4, state_word(), role_word(), any::<bool>()).prop_map(
            |(agent_id, m, port, state, role, draining)| Command::TextJoin {
                agent_id,
                member_id: member_id(m),
                host: "t".to_owned(),
                port,
                state,
                role,
                draining,
            }
        ),
        2 => (agent(), 20u8..23, state_word(), any::<bool>()).prop_map(
            |(agent_id, m, state, draining)| Command::TextStatus {
                agent_id,
                member_id: member_id(m),
                state,
                draining,
            }
        ),
        1 => (agent(), 20u8..23).prop_map(|(agent_id, m)| Command::TextLeave {
            agent_id,
            member_id: member_id(m),
        }),
        1 => agent().prop_map(|agent_id| Command::Recover { agent_id }),
        2 => proptest::collection::btree_set(agent(), 1..4)
            .prop_map(|voters| Command::VotersAre { voters }),
    ];
    let changes = proptest::collection::vec(
        (
            prop_oneof![1u8..8, 20u8..23],
            state_word(),
            role_word(),
            any::<bool>(),
        ),
        1..4,
    );
    prop_oneof![
        4 => plain.prop_map(Step::Plain),
        2 => (changes, 0u64..3).prop_map(|(changes, old)| Step::Set(changes, old)),
    ]
}

fn entry_of(state: &ClusterState, step: &Step, n: usize) -> Entry {
    let command = match step {
        Step::Plain(command) => command.clone(),
        Step::Set(changes, old) => Command::SetMembers {
            changes: changes
                .iter()
                .map(|(m, to, role, writable)| {
                    let changed_in = state
                        .members
                        .get(&member_id(*m))
                        .map_or(ViewId(0), |r| r.changed_in);
                    MemberChange {
                        member_id: member_id(*m),
                        based_on: ViewId(changed_in.0.saturating_sub(*old)),
                        state: *to,
                        role: *role,
                        writable: *writable,
                        reason: "because".to_owned(),
                    }
                })
                .collect(),
        },
    };
    Entry {
        time_us: n as i64,
        reason: format!("step {n}"),
        command,
    }
}

fn founded() -> ClusterState {
    let mut state = ClusterState::default();
    let outcome = apply(
        &mut state,
        1,
        &Entry {
            time_us: 0,
            reason: "init".to_owned(),
            command: Command::Found {
                cluster_id: "cluster-0".to_owned(),
                cluster_name: "c".to_owned(),
                authority: Authority::default(),
                agent: declaration(1, 1),
                key_fingerprint: hash(1),
            },
        },
    );
    assert!(matches!(outcome, Outcome::Changed { .. }));
    state
}

fn holds(state: &ClusterState) {
    let primaries = state
        .members
        .values()
        .filter(|m| m.role == MemberRole::Primary)
        .count();
    assert!(primaries <= 1, "{primaries} primaries");
    let writable: Vec<_> = state.members.values().filter(|m| m.writable).collect();
    assert!(writable.len() <= 1);
    for member in writable {
        assert_eq!(member.role, MemberRole::Primary);
        assert_eq!(member.state, MemberState::Online);
    }
    let names: BTreeSet<_> = state.agents.values().map(|a| &a.name).collect();
    assert_eq!(names.len(), state.agents.len(), "names are unique");
    let mut bound = BTreeSet::new();
    for (id, agent) in &state.agents {
        assert!(id.0 < state.next_agent_id);
        assert!(!state.removed_agents.contains(id));
        if let Some(member_id) = &agent.member_id {
            assert!(bound.insert(member_id), "a member belongs to one agent");
            assert_eq!(state.members[member_id].agent_id, *id);
        }
    }
    for (id, member) in &state.members {
        assert!(
            state.agents.contains_key(&member.agent_id),
            "{id} has an agent"
        );
        assert!(member.changed_in <= state.view_id);
    }
    assert!(state.events.len() <= EVENTS_MAX);
    for (a, b) in state.events.iter().zip(state.events.iter().skip(1)) {
        assert!(a.event_id < b.event_id && a.view_id <= b.view_id);
    }
    assert!(
        state
            .events
            .back()
            .is_none_or(|e| e.event_id < state.next_event_id)
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn one_entry_makes_at_most_one_view_and_only_when_something_changed(
        steps in proptest::collection::vec(step(), 1..80)
    ) {
        let mut state = founded();
        let mut contents: BTreeMap<ViewId, ClusterState> = BTreeMap::new();
        let mut key_of: BTreeMap<AgentId, String> = BTreeMap::new();
        for (n, step) in steps.iter().enumerate() {
            let entry = entry_of(&state, step, n);
            let before = state.clone();
            let outcome = apply(&mut state, n as u64, &entry);
            holds(&state);
            let grew = state.view_id > before.view_id;
            let recovered = matches!(entry.command, Command::Recover { .. });
            match &outcome {
                Outcome::Changed { view_id } => {
                    prop_assert_eq!(*view_id, state.view_id);
                    prop_assert!(grew);
                }
                Outcome::Joined { agent_id, view_id } => {
                    prop_assert_eq!(*view_id, state.view_id);
                    prop_assert!(state.agents.contains_key(agent_id));
                }
                Outcome::Unchanged => prop_assert_eq!(&state, &before),
                Outcome::Refused { reason } => {
                    prop_assert_eq!(&state, &before);
                    prop_assert!(reason.len() > 20, "a sentence: {}", reason);
                }
            }
            prop_assert_eq!(state != before, grew, "a view for each change, and for nothing else");
            if grew && recovered {
                prop_assert_eq!(state.view_id, before.view_id.next_generation());
            } else if grew {
                prop_assert_eq!(state.view_id, before.view_id.next());
            }
            prop_assert!(state.next_agent_id >= before.next_agent_id);
            prop_assert!(state.removed_agents.is_superset(&before.removed_agents));
            for (id, agent) in &state.agents {
                let key = key_of.entry(*id).or_insert_with(|| agent.key_fingerprint.clone());
                prop_assert_eq!(&*key, &agent.key_fingerprint, "a number is one agent's for ever");
            }
            if let Some(same) = contents.insert(state.view_id, state.clone()) {
                prop_assert_eq!(&same, &state, "one view id, one content");
            }
        }
    }

    #[test]
    fn a_repeated_command_changes_nothing(
        steps in proptest::collection::vec(step(), 1..60)
    ) {
        let mut state = founded();
        for (n, step) in steps.iter().enumerate() {
            let entry = entry_of(&state, step, n);
            let first = apply(&mut state, n as u64, &entry);
            let after = state.clone();
            let second = apply(&mut state, n as u64 + 1, &entry);
            prop_assert_eq!(&state, &after, "{:?} then {:?}", first, second);
            if let Outcome::Joined { agent_id, .. } = first {
                let same = matches!(second, Outcome::Joined { agent_id: again, .. } if again == agent_id);
                prop_assert!(same);
            }
        }
    }

    #[test]
    fn the_same_log_gives_the_same_state_also_through_a_snapshot(
        steps in proptest::collection::vec(step(), 1..60),
        cut in 0usize..60,
    ) {
        let mut one = founded();
        let mut other = founded();
        for (n, step) in steps.iter().enumerate() {
            let entry = entry_of(&one, step, n);
            let entry_read: Entry =
                serde_json::from_str(&serde_json::to_string(&entry).unwrap()).unwrap();
            prop_assert_eq!(&entry, &entry_read);
            if n == cut {
                other = serde_json::from_str(&serde_json::to_string(&other).unwrap()).unwrap();
            }
            prop_assert_eq!(apply(&mut one, n as u64, &entry), apply(&mut other, n as u64, &entry_read));
            prop_assert_eq!(&one, &other);
        }
        prop_assert_eq!(serde_json::to_string(&one).unwrap(), serde_json::to_string(&other).unwrap());
    }
}
