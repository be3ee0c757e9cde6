//! How long a change takes from the leader to everybody's view. The bound is generous; the figures are printed.

use std::time::{Duration, Instant};

use anyhow::Result;
use muster_core::ids::AgentId;
use muster_tests::raft_sim::group::Group;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_everywhere_at_once() -> Result<()> {
    let group = Group::of(3).await?;
    let (leader, others) = (AgentId(1), [AgentId(2), AgentId(3)]);
    let (mut agreed, mut everywhere) = (Vec::new(), Vec::new());
    for number in 0..300 {
        let started = Instant::now();
        let view = group.mark(leader, &format!("number {number}")).await?;
        agreed.push(started.elapsed());
        let committed = Instant::now();
        group.all_show(&others, view).await?;
        everywhere.push(committed.elapsed());
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    for (what, times) in [
        ("proposed to agreed", &mut agreed),
        ("agreed to everywhere", &mut everywhere),
    ] {
        times.sort_unstable();
        let at = |part: usize| times[times.len() * part / 100];
        println!(
            "{what}: p50 {:?}, p90 {:?}, p99 {:?}",
            at(50),
            at(90),
            at(99)
        );
    }
    assert!(
        everywhere[150] < Duration::from_millis(50),
        "{:?}",
        everywhere[150]
    );
    Ok(())
}
