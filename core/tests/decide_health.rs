//! Who is gone: each situation with its state, its sentence and its time.

#![allow(
    clippy::unwrap_used,
    reason = "a panic here is a failed test with a line number"
)]

mod support;

use muster_core::decide::Action;
use muster_core::evidence::ProcessState;
use muster_core::state::{MemberRole, MemberState};
use muster_link::report::Phase;
use support::net::Net;
use support::{channel, facts};

use MemberState::{Error, Offline, Online, Starting, Stopping, Unreachable};

/// One report interval, one heartbeat interval and a step.
const HEARD_MS: u64 = 800;
const TTL_MS: u64 = 2_000;

fn gone(announced: bool, how: Option<&str>) -> ProcessState {
    ProcessState::Gone {
        pid: 42,
        announced,
        how: how.map(str::to_owned),
    }
}

#[test]
fn a_healthy_cluster_needs_no_decision() {
    let mut net = Net::new(3, &[1, 2, 3]);
    net.run(60_000);
    assert_eq!(net.decisions, []);
}

#[test]
fn a_process_that_is_gone_is_offline_at_the_next_step() {
    for (announced, how, words) in [
        (false, None, "vanished without announcing a stop"),
        (
            false,
            Some("signal 9"),
            "ended without announcing a stop: signal 9",
        ),
        (true, None, "stopped as announced"),
    ] {
        let mut net = Net::new(3, &[1, 2, 3]);
        net.servers.get_mut(&3).unwrap().process = gone(announced, how);
        net.run(100);
        assert_eq!(net.state_of(3), Offline);
        assert!(net.reason_of(3).contains(words), "{}", net.reason_of(3));
    }
}

#[test]
fn a_member_seen_to_end_stays_offline_when_its_host_goes_too() {
    let mut net = Net::new(3, &[1, 2, 3]);
    net.servers.get_mut(&3).unwrap().process = gone(true, None);
    net.run(100);
    net.isolate(3);
    net.run(10_000);
    assert_eq!(net.state_of(3), Offline);
    assert_eq!(net.changes_of(3), 1);
}

#[test]
fn an_announced_stop_is_shown_and_lasts_until_the_process_ends() {
    let mut net = Net::new(3, &[1, 2, 3]);
    let own = net.servers.get_mut(&3).unwrap();
    own.report_number += 1;
    own.report.as_mut().unwrap().phase = Phase::Stopping;
    net.run(100);
    assert_eq!(net.state_of(3), Stopping);
    // It writes back its buffer pool and reports nothing any more.
    net.frozen.insert(3);
    net.run(30_000);
    assert_eq!(net.state_of(3), Stopping);
    net.servers.get_mut(&3).unwrap().process = gone(true, None);
    net.run(100);
    assert_eq!(net.state_of(3), Offline);
}

#[test]
fn a_frozen_server_makes_no_progress_and_comes_back_once() {
    let mut net = Net::new(3, &[1, 2, 3]);
    net.frozen.insert(3);
    net.run(TTL_MS - 600);
    assert_eq!(net.state_of(3), Online, "never on one missed report");
    net.run(600 + HEARD_MS);
    assert_eq!(net.state_of(3), Unreachable);
    assert!(
        net.reason_of(3).starts_with("no progress: process 1003"),
        "{}",
        net.reason_of(3)
    );
    net.run(20_000);
    net.frozen.clear();
    net.run(HEARD_MS);
    assert_eq!(net.state_of(3), Online);
    assert_eq!(net.changes_of(3), 2);
}

#[test]
fn a_host_that_is_cut_off_is_missed_by_the_others() {
    let mut net = Net::new(3, &[1, 2, 3]);
    net.isolate(3);
    net.run(TTL_MS + HEARD_MS);
    assert_eq!(net.state_of(3), Unreachable);
    let reason = net.reason_of(3).to_owned();
    assert!(
        reason.contains("none of the 2 other voters has heard") && reason.contains("'n3'"),
        "{reason}"
    );
    net.heal();
    net.run(HEARD_MS);
    assert_eq!(net.state_of(3), Online);
    assert_eq!(net.changes_of(3), 2);
}

#[test]
fn one_cut_link_of_three_makes_nobody_unreachable() {
    for leader in [1, 2, 3] {
        for (a, b) in [(1, 2), (1, 3), (2, 3)] {
            let mut net = Net::new(3, &[1, 2, 3]);
            net.leader = leader;
            net.run(3_000);
            net.decisions.clear();
            net.cut.extend([(a, b), (b, a)]);
            net.run(60_000);
            assert_eq!(net.decisions, [], "leader {leader}, cut {a}-{b}");
        }
    }
}

#[test]
fn one_that_hears_and_is_not_heard_is_unreachable_once() {
    let mut net = Net::new(3, &[1, 2, 3]);
    net.cut.extend([(3, 1), (3, 2)]);
    net.run(60_000);
    assert_eq!(net.state_of(3), Unreachable);
    assert_eq!(net.changes_of(3), 1);
}

#[test]
fn stragglers_of_one_that_hears_nobody_do_not_bring_it_back() {
    let mut net = Net::new(3, &[1, 2, 3]);
    net.isolate(3);
    net.run(5_000);
    assert_eq!(net.state_of(3), Unreachable);
    // What it sends gets through for a moment, as a connection's last segments do; what is sent to it does not.
    net.heal();
    net.cut.extend([(1, 3), (2, 3)]);
    net.run(1_500);
    net.isolate(3);
    net.run(10_000);
    assert_eq!(net.changes_of(3), 1);
}

#[test]
fn a_half_healed_member_is_back_where_a_majority_hears_it() {
    let mut net = Net::new(3, &[1, 2, 3]);
    net.isolate(3);
    net.run(5_000);
    net.heal();
    // The leader, 2, still does not hear it; voter 1 does, and passes on what it says.
    net.cut.extend([(3, 2), (2, 3)]);
    net.run(3_000);
    assert_eq!(net.state_of(3), Online);
    net.run(30_000);
    assert_eq!(net.changes_of(3), 2);
}

#[test]
fn what_an_agent_knows_counts_also_by_relay() {
    let mut net = Net::new(3, &[1, 2, 3]);
    net.cut.extend([(3, 2), (2, 3)]);
    net.run(5_000);
    net.servers.get_mut(&3).unwrap().process = gone(false, None);
    net.run(1_000);
    assert_eq!(net.state_of(3), Offline);
}

#[test]
fn an_agent_that_restarts_within_the_ttl_costs_nothing() {
    let mut net = Net::new(3, &[1, 2, 3]);
    net.dead.insert(3);
    net.run(1_000);
    net.start_agent(3);
    net.run(20_000);
    assert_eq!(net.decisions, []);
}

#[test]
fn an_agent_that_stays_away_takes_its_server_out_of_sight() {
    let mut net = Net::new(3, &[1, 2, 3]);
    net.dead.insert(3);
    net.run(TTL_MS + HEARD_MS);
    assert_eq!(net.state_of(3), Unreachable);
    net.start_agent(3);
    net.run(HEARD_MS);
    assert_eq!(net.state_of(3), Online);
}

#[test]
fn a_leader_that_has_just_begun_to_listen_accuses_nobody() {
    let mut net = Net::new(3, &[1, 2, 3]);
    net.dead.insert(3);
    net.start_agent(1);
    net.start_agent(2);
    net.run(1_900);
    assert_eq!(net.changes_of(3), 0);
    net.run(1_000);
    assert_eq!(net.state_of(3), Unreachable);
    assert_eq!((net.state_of(1), net.state_of(2)), (Online, Online));
}

#[test]
fn pitfall_12_an_agent_that_stood_still_accuses_nobody() {
    let mut net = Net::new(3, &[1, 2, 3]);
    // The whole process stood still for ten seconds: the clock went on, nothing was received.
    net.now_ms += 10_000;
    net.step();
    net.run(10_000);
    assert_eq!(net.decisions, []);
}

#[test]
fn with_one_voter_its_own_word_decides() {
    let mut net = Net::new(2, &[1]);
    net.isolate(2);
    net.run(TTL_MS + HEARD_MS);
    assert_eq!(net.state_of(2), Unreachable);
    assert!(
        net.reason_of(2).contains("the only voter has not heard"),
        "{}",
        net.reason_of(2)
    );
    net.heal();
    net.run(HEARD_MS);
    assert_eq!(net.state_of(2), Online);
}

#[test]
fn a_learner_is_missed_by_the_voters() {
    let mut net = Net::new(4, &[1, 2, 3]);
    net.isolate(4);
    net.run(TTL_MS + HEARD_MS);
    assert_eq!(net.state_of(4), Unreachable);
    assert!(
        net.reason_of(4).contains("none of the 3 voters has heard"),
        "{}",
        net.reason_of(4)
    );
}

#[test]
fn two_hundred_agents_are_judged_within_their_longer_ttl() {
    let voters = [1, 2, 3, 4, 5];
    let mut net = Net::new(200, &voters);
    assert_eq!(net.state_of(150), Online);
    net.dead.insert(150);
    net.run(3_300 + 1_500);
    assert_eq!(net.state_of(150), Unreachable);
    net.run(10_000);
    assert_eq!(net.changes_of(150), 1);
    assert_eq!(
        net.decisions
            .iter()
            .filter(|(_, d)| d.action().is_some_and(|a| matches!(a, Action::Propose(_))))
            .count(),
        1
    );
    // Learners are kept informed of everybody, only less often.
    let known = net.evidence[&199].known(net.now_ms, muster_core::ids::AgentId(77));
    let age = net.now_ms - known.expect("relayed").said_ms;
    assert!(age < 10_000, "{age}");
}

#[test]
fn a_replica_whose_thread_stopped_with_an_error_says_so() {
    let mut net = Net::new(3, &[1, 2, 3]);
    let broken = |net: &mut Net, message: &str| {
        let facts = facts(net.servers.get_mut(&3).unwrap());
        facts.channels[0].applier_running = false;
        facts.channels[0].error = Some(message.to_owned());
    };
    broken(&mut net, "Duplicate entry '7'");
    net.run(100);
    assert_eq!(net.state_of(3), Error);
    assert!(net.reason_of(3).contains("Duplicate entry '7'"));
    broken(&mut net, "Duplicate entry '8'");
    net.run(100);
    assert!(
        net.reason_of(3).contains("Duplicate entry '8'"),
        "the newest message is shown"
    );
    facts(net.servers.get_mut(&3).unwrap()).channels = vec![channel(1)];
    net.run(100);
    assert_eq!(net.state_of(3), Online);
}

#[test]
fn a_thread_that_is_stopped_without_an_error_gets_a_moment() {
    let mut net = Net::new(3, &[1, 2, 3]);
    facts(net.servers.get_mut(&3).unwrap()).channels[0].receiver_running = false;
    net.run(500);
    assert_eq!(net.state_of(3), Online);
    net.run(1_000);
    assert_eq!(net.state_of(3), Error);
}

#[test]
fn a_primary_that_dies_does_not_make_its_replicas_ill() {
    let mut net = Net::new(3, &[1, 2, 3]);
    net.servers.get_mut(&1).unwrap().process = gone(false, None);
    for n in [2, 3] {
        let facts = facts(net.servers.get_mut(&n).unwrap());
        facts.channels[0].receiver_running = false;
        facts.channels[0].receiver_connecting = true;
        facts.channels[0].error = Some("cannot connect".to_owned());
    }
    net.run(60_000);
    assert_eq!(
        (net.state_of(1), net.state_of(2), net.state_of(3)),
        (Offline, Online, Online)
    );
    assert_eq!(
        net.cluster.record(1).role,
        MemberRole::Primary,
        "until another takes its place"
    );
    assert!(!net.cluster.record(1).writable);
    // The primary is back, and still the receiver does not reach it.
    let number = net.servers[&1].report_number;
    net.servers.insert(1, support::server(1, None));
    net.servers.get_mut(&1).unwrap().report_number = number;
    net.run(1_000);
    assert_eq!((net.state_of(1), net.state_of(2)), (Online, Online));
    net.run(3_000);
    assert_eq!(net.state_of(2), Error);
    assert!(net.reason_of(2).contains("cannot connect"));
}

#[test]
fn a_server_that_comes_up_is_starting_and_then_online() {
    let mut net = Net::new(3, &[1, 2, 3]);
    net.servers.get_mut(&3).unwrap().process = gone(false, None);
    net.run(3_000);
    let mut own = support::server(3, Some(1));
    own.report_number = 500;
    own.report.as_mut().unwrap().phase = Phase::Starting;
    own.report.as_mut().unwrap().facts = None;
    net.servers.insert(3, own);
    net.run(600);
    assert_eq!(net.state_of(3), Starting);
    assert_eq!(
        net.cluster.record(3).role,
        MemberRole::Replica,
        "kept while unknown"
    );
    let mut own = support::server(3, Some(1));
    own.report_number = 900;
    net.servers.insert(3, own);
    net.run(600);
    assert_eq!(net.state_of(3), Online);
}

#[test]
fn a_server_that_was_made_anew_takes_the_place_of_the_former_one() {
    let mut net = Net::new(3, &[1, 2, 3]);
    // Within one ttl the data directory of host 3 was made anew: the same host and agent, another identity.
    let number = net.servers[&3].report_number;
    let mut anew = support::server(3, Some(1));
    anew.identity = support::identity(3, 33);
    anew.report_number = number;
    net.servers.insert(3, anew);
    net.run(1_000);
    let members = &net.cluster.state.members;
    assert!(!members.contains_key(&support::member(3)));
    assert_eq!(members[&support::member(33)].state, Online);
    assert_eq!(members[&support::member(33)].name, "n3");
}
