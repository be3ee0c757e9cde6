//! Both ends over a real socket, and everything else that may sit at the other end of one.

use std::io::Write;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

use super::fake::{Fake, Served};
use super::permission::{Accounts, Operators};
use super::types::{EventsQuery, InitRequest, JoinRequest, RemoveRequest, Setting};
use super::*;

fn client(served: &Served) -> Client {
    Client::new(&served.socket)
}

#[tokio::test]
async fn every_look_is_answered() {
    let served = Served::new(Fake::cluster()).await;
    let client = client(&served);
    let status = client.status().await.unwrap();
    assert_eq!(status.cluster_name, "orders");
    assert_eq!(status.primary_member_name.as_deref(), Some("db1"));
    assert_eq!(status.agent_leader.as_deref(), Some("db2"));
    assert_eq!(
        (status.members, status.members_online, status.voters),
        (3, 2, 3)
    );
    let members = client.members().await.unwrap();
    assert_eq!(members.members[2].heartbeat_age_ms, Some(6_200));
    let agents = client.agents().await.unwrap();
    assert_eq!(agents.agents[1].agent_role, "LEADER");
    assert_eq!(agents.agents[3].member_id, None);
    assert_eq!(client.config_get().await.unwrap().settings.len(), 2);
    let events = client.events(EventsQuery::default()).await.unwrap();
    assert_eq!(events.newest_event_id, 2);
    assert_eq!(events.events[1].member_name.as_deref(), Some("db3"));
}

#[tokio::test]
async fn every_action_reaches_the_agent() {
    let fake = Fake::cluster();
    let served = Served::new(fake.clone()).await;
    let client = client(&served);
    let name = InitRequest {
        cluster_name: "orders".into(),
    };
    assert_eq!(client.init(&name).await.unwrap().token, "muster1-first");
    assert_eq!(client.token_create().await.unwrap().ttl_ms, 3_600_000);
    let join = JoinRequest {
        token: "t".into(),
        address: "db1:7400".into(),
        arbitrator: true,
    };
    assert_eq!(client.join(&join).await.unwrap().agent_id, 5);
    client.leave().await.unwrap();
    client
        .remove(&RemoveRequest { name: "db3".into() })
        .await
        .unwrap();
    let setting = Setting {
        key: "voters_max".into(),
        value: "3".into(),
    };
    client.config_set(&setting).await.unwrap();
    client
        .recover(types::RecoverRequest { force: true })
        .await
        .unwrap();
    assert_eq!(
        fake.asked(),
        [
            "init orders",
            "token",
            "join t db1:7400 true",
            "leave",
            "remove db3",
            "config set voters_max 3",
            "recover true"
        ]
    );
}

#[tokio::test]
async fn a_refusal_is_the_agents_own_sentence() {
    let fake = Fake::cluster();
    fake.refusals.lock().unwrap().extend([
        Refusal::refused("this host belongs to 'orders' already"),
        Refusal::failed("the leader hung up; nothing has changed"),
    ]);
    let served = Served::new(fake).await;
    let client = client(&served);
    let said = client.init(&InitRequest::default()).await.unwrap_err();
    assert!(
        matches!(&said, ClientError::Refused(s) if s == "this host belongs to 'orders' already")
    );
    let said = client.leave().await.unwrap_err();
    assert_eq!(said.to_string(), "the leader hung up; nothing has changed");
}

#[tokio::test]
async fn one_who_may_not_act_may_look() {
    struct Nobody;
    impl Accounts for Nobody {
        fn group_id(&self, _: &str) -> Option<u32> {
            Some(70)
        }
        fn groups_of(&self, _: u32) -> Vec<u32> {
            Vec::new()
        }
    }
    // The routes are asked with the peer that a connection of user 1002 would carry.
    let fake = Fake::cluster();
    let router = routes::router(fake.clone(), Operators::new(500, "muster", Nobody));
    let peer = permission::Peer {
        uid: 1002,
        gid: 1002,
    };
    let ask = |method: &'static str, path: &'static str| {
        let router = router.clone().layer(axum::Extension(peer));
        async move {
            let request = axum::http::Request::builder()
                .method(method)
                .uri(path)
                .body(axum::body::Body::empty())
                .unwrap();
            let response = tower::ServiceExt::oneshot(router, request).await.unwrap();
            let status = response.status().as_u16();
            let body = axum::body::to_bytes(response.into_body(), 1 << 20)
                .await
                .unwrap();
            (status, String::from_utf8(body.to_vec()).unwrap())
        }
    };
    for path in [
        "/v1/status",
        "/v1/members",
        "/v1/agents",
        "/v1/events",
        "/v1/config",
    ] {
        assert_eq!(ask("GET", path).await.0, 200, "{path}");
    }
    for path in [
        "/v1/init",
        "/v1/token",
        "/v1/join",
        "/v1/leave",
        "/v1/remove",
        "/v1/config",
        "/v1/recover",
    ] {
        let (status, body) = ask("POST", path).await;
        assert_eq!(status, 403, "{path}");
        assert!(body.contains("user 1002 may look and not act"), "{body}");
    }
    assert_eq!(fake.asked(), ["config get"]);
}

#[tokio::test]
async fn an_action_runs_to_its_end_when_the_one_who_asked_has_gone() {
    let fake = Fake::cluster();
    fake.gate.forget_permits(usize::MAX);
    let served = Served::new(fake.clone()).await;
    let client = client(&served);
    let leave = tokio::spawn(async move { client.leave().await });
    // The request has arrived when the action waits at the gate.
    let mut asked = UnixStream::connect(&served.socket).await.unwrap();
    asked
        .write_all(b"POST /v1/token HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}")
        .await
        .unwrap();
    let begun = async {
        while fake.arrived.load(Ordering::SeqCst) < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), begun)
        .await
        .unwrap();
    leave.abort();
    drop(asked);
    fake.gate.add_permits(2);
    tokio::time::timeout(Duration::from_secs(5), async {
        while fake.asked().len() < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn an_event_ends_the_wait_for_it() {
    let fake = Fake::cluster();
    let served = Served::new(fake.clone()).await;
    let client = client(&served);
    let query = |after, limit, wait_ms| EventsQuery {
        after,
        limit,
        wait_ms,
        ..EventsQuery::default()
    };
    let ids =
        |reply: types::EventsReply| reply.events.iter().map(|e| e.event_id).collect::<Vec<_>>();

    assert_eq!(
        ids(client.events(query(2, 0, 20)).await.unwrap()),
        [0u64; 0]
    );
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.events(query(2, 0, 20_000)).await }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    fake.happens("MEMBER_STATE", Some("m3"), "it is back");
    let reply = tokio::time::timeout(Duration::from_secs(5), waiting).await;
    assert_eq!(ids(reply.unwrap().unwrap().unwrap()), [3]);

    assert_eq!(
        ids(client.events(query(0, 2, 0)).await.unwrap()),
        [2, 3],
        "the newest, for one who looks"
    );
    assert_eq!(
        ids(client.events(query(0, 2, 1_000)).await.unwrap()),
        [1, 2],
        "the next, for one who follows"
    );
}

/// Something at the socket that is not an agent: answers every connection with these bytes, or never.
fn impostor(folder: &Path, answer: Option<Vec<u8>>) -> Client {
    let socket = folder.join("impostor.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            match &answer {
                Some(bytes) => {
                    let mut request = [0; 4096];
                    assert!(stream.read(&mut request).await.unwrap() > 0);
                    stream.write_all(bytes).await.ok();
                }
                None => held.push(stream),
            }
        }
    });
    Client::new(socket)
}

#[tokio::test]
async fn nobody_there_says_how_to_start_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    let expected = format!(
        "no agent answers at {}: start it with `systemctl start muster` or name its socket with --control-socket",
        path.display()
    );
    let client = Client::new(&path);
    let missing = client.status().await.unwrap_err();
    assert_eq!(missing.to_string(), expected);
    assert!(missing.is_away());
    // A socket file whose listener is gone, and a file that is no socket.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert_eq!(client.status().await.unwrap_err().to_string(), expected);
    std::fs::remove_file(&path).unwrap();
    std::fs::File::create(&path)
        .unwrap()
        .write_all(b"x")
        .unwrap();
    assert_eq!(client.status().await.unwrap_err().to_string(), expected);
}

#[tokio::test]
async fn one_that_hangs_is_given_five_seconds() {
    let folder = tempfile::tempdir().unwrap();
    let client = impostor(folder.path(), None);
    let start = std::time::Instant::now();
    let said = client.status().await.unwrap_err();
    assert_eq!(start.elapsed().as_secs(), 5);
    let expected = format!(
        "the agent at {} did not answer within 5 s: see `systemctl status muster` and `journalctl -u muster`",
        client.path().display()
    );
    assert_eq!(said.to_string(), expected);
    let client = client.patient_for(Duration::from_millis(50));
    let said = client.leave().await.unwrap_err().to_string();
    assert!(
        said.contains("it may be done yet, so see `muster status` before trying again"),
        "{said}"
    );
}

#[tokio::test]
async fn garbage_is_named_as_such() {
    let answers: [(&[u8], &str); 7] = [
        (
            b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
            "is no agent of this version",
        ),
        (&[0xff; 5000], "is no agent of this version"),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nnot json!",
            "is no agent of this version",
        ),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}",
            "is no agent of this version (missing field",
        ),
        (
            b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n",
            "(status 500)",
        ),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{",
            "hung up before it had answered",
        ),
        (b"", "hung up before it had answered"),
    ];
    for (answer, expected) in answers {
        let folder = tempfile::tempdir().unwrap();
        let client = impostor(folder.path(), Some(answer.to_vec()));
        let said = client.status().await.unwrap_err().to_string();
        assert!(
            said.contains(expected),
            "{:?}: {said}",
            String::from_utf8_lossy(answer)
        );
    }
}

#[tokio::test]
async fn an_endless_answer_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let mut answer = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_vec();
    answer.resize(client::ANSWER_BYTES_MAX + (1 << 20), b' ');
    let said = impostor(folder.path(), Some(answer))
        .status()
        .await
        .unwrap_err();
    assert!(matches!(said, ClientError::Garbage { .. }), "{said}");
}

/// Sends raw bytes and reads what comes back until the end.
async fn raw(served: &Served, request: &[u8]) -> String {
    let mut stream = UnixStream::connect(&served.socket).await.unwrap();
    // A server that has already refused may close before all is sent.
    stream.write_all(request).await.ok();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn hostile_requests_are_answered_and_do_no_harm() {
    let fake = Fake::cluster();
    let served = Served::new(fake.clone()).await;
    let post = |path: &str, body: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let long = "x".repeat(routes::REQUEST_BYTES_MAX);
    let cases = [
        (
            "GET /v1/nothing HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
            " 404 ",
        ),
        (
            "DELETE /v1/status HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
            " 404 ",
        ),
        (
            "GET /v1/events?after=-1 HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
            " 400 ",
        ),
        (
            "GET /v1/events?since=1 HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
            " 400 ",
        ),
        (post("/v1/init", "nonsense"), " 400 "),
        (post("/v1/init", "{\"cluster_name\": 7}"), " 400 "),
        (
            post("/v1/init", "{\"cluster_name\": \"a\", \"more\": 1}"),
            " 400 ",
        ),
        (post("/v1/leave", "{\"really\": true}"), " 400 "),
        (
            post("/v1/remove", &format!("{{\"name\": \"{long}\"}}")),
            " 413 ",
        ),
        (post("/v1/join", &"[".repeat(10_000)), " 400 "),
        ("\0\0\0\0\r\n\r\n".to_owned(), " 400 "),
        (
            format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(1 << 20)),
            "",
        ),
    ];
    for (request, expected) in &cases {
        let answer = raw(&served, request.as_bytes()).await;
        let head = answer.lines().next().unwrap_or_default();
        assert!(
            head.contains(expected),
            "{} is answered {head}",
            &request[..request.len().min(80)]
        );
    }
    assert_eq!(fake.asked(), Vec::<String>::new());
    assert!(client(&served).status().await.is_ok());
}

#[tokio::test]
async fn the_socket_is_open_to_all_and_gone_at_the_end() {
    let mut served = Served::new(Fake::empty()).await;
    let metadata = std::fs::symlink_metadata(&served.socket).unwrap();
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o777, 0o666);
    served.stop().await;
    assert!(!served.socket.exists());
}

#[tokio::test]
async fn a_dead_agents_socket_is_replaced_and_a_living_one_s_is_not() {
    let served = Served::new(Fake::empty()).await;
    let bind = |path: std::path::PathBuf| async move {
        let operators = Operators::of_this_host("muster");
        ControlServer::bind(&path, operators, Fake::empty()).await
    };
    let Err(taken) = bind(served.socket.clone()).await else {
        panic!("two agents on one socket");
    };
    assert!(
        taken.to_string().starts_with("another agent answers at "),
        "{taken}"
    );
    assert!(client(&served).status().await.is_ok());

    let stale = served.folder().join("stale.sock");
    drop(std::os::unix::net::UnixListener::bind(&stale).unwrap());
    assert!(bind(stale).await.is_ok());

    let file = served.folder().join("precious");
    std::fs::write(&file, "data").unwrap();
    let Err(not_ours) = bind(file.clone()).await else {
        panic!("a file was taken for a socket");
    };
    assert!(
        not_ours
            .to_string()
            .contains("is there and is not a socket"),
        "{not_ours}"
    );
    assert_eq!(std::fs::read_to_string(file).unwrap(), "data");

    let Err(no_folder) = bind(served.folder().join("none/control.sock")).await else {
        panic!("bound in a folder that is not there");
    };
    assert!(
        no_folder.to_string().contains("its folder must be there"),
        "{no_folder}"
    );
}

#[tokio::test]
async fn an_agent_that_ends_lets_a_running_answer_through() {
    let fake = Fake::cluster();
    let mut served = Served::new(fake.clone()).await;
    let client = client(&served);
    let waiting = tokio::spawn(async move {
        let query = EventsQuery {
            after: 2,
            limit: 0,
            wait_ms: 300,
            ..EventsQuery::default()
        };
        client.events(query).await
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    served.stop().await;
    assert!(waiting.await.unwrap().is_ok());
}
