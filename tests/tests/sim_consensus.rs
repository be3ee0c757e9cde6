//! Random lives of groups of the consensus adapter, in simulated time. See `muster_tests::raft_sim::sim`.
//!
//! `MUSTER_SOAK_MINUTES` makes it run for that long on new seeds; `MUSTER_SEED` runs one seed, `MUSTER_STEPS` sets the
//! length of a life.

use std::time::{Duration, Instant};

use muster_tests::raft_sim::sim::{Report, live};

const SEEDS: u64 = 40;
const STEPS: usize = 60;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn one(seed: u64) -> anyhow::Result<Report> {
    let steps =
        number("MUSTER_STEPS").map_or(STEPS, |steps| usize::try_from(steps).unwrap_or(STEPS));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()?;
    runtime.block_on(live(seed, steps))
}

#[test]
fn random_lives_keep_every_promise() {
    if let Some(seed) = number("MUSTER_SEED") {
        let report = one(seed).unwrap_or_else(|error| panic!("seed {seed}: {error:?}"));
        println!("seed {seed}: {report:?}");
        return;
    }
    let minutes = number("MUSTER_SOAK_MINUTES");
    let began = Instant::now();
    let (mut lives, mut acknowledged, mut crashes) = (0_u64, 0, 0);
    let mut lasted = Duration::ZERO;
    let mut seed = if minutes.is_some() {
        1_000_000 + u64::from(std::process::id()) * 1_000
    } else {
        0
    };
    loop {
        let enough = match minutes {
            Some(minutes) => began.elapsed() >= Duration::from_secs(minutes * 60),
            None => lives >= SEEDS,
        };
        if enough {
            break;
        }
        let report = one(seed).unwrap_or_else(|error| panic!("MUSTER_SEED={seed}: {error:?}"));
        lives += 1;
        acknowledged += report.acknowledged;
        crashes += report.crashes;
        lasted += report.lasted;
        seed += 1;
    }
    println!(
        "{lives} lives, {} s of simulated time, {acknowledged} acknowledged proposals, {crashes} crashes, in {} s",
        lasted.as_secs(),
        began.elapsed().as_secs()
    );
    assert!(acknowledged > 0 && crashes > 0);
}
