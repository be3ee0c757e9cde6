//! Every command against an agent on a real socket: what it prints, what it says when it fails, and how it exits.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clap::{CommandFactory, Parser};

use super::*;
use crate::control::Refusal;
use crate::control::fake::{Fake, Served, cluster};

/// What came of a command.
struct Ran {
    status: u8,
    out: String,
    err: String,
}

/// Runs `muster ARGUMENTS` with this socket in its variable.
async fn muster_with(socket: &Path, style: Style, arguments: &[&str]) -> Ran {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let status = match Cli::try_parse_from(["muster"].iter().chain(arguments)) {
        Ok(cli) => run(cli, Some(socket.into()), style, &mut out, &mut err).await,
        Err(e) => {
            err.extend(e.to_string().bytes());
            u8::try_from(e.exit_code()).unwrap()
        }
    };
    Ran {
        status,
        out: String::from_utf8(out).unwrap(),
        err: String::from_utf8(err).unwrap(),
    }
}

async fn muster(served: &Served, arguments: &[&str]) -> Ran {
    muster_with(&served.socket, Style::default(), arguments).await
}

/// The output of a command that must succeed silently.
async fn shown(served: &Served, arguments: &[&str]) -> String {
    let ran = muster(served, arguments).await;
    assert_eq!((ran.status, ran.err.as_str()), (0, ""), "{arguments:?}");
    ran.out
}

#[tokio::test]
async fn looking_at_a_cluster() {
    let served = Served::new(Fake::cluster()).await;
    insta::assert_snapshot!("status", shown(&served, &["status"]).await);
    insta::assert_snapshot!("members", shown(&served, &["members"]).await);
    insta::assert_snapshot!("agents", shown(&served, &["agents"]).await);
    insta::assert_snapshot!("events", shown(&served, &["events"]).await);
    insta::assert_snapshot!("config_get", shown(&served, &["config", "get"]).await);
    assert_eq!(
        shown(&served, &["config", "get", "voters_max"]).await,
        "5\n"
    );
}

#[tokio::test]
async fn looking_where_there_is_no_cluster_says_what_to_do() {
    let served = Served::new(Fake::empty()).await;
    insta::assert_snapshot!("status_without_cluster", shown(&served, &["status"]).await);
    insta::assert_snapshot!(
        "members_without_cluster",
        shown(&served, &["members"]).await
    );
    insta::assert_snapshot!("agents_without_cluster", shown(&served, &["agents"]).await);
    insta::assert_snapshot!("events_without_cluster", shown(&served, &["events"]).await);
}

#[tokio::test]
async fn colour_and_width_of_a_terminal() {
    let served = Served::new(Fake::cluster()).await;
    let terminal = |colour, width| Style {
        colour,
        width: Some(width),
    };
    let wide = muster_with(&served.socket, terminal(true, 200), &["members"]).await;
    assert!(wide.out.contains("\u{1b}["), "{}", wide.out);
    for width in [200, 120, 80, 40, 1] {
        let plain = muster_with(&served.socket, terminal(false, width), &["members"]).await;
        assert!(!plain.out.contains('\u{1b}'), "{}", plain.out);
        assert!(plain.out.contains("db"), "{}", plain.out);
    }
}

#[tokio::test]
async fn only_sentences_wrap() {
    let served = Served::new(Fake::cluster()).await;
    let style = Style {
        colour: false,
        width: Some(105),
    };
    let ran = muster_with(&served.socket, style, &["members"]).await;
    insta::assert_snapshot!("members_narrow", ran.out);
}

#[tokio::test]
async fn status_says_what_is_not_protected() {
    let mut picture = cluster();
    Arc::make_mut(&mut picture.observed).quorum = false;
    Arc::make_mut(&mut picture.observed).leader_agent_id = None;
    let view = Arc::make_mut(&mut picture.view);
    view.agents.truncate(2);
    view.primary_member_id = None;
    let served = Served::new(Fake::showing(picture)).await;
    insta::assert_snapshot!("status_unprotected", shown(&served, &["status"]).await);
}

#[tokio::test]
async fn a_hostile_row_cannot_drive_the_terminal() {
    let mut picture = cluster();
    let observed = Arc::make_mut(&mut picture.observed);
    observed.members[2].last_error = Some("\u{1b}]0;owned\u{7}\u{1b}[2J\nroot# rm -rf /".into());
    observed.summary = "\u{1b}[8mhidden".into();
    let fake = Fake::showing(picture);
    fake.happens("MEMBER_STATE", Some("m3"), "\u{9b}31m\u{202e}reversed");
    let served = Served::new(fake).await;
    for command in ["status", "members", "events"] {
        let out = shown(&served, &[command]).await;
        assert!(
            !out.contains(|c: char| c.is_control() && c != '\n'),
            "{out:?}"
        );
        assert!(!out.contains('\u{202e}'));
        assert!(!out.contains("\nroot#"));
    }
}

#[tokio::test]
async fn programs_get_the_column_names_of_the_tables() {
    let served = Served::new(Fake::cluster()).await;
    let json = async |arguments: &[&str]| -> serde_json::Value {
        let out = shown(&served, arguments).await;
        assert_eq!(out.lines().count(), 1);
        serde_json::from_str(&out).unwrap()
    };
    let names =
        |row: &serde_json::Value| row.as_object().unwrap().keys().cloned().collect::<Vec<_>>();

    let members = json(&["members", "--json"]).await;
    let mut expected = [
        "view_id",
        "member_id",
        "member_name",
        "member_host",
        "member_port",
        "member_state",
        "member_role",
        "writable",
        "epoch",
        "draining",
        "site",
        "priority",
        "server_version",
        "agent_id",
        "replication_lag_ms",
        "gtid_executed",
        "threads_connected",
        "threads_running",
        "queries_per_second",
        "heartbeat_ttl_ms",
        "heartbeat_age_ms",
        "last_heartbeat",
        "last_error",
    ];
    expected.sort_unstable();
    assert_eq!(names(&members["members"][0]), expected);
    assert_eq!(members["members"][1]["replication_lag_ms"], 15);
    assert_eq!(
        members["members"][0]["replication_lag_ms"],
        serde_json::Value::Null
    );
    assert_eq!(members["members"][0]["writable"], true);

    let agents = json(&["agents", "--json"]).await;
    let mut expected = [
        "agent_id",
        "agent_name",
        "address",
        "site",
        "agent_role",
        "agent_state",
        "agent_version",
        "member_id",
        "last_contact_ms",
    ];
    expected.sort_unstable();
    assert_eq!(names(&agents["agents"][3]), expected);

    let events = json(&["events", "--json"]).await;
    assert_eq!(events["events"][1]["state"], "UNREACHABLE");
    assert_eq!(
        events["events"][1]["event_time"],
        "2026-11-20T17:06:47.002000Z"
    );
    let status = json(&["status", "--json"]).await;
    assert_eq!(status["agent_leader"], "db2");
    assert_eq!(
        json(&["config", "get", "--json"]).await["heartbeat_ttl_ms"],
        "2000"
    );
    assert_eq!(
        json(&["token", "create", "--json"]).await["token"],
        "muster1-next"
    );
    assert_eq!(json(&["init", "--json"]).await["token"], "muster1-first");
    assert_eq!(
        json(&["join", "--token", "t", "db1", "--json"]).await["agent_id"],
        5
    );
}

#[tokio::test]
async fn every_action_says_what_was_done() {
    let fake = Fake::cluster();
    let served = Served::new(fake.clone()).await;
    insta::assert_snapshot!(
        "init",
        shown(&served, &["init", "--cluster", "orders"]).await
    );
    let init = shown(&served, &["init"]).await;
    assert_eq!(init.lines().last(), Some("muster1-first"));
    let token = muster(&served, &["token", "create"]).await;
    assert_eq!((token.status, token.out.as_str()), (0, "muster1-next\n"));
    assert_eq!(
        token.err,
        "It brings in one host within 60 min: muster join --token TOKEN HOST:PORT\n"
    );
    let lines = [
        (
            &["join", "--token", "t1", "db1.example.net"][..],
            "This host belongs to 'orders' now, as agent 5.\n",
        ),
        (
            &["join", "--arbitrator", "db1:7500", "--token", "t2"],
            "This host belongs to 'orders' now, as agent 5, an arbitrator.\n",
        ),
        (&["leave"], "This host has left 'orders'.\n"),
        (&["remove", "db3"], "'db3' is forgotten.\n"),
        (
            &["config", "set", "voters_max", "3"],
            "voters_max is now 3.\n",
        ),
        (
            &["recover", "--force"],
            "A new group of this host alone goes on.\n",
        ),
    ];
    for (arguments, expected) in lines {
        assert_eq!(shown(&served, arguments).await, expected);
    }
    assert_eq!(
        fake.asked(),
        [
            "init orders",
            "init muster",
            "token",
            "join t1 db1.example.net:7400 false",
            "join t2 db1:7500 true",
            "leave",
            "remove db3",
            "config set voters_max 3",
            "recover true",
        ]
    );
}

#[tokio::test]
async fn what_the_agent_refuses_is_said_in_its_words() {
    let fake = Fake::cluster();
    fake.refusals.lock().unwrap().push_back(Refusal::refused(
        "this host belongs to 'orders' already: `muster leave` first",
    ));
    let served = Served::new(fake).await;
    let ran = muster(&served, &["init"]).await;
    assert_eq!((ran.status, ran.out.as_str()), (1, ""));
    assert_eq!(
        ran.err,
        "muster: this host belongs to 'orders' already: `muster leave` first\n"
    );
    let ran = muster(&served, &["config", "get", "voters"]).await;
    assert_eq!(ran.status, 1);
    assert_eq!(
        ran.err,
        "muster: there is no setting 'voters'; there are heartbeat_ttl_ms, voters_max\n"
    );
}

#[tokio::test]
async fn without_an_agent_every_command_says_how_to_start_it() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("none.sock");
    let expected = format!(
        "muster: no agent answers at {}: start it with `systemctl start muster` or name its socket with --control-socket\n",
        socket.display()
    );
    let commands: [&[&str]; 13] = [
        &["init"],
        &["token", "create"],
        &["join", "--token", "t", "db1"],
        &["leave"],
        &["remove", "db3"],
        &["recover", "--force"],
        &["status"],
        &["members", "--json"],
        &["agents"],
        &["events"],
        &["events", "--follow"],
        &["config", "get"],
        &["config", "set", "a", "b"],
    ];
    for command in commands {
        let ran = muster_with(&socket, Style::default(), command).await;
        assert_eq!((ran.status, ran.out.as_str()), (1, ""), "{command:?}");
        assert_eq!(ran.err, expected, "{command:?}");
    }
}

#[tokio::test]
async fn the_option_wins_over_the_variable_wherever_it_stands() {
    let served = Served::new(Fake::cluster()).await;
    let socket = served.socket.to_str().unwrap();
    let elsewhere = Path::new("/nonexistent/control.sock");
    for arguments in [
        ["--control-socket", socket, "status", "--json"],
        ["status", "--json", "--control-socket", socket],
    ] {
        let ran = muster_with(elsewhere, Style::default(), &arguments).await;
        assert_eq!(ran.status, 0, "{}", ran.err);
    }
    let ran = muster_with(elsewhere, Style::default(), &["status"]).await;
    assert!(ran.err.contains("/nonexistent/control.sock"), "{}", ran.err);
}

#[tokio::test]
async fn wrong_usage_is_status_2() {
    let served = Served::new(Fake::cluster()).await;
    let cases: [&[&str]; 10] = [
        &[],
        &["statsu"],
        &["status", "--jsno"],
        &["token"],
        &["join", "db1:7400"],
        &["join", "--token", "t"],
        &["join", "--token", " ", "db1"],
        &["remove"],
        &["config", "set", "voters_max"],
        &["recover"],
    ];
    for arguments in cases {
        let ran = muster(&served, arguments).await;
        assert_eq!(
            (ran.status, ran.out.as_str()),
            (2, ""),
            "{arguments:?}: {}",
            ran.err
        );
        assert!(!ran.err.is_empty());
    }
    let ran = muster(&served, &["recover"]).await;
    assert!(ran.err.contains("say so with --force"), "{}", ran.err);
    let ran = muster(&served, &["statsu"]).await;
    assert!(
        ran.err.contains("similar subcommand exists: 'status'"),
        "{}",
        ran.err
    );
}

#[test]
fn the_parser_is_sound_and_its_help_is_known() {
    Cli::command().debug_assert();
    insta::assert_snapshot!("help", Cli::command().term_width(100).render_long_help());
    for name in ["agent", "init", "join", "events", "config"] {
        let mut cli = Cli::command().term_width(100);
        cli.build();
        let help = cli.find_subcommand_mut(name).unwrap().render_long_help();
        insta::assert_snapshot!(format!("help_{name}"), help);
    }
}

#[tokio::test]
async fn completions_and_manual_pages_are_made() {
    let served = Served::new(Fake::empty()).await;
    for shell in ["bash", "zsh", "fish"] {
        let out = shown(&served, &["generate", "completions", shell]).await;
        assert!(
            out.contains("control-socket") && out.contains("members"),
            "{shell}"
        );
    }
    let folder = served.folder().to_str().unwrap();
    shown(&served, &["generate", "man", folder]).await;
    let page = std::fs::read_to_string(served.folder().join("muster-join.1")).unwrap();
    assert!(page.contains("arbitrator"));
    let ran = muster(&served, &["generate", "man", "/nonexistent"]).await;
    assert_eq!(ran.status, 1);
    assert!(
        ran.err
            .starts_with("muster: cannot write manual pages into /nonexistent"),
        "{}",
        ran.err
    );
}

/// What a writer that fails is answered with.
struct Broken(io::ErrorKind);

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(self.0.into())
    }
    fn flush(&mut self) -> io::Result<()> {
        Err(self.0.into())
    }
}

#[tokio::test]
async fn a_reader_that_has_enough_is_no_failure_and_a_full_disk_is_one() {
    let served = Served::new(Fake::cluster()).await;
    for (kind, expected) in [
        (io::ErrorKind::BrokenPipe, 0),
        (io::ErrorKind::StorageFull, 1),
    ] {
        let cli = Cli::try_parse_from(["muster", "members"]).unwrap();
        let mut err = Vec::new();
        let socket = Some(served.socket.clone().into());
        let status = run(cli, socket, Style::default(), &mut Broken(kind), &mut err).await;
        assert_eq!(status, expected);
        assert_eq!(err.is_empty(), expected == 0);
    }
}

/// A writer that a test can read while a command still writes.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shared {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    async fn until(&self, what: &str) {
        let seen = async {
            while !self.text().contains(what) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(10), seen).await;
        assert!(waited.is_ok(), "no '{what}' in: {}", self.text());
    }
}

#[tokio::test]
async fn following_goes_on_over_a_restart_and_misses_nothing() {
    let fake = Fake::cluster();
    let mut served = Served::new(fake.clone()).await;
    let (out, err) = (Shared::default(), Shared::default());
    let (mut to_out, mut to_err) = (out.clone(), err.clone());
    let cli = Cli::try_parse_from(["muster", "events", "--follow", "--json"]).unwrap();
    let socket = Some(served.socket.clone().into());
    let following = run(cli, socket, Style::default(), &mut to_out, &mut to_err);
    let story = async {
        out.until("'muster init' was run").await;
        fake.happens("MEMBER_STATE", Some("m3"), "third");
        out.until("third").await;
        served.stop().await;
        err.until("is away; waiting").await;
        fake.happens("MEMBER_STATE", Some("m3"), "while nobody listened");
        served.start(fake.clone()).await;
        out.until("while nobody listened").await;
        // Another cluster counts from the start.
        let mut other = cluster();
        Arc::make_mut(&mut other.view).cluster_id = "another".into();
        served.stop().await;
        let other = Fake::showing(other);
        other.happens("CLUSTER_FOUNDED", None, "a new beginning");
        served.start(other).await;
        out.until("a new beginning").await;
    };
    tokio::select! {
        status = following => panic!("it ended with {status}: {}", err.text()),
        () = story => {}
    }
    let ids: Vec<u64> = out
        .text()
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["event_id"]
                .as_u64()
                .unwrap()
        })
        .collect();
    assert_eq!(ids, [1, 2, 3, 4, 1]);
    assert_eq!(err.text().matches("is away").count(), 2, "{}", err.text());
}

#[tokio::test]
async fn following_misses_no_event_that_comes_between_the_look_and_its_count() {
    let fake = Fake::empty();
    fake.announce(1);
    let served = Served::new(fake.clone()).await;
    let (mut out, mut err) = (Shared::default(), Shared::default());
    let (seen, said) = (out.clone(), err.clone());
    let cli = Cli::try_parse_from(["muster", "events", "--follow"]).unwrap();
    let socket = Some(served.socket.clone().into());
    let story = async {
        // The first look is over when the second one waits.
        while fake.looks.load(std::sync::atomic::Ordering::SeqCst) < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        fake.happens("CLUSTER_FOUNDED", None, "the first of all");
        seen.until("the first of all").await;
    };
    tokio::select! {
        status = run(cli, socket, Style::default(), &mut out, &mut err) => panic!("it ended with {status}: {}", said.text()),
        () = story => {}
    }
}

#[tokio::test]
async fn following_for_people_is_a_line_per_event() {
    let fake = Fake::cluster();
    let served = Served::new(fake.clone()).await;
    let (mut out, mut err) = (Shared::default(), Shared::default());
    let seen = out.clone();
    let cli = Cli::try_parse_from(["muster", "events", "-f", "-n", "1"]).unwrap();
    let socket = Some(served.socket.clone().into());
    tokio::select! {
        status = run(cli, socket, Style::default(), &mut out, &mut err) => panic!("it ended with {status}"),
        () = seen.until("have no report") => {}
    }
    insta::assert_snapshot!("events_follow", seen.text());
}

#[tokio::test]
async fn following_into_a_closed_pipe_ends_quietly() {
    let served = Served::new(Fake::cluster()).await;
    let cli = Cli::try_parse_from(["muster", "events", "--follow"]).unwrap();
    let mut err = Vec::new();
    let socket = Some(served.socket.clone().into());
    let mut closed = Broken(io::ErrorKind::BrokenPipe);
    let status = run(cli, socket, Style::default(), &mut closed, &mut err).await;
    assert_eq!((status, err.len()), (0, 0));
}

#[tokio::test]
async fn install_without_a_server_says_what_to_name() {
    let served = Served::new(Fake::empty()).await;
    for command in ["install", "uninstall"] {
        let ran = muster(&served, &[command, "--socket", "/nonexistent/mysqld.sock"]).await;
        assert_eq!((ran.status, ran.out.as_str()), (1, ""), "{}", ran.err);
        assert!(
            ran.err.starts_with(
                "muster: cannot connect to the server at /nonexistent/mysqld.sock as root: "
            ),
            "{}",
            ran.err
        );
        assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
    }
    let ran = muster(&served, &["install", "--password", "secret"]).await;
    assert_eq!(ran.status, 2, "a password never stands on a command line");
}

#[test]
fn the_guide_names_every_command() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/guide/commands.md");
    let guide = std::fs::read_to_string(path).unwrap();
    for command in Cli::command().get_subcommands() {
        let name = format!("`muster {}", command.get_name());
        assert!(guide.contains(&name), "the guide does not name {name}");
    }
}
