//! Who may speak: decided by the ordered state, not by a certificate's dates.

use muster_core::ids::AgentId;
use muster_core::state::ClusterState;

use super::wire::{Refusal, RefusalKind};

/// Whether the holder of a valid certificate may speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It belongs.
    Belongs,
    /// It was removed, for ever.
    Removed,
    /// It is not known, and by what this agent knows it cannot exist.
    Stranger,
}

impl Admission {
    /// Judges by a state that may be older than the group's.
    ///
    /// An id that this state has not reached yet is let in: its certificate proves that a leader admitted it, and an
    /// agent that lags must be able to hear a leader that is newer than its own state, or it would lag for ever.
    #[must_use]
    pub fn judge(state: &ClusterState, agent_id: AgentId) -> Self {
        if state.removed_agents.contains(&agent_id) {
            Self::Removed
        } else if state.agents.contains_key(&agent_id)
            || !state.founded()
            || agent_id.0 >= state.next_agent_id
        {
            Self::Belongs
        } else {
            Self::Stranger
        }
    }

    /// The refusal that `from` gets, if any.
    pub fn check(self, from: AgentId) -> Result<(), Refusal> {
        match self {
            Self::Belongs => Ok(()),
            Self::Removed => Err(Refusal::new(
                RefusalKind::Removed,
                format!("agent {from} was removed from the cluster; join again as a new one"),
            )),
            Self::Stranger => Err(Refusal::new(
                RefusalKind::Forbidden,
                format!("agent {from} is not known in this cluster; join again as a new one"),
            )),
        }
    }
}
