//! The program itself, as a person runs it: exit status, who may act, and the terminal given back.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use muster_lab::agent::{Agent, AgentOptions};
use muster_lab::{artifacts, not_run, or_not_run};

const LIMIT: Duration = Duration::from_secs(20);

fn run(program: &Path, socket: &Path, arguments: &[&str]) -> Output {
    Command::new(program)
        .args(arguments)
        .env("MUSTER_CONTROL_SOCKET", socket)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_status_and_sentences_of_the_program() {
    let program = or_not_run!(
        "exit_status_and_sentences_of_the_program",
        artifacts::agent()
    );
    let agent = Agent::start(AgentOptions::new("db1", &program))
        .await
        .unwrap();
    let socket = agent.control_socket();
    let cases: [(&[&str], i32, &str); 8] = [
        (&["members"], 0, ""),
        (&["leave"], 1, "muster: "),
        (&["init", "--cluster", "shop"], 0, ""),
        (&["init"], 1, "already"),
        (
            &["config", "set", "voters_max", "4"],
            1,
            "it takes 1, 3, 5 or 7",
        ),
        (&["remove", "db1"], 1, "muster leave"),
        (&["recover"], 2, "say so with --force"),
        (&["statsu"], 2, "'status'"),
    ];
    for (arguments, status, said) in cases {
        let output = run(&program, &socket, arguments);
        let err = text(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {err}");
        assert!(err.contains(said), "{arguments:?}: {err}");
        assert_eq!(err.is_empty(), status == 0, "{arguments:?}: {err}");
        if status == 1 {
            assert_eq!(err.lines().count(), 1, "one sentence: {err}");
        }
    }
    let status = run(&program, &socket, &["status", "--json"]);
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(status["cluster_name"], "shop");
    assert_eq!(status["quorum"], true);
    agent.stop().await.unwrap();
    let gone = run(&program, &socket, &["status"]);
    assert_eq!(gone.status.code(), Some(1));
    assert!(
        text(&gone.stderr).starts_with("muster: no agent answers at "),
        "{}",
        text(&gone.stderr)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn another_user_may_look_and_not_act() {
    const TEST: &str = "another_user_may_look_and_not_act";
    const NOBODY: &str = "65534";
    let program = or_not_run!(TEST, artifacts::agent());
    if !rustix::process::geteuid().is_root() {
        not_run::skip(
            TEST,
            "only root can become another user; control::tests asks the routes as one",
        );
        return;
    }
    let agent = Agent::start(AgentOptions::new("db1", &program))
        .await
        .unwrap();
    // The lab's folders are private: the other user is let through to the socket and to a copy of the program.
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("muster");
    fs::copy(&program, &copy).unwrap();
    let socket = agent.control_socket();
    for path in [folder.path(), socket.parent().unwrap()] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let as_nobody = |arguments: &[&str]| {
        Command::new("setpriv")
            .args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "--"])
            .arg(&copy)
            .args(arguments)
            .arg("--control-socket")
            .arg(&socket)
            .output()
            .unwrap()
    };
    let look = as_nobody(&["status"]);
    if text(&look.stderr).contains("you may not reach") {
        not_run::skip(
            TEST,
            "another user cannot reach the folder for temporary files; set TMPDIR to one it can reach",
        );
        return;
    }
    assert_eq!(look.status.code(), Some(0), "{}", text(&look.stderr));
    for action in [
        &["init"][..],
        &["leave"],
        &["token", "create"],
        &["config", "set", "voters_max", "3"],
    ] {
        let act = as_nobody(action);
        let err = text(&act.stderr);
        assert_eq!(act.status.code(), Some(1), "{action:?}: {err}");
        assert!(
            err.starts_with("muster: user 65534 may look and not act: become root"),
            "{action:?}: {err}"
        );
    }
    let own = run(&program, &socket, &["init"]);
    assert_eq!(own.status.code(), Some(0), "{}", text(&own.stderr));
}

/// Runs `muster watch` on a terminal of its own, presses `keys` when the screen stands, and gives all that was written.
fn watched(program: &Path, socket: PathBuf, keys: &[u8]) -> (Option<i32>, String) {
    // A terminal that nobody sits at has no size yet.
    let command = format!(
        "stty rows 24 columns 80 && exec {} watch --control-socket {}",
        program.display(),
        socket.display()
    );
    let mut script = Command::new("script")
        .args([
            "--quiet",
            "--return",
            "--flush",
            "--command",
            &command,
            "/dev/null",
        ])
        .env("TERM", "xterm-256color")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = script.stdin.take().unwrap();
    let mut stdout = script.stdout.take().unwrap();
    let (send, seen) = std::sync::mpsc::channel();
    let reader = std::thread::Builder::new()
        .name("screen".to_owned())
        .spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = stdout.read(&mut bytes) {
                send.send(text(&bytes[..read])).ok();
            }
        })
        .unwrap();
    let mut screen = String::new();
    let started = Instant::now();
    let mut pressed = false;
    while let Ok(more) = seen.recv_timeout(LIMIT.saturating_sub(started.elapsed())) {
        screen.push_str(&more);
        if !pressed && screen.contains("quits") {
            stdin.write_all(keys).unwrap();
            stdin.flush().unwrap();
            pressed = true;
        }
    }
    if script.try_wait().unwrap().is_none() && started.elapsed() >= LIMIT {
        script.kill().unwrap();
    }
    let status = script.wait().unwrap().code();
    reader.join().unwrap();
    (status, screen)
}

#[tokio::test(flavor = "multi_thread")]
async fn watch_takes_the_terminal_and_gives_it_back() {
    const TEST: &str = "watch_takes_the_terminal_and_gives_it_back";
    let program = or_not_run!(TEST, artifacts::agent());
    if Command::new("script").arg("--version").output().is_err() {
        not_run::skip(
            TEST,
            "there is no `script` (package bsdutils); cli::watch::tests draws into memory",
        );
        return;
    }
    let agent = Agent::start(AgentOptions::new("db1", &program))
        .await
        .unwrap();
    let socket = agent.control_socket();
    assert!(run(&program, &socket, &["init"]).status.success());
    for keys in [&b"q"[..], b"\x03", b"\x1b"] {
        let (program, socket) = (program.clone(), socket.clone());
        let keys = keys.to_vec();
        let shown = keys.clone();
        let (status, screen) =
            tokio::task::spawn_blocking(move || watched(&program, socket, &keys))
                .await
                .unwrap();
        assert_eq!(status, Some(0), "{shown:?}: {screen:?}");
        let entered = screen.find("\u{1b}[?1049h");
        let left = screen.rfind("\u{1b}[?1049l");
        assert!(entered.is_some() && entered < left, "{shown:?}: {screen:?}");
        assert!(
            screen.contains("\u{1b}[?25h"),
            "the cursor is shown again: {screen:?}"
        );
        assert!(screen.contains("db1"), "{screen:?}");
    }
    let piped = run(&program, &socket, &["watch"]);
    assert_eq!(piped.status.code(), Some(1));
    assert!(
        text(&piped.stderr).contains("use `muster status`"),
        "{}",
        text(&piped.stderr)
    );
}

/// The one child of a process.
fn child_of(pid: u32) -> Option<u32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    fs::read_to_string(path)
        .ok()?
        .split_ascii_whitespace()
        .next()?
        .parse()
        .ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn watch_ends_with_its_terminal() {
    const TEST: &str = "watch_ends_with_its_terminal";
    let program = or_not_run!(TEST, artifacts::agent());
    let agent = Agent::start(AgentOptions::new("db1", &program))
        .await
        .unwrap();
    let socket = agent.control_socket();
    assert!(run(&program, &socket, &["init"]).status.success());
    let command = format!(
        "stty rows 24 columns 80 && exec {} watch --control-socket {}",
        program.display(),
        socket.display()
    );
    let script = Command::new("script")
        .args(["--quiet", "--flush", "--command", &command, "/dev/null"])
        .env("TERM", "xterm-256color")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut script) = script else {
        not_run::skip(TEST, "there is no `script` (package bsdutils)");
        return;
    };
    let mut screen = String::new();
    let mut stdout = script.stdout.take().unwrap();
    while !screen.contains("quits") {
        let mut bytes = [0; 4096];
        let read = stdout.read(&mut bytes).unwrap();
        assert!(read > 0, "it ended: {screen:?}");
        screen.push_str(&text(&bytes[..read]));
    }
    let watch = child_of(script.id()).unwrap();
    assert!(
        fs::read_to_string(format!("/proc/{watch}/comm"))
            .unwrap()
            .starts_with("muster")
    );
    script.kill().unwrap();
    script.wait().unwrap();
    let begun = Instant::now();
    while fs::exists(format!("/proc/{watch}")).unwrap() {
        assert!(begun.elapsed() < LIMIT, "it goes on without a terminal");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
