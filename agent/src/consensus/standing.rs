//! Where this agent stands in the group, as far as the consensus knows.

use std::collections::{BTreeMap, BTreeSet};

use muster_core::ids::AgentId;

/// Where this agent stands in the group. Known locally, never part of the ordered state.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    /// The leader, as far as this agent knows.
    pub leader: Option<AgentId>,
    /// This agent leads.
    pub i_lead: bool,
    /// Raft's term: grows with every election.
    pub term: u64,
    /// On the leader: a majority has answered it recently. Elsewhere: it hears a leader. Where this is false, nothing
    /// can be agreed on from here, and what is shown may be out of date.
    pub quorum: bool,
    /// Index of the last log entry whose effect is in the published state.
    pub last_applied_index: u64,
    /// Who votes, by the newest membership this agent knows; while the voters change, those of both sets.
    pub voters: BTreeSet<AgentId>,
    /// Who only listens.
    pub learners: BTreeSet<AgentId>,
    /// A change of the voters is under way.
    pub changing: bool,
    /// On the leader: the last log index that each other agent is known to hold. A learner that is far behind is not
    /// fit to become a voter. Empty elsewhere.
    pub matched: BTreeMap<AgentId, u64>,
    /// On the leader: the index of its own last log entry, for comparison with `matched`.
    pub last_log_index: u64,
    /// The consensus has ended by itself, for this reason (its disk failed, say). The agent must end too: nothing more
    /// will happen here.
    pub failed: Option<String>,
}

impl Standing {
    /// Whether `id` is in the group, as a voter or as a learner.
    #[must_use]
    pub fn has(&self, id: AgentId) -> bool {
        self.voters.contains(&id) || self.learners.contains(&id)
    }
}
