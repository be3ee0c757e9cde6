//! The two threads against a fake server and a fake agent: what they say, how fast, and what they survive.
//!
//! Bounds are generous: they tell "at once" from "at the next interval", which these tests set to a minute.

mod peers;
mod picture;
mod reports;

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use muster_link::frame::{Decoder, encode};
use muster_link::limits::{AGENT_SILENCE_MS_MAX, FRAME_BYTES_MAX, PROTOCOL_MAX};
use muster_link::message::{ToAgent, ToPlugin};
use muster_link::report::{Flavor, Identity, Phase, Report};
use muster_link::view::{EventRow, MemberRow, Observed, View};

use crate::daemon::Daemon;
use crate::daemon::fake::{FakeServer, ScratchDir, scratch_dir};
use crate::server::{Quick, ServerApi};
use crate::snapshot::{self, AgentState};

const LONG: Duration = Duration::from_secs(20);
const MINUTE_MS: u32 = 60_000;

/// The snapshot is one per process, so these tests take turns.
static ALONE: Mutex<()> = Mutex::new(());

struct World {
    server: &'static FakeServer,
    daemon: Option<Daemon>,
    path: PathBuf,
    _dir: ScratchDir,
    _alone: MutexGuard<'static, ()>,
}

impl World {
    fn new() -> Self {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let dir = scratch_dir("daemon");
        let path = dir.path().join("agent.sock");
        let server = FakeServer::serving();
        server.change(|state| state.settings.agent_socket.clone_from(&path));
        snapshot::publish(snapshot::Snapshot::empty(AgentState::NotInstalled));
        Self {
            server,
            daemon: None,
            path,
            _dir: dir,
            _alone: alone,
        }
    }

    fn start(&mut self) {
        self.daemon = Some(Daemon::start(self.server.settings(), self.server).unwrap());
    }

    fn stop(&mut self) {
        self.daemon
            .take()
            .unwrap()
            .stop()
            .map_err(|late| late.name())
            .unwrap();
    }

    fn listen(&self) -> UnixListener {
        let _ = std::fs::remove_file(&self.path);
        UnixListener::bind(&self.path).unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.server.change(|state| state.hang = false);
        if let Some(daemon) = self.daemon.take() {
            let _ = daemon.stop();
        }
    }
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn state() -> AgentState {
    snapshot::current().agent_state
}

/// The agent's end of one connection.
struct Agent {
    stream: UnixStream,
    decoder: Decoder<ToAgent>,
    /// It answers what it hears, as an agent does: one that stays silent is left.
    answers: bool,
}

impl Agent {
    fn accept(listener: &UnixListener) -> Self {
        let (stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        Self {
            stream,
            decoder: Decoder::new(FRAME_BYTES_MAX),
            answers: true,
        }
    }

    fn welcome(listener: &UnixListener) -> Self {
        let mut agent = Self::accept(listener);
        let hello = agent.next().unwrap();
        assert!(matches!(hello, ToAgent::Hello { .. }), "{hello:?}");
        agent.say_welcome(PROTOCOL_MAX);
        agent
    }

    fn say_welcome(&mut self, protocol: u16) {
        self.say(&ToPlugin::Welcome {
            protocol,
            agent_version: "0.1".into(),
            agent_name: "fake".into(),
        });
    }

    fn say(&mut self, message: &ToPlugin) {
        let mut bytes = Vec::new();
        encode(message, FRAME_BYTES_MAX, &mut bytes).unwrap();
        self.stream.write_all(&bytes).unwrap();
    }

    /// The next message; none at the end of the stream.
    fn next(&mut self) -> Option<ToAgent> {
        let mut buffer = [0; 4096];
        loop {
            if let Some(message) = self.decoder.next().unwrap() {
                return Some(message);
            }
            match self.stream.read(&mut buffer) {
                Ok(0) => return None,
                Ok(count) => self.decoder.push(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("the plugin said nothing: {error}"),
            }
        }
    }

    fn report_where(&mut self, what: &str, mut holds: impl FnMut(&Report) -> bool) -> Report {
        let deadline = Instant::now() + LONG;
        loop {
            assert!(Instant::now() < deadline, "no report {what}");
            match self.next() {
                Some(ToAgent::Report { report }) if holds(&report) => return report,
                Some(ToAgent::Bye { .. }) | None => {
                    panic!("the plugin left before a report {what}")
                }
                Some(_) if self.answers => self.say(&ToPlugin::Observed {
                    observed: Observed::default(),
                }),
                Some(_) => {}
            }
        }
    }

    fn identity(&mut self) -> Identity {
        loop {
            match self.next().unwrap() {
                ToAgent::Identity { identity } | ToAgent::Hello { identity, .. }
                    if !identity.member_id.is_empty() =>
                {
                    return identity;
                }
                _ => {}
            }
        }
    }
}

fn view(view_id: u64) -> ToPlugin {
    let members = vec![MemberRow {
        member_id: "m".into(),
        ..MemberRow::default()
    }];
    ToPlugin::View {
        view: View {
            view_id,
            cluster_id: "c".into(),
            members,
            ..View::default()
        },
    }
}
