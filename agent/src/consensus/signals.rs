//! What the parts of one agent's consensus tell each other beside the engine.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arc_swap::ArcSwap;
use muster_core::ids::AgentId;
use tokio::time::Instant;

/// Shared by the handle, the observer and the network.
#[derive(Debug, Default)]
pub(super) struct Signals {
    pub(super) hearing: Hearing,
    /// This agent leads, has lost its majority and stays silent for a while, so that the others can elect another: a
    /// leader that is heard and hears nobody would be followed for ever. The engine keeps its heartbeats back by itself,
    /// but not entries that it sends again and again.
    pub(super) silent: AtomicBool,
    /// Learners of a large group. Nothing depends on how soon they miss a leader, and there may be 200 of them.
    pub(super) patient: ArcSwap<BTreeSet<AgentId>>,
    /// Held by whoever changes the membership: one change goes after the other.
    pub(super) membership: Arc<tokio::sync::Mutex<()>>,
    /// Shutting down; that the engine ends is no failure now.
    pub(super) closing: AtomicBool,
    /// Why this agent must not go on, found out from what it heard.
    failed: OnceLock<String>,
}

impl Signals {
    /// This agent must not go on; it answers nobody any more.
    pub(super) fn fail(&self, why: String) {
        // The first reason stays.
        let _ = self.failed.set(why);
    }

    pub(super) fn failed(&self) -> Option<String> {
        self.failed.get().cloned()
    }
}

/// When this agent last heard a leader that it accepts.
///
/// The engine remembers whom it follows, also long after that one has fallen silent; a person wants to know whether it is
/// still there.
#[derive(Debug, Default)]
pub(super) struct Hearing {
    last: Mutex<Option<(AgentId, Instant)>>,
}

impl Hearing {
    /// A request of `leader` was accepted.
    pub(super) fn heard_leader(&self, leader: AgentId) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((leader, Instant::now()));
    }

    pub(super) fn since(&self) -> Option<(AgentId, Instant)> {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
