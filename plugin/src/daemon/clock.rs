//! The two clocks of the daemon: one to measure with, one to show to people.

use std::time::{SystemTime, UNIX_EPOCH};

pub use crate::ffi::clock::boot_ms;

/// The host's wall clock in microseconds since 1970 UTC. It may step either way: for people only, never for decisions.
pub fn wall_clock_us() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |us| -us),
    }
}
