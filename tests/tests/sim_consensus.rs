//! Random lives of groups of the consensus adapter, in simulated time. See `muster_tests::raft_sim::sim`.
//!
//! `MUSTER_SOAK_MINUTES` makes it run for that long on new seeds; `MUSTER_SEED` runs one seed, `MUSTER_STEPS` sets the
//! length of a life.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use muster_tests::raft_sim::sim::{Life, Report, live};

/// Lives in the short form.
const SEEDS: u64 = 30;
/// Random things in a life.
const STEPS: u64 = 60;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn one(seed: u64, lying_disks: bool) -> anyhow::Result<Report> {
    let steps = usize::try_from(number("MUSTER_STEPS").unwrap_or(STEPS))?;
    live(Life {
        seed,
        steps,
        lying_disks,
    })
}

#[test]
fn random_lives_keep_every_promise() {
    if let Some(seed) = number("MUSTER_SEED") {
        let report =
            one(seed, false).unwrap_or_else(|error| panic!("MUSTER_SEED={seed}: {error:?}"));
        println!("seed {seed}: {report:?}");
        return;
    }
    let soak = number("MUSTER_SOAK_MINUTES").map(|minutes| Duration::from_secs(minutes * 60));
    let began = Instant::now();
    // A soak looks at other seeds each time.
    let first = soak.map_or(0, |_| 1_000_000 + u64::from(std::process::id()) * 10_000);
    let next = AtomicU64::new(first);
    let reports = Mutex::new(Vec::new());
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            let enough = match soak {
                Some(soak) => began.elapsed() >= soak,
                None => seed >= SEEDS,
            };
            if enough {
                return;
            }
            let report =
                one(seed, false).unwrap_or_else(|error| panic!("MUSTER_SEED={seed}: {error:?}"));
            reports
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .push(report);
        }
    };
    thread::scope(|scope| {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        for number in 0..threads {
            let thread = thread::Builder::new().name(format!("lives-{number}"));
            thread.spawn_scoped(scope, work).expect("a thread");
        }
    });
    let reports = reports.into_inner().expect("no life panicked");
    let sum = |of: fn(&Report) -> usize| reports.iter().map(of).sum::<usize>();
    println!(
        "{} lives, {} s of simulated time, {} acknowledged proposals, {} others, {} views, {} crashes, in {} s",
        reports.len(),
        reports
            .iter()
            .map(|report| report.lasted.as_secs())
            .sum::<u64>(),
        sum(|report| report.acknowledged),
        sum(|report| report.failed),
        sum(|report| report.views),
        sum(|report| report.crashes),
        began.elapsed().as_secs()
    );
    assert!(sum(|report| report.acknowledged) > 0 && sum(|report| report.crashes) > 0);
}

/// The checks are worth something: where a promise cannot be kept, they say so.
#[test]
fn disks_that_lie_are_found_out() {
    let found = (0..30).find_map(|seed| one(seed, true).err());
    let found =
        found.expect("disks that lose synced data must break a promise that the checks watch");
    println!("{found:?}");
}
