//! What a program at the other end of the link may send: to the agent over its real socket, and to the decoders of both
//! ends.
//!
//! An input is a conversation: its lines are the bodies of frames, sent with their right lengths; a line that begins
//! with a zero byte is sent as it is, without a length.
#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use muster_agent::server::{ServerConfig, ServerLink, ServerSnapshot};
use muster_link::frame::{Decoder, Message};
use muster_link::limits::{FRAME_BYTES_MAX, GTID_BYTES_MAX, HELLO_BYTES_MAX};
use muster_link::message::{ToAgent, ToPlugin};
use muster_tests::fuzz::{Target, word};

const MEMBER: &str = "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa";

fn identity(member_id: &str) -> String {
    format!(
        r#"{{"member_id":"{member_id}","flavor":"mysql","server_version":"9.7.4","pid":1,"host":"db1","port":3306,"datadir":"/d","socket":"/s"}}"#
    )
}

fn hello(member_id: &str) -> String {
    format!(
        r#"{{"kind":"hello","protocol_min":1,"protocol_max":1,"build":"0.1.0+0123456789abcdef","plugin_path":"/muster.so","identity":{}}}"#,
        identity(member_id)
    )
}

const REPORT: &str = r#"{"kind":"report","report":{"sequence":1,"phase":"serving","facts":{"read_only":true,"super_read_only":false,"channels":[{"name":"","source_host":"h","source_port":1,"source_uuid":null,"source_server_id":7,"receiver_running":true,"receiver_connecting":false,"applier_running":true,"lag_ms":3,"error":null}],"replicas":["x"],"server_id":1,"gtid_executed":"u:1-5","threads_connected":1,"threads_running":null,"queries_per_second":0.5,"uptime_s":9},"stalled_ms":0,"trouble":null,"wall_clock_us":1}}"#;
const BYE: &str = r#"{"kind":"bye","reason":"SHUTDOWN","server_stops":true}"#;
const PIECES: &[&str] = &[
    "\n",
    "\n\0",
    "\0\0\0\0\u{5}",
    "\0\u{7f}\u{7f}\u{7f}\u{7f}",
    "null",
    "[]",
    "{}",
    "{",
    "}",
    "\"",
    "\\ud800",
    "1e400",
    "\"kind\":",
    "\"hello\"",
    "\"report\"",
    "\"identity\"",
    "\"bye\"",
    "\"view\"",
    "\"observed\"",
    "\"events\"",
    "\"welcome\"",
    "\"refused\"",
    "\"unknown\"",
    "\"member_id\":\"\"",
    "\"host\":\"\"",
    "\"port\":0",
    "\"phase\":\"stopping\"",
    "\"phase\":\"starting\"",
    "\"facts\":null",
    "\"protocol_max\":0",
    "\"protocol_min\":9",
    "\"server_stops\":false",
    "\u{202e}",
    "🦀",
    "\u{0}",
];

fn stream_of(input: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in input.split(|byte| *byte == b'\n') {
        match line.strip_prefix(&[0]) {
            Some(raw) => bytes.extend_from_slice(raw),
            None => {
                let length = u32::try_from(line.len()).unwrap();
                bytes.extend_from_slice(&length.to_be_bytes());
                bytes.extend_from_slice(line);
            }
        }
    }
    bytes
}

fn conversations() -> Vec<Vec<u8>> {
    let other = hello("bbbbbbbb-bbbb-bbbb-bbbb-bbbbbbbbbbbb");
    let renamed = format!(r#"{{"kind":"identity","identity":{}}}"#, identity(MEMBER));
    [
        [hello(MEMBER), REPORT.to_owned(), BYE.to_owned()].join("\n"),
        [hello(""), REPORT.to_owned(), renamed.clone()].join("\n"),
        [
            hello(MEMBER),
            renamed,
            r#"{"kind":"lease","x":[1]}"#.to_owned(),
            REPORT.to_owned(),
        ]
        .join("\n"),
        other,
        REPORT.to_owned(),
        hello("not a uuid"),
        "\0\0\0\0".to_owned(),
    ]
    .into_iter()
    .map(String::into_bytes)
    .collect()
}

/// Says all of it and hears the answer out. The agent must close, since nothing more comes.
fn converse(path: &Path, input: &[u8]) -> String {
    let mut stream = UnixStream::connect(path).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(4)))
        .unwrap();
    // It may close before it has heard everything.
    let _ = stream.write_all(&stream_of(input));
    let _ = stream.shutdown(Shutdown::Write);
    let mut decoder = Decoder::<ToPlugin>::new(FRAME_BYTES_MAX);
    let mut buffer = [0; 16 * 1024];
    let mut heard = Vec::new();
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => decoder.push(&buffer[..read]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
            Err(error) => panic!("the agent neither answers nor closes: {error}"),
        }
        // What the agent says is always in order, whatever it was told.
        while let Some(message) = decoder.next().unwrap() {
            heard.push(match message {
                ToPlugin::Welcome { .. } => "welcome".to_owned(),
                ToPlugin::Refused { reason } => {
                    assert!(!reason.is_empty() && reason.chars().count() < 2_000);
                    format!("refused: {:.30}", word(&reason))
                }
                other => format!("{other:?}").chars().take(6).collect(),
            });
        }
    }
    heard.dedup();
    heard.join(", ")
}

/// What the agent believes now is always within its limits.
fn believed(now: &ServerSnapshot) -> String {
    if let Some(identity) = &now.identity {
        assert_eq!(identity.member_id.len(), 36);
        assert!(
            identity.port != 0 && !identity.host.is_empty() && identity.host.chars().count() <= 255
        );
        assert!(identity.server_version.chars().count() <= 64);
    }
    let facts = now.report.as_ref().and_then(|report| report.facts.as_ref());
    if let Some(facts) = facts {
        assert!(facts.gtid_executed.len() <= GTID_BYTES_MAX);
        assert!(facts.channels.len() <= 256 && facts.replicas.len() <= 1_000);
    }
    format!(
        "known {} reports {} facts {} phase {:?} note {}",
        now.identity.is_some(),
        now.report_number > 0,
        facts.is_some(),
        now.report.as_ref().map(|report| report.phase),
        now.note.is_some()
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fuzz_link_agent() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("agent.sock");
    let link = ServerLink::start(ServerConfig {
        socket_path: path.clone(),
        users: Vec::new(),
        ..ServerConfig::default()
    });
    let link = Arc::new(link.unwrap());
    let fuzzed = Arc::clone(&link);
    let found = tokio::task::spawn_blocking(move || {
        Target {
            name: "link_agent",
            seeds: conversations(),
            pieces: PIECES,
            bytes_max: 2 * HELLO_BYTES_MAX,
        }
        .run(|input| {
            let said = converse(&path, input);
            let word = format!("{said}; {}", believed(&fuzzed.watch().borrow()));
            fuzzed.forget();
            word
        })
    })
    .await
    .unwrap();
    assert!(found.words > 8, "{found:?}");
}

/// The kinds that come out, and how the stream ended.
fn decode<M: Message + std::fmt::Debug>(bytes: &[u8], limit: usize) -> String {
    let mut decoder = Decoder::<M>::new(limit);
    let mut words = Vec::new();
    // In pieces of odd sizes: a cut must never matter.
    for piece in bytes.chunks(7) {
        decoder.push(piece);
        loop {
            match decoder.next() {
                Ok(Some(message)) => words.push(format!("{message:?}").chars().take(6).collect()),
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(decoder.pending_bytes(), 0, "a broken stream keeps nothing");
                    let sentence = error.to_string();
                    assert!(
                        !sentence.contains('\n') && sentence.len() < 500,
                        "{sentence}"
                    );
                    words.push(sentence.split(' ').take(4).collect::<Vec<_>>().join(" "));
                    return words.join(",");
                }
            }
        }
        assert!(decoder.pending_bytes() <= limit + 16);
    }
    words.truncate(8);
    format!("{} {}", words.join(","), decoder.finish().is_ok())
}

#[test]
fn fuzz_link_frames() {
    let view = r#"{"kind":"view","view":{"view_id":1,"cluster_name":"c","cluster_id":"i","epoch":0,"primary_member_id":null,"maintenance":false,"members":[],"agents":[]}}"#;
    let observed = r#"{"kind":"observed","observed":{"quorum":true,"leader_agent_id":1,"local_agent_id":1,"local_member_id":null,"summary":"s","members":[],"agents":[]}}"#;
    let events = r#"{"kind":"events","reset":true,"events":[{"event_id":1,"view_id":1,"epoch":0,"time_us":1,"event_type":"X","member_id":null,"previous_state":null,"state":null,"reason":"r"}]}"#;
    let welcome = r#"{"kind":"welcome","protocol":1,"agent_version":"0.1.0","agent_name":"n1"}"#;
    let mut seeds = conversations();
    seeds.push([welcome, view, observed, events].join("\n").into_bytes());
    seeds.push(br#"{"kind":"refused","reason":"no"}"#.to_vec());
    let found = Target {
        name: "link_frames",
        seeds,
        pieces: PIECES,
        bytes_max: 64 * 1024,
    }
    .run(|input| {
        let bytes = stream_of(input);
        let agent = decode::<ToAgent>(&bytes, HELLO_BYTES_MAX);
        let plugin = decode::<ToPlugin>(&bytes, FRAME_BYTES_MAX);
        format!("{agent} | {plugin}")
    });
    assert!(found.words > 10, "{found:?}");
}
