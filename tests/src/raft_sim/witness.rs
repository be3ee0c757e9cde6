//! Who remembers everything that any agent has ever shown, and notices what must not be.

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use muster_agent::consensus::Consensus;
use muster_core::ids::{AgentId, ViewId};
use muster_core::state::ClusterState;

/// Everything that was ever seen.
#[derive(Debug, Default)]
pub(super) struct Witness {
    /// State by view, as a digest, and who showed it first.
    pub(super) views: BTreeMap<ViewId, (u64, AgentId)>,
    /// Events by number, as a digest.
    events: BTreeMap<u64, (u64, AgentId)>,
    /// Highest view of each agent.
    newest: BTreeMap<AgentId, ViewId>,
    /// Highest event of each agent that was compared.
    pub(super) compared: BTreeMap<AgentId, u64>,
    /// Leader of each term.
    pub(super) leaders: BTreeMap<u64, AgentId>,
    /// Acknowledged marks and their views.
    pub(super) acknowledged: Vec<(String, ViewId)>,
    pub(super) failed: usize,
    /// The first thing that was wrong.
    pub(super) wrong: Option<String>,
}

fn digest(value: &impl std::fmt::Debug) -> u64 {
    let mut hasher = DefaultHasher::new();
    format!("{value:?}").hash(&mut hasher);
    hasher.finish()
}

impl Witness {
    pub(super) fn wrong(&mut self, what: String) {
        self.wrong.get_or_insert(what);
    }

    /// Agent `id` shows `state`.
    pub(super) fn shown(&mut self, id: AgentId, state: &ClusterState) {
        let view = state.view_id;
        if self.newest.get(&id) == Some(&view) && view != ViewId(0) {
            // Seen and compared, unless the same number now means something else.
            let (first, _) = self.views[&view];
            if first != digest(state) {
                self.wrong(format!("agent {id} shows view {view} in two ways"));
            }
            return;
        }
        let newest = self.newest.entry(id).or_default();
        if view < *newest {
            let before = *newest;
            self.wrong(format!("agent {id} showed view {before} and now {view}"));
            return;
        }
        *newest = view;
        if view == ViewId(0) {
            return;
        }
        let mine = digest(state);
        let (theirs, first) = *self.views.entry(view).or_insert((mine, id));
        if mine != theirs {
            self.wrong(format!(
                "agents {first} and {id} show different states as view {view}"
            ));
        }
        let compared = self.compared.get(&id).copied().unwrap_or(0);
        for event in state
            .events
            .iter()
            .filter(|event| event.event_id > compared)
        {
            self.compared.insert(id, event.event_id);
            let mine = digest(event);
            let (theirs, first) = *self.events.entry(event.event_id).or_insert((mine, id));
            if mine != theirs {
                let number = event.event_id;
                self.wrong(format!(
                    "agents {first} and {id} have applied different commands at event {number}"
                ));
            }
        }
        for (mark, at) in self.acknowledged.clone() {
            self.kept(id, state, &mark, at);
        }
    }

    /// `mark` was acknowledged in view `at`: every state from there on has it.
    fn kept(&mut self, id: AgentId, state: &ClusterState, mark: &str, at: ViewId) {
        let has = || {
            state
                .events
                .iter()
                .any(|event| event.reason.ends_with(mark))
        };
        if at <= state.view_id && !has() {
            let view = state.view_id;
            self.wrong(format!(
                "'{mark}' was acknowledged in view {at}, and agent {id} shows view {view} without it"
            ));
        }
    }

    fn leads(&mut self, id: AgentId, term: u64) {
        let leader = *self.leaders.entry(term).or_insert(id);
        if leader != id {
            self.wrong(format!("agents {leader} and {id} both lead term {term}"));
        }
    }
}

#[derive(Clone, Default)]
pub(super) struct Shared(Arc<Mutex<Witness>>);

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, Witness> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows one life of an agent until `alive` says that it is over, and notes everything it shows.
    ///
    /// Its tasks go on for a moment after a crash. What they still say is not shown to anybody.
    pub(super) fn follow(&self, id: AgentId, consensus: &Consensus, alive: Arc<AtomicBool>) {
        let mut state = consensus.state();
        let mut standing = consensus.standing();
        let witness = self.clone();
        tokio::spawn(async move {
            while alive.load(Ordering::SeqCst) {
                let shown = state.borrow_and_update().clone();
                witness.lock().shown(id, &shown);
                let now = standing.borrow_and_update().clone();
                if now.i_lead {
                    witness.lock().leads(id, now.term);
                }
                tokio::select! {
                    changed = state.changed() => if changed.is_err() { return },
                    changed = standing.changed() => if changed.is_err() { return },
                }
            }
        });
    }
}
