//! Evidence: what an agent has heard itself, what the others say they have heard, and how old each of it is.
//!
//! Ages are counted by the one who received, on its own monotonic clock, and travel as durations: no clock of another
//! host is ever compared with ours. Hearsay is carried so that every server can show every row, and so that the leader
//! knows each voter's *own* contacts; it is never counted as a contact.
//!
//! [`Evidence`] is what an agent keeps, [`Timing`] how often it speaks and how long a report counts, and
//! [`Observations`] what it hands to `decide`.

mod book;
mod bounds;
mod change;
mod observations;
mod text_beats;
mod timing;
mod track;

pub use book::{Evidence, Known, Verdict};
pub use observations::{ConsensusFacts, Observations, Opinion, Seen, Statement};
pub use text_beats::{TextBeats, TextHeard};
pub use timing::Timing;

use muster_link::report::{Identity, Report};
use serde::{Deserialize, Serialize};

use crate::ids::{AgentId, MemberId};

/// What an agent knows of the process of its own server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "process", rename_all = "snake_case")]
pub enum ProcessState {
    /// No plugin has introduced itself since this agent started.
    NeverSeen,
    /// The process exists.
    Running {
        /// Its pid.
        pid: u32,
    },
    /// The process is gone.
    Gone {
        /// Its pid.
        pid: u32,
        /// It had announced its stop.
        announced: bool,
        /// How it ended, where systemd or the kernel told: "signal 9", "exit status 0".
        how: Option<String>,
    },
}

/// An agent's knowledge of its own server, as it sends it in each heartbeat.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OwnMember {
    /// Who the server is, as its plugin said.
    pub identity: Identity,
    /// The process.
    pub process: ProcessState,
    /// The link to the plugin is open.
    pub linked: bool,
    /// Grows with every report that arrives at the agent, over all connections of the plugin: only a new number is a
    /// sign of life.
    pub report_number: u64,
    /// The newest report; none before the first one.
    pub report: Option<Report>,
    /// Age of that report at the sending agent, in milliseconds.
    pub report_age_ms: u64,
    /// A sentence about the plugin itself: another build on disk than loaded, for example.
    pub note: Option<String>,
}

/// A voter's statement about its own contacts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// About which agent.
    pub agent_id: AgentId,
    /// Since the voter last heard the agent itself, in milliseconds; none = not since the voter started.
    pub agent_age_ms: Option<u64>,
    /// Since the voter last received, from that agent directly, a report it had not seen, in milliseconds.
    pub report_age_ms: Option<u64>,
    /// How long the voter has been listening, in milliseconds: one that has just started lacks contact with everybody
    /// and that says nothing.
    pub listening_ms: u64,
}

/// When a member of the text protocol was last heard, as told by the agent that it joined through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextBeat {
    /// Which.
    pub member_id: MemberId,
    /// Since then, at the sending agent, in milliseconds.
    pub age_ms: u64,
    /// Wall clock of that agent's host then, microseconds since 1970 UTC; for people only.
    pub wall_clock_us: i64,
}

/// Another member's observed facts, passed on so that everybody can show every row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Relayed {
    /// The agent that said it first.
    pub agent_id: AgentId,
    /// Process incarnation of that agent, so that a restarted one's numbers are not taken for old.
    pub incarnation: u64,
    /// Its heartbeat's number: only a higher one replaces what is known.
    pub sequence: u64,
    /// Age at the relay, in milliseconds.
    pub age_ms: u64,
    /// What it said of its server.
    pub own: Option<OwnMember>,
    /// What it said of the members that joined through it by the text protocol; ages as it said them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub texts: Vec<TextBeat>,
}

/// What an agent tells another, periodically and at once when something changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Who says it; must match the sender's certificate.
    pub agent_id: AgentId,
    /// Drawn at random when the agent's process starts: one that was replaced by another never comes back.
    pub incarnation: u64,
    /// Grows with each heartbeat of this incarnation; an older one that arrives late is dropped.
    pub sequence: u64,
    /// The sender's own server.
    pub own: Option<OwnMember>,
    /// The members that joined through the sender by the text protocol.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub texts: Vec<TextBeat>,
    /// The sender's own contacts; only a voter's are counted.
    pub contacts: Vec<Contact>,
    /// Others' facts, passed on.
    pub relayed: Vec<Relayed>,
    /// The newest view that the sender has applied, so that convergence can be seen.
    pub view_id: u64,
}
