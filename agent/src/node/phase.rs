//! Whether this agent belongs to a cluster.

use std::sync::Arc;

use super::member::Member;

/// Where this agent is in its life.
#[derive(Debug, Clone)]
pub(super) enum Phase {
    /// It belongs to no cluster: `muster init` or `muster join` is what comes next.
    Waiting,
    /// It belongs to one.
    Member(Arc<Member>),
    /// It belonged to one and was removed, or found out that it cannot go on; the sentence says which, and what to do.
    Out(String),
}

impl Phase {
    /// The membership, if there is one.
    pub(super) fn member(&self) -> Option<&Arc<Member>> {
        match self {
            Self::Member(member) => Some(member),
            Self::Waiting | Self::Out(_) => None,
        }
    }

    /// What to show for an agent that is in no cluster.
    pub(super) fn sentence(&self) -> Option<&str> {
        match self {
            Self::Waiting => Some(
                "this agent belongs to no cluster yet: 'muster init' makes one, 'muster join --token T HOST:PORT' enters one",
            ),
            Self::Out(why) => Some(why),
            Self::Member(_) => None,
        }
    }
}
