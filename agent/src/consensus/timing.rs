//! How often the leader speaks, and how long the others wait before they elect another.

use std::time::Duration;

/// The clockwork of the consensus, all derived from one number: the heartbeat ttl of the group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// The leader speaks at least this often.
    pub heartbeat: Duration,
    /// Nobody stands for election before it has missed the leader for this long.
    pub election_min: Duration,
    /// The longest wait; the wait is drawn anew for each attempt, so that two candidates do not collide for ever.
    pub election_max: Duration,
    /// A call that carries entries to another agent may take this long.
    pub call: Duration,
    /// A snapshot may take this long to be sent and installed.
    pub snapshot: Duration,
    /// A proposal, a barrier or a change of the voters is given up after this long.
    pub propose: Duration,
}

impl Timing {
    /// The clockwork for a group whose members' reports stay valid for `heartbeat_ttl`: a lost leader is noticed and
    /// replaced well within it.
    ///
    /// With the default of 2 s: heartbeat 200 ms, election after 600 to 1,200 ms.
    #[must_use]
    pub fn from_ttl(heartbeat_ttl: Duration) -> Self {
        // Below half a second the timers would be finer than what a busy host can keep.
        let ttl = heartbeat_ttl.max(Duration::from_millis(500));
        Self {
            heartbeat: ttl / 10,
            election_min: ttl * 3 / 10,
            election_max: ttl * 6 / 10,
            call: ttl / 2,
            snapshot: (ttl * 5).max(Duration::from_secs(10)),
            propose: ttl * 5 / 2,
        }
    }
}

impl Timing {
    /// How long one heartbeat may be under way. Longer than the interval between two, so that a slow way (a far site,
    /// half a second of jitter) delays the leader's knowledge of its majority, and does not end it.
    pub(super) fn heartbeat_call(&self) -> Duration {
        self.election_min * 9 / 10
    }

    /// A leader that has lost its majority falls silent for this long, then tries for as long, and so on: long enough
    /// for the others to find that it is gone, and to elect another.
    pub(super) fn silence(&self) -> Duration {
        self.election_max * 2
    }
}

impl Default for Timing {
    fn default() -> Self {
        Self::from_ttl(Duration::from_secs(2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_fractions_of_two_seconds() {
        let timing = Timing::default();
        assert_eq!(timing.heartbeat, Duration::from_millis(200));
        assert_eq!(timing.election_min, Duration::from_millis(600));
        assert_eq!(timing.election_max, Duration::from_millis(1_200));
    }

    #[test]
    fn a_leader_may_lose_two_heartbeats_before_anybody_stands() {
        for ttl_ms in [1, 500, 2_000, 60_000] {
            let timing = Timing::from_ttl(Duration::from_millis(ttl_ms));
            assert!(timing.heartbeat * 3 <= timing.election_min);
            assert!(timing.election_min < timing.election_max);
        }
    }
}
