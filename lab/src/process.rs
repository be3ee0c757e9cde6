//! Child processes that cannot outlive us, and that can be killed, frozen and watched without races.
//!
//! * Signals go through a pidfd, so a pid that was reused is never hit.
//! * Each child is started through `setpriv --pdeathsig KILL` (util-linux), which replaces itself by the program: the
//!   pid is the program's own. The kernel sends that signal when the *thread* that forked ends, so all forks are made
//!   by one thread that lives as long as the process.
//! * Each child has a process group of its own: Ctrl-C reaches us alone, and we stop the children in order.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::sync::watch;

use crate::cleanup::Cleanup;
use crate::error::{Error, Result};

/// How a child ended, and when we knew.
#[derive(Debug, Clone, Copy)]
pub struct Ended {
    /// Its exit status.
    pub status: ExitStatus,
    /// When `wait` returned.
    pub at: Instant,
}

impl Ended {
    /// "exit status 1" or "signal 9".
    #[must_use]
    pub fn describe(&self) -> String {
        match (self.status.code(), self.status.signal()) {
            (Some(code), _) => format!("exit status {code}"),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => "an unknown end".to_owned(),
        }
    }
}

/// A running (or ended) child.
#[derive(Debug)]
pub struct Process {
    pid: u32,
    pidfd: Arc<OwnedFd>,
    ended: watch::Receiver<Option<Ended>>,
    log: PathBuf,
    cleanup: Option<Cleanup>,
}

/// What to start.
#[derive(Debug)]
pub struct Program {
    command: Command,
    log: PathBuf,
    detached: bool,
}

impl Program {
    /// A program whose output goes to the end of the file `log`.
    #[must_use]
    pub fn new(program: &Path, log: &Path) -> Self {
        Self::prepared(Command::new(program), log)
    }

    /// A program that is to run inside the network namespace `name`, or in ours where that is `None`.
    #[must_use]
    pub fn in_namespace(name: Option<&str>, program: &Path, log: &Path) -> Self {
        let Some(name) = name else {
            return Self::new(program, log);
        };
        // `ip netns exec` replaces itself by the program, so the pid stays the program's own.
        let mut command = Command::new("ip");
        command.args(["netns", "exec", name]).arg(program);
        Self::prepared(command, log)
    }

    fn prepared(mut command: Command, log: &Path) -> Self {
        command.stdin(Stdio::null()).process_group(0);
        Self {
            command,
            log: log.to_path_buf(),
            detached: false,
        }
    }

    /// Adds one argument.
    pub fn arg(&mut self, arg: impl AsRef<std::ffi::OsStr>) -> &mut Self {
        self.command.arg(arg);
        self
    }

    /// Adds arguments.
    pub fn args<I: IntoIterator<Item = S>, S: AsRef<std::ffi::OsStr>>(
        &mut self,
        args: I,
    ) -> &mut Self {
        self.command.args(args);
        self
    }

    /// Sets an environment variable.
    pub fn env(&mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> &mut Self {
        self.command.env(name, value);
        self
    }

    /// Lets the child outlive us, once [`Process::forget`] was called: for a demo that is kept.
    pub fn detached(&mut self, detached: bool) -> &mut Self {
        self.detached = detached;
        self
    }

    /// Starts it.
    pub fn start(self) -> Result<Process> {
        if let Some(parent) = self.log.parent() {
            std::fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
        }
        let log = File::options()
            .create(true)
            .append(true)
            .open(&self.log)
            .map_err(Error::io("open", &self.log))?;
        let for_stderr = log.try_clone().map_err(Error::io("open", &self.log))?;
        let mut command = if self.detached {
            self.command
        } else {
            with_death_signal(&self.command)
        };
        command
            .stdin(Stdio::null())
            .process_group(0)
            .stdout(log)
            .stderr(for_stderr);
        let name = command.get_program().to_owned();
        let child = fork(command).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Error::Missing(format!(
                "the program {} is not on this machine; install the package that holds it",
                Path::new(&name).display()
            )),
            _ => Error::Io {
                doing: "start",
                path: PathBuf::from(name),
                source: error,
            },
        })?;
        Process::watch(child, self.log)
    }
}

impl Process {
    fn watch(mut child: Child, log: PathBuf) -> Result<Self> {
        let pid = child.id();
        // We have not waited for it yet, so the pid is still the child's own.
        let pidfd = i32::try_from(pid)
            .ok()
            .and_then(Pid::from_raw)
            .ok_or(rustix::io::Errno::SRCH)
            .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()))
            .map_err(|error| Error::Io {
                doing: "watch the process of",
                path: log.clone(),
                source: error.into(),
            })?;
        let pidfd = Arc::new(pidfd);
        let (sender, ended) = watch::channel(None);
        std::thread::Builder::new()
            .name(format!("lab-wait-{pid}"))
            .spawn(move || {
                if let Ok(status) = child.wait() {
                    let _ = sender.send(Some(Ended {
                        status,
                        at: Instant::now(),
                    }));
                }
            })
            .map_err(Error::io("start a thread for", &log))?;
        let cleanup = {
            let (pidfd, ended) = (pidfd.clone(), ended.clone());
            Cleanup::new(move || {
                let _ = pidfd_send_signal(&*pidfd, Signal::KILL);
                wait_blocking(&ended, Duration::from_secs(10));
            })
        };
        Ok(Self {
            pid,
            pidfd,
            ended,
            log,
            cleanup: Some(cleanup),
        })
    }

    /// The program's own pid.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// How it ended, if it did.
    #[must_use]
    pub fn ended(&self) -> Option<Ended> {
        *self.ended.borrow()
    }

    /// Waits for its end, at most `limit`.
    pub async fn wait(&self, limit: Duration) -> Option<Ended> {
        let mut ended = self.ended.clone();
        let waited = tokio::time::timeout(limit, ended.wait_for(Option::is_some)).await;
        waited.ok()?.ok().and_then(|ended| *ended)
    }

    /// Sends a signal. To a process that has ended it does nothing.
    pub fn signal(&self, signal: Signal) {
        let _ = pidfd_send_signal(&*self.pidfd, signal);
    }

    /// Ends it at once, and returns the moment before the signal was sent.
    pub fn kill(&self) -> Instant {
        let at = Instant::now();
        self.signal(Signal::KILL);
        at
    }

    /// Stops it from running, without ending it; returns the moment before. When this returns no thread of it runs.
    pub async fn freeze(&self) -> Instant {
        let at = Instant::now();
        self.signal(Signal::STOP);
        // The signal takes a moment to reach each thread, and until then one may still answer a query.
        while !self.stands_still() && at.elapsed() < Duration::from_secs(5) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        at
    }

    /// Whether every thread is stopped (or the process is gone).
    fn stands_still(&self) -> bool {
        let Ok(threads) = std::fs::read_dir(format!("/proc/{}/task", self.pid)) else {
            return true;
        };
        threads.flatten().all(|thread| {
            let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
            stat.rsplit_once(')')
                .is_none_or(|(_, rest)| rest.trim_start().starts_with(['T', 't', 'Z', 'X']))
        })
    }

    /// Lets it run on; returns the moment before.
    pub fn thaw(&self) -> Instant {
        let at = Instant::now();
        self.signal(Signal::CONT);
        at
    }

    /// Everything that it wrote, shortened to the last `bytes_max`.
    #[must_use]
    pub fn log_tail(&self, bytes_max: u64) -> String {
        tail(&self.log, bytes_max)
    }

    /// Where its output goes.
    #[must_use]
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// Lets it run on after this value is gone.
    pub fn forget(&mut self) {
        if let Some(cleanup) = self.cleanup.take() {
            cleanup.forget();
        }
    }
}

/// The end of a file, as text.
pub(crate) fn tail(path: &Path, bytes_max: u64) -> String {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(bytes_max)))?;
        let mut bytes = Vec::new();
        file.take(bytes_max).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    String::from_utf8_lossy(&read().unwrap_or_default()).into_owned()
}

fn wait_blocking(ended: &watch::Receiver<Option<Ended>>, limit: Duration) {
    let until = Instant::now() + limit;
    while ended.borrow().is_none() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The same command, started through `setpriv`.
fn with_death_signal(command: &Command) -> Command {
    let mut wrapped = Command::new("setpriv");
    wrapped
        .args(["--pdeathsig", "KILL", "--"])
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(name, value),
            None => wrapped.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        wrapped.current_dir(folder);
    }
    wrapped
}

type Order = (Command, mpsc::Sender<std::io::Result<Child>>);

/// Forks on the one thread whose end is the process's end.
fn fork(command: Command) -> std::io::Result<Child> {
    static FORKS: OnceLock<Mutex<mpsc::Sender<Order>>> = OnceLock::new();
    let gone = || std::io::Error::other("the thread that starts processes is gone");
    let forks = FORKS.get_or_init(|| {
        let (sender, orders) = mpsc::channel::<Order>();
        // Where no thread can be started the receiver is dropped, and the send below says so.
        let _ = std::thread::Builder::new()
            .name("lab-fork".into())
            .spawn(move || {
                for (mut command, answer) in orders {
                    let _ = answer.send(command.spawn());
                }
            });
        Mutex::new(sender)
    });
    let (sender, answer) = mpsc::channel();
    forks
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .send((command, sender))
        .map_err(|_| gone())?;
    answer.recv().map_err(|_| gone())?
}

/// Runs a helper program to its end and returns what it wrote to stdout.
pub(crate) fn run(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Error::Missing(format!(
                "the program {program} is not on this machine; install the package that holds it"
            )),
            _ => Error::Io {
                doing: "run",
                path: PathBuf::from(&program),
                source: error,
            },
        })?;
    if !output.status.success() {
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        if text.contains("No space left on device") {
            return Err(Error::disk_full());
        }
        return Err(Error::Command {
            program,
            status: output.status.to_string(),
            output: last_lines(&text, 12),
        });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The last lines of a text.
pub(crate) fn last_lines(text: &str, lines_max: usize) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(lines_max)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RunDir;

    #[tokio::test]
    async fn a_child_is_killed_frozen_and_watched() {
        let dir = RunDir::new().unwrap();
        let log = dir.path().join("log");
        let mut program = Program::new(Path::new("sleep"), &log);
        program.arg("600");
        let child = program.start().unwrap();
        let comm =
            || std::fs::read_to_string(format!("/proc/{}/stat", child.pid())).unwrap_or_default();
        // `setpriv` becomes `sleep` under the same pid.
        while !comm().contains("(sleep)") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        child.freeze().await;
        assert!(comm().contains(") T"), "{}", comm());
        child.kill();
        let ended = child.wait(Duration::from_secs(5)).await.unwrap();
        assert_eq!(ended.describe(), "signal 9");
    }

    #[tokio::test]
    async fn dropping_a_process_ends_it() {
        let dir = RunDir::new().unwrap();
        let mut program = Program::new(Path::new("sleep"), &dir.path().join("log"));
        program.arg("600");
        let child = program.start().unwrap();
        let ended = child.ended.clone();
        drop(child);
        assert!(ended.borrow().is_some(), "it still ran when drop returned");
    }

    #[tokio::test]
    async fn a_missing_program_is_a_sentence() {
        let dir = RunDir::new().unwrap();
        let program = Program::new(Path::new("no-such-program-here"), &dir.path().join("log"));
        // Through setpriv the program's absence shows as its exit status.
        let child = program.start().unwrap();
        assert!(
            !child
                .wait(Duration::from_secs(5))
                .await
                .unwrap()
                .status
                .success()
        );
        assert!(child.log_tail(500).contains("no-such-program-here"));
    }
}
