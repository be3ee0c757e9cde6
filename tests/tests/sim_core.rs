//! Random faults in the simulated world: every promise at every step, and all well again afterwards.
//!
//! `MUSTER_SOAK_MINUTES=60 cargo test -p muster-tests --test sim_core` runs new seeds for an hour;
//! `MUSTER_SEED=7` runs that one alone.

use std::time::{Duration, Instant};

use muster_tests::sim;

const SEEDS: u64 = 200;

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| {
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name}={value} is not a number"))
    })
}

#[test]
fn promises_hold_under_random_faults() {
    if let Some(seed) = from_environment("MUSTER_SEED") {
        println!("seed {seed}: {:?}", sim::run(seed));
        return;
    }
    let soak = from_environment("MUSTER_SOAK_MINUTES").map(|m| Duration::from_secs(m * 60));
    let start = Instant::now();
    let mut slowest_ms = 0;
    let mut unreachable = 0;
    let mut seed = 0;
    while seed < SEEDS || soak.is_some_and(|soak| start.elapsed() < soak) {
        let outcome = sim::run(seed);
        slowest_ms = slowest_ms.max(outcome.settled_after_ms);
        unreachable += outcome.unreachable;
        seed += 1;
    }
    println!(
        "{seed} seeds in {:?}; slowest to settle: {slowest_ms} ms after the faults; {unreachable} times unreachable",
        start.elapsed()
    );
    assert!(unreachable > 0, "the faults reached nobody");
}

#[test]
fn a_seed_is_a_whole_run() {
    for seed in [3, 11, 42] {
        assert_eq!(sim::run(seed), sim::run(seed));
    }
}
