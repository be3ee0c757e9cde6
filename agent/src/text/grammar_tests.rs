use super::*;
use proptest::prelude::*;

fn error(line: &str) -> String {
    parse(line.as_bytes()).unwrap_err().to_string()
}

fn address(host: &str, port: u16) -> Address {
    Address {
        host: host.to_owned(),
        port,
    }
}

fn row(agent_id: u64, host: &str, port: u16, role: MemberRole, ttl_s: u64, us: i64) -> Row {
    Row {
        agent_id,
        host: host.to_owned(),
        port,
        status: Status::On,
        role,
        ttl_s,
        last_heartbeat_us: Some(us),
    }
}

/// 2026-11-20T17:06:47.5Z
const WHEN_US: i64 = 1_795_194_407_500_000;

#[test]
fn every_line_of_the_contract() {
    assert_eq!(
        error("join\n"),
        "2 Wrong number of parameters, syntax: join <host> <port> <status> <role>"
    );
    assert_eq!(
        parse(b"join 127.0.0.1 3305 on master\n"),
        Ok(Request::Join {
            address: address("127.0.0.1", 3305),
            status: Status::On,
            role: MemberRole::Primary
        })
    );
    assert_eq!(Answer::Ok.to_string(), "0 OK\n");
    assert_eq!(
        parse(b"heartbeat 127.0.0.1 3305 on\r\n"),
        Ok(Request::Heartbeat {
            address: address("127.0.0.1", 3305),
            status: Status::On
        })
    );
    let first = row(7, "127.0.0.1", 3305, MemberRole::Primary, 30, WHEN_US);
    assert_eq!(
        Answer::Rows(vec![first.clone()]).to_string(),
        "0 7 127.0.0.1 3305 on master 30 2026-11-20T17:06:47Z\n"
    );
    assert_eq!(parse(b"serverlist\n"), Ok(Request::ServerList));
    let second = row(
        9,
        "10.0.0.8",
        3306,
        MemberRole::Replica,
        2,
        WHEN_US - 1_000_000,
    );
    assert_eq!(
        Answer::Rows(vec![first, second]).to_string(),
        "0 7 127.0.0.1 3305 on master 30 2026-11-20T17:06:47Z\n9 10.0.0.8 3306 on slave 2 2026-11-20T17:06:46Z\n"
    );
    assert_eq!(
        parse(b"leave 127.0.0.1 3305\n"),
        Ok(Request::Leave {
            address: address("127.0.0.1", 3305)
        })
    );
    assert_eq!(error("elephant\n"), "1 Invalid command");
    assert_eq!(
        error("join h 1 up master\n"),
        "3 Unknown status 'up', syntax: join <host> <port> <status> <role>"
    );
    assert_eq!(
        error("heartbeat h 1 up\n"),
        "3 Unknown status 'up', syntax: heartbeat <host> <port> <status>"
    );
    assert_eq!(
        error("join h 1 on king\n"),
        "4 Unknown role 'king', syntax: join <host> <port> <status> <role>"
    );
}

#[test]
fn every_status_and_role_in_any_case() {
    for (word, state, draining) in [
        ("on", MemberState::Online, false),
        ("OFF", MemberState::Offline, false),
        ("Starting", MemberState::Starting, false),
        ("stopping", MemberState::Stopping, false),
        ("StandBy", MemberState::Online, true),
    ] {
        for (role_word, role) in [
            ("master", MemberRole::Primary),
            ("SLAVE", MemberRole::Replica),
            ("standalone", MemberRole::Standalone),
            ("Primary", MemberRole::Primary),
            ("replica", MemberRole::Replica),
        ] {
            let line = format!("JOIN\tdb1   3306 {word} {role_word} \r\n");
            match parse(line.as_bytes()) {
                Ok(Request::Join {
                    status, role: r, ..
                }) => {
                    assert_eq!((status.state(), r), ((state, draining), role));
                    assert_eq!(Status::of(state, draining), status);
                    assert_eq!(status.word(), word.to_ascii_lowercase());
                }
                other => panic!("{line:?}: {other:?}"),
            }
        }
    }
    assert_eq!(role_word(MemberRole::Primary), "master");
    assert_eq!(role_word(MemberRole::Replica), "slave");
    assert_eq!(role_word(MemberRole::Standalone), "standalone");
}

#[test]
fn states_without_an_old_word_say_whether_the_server_is_of_use() {
    assert_eq!(
        Status::of(MemberState::Recovering, false).word(),
        "starting"
    );
    assert_eq!(Status::of(MemberState::Error, true).word(), "off");
    assert_eq!(Status::of(MemberState::Unreachable, false).word(), "off");
}

#[test]
fn numbers_of_parameters_are_checked_first() {
    for (line, command) in [
        ("join h 1 on", Command::Join),
        ("join h 1 on master x", Command::Join),
        ("heartbeat h 1", Command::Heartbeat),
        ("heartbeat h 1 on master", Command::Heartbeat),
        ("serverlist all", Command::ServerList),
        ("leave h", Command::Leave),
        ("leave", Command::Leave),
    ] {
        let error = parse(format!("{line}\n").as_bytes()).unwrap_err();
        assert_eq!(error, Error::WrongNumber(command), "{line}");
    }
    assert_eq!(
        error("serverlist x\n"),
        "2 Wrong number of parameters, syntax: serverlist"
    );
}

#[test]
fn blanks_only_and_nothing_are_no_command() {
    for line in ["\n", "\r\n", "   \t \n", "joinx h 1 on master\n", "\0\n"] {
        assert_eq!(error(line), "1 Invalid command", "{line:?}");
    }
}

#[test]
fn hosts_and_ports_must_be_some() {
    for port in ["0", "65536", "-1", "+1", "3306x", "999999999999999999999"] {
        assert!(
            error(&format!("leave h {port}\n")).starts_with("5 "),
            "{port}"
        );
    }
    for host in ["a'b", "a\u{1b}[2J", "é", "a;b", &"h".repeat(256)] {
        assert!(
            error(&format!("leave {host} 1\n")).starts_with("5 "),
            "{host}"
        );
    }
    for host in [
        "db-1.example.org",
        "::1",
        "[fe80::1%eth0]",
        "10.0.0.8",
        &"h".repeat(255),
    ] {
        assert!(
            parse(format!("leave {host} 1\n").as_bytes()).is_ok(),
            "{host}"
        );
    }
}

#[test]
fn a_request_has_at_most_512_bytes_and_ends_with_a_line_end() {
    let padded = |bytes: usize| format!("serverlist{}\n", " ".repeat(bytes - 11));
    assert!(parse(padded(512).as_bytes()).is_ok());
    assert_eq!(
        error(&padded(513)),
        "5 The request is longer than 512 bytes"
    );
    assert_eq!(
        error(&"x".repeat(512)),
        "5 The request is longer than 512 bytes"
    );
    assert_eq!(
        error("serverlist"),
        "5 The request does not end with a line end"
    );
    assert_eq!(error(""), "5 The request does not end with a line end");
    assert_eq!(
        parse(b"serverlist\njoin h 1 on master\n"),
        Ok(Request::ServerList)
    );
}

#[test]
fn what_is_repeated_is_printable() {
    assert_eq!(
        error("join h 1 \u{1b}[31mup\u{7} master\n"),
        "3 Unknown status '?[31mup?', syntax: join <host> <port> <status> <role>"
    );
    assert_eq!(Error::other("two\r\nlines").to_string(), "5 two  lines");
}

#[test]
fn an_unknown_time_is_a_dash_and_no_server_is_an_empty_first_line() {
    for us in [None, Some(i64::MAX), Some(i64::MIN)] {
        assert_eq!(timestamp(us), "-");
    }
    assert_eq!(timestamp(Some(-1)), "1969-12-31T23:59:59Z");
    assert_eq!(Answer::Rows(vec![]).to_string(), "0 \n");
}

fn any_status() -> impl Strategy<Value = Status> {
    prop::sample::select(Status::WORDS.map(|(_, status)| status).to_vec())
}

fn any_role() -> impl Strategy<Value = MemberRole> {
    prop::sample::select(ROLES.map(|(_, role)| role).to_vec())
}

proptest! {
    /// Whatever comes, the answer is one line with a code, printable, and not endlessly long.
    #[test]
    fn any_bytes_give_a_request_or_one_clean_line(bytes in prop::collection::vec(any::<u8>(), 0..700)) {
        if let Err(error) = parse(&bytes) {
            let line = Answer::Error(error).to_string();
            prop_assert!(line.ends_with('\n') && line.lines().count() == 1);
            prop_assert!(line.chars().filter(|c| *c != '\n').all(|c| !c.is_control()));
            prop_assert!(('1'..='5').contains(&line.chars().next().unwrap()) && line[1..].starts_with(' '));
            prop_assert!(line.len() < 700);
        }
    }

    /// The same with bytes that look more like requests.
    #[test]
    fn near_misses_give_a_request_or_one_clean_line(
        words in prop::collection::vec("(join|heartbeat|serverlist|leave|on|master|3306|::1|[ -~]{0,12}|\\PC{0,4})", 0..8),
        end in "(\n|\r\n|)",
    ) {
        let line = words.join(" ") + &end;
        if let Err(error) = parse(line.as_bytes()) {
            prop_assert_eq!(Answer::Error(error).to_string().lines().count(), 1);
        }
    }

    /// A well-formed join is understood however it is spaced and spelled.
    #[test]
    fn a_join_is_read_back(
        host in "[a-z0-9][a-z0-9.-]{0,60}",
        port in 1u16..,
        status in any_status(),
        role in any_role(),
        upper in any::<bool>(),
        blanks in "[ \t]{1,5}",
    ) {
        let words = format!("join {host} {port} {} {}", status.word(), role_word(role));
        let words = if upper { words.to_uppercase() } else { words };
        let line = words.replace(' ', &blanks) + "\r\n";
        match parse(line.as_bytes()) {
            Ok(Request::Join { address, status: s, role: r }) => {
                prop_assert!(address.host.eq_ignore_ascii_case(&host));
                prop_assert_eq!((address.port, s, r), (port, status, role));
            }
            other => prop_assert!(false, "{:?}", other),
        }
    }

    /// A row has seven words, whatever is in it.
    #[test]
    fn a_row_has_seven_words(
        host in "[a-z0-9.:-]{1,40}",
        port in any::<u16>(),
        agent_id in any::<u64>(),
        ttl_s in any::<u64>(),
        us in any::<Option<i64>>(),
        status in any_status(),
        role in any_role(),
    ) {
        let row = Row { agent_id, host, port, status, role, ttl_s, last_heartbeat_us: us };
        prop_assert_eq!(row.to_string().split(' ').filter(|word| !word.is_empty()).count(), 7);
    }
}
