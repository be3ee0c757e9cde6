//! What people see of a state and of evidence.

#![allow(
    clippy::unwrap_used,
    reason = "a panic here is a failed test with a line number"
)]

mod support;

use muster_core::evidence::{Evidence, Timing};
use muster_core::ids::AgentId;
use muster_core::show::{self, Standing};
use muster_core::state::{MemberRole, MemberState};
use support::net::Net;
use support::{Cluster, facts};

const LED: Standing = Standing {
    quorum: true,
    leader: Some(AgentId(2)),
};

fn summary(net: &Net, agent: u64, standing: Standing) -> String {
    show::observed(
        &net.cluster.state,
        &net.evidence[&agent],
        net.now_ms,
        standing,
    )
    .summary
}

#[test]
fn the_ordered_rows_are_by_name_and_say_what_is_wrong() {
    let mut cluster = Cluster::running(3, &[1, 2, 3]);
    cluster.set(2, MemberState::Offline, MemberRole::Replica, false);
    let view = show::view(&cluster.state);
    assert_eq!(view.view_id, cluster.state.view_id.0);
    let rows: Vec<_> = view
        .members
        .iter()
        .map(|m| {
            (
                m.name.as_str(),
                m.state.as_str(),
                m.role.as_str(),
                m.writable,
            )
        })
        .collect();
    assert_eq!(
        rows,
        [
            ("n1", "ONLINE", "PRIMARY", true),
            ("n2", "OFFLINE", "REPLICA", false),
            ("n3", "ONLINE", "REPLICA", false),
        ]
    );
    let reasons: Vec<bool> = view.members.iter().map(|m| m.reason.is_some()).collect();
    assert_eq!(reasons, [false, true, false]);
    assert_eq!(view.primary_member_id, Some(support::uuid(1)));
    assert!(view.agents.iter().all(|a| a.voter));
}

#[test]
fn equal_view_ids_show_equal_rows_whoever_shows_them() {
    let net = Net::new(3, &[1, 2, 3]);
    let copy: muster_core::state::ClusterState =
        serde_json::from_str(&serde_json::to_string(&net.cluster.state).unwrap()).unwrap();
    assert_eq!(show::view(&copy), show::view(&net.cluster.state));
}

#[test]
fn events_are_handed_out_from_where_somebody_stopped_reading() {
    let cluster = Cluster::running(3, &[1]);
    let all = show::events_after(&cluster.state, 0);
    assert_eq!(all.len(), cluster.state.events.len());
    assert!(all.is_sorted_by(|a, b| a.event_id < b.event_id));
    let newest = all.last().unwrap().event_id;
    assert_eq!(show::events_after(&cluster.state, newest - 2).len(), 2);
    assert_eq!(show::events_after(&cluster.state, newest).len(), 0);
    assert_eq!(show::events_after(&cluster.state, u64::MAX).len(), 0);
    let joined = all
        .iter()
        .find(|e| e.event_type == "MEMBER_JOINED")
        .unwrap();
    assert_eq!(joined.state.as_deref(), Some("STARTING"));
}

#[test]
fn observed_rows_carry_the_age_of_the_report_on_this_hosts_clock() {
    let mut net = Net::new(3, &[1, 2, 3]);
    facts(net.servers.get_mut(&3).unwrap()).channels[0].lag_ms = Some(1_500);
    net.run(1_000);
    for agent in [1, 2, 3] {
        let observed = show::observed(&net.cluster.state, &net.evidence[&agent], net.now_ms, LED);
        assert_eq!(observed.local_agent_id, agent);
        assert_eq!(observed.local_member_id, Some(support::uuid(agent)));
        assert_eq!(observed.members.len(), 3);
        for row in &observed.members {
            let age_ms = net.now_ms - row.received_boot_ms;
            assert!(age_ms <= 800, "agent {agent}: {age_ms} ms");
            assert_eq!(row.heartbeat_ttl_ms, 2_000);
            assert_eq!(row.last_error, None);
        }
        assert_eq!(observed.members[2].replication_lag_ms, Some(1_500));
        assert!(observed.agents.iter().all(|a| a.state == "ONLINE"));
    }
    net.isolate(3);
    net.run(5_000);
    let observed = show::observed(&net.cluster.state, &net.evidence[&1], net.now_ms, LED);
    let age_ms = net.now_ms - observed.members[2].received_boot_ms;
    assert!(age_ms >= 5_000, "the row stays and its age grows: {age_ms}");
    assert_eq!(observed.agents[2].state, "UNREACHABLE");
}

#[test]
fn one_sentence_says_how_the_cluster_is() {
    let empty = show::observed(
        &Cluster::default().state,
        &Evidence::new(AgentId(0), 1, 0),
        10,
        Standing::default(),
    );
    assert!(empty.summary.contains("muster init"), "{}", empty.summary);
    assert_eq!(empty.local_agent_id, 0);

    let mut net = Net::new(3, &[1, 2, 3]);
    assert_eq!(
        summary(&net, 1, LED),
        "3 members ONLINE, n1 is primary; 3 of 3 voters answer: the group survives the loss of one"
    );
    net.isolate(3);
    net.run(5_000);
    assert_eq!(
        summary(&net, 1, LED),
        "2 of 3 members ONLINE (n3 UNREACHABLE), n1 is primary; 2 of 3 voters answer: with one less nothing could be \
         decided"
    );
    let cut_off = summary(&net, 3, Standing::default());
    assert!(cut_off.starts_with("NO QUORUM"), "{cut_off}");

    let net = Net::new(2, &[1]);
    assert_eq!(
        summary(&net, 1, LED),
        "2 members ONLINE, n1 is primary; 2 agents without an arbitrator: the loss of n1's host loses the group"
    );
    let net = Net::new(1, &[1]);
    assert_eq!(
        summary(&net, 1, LED),
        "1 member ONLINE, none is primary; 1 agent: the loss of n1's host loses the group"
    );
    let net = Net::new(5, &[1, 2, 3, 4, 5]);
    assert!(summary(&net, 4, LED).ends_with("the group survives the loss of 2"));
}

#[test]
fn a_learner_of_a_large_group_shows_rows_that_stay_valid_until_the_next_relay() {
    let net = Net::new(100, &[1, 2, 3, 4, 5]);
    let timing = Timing::of(&net.cluster.state);
    assert!(timing.relay_interval_ms > timing.interval_ms);
    let observed = show::observed(&net.cluster.state, &net.evidence[&99], net.now_ms, LED);
    assert_eq!(observed.members.len(), 100);
    for row in &observed.members {
        let age_ms = net.now_ms - row.received_boot_ms;
        assert!(
            age_ms <= row.heartbeat_ttl_ms,
            "{} is {age_ms} ms old",
            row.member_id
        );
    }
}
