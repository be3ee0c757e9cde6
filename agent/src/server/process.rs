//! The server's process: which one is at the other end of the socket, and the moment in which it ends.
//!
//! The kernel says who connected (SO_PEERPIDFD, or SO_PEERCRED and `pidfd_open` where it is older than 6.5), so the pid
//! in the plugin's Hello, which may be one of another namespace, is never needed. A pidfd becomes readable when the
//! last thread of the process has gone; no number can be taken over by another process meanwhile.
//!
//! The last thread goes only after the kernel has freed the memory, which takes long where there is much of it. All others
//! go at once when the process is killed, so a few of them are watched by pidfds of their own (Linux 6.9); when one has
//! gone and every thread is on its way out or has a SIGKILL before it, the process will never run again and counts as gone.

use std::fs;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use rustix::thread::{CapabilitySet, capabilities};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::UnixStream;
use tokio::task::JoinSet;

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

/// What `/proc/PID/stat` says, of a process or of one of its threads.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    state: char,
    /// The kernel's PF_ flags.
    flags: u64,
    start_ticks: u64,
    /// As `wait` gives it, once the process is on its way out; 0 also where we may not see it.
    exit_code: i32,
}

/// PF_EXITING: it runs no more code of its own.
const FLAG_EXITING: u64 = 0x4;
/// Bit of SIGKILL in a mask of signals.
const SIGKILL_BIT: u64 = 1 << 8;
/// Threads looked at: when a process is killed, each of them has the signal before it.
const THREADS_LOOKED_AT: usize = 32;
/// Threads watched: of two, one is not the last.
const THREADS_WATCHED: usize = 3;
/// Between two looks at the threads once one of them has gone, and how many looks.
const DOOMED_POLL_EVERY: Duration = Duration::from_millis(1);
const DOOMED_LOOKS: usize = 10;

impl Stat {
    fn is_over(&self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }
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
        let same = found.start_ticks == start_ticks && !found.is_over();
        same.then(|| Self {
            pid,
            start_ticks: Some(start_ticks),
            uid,
            unit: unit_of(pid),
            pidfd,
        })
    }

    /// Waits until the process is gone, or will never run again. Where the kernel gives no pidfd, looks every
    /// [`PROCESS_POLL_EVERY`].
    pub(super) async fn gone(&self) {
        let whole = self.pidfd.as_ref().and_then(|pidfd| pidfd.try_clone().ok());
        let whole = async {
            match whole.map(readable) {
                Some(Ok(pidfd)) if pidfd.readable().await.is_ok() => {}
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            () = whole => {}
            () = self.doomed() => {}
        }
    }

    /// Waits until no thread of it will ever run again.
    async fn doomed(&self) {
        while self.lives() {
            let mut threads = JoinSet::new();
            for pidfd in open_pidfds_of_threads(self.pid) {
                if let Ok(pidfd) = readable(pidfd) {
                    threads.spawn(async move { pidfd.readable().await.map(|_| ()) });
                }
            }
            if threads.join_next().await.is_none() {
                // One thread only, or a kernel that has no pidfds for threads.
                if self.pidfd.is_some() {
                    return std::future::pending().await;
                }
                tokio::time::sleep(PROCESS_POLL_EVERY).await;
                continue;
            }
            // Servers end threads all the time. If it was the whole process, that shows in a moment.
            for _ in 0..DOOMED_LOOKS {
                if !self.lives() {
                    return;
                }
                tokio::time::sleep(DOOMED_POLL_EVERY).await;
            }
        }
    }

    /// Whether it may still do something, by a look at /proc.
    pub(super) fn lives(&self) -> bool {
        match stat(self.pid) {
            Some(now) if Some(now.start_ticks) == self.start_ticks => !all_doomed(self.pid),
            _ => false,
        }
    }

    /// How it ended, as far as the kernel tells at once: only until its parent has taken note of its end.
    pub(super) fn ending(&self) -> Option<String> {
        let now = stat(self.pid)?;
        // Of one that lives, the kernel would show the signal that stopped it.
        if Some(now.start_ticks) != self.start_ticks || !all_doomed(self.pid) {
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
        tokio::time::sleep(Duration::from_millis(wait_ms)).await;
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
        let answer = tokio::time::timeout(Duration::from_secs(2), asked);
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

/// Pidfds of the oldest threads but the main one, for which kernels since 6.15 wait for all others too.
fn open_pidfds_of_threads(pid: u32) -> Vec<OwnedFd> {
    // PIDFD_THREAD is O_EXCL; an older kernel refuses it.
    let thread = PidfdFlags::from_bits_retain(rustix::fs::OFlags::EXCL.bits());
    let mut numbers = threads(pid);
    numbers.retain(|number| *number != pid);
    numbers.sort_unstable();
    numbers
        .into_iter()
        .take(THREADS_WATCHED)
        .filter_map(|number| {
            let number = Pid::from_raw(i32::try_from(number).ok()?)?;
            pidfd_open(number, thread).ok()
        })
        .collect()
}

fn threads(pid: u32) -> Vec<u32> {
    let Ok(folder) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    folder
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect()
}

/// Whether no thread will ever run code of the process again: each has gone, is on its way out, or has a SIGKILL before
/// it. A thread of which that cannot be seen says no.
fn all_doomed(pid: u32) -> bool {
    threads(pid)
        .into_iter()
        .take(THREADS_LOOKED_AT)
        .all(|thread| {
            let folder = format!("/proc/{pid}/task/{thread}");
            let Some(stat) = read_stat(&folder) else {
                return true;
            };
            stat.is_over() || stat.flags & FLAG_EXITING != 0 || {
                let status = fs::read_to_string(format!("{folder}/status"));
                status.map_or(true, |status| has_kill_pending(&status))
            }
        })
}

fn has_kill_pending(status: &str) -> bool {
    status
        .lines()
        .find_map(|line| line.strip_prefix("SigPnd:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask & SIGKILL_BIT != 0)
}

fn stat(pid: u32) -> Option<Stat> {
    read_stat(&format!("/proc/{pid}"))
}

fn read_stat(folder: &str) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("{folder}/stat")).ok()?)
}

/// The name in the middle is in parentheses and may hold anything, parentheses too.
fn parse_stat(text: &str) -> Option<Stat> {
    let (_, after_name) = text.rsplit_once(')')?;
    let fields: Vec<_> = after_name.split_ascii_whitespace().collect();
    // proc(5) counts from 1 and the name is the second.
    let field = |number: usize| fields.get(number - 3).copied();
    Some(Stat {
        state: field(3)?.chars().next()?,
        flags: field(9)?.parse().ok()?,
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
    use std::time::Instant;

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
                flags: 9,
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
    async fn a_stopped_process_lives_and_has_no_ending() {
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        let process = process_of(&child);
        let pid = Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
        let early = tokio::time::timeout(Duration::from_millis(100), process.gone()).await;
        assert!(early.is_err() && process.lives());
        assert_eq!(process.ending(), None);
        child.kill().unwrap();
        process.gone().await;
        assert_eq!(process.ending().as_deref(), Some("signal 9"));
        child.wait().unwrap();
    }

    #[tokio::test]
    async fn an_exit_status_is_told_too() {
        let mut child = Command::new("sh")
            .args(["-c", "read line; exit 7"])
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let process = process_of(&child);
        drop(child.stdin.take());
        process.gone().await;
        assert_eq!(process.ending().as_deref(), Some("exit status 7"));
        child.wait().unwrap();
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
        assert!(process.lives());
        child.kill().unwrap();
        tokio::time::timeout(Duration::from_secs(5), process.gone())
            .await
            .unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_pending_kill_is_read_from_the_mask() {
        assert!(has_kill_pending(
            "Name:\tx\nSigPnd:\t0000000000000100\nShdPnd:\t0000000000000000\n"
        ));
        assert!(has_kill_pending("SigPnd:\t0000000000004100\n"));
        assert!(!has_kill_pending(
            "SigPnd:\t0000000000000200\nShdPnd:\t0000000000000100\n"
        ));
        assert!(!has_kill_pending(""));
    }

    /// A python program, or nothing where there is no python.
    fn python(program: &str) -> Option<std::process::Child> {
        let child = Command::new("python3")
            .args(["-c", program])
            .stdout(std::process::Stdio::piped())
            .spawn();
        match child {
            Ok(mut child) => {
                // It says when it is where the test wants it.
                let mut said = [0; 3];
                std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut said).unwrap();
                Some(child)
            }
            Err(_) => {
                println!("not run: there is no python3 here");
                None
            }
        }
    }

    fn process_of(child: &std::process::Child) -> Process {
        let started = stat(child.id()).unwrap().start_ticks;
        Process::find(child.id(), started, 0).unwrap()
    }

    #[tokio::test]
    async fn a_main_thread_that_leaves_the_others_running_is_no_end() {
        let program = "import ctypes, threading, time\n\
             threading.Thread(target=lambda: (time.sleep(.3), print('go', flush=True), time.sleep(600))).start()\n\
             ctypes.CDLL(None).pthread_exit(None)";
        let Some(mut child) = python(program) else {
            return;
        };
        let started = fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
        let process = Process {
            pid: child.id(),
            start_ticks: parse_stat(&started).map(|stat| stat.start_ticks),
            uid: 0,
            unit: None,
            pidfd: open_pidfd(child.id()).unwrap(),
        };
        assert!(
            stat(child.id()).unwrap().is_over(),
            "its main thread has gone"
        );
        assert!(process.lives());
        let early = tokio::time::timeout(Duration::from_millis(200), process.gone()).await;
        assert!(early.is_err());
        child.kill().unwrap();
        tokio::time::timeout(Duration::from_secs(5), process.gone())
            .await
            .unwrap();
        child.wait().unwrap();
    }

    #[tokio::test]
    async fn a_process_with_much_memory_is_known_gone_before_it_is_freed() {
        let program = "import threading, time\n\
             memory = bytearray(400 << 20)\n\
             for at in range(0, len(memory), 4096): memory[at] = 1\n\
             for n in range(20): threading.Thread(target=lambda: time.sleep(600), daemon=True).start()\n\
             print('go', flush=True)\n\
             time.sleep(600)";
        // On a busy machine one round may be unlucky.
        for _ in 0..5 {
            let Some(mut child) = python(program) else {
                return;
            };
            let process = process_of(&child);
            let whole = readable(process.pidfd.as_ref().unwrap().try_clone().unwrap()).unwrap();
            let killed = Instant::now();
            child.kill().unwrap();
            process.gone().await;
            let known = killed.elapsed();
            assert!(!process.lives());
            let ending = process.ending();
            whole.readable().await.unwrap().retain_ready();
            let freed = killed.elapsed();
            child.wait().unwrap();
            println!("400 MB: known gone after {known:?}, freed after {freed:?}");
            assert_eq!(ending.as_deref(), Some("signal 9"));
            if known * 2 < freed {
                return;
            }
        }
        // Before Linux 6.9 a process is known gone only with its last thread.
        let thread = PidfdFlags::from_bits_retain(rustix::fs::OFlags::EXCL.bits());
        let own = rustix::process::getpid();
        assert!(pidfd_open(own, thread).is_err(), "never known early");
    }

    #[test]
    fn another_process_of_the_same_number_is_not_taken_for_it() {
        let own = std::process::id();
        let started = stat(own).unwrap().start_ticks;
        assert!(Process::find(own, started, 0).is_some());
        assert!(Process::find(own, started + 1, 0).is_none());
    }
}
