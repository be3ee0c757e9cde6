//! What agents of one cluster say to each other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::rig::{CLUSTER, Cluster, SOON, entry, heartbeat};
use crate::peer::client::CallError;
use crate::peer::wire::{ProposeReply, RefusalKind};
use muster_core::ids::AgentId;

#[tokio::test]
async fn three_agents_hear_each_other() {
    let cluster = Cluster::new(CLUSTER);
    let agents = [
        cluster.agent(1).await,
        cluster.agent(2).await,
        cluster.agent(3).await,
    ];
    for one in &agents {
        for other in &agents {
            if one.id != other.id {
                let answer = one.greet(other).await.unwrap();
                assert_eq!(answer.agent_id, other.id);
            }
        }
    }
    for agent in &agents {
        assert_eq!(agent.handler.times("heartbeat"), 2);
    }
}

#[tokio::test]
async fn many_calls_share_one_connection() {
    let cluster = Cluster::new(CLUSTER);
    let (one, two) = (cluster.agent(1).await, cluster.agent(2).await);
    let address = Arc::new(two.address.to_string());
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (client, address) = (one.client.clone(), Arc::clone(&address));
        calls.spawn(async move {
            client
                .heartbeat(AgentId(2), &address, &heartbeat(AgentId(1)), SOON)
                .await
        });
    }
    while let Some(called) = calls.join_next().await {
        called.unwrap().unwrap();
    }
    assert_eq!(one.traffic.connections_opened(), 1);
    assert!(one.traffic.sent_bytes() > 1_000);
    // What one end sent, the other received, TLS and all; the last acknowledgement may still be on its way.
    assert!(two.traffic.received_bytes() <= one.traffic.sent_bytes());
}

#[tokio::test]
async fn a_proposal_is_applied_or_sent_to_the_leader() {
    let cluster = Cluster::new(CLUSTER);
    let (one, two) = (cluster.agent(1).await, cluster.agent(2).await);
    let address = two.address.to_string();
    let ask = |reason| {
        let (client, address) = (one.client.clone(), address.clone());
        async move {
            client
                .propose(AgentId(2), &address, &entry(reason), SOON)
                .await
                .unwrap()
        }
    };
    assert!(matches!(
        ask("a test").await,
        ProposeReply::Applied { index: 7, .. }
    ));
    assert_eq!(
        ask("elsewhere").await,
        ProposeReply::NotLeader {
            leader: Some(AgentId(3))
        }
    );
}

#[tokio::test]
async fn a_large_heartbeat_passes_and_a_huge_one_is_refused_before_it_is_sent() {
    let cluster = Cluster::new(CLUSTER);
    let (one, two) = (cluster.agent(1).await, cluster.agent(2).await);
    let address = two.address.to_string();
    let mut large = heartbeat(AgentId(1));
    let relayed = muster_core::evidence::Relayed {
        agent_id: AgentId(3),
        incarnation: 1,
        sequence: 1,
        age_ms: 1,
        own: None,
        texts: Vec::new(),
    };
    large.relayed = vec![relayed.clone(); 50_000];
    one.client
        .heartbeat(AgentId(2), &address, &large, SOON)
        .await
        .unwrap();
    large.relayed = vec![relayed; 200_000];
    let sent = one.traffic.sent_bytes();
    let refused = one
        .client
        .heartbeat(AgentId(2), &address, &large, SOON)
        .await
        .unwrap_err();
    assert!(matches!(refused, CallError::Broken { .. }), "{refused}");
    assert!(one.traffic.sent_bytes() - sent < 10_000);
}

#[tokio::test]
async fn a_handler_that_panics_costs_one_answer() {
    let cluster = Cluster::new(CLUSTER);
    let (one, two) = (cluster.agent(1).await, cluster.agent(2).await);
    let address = two.address.to_string();
    let mut deadly = heartbeat(AgentId(1));
    deadly.view_id = 666;
    let failed = one
        .client
        .heartbeat(AgentId(2), &address, &deadly, SOON)
        .await
        .unwrap_err();
    let CallError::Refused { refusal, .. } = failed else {
        panic!("{failed}");
    };
    assert_eq!(refusal.kind, RefusalKind::Failed);
    one.greet(&two).await.unwrap();
    assert_eq!(one.traffic.connections_opened(), 1);
}

#[tokio::test]
async fn a_deadline_is_kept_by_a_handler_that_hangs() {
    let cluster = Cluster::new(CLUSTER);
    let (one, two) = (cluster.agent(1).await, cluster.agent(2).await);
    let address = two.address.to_string();
    one.greet(&two).await.unwrap();
    let mut slow = heartbeat(AgentId(1));
    slow.view_id = 600;
    let began = Instant::now();
    let within = Duration::from_millis(150);
    let late = one
        .client
        .heartbeat(AgentId(2), &address, &slow, within)
        .await
        .unwrap_err();
    assert!(matches!(late, CallError::Timeout { .. }), "{late}");
    assert!(began.elapsed() < SOON / 2);
    // The connection itself is well.
    one.greet(&two).await.unwrap();
    assert_eq!(one.traffic.connections_opened(), 1);
}

#[tokio::test]
async fn names_and_ipv6_are_addresses_too() {
    let cluster = Cluster::new(CLUSTER);
    let (one, two) = (cluster.agent(1).await, cluster.agent(2).await);
    let by_name = format!("localhost:{}", two.address.port());
    one.client
        .heartbeat(AgentId(2), &by_name, &heartbeat(AgentId(1)), SOON)
        .await
        .unwrap();
    for (bad, says) in [
        ("no-such-host.invalid:1", "name"),
        ("nonsense", "name"),
        ("", "name"),
        ("[::1]:1", "refused"),
    ] {
        let error = one
            .client
            .heartbeat(AgentId(9), bad, &heartbeat(AgentId(1)), SOON)
            .await
            .unwrap_err();
        assert!(matches!(error, CallError::Unreachable { .. }), "{error}");
        assert!(error.to_string().contains(says), "{bad}: {error}");
    }
}
