//! A stand-in for `muster.so`: introduces a server, reports, and keeps what the agent pushes.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Result;
use muster_link::frame::{Decoder, encode};
use muster_link::limits::{FRAME_BYTES_MAX, PROTOCOL_MAX, PROTOCOL_MIN};
use muster_link::message::{ToAgent, ToPlugin};
use muster_link::report::{Facts, Flavor, Identity, Phase, Report};
use muster_link::view::{EventRow, Observed, View};

/// What a plugin would show.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// The ordered facts.
    pub view: View,
    /// The observed facts.
    pub observed: Observed,
    /// The events.
    pub events: Vec<EventRow>,
    /// The agent's refusal, if there was one.
    pub refused: Option<String>,
}

/// A server that exists on paper: this process is its process.
#[derive(Debug)]
pub struct FakeServer {
    facts: Arc<Mutex<(Phase, Facts)>>,
    seen: Arc<Mutex<Seen>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl FakeServer {
    /// Connects to the agent's socket and reports every 100 ms, and at once on change.
    pub fn start(socket: &Path, member_id: &str, port: u16) -> Result<Self> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(Duration::from_millis(5)))?;
        let facts = Arc::new(Mutex::new((Phase::Serving, Facts::default())));
        let seen = Arc::<Mutex<Seen>>::default();
        let stop = Arc::<AtomicBool>::default();
        let identity = Identity {
            member_id: member_id.to_owned(),
            flavor: Flavor::Mysql,
            server_version: "9.7.4".to_owned(),
            pid: std::process::id(),
            host: "127.0.0.1".to_owned(),
            port,
            datadir: "/nowhere".to_owned(),
            socket: "/nowhere/mysql.sock".to_owned(),
        };
        let link = Link {
            stream,
            facts: facts.clone(),
            seen: seen.clone(),
            stop: stop.clone(),
        };
        let thread = std::thread::Builder::new()
            .name("fake-plugin".to_owned())
            .spawn(move || {
                // The agent may go away at any time: that is what tests are for.
                let _ = link.run(identity);
            })?;
        Ok(Self {
            facts,
            seen,
            stop,
            thread: Some(thread),
        })
    }

    /// Changes what it reports.
    pub fn report(&self, change: impl FnOnce(&mut Phase, &mut Facts)) {
        let mut facts = self.facts.lock().unwrap_or_else(PoisonError::into_inner);
        let (phase, facts) = &mut *facts;
        change(phase, facts);
    }

    /// What it was told.
    #[must_use]
    pub fn seen(&self) -> Seen {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Link {
    stream: UnixStream,
    facts: Arc<Mutex<(Phase, Facts)>>,
    seen: Arc<Mutex<Seen>>,
    stop: Arc<AtomicBool>,
}

impl Link {
    fn run(mut self, identity: Identity) -> Result<()> {
        let hello = ToAgent::Hello {
            protocol_min: PROTOCOL_MIN,
            protocol_max: PROTOCOL_MAX,
            build: "fake".to_owned(),
            plugin_path: String::new(),
            identity,
        };
        self.send(&hello)?;
        let mut decoder = Decoder::<ToPlugin>::new(FRAME_BYTES_MAX);
        let mut last: Option<(Phase, Facts)> = None;
        let mut sent_at = Instant::now();
        let mut sequence = 0;
        let mut bytes = vec![0; 64 * 1024];
        while !self.stop.load(Ordering::SeqCst) {
            let now = self
                .facts
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone();
            if last.as_ref() != Some(&now) || sent_at.elapsed() >= Duration::from_millis(100) {
                sequence += 1;
                sent_at = Instant::now();
                let report = Report {
                    sequence,
                    phase: now.0,
                    facts: Some(now.1.clone()),
                    stalled_ms: 0,
                    trouble: None,
                    wall_clock_us: 0,
                };
                self.send(&ToAgent::Report { report })?;
                last = Some(now);
            }
            match self.stream.read(&mut bytes) {
                Ok(0) => return Ok(()),
                Ok(n) => decoder.push(&bytes[..n]),
                Err(e)
                    if matches!(
                        e.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                    ) => {}
                Err(e) => return Err(e.into()),
            }
            while let Some(message) = decoder.next()? {
                self.take(message);
            }
        }
        Ok(())
    }

    fn send(&mut self, message: &ToAgent) -> Result<()> {
        let mut frame = Vec::new();
        encode(message, FRAME_BYTES_MAX, &mut frame)?;
        Ok(self.stream.write_all(&frame)?)
    }

    fn take(&self, message: ToPlugin) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match message {
            ToPlugin::View { view } => seen.view = view,
            ToPlugin::Observed { observed } => seen.observed = observed,
            ToPlugin::Events { reset, events } => {
                if reset {
                    seen.events.clear();
                }
                seen.events.extend(events);
            }
            ToPlugin::Refused { reason } => seen.refused = Some(reason),
            ToPlugin::Welcome { .. } | ToPlugin::Unknown => {}
        }
    }
}
