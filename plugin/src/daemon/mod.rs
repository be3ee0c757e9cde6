//! The daemon part of the plugin: two threads between the server and the agent.
//!
//! `muster-link` owns the socket to the agent and never waits; `muster-facts` reads the server's state through a
//! session inside it, and may hang there. They share a few atomics and bells. Neither ever makes the server wait,
//! and both end within a bound when the daemon plugin is uninstalled or the server stops.

pub mod clock;
pub mod connection;
pub mod facts;
#[cfg(test)]
mod fake;
pub mod link;
pub mod member_id;
pub mod read;
pub mod session;
pub mod shared;
pub mod socket;
#[cfg(test)]
mod tests;
pub mod thread;
pub mod voice;
pub mod wake;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use connection::Introduction;
use facts::FactsThread;
use link::LinkThread;
use read::Advertise;

use shared::Shared;
use thread::Worker;

use crate::server::{Level, ServerApi};
use crate::settings::Settings;
use crate::{BUILD, counters, snapshot};

/// Both threads together get this long to end. Only a statement that hangs inside the server can take longer.
const STOP_BOUND: Duration = Duration::from_secs(3);

/// How long a server that is about to stop waits for our session to close; in most cases that takes microseconds.
const CLOSE_BOUND: Duration = Duration::from_secs(1);
/// A statement of ours that takes longer hangs.
const STALLED_MS: u64 = 1_000;

/// Statics survive an uninstall, because the file stays mapped; so what runs is here, and only what runs.
static STATE: Mutex<State> = Mutex::new(State {
    running: None,
    late: Vec::new(),
});

struct State {
    running: Option<Daemon>,
    /// Threads that did not end within the bound of an earlier stop.
    late: Vec<Worker>,
}

/// Starts the threads. It returns at once, whether or not there is an agent and whether or not the server serves yet.
/// The error is a sentence.
pub fn start(settings: Settings, server: &'static dyn ServerApi) -> Result<(), String> {
    let mut state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
    if state.running.is_some() {
        return Err("the Muster daemon runs already in this server".to_owned());
    }
    state.late.retain(|worker| !worker.is_finished());
    if let Some(worker) = state.late.first() {
        return Err(format!(
            "the thread {} of an earlier installation still hangs inside a statement; install the plugin again when that statement has ended",
            worker.name()
        ));
    }
    counters::reset();
    // A table read right after INSTALL PLUGIN must not say that the plugin is not there; the link thread may be late.
    let show = |state| snapshot::publish(snapshot::Snapshot::empty(state));
    show(snapshot::AgentState::NeverConnected);
    let daemon = Daemon::start(settings, server);
    if daemon.is_err() {
        show(snapshot::AgentState::NotInstalled);
    }
    state.running = Some(daemon?);
    Ok(())
}

/// Called by the server when it is about to stop, where it tells. It counts its sessions a moment later and waits for
/// them; so this returns when ours is closed, or after a moment if that hangs.
pub fn server_stops() {
    // Whoever holds the lock is starting or stopping the threads, and needs no telling.
    if let Ok(state) = STATE.try_lock()
        && let Some(daemon) = &state.running
    {
        daemon.shared.server_stops(CLOSE_BOUND);
    }
}

/// Whether [`stop`] would find every thread able to end in time; else a sentence.
pub fn ready_to_stop() -> Result<(), String> {
    let state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
    let stalled_ms = state
        .running
        .as_ref()
        .map_or(0, |daemon| daemon.shared.stalled_ms(clock::boot_ms()));
    if stalled_ms > STALLED_MS {
        return Err(format!(
            "its thread muster-facts has been inside one statement of this server for {stalled_ms} ms; uninstall it when that has ended"
        ));
    }
    Ok(())
}

/// Stops the threads and waits for them, at most a few seconds. The error is a sentence: a thread hangs in a statement
/// inside the server and ends with it.
pub fn stop() -> Result<(), String> {
    let mut state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(daemon) = state.running.take() else {
        return Ok(());
    };
    match daemon.stop() {
        Ok(()) => Ok(()),
        Err(late) => {
            let sentence = format!(
                "the thread {} of the Muster plugin hangs inside a statement of this server and could not be stopped; it ends when the statement does",
                late.name()
            );
            state.late.push(late);
            Err(sentence)
        }
    }
}

/// The running threads.
pub struct Daemon {
    shared: Arc<Shared>,
    server: &'static dyn ServerApi,
    link: Worker,
    facts: Worker,
}

impl Daemon {
    /// See [`start`].
    pub fn start(settings: Settings, server: &'static dyn ServerApi) -> Result<Self, String> {
        let shared = Shared::new()
            .map_err(|error| format!("no event descriptor for the Muster daemon: {error}"))?;
        let shared = Arc::new(shared);
        let facts = FactsThread {
            server,
            shared: shared.clone(),
            advertise: Advertise {
                host: Some(settings.advertise_host).filter(|host| !host.is_empty()),
                port: Some(settings.advertise_port).filter(|port| *port != 0),
            },
        };
        let link = LinkThread {
            server,
            shared: shared.clone(),
            agent_socket: settings.agent_socket,
            introduction: Introduction {
                build: BUILD.to_owned(),
                plugin_path: server.plugin_path(),
            },
        };
        let facts_ended = shared.clone();
        let facts = Worker::spawn(
            "muster-facts",
            server,
            move || facts.run(),
            move || {
                facts_ended.facts_panicked();
            },
        )?;
        let link = Worker::spawn("muster-link", server, move || link.run(), snapshot::unplug);
        match link {
            Ok(link) => Ok(Self {
                shared,
                server,
                link,
                facts,
            }),
            Err(error) => {
                shared.stop();
                let _ = facts.join_until(Instant::now() + STOP_BOUND);
                Err(error)
            }
        }
    }

    /// Stops both threads; the worker that did not end in time is given back.
    pub fn stop(self) -> Result<(), Worker> {
        let deadline = Instant::now() + STOP_BOUND;
        self.shared.stop();
        // The link thread never blocks; it says Bye first.
        if let Err(worker) = self.link.join_until(deadline) {
            self.server
                .log(Level::Error, "the thread muster-link did not end in time");
            let _ = self.facts.join_until(deadline);
            return Err(worker);
        }
        self.facts.join_until(deadline)
    }
}
