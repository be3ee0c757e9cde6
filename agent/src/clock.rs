//! The two clocks of the agent, and what each is for.
//!
//! Ages and deadlines are counted on CLOCK_BOOTTIME: it never steps, goes on while the host sleeps, and is the same for
//! every process of the host, so the plugin can subtract what the agent stamped. The wall clock is for people's eyes.

use std::time::{SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

/// CLOCK_BOOTTIME of this host in milliseconds.
#[must_use]
pub fn boot_ms() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    let milliseconds = u64::try_from(now.tv_nsec).unwrap_or(0) / 1_000_000;
    seconds * 1_000 + milliseconds
}

/// Wall clock of this host, microseconds since 1970 UTC: shown to people, compared with nothing.
#[must_use]
pub fn wall_us() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |us| -us),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boot_time_does_not_go_back() {
        let first = boot_ms();
        assert!(boot_ms() >= first && first > 0);
    }
}
