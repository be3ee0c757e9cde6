//! What the rest of the agent does with the requests of its peers.

use std::future::Future;

use muster_core::command::Entry;
use muster_core::evidence::Heartbeat;
use muster_core::ids::AgentId;

use super::admission::Admission;
use super::wire::{JoinReply, JoinRequest, ProposeReply, Refusal};
use crate::consensus::{RaftReply, RaftRpc};

/// The agent behind the peer port.
///
/// `from` is proven: the caller holds a certificate of this cluster for that agent id, and [`PeerHandler::admission`]
/// let it in. Everything else in a request may be wrong or hostile. Methods may be called concurrently; each runs in a
/// task of its own that goes on when the caller hangs up, and a panic in one ends that request only.
pub trait PeerHandler: Send + Sync + 'static {
    /// Whether `from` still belongs, by the newest state that this agent has applied: [`Admission::judge`].
    /// Called for each request; must not wait.
    fn admission(&self, from: AgentId) -> Admission;

    /// A request of another agent's consensus.
    fn raft(
        &self,
        from: AgentId,
        rpc: RaftRpc,
    ) -> impl Future<Output = Result<RaftReply, Refusal>> + Send;

    /// Another agent's heartbeat; the answer is this agent's own. Its `agent_id` has been compared with `from`.
    fn heartbeat(
        &self,
        from: AgentId,
        heartbeat: Heartbeat,
    ) -> impl Future<Output = Result<Heartbeat, Refusal>> + Send;

    /// A command for the log.
    fn propose(
        &self,
        from: AgentId,
        entry: Entry,
    ) -> impl Future<Output = Result<ProposeReply, Refusal>> + Send;

    /// A host with a token wants in: from the host itself (`from` is none), or passed on by the agent it asked.
    fn join(
        &self,
        from: Option<AgentId>,
        request: JoinRequest,
    ) -> impl Future<Output = Result<JoinReply, Refusal>> + Send;

    /// A new certificate for `from`, PEM: [`super::authority::Signer::sign`]. Only the leader signs.
    fn renew(
        &self,
        from: AgentId,
        csr_pem: String,
    ) -> impl Future<Output = Result<String, Refusal>> + Send;
}
