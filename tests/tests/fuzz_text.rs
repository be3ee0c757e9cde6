//! What anybody may send to the port of the text protocol.

use muster_agent::text::grammar::{Answer, Request, parse};
use muster_tests::fuzz::Target;

/// The kind of an answer, which is always one clean line.
fn kind(bytes: &[u8]) -> String {
    match parse(bytes) {
        Ok(Request::Join { status, role, .. }) => format!("join {} {role:?}", status.word()),
        Ok(Request::Heartbeat { status, .. }) => format!("heartbeat {}", status.word()),
        Ok(Request::ServerList) => "serverlist".to_owned(),
        Ok(Request::Leave { .. }) => "leave".to_owned(),
        Err(error) => {
            let line = Answer::Error(error).to_string();
            assert_eq!(line.matches('\n').count(), 1, "{line:?}");
            assert!(line.ends_with('\n') && line.len() < 1_000, "{line:?}");
            assert!(line.trim_end().chars().all(|c| !c.is_control()), "{line:?}");
            let code = line.as_bytes()[0];
            assert!(
                (b'1'..=b'5').contains(&code) && line.as_bytes()[1] == b' ',
                "{line:?}"
            );
            // What is said of the input is not told apart, but for the command.
            let syntax = line
                .split(", syntax: ")
                .nth(1)
                .unwrap_or("")
                .split(' ')
                .next();
            let words: Vec<_> = line
                .split(' ')
                .filter(|w| !w.contains('\''))
                .take(3)
                .collect();
            format!("{} {}", words.join(" "), syntax.unwrap_or_default())
        }
    }
}

#[test]
fn fuzz_text() {
    let seeds: [&[u8]; 8] = [
        b"join 127.0.0.1 3305 on master\n",
        b"JOIN db1.example.org 3306 standby replica\r\n",
        b"heartbeat ::1 3305 stopping\n",
        b"serverlist\r\n",
        b"leave 10.0.0.8 3306\n",
        b"join\n",
        b"join h 1 up king\n",
        b"\xff\xfe\0\n",
    ];
    let found = Target {
        name: "text",
        seeds: seeds.iter().map(|seed| seed.to_vec()).collect(),
        pieces: &[
            "join ",
            "heartbeat ",
            "serverlist",
            "leave ",
            " on",
            " off",
            " starting",
            " stopping",
            " standby",
            " master",
            " slave",
            " standalone",
            " primary",
            " replica",
            "\n",
            "\r\n",
            "\r",
            "\t",
            " ",
            "\0",
            "127.0.0.1",
            "65535",
            "65536",
            "0",
            "-1",
            "'",
            "\u{1b}[31m",
            "é",
            "🦀",
            "%",
            "[",
            "]",
        ],
        bytes_max: 2_000,
    }
    .run(kind);
    assert!(found.words > 15, "{found:?}");
}
