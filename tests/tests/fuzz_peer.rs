//! What agents and hosts that want to join may send each other: requests, answers, tokens, certificates.
#![allow(clippy::unwrap_used)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use muster_agent::consensus::{RaftReply, RaftRpc};
use muster_agent::peer::authority::{self, Signer};
use muster_agent::peer::certificate::{self, PeerIdentity};
use muster_agent::peer::identity::IdentityStore;
use muster_agent::peer::request::{self, Request, Route};
use muster_agent::peer::token::Token;
use muster_agent::peer::wire::{JoinReply, JoinRequest, ProposeReply, Refusal, RenewReply};
use muster_core::command::{AgentDeclaration, Command, Entry, Outcome};
use muster_core::evidence::{Contact, Heartbeat, OwnMember, ProcessState, Relayed};
use muster_core::ids::{AgentId, MemberId};
use muster_link::report::{Flavor, Identity};
use muster_tests::fuzz::{Target, word};
use serde::de::DeserializeOwned;

const CLUSTER: &str = "6f1c1f0e-9f6a-4a57-9d6d-0a7c1d1f2b3c";

fn csr() -> String {
    let folder = tempfile::tempdir().unwrap();
    let store = IdentityStore::open(folder.path()).unwrap();
    store.pending().unwrap().csr_pem().unwrap()
}

fn declaration() -> AgentDeclaration {
    AgentDeclaration {
        name: "db1".to_owned(),
        address: "[::1]:7400".to_owned(),
        site: "a".to_owned(),
        priority: 100,
        arbitrator: false,
        version: "0.1.0".to_owned(),
    }
}

fn heartbeat() -> Heartbeat {
    let own = OwnMember {
        identity: Identity {
            member_id: "0b6f5f7e-0000-4000-8000-000000000001".to_owned(),
            flavor: Flavor::Mysql,
            server_version: "9.7.0".to_owned(),
            pid: 7,
            host: "db1".to_owned(),
            port: 3306,
            datadir: "/var/lib/mysql".to_owned(),
            socket: "/run/mysqld/mysqld.sock".to_owned(),
        },
        process: ProcessState::Running { pid: 7 },
        linked: true,
        report_number: 9,
        report: None,
        report_age_ms: 12,
        note: Some("a note".to_owned()),
    };
    Heartbeat {
        agent_id: AgentId(2),
        incarnation: 3,
        sequence: 4,
        own: Some(own.clone()),
        texts: Vec::new(),
        contacts: vec![Contact {
            agent_id: AgentId(1),
            agent_age_ms: Some(1),
            report_age_ms: None,
            listening_ms: 5,
        }],
        relayed: vec![Relayed {
            agent_id: AgentId(3),
            incarnation: 1,
            sequence: 1,
            age_ms: 1,
            own: Some(own),
            texts: Vec::new(),
        }],
        view_id: 6,
    }
}

fn raft_vote() -> serde_json::Value {
    serde_json::json!({"Vote": {
        "vote": {"leader_id": {"term": 2, "voted_for": 2}, "committed": false},
        "last_log_id": {"leader_id": 1, "index": 7},
    }})
}

fn raft_append() -> serde_json::Value {
    let log_id = |index: u64| serde_json::json!({"leader_id": 2, "index": index});
    serde_json::json!({"Append": {
        "vote": {"leader_id": {"term": 2, "voted_for": 2}, "committed": true},
        "prev_log_id": log_id(7), "entries": [{"log_id": log_id(8), "payload": "Blank"}], "leader_commit": log_id(7),
    }})
}

#[test]
fn the_raft_seeds_are_what_the_consensus_speaks() {
    for seed in [raft_vote(), raft_append()] {
        let rpc: RaftRpc = serde_json::from_value(seed).unwrap();
        assert!(["vote", "append"].contains(&rpc.kind()));
    }
}

/// The first byte chooses route and caller, the rest is the body.
fn request_input(route: usize, from: bool, body: &impl serde::Serialize) -> Vec<u8> {
    let mut input = vec![u8::try_from(route).unwrap() * 2 + u8::from(from)];
    input.extend(serde_json::to_vec(body).unwrap());
    input
}

#[test]
fn fuzz_peer_request() {
    let entry = |command| Entry {
        time_us: 1,
        reason: "a reason".to_owned(),
        command,
    };
    let join = JoinRequest {
        token_secret: "AAECAwQFBgcICQoLDA0ODxAREhM".to_owned(),
        csr_pem: csr(),
        agent: declaration(),
    };
    let found = Target {
        name: "peer_request",
        seeds: vec![
            request_input(1, true, &heartbeat()),
            request_input(
                2,
                true,
                &entry(Command::DeclareAgent {
                    agent_id: AgentId(2),
                    agent: declaration(),
                }),
            ),
            request_input(
                2,
                true,
                &entry(Command::RemoveAgent {
                    agent_id: AgentId(2),
                }),
            ),
            request_input(
                2,
                true,
                &entry(Command::TextLeave {
                    agent_id: AgentId(2),
                    member_id: MemberId("m".to_owned()),
                }),
            ),
            request_input(3, false, &join),
            request_input(3, true, &join),
            request_input(4, true, &serde_json::json!({"csr_pem": join.csr_pem})),
            request_input(0, true, &raft_vote()),
            request_input(0, true, &raft_append()),
        ],
        pieces: &[
            "{\"",
            "\":",
            "null",
            "[[[[[[[[",
            "{\"kind\":\"",
            "agent_id",
            "incarnation",
            "own",
            "contacts",
            "relayed",
            "process",
            "command",
            "set_members",
            "join",
            "found",
            "Append",
            "Vote",
            "Snapshot",
            "\\u0000",
            "\\ud800",
            "-----BEGIN CERTIFICATE REQUEST-----",
            "csr_pem",
            "token_secret",
            "1e400",
            "true",
        ],
        bytes_max: 64 << 10,
    }
    .run(|input| {
        let Some((first, body)) = input.split_first() else {
            return "empty".to_owned();
        };
        let route = Route::ALL[usize::from(first / 2) % Route::ALL.len()];
        let from = (first % 2 == 1).then_some(AgentId(2));
        match request::decode(route, from, body) {
            Ok(request) => {
                // What is let through must be whole: whoever speaks is who the certificate says.
                assert!(from.is_some() || route == Route::Join);
                format!("{} taken", what(&request))
            }
            Err(refusal) => {
                assert!(!refusal.sentence.is_empty());
                format!("{route:?} {:?}: {}", refusal.kind, word(&refusal))
            }
        }
    });
    assert!(found.words > 10 && found.tried > 100, "{found:?}");
}

/// What was taken, without what varies.
fn what(request: &Request) -> String {
    match request {
        Request::Raft(rpc) => format!("raft {}", rpc.kind()),
        Request::Heartbeat(heartbeat) => format!(
            "heartbeat {} {}",
            heartbeat.own.is_some(),
            heartbeat.relayed.len().min(3)
        ),
        Request::Propose(entry) => {
            let command = serde_json::to_value(&entry.command).unwrap();
            format!("propose {}", command["kind"])
        }
        Request::Join(_) => "join".to_owned(),
        Request::Renew(_) => "renew".to_owned(),
    }
}

fn answer<T: DeserializeOwned + std::fmt::Debug>(body: &[u8]) -> String {
    match serde_json::from_slice::<T>(body) {
        Ok(answer) => {
            // Printing it must be survived too.
            let _ = format!("{answer:?}");
            "taken".to_owned()
        }
        Err(error) => word(&error),
    }
}

#[test]
fn fuzz_peer_answer() {
    let seed = |kind: u8, body: serde_json::Value| {
        let mut input = vec![kind];
        input.extend(body.to_string().into_bytes());
        input
    };
    let applied = ProposeReply::Applied {
        index: 1,
        outcome: Outcome::Unchanged,
    };
    let found = Target {
        name: "peer_answer",
        seeds: vec![
            seed(0, serde_json::to_value(heartbeat()).unwrap()),
            seed(1, serde_json::to_value(applied).unwrap()),
            seed(2, serde_json::json!({"agent_id": 2, "certificate_pem": "", "ca_pem": "", "cluster_id": CLUSTER,
                "cluster_name": "c", "peers": [[1, "db1:7400"]]})),
            seed(3, serde_json::json!({"certificate_pem": ""})),
            seed(4, serde_json::json!({"error": "a sentence", "kind": "not_leader", "leader": 3})),
            seed(5, serde_json::json!({"Vote": {"vote": raft_vote()["Vote"]["vote"], "vote_granted": true,
                "last_log_id": null}})),
            seed(6, raft_vote()),
            seed(6, raft_append()),
        ],
        pieces: &["{\"", "\":", "null", "[[[[[[", "reply", "applied", "outcome", "changed", "refused", "kind", "leader",
            "Vote", "Append", "peers", "\\u0000", "error"],
        bytes_max: 16 << 10,
    }
    .run(|input| {
        let Some((first, body)) = input.split_first() else {
            return "empty".to_owned();
        };
        match first % 7 {
            0 => answer::<Heartbeat>(body),
            1 => answer::<ProposeReply>(body),
            2 => answer::<JoinReply>(body),
            3 => answer::<RenewReply>(body),
            4 => answer::<Refusal>(body),
            5 => answer::<RaftReply>(body),
            _ => answer::<RaftRpc>(body),
        }
    });
    assert!(found.words > 10 && found.tried > 100, "{found:?}");
}

#[test]
fn fuzz_token() {
    let ca = authority::found(CLUSTER).unwrap().certificate_pem;
    let token = Token::create(CLUSTER, &ca).unwrap().to_string();
    let found = Target {
        name: "token",
        seeds: vec![
            token.clone().into_bytes(),
            token.replace("muster1", "muster2").into_bytes(),
            token.as_bytes()[..50].to_vec(),
            b"K10abc::server:0123".to_vec(),
        ],
        pieces: &[
            "muster1-", "muster", "-", "_", "\u{feff}", "\r\n", "é", "AAAA", "=", " ",
        ],
        bytes_max: 4 << 10,
    }
    .run(|input| match std::str::from_utf8(input) {
        Err(_) => "not text".to_owned(),
        Ok(text) => match text.parse::<Token>() {
            Ok(token) => {
                assert_eq!(token.to_string(), text.trim());
                "taken".to_owned()
            }
            Err(error) => word(&error),
        },
    });
    assert!(found.words >= 6 && found.tried > 100, "{found:?}");
}

#[test]
fn fuzz_certificate() {
    let authority = authority::found(CLUSTER).unwrap();
    let signer = Signer::load(&authority, CLUSTER).unwrap();
    let csr = csr();
    let own = signer.sign(&csr, AgentId(2)).unwrap();
    let ca = certificate::from_pem(&authority.certificate_pem).unwrap();
    let der = certificate::from_pem(&own).unwrap();
    let tagged = |kind: u8, bytes: &[u8]| {
        let mut input = vec![kind];
        input.extend_from_slice(bytes);
        input
    };
    let csr_der = STANDARD
        .decode(
            csr.lines()
                .filter(|line| !line.starts_with('-'))
                .collect::<String>(),
        )
        .unwrap();
    let found = Target {
        name: "certificate",
        seeds: vec![
            tagged(0, &der),
            tagged(0, &ca),
            tagged(1, own.as_bytes()),
            tagged(2, csr.as_bytes()),
            tagged(3, &csr_der),
            tagged(4, b"muster://6f1c1f0e/agent/1"),
        ],
        pieces: &[
            "muster://",
            "/agent/",
            "-----BEGIN CERTIFICATE-----",
            "\n",
            "\u{0}",
            "18446744073709551615",
        ],
        bytes_max: 8 << 10,
    }
    .run(|input| {
        let Some((first, body)) = input.split_first() else {
            return "empty".to_owned();
        };
        let text = String::from_utf8_lossy(body);
        match first % 5 {
            0 => {
                let der = body.to_vec().into();
                let read = certificate::read(&der).map(|said| said.identity);
                let believed = muster_agent::peer::verify::check(&der, &ca, CLUSTER);
                // Whatever else is read, only what the authority signed is believed.
                if let Ok(said) = &believed {
                    assert_eq!(said.identity.agent_id, AgentId(2));
                }
                format!(
                    "{:?} {}",
                    read.is_ok(),
                    believed.map_or_else(|e| word(&e), |_| "believed".to_owned())
                )
            }
            1 => {
                certificate::pem_fingerprint(&text).map_or_else(|e| word(&e), |_| "read".to_owned())
            }
            2 => fingerprint(&text),
            3 => fingerprint(&format!(
                "-----BEGIN CERTIFICATE REQUEST-----\n{}\n-----END CERTIFICATE REQUEST-----\n",
                STANDARD.encode(body)
            )),
            _ => match PeerIdentity::parse(&text) {
                Some(identity) => {
                    assert_eq!(identity.to_string(), text);
                    "an identity".to_owned()
                }
                None => "none".to_owned(),
            },
        }
    });
    assert!(found.words >= 5 && found.tried > 100, "{found:?}");
}

fn fingerprint(csr: &str) -> String {
    authority::csr_key_fingerprint(csr).map_or_else(|e| word(&e), |_| "taken".to_owned())
}
