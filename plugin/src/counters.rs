//! Counters behind the status variables: written by the link's thread, read by `SHOW STATUS`.

use std::sync::atomic::{AtomicU64, Ordering};

/// A counter that any thread may raise and read.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// A counter at zero.
    pub const fn new() -> Self {
        Counter(AtomicU64::new(0))
    }

    /// Raises it by one.
    pub fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Its value now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Back to zero: the daemon plugin was installed anew.
    pub fn reset(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

/// `Muster_reports_sent`.
pub static REPORTS_SENT: Counter = Counter::new();
/// `Muster_views_received`.
pub static VIEWS_RECEIVED: Counter = Counter::new();
/// `Muster_reconnects`: connections to the agent after the first one.
pub static RECONNECTS: Counter = Counter::new();

/// All of them back to zero.
pub fn reset() {
    for counter in [&REPORTS_SENT, &VIEWS_RECEIVED, &RECONNECTS] {
        counter.reset();
    }
}
