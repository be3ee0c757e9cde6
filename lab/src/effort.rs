//! How much a test is to do: the short form, which everybody runs, or the long one.

use std::time::Duration;

/// The variable that asks for the long forms, and says for how many minutes each.
pub const SOAK_VARIABLE: &str = "MUSTER_SOAK_MINUTES";
/// The variable that says for how many seconds each fuzz target runs.
pub const FUZZ_VARIABLE: &str = "MUSTER_FUZZ_SECONDS";

/// For how long the long form of a test is to run; `None` asks for the short form.
#[must_use]
pub fn soak() -> Option<Duration> {
    number(SOAK_VARIABLE).map(|minutes| Duration::from_secs(minutes * 60))
}

/// For how long one fuzz target is to run beyond its corpus: 5 s, at least 60 s in a soak, or what the variable says.
#[must_use]
pub fn fuzz() -> Duration {
    let least = soak().map_or(5, |_| 60);
    Duration::from_secs(number(FUZZ_VARIABLE).unwrap_or(least))
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}
