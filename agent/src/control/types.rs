//! What the command line and its agent say to each other: one plain type per request and answer, shared by both ends.
//!
//! Rows bear the lower-case column names of the tables in INFORMATION_SCHEMA, so that a program that reads
//! `muster members --json` and one that reads the table need one vocabulary. Ages are computed by the agent at the
//! moment of answering. Fields may be added; none is renamed or given another meaning.

use muster_link::view::{AgentRow, EventRow, MemberRow, Observed, View};
use serde::{Deserialize, Serialize};
use time::macros::format_description;
use time::{Duration, OffsetDateTime};

/// What the agent beside the command knows of itself and of its plugin; the part of a status that no view holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Local {
    /// Number of the agent; 0 before it belongs to a cluster.
    pub agent_id: u64,
    /// Name given to the host.
    pub agent_name: String,
    /// Version of its program.
    pub agent_version: String,
    /// It has no server and is there only to vote.
    pub arbitrator: bool,
    /// The plugin of the local server is connected.
    pub plugin_connected: bool,
    /// Build of that plugin, as it said itself.
    pub plugin_build: Option<String>,
    /// How long the agent has been running, in milliseconds.
    pub uptime_ms: u64,
    /// Sentences that an operator should read: a plugin to be restarted, a certificate that does not renew.
    pub notes: Vec<String>,
}

/// Answer to `GET /v1/status`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusReply {
    /// The agent that answers.
    pub local: Local,
    /// Name given by `muster init`; empty before.
    pub cluster_name: String,
    /// UUID of the cluster; empty before.
    pub cluster_id: String,
    /// The view that this agent shows.
    pub view_id: u64,
    /// Epoch of the current primary's term; 0 = none.
    pub epoch: u64,
    /// `MEMBER_ID` of the primary.
    pub primary_member_id: Option<String>,
    /// Name of the primary.
    pub primary_member_name: Option<String>,
    /// `MEMBER_ID` of the server beside this agent.
    pub local_member_id: Option<String>,
    /// A majority of the voters answers this agent.
    pub quorum: bool,
    /// Number of the agent that leads.
    pub agent_leader_id: Option<u64>,
    /// Name of the agent that leads.
    pub agent_leader: Option<String>,
    /// The cluster is under maintenance.
    pub maintenance: bool,
    /// Members that belong.
    pub members: usize,
    /// Of those, the ONLINE ones.
    pub members_online: usize,
    /// Agents that belong.
    pub agents: usize,
    /// Agents that vote.
    pub voters: usize,
    /// One sentence: how the cluster is.
    pub summary: String,
    /// What is not protected, a sentence each.
    pub unprotected: Vec<String>,
}

/// Answer to `GET /v1/members`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct MembersReply {
    /// The view that the rows are from.
    pub view_id: u64,
    /// A majority of the voters answers this agent.
    pub quorum: bool,
    /// One per database server, ordered by name.
    pub members: Vec<Member>,
}

/// One row of CLUSTER_MEMBERS.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[allow(
    missing_docs,
    reason = "the columns of CLUSTER_MEMBERS, by their names"
)]
pub struct Member {
    pub view_id: u64,
    pub member_id: String,
    pub member_name: String,
    pub member_host: String,
    pub member_port: u16,
    pub member_state: String,
    pub member_role: String,
    pub writable: bool,
    pub epoch: u64,
    pub draining: bool,
    pub site: String,
    pub priority: u32,
    pub server_version: String,
    pub agent_id: u64,
    pub replication_lag_ms: Option<u64>,
    pub gtid_executed: Option<String>,
    pub threads_connected: Option<u32>,
    pub threads_running: Option<u32>,
    pub queries_per_second: Option<f64>,
    /// None where this agent never had a report of it.
    pub heartbeat_ttl_ms: Option<u64>,
    /// None where this agent never had a report of it.
    pub heartbeat_age_ms: Option<u64>,
    /// RFC 3339, UTC, wall clock of the member's own host.
    pub last_heartbeat: Option<String>,
    pub last_error: Option<String>,
}

/// Answer to `GET /v1/agents`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentsReply {
    /// The view that the rows are from.
    pub view_id: u64,
    /// A majority of the voters answers this agent.
    pub quorum: bool,
    /// One per agent, ordered by number.
    pub agents: Vec<Agent>,
}

/// One row of CLUSTER_AGENTS.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the columns of CLUSTER_AGENTS, by their names")]
pub struct Agent {
    pub agent_id: u64,
    pub agent_name: String,
    pub address: String,
    pub site: String,
    /// LEADER, VOTER or LEARNER.
    pub agent_role: String,
    /// ONLINE or UNREACHABLE as seen from here; UNKNOWN where nothing is known of it.
    pub agent_state: String,
    pub agent_version: String,
    pub member_id: Option<String>,
    /// Age of the last contact in milliseconds; 0 for the agent that answers, none = never.
    pub last_contact_ms: Option<u64>,
}

/// Query of `GET /v1/events`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EventsQuery {
    /// Only events with a larger number.
    pub after: u64,
    /// At most so many, the newest ones where there are more and `wait_ms` is 0; 0 = as many as there are.
    pub limit: usize,
    /// Answer as soon as there is one, at the latest after so many milliseconds; at most [`WAIT_MS_MAX`].
    pub wait_ms: u64,
    /// The cluster whose events `after` counts; an agent that now belongs to another one does not wait. Empty = any.
    pub cluster_id: String,
}

/// Longest wait of one `GET /v1/events`, in milliseconds.
pub const WAIT_MS_MAX: u64 = 30_000;

/// Answer to `GET /v1/events`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventsReply {
    /// UUID of the cluster that counted the events: in another cluster the numbers start anew.
    pub cluster_id: String,
    /// Number of the newest event; 0 = none yet.
    pub newest_event_id: u64,
    /// Oldest first.
    pub events: Vec<Event>,
}

/// One row of CLUSTER_EVENTS.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the columns of CLUSTER_EVENTS, by their names")]
pub struct Event {
    pub event_id: u64,
    pub view_id: u64,
    pub epoch: u64,
    /// RFC 3339, UTC; for people only.
    pub event_time: String,
    pub event_type: String,
    pub member_id: Option<String>,
    /// Name of that member, where it still belongs.
    pub member_name: Option<String>,
    pub previous_state: Option<String>,
    pub state: Option<String>,
    pub reason: String,
}

/// Answer to `GET /v1/config`: the group's settings, in the order of their documentation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigReply {
    /// Key and value.
    pub settings: Vec<Setting>,
}

/// One setting of the group; also the body of `POST /v1/config`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// Its name.
    pub key: String,
    /// Its value, as text.
    pub value: String,
}

/// Body of `POST /v1/init`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InitRequest {
    /// Name for people.
    pub cluster_name: String,
}

/// Answer to `POST /v1/init`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InitReply {
    /// UUID of the new cluster.
    pub cluster_id: String,
    /// A first join token.
    pub token: String,
}

/// Answer to `POST /v1/token`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenReply {
    /// The token; it can be used once.
    pub token: String,
    /// How long it is good for, in milliseconds.
    pub ttl_ms: u64,
}

/// Body of `POST /v1/join`.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JoinRequest {
    /// From `muster init` or `muster token create`.
    pub token: String,
    /// `host:port` of an agent of the cluster.
    pub address: String,
    /// Join without a server, only to vote.
    #[serde(default)]
    pub arbitrator: bool,
}

impl std::fmt::Debug for JoinRequest {
    /// A token is a secret: it never reaches a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JoinRequest")
            .field("token", &"…")
            .field("address", &self.address)
            .field("arbitrator", &self.arbitrator)
            .finish()
    }
}

/// Answer to `POST /v1/join`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinReply {
    /// Number given by the group.
    pub agent_id: u64,
    /// Name of the cluster.
    pub cluster_name: String,
}

/// Body of `POST /v1/remove`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoveRequest {
    /// Name of the agent to forget.
    pub name: String,
}

/// Body of `POST /v1/recover`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecoverRequest {
    /// The operator has said that the majority is lost for good.
    pub force: bool,
}

/// Answer to an action that has nothing more to tell.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// What was done, as a sentence.
    pub message: String,
}

/// Body of every answer that is not a success.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// One sentence: what happened to the state, and what to do.
    pub error: String,
}

impl Member {
    /// The row as it is at `now_boot_ms` (CLOCK_BOOTTIME of this host).
    pub fn at(view_id: u64, row: &MemberRow, observed: &Observed, now_boot_ms: u64) -> Self {
        let seen = observed
            .members
            .iter()
            .find(|seen| seen.member_id == row.member_id);
        Self {
            view_id,
            member_id: row.member_id.clone(),
            member_name: row.name.clone(),
            member_host: row.host.clone(),
            member_port: row.port,
            member_state: row.state.clone(),
            member_role: row.role.clone(),
            writable: row.writable,
            epoch: row.epoch,
            draining: row.draining,
            site: row.site.clone(),
            priority: row.priority,
            server_version: row.server_version.clone(),
            agent_id: row.agent_id,
            replication_lag_ms: seen.and_then(|s| s.replication_lag_ms),
            gtid_executed: seen.map(|s| s.gtid_executed.clone()),
            threads_connected: seen.and_then(|s| s.threads_connected),
            threads_running: seen.and_then(|s| s.threads_running),
            queries_per_second: seen.and_then(|s| s.queries_per_second),
            heartbeat_ttl_ms: seen.map(|s| s.heartbeat_ttl_ms),
            heartbeat_age_ms: seen.map(|s| now_boot_ms.saturating_sub(s.received_boot_ms)),
            last_heartbeat: seen.and_then(|s| s.wall_clock_us).map(timestamp),
            last_error: seen
                .and_then(|s| s.last_error.clone())
                .or_else(|| row.reason.clone()),
        }
    }
}

impl Agent {
    /// The row as it is at `now_boot_ms` (CLOCK_BOOTTIME of this host).
    pub fn at(row: &AgentRow, observed: &Observed, now_boot_ms: u64) -> Self {
        let seen = observed.agents.iter().find(|s| s.agent_id == row.agent_id);
        let here = observed.local_agent_id == row.agent_id;
        let role = match (observed.leader_agent_id == Some(row.agent_id), row.voter) {
            (true, _) => "LEADER",
            (false, true) => "VOTER",
            (false, false) => "LEARNER",
        };
        Self {
            agent_id: row.agent_id,
            agent_name: row.name.clone(),
            address: row.address.clone(),
            site: row.site.clone(),
            agent_role: role.to_owned(),
            agent_state: match (here, seen) {
                (true, _) => "ONLINE".to_owned(),
                (false, Some(seen)) => seen.state.clone(),
                (false, None) => "UNKNOWN".to_owned(),
            },
            agent_version: row.version.clone(),
            member_id: row.member_id.clone(),
            last_contact_ms: if here {
                Some(0)
            } else {
                seen.and_then(|s| s.last_contact_boot_ms)
                    .map(|at| now_boot_ms.saturating_sub(at))
            },
        }
    }
}

impl Event {
    /// The row, with the member's name as the view knows it.
    pub fn of(row: EventRow, view: &View) -> Self {
        let member_name = row.member_id.as_ref().and_then(|id| {
            let member = view.members.iter().find(|m| &m.member_id == id)?;
            Some(member.name.clone())
        });
        Self {
            event_id: row.event_id,
            view_id: row.view_id,
            epoch: row.epoch,
            event_time: timestamp(row.time_us),
            event_type: row.event_type,
            member_id: row.member_id,
            member_name,
            previous_state: row.previous_state,
            state: row.state,
            reason: row.reason,
        }
    }
}

/// Microseconds since 1970 UTC as RFC 3339, always with six digits, so that texts sort as times. A clock so wrong that no
/// calendar holds it is shown as the number it is.
fn timestamp(us: i64) -> String {
    let format =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");
    OffsetDateTime::UNIX_EPOCH
        .checked_add(Duration::microseconds(us))
        .and_then(|at| at.format(&format).ok())
        .unwrap_or_else(|| format!("{us} µs"))
}
