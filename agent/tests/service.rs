//! What the agent tells systemd, heard on a real notification socket, and the unit file as systemd reads it.

// All of this program is test; the exception that clippy makes for tests ends at helper functions.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use muster_agent::service::Service;

/// Set in the child that plays the agent.
const CHILD: &str = "MUSTER_TEST_SERVICE";

#[test]
fn service_process() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let service = Service::from_environment().unwrap();
    service.ready("3 members, all well");
    service.status("3 members, all well");
    service.status("2 members\nREADY=0");
    let every = service.watched_every().unwrap();
    // The loop gets round for a while, then hangs.
    for _ in 0..20 {
        service.progress();
        std::thread::sleep(every / 4);
    }
    std::thread::sleep(every * 8);
    service.stopping("SIGTERM");
    std::thread::sleep(Duration::from_millis(200));
    std::process::exit(0);
}

#[test]
fn systemd_hears_readiness_status_a_watchdog_that_follows_the_loop_and_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "service_process", "--nocapture"])
        .env(CHILD, "1")
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "400000")
        .spawn()
        .unwrap();
    let mut heard = Vec::new();
    while heard
        .last()
        .is_none_or(|last: &String| !last.starts_with("STOPPING"))
    {
        let mut buffer = [0; 4_096];
        let read = socket.recv(&mut buffer).unwrap();
        heard.push(String::from_utf8_lossy(&buffer[..read]).into_owned());
    }
    child.wait().unwrap();
    assert_eq!(heard[0], "READY=1\nSTATUS=3 members, all well\n");
    assert_eq!(heard[1], "STATUS=2 members READY=0\n");
    assert_eq!(heard.last().unwrap(), "STOPPING=1\nSTATUS=SIGTERM\n");
    let fed = heard
        .iter()
        .filter(|message| *message == "WATCHDOG=1\n")
        .count();
    // 20 passes of 25 ms at 100 ms between feedings; none while the loop hung for 800 ms.
    assert!((2..=6).contains(&fed), "{heard:?}");
    assert_eq!(fed + 3, heard.len());
}

#[test]
fn the_unit_file_is_one_that_systemd_understands() {
    let unit = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/muster.service");
    let text = std::fs::read_to_string(unit).unwrap();
    for needed in [
        "Type=notify",
        "WatchdogSec=",
        "StateDirectory=muster",
        "StateDirectoryMode=0700",
        "RuntimeDirectory=muster",
        "Restart=on-failure",
        "KillSignal=SIGTERM",
        "NoNewPrivileges=yes",
    ] {
        assert!(
            text.lines().any(|line| line.starts_with(needed)),
            "{needed}"
        );
    }
    // Verified with a program that exists, whatever is installed here.
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("muster.service");
    let runnable = text.replace("/usr/bin/muster agent", "/bin/true agent");
    std::fs::write(&copy, runnable.replace("Documentation=man:muster(1)\n", "")).unwrap();
    match Command::new("systemd-analyze")
        .arg("verify")
        .arg(&copy)
        .output()
    {
        Err(_) => println!("not run: there is no systemd-analyze here"),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let about_ours: Vec<_> = said
                .lines()
                .filter(|line| line.contains("muster.service"))
                .collect();
            assert!(about_ours.is_empty(), "{said}");
        }
    }
}
