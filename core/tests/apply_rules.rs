//! What each command does and refuses, one rule a test.

#![allow(
    clippy::unwrap_used,
    reason = "a panic here is a failed test with a line number"
)]

mod support;

use std::collections::BTreeSet;

use muster_core::command::{Command, Outcome};
use muster_core::ids::{AgentId, MemberId, ViewId};
use muster_core::limits::{EVENTS_MAX, TOKENS_MAX};
use muster_core::state::{EventKind, MemberRole, MemberState};
use support::{Cluster, agent, declare, hash, member};

use MemberRole::{Primary, Replica, Standalone};
use MemberState::{Offline, Online, Unreachable};

#[test]
fn nothing_happens_before_the_cluster_is_founded() {
    let mut cluster = Cluster::default();
    let why = cluster.refused(Command::CreateToken {
        token_hash: hash(1),
    });
    assert!(why.contains("muster init"), "{why}");
    // The consensus is there first and says who votes; that is no view of a cluster yet.
    cluster.voters(&[1]);
    assert_eq!(cluster.state.view_id, ViewId(0));
    assert_eq!(cluster.state.voters, BTreeSet::from([AgentId(1)]));
}

#[test]
fn a_token_lets_one_key_in_once_and_answers_it_again() {
    let mut cluster = Cluster::of(1, &[1]);
    cluster.ok(Command::CreateToken {
        token_hash: hash(7),
    });
    let join = |key, name| Command::Join {
        token_hash: hash(7),
        key_fingerprint: hash(key),
        agent: agent(name),
    };
    let first = cluster.run(join(2, 2));
    let view_id = cluster.state.view_id;
    let agent_id = AgentId(2);
    assert_eq!(first, Outcome::Joined { agent_id, view_id });
    assert_eq!(
        cluster.run(join(2, 2)),
        first,
        "the answer was lost, asked again"
    );
    let why = cluster.refused(join(3, 3));
    assert!(why.contains("muster token create"), "{why}");
    cluster.ok(Command::ExpireToken {
        token_hash: hash(7),
    });
    let why = cluster.refused(join(2, 2));
    assert!(why.contains("not known"), "{why}");
}

#[test]
fn tokens_are_limited_in_number() {
    let mut cluster = Cluster::of(1, &[1]);
    for n in 0..TOKENS_MAX as u64 {
        cluster.ok(Command::CreateToken {
            token_hash: hash(n),
        });
    }
    cluster.refused(Command::CreateToken {
        token_hash: hash(9_999),
    });
    cluster.refused(Command::CreateToken {
        token_hash: "not a hash".to_owned(),
    });
}

#[test]
fn names_and_addresses_are_unique_and_of_a_length() {
    let mut cluster = Cluster::of(2, &[1]);
    cluster.ok(Command::CreateToken {
        token_hash: hash(7),
    });
    let mut join = |declaration| {
        cluster.refused(Command::Join {
            token_hash: hash(7),
            key_fingerprint: hash(9),
            agent: declaration,
        })
    };
    let mut twin = agent(9);
    twin.name = "n2".to_owned();
    let why = join(twin);
    assert!(why.contains("muster remove n2"), "{why}");
    let mut twin = agent(9);
    twin.address = agent(2).address;
    assert!(join(twin).contains("10.0.0.2:7400"));
    for bad in ["", " n9", "n\n9", &"x".repeat(65)] {
        let mut declaration = agent(9);
        declaration.name = bad.to_owned();
        join(declaration);
    }
}

#[test]
fn a_removed_number_is_never_given_again_and_never_speaks() {
    let mut cluster = Cluster::running(3, &[1]);
    cluster.ok(Command::RemoveAgent {
        agent_id: AgentId(3),
    });
    assert!(!cluster.state.members.contains_key(&member(3)));
    let again = Command::RemoveAgent {
        agent_id: AgentId(3),
    };
    assert_eq!(cluster.run(again), Outcome::Unchanged);
    let why = cluster.refused(declare(3, 3));
    assert!(why.contains("muster join"), "{why}");
    assert_eq!(cluster.join(3, agent(3)), AgentId(4));
    cluster.declare(4, 3);
    assert_eq!(cluster.record(3).agent_id, AgentId(4), "the same member");
}

#[test]
fn the_last_agent_and_the_only_voter_stay() {
    let mut cluster = Cluster::of(2, &[1]);
    let why = cluster.refused(Command::RemoveAgent {
        agent_id: AgentId(1),
    });
    assert!(why.contains("only voter"), "{why}");
    cluster.ok(Command::RemoveAgent {
        agent_id: AgentId(2),
    });
    let why = cluster.refused(Command::RemoveAgent {
        agent_id: AgentId(1),
    });
    assert!(why.contains("last agent"), "{why}");
}

#[test]
fn pitfall_38_a_copied_server_is_refused_while_the_first_lives() {
    let mut cluster = Cluster::running(3, &[1]);
    let why = cluster.refused(declare(3, 2));
    assert!(why.contains("n2") && why.contains("copy"), "{why}");
    for gone in [Offline, Unreachable] {
        let mut cluster = cluster.clone();
        cluster.set(2, gone, Replica, false);
        cluster.set(3, Offline, Replica, false);
        cluster.declare(3, 2);
        assert_eq!(cluster.record(2).agent_id, AgentId(3));
        assert_eq!(cluster.record(2).name, "n3");
        assert_eq!(cluster.state.agents[&AgentId(2)].member_id, None);
        assert!(!cluster.state.members.contains_key(&member(3)), "replaced");
    }
}

#[test]
fn a_second_server_beside_a_living_one_needs_its_own_agent() {
    let mut cluster = Cluster::running(2, &[1]);
    let why = cluster.refused(declare(2, 77));
    assert!(why.contains("agent of its own"), "{why}");
}

#[test]
fn a_declared_member_follows_the_name_of_its_agent() {
    let mut cluster = Cluster::running(2, &[1]);
    assert_eq!(cluster.run(declare(2, 2)), Outcome::Unchanged);
    let mut renamed = agent(2);
    renamed.name = "db2".to_owned();
    cluster.ok(Command::DeclareAgent {
        agent_id: AgentId(2),
        agent: renamed.clone(),
    });
    assert_eq!(cluster.record(2).name, "db2");
    assert_eq!(cluster.record(2).changed_in, cluster.state.view_id);
    renamed.arbitrator = true;
    cluster.refused(Command::DeclareAgent {
        agent_id: AgentId(2),
        agent: renamed,
    });
}

#[test]
fn a_stale_decision_is_skipped_and_a_fresh_one_beside_it_is_not() {
    let mut cluster = Cluster::running(3, &[1]);
    let stale = cluster.change(2, Unreachable, Replica, false);
    cluster.set(2, Offline, Replica, false);
    let fresh = cluster.change(3, Unreachable, Replica, false);
    cluster.ok(Command::SetMembers {
        changes: vec![stale, fresh],
    });
    assert_eq!(cluster.record(2).state, Offline);
    assert_eq!(cluster.record(3).state, Unreachable);
}

#[test]
fn a_second_primary_is_refused_as_a_whole() {
    let mut cluster = Cluster::running(3, &[1]);
    let second = cluster.change(2, Online, Primary, true);
    let innocent = cluster.change(3, Offline, Replica, false);
    let why = cluster.refused(Command::SetMembers {
        changes: vec![innocent, second.clone()],
    });
    assert!(why.contains("n1") && why.contains("n2"), "{why}");
    let first = cluster.change(1, Online, Standalone, false);
    cluster.ok(Command::SetMembers {
        changes: vec![first, second],
    });
    assert_eq!(cluster.record(2).role, Primary);
    let offline = cluster.change(2, Offline, Primary, true);
    cluster.refused(Command::SetMembers {
        changes: vec![offline],
    });
}

#[test]
fn decisions_in_one_entry_make_one_view_with_an_event_each() {
    let mut cluster = Cluster::running(3, &[1]);
    let before = cluster.state.view_id;
    let changes = (1..=3)
        .map(|n| cluster.change(n, Unreachable, Standalone, false))
        .collect();
    cluster.ok(Command::SetMembers { changes });
    assert_eq!(cluster.state.view_id, before.next());
    let told: Vec<_> = cluster
        .state
        .events
        .iter()
        .filter(|e| e.view_id == cluster.state.view_id)
        .map(|e| e.kind)
        .collect();
    let states = told
        .iter()
        .filter(|k| **k == EventKind::MemberState)
        .count();
    let roles = told.iter().filter(|k| **k == EventKind::MemberRole).count();
    assert_eq!((states, roles), (3, 3));
}

#[test]
fn the_newest_events_are_kept() {
    let mut cluster = Cluster::running(1, &[1]);
    for n in 0..EVENTS_MAX + 50 {
        let state = if n % 2 == 0 { Offline } else { Online };
        cluster.set(1, state, Standalone, false);
    }
    assert_eq!(cluster.state.events.len(), EVENTS_MAX);
    assert_eq!(
        cluster.state.events.back().map(|e| e.event_id + 1),
        Some(cluster.state.next_event_id)
    );
}

#[test]
fn settings_are_set_or_refused_with_what_would_be_right() {
    let mut cluster = Cluster::of(1, &[1]);
    let set = |key: &str, value: &str| Command::Set {
        key: key.to_owned(),
        value: value.to_owned(),
    };
    cluster.ok(set("heartbeat_ttl_ms", "3000"));
    let same = cluster.run(set("heartbeat_ttl_ms", "3000"));
    assert_eq!(same, Outcome::Unchanged);
    assert!(
        cluster
            .refused(set("voters_max", "4"))
            .contains("1, 3, 5 or 7")
    );
    assert!(
        cluster
            .refused(set("colour", "red"))
            .contains("heartbeat_ttl_ms")
    );
}

#[test]
fn recovery_goes_on_alone_one_generation_higher() {
    let mut cluster = Cluster::running(3, &[1, 2, 3]);
    let before = cluster.state.clone();
    cluster.ok(Command::Recover {
        agent_id: AgentId(2),
    });
    let state = &cluster.state;
    assert_eq!(state.view_id, before.view_id.next_generation());
    assert!(state.view_id > ViewId(before.view_id.0 + 1_000_000));
    assert_eq!(state.agents.keys().collect::<Vec<_>>(), [&AgentId(2)]);
    assert_eq!(state.members.keys().collect::<Vec<_>>(), [&member(2)]);
    assert_eq!(state.voters, BTreeSet::from([AgentId(2)]));
    assert!(state.removed_agents.contains(&AgentId(1)));
    // The lost majority may have given numbers that the survivor does not know.
    assert!(state.next_agent_id > before.next_agent_id + 100);
    assert!(state.next_event_id > before.next_event_id + 1_000);
    let again = cluster.run(Command::Recover {
        agent_id: AgentId(2),
    });
    assert_eq!(again, Outcome::Unchanged);
    let rejoined = cluster.join(3, agent(3));
    cluster.declare(rejoined.0, 3);
    assert_eq!(cluster.record(3).agent_id, rejoined);
}

fn text(agent: u64, id: &str, port: u16, role: MemberRole) -> Command {
    Command::TextJoin {
        agent_id: AgentId(agent),
        member_id: MemberId(id.to_owned()),
        host: "10.9.9.9".to_owned(),
        port,
        state: Online,
        role,
        draining: false,
    }
}

#[test]
fn text_members_join_once_and_are_spoken_for_by_one_agent() {
    let mut cluster = Cluster::of(2, &[1]);
    cluster.ok(text(1, "t1", 3306, Primary));
    assert_eq!(
        cluster.run(text(1, "t1", 3306, Primary)),
        Outcome::Unchanged
    );
    let why = cluster.refused(text(1, "t2", 3307, Primary));
    assert!(why.contains("master already"), "{why}");
    cluster.ok(text(1, "t2", 3307, Replica));
    let leave = |agent| Command::TextLeave {
        agent_id: AgentId(agent),
        member_id: MemberId("t2".to_owned()),
    };
    cluster.refused(leave(2));
    cluster.refused(Command::TextStatus {
        agent_id: AgentId(2),
        member_id: MemberId("t2".to_owned()),
        state: Online,
        draining: true,
    });
    // It joins again through the other agent, which has its own id for it: one row, not two.
    cluster.ok(text(2, "t2-at-2", 3307, Replica));
    assert_eq!(cluster.state.members.len(), 2);
    assert_eq!(cluster.run(leave(1)), Outcome::Unchanged);
    cluster.voters(&[2]);
    cluster.ok(Command::RemoveAgent {
        agent_id: AgentId(1),
    });
    assert_eq!(cluster.state.members.len(), 1, "its servers go with it");
}

#[test]
fn a_server_with_a_plugin_needs_no_text_protocol() {
    let mut cluster = Cluster::running(1, &[1]);
    let why = cluster.refused(Command::TextJoin {
        agent_id: AgentId(1),
        member_id: MemberId("t".to_owned()),
        host: "10.0.0.1".to_owned(),
        port: 3306,
        state: Online,
        role: Standalone,
        draining: false,
    });
    assert!(why.contains("plugin"), "{why}");
}
