//! The server's process: which one is at the other end of the socket, and the moment in which it ends.
//!
//! The kernel says who connected (SO_PEERPIDFD, or SO_PEERCRED and `pidfd_open` where it is older than 6.5), so the pid
//! in the plugin's Hello, which may be one of another namespace, is never needed. A pidfd becomes readable when the
//! last thread of the process has gone; no number can be taken over by another process meanwhile.

use std::fs;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use rustix::thread::{CapabilitySet, capabilities};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::UnixStream;

use super::limits::PROCESS_POLL_EVERY;

/// A process, known so that it cannot be confused with a later one of the same number.
#[derive(Debug)]
pub(super) struct Process {
    /// Its pid here.
    pub(super) pid: u32,
    /// Start time as the kernel counts it, in clock ticks since boot; none where /proc does not show the process.
    pub(super) start_ticks: Option<u64>,
    /// uid of its real user.
    pub(super) uid: u32,
    /// The systemd service it belongs to.
    pub(super) unit: Option<String>,
    pidfd: Option<OwnedFd>,
}

/// What `/proc/PID/stat` says.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    state: char,
    start_ticks: u64,
    /// As `wait` gives it; 0 also where we may not see it.
    exit_code: i32,
}

impl Process {
    /// The process at the other end of `stream`; none where it is gone already, or in a namespace that we cannot see.
    pub(super) fn of_peer(stream: &UnixStream, pid: u32, uid: u32) -> Option<Self> {
        if pid == 0 {
            return None;
        }
        let pidfd = match nix::sys::socket::getsockopt(stream, nix::sys::socket::sockopt::PeerPidfd)
        {
            Ok(pidfd) => Some(pidfd),
            Err(_) => open_pidfd(pid).ok()?,
        };
        let stat = stat(pid);
        Some(Self {
            pid,
            start_ticks: stat.map(|stat| stat.start_ticks),
            uid,
            unit: unit_of(pid),
            pidfd,
        })
    }

    /// The process that had `pid` when it was remembered; none if that one is gone.
    pub(super) fn find(pid: u32, start_ticks: u64, uid: u32) -> Option<Self> {
        let pidfd = open_pidfd(pid).ok()?;
        // Looked at after the pidfd was opened: from here on it is the same process or none.
        let found = stat(pid)?;
        let same = found.start_ticks == start_ticks && !matches!(found.state, 'Z' | 'X');
        same.then(|| Self {
            pid,
            start_ticks: Some(start_ticks),
            uid,
            unit: unit_of(pid),
            pidfd,
        })
    }

    /// Waits until the process is gone. Where the kernel gave no pidfd, looks every [`PROCESS_POLL_EVERY`].
    pub(super) async fn gone(&self) {
        if let Some(pidfd) = self.pidfd.as_ref().and_then(|pidfd| pidfd.try_clone().ok())
            && let Ok(pidfd) = readable(pidfd)
            && pidfd.readable().await.is_ok()
        {
            return;
        }
        while !self.has_gone_by_proc() {
            tokio::time::sleep(PROCESS_POLL_EVERY).await;
        }
    }

    /// Whether it is still there, by a look at /proc.
    pub(super) fn lives(&self) -> bool {
        !self.has_gone_by_proc()
    }

    fn has_gone_by_proc(&self) -> bool {
        stat(self.pid).is_none_or(|now| {
            matches!(now.state, 'Z' | 'X') || Some(now.start_ticks) != self.start_ticks
        })
    }

    /// How it ended, as far as the kernel tells at once: only until its parent has taken note of its end.
    pub(super) fn ending(&self) -> Option<String> {
        let now = stat(self.pid)?;
        if Some(now.start_ticks) != self.start_ticks || !matches!(now.state, 'Z' | 'X') {
            return None;
        }
        // The kernel shows 0 to those who may not know.
        let may_know = now.exit_code != 0 || self.may_be_looked_into();
        may_know.then(|| describe_wait_status(now.exit_code))
    }

    fn may_be_looked_into(&self) -> bool {
        rustix::process::geteuid().as_raw() == self.uid
            || capabilities(None)
                .is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_PTRACE))
    }
}

/// The number of this boot of the host.
pub(super) fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|id| id.trim().to_owned())
        .unwrap_or_default()
}

/// How systemd says that `pid`, the main process of `unit`, ended; none when it says nothing of it within its time.
pub(super) async fn ending_from_systemd(unit: &str, pid: u32) -> Option<String> {
    // systemd hears of the end when we do, and needs a moment to write it down.
    for wait_ms in [20, 100, 400, 1_500] {
        tokio::time::sleep(std::time::Duration::from_millis(wait_ms)).await;
        let asked = tokio::process::Command::new("systemctl")
            .args([
                "show",
                "--property=ExecMainPID,ExecMainCode,ExecMainStatus",
                "--",
                unit,
            ])
            .stdin(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .kill_on_drop(true)
            .output();
        let answer = tokio::time::timeout(std::time::Duration::from_secs(2), asked);
        let output = answer.await.ok()?.ok()?;
        if let Some(ending) = parse_systemd(&String::from_utf8_lossy(&output.stdout), pid) {
            return Some(ending);
        }
    }
    None
}

fn parse_systemd(properties: &str, pid: u32) -> Option<String> {
    let number = |name: &str| {
        properties
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
            .and_then(|value| value.trim().parse::<u32>().ok())
    };
    if number("ExecMainPID")? != pid {
        return None;
    }
    let status = number("ExecMainStatus")?;
    // CLD_EXITED, CLD_KILLED, CLD_DUMPED; 0 while it runs.
    match number("ExecMainCode")? {
        1 => Some(format!("exit status {status}")),
        2 => Some(format!("signal {status}")),
        3 => Some(format!("signal {status}, core dumped")),
        _ => None,
    }
}

fn describe_wait_status(status: i32) -> String {
    match (status & 0x7f, status & 0x80 != 0) {
        (0, _) => format!("exit status {}", (status >> 8) & 0xff),
        (signal, false) => format!("signal {signal}"),
        (signal, true) => format!("signal {signal}, core dumped"),
    }
}

// The replacement is `unsafe` because the descriptor might be closed or exchanged under it; an `OwnedFd` never is, so the
// old constructor is sound here, and the agent has no `unsafe`.
#[allow(deprecated)]
fn readable(pidfd: OwnedFd) -> std::io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(pidfd, Interest::READABLE)
}

/// Ok(None): the kernel has no pidfd to give, the process may live. Err: it is gone.
fn open_pidfd(pid: u32) -> Result<Option<OwnedFd>, Errno> {
    let pid = i32::try_from(pid)
        .ok()
        .and_then(Pid::from_raw)
        .ok_or(Errno::SRCH)?;
    match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(pidfd) => Ok(Some(pidfd)),
        Err(Errno::SRCH) => Err(Errno::SRCH),
        Err(_) => Ok(None),
    }
}

fn stat(pid: u32) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The name in the middle is in parentheses and may hold anything, parentheses too.
fn parse_stat(text: &str) -> Option<Stat> {
    let (_, after_name) = text.rsplit_once(')')?;
    let fields: Vec<_> = after_name.split_ascii_whitespace().collect();
    // proc(5) counts from 1 and the name is the second.
    let field = |number: usize| fields.get(number - 3).copied();
    Some(Stat {
        state: field(3)?.chars().next()?,
        start_ticks: field(22)?.parse().ok()?,
        exit_code: field(52).and_then(|code| code.parse().ok()).unwrap_or(0),
    })
}

fn unit_of(pid: u32) -> Option<String> {
    parse_unit(&fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?)
}

fn parse_unit(cgroup: &str) -> Option<String> {
    let path = cgroup.lines().find_map(|line| line.strip_prefix("0::"))?;
    path.split('/')
        .rev()
        .find(|part| part.ends_with(".service") && !part.starts_with('-'))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;
    use std::time::{Duration, Instant};

    #[test]
    fn a_stat_line_is_read_even_with_a_hostile_name() {
        let mut fields: Vec<String> = (4..=52).map(|n| n.to_string()).collect();
        fields[22 - 4] = "777".into();
        fields[52 - 4] = "9".into();
        let line = format!("42 (my) sqld) 3 ( ) Z {}\n", fields.join(" "));
        assert_eq!(
            parse_stat(&line),
            Some(Stat {
                state: 'Z',
                start_ticks: 777,
                exit_code: 9
            })
        );
        for bad in ["", "42", "42 (x", "42 (x) ", "42 (x) R 1 2"] {
            assert_eq!(parse_stat(bad), None);
        }
    }

    #[test]
    fn a_wait_status_is_told_in_words() {
        assert_eq!(describe_wait_status(9), "signal 9");
        assert_eq!(describe_wait_status(0x8b), "signal 11, core dumped");
        assert_eq!(describe_wait_status(0x0100), "exit status 1");
        assert_eq!(describe_wait_status(0), "exit status 0");
    }

    #[test]
    fn systemd_is_believed_only_about_the_same_process() {
        let killed = "ExecMainPID=42\nExecMainCode=2\nExecMainStatus=9\n";
        assert_eq!(parse_systemd(killed, 42).as_deref(), Some("signal 9"));
        assert_eq!(parse_systemd(killed, 43), None);
        let runs = "ExecMainPID=42\nExecMainCode=0\nExecMainStatus=0\n";
        assert_eq!(parse_systemd(runs, 42), None);
        let exited = "ExecMainStatus=1\nExecMainCode=1\nExecMainPID=42\n";
        assert_eq!(parse_systemd(exited, 42).as_deref(), Some("exit status 1"));
        assert_eq!(parse_systemd("", 42), None);
    }

    #[test]
    fn the_unit_is_the_innermost_service() {
        let of = |text| parse_unit(text);
        assert_eq!(
            of("0::/system.slice/mysql.service\n").as_deref(),
            Some("mysql.service")
        );
        assert_eq!(
            of("0::/user.slice/user-0.slice/user@0.service/app.slice/x.scope\n").as_deref(),
            Some("user@0.service")
        );
        assert_eq!(of("0::/\n"), None);
        assert_eq!(of("4:memory:/x.service\n"), None);
    }

    #[tokio::test]
    async fn a_killed_process_is_known_gone_at_once_and_how() {
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        let pid = child.id();
        let started = stat(pid).unwrap().start_ticks;
        let own = rustix::process::geteuid().as_raw();
        let process = Process::find(pid, started, own).unwrap();
        assert!(
            tokio::time::timeout(Duration::from_millis(50), process.gone())
                .await
                .is_err()
        );
        assert_eq!(process.ending(), None, "it lives");
        let killed = Instant::now();
        child.kill().unwrap();
        process.gone().await;
        assert!(killed.elapsed() < Duration::from_millis(500));
        assert_eq!(process.ending().as_deref(), Some("signal 9"));
        child.wait().unwrap();
        process.gone().await;
        assert_eq!(process.ending(), None, "its parent took the answer");
        assert!(Process::find(pid, started, own).is_none());
    }

    #[tokio::test]
    async fn without_a_pidfd_the_end_is_found_by_looking() {
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        let process = Process {
            pid: child.id(),
            start_ticks: stat(child.id()).map(|stat| stat.start_ticks),
            uid: 0,
            unit: None,
            pidfd: None,
        };
        assert!(!process.has_gone_by_proc());
        child.kill().unwrap();
        tokio::time::timeout(Duration::from_secs(5), process.gone())
            .await
            .unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn another_process_of_the_same_number_is_not_taken_for_it() {
        let own = std::process::id();
        let started = stat(own).unwrap().start_ticks;
        assert!(Process::find(own, started, 0).is_some());
        assert!(Process::find(own, started + 1, 0).is_none());
    }
}
