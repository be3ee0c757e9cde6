//! Who votes, who leads, which tokens are over.

#![allow(
    clippy::unwrap_used,
    reason = "a panic here is a failed test with a line number"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use muster_core::command::Command;
use muster_core::decide::{Action, Decision, decide, voters};
use muster_core::evidence::{ConsensusFacts, Observations, Opinion, Seen, Statement};
use muster_core::ids::AgentId;
use support::{Cluster, agent, hash};

fn ids(ids: &[u64]) -> BTreeSet<AgentId> {
    ids.iter().copied().map(AgentId).collect()
}

/// Everybody is heard by every voter, but those that have been silent for `silent_ms`.
fn seen(
    cluster: &Cluster,
    me: u64,
    learners: &[u64],
    silent: &[u64],
    silent_ms: u64,
) -> Observations {
    let voters = cluster.state.voters.clone();
    let agents = cluster
        .state
        .agents
        .keys()
        .map(|id| {
            let gone = silent.contains(&id.0);
            let opinion = if gone { Opinion::Lacks } else { Opinion::Hears };
            let age = if gone { silent_ms } else { 0 };
            let statement = Statement {
                agent: opinion,
                agent_silent_ms: age,
                report: opinion,
                report_silent_ms: age,
            };
            let statements: BTreeMap<_, _> = voters
                .iter()
                .filter(|v| !silent.contains(&v.0))
                .map(|v| (*v, statement))
                .collect();
            (
                *id,
                Seen {
                    said_age_ms: Some(age),
                    statements,
                    ..Seen::default()
                },
            )
        })
        .collect();
    Observations {
        me: AgentId(me),
        ttl_ms: 2_000,
        agents,
        tokens_age_ms: BTreeMap::new(),
        consensus: ConsensusFacts {
            voters,
            learners: ids(learners),
            leading_ms: 60_000,
            ..ConsensusFacts::default()
        },
    }
}

fn action(cluster: &Cluster, seen: &Observations) -> Option<Action> {
    let actions: Vec<Action> = decide(&cluster.state, seen)
        .iter()
        .filter_map(|d| d.action().cloned())
        .filter(|a| !matches!(a, Action::Propose(Command::SetMembers { .. })))
        .collect();
    assert!(actions.len() <= 1, "one change at a time: {actions:?}");
    actions.into_iter().next()
}

fn set(voters: &[u64]) -> Option<Action> {
    Some(Action::SetVoters(ids(voters)))
}

#[test]
fn the_number_of_voters_follows_the_number_of_agents() {
    for (agents, max, wanted) in [
        (1, 5, 1),
        (2, 5, 1),
        (3, 5, 3),
        (4, 5, 3),
        (5, 5, 5),
        (6, 7, 5),
        (7, 5, 5),
        (7, 7, 7),
        (200, 7, 7),
        (200, 3, 3),
        (200, 1, 1),
    ] {
        assert_eq!(
            voters::wanted(agents, max),
            wanted,
            "{agents} agents, at most {max}"
        );
    }
}

#[test]
fn a_joined_agent_becomes_a_learner_first() {
    let cluster = Cluster::of(2, &[1]);
    let seen = seen(&cluster, 1, &[], &[], 0);
    assert_eq!(
        action(&cluster, &seen),
        Some(Action::AddLearner(AgentId(2)))
    );
}

#[test]
fn a_group_grows_from_one_voter_to_three_when_both_others_are_fit() {
    let cluster = Cluster::of(3, &[1]);
    assert_eq!(
        action(&cluster, &seen(&cluster, 1, &[2, 3], &[], 0)),
        set(&[1, 2, 3])
    );
    // Two voters survive no more than one does.
    assert_eq!(
        action(&cluster, &seen(&cluster, 1, &[2, 3], &[3], 9_000)),
        None
    );
    let mut lagging = seen(&cluster, 1, &[2, 3], &[], 0);
    lagging.consensus.lagging = ids(&[2]);
    assert_eq!(action(&cluster, &lagging), None);
}

#[test]
fn one_change_at_a_time() {
    let cluster = Cluster::of(3, &[1]);
    let mut seen = seen(&cluster, 1, &[2, 3], &[], 0);
    seen.consensus.changing = true;
    assert_eq!(action(&cluster, &seen), None);
}

#[test]
fn voters_are_spread_over_sites() {
    let mut cluster = Cluster::of(3, &[1, 2, 3]);
    for (n, site) in [(4, "b"), (5, "a"), (6, "c")] {
        let mut agent = agent(n);
        agent.site = site.to_owned();
        cluster.join(n, agent);
    }
    cluster.run(Command::Set {
        key: "voters_max".to_owned(),
        value: "3".to_owned(),
    });
    let first = action(&cluster, &seen(&cluster, 1, &[4, 5, 6], &[], 0));
    assert_eq!(first, set(&[1, 2, 4]));
    cluster.voters(&[1, 2, 4]);
    let second = action(&cluster, &seen(&cluster, 1, &[3, 5, 6], &[], 0));
    assert_eq!(
        second,
        set(&[1, 4, 6]),
        "a site that has two gives one to a site that has none"
    );
    cluster.voters(&[1, 4, 6]);
    let third = action(&cluster, &seen(&cluster, 1, &[2, 3, 5], &[], 0));
    assert_eq!(third, None);
}

#[test]
fn an_arbitrator_votes_before_a_database_host() {
    let mut cluster = Cluster::of(4, &[1]);
    let mut judge = agent(5);
    judge.arbitrator = true;
    cluster.join(5, judge);
    cluster.run(Command::Set {
        key: "voters_max".to_owned(),
        value: "3".to_owned(),
    });
    assert_eq!(
        action(&cluster, &seen(&cluster, 1, &[2, 3, 4, 5], &[], 0)),
        set(&[1, 2, 5])
    );
}

#[test]
fn a_voter_that_stays_away_is_replaced_after_a_while() {
    let cluster = Cluster::of(4, &[1, 2, 3]);
    assert_eq!(
        action(&cluster, &seen(&cluster, 1, &[4], &[3], 29_000)),
        None
    );
    assert_eq!(
        action(&cluster, &seen(&cluster, 1, &[4], &[3], 31_000)),
        set(&[1, 2, 4])
    );
    let nobody = seen(&cluster, 1, &[4], &[3, 4], 31_000);
    assert_eq!(action(&cluster, &nobody), None);
    let held = decide(&cluster.state, &nobody)
        .iter()
        .any(|d| matches!(d, Decision::Held { what, .. } if what.contains("'n3'")));
    assert!(held);
}

#[test]
fn a_removed_agent_stops_voting_and_listening() {
    let mut cluster = Cluster::of(4, &[1, 2, 3]);
    cluster.ok(Command::RemoveAgent {
        agent_id: AgentId(3),
    });
    assert_eq!(
        action(&cluster, &seen(&cluster, 1, &[4], &[], 0)),
        set(&[1, 2, 4])
    );
    cluster.voters(&[1, 2, 4]);
    assert_eq!(
        action(&cluster, &seen(&cluster, 1, &[3], &[], 0)),
        Some(Action::RemoveLearner(AgentId(3)))
    );
}

#[test]
fn a_group_that_shrinks_to_two_keeps_one_voter_and_rather_the_leader() {
    let mut cluster = Cluster::of(3, &[1, 2, 3]);
    cluster.ok(Command::RemoveAgent {
        agent_id: AgentId(3),
    });
    assert_eq!(action(&cluster, &seen(&cluster, 2, &[], &[], 0)), set(&[2]));
}

#[test]
fn whoever_leaves_first_gives_its_vote_away() {
    let cluster = Cluster::of(2, &[1]);
    let seen_by_1 = seen(&cluster, 1, &[2], &[], 0);
    assert_eq!(
        voters::without(&cluster.state, &seen_by_1, AgentId(1)),
        Some(ids(&[2]))
    );
    assert_eq!(
        voters::without(&cluster.state, &seen_by_1, AgentId(2)),
        None
    );
    let cluster = Cluster::of(4, &[1, 2, 3]);
    let seen_by_1 = seen(&cluster, 1, &[4], &[], 0);
    assert_eq!(
        voters::without(&cluster.state, &seen_by_1, AgentId(2)),
        Some(ids(&[1, 3, 4]))
    );
}

#[test]
fn the_leader_prefers_to_live_away_from_the_primary() {
    let cluster = Cluster::running(3, &[1, 2, 3]);
    assert_eq!(
        action(&cluster, &seen(&cluster, 1, &[], &[], 0)),
        Some(Action::TransferLeadership(AgentId(2)))
    );
    assert_eq!(action(&cluster, &seen(&cluster, 2, &[], &[], 0)), None);
    assert_eq!(
        action(&cluster, &seen(&cluster, 1, &[], &[2], 1_500)),
        Some(Action::TransferLeadership(AgentId(3)))
    );
    let mut young = seen(&cluster, 1, &[], &[], 0);
    young.consensus.leading_ms = 3_000;
    assert_eq!(action(&cluster, &young), None);
    let mut tried = seen(&cluster, 1, &[], &[], 0);
    tried.consensus.transfer_tried_ms = Some(3_000);
    assert_eq!(action(&cluster, &tried), None);
}

#[test]
fn a_token_is_over_by_the_leaders_own_counting() {
    let mut cluster = Cluster::of(1, &[1]);
    cluster.ok(Command::CreateToken {
        token_hash: hash(7),
    });
    let mut seen = seen(&cluster, 1, &[], &[], 0);
    seen.tokens_age_ms.insert(hash(7), 3_599_999);
    assert_eq!(action(&cluster, &seen), None);
    seen.tokens_age_ms.insert(hash(7), 3_600_000);
    let Some(Action::Propose(command)) = action(&cluster, &seen) else {
        panic!("the token should expire");
    };
    cluster.ok(command);
    assert!(cluster.state.tokens.is_empty());
}
