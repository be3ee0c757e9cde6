//! The engine's type parameters, chosen once.

use std::fmt;

use muster_core::command::{Entry, Outcome};
use serde::{Deserialize, Serialize};

/// A command on its way through the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Proposal(pub(super) Entry);

impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.reason)
    }
}

/// What applying an entry did. None for the engine's own entries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Applied(pub(super) Option<Outcome>);

impl fmt::Display for Applied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

openraft::declare_raft_types!(
    /// Node ids are plain numbers inside the engine: the number of an [`muster_core::ids::AgentId`]. Leader ids are
    /// those of standard Raft: at most one leader per term.
    pub(super) TypeConfig:
        D = Proposal,
        R = Applied,
        NodeId = u64,
        Node = openraft::impls::BasicNode,
        LeaderId = openraft::impls::leader_id_std::LeaderId<Self::Term, Self::NodeId>,
);

pub(super) type Vote = openraft::type_config::alias::VoteOf<TypeConfig>;
pub(super) type LogId = openraft::type_config::alias::LogIdOf<TypeConfig>;
pub(super) type LogEntry = openraft::type_config::alias::EntryOf<TypeConfig>;
pub(super) type SnapshotMeta = openraft::type_config::alias::SnapshotMetaOf<TypeConfig>;
pub(super) type StoredMembership = openraft::type_config::alias::StoredMembershipOf<TypeConfig>;
pub(super) type Snapshot =
    openraft::type_config::alias::SnapshotOf<TypeConfig, std::sync::Arc<str>>;
pub(super) type Raft = openraft::Raft<TypeConfig, super::machine::Machine>;
