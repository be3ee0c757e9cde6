//! A plugin that is none: it speaks the protocol from a plain thread, rightly or wrongly, as a test wants it.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use muster_link::frame::{Decoder, encode};
use muster_link::limits::{FRAME_BYTES_MAX, PROTOCOL_MAX, PROTOCOL_MIN};
use muster_link::message::{ToAgent, ToPlugin};
use muster_link::report::{Facts, Flavor, Identity, Phase, Report};

/// How long a test waits for what must happen.
pub const SOON: Duration = Duration::from_secs(10);

/// The environment variable that turns this test program into a plugin's process: path of the socket.
const SOCKET_VARIABLE: &str = "MUSTER_TEST_FAKE_PLUGIN";

pub struct FakePlugin {
    stream: UnixStream,
    decoder: Decoder<ToPlugin>,
}

/// `letter` is a hexadecimal digit of which the MEMBER_ID is made.
pub fn identity(letter: &str) -> Identity {
    let part = |n: usize| letter.repeat(n);
    Identity {
        member_id: format!(
            "{}-{}-{}-{}-{}",
            part(8),
            part(4),
            part(4),
            part(4),
            part(12)
        ),
        flavor: Flavor::Mysql,
        server_version: "9.7.4".into(),
        pid: 1,
        host: "db1".into(),
        port: 3306,
        datadir: "/var/lib/mysql".into(),
        socket: "/run/mysqld/mysqld.sock".into(),
    }
}

pub fn hello(letter: &str) -> ToAgent {
    ToAgent::Hello {
        protocol_min: PROTOCOL_MIN,
        protocol_max: PROTOCOL_MAX,
        build: "0.1.0+0123456789abcdef".into(),
        plugin_path: "/nowhere/muster.so".into(),
        identity: identity(letter),
    }
}

pub fn report(sequence: u64, gtid: &str) -> ToAgent {
    ToAgent::Report {
        report: Report {
            sequence,
            phase: Phase::Serving,
            facts: Some(Facts {
                gtid_executed: gtid.into(),
                ..Facts::default()
            }),
            stalled_ms: 0,
            trouble: None,
            wall_clock_us: 0,
        },
    }
}

pub fn frame(message: &ToAgent) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(message, FRAME_BYTES_MAX, &mut bytes).unwrap();
    bytes
}

impl FakePlugin {
    pub fn connect(path: &Path) -> Self {
        let stream = UnixStream::connect(path).unwrap();
        stream.set_write_timeout(Some(SOON)).unwrap();
        Self {
            stream,
            decoder: Decoder::new(FRAME_BYTES_MAX),
        }
    }

    /// Connects, introduces itself and is welcomed.
    pub fn welcomed(path: &Path, letter: &str) -> Self {
        let mut plugin = Self::connect(path);
        plugin.send(&hello(letter));
        match plugin.next() {
            Some(ToPlugin::Welcome { .. }) => plugin,
            other => panic!("not welcomed: {other:?}"),
        }
    }

    pub fn send(&mut self, message: &ToAgent) {
        self.raw(&frame(message));
    }

    pub fn raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// As [`raw`](Self::raw) to a peer that may have closed.
    pub fn try_raw(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// The next message; none at the end of the stream. Panics when neither comes soon.
    pub fn next(&mut self) -> Option<ToPlugin> {
        self.next_within(SOON).expect("nothing came")
    }

    /// As [`next`](Self::next); the outer none when nothing came within `time`.
    pub fn next_within(&mut self, time: Duration) -> Option<Option<ToPlugin>> {
        let until = Instant::now() + time;
        let mut buffer = vec![0; 64 * 1024];
        loop {
            if let Some(message) = self.decoder.next().unwrap() {
                return Some(Some(message));
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            self.stream.set_read_timeout(Some(left)).unwrap();
            match self.stream.read(&mut buffer) {
                Ok(0) => return Some(None),
                Ok(read) => self.decoder.push(&buffer[..read]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Some(None),
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// The reason of the refusal that must come now.
    pub fn refusal(&mut self) -> String {
        match self.next() {
            Some(ToPlugin::Refused { reason }) => {
                assert_eq!(self.next(), None, "a refused connection is closed");
                reason
            }
            other => panic!("not refused: {other:?}"),
        }
    }

    /// How long until the agent closes.
    pub fn closed_after(&mut self) -> Duration {
        let since = Instant::now();
        while self.next().is_some() {}
        since.elapsed()
    }
}

/// A process of its own with a [`FakePlugin`] in it, ended with the test.
pub struct PluginProcess(pub Child);

impl PluginProcess {
    /// Runs `program` (this test program or a copy of it), which connects to `path` and introduces itself.
    pub fn start(program: &Path, path: &Path, change: impl FnOnce(&mut Command)) -> Self {
        let mut command = Command::new(program);
        command
            .args(["--exact", "fake_plugin_process", "--nocapture"])
            .env(SOCKET_VARIABLE, path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null());
        change(&mut command);
        Self(command.spawn().unwrap())
    }

    pub fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for PluginProcess {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The body of a [`PluginProcess`]: exit status 0 = was told to stop, 3 = was refused.
pub fn run_if_child() {
    let Some(path) = std::env::var_os(SOCKET_VARIABLE).map(PathBuf::from) else {
        return;
    };
    let mut plugin = FakePlugin::connect(&path);
    plugin.send(&hello("a"));
    match plugin.next() {
        Some(ToPlugin::Welcome { .. }) => {}
        _ => std::process::exit(3),
    }
    plugin.send(&report(1, ""));
    let mut line = String::new();
    let _ = std::io::stdin().read_line(&mut line);
    std::process::exit(0);
}
