//! Wires that stall and break, peers that go and come back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use muster_core::evidence::Heartbeat;
use muster_core::ids::AgentId;
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::raw::{Mode, Wire};
use super::rig::{CLUSTER, Cluster, SOON, heartbeat, pace};
use crate::peer::client::{CallError, PeerClient};
use crate::peer::connection::ConnectionPace;
use crate::peer::listener::Listener;

async fn call(
    client: &PeerClient,
    address: &str,
    within: Duration,
) -> Result<Heartbeat, CallError> {
    client
        .heartbeat(AgentId(2), address, &heartbeat(AgentId(1)), within)
        .await
}

/// Calls until one is answered; how long that took.
async fn answered(client: &PeerClient, address: &str) -> Duration {
    let began = Instant::now();
    let within = Duration::from_millis(300);
    timeout(SOON, async {
        while call(client, address, within).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .unwrap();
    began.elapsed()
}

#[tokio::test]
async fn a_peer_that_reads_no_more_costs_the_deadline_and_is_found_dead_by_its_pings() {
    let cluster = Cluster::new(CLUSTER);
    let (one, two) = (cluster.agent(1).await, cluster.agent(2).await);
    let wire = Wire::to(two.address).await;
    let address = wire.address.to_string();
    call(&one.client, &address, SOON).await.unwrap();
    wire.set(Mode::Stall);
    let began = Instant::now();
    let within = Duration::from_millis(100);
    let error = call(&one.client, &address, within).await.unwrap_err();
    assert!(matches!(error, CallError::Timeout { .. }), "{error}");
    assert!(began.elapsed() < within * 5);
    // Without any call, pings alone find the connection dead: an unlimited call on it fails long before its deadline.
    let error = call(&one.client, &address, Duration::from_secs(60)).await;
    assert!(matches!(error, Err(CallError::Broken { .. })), "{error:?}");
    assert!(began.elapsed() < Duration::from_secs(3));
    wire.set(Mode::Pass);
    let took = answered(&one.client, &address).await;
    assert!(took < Duration::from_millis(1_500), "{took:?}");
}

#[tokio::test]
async fn a_connection_that_a_router_forgot_is_replaced_before_it_is_given_up() {
    let cluster = Cluster::new(CLUSTER);
    let (one, two) = (cluster.agent(1).await, cluster.agent(2).await);
    let wire = Wire::to(two.address).await;
    let address = wire.address.to_string();
    let patient = ConnectionPace {
        ping_timeout: Duration::from_secs(60),
        ..pace()
    };
    let client = PeerClient::with_pace(Arc::clone(&one.live), Arc::default(), patient);
    call(&client, &address, SOON).await.unwrap();
    wire.forget();
    let took = answered(&client, &address).await;
    assert!(
        took >= Duration::from_millis(100),
        "the wire carried on: {took:?}"
    );
    assert!(took < Duration::from_millis(1_500), "{took:?}");
}

#[tokio::test]
async fn a_connection_that_stalls_for_a_moment_is_not_given_up() {
    let cluster = Cluster::new(CLUSTER);
    let (one, two) = (cluster.agent(1).await, cluster.agent(2).await);
    let wire = Wire::to(two.address).await;
    let address = wire.address.to_string();
    let patient = ConnectionPace {
        ping_timeout: Duration::from_secs(60),
        ..pace()
    };
    let client = PeerClient::with_pace(Arc::clone(&one.live), Arc::default(), patient);
    call(&client, &address, SOON).await.unwrap();
    wire.set(Mode::Stall);
    let waits = {
        let (client, address) = (client.clone(), address.clone());
        tokio::spawn(async move { call(&client, &address, SOON).await })
    };
    // Longer than the silence that makes it suspect.
    tokio::time::sleep(pace().silence_max * 2).await;
    wire.set(Mode::Pass);
    // What was asked on it is answered on it.
    waits.await.unwrap().unwrap();
    call(&client, &address, SOON).await.unwrap();
}

#[tokio::test]
async fn a_cut_is_seen_at_once_and_healed_at_once() {
    let cluster = Cluster::new(CLUSTER);
    let (one, two) = (cluster.agent(1).await, cluster.agent(2).await);
    let wire = Wire::to(two.address).await;
    let address = wire.address.to_string();
    call(&one.client, &address, SOON).await.unwrap();
    wire.set(Mode::Cut);
    let began = Instant::now();
    let mut failures = 0;
    while began.elapsed() < Duration::from_millis(500) {
        // Never anywhere near the deadline: the callers of an unreachable peer do not queue.
        let called = Instant::now();
        failures += u32::from(call(&one.client, &address, SOON).await.is_err());
        assert!(called.elapsed() < SOON / 2);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(failures > 5);
    wire.set(Mode::Pass);
    let took = answered(&one.client, &address).await;
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[tokio::test]
async fn one_that_does_not_listen_is_named_at_once() {
    let cluster = Cluster::new(CLUSTER);
    let one = cluster.agent(1).await;
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let began = Instant::now();
    for _ in 0..20 {
        let error = call(&one.client, &address, SOON).await.unwrap_err();
        assert!(matches!(error, CallError::Unreachable { .. }), "{error}");
    }
    assert!(began.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn a_peer_that_restarts_or_moves_is_followed() {
    let cluster = Cluster::new(CLUSTER);
    let (one, two) = (cluster.agent(1).await, cluster.agent(2).await);
    one.greet(&two).await.unwrap();
    let place = two.address;
    two.listener.stop().await;
    let address = place.to_string();
    call(&one.client, &address, SOON).await.unwrap_err();
    let again = |socket| {
        let (live, handler) = (Arc::clone(&two.live), Arc::clone(&two.handler));
        Listener::start(socket, live, handler, Arc::default()).unwrap()
    };
    let socket = TcpListener::bind(place).await.unwrap();
    let restarted = again(socket);
    assert!(answered(&one.client, &address).await < Duration::from_secs(1));
    restarted.stop().await;
    // Another address: the failure at the old one must not stand in its way.
    call(&one.client, &address, SOON).await.unwrap_err();
    let moved = again(TcpListener::bind("127.0.0.1:0").await.unwrap());
    let address = moved.address().to_string();
    call(&one.client, &address, SOON).await.unwrap();
}

#[tokio::test]
async fn a_call_in_the_middle_of_a_stop_is_still_answered() {
    let cluster = Cluster::new(CLUSTER);
    let (one, two) = (cluster.agent(1).await, cluster.agent(2).await);
    one.greet(&two).await.unwrap();
    let address = two.address.to_string();
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let (client, address) = (one.client.clone(), address.clone());
            tokio::spawn(async move { call(&client, &address, SOON).await })
        })
        .collect();
    timeout(SOON, async {
        while two.handler.times("heartbeat") < 21 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    two.listener.stop().await;
    for one in calls {
        one.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_connection_that_nobody_uses_is_closed_and_made_again() {
    let cluster = Cluster::new(CLUSTER);
    let (one, two) = (cluster.agent(1).await, cluster.agent(2).await);
    let traffic = Arc::default();
    let short = ConnectionPace {
        idle_max: Duration::from_millis(100),
        ..pace()
    };
    let client = PeerClient::with_pace(Arc::clone(&one.live), Arc::clone(&traffic), short);
    let address = two.address.to_string();
    for number in 1..=3 {
        call(&client, &address, SOON).await.unwrap();
        assert_eq!(traffic.connections_opened(), number);
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

#[tokio::test]
async fn one_who_left_is_forgotten() {
    let cluster = Cluster::new(CLUSTER);
    let (one, two) = (cluster.agent(1).await, cluster.agent(2).await);
    one.greet(&two).await.unwrap();
    one.client.retain(|id| id == AgentId(2));
    one.greet(&two).await.unwrap();
    assert_eq!(one.traffic.connections_opened(), 1);
    one.client.retain(|id| id != AgentId(2));
    one.greet(&two).await.unwrap();
    assert_eq!(one.traffic.connections_opened(), 2);
}
