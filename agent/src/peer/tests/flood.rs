//! Peers that come in too large numbers.

use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use muster_core::ids::AgentId;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::raw::{Papers, ask, dial, exchange, speak};
use super::rig::{CLUSTER, Cluster, SOON, heartbeat, pace};
use crate::peer::client::{CallError, PeerClient};
use crate::peer::limits::{
    CONNECTIONS_PER_PEER_MAX, HANDSHAKES_PER_ADDRESS_MAX, STRANGERS_PER_ADDRESS_MAX,
};
use crate::peer::request::Route;
use crate::peer::wire::RefusalKind;

#[tokio::test]
async fn silent_connections_do_not_keep_an_honest_one_out() {
    let cluster = Cluster::new(CLUSTER);
    let (one, two) = (cluster.agent(1).await, cluster.agent(2).await);
    two.greet(&one).await.unwrap();
    let mut silent = Vec::new();
    for _ in 0..HANDSHAKES_PER_ADDRESS_MAX + 20 {
        silent.push(TcpStream::connect(one.address).await.unwrap());
    }
    // The oldest had to leave, well before the handshake's time was over.
    let mut byte = [0];
    let closed = timeout(Duration::from_millis(700), silent[0].read(&mut byte)).await;
    assert!(matches!(closed, Ok(Ok(0) | Err(_))), "{closed:?}");
    // An open connection does not notice, and a new one is made in the middle of it.
    two.greet(&one).await.unwrap();
    let three = cluster.agent(3).await;
    three.greet(&one).await.unwrap();
    let closed = timeout(
        Duration::from_millis(1),
        silent.last_mut().unwrap().read(&mut byte),
    )
    .await;
    assert!(
        closed.is_err(),
        "the siege was over before the proof: {closed:?}"
    );
}

#[tokio::test]
async fn strangers_take_no_place_of_a_known_peer_nor_of_the_next_host() {
    let cluster = Cluster::new(CLUSTER);
    let (one, two) = (cluster.agent(1).await, cluster.agent(2).await);
    let mut strangers = Vec::new();
    for _ in 0..=STRANGERS_PER_ADDRESS_MAX {
        strangers.push(dial(one.address, None).await.unwrap());
    }
    let mut answer = Vec::new();
    // The oldest had to leave, before a stranger's time was over.
    let first = &mut strangers[0];
    let _ = timeout(Duration::from_secs(1), first.read_to_end(&mut answer))
        .await
        .unwrap();
    two.greet(&one).await.unwrap();
    let (status, _) = ask(one.address, None, Route::Join.path(), "{}")
        .await
        .unwrap();
    assert_eq!(status, 400);
}

#[tokio::test]
async fn the_newest_connections_of_a_peer_are_kept() {
    let cluster = Cluster::new(CLUSTER);
    let one = cluster.agent(1).await;
    let papers = Papers::of(&cluster, 2);
    let mut senders = Vec::new();
    for _ in 0..=CONNECTIONS_PER_PEER_MAX {
        let stream = dial(one.address, Some(&papers)).await.unwrap();
        let mut sender = speak::<Full<Bytes>>(stream).await.unwrap();
        let body = serde_json::to_vec(&heartbeat(AgentId(2))).unwrap();
        let body = Full::new(Bytes::from(body));
        let (status, _) = exchange(&mut sender, Route::Heartbeat.path(), body)
            .await
            .unwrap();
        assert_eq!(status, 200);
        senders.push(sender);
    }
    timeout(SOON, async {
        while !senders[0].is_closed() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .unwrap();
    assert!(senders[1..].iter().all(|sender| !sender.is_closed()));
}

#[tokio::test]
async fn requests_of_one_peer_beyond_the_limit_are_told_to_come_again() {
    let cluster = Cluster::new(CLUSTER);
    let (one, two, three) = (
        cluster.agent(1).await,
        cluster.agent(2).await,
        cluster.agent(3).await,
    );
    let address = one.address.to_string();
    let mut calls = JoinSet::new();
    for _ in 0..2 {
        let client = PeerClient::with_pace(two.live.clone(), Default::default(), pace());
        for _ in 0..100 {
            let (client, address) = (client.clone(), address.clone());
            calls.spawn(async move {
                let mut hangs = heartbeat(AgentId(2));
                hangs.view_id = 600;
                let within = Duration::from_millis(1_500);
                client.heartbeat(AgentId(1), &address, &hangs, within).await
            });
        }
    }
    let (mut busy, mut late) = (0, 0);
    while let Some(called) = calls.join_next().await {
        match called.unwrap() {
            Err(CallError::Refused { refusal, .. }) if refusal.kind == RefusalKind::Busy => {
                busy += 1;
            }
            Err(CallError::Timeout { .. }) => late += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((busy, late), (200 - 128, 128));
    // Others are served.
    three.greet(&one).await.unwrap();
}
