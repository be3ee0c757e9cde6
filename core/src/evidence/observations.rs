//! What the leader hands to `decide`: facts with ages, and each voter's own word about whom it hears.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Contact, OwnMember};
use crate::ids::AgentId;

/// Everything that `decide` looks at beside the ordered state. Ages are as of the moment it was made.
#[derive(Debug, Clone, PartialEq)]
pub struct Observations {
    /// The agent that decides.
    pub me: AgentId,
    /// How long a report counts as fresh, in milliseconds.
    pub ttl_ms: u64,
    /// What is known of each agent.
    pub agents: BTreeMap<AgentId, Seen>,
    /// For how long this agent has known each join token, in milliseconds of its own clock.
    pub tokens_age_ms: BTreeMap<String, u64>,
    /// What the consensus says of itself.
    pub consensus: ConsensusFacts,
}

/// What is known of one agent and the server beside it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Seen {
    /// The newest that it said of its server, directly or by relay.
    pub own: Option<Arc<OwnMember>>,
    /// Since it said that, in milliseconds; none = nothing is known.
    pub said_age_ms: Option<u64>,
    /// Age of the report in it, in milliseconds.
    pub report_age_ms: Option<u64>,
    /// A receiver of it has been trying to connect for so long although its source is not known to be down.
    pub connecting_ms: Option<u64>,
    /// A replication thread has been stopped without an error message for so long.
    pub stopped_ms: Option<u64>,
    /// Two processes speak as this agent: its host was cloned. Only the newer one is listened to.
    pub twin: bool,
    /// By its own word it hears, itself counted, less than a majority of the voters. What arrives from it then are
    /// stragglers, and no sign that it is back. False where it has not said.
    pub deaf: bool,
    /// Each voter's own word about it. A voter that said nothing lately is not in it.
    pub statements: BTreeMap<AgentId, Statement>,
}

/// A voter's own word about one agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statement {
    /// Does it hear the agent?
    pub agent: Opinion,
    /// Since it last heard it, in milliseconds; where it never did, since it began to listen.
    pub agent_silent_ms: u64,
    /// Does it get fresh reports of the agent's server?
    pub report: Opinion,
    /// Since it last got one, in milliseconds; where it never did, since it began to listen.
    pub report_silent_ms: u64,
}

/// Yes, no, or nothing that could be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opinion {
    /// It hears: within the ttl.
    Hears,
    /// It has listened for at least a ttl, and in that time there was nothing.
    Lacks,
    /// It has not listened long enough, or its word is growing old.
    Unsure,
}

impl Seen {
    /// Voters that hear the agent themselves.
    #[must_use]
    pub fn hear_agent(&self) -> usize {
        self.count(|s| s.agent == Opinion::Hears)
    }

    /// Voters that lack the agent themselves.
    #[must_use]
    pub fn lack_agent(&self) -> usize {
        self.count(|s| s.agent == Opinion::Lacks)
    }

    /// Voters that themselves get fresh reports of the server.
    #[must_use]
    pub fn hear_report(&self) -> usize {
        self.count(|s| s.report == Opinion::Hears)
    }

    /// Voters that themselves lack fresh reports of the server.
    #[must_use]
    pub fn lack_report(&self) -> usize {
        self.count(|s| s.report == Opinion::Lacks)
    }

    fn count(&self, which: impl Fn(&Statement) -> bool) -> usize {
        self.statements.values().filter(|s| which(s)).count()
    }
}

/// What the consensus says of itself, from the adapter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConsensusFacts {
    /// Who votes now.
    pub voters: BTreeSet<AgentId>,
    /// Who receives the log and does not vote.
    pub learners: BTreeSet<AgentId>,
    /// A change of the membership is under way: there is only ever one.
    pub changing: bool,
    /// Agents whose log is too far behind, or whose position is unknown: they can neither vote nor lead yet.
    pub lagging: BTreeSet<AgentId>,
    /// For how long this agent has led, in milliseconds.
    pub leading_ms: u64,
    /// Since the leadership was last offered to another, in milliseconds; none = never by this agent.
    pub transfer_tried_ms: Option<u64>,
}

/// What a contact means `word_age_ms` after it was stated. That somebody is heard wears off while the word grows old;
/// that somebody is missed was either true when it was said, or is not said at all.
pub(super) fn judged(contact: &Contact, word_age_ms: u64, ttl_ms: u64) -> Statement {
    let listened = contact.listening_ms > ttl_ms;
    let judge = |age_ms: Option<u64>| {
        let opinion = match age_ms {
            Some(age) if age.saturating_add(word_age_ms) <= ttl_ms => Opinion::Hears,
            Some(age) if age <= ttl_ms => Opinion::Unsure,
            _ if listened => Opinion::Lacks,
            _ => Opinion::Unsure,
        };
        let silent_ms = age_ms.unwrap_or(contact.listening_ms);
        (opinion, silent_ms.saturating_add(word_age_ms))
    };
    let (agent, agent_silent_ms) = judge(contact.agent_age_ms);
    let (report, report_silent_ms) = judge(contact.report_age_ms);
    Statement {
        agent,
        agent_silent_ms,
        report,
        report_silent_ms,
    }
}
