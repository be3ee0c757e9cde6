//! The bodies that travel on the peer port, and the routes they travel by.
//!
//! Everything is JSON. A body may gain fields with `#[serde(default)]`; unknown fields are skipped, so that agents one
//! version apart understand each other.

use std::fmt;

use muster_core::command::{AgentDeclaration, Outcome};
use muster_core::ids::AgentId;
use serde::{Deserialize, Serialize};

use super::authority::{self, CertificateError};
use super::token::{Secret, TokenError};

/// Consensus between agents; body [`crate::consensus::RaftRpc`].
pub const RAFT: &str = "/v1/raft";
/// Heartbeats; body [`muster_core::evidence::Heartbeat`].
pub const HEARTBEAT: &str = "/v1/heartbeat";
/// A command for the leader; body [`muster_core::command::Entry`].
pub const PROPOSE: &str = "/v1/propose";
/// A host that wants in; body [`JoinRequest`]. The one route that needs no certificate.
pub const JOIN: &str = "/v1/join";
/// A new certificate; body [`RenewRequest`].
pub const RENEW: &str = "/v1/renew";

/// What the leader answers to a proposal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum ProposeReply {
    /// It was committed and applied.
    Applied {
        /// Place of the entry in the log.
        index: u64,
        /// What it did.
        outcome: Outcome,
    },
    /// Whoever was asked does not lead; nothing was done.
    NotLeader {
        /// Who leads, as far as it knows.
        leader: Option<AgentId>,
    },
}

/// A host asks to be let in.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinRequest {
    /// The secret of its token, as it is written in the token. Never logged; only its hash reaches the state.
    pub token_secret: String,
    /// Certificate signing request with its public key, PEM. Nothing but the key is taken from it.
    pub csr_pem: String,
    /// What it says of itself.
    pub agent: AgentDeclaration,
}

impl JoinRequest {
    /// SHA-256 of the secret, hex: the key of `ClusterState::tokens`.
    pub fn token_hash(&self) -> Result<String, TokenError> {
        Ok(Secret::parse(&self.token_secret)?.hash())
    }

    /// SHA-256 of the public key, hex: `AgentRecord::key_fingerprint`.
    pub fn key_fingerprint(&self) -> Result<String, CertificateError> {
        authority::csr_key_fingerprint(&self.csr_pem)
    }
}

impl fmt::Debug for JoinRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinRequest")
            .field("token_secret", &"(hidden)")
            .field("csr_pem", &self.csr_pem.len())
            .field("agent", &self.agent)
            .finish()
    }
}

/// The host is in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinReply {
    /// Its number.
    pub agent_id: AgentId,
    /// Its certificate, PEM.
    pub certificate_pem: String,
    /// The cluster's authority, PEM.
    pub ca_pem: String,
    /// UUID of the cluster.
    pub cluster_id: String,
    /// Name of the cluster.
    pub cluster_name: String,
    /// The other agents and where they are reached (`host:port`).
    pub peers: Vec<(AgentId, String)>,
}

/// An agent asks for a certificate with a new key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenewRequest {
    /// Certificate signing request with the new public key, PEM.
    pub csr_pem: String,
}

/// The new certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenewReply {
    /// PEM.
    pub certificate_pem: String,
}

/// Why a request was refused, in a word for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalKind {
    /// The caller was removed from the cluster; it may only join again as a new agent.
    Removed,
    /// The caller is not one who may ask this.
    Forbidden,
    /// Whoever was asked does not lead.
    NotLeader,
    /// The request makes no sense.
    Invalid,
    /// The request was understood and turned down: a token that was used, a name that is taken.
    Declined,
    /// Not now: too much to do, no quorum, no leader yet.
    Busy,
    /// The receiver failed.
    Failed,
    /// A kind that this version does not know.
    #[serde(other)]
    Unknown,
}

/// Why a request was refused; the body of every error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{sentence}")]
pub struct Refusal {
    /// Why and what to do, as a sentence.
    #[serde(rename = "error")]
    pub sentence: String,
    /// In a word.
    #[serde(default = "unknown")]
    pub kind: RefusalKind,
    /// Who leads, where that is the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader: Option<AgentId>,
}

fn unknown() -> RefusalKind {
    RefusalKind::Unknown
}

impl Refusal {
    /// A refusal of `kind` with its sentence.
    pub fn new(kind: RefusalKind, sentence: impl Into<String>) -> Self {
        Self {
            sentence: sentence.into(),
            kind,
            leader: None,
        }
    }

    /// The one asked does not lead.
    #[must_use]
    pub fn not_leader(leader: Option<AgentId>) -> Self {
        Self {
            sentence: match leader {
                Some(id) => format!("this agent does not lead the group; ask agent {id}"),
                None => "the group has no leader at the moment; ask again".to_owned(),
            },
            kind: RefusalKind::NotLeader,
            leader,
        }
    }
}
