//! Whatever the evidence says: decisions are accepted, come to rest, and keep to the majority.

#![allow(
    clippy::unwrap_used,
    reason = "a panic here is a failed test with a line number"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use muster_core::command::{Command, Outcome};
use muster_core::decide::{Action, decide};
use muster_core::evidence::{
    ConsensusFacts, Observations, Opinion, OwnMember, ProcessState, Seen, Statement,
};
use muster_core::ids::AgentId;
use muster_core::state::{MemberRole, MemberState};
use muster_link::report::Phase;
use proptest::prelude::*;
use support::{Cluster, channel, server};

const AGENTS: u64 = 5;

fn opinion() -> impl Strategy<Value = Opinion> {
    prop_oneof![
        3 => Just(Opinion::Hears),
        2 => Just(Opinion::Lacks),
        1 => Just(Opinion::Unsure)
    ]
}

fn statement() -> impl Strategy<Value = Statement> {
    (opinion(), opinion(), 0u64..60_000, 0u64..60_000).prop_map(|(agent, report, a, r)| Statement {
        agent,
        agent_silent_ms: a,
        report,
        report_silent_ms: r,
    })
}

fn own(n: u64) -> impl Strategy<Value = OwnMember> {
    let process = prop_oneof![
        5 => Just(ProcessState::Running { pid: 7 }),
        1 => Just(ProcessState::NeverSeen),
        1 => any::<bool>().prop_map(|announced| ProcessState::Gone { pid: 7, announced, how: None }),
    ];
    let phase = prop_oneof![
        5 => Just(Phase::Serving),
        1 => Just(Phase::Starting),
        1 => Just(Phase::Stopping)
    ];
    // Which server is there: its own, or (a cloned host) another one's.
    let identity = prop_oneof![8 => Just(n), 1 => 1..=AGENTS];
    (
        (process, phase, identity, any::<bool>(), any::<bool>()),
        proptest::collection::vec(
            (1..=AGENTS, any::<bool>(), any::<bool>(), any::<bool>()),
            0..3,
        ),
        any::<bool>(),
    )
        .prop_map(
            move |((process, phase, identity, linked, read_only), channels, facts_known)| {
                let mut own = server(n, None);
                own.identity = support::identity(n, identity);
                own.process = process;
                own.linked = linked;
                let report = own.report.as_mut().unwrap();
                report.phase = phase;
                let facts = report.facts.as_mut().unwrap();
                facts.read_only = read_only;
                facts.channels = channels
                    .into_iter()
                    .map(|(source, running, connecting, applier)| {
                        let mut channel = channel(source);
                        channel.receiver_running = running;
                        channel.receiver_connecting = connecting && !running;
                        channel.applier_running = applier;
                        channel
                    })
                    .collect();
                if !facts_known {
                    report.facts = None;
                }
                own
            },
        )
}

fn seen(n: u64) -> impl Strategy<Value = Seen> {
    let age = || proptest::option::weighted(0.9, prop_oneof![3 => 0u64..2_000, 1 => 0u64..90_000]);
    let lasting = || proptest::option::weighted(0.3, 0u64..5_000);
    (
        proptest::option::weighted(0.9, own(n)),
        age(),
        age(),
        lasting(),
        lasting(),
        proptest::bool::weighted(0.2),
        proptest::collection::btree_map((1..=AGENTS).prop_map(AgentId), statement(), 0..6),
    )
        .prop_map(
            |(own, said_age_ms, report_age_ms, connecting_ms, stopped_ms, deaf, statements)| Seen {
                own: own.map(Arc::new),
                said_age_ms,
                report_age_ms,
                connecting_ms,
                stopped_ms,
                twin: false,
                deaf,
                statements,
            },
        )
}

fn everybody() -> impl Strategy<Value = BTreeMap<AgentId, Seen>> {
    (seen(1), seen(2), seen(3), seen(4), seen(5)).prop_map(|(a, b, c, d, e)| {
        [a, b, c, d, e]
            .into_iter()
            .zip(1..)
            .map(|(seen, n)| (AgentId(n), seen))
            .collect()
    })
}

fn state_word() -> impl Strategy<Value = MemberState> {
    prop_oneof![
        3 => Just(MemberState::Online),
        1 => Just(MemberState::Offline),
        1 => Just(MemberState::Unreachable),
        1 => Just(MemberState::Starting),
        1 => Just(MemberState::Stopping),
        1 => Just(MemberState::Error),
    ]
}

/// A cluster of five in which anything may have been decided before.
fn cluster() -> impl Strategy<Value = Cluster> {
    (
        proptest::collection::vec(state_word(), 5),
        0usize..6,
        proptest::collection::btree_set(1..=AGENTS, 1..6),
    )
        .prop_map(|(states, primary, voters)| {
            let voters: Vec<u64> = voters.into_iter().collect();
            let mut cluster = Cluster::running(AGENTS, &voters);
            cluster.set(1, MemberState::Online, MemberRole::Standalone, false);
            for (index, state) in states.into_iter().enumerate() {
                let role = if index == primary {
                    MemberRole::Primary
                } else {
                    MemberRole::Replica
                };
                let writable = index == primary && state == MemberState::Online;
                cluster.set(index as u64 + 1, state, role, writable);
            }
            cluster
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn decisions_are_accepted_and_come_to_rest(mut cluster in cluster(), agents in everybody()) {
        let mut observations = Observations {
            me: AgentId(1),
            ttl_ms: 2_000,
            agents,
            tokens_age_ms: BTreeMap::new(),
            consensus: ConsensusFacts {
                voters: cluster.state.voters.clone(),
                learners: cluster
                    .state
                    .agents
                    .keys()
                    .filter(|id| !cluster.state.voters.contains(id))
                    .copied()
                    .collect(),
                leading_ms: 60_000,
                ..ConsensusFacts::default()
            },
        };
        let majority = cluster.state.majority();
        let mut rounds = 0;
        loop {
            let mut acted = false;
            for decision in decide(&cluster.state, &observations) {
                let Some(action) = decision.action() else { continue };
                match action {
                    Action::Propose(command) => {
                        acted = true;
                        let before = cluster.state.clone();
                        let outcome = cluster.run(command.clone());
                        // Two agents may introduce the same server at once: the second is refused, once.
                        let refused = matches!(outcome, Outcome::Refused { .. });
                        let declared = matches!(command, Command::DeclareMember { .. });
                        prop_assert!(!refused || declared, "{:?}: {:?}", command, outcome);
                        for (id, after) in &cluster.state.members {
                            let Some(before) = before.members.get(id) else { continue };
                            let seen = &observations.agents[&after.agent_id];
                            if before.state != after.state && after.state == MemberState::Unreachable {
                                prop_assert!(seen.lack_report() >= majority);
                            }
                            let up = matches!(after.state, MemberState::Online | MemberState::Error);
                            if before.state == MemberState::Unreachable && up {
                                prop_assert!(seen.hear_report() >= majority);
                            }
                        }
                    }
                    Action::SetVoters(voters) => {
                        let before = cluster.state.voters.clone();
                        prop_assert!(!voters.is_empty() && *voters != before);
                        prop_assert!(voters.len() % 2 == 1 || voters.len() <= before.len());
                        prop_assert!(voters.contains(&AgentId(1)) || !before.contains(&AgentId(1)));
                        let all: BTreeSet<AgentId> = cluster.state.agents.keys().copied().collect();
                        observations.consensus.learners = all.difference(voters).copied().collect();
                        observations.consensus.voters.clone_from(voters);
                        cluster.run(Command::VotersAre { voters: voters.clone() });
                        // From here on other voters speak; what they say was not asked for.
                        return Ok(());
                    }
                    Action::TransferLeadership(to) => {
                        prop_assert!(cluster.state.voters.contains(to) && to.0 != 1);
                    }
                    Action::AddLearner(_) | Action::RemoveLearner(_) => {
                        prop_assert!(false, "everybody listens already");
                    }
                }
            }
            if !acted {
                break;
            }
            rounds += 1;
            prop_assert!(rounds <= 6, "it does not come to rest");
        }
        let primaries = cluster.state.members.values().filter(|m| m.role == MemberRole::Primary);
        prop_assert!(primaries.count() <= 1);
    }
}
