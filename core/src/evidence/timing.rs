//! How often agents speak, and how long what they said counts.
//!
//! With `n` agents, `v` voters, a planned heartbeat of `b` = 1 KiB and the group's `heartbeat_ttl_ms`:
//!
//! * Every agent sends a heartbeat to every voter each `interval = max(ttl / 8, n·b / 256 KiB/s)`, and is answered with
//!   one. A voter so receives at most 256 KiB/s of them, and answers with as much. At the default ttl that is 250 ms up
//!   to 64 agents, 782 ms at 200.
//! * A report counts for `max(ttl, 4·interval)`: 2 s up to 128 agents, 3.1 s at 200.
//! * A voter keeps its share of the learners, `ceil((n - v) / v)`, informed of all the others each
//!   `relay = max(interval, share·n·b / 1 MiB/s)`: at 200 agents with 5 voters every 7.7 s. Only facts that cost no
//!   log entry come by this way; what is ordered reaches learners by the log, at once.

use crate::limits::{HEARTBEAT_BYTES_PLANNED, RELAY_BYTES_PER_SECOND, VOTER_BYTES_PER_SECOND};
use crate::state::ClusterState;

/// Heartbeats sent while a report stays valid: so many can be lost in a row before anybody is missed.
const HEARTBEATS_PER_TTL: u64 = 8;
/// Likewise in a group so large that the interval had to be stretched.
const HEARTBEATS_PER_TTL_STRETCHED: u64 = 4;

/// Intervals of a group, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Between two heartbeats of an agent to a voter.
    pub interval_ms: u64,
    /// How long a report counts as fresh.
    pub ttl_ms: u64,
    /// Between two heartbeats of a voter to a learner that it keeps informed.
    pub relay_interval_ms: u64,
}

impl Timing {
    /// The intervals for the group as it is.
    #[must_use]
    pub fn of(state: &ClusterState) -> Self {
        Self::new(
            state.settings.heartbeat_ttl_ms,
            state.agents.len() as u64,
            state.voters.len() as u64,
        )
    }

    /// The intervals for `agents` agents of which `voters` vote.
    #[must_use]
    pub fn new(heartbeat_ttl_ms: u64, agents: u64, voters: u64) -> Self {
        let per_second = |bytes: u64, budget: u64| (bytes * 1_000).div_ceil(budget);
        let interval_ms = (heartbeat_ttl_ms / HEARTBEATS_PER_TTL).max(per_second(
            agents * HEARTBEAT_BYTES_PLANNED,
            VOTER_BYTES_PER_SECOND,
        ));
        let share = agents.saturating_sub(voters).div_ceil(voters.max(1));
        Self {
            interval_ms,
            ttl_ms: heartbeat_ttl_ms.max(HEARTBEATS_PER_TTL_STRETCHED * interval_ms),
            relay_interval_ms: interval_ms.max(per_second(
                share * agents * HEARTBEAT_BYTES_PLANNED,
                RELAY_BYTES_PER_SECOND,
            )),
        }
    }
}
