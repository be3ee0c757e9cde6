//! What this agent shows: to its plugin, to the command line, to everybody who asks. One picture for all.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use muster_core::show;
use muster_core::state::ClusterState;
use muster_link::limits::AGENT_SILENCE_MS_MAX;
use muster_link::view::{Observed, View};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::member::Member;
use crate::clock;
use crate::server::ServerLink;

/// Longest silence towards the plugin: it takes an agent that is silent for longer than the limit for a hanging one.
const SHOW_EVERY: Duration = Duration::from_millis(500);
const _: () = assert!(SHOW_EVERY.as_millis() * 4 <= AGENT_SILENCE_MS_MAX as u128);
/// Least time between two pictures that differ only in observed facts.
const SHOW_PAUSE: Duration = Duration::from_millis(10);

/// The newest picture.
#[derive(Debug)]
pub(super) struct Shown {
    inner: RwLock<Inner>,
    newest_event: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Inner {
    view: Arc<View>,
    observed: Arc<Observed>,
    /// The state that the view was made of: events are read from it when somebody asks.
    state: Arc<ClusterState>,
}

impl Default for Shown {
    fn default() -> Self {
        Self {
            inner: RwLock::default(),
            newest_event: watch::channel(0).0,
        }
    }
}

impl Shown {
    pub(super) fn view(&self) -> Arc<View> {
        self.read(|inner| inner.view.clone())
    }

    pub(super) fn observed(&self) -> Arc<Observed> {
        self.read(|inner| inner.observed.clone())
    }

    pub(super) fn state(&self) -> Arc<ClusterState> {
        self.read(|inner| inner.state.clone())
    }

    pub(super) fn newest_event(&self) -> watch::Receiver<u64> {
        self.newest_event.subscribe()
    }

    /// Shows a new state: one view, and its events.
    pub(super) fn show_state(&self, server: &ServerLink, state: &Arc<ClusterState>) {
        let before = self.state();
        if Arc::ptr_eq(&before, state) {
            return;
        }
        let another = before.cluster_id != state.cluster_id;
        let view = if before.view_id == state.view_id && !another {
            self.view()
        } else {
            Arc::new(show::view(state))
        };
        let seen = if another {
            0
        } else {
            *self.newest_event.borrow()
        };
        let events = show::events_after(state, seen);
        self.write(|inner| {
            inner.view = view.clone();
            inner.state = state.clone();
        });
        if another || !events.is_empty() {
            let newest = events.last().map_or(0, |e| e.event_id);
            server.publish_events(another, events);
            self.newest_event.send_replace(newest);
        }
        server.publish_view(view);
    }

    /// Shows observed facts.
    pub(super) fn show_observed(&self, server: &ServerLink, observed: Observed) {
        let observed = Arc::new(observed);
        self.write(|inner| inner.observed = observed.clone());
        server.publish_observed(observed);
    }

    fn read<T>(&self, what: impl FnOnce(&Inner) -> T) -> T {
        what(&self.inner.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write(&self, what: impl FnOnce(&mut Inner)) {
        what(&mut self.inner.write().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Member {
    /// Shows what is new at once, and the observed facts at least twice a second.
    pub(super) async fn publish(self: Arc<Self>) {
        let mut standings = self.consensus.standing();
        loop {
            let state = self.state();
            // An agent that has not received the state yet shows nothing rather than an empty cluster.
            if state.founded() {
                self.shown.show_state(&self.server, &state);
            }
            let standing = standings.borrow_and_update().clone();
            let known = show::Standing {
                quorum: standing.quorum,
                leader: standing.leader,
            };
            let observed = show::observed(&state, &self.evidence(), clock::boot_ms(), known);
            self.shown.show_observed(&self.server, observed);
            let shown_at = Instant::now();
            tokio::select! {
                () = self.show_bell.notified() => {}
                changed = standings.changed() => if changed.is_err() { return },
                () = sleep_until(shown_at + SHOW_EVERY) => {}
            }
            // A new view is never kept waiting; a flood of observed facts is.
            if Arc::ptr_eq(&state, &self.state()) {
                sleep_until(shown_at + SHOW_PAUSE).await;
            }
        }
    }
}
