//! The picture of the cluster that an agent hands to the plugin beside it, as rows ready to be shown.
//!
//! It comes in three parts that change at different rates, so that a heartbeat never carries what has not changed:
//! the ordered [`View`], the [`Observed`] facts with their ages, and new [`EventRow`]s. Roles and states are words of
//! `INTERFACE.md`, carried as text: a plugin older than its agent shows a new word rather than failing on it.

use serde::{Deserialize, Serialize};

/// The ordered part: equal on every server that shows the same `view_id`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// Grows with every ordered change; never repeats, never goes back. 0 = the agent belongs to no cluster yet.
    pub view_id: u64,
    /// Name given by `muster init`; empty before.
    pub cluster_name: String,
    /// UUID of the cluster; empty before `muster init`.
    pub cluster_id: String,
    /// Epoch of the current primary's term; 0 = none.
    pub epoch: u64,
    /// `MEMBER_ID` of the primary, if there is one.
    pub primary_member_id: Option<String>,
    /// The cluster is under maintenance.
    pub maintenance: bool,
    /// One row per database server, ordered by name.
    pub members: Vec<MemberRow>,
    /// One row per agent, ordered by id.
    pub agents: Vec<AgentRow>,
}

/// Ordered facts of one member: the `o` columns of CLUSTER_MEMBERS.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberRow {
    /// `server_uuid`, or the UUID kept in MariaDB's data directory.
    pub member_id: String,
    /// Name of the host's agent.
    pub name: String,
    /// Where a client connects.
    pub host: String,
    /// Where a client connects.
    pub port: u16,
    /// MEMBER_STATE, a word of INTERFACE.md.
    pub state: String,
    /// PRIMARY, REPLICA or STANDALONE.
    pub role: String,
    /// The one row that may be written to.
    pub writable: bool,
    /// Epoch of its term as primary; 0 if it is not.
    pub epoch: u64,
    /// Being taken out of service.
    pub draining: bool,
    /// Data centre.
    pub site: String,
    /// Promotion preference; 0 = never.
    pub priority: u32,
    /// Version text of the server.
    pub server_version: String,
    /// The agent that speaks for it.
    pub agent_id: u64,
    /// One sentence when the ordered state itself says that something is wrong.
    #[serde(default)]
    pub reason: Option<String>,
}

/// Ordered facts of one agent, shown in CLUSTER_AGENTS.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentRow {
    /// Used once, never reused.
    pub agent_id: u64,
    /// Name given to the host.
    pub name: String,
    /// `host:port` of its peer listener.
    pub address: String,
    /// Data centre.
    pub site: String,
    /// It votes (VOTER) or follows (LEARNER). Who leads is observed.
    pub voter: bool,
    /// Version of the agent's program.
    pub version: String,
    /// The member it speaks for; none for an arbitrator.
    pub member_id: Option<String>,
}

/// The observed part: what this agent knows of the others right now. Replaces the previous one as a whole.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    /// A majority of the voters answers this agent (or its leader's lease reaches it).
    pub quorum: bool,
    /// Id of the agent that leads, as far as known here.
    pub leader_agent_id: Option<u64>,
    /// Id of the agent that sends this; 0 before it belongs to a cluster.
    pub local_agent_id: u64,
    /// `MEMBER_ID` of the server that the receiving plugin lives in, as its agent has bound it.
    pub local_member_id: Option<String>,
    /// One sentence for people: how the cluster is.
    pub summary: String,
    /// One per member of the view that anything is known of.
    pub members: Vec<MemberObserved>,
    /// One per agent of the view that anything is known of.
    pub agents: Vec<AgentObserved>,
}

/// Observed facts of one member: the `b` columns of CLUSTER_MEMBERS.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct MemberObserved {
    /// Which member.
    pub member_id: String,
    /// When the sending agent received this member's last report, CLOCK_BOOTTIME of this host in milliseconds; for a
    /// relayed report the relay's own age is already subtracted. The reader computes the age at the moment of reading.
    pub received_boot_ms: u64,
    /// How long a report stays valid.
    pub heartbeat_ttl_ms: u64,
    /// The member's own wall clock when it reported, microseconds since 1970 UTC; for people only.
    pub wall_clock_us: Option<i64>,
    /// None where unknown or not replicating.
    pub replication_lag_ms: Option<u64>,
    /// As the server writes it.
    pub gtid_executed: String,
    /// Open connections.
    pub threads_connected: Option<u32>,
    /// Connections running a statement.
    pub threads_running: Option<u32>,
    /// Over the last report interval.
    pub queries_per_second: Option<f64>,
    /// One sentence, when something is wrong.
    pub last_error: Option<String>,
}

/// Observed facts of one agent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentObserved {
    /// Which agent.
    pub agent_id: u64,
    /// A word for AGENT_STATE: ONLINE or UNREACHABLE, as seen from here.
    pub state: String,
    /// When it was last heard, CLOCK_BOOTTIME of this host in milliseconds; none = never since this agent started.
    pub last_contact_boot_ms: Option<u64>,
}

/// One row of CLUSTER_EVENTS.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRow {
    /// Grows by one with each event; never repeats.
    pub event_id: u64,
    /// View in which it happened.
    pub view_id: u64,
    /// Epoch in which it happened.
    pub epoch: u64,
    /// Wall clock of the agent that proposed it, microseconds since 1970 UTC; for people only.
    pub time_us: i64,
    /// What kind of change, an upper-case word.
    pub event_type: String,
    /// The member it is about, if it is about one.
    pub member_id: Option<String>,
    /// State before, where it is a change of state.
    pub previous_state: Option<String>,
    /// State after.
    pub state: Option<String>,
    /// The sentence that says why.
    pub reason: String,
}
