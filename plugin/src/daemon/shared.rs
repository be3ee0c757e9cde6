//! What the two threads of the daemon know of each other. Neither ever waits for the other.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use muster_link::report::{Facts, Identity, Phase};

use crate::daemon::clock::boot_ms;
use crate::daemon::wake::Bell;
use crate::server::ServerApi;

/// The newest facts, and what is wrong with them.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Who the server is; none until it serves, or when it cannot be known.
    pub identity: Option<Arc<Identity>>,
    /// The newest facts; none until the first were read.
    pub facts: Option<Arc<Facts>>,
    /// Why something is missing or old.
    pub trouble: Option<String>,
    /// Grows when something changed that the agent must hear at once.
    pub change: u64,
}

/// Shared by the link thread and the facts thread.
#[derive(Debug)]
pub struct Shared {
    /// Both threads must end.
    stop: AtomicBool,
    /// The server has told that it is about to stop.
    server_stops: AtomicBool,
    /// The facts thread holds a session, or is about to.
    session_open: AtomicBool,
    /// Wakes the link thread.
    pub link_bell: Bell,
    /// Wakes the facts thread.
    pub facts_bell: Bell,
    /// Written by the facts thread.
    known: ArcSwap<Known>,
    /// CLOCK_BOOTTIME in ms at which the facts thread entered the server; 0 = it is not inside.
    inside_since_ms: AtomicU64,
}

impl Shared {
    /// Nothing known, nobody told to stop.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            stop: AtomicBool::new(false),
            server_stops: AtomicBool::new(false),
            session_open: AtomicBool::new(false),
            link_bell: Bell::new()?,
            facts_bell: Bell::new()?,
            known: ArcSwap::default(),
            inside_since_ms: AtomicU64::new(0),
        })
    }

    /// Tells both threads to end.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
        self.link_bell.ring();
        self.facts_bell.ring();
    }

    /// See [`stop`](Self::stop).
    pub fn stopping(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// The server says that it is about to stop: from now on its phase is Stopping. Waits until the session inside it
    /// is closed, for a moment: true if it is.
    pub fn server_stops(&self, longest: Duration) -> bool {
        self.server_stops.store(true, Ordering::SeqCst);
        self.link_bell.ring();
        self.facts_bell.ring();
        let deadline = Instant::now() + longest;
        while self.session_open.load(Ordering::SeqCst) {
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        true
    }

    /// How far the server is, as it has told or as it shows.
    pub fn phase(&self, server: &dyn ServerApi) -> Phase {
        match self.server_stops.load(Ordering::SeqCst) {
            true => Phase::Stopping,
            false => server.phase(),
        }
    }

    /// See [`server_stops`](Self::server_stops). Set before a session is opened, taken back after it is closed.
    pub fn set_session_open(&self, open: bool) {
        self.session_open.store(open, Ordering::SeqCst);
    }

    /// The newest facts.
    pub fn known(&self) -> Arc<Known> {
        self.known.load_full()
    }

    /// Replaces what is known; wakes the link thread if `change` grew.
    pub fn tell(&self, known: Known) {
        let urgent = known.change != self.known.load().change;
        self.known.store(Arc::new(known));
        if urgent {
            self.link_bell.ring();
        }
    }

    /// The facts thread is gone for good: the agent must not take what it last said for the present.
    pub fn facts_panicked(&self) {
        self.set_session_open(false);
        let known = self.known();
        self.tell(Known {
            trouble: Some(
                "the thread that reads this server's state ended by a panic; reinstall the Muster plugin".to_owned(),
            ),
            change: known.change + 1,
            ..(*known).clone()
        });
    }

    /// Marks the calling (facts) thread as inside the server for as long as the guard lives.
    pub fn inside(&self) -> Inside<'_> {
        self.inside_since_ms
            .store(boot_ms().max(1), Ordering::Relaxed);
        Inside(self)
    }

    /// For how long the facts thread has been inside one statement; 0 = it is not.
    pub fn stalled_ms(&self, now_ms: u64) -> u64 {
        match self.inside_since_ms.load(Ordering::Relaxed) {
            0 => 0,
            since => now_ms.saturating_sub(since),
        }
    }
}

/// See [`Shared::inside`].
pub struct Inside<'a>(&'a Shared);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.inside_since_ms.store(0, Ordering::Relaxed);
    }
}
