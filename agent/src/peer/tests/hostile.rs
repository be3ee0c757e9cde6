//! Peers that send what they should not.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::Response;
use hyper::body::{Body, Bytes, Frame};
use muster_core::ids::AgentId;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::raw::{Papers, ask, dial, exchange, impostor, speak};
use super::rig::{CLUSTER, Cluster, SOON, heartbeat, listener_pace};
use crate::peer::client::CallError;
use crate::peer::limits::JOIN_BYTES_MAX;
use crate::peer::request::{Route, decode};

/// A body without end, or one that stops coming.
struct Odd {
    left: u64,
    then_hang: bool,
}

impl Body for Odd {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return if self.then_hang {
                Poll::Pending
            } else {
                Poll::Ready(None)
            };
        }
        self.left -= 1;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b' '; 4096])))))
    }
}

#[tokio::test]
async fn garbage_on_any_route_is_refused_with_a_sentence() {
    let cluster = Cluster::new(CLUSTER);
    let one = cluster.agent(1).await;
    let papers = Papers::of(&cluster, 2);
    let deep = "[".repeat(100_000);
    let deep_object = "{\"own\":".repeat(10_000);
    for body in [
        "",
        "null",
        "[]",
        "{}",
        "\u{0}\u{1}",
        "{\"agent_id\":-1}",
        "{\"agent_id\":1e400}",
        "{\"token_secret\":\"x\",\"csr_pem\":\"y\"}",
        deep.as_str(),
        deep_object.as_str(),
    ] {
        for route in Route::ALL {
            for caller in [None, Some(&papers)] {
                let (status, answer) = ask(one.address, caller, route.path(), body.to_owned())
                    .await
                    .unwrap();
                assert!(
                    (400..500).contains(&status),
                    "{route:?} {body:.40}: {status} {answer}"
                );
                let error: serde_json::Value = serde_json::from_str(&answer).unwrap();
                assert!(error["error"].as_str().unwrap().len() > 10, "{answer}");
            }
        }
    }
    let (status, _) = ask(one.address, Some(&papers), "/v2/raft", "{}")
        .await
        .unwrap();
    assert_eq!(status, 404);
    for what in ["raft", "heartbeat", "propose", "join", "renew"] {
        assert_eq!(one.handler.times(what), 0, "{what}");
    }
}

#[tokio::test]
async fn a_join_with_a_bad_secret_or_request_never_reaches_the_handler() {
    let cluster = Cluster::new(CLUSTER);
    let one = cluster.agent(1).await;
    let request = |secret: &str, csr: &str| {
        serde_json::json!({
            "token_secret": secret, "csr_pem": csr,
            "agent": super::rig::declaration("x"),
        })
        .to_string()
    };
    let secret = crate::peer::token::Secret::draw().unwrap().text();
    for (secret, csr) in [
        ("", ""),
        (secret.as_str(), "no request"),
        (secret.as_str(), &"A".repeat(20_000)),
        ("AAAA", "no request"),
    ] {
        let (status, answer) = ask(one.address, None, Route::Join.path(), request(secret, csr))
            .await
            .unwrap();
        assert_eq!(status, 400, "{answer}");
        assert!(secret.is_empty() || !answer.contains(secret));
    }
    assert_eq!(one.handler.times("join"), 0);
}

#[tokio::test]
async fn a_body_without_end_is_cut_off_at_the_limit() {
    let cluster = Cluster::new(CLUSTER);
    let one = cluster.agent(1).await;
    let mut sender = speak(dial(one.address, None).await.unwrap()).await.unwrap();
    let endless = Odd {
        left: u64::MAX,
        then_hang: false,
    };
    let before = one.traffic.received_bytes();
    let asked = timeout(SOON, exchange(&mut sender, Route::Join.path(), endless))
        .await
        .unwrap();
    // The answer, or the stream's reset when it came too late for that.
    if let Ok((status, answer)) = asked {
        assert_eq!(status, 400, "{answer}");
        assert!(answer.contains("larger"), "{answer}");
    }
    let read = one.traffic.received_bytes() - before;
    // What flow control lets a sender have under way, not what it would send.
    assert!(read < JOIN_BYTES_MAX as u64 + (8 << 20), "{read} bytes");
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_not_waited_for() {
    let cluster = Cluster::new(CLUSTER);
    let one = cluster.agent(1).await;
    let papers = Papers::of(&cluster, 2);
    for caller in [None, Some(&papers)] {
        let mut sender = speak(dial(one.address, caller).await.unwrap())
            .await
            .unwrap();
        let stops = Odd {
            left: 1,
            then_hang: true,
        };
        let asked = timeout(SOON, exchange(&mut sender, Route::Join.path(), stops))
            .await
            .unwrap();
        let (status, answer) = asked.unwrap();
        assert_eq!(status, 400);
        assert!(answer.contains("in time"), "{answer}");
    }
}

#[tokio::test]
async fn a_handshake_that_is_not_finished_is_closed() {
    let cluster = Cluster::new(CLUSTER);
    let one = cluster.agent(1).await;
    // Says nothing; says a little, slowly; says what is no TLS; says what begins like TLS and is endless.
    for (first, drip) in [
        (&b""[..], &b""[..]),
        (&[22, 3, 1][..], &[0][..]),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b""),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b""),
        (&[22, 3, 1, 0xff, 0xff][..], &[0; 1000][..]),
    ] {
        let began = Instant::now();
        let mut stream = TcpStream::connect(one.address).await.unwrap();
        stream.write_all(first).await.unwrap();
        let (mut read, mut write) = stream.into_split();
        let dripping = tokio::spawn(async move {
            while !drip.is_empty() && write.write_all(drip).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            write
        });
        let mut answer = Vec::new();
        // Closed in order or by a reset: closed.
        let _ = timeout(SOON, read.read_to_end(&mut answer)).await.unwrap();
        assert!(began.elapsed() < listener_pace().handshake_time_max * 2);
        dripping.abort();
    }
    cluster.agent(2).await.greet(&one).await.unwrap();
}

#[tokio::test]
async fn a_stranger_that_lingers_is_closed() {
    let cluster = Cluster::new(CLUSTER);
    let one = cluster.agent(1).await;
    let mut stream = dial(one.address, None).await.unwrap();
    let mut answer = Vec::new();
    let _ = timeout(SOON, stream.read_to_end(&mut answer))
        .await
        .unwrap();
    // The same with an HTTP/2 connection that answers pings and asks nothing.
    let sender = speak::<Full<Bytes>>(dial(one.address, None).await.unwrap())
        .await
        .unwrap();
    timeout(SOON, async {
        while !sender.is_closed() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn an_answer_that_makes_no_sense_is_an_error_and_no_more() {
    let cluster = Cluster::new(CLUSTER);
    let one = cluster.agent(1).await;
    let call = async |address: std::net::SocketAddr| {
        one.client
            .heartbeat(
                AgentId(2),
                &address.to_string(),
                &heartbeat(AgentId(1)),
                SOON,
            )
            .await
            .unwrap_err()
    };
    let papers = || Papers::of(&cluster, 2);
    let garbage = impostor(papers(), || Response::new(Full::new(Bytes::from("][")))).await;
    assert!(matches!(call(garbage).await, CallError::Broken { .. }));
    let endless = impostor(papers(), || {
        Response::new(Odd {
            left: u64::MAX,
            then_hang: false,
        })
    })
    .await;
    let error = call(endless).await;
    assert!(matches!(error, CallError::Broken { .. }), "{error}");
    assert!(error.to_string().contains("too large"), "{error}");
    let other_name = impostor(papers(), || {
        let answer = serde_json::to_vec(&heartbeat(AgentId(3))).unwrap();
        Response::new(Full::new(Bytes::from(answer)))
    })
    .await;
    let error = call(other_name).await;
    assert!(
        error.to_string().contains("in the name of agent 3"),
        "{error}"
    );
    let rude = impostor(papers(), || {
        let body = serde_json::json!({"error": "\u{1b}[31m\n".repeat(10_000), "kind": "new kind"});
        let mut answer = Response::new(Full::new(Bytes::from(body.to_string())));
        *answer.status_mut() = hyper::StatusCode::IM_A_TEAPOT;
        answer
    })
    .await;
    let error = call(rude).await.to_string();
    assert!(error.len() < 1_000 && !error.contains('\u{1b}'), "{error}");
}

mod property {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_body_is_taken_or_refused(body: Vec<u8>, route in 0..Route::ALL.len(), from: Option<u64>) {
            let _ = decode(Route::ALL[route], from.map(AgentId), &body);
        }

        #[test]
        fn any_json_is_taken_or_refused(
            id: u64, text in "\\PC{0,40}", number: i64, route in 0..Route::ALL.len(),
        ) {
            let body = serde_json::json!({
                "agent_id": id, "incarnation": number, "sequence": id, "own": text, "contacts": [text],
                "relayed": [], "view_id": number, "csr_pem": text, "token_secret": text, "reason": text,
                "time_us": number, "command": {"kind": text}, "agent": {},
            });
            let _ = decode(Route::ALL[route], Some(AgentId(id)), body.to_string().as_bytes());
        }
    }
}
