//! Puts the engine's requests into envelopes, and hands them to whoever carries them.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use muster_core::ids::AgentId;
use openraft::errors::{
    NetworkError, RPCError, ReplicationClosed, StreamingError, Timeout, Unreachable,
};
use openraft::network::{Backoff, RPCOption, RPCTypes};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::{BasicNode, OptionalSend, RaftNetworkFactory, RaftNetworkV2};
use tokio::time::{sleep, timeout};

use super::message::{Answer, Question};
use super::signals::Signals;
use super::timing::Timing;
use super::transport::{RaftRpc, RaftTransport, TransportError};
use super::types::{LogId, Snapshot, TypeConfig, Vote};

/// Makes a [`Peer`] for each agent that the engine wants to talk to.
#[derive(Debug, Clone)]
pub(super) struct Network {
    pub(super) me: AgentId,
    pub(super) transport: Arc<dyn RaftTransport>,
    pub(super) timing: Timing,
    pub(super) signals: Arc<Signals>,
    /// What each other agent has told this leader that it holds.
    pub(super) told: Arc<Told>,
}

/// The last entry that each other agent has acknowledged, and to which vote.
///
/// A store that was set back (the snapshot of a virtual machine, a copy of the folder) makes an agent forget what a
/// majority counts on. It finds that out by itself from the next heartbeat. Until then its answers must not reach the
/// engine, which takes it for granted that nobody forgets.
#[derive(Debug, Default)]
pub(super) struct Told(Mutex<BTreeMap<AgentId, (Vote, LogId)>>);

impl Told {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<AgentId, (Vote, LogId)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn holds(&self, id: AgentId, vote: Vote, held: Option<LogId>) {
        let Some(held) = held else { return };
        let mut told = self.lock();
        let known = told.entry(id).or_insert((vote, held));
        if known.0 != vote || known.1 < held {
            *known = (vote, held);
        }
    }

    /// Whether `id` denies an entry that it has acknowledged to the same leader.
    fn denies(&self, id: AgentId, vote: Vote, denied: Option<LogId>) -> bool {
        let told = self.lock();
        told.get(&id)
            .is_some_and(|(to, held)| *to == vote && denied.is_some_and(|denied| denied <= *held))
    }
}

/// One other agent.
#[derive(Debug)]
pub(super) struct Peer {
    network: Network,
    to: AgentId,
    address: String,
    /// For heartbeats alone.
    beats: bool,
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Peer;

    async fn new_client(&mut self, target: u64, node: &BasicNode) -> Peer {
        Peer {
            network: self.clone(),
            to: AgentId(target),
            address: node.addr.clone(),
            beats: false,
        }
    }

    async fn new_heartbeat_client(&mut self, target: u64, node: &BasicNode) -> Peer {
        Peer {
            beats: true,
            ..self.new_client(target, node).await
        }
    }
}

impl Peer {
    async fn call(
        &self,
        kind: RPCTypes,
        question: Question,
        deadline: Duration,
    ) -> Result<Answer, RPCError<TypeConfig>> {
        let transport = &self.network.transport;
        let call = transport.call(self.to, &self.address, RaftRpc(question), deadline);
        // The carrier keeps the deadline; if it does not, we do.
        match timeout(deadline, call).await {
            Ok(Ok(reply)) => Ok(reply.0),
            Ok(Err(error @ TransportError::Unreachable { .. })) => {
                Err(RPCError::Unreachable(Unreachable::new(&error)))
            }
            Ok(Err(error @ TransportError::Broken { .. })) => {
                Err(RPCError::Network(NetworkError::new(&error)))
            }
            Ok(Err(TransportError::Timeout { .. })) | Err(_) => Err(RPCError::Timeout(Timeout {
                action: kind,
                id: self.network.me.0,
                target: self.to.0,
                timeout: deadline,
            })),
        }
    }

    fn may_lead(&self) -> Result<(), RPCError<TypeConfig>> {
        if self.network.signals.silent.load(Ordering::Relaxed) {
            return Err(RPCError::Unreachable(Unreachable::from_string(
                "this leader has lost its majority and lets the others elect another",
            )));
        }
        Ok(())
    }

    /// The peer answered, but not the question.
    fn mismatch(&self) -> RPCError<TypeConfig> {
        RPCError::Network(NetworkError::from_string(format!(
            "agent {} answered a question that was not asked",
            self.to
        )))
    }
}

impl RaftNetworkV2<TypeConfig> for Peer {
    type SnapshotData = Arc<str>;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RPCError<TypeConfig>> {
        self.may_lead()?;
        // The engine itself ends a heartbeat after one interval. Entries may take longer: giving up early on a slow way
        // would send them again and again.
        let deadline = if self.beats {
            option.hard_ttl()
        } else {
            self.network.timing.call
        };
        if self.beats && self.network.signals.patient.load().contains(&self.to) {
            // The engine sends the next one after this one: half the beats, or fewer.
            sleep(deadline * 3 / 4).await;
        }
        let (vote, before) = (rpc.vote, rpc.prev_log_id);
        let last = rpc.entries.last().map(|entry| entry.log_id).or(before);
        let question = if self.beats {
            Question::Heartbeat(rpc)
        } else {
            Question::Append(rpc)
        };
        let answer = self.call(RPCTypes::AppendEntries, question, deadline);
        let Answer::Append(response) = answer.await? else {
            return Err(self.mismatch());
        };
        match &response {
            AppendEntriesResponse::Success => self.network.told.holds(self.to, vote, last),
            AppendEntriesResponse::Conflict if self.network.told.denies(self.to, vote, before) => {
                return Err(RPCError::Unreachable(Unreachable::from_string(format!(
                    "agent {} has lost what it had acknowledged",
                    self.to
                ))));
            }
            _ => {}
        }
        Ok(response)
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        let question = Question::Vote(rpc);
        match self
            .call(RPCTypes::Vote, question, option.hard_ttl())
            .await?
        {
            Answer::Vote(response) => Ok(response),
            _ => Err(self.mismatch()),
        }
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        let question = Question::PreVote(rpc);
        match self
            .call(RPCTypes::Vote, question, option.hard_ttl())
            .await?
        {
            Answer::PreVote(response) => Ok(response),
            _ => Err(self.mismatch()),
        }
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        self.may_lead()?;
        let question = Question::Snapshot {
            vote,
            meta: snapshot.meta,
            data: snapshot.snapshot.as_ref().to_owned(),
        };
        let call = self.call(
            RPCTypes::InstallSnapshot,
            question,
            self.network.timing.snapshot,
        );
        tokio::select! {
            answer = call => match answer? {
                Answer::Snapshot(response) => Ok(response),
                _ => Err(self.mismatch().into()),
            },
            closed = cancel => Err(StreamingError::Closed(closed)),
        }
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig>, RPCError<TypeConfig>> {
        let question = Question::Transfer(request);
        match self
            .call(RPCTypes::TransferLeader, question, option.hard_ttl())
            .await?
        {
            Answer::Transfer(response) => Ok(response),
            _ => Err(self.mismatch()),
        }
    }

    fn backoff(&self) -> Option<Backoff> {
        // Steady and short: after a cut has healed, everybody shall see the same view at once.
        let pause = self.network.timing.heartbeat / 2;
        Some(Backoff::new(std::iter::repeat(pause)))
    }
}
