//! Watches the engine and says where this agent stands; also gives the leader its beat.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use muster_core::ids::AgentId;
use openraft::async_runtime::WatchReceiver;
use openraft::{Instant as _, RaftMetrics};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::signals::Signals;
use super::standing::Standing;
use super::timing::Timing;
use super::types::{Raft, TypeConfig};

/// Up to this many learners hear every beat of the leader; more of them hear about every third.
const LEARNERS_FEW: usize = 8;

/// `me` is the only voter: nobody else is needed for a majority.
fn is_alone(me: AgentId, metrics: &RaftMetrics<TypeConfig>) -> bool {
    metrics.membership_config.voter_ids().eq([me.0])
}

/// The task.
pub(super) struct Observer {
    me: AgentId,
    raft: Raft,
    timing: Timing,
    applied: watch::Receiver<u64>,
    signals: Arc<Signals>,
    /// When this agent was first seen to lead without a break.
    leading_since: Option<Instant>,
    standing: watch::Sender<Standing>,
}

impl Observer {
    pub(super) fn start(
        me: AgentId,
        raft: Raft,
        timing: Timing,
        applied: watch::Receiver<u64>,
        signals: Arc<Signals>,
    ) -> (JoinHandle<()>, watch::Receiver<Standing>) {
        let standing = watch::Sender::new(Standing::default());
        let seen = standing.subscribe();
        let mut observer = Self {
            me,
            raft,
            timing,
            applied,
            signals,
            leading_since: None,
            standing,
        };
        observer.look();
        (tokio::spawn(observer.run()), seen)
    }

    async fn run(mut self) {
        let mut metrics = self.raft.metrics();
        let mut beat = interval(self.timing.heartbeat);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                changed = self.applied.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
                changed = metrics.changed() => {
                    if changed.is_err() {
                        self.look();
                        return;
                    }
                }
                _ = beat.tick() => {
                    self.finish_change();
                    // The engine's own interval is the longest that a heartbeat may take, which is too rare.
                    if self.standing.borrow().i_lead && self.raft.trigger().heartbeat().await.is_err() {
                        self.look();
                        return;
                    }
                }
            }
            self.look();
        }
    }

    fn look(&mut self) {
        let metrics = self.raft.metrics().borrow_watched().clone();
        self.keep_silence(&metrics);
        let applied = *self.applied.borrow();
        let standing = self.stand(&metrics, applied);
        if standing.learners.len() > LEARNERS_FEW
            && **self.signals.patient.load() != standing.learners
        {
            self.signals
                .patient
                .store(Arc::new(standing.learners.clone()));
        } else if standing.learners.len() <= LEARNERS_FEW && !self.signals.patient.load().is_empty()
        {
            self.signals.patient.store(Arc::default());
        }
        self.standing.send_if_modified(|old| {
            let new = *old != standing;
            *old = standing;
            new
        });
    }

    fn keep_silence(&mut self, metrics: &RaftMetrics<TypeConfig>) {
        if !metrics.state.is_leader() || is_alone(self.me, metrics) {
            self.leading_since = None;
            self.signals.silent.store(false, Ordering::Relaxed);
            return;
        }
        let leading = self
            .leading_since
            .get_or_insert_with(Instant::now)
            .elapsed();
        let acked = metrics
            .last_quorum_acked
            .as_ref()
            .map(|when| when.elapsed());
        let lonely = acked.map_or(leading, |acked| acked.min(leading));
        let silent = lonely
            .checked_sub(self.timing.election_max)
            .is_some_and(|over| {
                (over.as_millis() / self.timing.silence().as_millis()).is_multiple_of(2)
            });
        self.signals.silent.store(silent, Ordering::Relaxed);
    }

    /// A leader that was lost in the middle of changing the voters leaves both sets in charge. Whoever leads now ends it.
    fn finish_change(&self) {
        let metrics = self.raft.metrics().borrow_watched().clone();
        let newest = &metrics.membership_config;
        let [_, target] = newest.get_joint_config().as_slice() else {
            return;
        };
        let agreed_on = newest.log_id() == metrics.committed_membership_config.log_id();
        if !metrics.state.is_leader() || !agreed_on {
            return;
        }
        // Somebody here is at it.
        let Ok(at_it) = self.signals.membership.clone().try_lock_owned() else {
            return;
        };
        let (raft, target) = (self.raft.clone(), target.clone());
        let patience = self.timing.propose;
        tokio::spawn(async move {
            // If it does not work out, it is tried again at a later beat.
            let _ = timeout(patience, raft.change_membership(target, true)).await;
            drop(at_it);
        });
    }

    fn stand(&self, metrics: &RaftMetrics<TypeConfig>, last_applied_index: u64) -> Standing {
        let membership = metrics.membership_config.membership();
        let i_lead = metrics.state.is_leader();
        let patience = self.timing.election_max;
        let heard = self
            .signals
            .hearing
            .since()
            .filter(|(_, when)| when.elapsed() < patience);
        let alone = is_alone(self.me, metrics);
        let quorum = if i_lead {
            let acked = metrics.last_quorum_acked.as_ref();
            alone || acked.is_some_and(|when| when.elapsed() < patience)
        } else {
            heard.is_some()
        };
        let leader = if i_lead {
            Some(self.me)
        } else {
            // Whom the engine follows, if that one still speaks.
            heard.map(|(leader, _)| leader)
        };
        let failed = match &metrics.running_state {
            Err(error) if !self.signals.closing.load(Ordering::SeqCst) => Some(error.to_string()),
            _ => self.signals.failed(),
        };
        Standing {
            leader,
            i_lead: i_lead && failed.is_none(),
            term: metrics.current_term,
            quorum: quorum && failed.is_none(),
            last_applied_index,
            voters: membership.voter_ids().map(AgentId).collect(),
            learners: membership.learner_ids().map(AgentId).collect(),
            changing: membership.get_joint_config().len() > 1,
            matched: metrics
                .replication
                .iter()
                .flatten()
                .filter_map(|(id, log_id)| Some((AgentId(*id), log_id.as_ref()?.index)))
                .collect::<BTreeMap<_, _>>(),
            last_log_index: metrics.last_log_index.unwrap_or(0),
            failed,
        }
    }
}
