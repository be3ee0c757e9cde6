//! The handle that the rest of the agent holds.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use muster_core::command::{Entry, Outcome};
use muster_core::ids::AgentId;
use muster_core::state::ClusterState;
use openraft::async_runtime::WatchReceiver;
use openraft::errors::{
    ChangeMembershipError, ClientWriteError, Fatal, ForwardReason, ForwardToLeader,
    InitializeError, LinearizableReadError, RaftError,
};
use openraft::{BasicNode, ChangeMembers, Config, ReadPolicy, SnapshotPolicy};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};

use super::error::{OpenError, ProposeError, ServeError};
use super::folder::{DiskFolder, Folder, run};
use super::log_store::LogStore;
use super::machine::Machine;
use super::message::{Answer, Question};
use super::network::Network;
use super::observer::Observer;
use super::signals::Signals;
use super::standing::Standing;
use super::timing::Timing;
use super::transport::{RaftReply, RaftRpc, RaftTransport};
use super::types::{LogId, Proposal, Raft, TypeConfig, Vote};

/// When the log is cut short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compaction {
    /// A snapshot is made after this many entries.
    pub after_entries: u64,
    /// Entries that stay in the log behind a snapshot, so that an agent that was away for a moment needs no snapshot.
    pub keep_entries: u64,
}

impl Default for Compaction {
    fn default() -> Self {
        Self {
            after_entries: 1_000,
            keep_entries: 200,
        }
    }
}

/// Most entries in one request.
const ENTRIES_PER_CALL: u64 = 256;

/// A proposal that was agreed on and applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposed {
    /// Its place in the log.
    pub index: u64,
    /// What it did.
    pub outcome: Outcome,
}

/// The consensus of one agent. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Consensus {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    me: AgentId,
    raft: Raft,
    timing: Timing,
    state: watch::Receiver<Arc<ClusterState>>,
    standing: watch::Receiver<Standing>,
    signals: Arc<Signals>,
    observer: JoinHandle<()>,
    /// Closed when the store is.
    store: watch::Receiver<()>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.observer.abort();
    }
}

impl Inner {
    /// The leader names an entry that this agent has told it to hold, and it is not here.
    fn set_back(&self, named: Option<LogId>) -> ServeError {
        let index = named.map_or(0, |id| id.index);
        let why = format!(
            "its store does not hold log entry {index}, which this agent has acknowledged: the store was set back, as by \
             the snapshot of a virtual machine or an old copy of the folder. Take this agent out with 'muster remove', \
             move the folder away and join again as a new agent"
        );
        tracing::error!(index, "the store was set back");
        self.signals.fail(why.clone());
        ServeError::Stopped(why)
    }
}

impl Consensus {
    /// Opens the store in `store_dir` (made if it is not there) and takes part in the group again, or waits to be
    /// founded or added to one.
    pub async fn open(
        store_dir: &Path,
        me: AgentId,
        transport: Arc<dyn RaftTransport>,
        timing: Timing,
    ) -> Result<Self, OpenError> {
        Self::open_in(
            Arc::new(DiskFolder::open(store_dir)?),
            me,
            transport,
            timing,
            Compaction::default(),
        )
        .await
    }

    /// Like [`Self::open`], with a folder of another kind.
    pub async fn open_in(
        folder: Arc<dyn Folder>,
        me: AgentId,
        transport: Arc<dyn RaftTransport>,
        timing: Timing,
        compaction: Compaction,
    ) -> Result<Self, OpenError> {
        let log = on_folder(&folder, move |folder| LogStore::open(folder, me)).await?;
        let store = log.closed();
        let machine = Machine::new(folder.clone());
        let (mut state, index) = (machine.state(), machine.index());
        let signals = Arc::new(Signals::default());
        let network = Network {
            me,
            transport,
            timing,
            signals: signals.clone(),
            told: Arc::default(),
        };
        let raft = Raft::new(me.0, config(&timing, compaction)?, network, log, machine)
            .await
            .map_err(|error| start_error(&*folder, &error))?;

        state.mark_unchanged();
        let (observer, standing) =
            Observer::start(me, raft.clone(), timing, index, signals.clone());
        Ok(Self {
            inner: Arc::new(Inner {
                me,
                raft,
                timing,
                state,
                standing,
                signals,
                observer,
                store,
            }),
        })
    }

    /// For `muster recover --force`, after a majority of the voters is lost for good: rewrites the store in `store_dir`,
    /// which no agent may have open, so that agent `me` is the only voter. Returns the state that it goes on with.
    ///
    /// The first thing to be proposed after [`Self::open`] must be `Command::Recover`, and nothing may be shown before.
    pub async fn recover_alone(
        store_dir: &Path,
        me: AgentId,
    ) -> Result<Arc<ClusterState>, OpenError> {
        super::recover::recover_alone(store_dir, me).await
    }

    /// Makes a group of this agent alone, reached by others at `address`, and commits `first` in it (`Command::Found`).
    ///
    /// Repeating it after a crash in between is safe; on an agent that belongs to a founded cluster it is refused.
    pub async fn found(&self, address: &str, first: Entry) -> Result<Proposed, ProposeError> {
        let inner = &self.inner;
        let alone = BTreeMap::from([(inner.me.0, BasicNode::new(address))]);
        match inner.raft.initialize(alone).await {
            Ok(()) => {}
            // An earlier attempt may have come this far.
            Err(RaftError::APIError(InitializeError::NotAllowed(_))) => {
                let standing = inner.standing.borrow().clone();
                let mine = standing.voters == BTreeSet::from([inner.me]);
                if !mine || inner.state.borrow().founded() {
                    return Err(ProposeError::Refused(
                        "this agent belongs to a cluster already: take it out with 'muster leave' first"
                            .to_owned(),
                    ));
                }
            }
            Err(error) => return Err(ProposeError::Stopped(error.to_string())),
        }
        let deadline = self.deadline();
        loop {
            match self.propose(first.clone()).await {
                // Alone, the election is over within a few ticks.
                Err(ProposeError::NotLeader { .. }) if Instant::now() < deadline => {
                    sleep(inner.timing.heartbeat / 10).await;
                }
                result => return result,
            }
        }
    }

    /// Proposes a change, and waits until it has been agreed on and applied here. Only on the leader.
    ///
    /// Gives up after [`Timing::propose`]. [`ProposeError::Unknown`] means that the change may still happen.
    pub async fn propose(&self, entry: Entry) -> Result<Proposed, ProposeError> {
        let written = self
            .until_writable(|| self.inner.raft.client_write(Proposal(entry.clone())))
            .await?;
        match written.data.0 {
            Some(outcome) => Ok(Proposed {
                index: written.log_id.index,
                outcome,
            }),
            None => Err(ProposeError::Stopped(
                "a proposal was applied without an outcome".to_owned(),
            )),
        }
    }

    /// Waits until everything that had been agreed on anywhere before this call is applied here. Only on the leader.
    pub async fn read_barrier(&self) -> Result<(), ProposeError> {
        let read = self.inner.raft.ensure_linearizable(ReadPolicy::ReadIndex);
        match timeout_at(self.deadline(), read).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(RaftError::APIError(LinearizableReadError::ForwardToLeader(forward)))) => {
                Err(self.not_leader(&forward))
            }
            Ok(Err(RaftError::APIError(LinearizableReadError::QuorumNotEnough(_)))) | Err(_) => {
                Err(self.no_quorum())
            }
            Ok(Err(RaftError::Fatal(fatal))) => Err(stopped(&fatal)),
        }
    }

    /// The newest applied state.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<Arc<ClusterState>> {
        self.inner.state.clone()
    }

    /// Where this agent stands in the group.
    #[must_use]
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.inner.standing.clone()
    }

    /// Adds an agent that listens but does not vote, or gives a known one a new address. Only on the leader. Returns
    /// once it is agreed on; the agent itself may take longer to catch up.
    ///
    /// An id that was removed is refused for ever: a group that counts one id for two hosts can split.
    pub async fn add_learner(&self, id: AgentId, address: &str) -> Result<(), ProposeError> {
        if self.inner.state.borrow().removed_agents.contains(&id) {
            return Err(ProposeError::Refused(format!(
                "agent {id} was removed, and an agent's number is used once: the host has to join as a new agent"
            )));
        }
        let _one_at_a_time = self.inner.signals.membership.lock().await;
        let node = BasicNode::new(address);
        let known = self.nodes();
        let change = match known.get(&id.0) {
            Some(there) if *there == node => return Ok(()),
            Some(_) => ChangeMembers::SetNodes(BTreeMap::from([(id.0, node)])),
            None => ChangeMembers::AddNodes(BTreeMap::from([(id.0, node)])),
        };
        self.change(change, true).await
    }

    /// Makes exactly these agents the voters; who voted before and does not now stays as a learner. Only on the leader.
    pub async fn set_voters(&self, voters: BTreeSet<AgentId>) -> Result<(), ProposeError> {
        let _one_at_a_time = self.inner.signals.membership.lock().await;
        let known = self.nodes();
        if let Some(stranger) = voters.iter().find(|id| !known.contains_key(&id.0)) {
            return Err(ProposeError::Refused(format!(
                "agent {stranger} cannot vote: it is not in the group"
            )));
        }
        if voters.is_empty() {
            return Err(ProposeError::Refused(
                "a group cannot be without voters".to_owned(),
            ));
        }
        let standing = self.inner.standing.borrow().clone();
        if !standing.changing && standing.voters == voters && standing.i_lead {
            return Ok(());
        }
        let ids = voters.iter().map(|id| id.0).collect();
        self.change(ChangeMembers::ReplaceAllVoters(ids), true)
            .await
    }

    /// Takes an agent out of the group, voter or not. Only on the leader; a leader that removes itself hands over.
    ///
    /// The removed agent may never hear of it: whoever carries the requests has to refuse it from then on, and not
    /// before. While [`Standing::has`] is true for it, a majority may need its vote.
    pub async fn remove(&self, id: AgentId) -> Result<(), ProposeError> {
        let _one_at_a_time = self.inner.signals.membership.lock().await;
        if !self.nodes().contains_key(&id.0) {
            return Ok(());
        }
        let only_voter = self.inner.standing.borrow().voters == BTreeSet::from([id]);
        if only_voter {
            return Err(ProposeError::Refused(format!(
                "agent {id} is the only voter: without it there is no group"
            )));
        }
        let gone = BTreeSet::from([id.0]);
        self.change(ChangeMembers::RemoveVoters(gone.clone()), true)
            .await?;
        self.change(ChangeMembers::RemoveNodes(gone), true).await
    }

    /// Hands the leadership to another voter and waits until this agent has seen it take over. Only on the leader.
    pub async fn transfer(&self, to: AgentId) -> Result<(), ProposeError> {
        let inner = &self.inner;
        let mut standing = inner.standing.clone();
        {
            let now = standing.borrow();
            if !now.i_lead {
                return Err(ProposeError::NotLeader { leader: now.leader });
            }
            if !now.voters.contains(&to) {
                return Err(ProposeError::Refused(format!(
                    "agent {to} cannot lead: it is not a voter"
                )));
            }
            if to == inner.me {
                return Ok(());
            }
        }
        inner
            .raft
            .trigger()
            .transfer_leader(to.0)
            .await
            .map_err(|fatal| stopped(&fatal))?;
        let taken_over = standing.wait_for(|now| now.leader == Some(to));
        match timeout_at(self.deadline(), taken_over).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(ProposeError::Stopped("it was shut down".to_owned())),
            Err(_) => Err(ProposeError::Unknown {
                why: format!("agent {to} did not take over in time"),
            }),
        }
    }

    /// Answers another agent's request. `from` is who the sender is by its certificate.
    pub async fn serve(&self, from: AgentId, rpc: RaftRpc) -> Result<RaftReply, ServeError> {
        let inner = &self.inner;
        let raft = &inner.raft;
        let question = rpc.0;
        self.may_speak(from, &question)?;
        if let Some(why) = inner.signals.failed() {
            return Err(ServeError::Stopped(why));
        }
        let answer = match question {
            Question::Append(request) => {
                let response = raft.append_entries(request).await.map_err(ended)?;
                if response.is_success() || response.is_conflict() {
                    inner.signals.hearing.heard_leader(from);
                }
                Answer::Append(response)
            }
            Question::Heartbeat(request) => {
                let named = request.prev_log_id;
                let response = raft.append_entries(request).await.map_err(ended)?;
                if response.is_conflict() {
                    return Err(inner.set_back(named));
                }
                if response.is_success() {
                    inner.signals.hearing.heard_leader(from);
                }
                Answer::Append(response)
            }
            Question::Vote(request) => Answer::Vote(raft.vote(request).await.map_err(ended)?),
            Question::PreVote(request) => {
                Answer::PreVote(raft.pre_vote(request).await.map_err(ended)?)
            }
            Question::Snapshot { vote, meta, data } => {
                let snapshot = super::types::Snapshot {
                    meta,
                    snapshot: data.into(),
                };
                let installed = raft.install_full_snapshot(vote, snapshot).await;
                Answer::Snapshot(installed.map_err(|fatal| ServeError::Stopped(fatal.to_string()))?)
            }
            Question::Transfer(request) => {
                let accepted = raft.handle_transfer_leader(request).await;
                Answer::Transfer(accepted.map_err(|fatal| ServeError::Stopped(fatal.to_string()))?)
            }
        };
        Ok(RaftReply(answer))
    }

    /// Ends this agent's part, in order. When this returns, the store is closed and can be opened again, unless the
    /// engine's last tasks take longer than [`Timing::propose`] to let go of it.
    pub async fn shutdown(&self) {
        self.inner.signals.closing.store(true, Ordering::SeqCst);
        // The only error is that of joining a task that is gone already.
        let _ = self.inner.raft.shutdown().await;
        self.inner.observer.abort();
        let mut store = self.inner.store.clone();
        // Nothing is ever sent: the wait ends when the other end is gone.
        let _ = timeout_at(self.deadline(), store.changed()).await;
    }

    /// Whether `from` may ask this.
    fn may_speak(&self, from: AgentId, question: &Question) -> Result<(), ServeError> {
        let refuse = |why: &str| {
            Err(ServeError::Refused {
                from,
                why: why.to_owned(),
            })
        };
        let speaker: &Vote = match question {
            Question::Append(request) | Question::Heartbeat(request) => &request.vote,
            Question::Vote(request) | Question::PreVote(request) => &request.vote,
            Question::Snapshot { vote, .. } => vote,
            Question::Transfer(request) => request.from_leader(),
        };
        if speaker.leader_id.voted_for != from.0 {
            return refuse("it speaks for another agent");
        }
        let standing = self.inner.standing.borrow();
        let me_alone = BTreeSet::from([self.inner.me]);
        if standing.voters == me_alone && !standing.has(from) {
            // Nobody else can have been let in without this agent's doing. It is one of a group that was given up by
            // 'muster recover --force', and must not take its old state back here.
            return refuse("it does not belong to this group");
        }
        let removed = self.inner.state.borrow().removed_agents.contains(&from);
        // As long as it is in the group its vote may be the one that is missing, whatever the ordered state says. And a
        // leader that removes itself still has to tell the others that they are on their own.
        if removed && !standing.has(from) && standing.leader != Some(from) {
            return refuse("it was removed from the cluster");
        }
        Ok(())
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.inner.timing.propose
    }

    fn nodes(&self) -> BTreeMap<u64, BasicNode> {
        let metrics = self.inner.raft.metrics();
        let metrics = metrics.borrow_watched();
        let nodes = metrics.membership_config.nodes();
        nodes.map(|(id, node)| (*id, node.clone())).collect()
    }

    async fn change(
        &self,
        change: ChangeMembers<u64, BasicNode>,
        retain: bool,
    ) -> Result<(), ProposeError> {
        self.until_writable(|| self.inner.raft.change_membership(change.clone(), retain))
            .await?;
        Ok(())
    }

    /// Hands something to the log, again and again while it is certain that nothing has been written yet.
    async fn until_writable<F, T>(&self, attempt: impl Fn() -> F) -> Result<T, ProposeError>
    where
        F: Future<Output = Result<T, RaftError<TypeConfig, ClientWriteError<TypeConfig>>>>,
    {
        let deadline = self.deadline();
        loop {
            let error = match timeout_at(deadline, attempt()).await {
                Ok(Ok(written)) => return Ok(written),
                Ok(Err(RaftError::Fatal(fatal))) => return Err(stopped(&fatal)),
                Ok(Err(RaftError::APIError(error))) => error,
                Err(_) => {
                    return Err(ProposeError::Unknown {
                        why: format!(
                            "no majority confirmed it within {} ms",
                            self.inner.timing.propose.as_millis()
                        ),
                    });
                }
            };
            match error {
                // It leads, but has not heard from a majority for a moment.
                ClientWriteError::ForwardToLeader(forward)
                    if forward.reason == ForwardReason::LeaseExpired => {}
                ClientWriteError::ForwardToLeader(forward) => return Err(self.not_leader(&forward)),
                ClientWriteError::LogEntryDiscarded(_) => {
                    return Err(ProposeError::Unknown {
                        why: "another leader took over meanwhile".to_owned(),
                    });
                }
                // An earlier change, perhaps of an earlier leader, is still on its way.
                ClientWriteError::ChangeMembershipError(
                    ChangeMembershipError::InProgress(_)
                    | ChangeMembershipError::UncommittedLeaderLog(_),
                ) => {}
                refused => return Err(ProposeError::Refused(refused.to_string())),
            }
            if Instant::now() >= deadline {
                return Err(self.no_quorum());
            }
            sleep(self.inner.timing.heartbeat / 10).await;
        }
    }

    fn not_leader(&self, forward: &ForwardToLeader<TypeConfig>) -> ProposeError {
        ProposeError::NotLeader {
            leader: forward
                .leader_id
                .map(AgentId)
                .filter(|leader| *leader != self.inner.me),
        }
    }

    fn no_quorum(&self) -> ProposeError {
        let after_ms = u64::try_from(self.inner.timing.propose.as_millis()).unwrap_or(u64::MAX);
        ProposeError::NoQuorum { after_ms }
    }
}

/// Runs `work`, which opens or rewrites a store, by way of the folder.
pub(super) async fn on_folder<T: Send + 'static>(
    folder: &Arc<dyn Folder>,
    work: impl FnOnce(&Arc<dyn Folder>) -> Result<T, OpenError> + Send + 'static,
) -> Result<T, OpenError> {
    let inside = folder.clone();
    run(&**folder, move || Ok(work(&inside)))
        .await
        .unwrap_or_else(|error| Err(OpenError::Engine(error.to_string())))
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn config(timing: &Timing, compaction: Compaction) -> Result<Arc<Config>, OpenError> {
    let config = Config {
        cluster_name: "muster".to_owned(),
        // The engine's interval bounds how long one heartbeat may take; how often they go out is the observer's doing.
        heartbeat_interval: milliseconds(timing.heartbeat_call()),
        election_timeout_min: milliseconds(timing.election_min),
        election_timeout_max: milliseconds(timing.election_max),
        install_snapshot_timeout: milliseconds(timing.snapshot),
        max_payload_entries: ENTRIES_PER_CALL,
        snapshot_policy: SnapshotPolicy::LogsSinceLast(compaction.after_entries),
        max_in_snapshot_log_to_keep: compaction.keep_entries,
        // A change is rare, and is to be seen everywhere at once.
        broadcast_submitted_on_append: Some(true),
        enable_pre_vote: Some(true),
        // A leader that speaks but hears nobody has to fall silent, or the others never elect another.
        quorum_loss_probe_interval: Some(milliseconds(timing.silence())),
        // A restarted leader is a leader of the past: it stands for election like everybody else.
        enable_leader_restore: Some(false),
        ..Config::default()
    };
    let config = config
        .validate()
        .map_err(|error| OpenError::Engine(error.to_string()))?;
    Ok(Arc::new(config))
}

/// The engine read the store and did not like it.
fn start_error(folder: &dyn Folder, error: &Fatal<TypeConfig>) -> OpenError {
    match error {
        Fatal::StorageError(why) => OpenError::Damaged {
            path: folder.path().to_owned(),
            why: why.to_string(),
        },
        other => OpenError::Engine(other.to_string()),
    }
}

fn stopped(fatal: &Fatal<TypeConfig>) -> ProposeError {
    ProposeError::Stopped(fatal.to_string())
}

fn ended(error: RaftError<TypeConfig>) -> ServeError {
    ServeError::Stopped(error.to_string())
}
