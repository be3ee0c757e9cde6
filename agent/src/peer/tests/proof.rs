//! Who is believed, and who may speak.

use time::macros::datetime;
use tokio::time::timeout;

use super::raw::{Papers, ask, dial, exchange, impostor, speak, uri};
use super::rig::{CLUSTER, Cluster, SOON, heartbeat, pace};
use crate::peer::client::{CallError, PeerClient};
use crate::peer::request::Route;
use crate::peer::verify;
use crate::peer::wire::RefusalKind;
use http_body_util::Full;
use hyper::Response;
use hyper::body::Bytes;
use muster_core::ids::AgentId;
use rcgen::ExtendedKeyUsagePurpose;

const OTHER: &str = "11111111-2222-3333-4444-555555555555";

fn greeting(from: u64) -> Vec<u8> {
    serde_json::to_vec(&heartbeat(AgentId(from))).unwrap()
}

#[tokio::test]
async fn whoever_is_not_of_this_cluster_cannot_speak() {
    let cluster = Cluster::new(CLUSTER);
    let one = cluster.agent(1).await;
    let elsewhere = Cluster::new(CLUSTER);
    let renamed = Cluster {
        authority: cluster.authority.clone(),
        ..Cluster::new(OTHER)
    };
    let ca = rustls::pki_types::CertificateDer::clone(
        &crate::peer::certificate::from_pem(&cluster.authority.certificate_pem).unwrap(),
    );
    let own = format!("muster://{CLUSTER}/agent/2");
    let refused = [
        ("another authority", Papers::of(&elsewhere, 2)),
        (
            "another authority, long expired",
            Papers::signed_at(&elsewhere, 2, datetime!(2001-01-01 00:00 UTC)),
        ),
        (
            "another cluster id under our authority",
            Papers::of(&renamed, 2),
        ),
        ("signed by itself", Papers::self_signed(&own)),
        ("no name", Papers::bent(&cluster.authority, |_| {})),
        (
            "two names",
            Papers::bent(&cluster.authority, |p| {
                p.subject_alt_names = vec![uri(&own), uri(&format!("muster://{CLUSTER}/agent/3"))];
            }),
        ),
        (
            "a name that is no agent's",
            Papers::bent(&cluster.authority, |p| {
                p.subject_alt_names = vec![uri("https://example.org/")];
            }),
        ),
        (
            "may only be called, not call",
            Papers::bent(&cluster.authority, |p| {
                p.subject_alt_names = vec![uri(&own)];
                p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            }),
        ),
        (
            "the authority itself",
            Papers {
                chain: vec![ca],
                key_pem: cluster.authority.key_pem.clone(),
            },
        ),
        ("signed by an agent, not by the authority", {
            let agent = Papers::of(&cluster, 2);
            let authority = muster_core::state::Authority {
                certificate_pem: crate::peer::certificate::to_pem(&agent.chain[0]),
                key_pem: agent.key_pem.clone(),
            };
            let mut forged = Papers::bent(&authority, |p| p.subject_alt_names = vec![uri(&own)]);
            forged.chain.push(
                crate::peer::certificate::from_pem(&cluster.authority.certificate_pem).unwrap(),
            );
            forged
        }),
    ];
    for (what, papers) in refused {
        let asked = ask(
            one.address,
            Some(&papers),
            Route::Heartbeat.path(),
            greeting(2),
        )
        .await;
        assert!(asked.is_err(), "{what}: {asked:?}");
    }
    assert_eq!(one.handler.times("heartbeat"), 0);
    let right = Papers::of(&cluster, 2);
    let (status, _) = ask(
        one.address,
        Some(&right),
        Route::Heartbeat.path(),
        greeting(2),
    )
    .await
    .unwrap();
    assert_eq!(status, 200);
}

#[tokio::test]
async fn whoever_is_not_the_one_called_is_not_spoken_to() {
    let cluster = Cluster::new(CLUSTER);
    let (one, two) = (cluster.agent(1).await, cluster.agent(2).await);
    // Agent 2 answers at what we hold for the address of agent 3.
    let address = two.address.to_string();
    let error = one
        .client
        .heartbeat(AgentId(3), &address, &heartbeat(AgentId(1)), SOON)
        .await
        .unwrap_err();
    let CallError::Unreachable { why, .. } = error else {
        panic!("{error}");
    };
    assert!(
        why.contains("agent 2 answers at the address of agent 3"),
        "{why}"
    );

    let elsewhere = Cluster::new(CLUSTER);
    let renamed = Cluster {
        authority: cluster.authority.clone(),
        ..Cluster::new(OTHER)
    };
    let own = format!("muster://{CLUSTER}/agent/2");
    for papers in [
        Papers::of(&elsewhere, 2),
        Papers::of(&renamed, 2),
        Papers::self_signed(&own),
        Papers::bent(&cluster.authority, |p| {
            p.subject_alt_names = vec![uri(&own)];
            p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        }),
    ] {
        let address = impostor(papers, || Response::new(Full::new(Bytes::from("{}")))).await;
        let error = one
            .client
            .heartbeat(
                AgentId(2),
                &address.to_string(),
                &heartbeat(AgentId(1)),
                SOON,
            )
            .await
            .unwrap_err();
        assert!(matches!(error, CallError::Unreachable { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_stranger_can_only_join() {
    let cluster = Cluster::new(CLUSTER);
    let one = cluster.agent(1).await;
    for route in Route::ALL {
        let (status, body) = ask(one.address, None, route.path(), "{}").await.unwrap();
        let expected = if route == Route::Join { 400 } else { 403 };
        assert_eq!(status, expected, "{route:?}: {body}");
        let error: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert!(error["error"].is_string(), "{body}");
    }
}

#[tokio::test]
async fn clocks_that_are_years_off_change_nothing() {
    let cluster = Cluster::new(CLUSTER);
    let one = cluster.agent(1).await;
    // Long expired, and not to begin for decades: as a signer's clock, or this host's, may have it.
    for signed in [
        datetime!(2001-01-01 00:00 UTC),
        datetime!(2090-01-01 00:00 UTC),
    ] {
        let papers = Papers::signed_at(&cluster, 2, signed);
        let (status, _) = ask(
            one.address,
            Some(&papers),
            Route::Heartbeat.path(),
            greeting(2),
        )
        .await
        .unwrap();
        assert_eq!(status, 200);
        let address = impostor(papers.clone(), || {
            let answer = serde_json::to_vec(&heartbeat(AgentId(2))).unwrap();
            Response::new(Full::new(Bytes::from(answer)))
        })
        .await;
        // A client each: a connection is kept, and this is about making one.
        let client = PeerClient::with_pace(one.live.clone(), Default::default(), pace());
        client
            .heartbeat(
                AgentId(2),
                &address.to_string(),
                &heartbeat(AgentId(1)),
                SOON,
            )
            .await
            .unwrap();
        let said = verify::check(&papers.chain[0], &papers.chain[1], CLUSTER).unwrap();
        assert_eq!(said.identity.agent_id, AgentId(2));
    }
}

#[tokio::test]
async fn a_removed_agent_is_told_so_at_once_on_the_connection_it_has() {
    let cluster = Cluster::new(CLUSTER);
    let (one, two) = (cluster.agent(1).await, cluster.agent(2).await);
    two.greet(&one).await.unwrap();
    cluster.remove(2);
    let error = two.greet(&one).await.unwrap_err();
    assert!(error.says_removed(), "{error}");
    assert_eq!(
        error.to_string(),
        "agent 1 refuses: agent 2 was removed from the cluster; join again as a new one"
    );
    assert_eq!(two.traffic.connections_opened(), 1);
    assert_eq!(one.handler.times("heartbeat"), 1);
    // Nor by any other route, the open one included, nor on a new connection.
    let papers = Papers::of(&cluster, 2);
    for route in Route::ALL {
        let (status, body) = ask(one.address, Some(&papers), route.path(), "{}")
            .await
            .unwrap();
        assert_eq!(status, 403, "{route:?}: {body}");
        assert!(body.contains("\"kind\":\"removed\""), "{body}");
    }
}

#[tokio::test]
async fn one_who_is_newer_than_our_state_is_heard_and_one_who_cannot_exist_is_not() {
    let cluster = Cluster::new(CLUSTER);
    let one = cluster.agent(1).await;
    cluster.state.lock().unwrap().next_agent_id = 5;
    let path = Route::Heartbeat.path();
    let newer = Papers::of(&cluster, 5);
    let (status, _) = ask(one.address, Some(&newer), path, greeting(5))
        .await
        .unwrap();
    assert_eq!(status, 200);
    let never = Papers::of(&cluster, 3);
    let (status, body) = ask(one.address, Some(&never), path, greeting(3))
        .await
        .unwrap();
    assert_eq!(status, 403, "{body}");
}

#[tokio::test]
async fn a_copy_of_this_host_is_refused_with_what_to_do() {
    let cluster = Cluster::new(CLUSTER);
    let one = cluster.agent(1).await;
    let copy = Papers::of(&cluster, 1);
    let (status, body) = ask(
        one.address,
        Some(&copy),
        Route::Heartbeat.path(),
        greeting(1),
    )
    .await
    .unwrap();
    assert_eq!(status, 403);
    assert!(body.contains("two hosts run as agent 1"), "{body}");
}

#[tokio::test]
async fn nobody_speaks_in_the_name_of_another() {
    let cluster = Cluster::new(CLUSTER);
    let (one, two) = (cluster.agent(1).await, cluster.agent(2).await);
    let address = one.address.to_string();
    let error = two
        .client
        .heartbeat(AgentId(1), &address, &heartbeat(AgentId(3)), SOON)
        .await
        .unwrap_err();
    let CallError::Refused { refusal, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(refusal.kind, RefusalKind::Forbidden);
    assert_eq!(one.handler.times("heartbeat"), 0);
}

#[tokio::test]
async fn a_request_that_is_played_again_on_another_connection_brings_nothing() {
    // What a listener on the wire holds is TLS records: put on a new connection they are noise.
    let cluster = Cluster::new(CLUSTER);
    let (one, two) = (cluster.agent(1).await, cluster.agent(2).await);
    let recorder = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = recorder.local_addr().unwrap();
    let to = one.address;
    let recorded = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let (near, _) = recorder.accept().await.unwrap();
        let (mut near_read, mut near_write) = near.into_split();
        let (mut far_read, mut far_write) = tokio::net::TcpStream::connect(to)
            .await
            .unwrap()
            .into_split();
        tokio::spawn(async move { tokio::io::copy(&mut far_read, &mut near_write).await });
        let mut tape = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(Ok(read)) = timeout(SOON / 10, near_read.read(&mut buffer)).await {
            if read == 0 {
                break;
            }
            tape.extend_from_slice(&buffer[..read]);
            far_write.write_all(&buffer[..read]).await.unwrap();
        }
        tape
    });
    two.client
        .heartbeat(
            AgentId(1),
            &address.to_string(),
            &heartbeat(AgentId(2)),
            SOON,
        )
        .await
        .unwrap();
    two.client.retain(|_| false);
    let tape = recorded.await.unwrap();
    assert!(tape.len() > 500);
    assert_eq!(one.handler.times("heartbeat"), 1);
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut again = tokio::net::TcpStream::connect(to).await.unwrap();
    let _ = again.write_all(&tape).await;
    let mut answer = Vec::new();
    let _ = timeout(SOON, again.read_to_end(&mut answer)).await;
    assert_eq!(one.handler.times("heartbeat"), 1);
}

#[tokio::test]
async fn a_certificate_is_asked_for_but_tls_1_2_is_not_spoken() {
    let cluster = Cluster::new(CLUSTER);
    let one = cluster.agent(1).await;
    let papers = Papers::of(&cluster, 2);
    let stream = dial(one.address, Some(&papers)).await.unwrap();
    assert_eq!(
        stream.get_ref().1.protocol_version(),
        Some(rustls::ProtocolVersion::TLSv1_3)
    );
    let mut sender = speak::<Full<Bytes>>(stream).await.unwrap();
    let body = Full::new(Bytes::from(greeting(2)));
    let (status, _) = exchange(&mut sender, Route::Heartbeat.path(), body)
        .await
        .unwrap();
    assert_eq!(status, 200);
}
