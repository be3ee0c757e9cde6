//! What travels between the consensus of two agents, and who carries it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use muster_core::ids::AgentId;
use serde::{Deserialize, Serialize};

use super::message::{Answer, Question};

/// A future that can be kept and sent.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A request of one agent's consensus to another's. The carrier serialises it and looks no further.
///
/// The largest is a snapshot: the whole ordered state, about 1 KiB per agent, member and event. A carrier must take
/// [`RaftRpc::SIZE_MAX`] bytes of JSON and refuse more.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RaftRpc(pub(super) Question);

impl RaftRpc {
    /// Largest serialised request or reply, in bytes.
    pub const SIZE_MAX: usize = 64 << 20;

    /// Which kind of request this is, as a word for logs and metrics.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.0.kind()
    }
}

/// The answer to a [`RaftRpc`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RaftReply(pub(super) Answer);

/// Why a call to another agent brought no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// No connection, or the peer refused to talk: trying again at once is pointless.
    #[error("agent {to} cannot be reached: {why}")]
    Unreachable {
        /// Whom we called.
        to: AgentId,
        /// What went wrong, for people.
        why: String,
    },
    /// No answer within the deadline. The request may or may not have been carried out.
    #[error("agent {to} did not answer within {} ms", .after.as_millis())]
    Timeout {
        /// Whom we called.
        to: AgentId,
        /// The deadline it missed.
        after: Duration,
    },
    /// The connection broke, or the answer makes no sense. The request may or may not have been carried out.
    #[error("the connection to agent {to} failed: {why}")]
    Broken {
        /// Whom we called.
        to: AgentId,
        /// What went wrong, for people.
        why: String,
    },
}

/// Carries requests to other agents.
///
/// The peer is known by its agent id and the cluster's certificate, never by its address alone. Calls are concurrent;
/// nothing is assumed about their order. An error must be returned as an error: a made-up answer breaks elections.
pub trait RaftTransport: fmt::Debug + Send + Sync + 'static {
    /// Calls agent `to` at `address` (`host:port`) and waits for its answer for `deadline` at most.
    fn call<'a>(
        &'a self,
        to: AgentId,
        address: &'a str,
        rpc: RaftRpc,
        deadline: Duration,
    ) -> BoxFuture<'a, Result<RaftReply, TransportError>>;
}
