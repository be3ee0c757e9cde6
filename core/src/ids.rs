//! Identities. Each is used once and never given to anybody else.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Number of an agent, given by the group when it joins; also its consensus node id. A wiped host gets a new one.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct AgentId(pub u64);

impl fmt::Display for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Identity of a database server: its `server_uuid`, or the UUID kept in MariaDB's data directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MemberId(pub String);

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Number of a view: grows with every change of the ordered state, never repeats, never goes back.
///
/// The upper bits hold the generation that `muster recover --force` raises, so a group that was cut in two by force can
/// never show the same number for two different pictures.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct ViewId(pub u64);

/// Bits of a [`ViewId`] below the generation.
const VIEW_COUNTER_BITS: u32 = 40;

impl ViewId {
    /// The next view of the same generation.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The first view of the next generation.
    #[must_use]
    pub fn next_generation(self) -> Self {
        Self(((self.0 >> VIEW_COUNTER_BITS) + 1) << VIEW_COUNTER_BITS)
    }
}

impl fmt::Display for ViewId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
