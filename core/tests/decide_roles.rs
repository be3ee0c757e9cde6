//! Who is what, as the servers show it.

#![allow(
    clippy::unwrap_used,
    reason = "a panic here is a failed test with a line number"
)]

mod support;

use muster_core::decide::Decision;
use muster_core::evidence::ProcessState;
use muster_core::state::{MemberRole, MemberState};
use muster_core::{ids::MemberId, show};
use muster_link::report::Channel;
use support::net::Net;
use support::{channel, facts};

use MemberRole::{Primary, Replica, Standalone};

fn roles(net: &Net) -> Vec<MemberRole> {
    net.cluster.state.members.values().map(|m| m.role).collect()
}

fn writable(net: &Net) -> Vec<bool> {
    net.cluster
        .state
        .members
        .values()
        .map(|m| m.writable)
        .collect()
}

fn set_read_only(net: &mut Net, n: u64, read_only: bool) {
    facts(net.servers.get_mut(&n).unwrap()).read_only = read_only;
    facts(net.servers.get_mut(&n).unwrap()).super_read_only = read_only;
}

fn follow(net: &mut Net, n: u64, source: Option<u64>) {
    facts(net.servers.get_mut(&n).unwrap()).channels =
        source.map(|s| vec![channel(s)]).unwrap_or_default();
}

#[test]
fn the_one_writable_source_is_primary() {
    let net = Net::new(3, &[1, 2, 3]);
    assert_eq!(roles(&net), [Primary, Replica, Replica]);
    assert_eq!(writable(&net), [true, false, false]);
}

#[test]
fn a_primary_that_is_set_read_only_is_none_any_more() {
    let mut net = Net::new(3, &[1, 2, 3]);
    set_read_only(&mut net, 1, true);
    net.run(100);
    assert_eq!(roles(&net), [Standalone, Replica, Replica]);
    assert_eq!(writable(&net), [false, false, false]);
}

#[test]
fn a_change_of_primary_by_hand_is_followed() {
    let mut net = Net::new(3, &[1, 2, 3]);
    set_read_only(&mut net, 1, true);
    follow(&mut net, 2, None);
    follow(&mut net, 1, Some(2));
    follow(&mut net, 3, Some(2));
    set_read_only(&mut net, 2, false);
    net.run(100);
    assert_eq!(roles(&net), [Replica, Primary, Replica]);
    assert_eq!(writable(&net), [false, true, false]);
}

#[test]
fn of_two_that_qualify_neither_is_primary_and_both_say_so() {
    let mut net = Net::new(4, &[1, 2, 3]);
    follow(&mut net, 2, None);
    follow(&mut net, 3, Some(2));
    set_read_only(&mut net, 2, false);
    net.run(1_000);
    assert_eq!(roles(&net), [Standalone, Standalone, Replica, Replica]);
    assert_eq!(writable(&net), [false; 4]);
    let held = net
        .decisions
        .iter()
        .any(|(_, d)| matches!(d, Decision::Held { why, .. } if why.contains("'n1' and 'n2'")));
    assert!(held, "and why is told");
    for agent in [1, 4] {
        let observed = show::observed(
            &net.cluster.state,
            &net.evidence[&agent],
            net.now_ms,
            show::Standing::default(),
        );
        for (row, wrong) in observed.members.iter().zip([true, true, false, false]) {
            let told = row
                .last_error
                .as_deref()
                .is_some_and(|e| e.contains("read_only"));
            assert_eq!(told, wrong, "{row:?}");
        }
    }
    set_read_only(&mut net, 1, true);
    net.run(100);
    assert_eq!(roles(&net), [Standalone, Primary, Replica, Replica]);
}

#[test]
fn a_primary_that_is_gone_keeps_its_role_until_another_has_it() {
    let mut net = Net::new(3, &[1, 2, 3]);
    net.isolate(1);
    net.run(4_000);
    assert_eq!(net.state_of(1), MemberState::Unreachable);
    assert_eq!(roles(&net), [Primary, Replica, Replica]);
    assert_eq!(writable(&net), [false; 3]);
    follow(&mut net, 2, None);
    follow(&mut net, 3, Some(2));
    set_read_only(&mut net, 2, false);
    net.run(500);
    assert_eq!(roles(&net), [Standalone, Primary, Replica]);
    // The old one comes back, still writable; nobody follows it.
    net.heal();
    net.run(2_000);
    assert_eq!(roles(&net), [Standalone, Primary, Replica]);
    assert_eq!(writable(&net), [false, true, false]);
}

#[test]
fn a_primary_whose_replicas_are_all_down_stays_primary_under_a_new_leader_too() {
    let mut net = Net::new(3, &[1, 2, 3]);
    for n in [2, 3] {
        net.servers.get_mut(&n).unwrap().process = ProcessState::Gone {
            pid: 1,
            announced: true,
            how: None,
        };
    }
    net.run(1_000);
    assert_eq!(roles(&net), [Primary, Replica, Replica]);
    // The leader is new: it knows nothing of the replicas' settings any more.
    net.start_agent(2);
    net.servers.remove(&2);
    net.servers.remove(&3);
    net.start_agent(3);
    net.run(5_000);
    assert_eq!(roles(&net), [Primary, Replica, Replica]);
    assert_eq!(writable(&net), [true, false, false]);
}

#[test]
fn a_writable_server_that_nobody_follows_is_standalone() {
    let mut net = Net::new(1, &[1]);
    net.run(1_000);
    assert_eq!(roles(&net), [Standalone]);
    let mut net = Net::new(2, &[1]);
    follow(&mut net, 2, None);
    net.run(1_000);
    assert_eq!(roles(&net), [Standalone, Standalone]);
}

#[test]
fn mariadb_is_matched_by_server_id_or_by_address() {
    let by_id = Channel {
        source_uuid: None,
        source_server_id: Some(1),
        source_host: "some-other-name".to_owned(),
        ..channel(1)
    };
    let by_address = Channel {
        source_uuid: None,
        source_server_id: None,
        ..channel(1)
    };
    for channel in [by_id, by_address] {
        let mut net = Net::new(3, &[1, 2, 3]);
        for n in [2, 3] {
            facts(net.servers.get_mut(&n).unwrap()).channels = vec![channel.clone()];
        }
        net.run(2_000);
        assert_eq!(roles(&net), [Primary, Replica, Replica]);
        assert_eq!(net.decisions, []);
    }
}

#[test]
fn connected_replicas_count_where_their_own_word_is_missing() {
    let mut net = Net::new(2, &[1]);
    net.servers.remove(&2);
    facts(net.servers.get_mut(&1).unwrap()).replicas = vec![support::uuid(2)];
    net.run(2_000);
    assert_eq!(roles(&net), [Primary, Replica]);
}

#[test]
fn an_agent_cannot_speak_for_another_ones_server() {
    let mut net = Net::new(3, &[1, 2, 3]);
    // Host 3 now claims to have the server of host 1, as a cloned machine does, and that it is gone.
    let mut copy = net.servers[&1].clone();
    copy.process = ProcessState::Gone {
        pid: 1,
        announced: false,
        how: None,
    };
    let number = net.servers[&3].report_number;
    net.servers.insert(3, copy);
    net.servers.get_mut(&3).unwrap().report_number = number;
    net.run(1_000);
    assert_eq!(net.state_of(1), MemberState::Online);
    assert_eq!(roles(&net)[0], Primary);
    let mut copy = net.servers[&1].clone();
    copy.report_number = number;
    net.servers.insert(3, copy);
    net.decisions.clear();
    net.run(1_000);
    let held = net
        .decisions
        .iter()
        .any(|(_, d)| matches!(d, Decision::Held { why, .. } if why.contains("copy")));
    assert!(held, "pitfall 38: {:?}", net.decisions);
    assert_eq!(
        net.cluster.state.members[&MemberId(support::uuid(1))]
            .agent_id
            .0,
        1
    );
}

#[test]
fn pitfall_38_a_server_that_two_hosts_claim_is_not_moved_to_and_fro() {
    let mut net = Net::new(3, &[1, 2, 3]);
    net.servers.get_mut(&3).unwrap().process = ProcessState::Gone {
        pid: 1,
        announced: true,
        how: None,
    };
    net.run(1_000);
    assert_eq!(net.state_of(3), MemberState::Offline);
    // Both come up in the same moment: the server of host 3, and on host 2 a copy of its disk.
    let running = |net: &Net, host: u64| {
        let mut own = support::server(3, Some(1));
        own.report_number = net.servers[&host].report_number + 1;
        own
    };
    let (own, copy) = (running(&net, 3), running(&net, 2));
    net.servers.insert(3, own);
    net.servers.insert(2, copy);
    let before = net.cluster.state.view_id.0;
    net.run(20_000);
    assert_eq!(net.cluster.record(3).agent_id.0, 3);
    assert_eq!(net.state_of(3), MemberState::Online);
    assert!(
        net.cluster.state.view_id.0 - before <= 2,
        "it comes to rest"
    );
}
