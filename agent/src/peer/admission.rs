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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn state(next: u64, removed: &[u64]) -> ClusterState {
        ClusterState {
            cluster_id: "c".to_owned(),
            next_agent_id: next,
            removed_agents: removed.iter().map(|id| AgentId(*id)).collect(),
            ..ClusterState::default()
        }
    }

    #[test]
    fn before_there_is_a_state_everybody_with_a_certificate_is_heard() {
        let empty = ClusterState::default();
        assert_eq!(Admission::judge(&empty, AgentId(3)), Admission::Belongs);
    }

    proptest! {
        /// However old our state is: who was removed stays out, and nobody that a newer state may know is refused.
        #[test]
        fn removal_is_for_ever_and_the_new_are_heard(
            next in 1_u64..20, id in 1_u64..40, removed in prop::collection::vec(1_u64..40, 0..5),
        ) {
            let admission = Admission::judge(&state(next, &removed), AgentId(id));
            let expected = if removed.contains(&id) {
                Admission::Removed
            } else if id >= next {
                Admission::Belongs
            } else {
                Admission::Stranger
            };
            prop_assert_eq!(admission, expected);
            prop_assert_eq!(admission.check(AgentId(id)).is_ok(), expected == Admission::Belongs);
        }
    }
}
