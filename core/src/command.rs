//! The commands: every way in which the ordered state can change, and what comes back.
//!
//! Serialised commands are on every agent's disk and travel between agents of different versions. A field may be added
//! with `#[serde(default)]`; nothing is ever renamed or given another meaning.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::ids::{AgentId, MemberId, ViewId};
use crate::state::{Authority, MemberRole, MemberState};

/// A command with what is common to all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Wall clock of the proposer, microseconds since 1970 UTC: shown to people, compared with nothing.
    pub time_us: i64,
    /// Why, as a sentence; it becomes the event's REASON.
    pub reason: String,
    /// What to change.
    pub command: Command,
}

/// What an agent says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentDeclaration {
    /// Name of the host.
    pub name: String,
    /// `host:port` where other agents reach it.
    pub address: String,
    /// Data centre.
    pub site: String,
    /// Promotion preference of its member.
    pub priority: u32,
    /// It has no server.
    pub arbitrator: bool,
    /// Version of its program.
    pub version: String,
}

/// What an agent says of the server that its plugin introduced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberDeclaration {
    /// Identity of the server.
    pub member_id: MemberId,
    /// Where a client connects.
    pub host: String,
    /// Where a client connects.
    pub port: u16,
    /// Version text of the server.
    pub server_version: String,
}

/// New state, role and writability of one member, as decided from evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberChange {
    /// Which member.
    pub member_id: MemberId,
    /// The record was last changed in this view when the decision was made; if it has changed since, the decision is
    /// stale and is skipped.
    pub based_on: ViewId,
    /// New state.
    pub state: MemberState,
    /// New role.
    pub role: MemberRole,
    /// Newly writable.
    pub writable: bool,
    /// Why, as a sentence.
    pub reason: String,
}

/// Every change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Command {
    /// `muster init`: makes the cluster with its first agent, number 1.
    Found {
        /// UUID of the new cluster.
        cluster_id: String,
        /// Name for people.
        cluster_name: String,
        /// The certificate authority.
        authority: Authority,
        /// The first agent.
        agent: AgentDeclaration,
        /// SHA-256 of its public key, hex.
        key_fingerprint: String,
    },
    /// `muster token create`.
    CreateToken {
        /// SHA-256 of the secret, hex.
        token_hash: String,
    },
    /// The leader has counted down a token's time.
    ExpireToken {
        /// SHA-256 of the secret, hex.
        token_hash: String,
    },
    /// A host presents a token. Atomic: the token is used and the number given, or neither.
    Join {
        /// SHA-256 of the secret it presented, hex.
        token_hash: String,
        /// SHA-256 of its public key, hex.
        key_fingerprint: String,
        /// What it says of itself.
        agent: AgentDeclaration,
    },
    /// An agent's configuration changed.
    DeclareAgent {
        /// Which.
        agent_id: AgentId,
        /// What it now says of itself.
        agent: AgentDeclaration,
    },
    /// An agent has a server beside it (seen for the first time, with a new address or version, or moved to this host).
    DeclareMember {
        /// The agent that speaks for it.
        agent_id: AgentId,
        /// The server.
        member: MemberDeclaration,
    },
    /// An agent leaves or is removed; its member goes with it.
    RemoveAgent {
        /// Which.
        agent_id: AgentId,
    },
    /// Decisions about members, all in one view.
    SetMembers {
        /// The changes.
        changes: Vec<MemberChange>,
    },
    /// `muster config set`.
    Set {
        /// Key.
        key: String,
        /// Value as text.
        value: String,
    },
    /// A server joins by the text protocol, or joins again.
    TextJoin {
        /// The agent through which it came.
        agent_id: AgentId,
        /// Its identity, made from host and port by that agent.
        member_id: MemberId,
        /// Where a client connects.
        host: String,
        /// Where a client connects.
        port: u16,
        /// State.
        state: MemberState,
        /// Role; a second PRIMARY is refused.
        role: MemberRole,
        /// `standby`: shown as DRAINING.
        draining: bool,
    },
    /// A heartbeat of the text protocol that brings another status.
    TextStatus {
        /// The agent through which it came.
        agent_id: AgentId,
        /// Which.
        member_id: MemberId,
        /// New state.
        state: MemberState,
        /// `standby`.
        draining: bool,
    },
    /// A text member left or expired.
    TextLeave {
        /// The agent that says so; only the one that the member joined through may.
        agent_id: AgentId,
        /// Which.
        member_id: MemberId,
    },
    /// `muster recover --force`: this agent alone goes on, one generation higher. All other agents are removed.
    Recover {
        /// The agent that goes on.
        agent_id: AgentId,
    },
    /// The consensus says who votes. Never proposed: made from the membership entry itself, so it cannot differ from it.
    VotersAre {
        /// The voters.
        voters: BTreeSet<AgentId>,
    },
}

/// What a command did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// The state changed; this is its view now.
    Changed {
        /// New view.
        view_id: ViewId,
    },
    /// Everything was already as the command wanted it.
    Unchanged,
    /// A host was let in, or was already.
    Joined {
        /// Its number.
        agent_id: AgentId,
        /// View in which it belongs.
        view_id: ViewId,
    },
    /// The command was refused and nothing changed.
    Refused {
        /// Why, and what to do, as a sentence.
        reason: String,
    },
}
