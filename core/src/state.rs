//! The ordered state: what every agent agrees on, letter by letter.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{AgentId, MemberId, ViewId};
use crate::settings::Settings;

/// MEMBER_STATE of INTERFACE.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum MemberState {
    /// Its agent sees the process, the server does not serve yet.
    Starting,
    /// Serving; if it replicates, both replication threads run.
    Online,
    /// Being provisioned or rebuilt.
    Recovering,
    /// Announced its stop.
    Stopping,
    /// Its own agent says that the process is gone.
    Offline,
    /// A majority of voters lacks fresh reports.
    Unreachable,
    /// Alive and unfit.
    Error,
}

impl MemberState {
    /// The word that SQL, CLI and HTTP show.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Starting => "STARTING",
            Self::Online => "ONLINE",
            Self::Recovering => "RECOVERING",
            Self::Stopping => "STOPPING",
            Self::Offline => "OFFLINE",
            Self::Unreachable => "UNREACHABLE",
            Self::Error => "ERROR",
        }
    }
}

/// MEMBER_ROLE of INTERFACE.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum MemberRole {
    /// The one that may be written to.
    Primary,
    /// Follows another.
    Replica,
    /// Neither.
    Standalone,
}

impl MemberRole {
    /// The word that SQL, CLI and HTTP show.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Primary => "PRIMARY",
            Self::Replica => "REPLICA",
            Self::Standalone => "STANDALONE",
        }
    }
}

/// Ordered facts of one agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentRecord {
    /// Name of the host, unique in the cluster.
    pub name: String,
    /// `host:port` where other agents reach it.
    pub address: String,
    /// Data centre.
    pub site: String,
    /// Promotion preference of its member.
    pub priority: u32,
    /// It has no server and is there only to vote.
    pub arbitrator: bool,
    /// Version of its program.
    pub version: String,
    /// SHA-256 of the public key it joined with, hex: a repeated join request of the same host gets the same id.
    pub key_fingerprint: String,
    /// The member it is bound to.
    pub member_id: Option<MemberId>,
}

/// Where a member comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemberKind {
    /// A server with the plugin.
    Plugin,
    /// A server that speaks the text protocol: shown, never made primary by Muster.
    Text,
}

/// Ordered facts of one member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberRecord {
    /// Plugin or text protocol.
    pub kind: MemberKind,
    /// Name of its agent (for a text member: host:port).
    pub name: String,
    /// Where a client connects.
    pub host: String,
    /// Where a client connects.
    pub port: u16,
    /// See [`MemberState`].
    pub state: MemberState,
    /// See [`MemberRole`].
    pub role: MemberRole,
    /// The primary, open for writes and not known to have lost it.
    pub writable: bool,
    /// Epoch of its term as primary; 0 if it is not.
    pub epoch: u64,
    /// Being taken out of service.
    pub draining: bool,
    /// Version text of the server.
    pub server_version: String,
    /// The agent that speaks for it.
    pub agent_id: AgentId,
    /// Why it is in this state: the sentence of the decision that put it there.
    pub reason: String,
    /// View in which this record last changed: a decision based on an older view of it is refused.
    pub changed_in: ViewId,
}

/// One entry of the event list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Grows by one with each event.
    pub event_id: u64,
    /// View that the event made.
    pub view_id: ViewId,
    /// Epoch at that time.
    pub epoch: u64,
    /// Wall clock of the agent that proposed it, microseconds since 1970 UTC; for people only.
    pub time_us: i64,
    /// What kind of change.
    pub kind: EventKind,
    /// The member it is about.
    pub member_id: Option<MemberId>,
    /// State or role before.
    pub before: Option<String>,
    /// State or role after.
    pub after: Option<String>,
    /// Why, as a sentence.
    pub reason: String,
}

/// EVENT_TYPE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum EventKind {
    /// The cluster was made.
    ClusterFounded,
    /// A new generation was forced after the loss of a majority.
    ClusterRecovered,
    /// An agent joined.
    AgentJoined,
    /// An agent's name, address, site, priority or version changed.
    AgentChanged,
    /// An agent left or was removed.
    AgentRemoved,
    /// The set of voters changed.
    VotersChanged,
    /// A server was seen for the first time, or moved to another agent.
    MemberJoined,
    /// A server's address or version changed.
    MemberChanged,
    /// A server was taken out.
    MemberRemoved,
    /// MEMBER_STATE changed.
    MemberState,
    /// MEMBER_ROLE or WRITABLE changed.
    MemberRole,
    /// A setting changed.
    SettingChanged,
    /// A join token was made.
    TokenCreated,
    /// A join token's time was over.
    TokenExpired,
}

impl EventKind {
    /// The word that SQL, CLI and HTTP show.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::ClusterFounded => "CLUSTER_FOUNDED",
            Self::ClusterRecovered => "CLUSTER_RECOVERED",
            Self::AgentJoined => "AGENT_JOINED",
            Self::AgentChanged => "AGENT_CHANGED",
            Self::AgentRemoved => "AGENT_REMOVED",
            Self::VotersChanged => "VOTERS_CHANGED",
            Self::MemberJoined => "MEMBER_JOINED",
            Self::MemberChanged => "MEMBER_CHANGED",
            Self::MemberRemoved => "MEMBER_REMOVED",
            Self::MemberState => "MEMBER_STATE",
            Self::MemberRole => "MEMBER_ROLE",
            Self::SettingChanged => "SETTING_CHANGED",
            Self::TokenCreated => "TOKEN_CREATED",
            Self::TokenExpired => "TOKEN_EXPIRED",
        }
    }
}

/// A join token, known to the group only by the hash of its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRecord {
    /// How long it is good for after the leader first saw it, in milliseconds of the leader's own clock: a stepping
    /// wall clock neither kills nor revives a token.
    pub ttl_ms: u64,
    /// The agent that used it, and its key fingerprint; a repeat with the same key gets the same answer.
    pub used_by: Option<AgentId>,
}

/// The cluster's own certificate authority.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Authority {
    /// Certificate, PEM.
    pub certificate_pem: String,
    /// Private key, PEM. It is in the log of every agent, so that any of them can sign once it leads, and no host's
    /// death loses it; agents keep their state folder at mode 0700.
    pub key_pem: String,
}

impl fmt::Debug for Authority {
    /// Without the key: states and commands are printed in logs and in failed tests.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority")
            .field("certificate_pem", &self.certificate_pem)
            .finish_non_exhaustive()
    }
}

/// The ordered state as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ClusterState {
    /// UUID of the cluster; empty before it was founded.
    pub cluster_id: String,
    /// Name given by `muster init`.
    pub cluster_name: String,
    /// Grows with every change below.
    pub view_id: ViewId,
    /// Epoch of the current primary's term; 0 = none.
    pub epoch: u64,
    /// Settings equal everywhere.
    pub settings: Settings,
    /// Every agent that belongs.
    pub agents: BTreeMap<AgentId, AgentRecord>,
    /// Every member that belongs.
    pub members: BTreeMap<MemberId, MemberRecord>,
    /// Which agents vote.
    pub voters: BTreeSet<AgentId>,
    /// The number the next agent gets; never goes back.
    pub next_agent_id: u64,
    /// Agents that left or were removed: their certificates are void for ever.
    pub removed_agents: BTreeSet<AgentId>,
    /// Join tokens by the SHA-256 of their secret, hex.
    pub tokens: BTreeMap<String, TokenRecord>,
    /// The certificate authority.
    pub authority: Authority,
    /// The newest events, oldest first.
    pub events: VecDeque<Event>,
    /// The number the next event gets.
    pub next_event_id: u64,
}

impl ClusterState {
    /// Whether `muster init` has happened.
    #[must_use]
    pub fn founded(&self) -> bool {
        !self.cluster_id.is_empty()
    }

    /// The member whose role is PRIMARY.
    #[must_use]
    pub fn primary(&self) -> Option<(&MemberId, &MemberRecord)> {
        self.members
            .iter()
            .find(|(_, m)| m.role == MemberRole::Primary)
    }

    /// The agent with this name.
    #[must_use]
    pub fn agent_named(&self, name: &str) -> Option<(AgentId, &AgentRecord)> {
        self.agents
            .iter()
            .find(|(_, a)| a.name == name)
            .map(|(id, a)| (*id, a))
    }

    /// Answers that make a majority of the voters.
    #[must_use]
    pub fn majority(&self) -> usize {
        self.voters.len() / 2 + 1
    }
}
