//! Bad weather, in simulated time: how often the leader changes, and how often a change does not go through.
//!
//! A minute of it in the short form, ten where `MUSTER_SOAK_MINUTES` is set.
//!
//! Each request and each answer is lost or late by itself, without TCP, which would make late what is lost here.

// The figures are what a person runs this for.
#![allow(clippy::print_stdout)]

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result};
use muster_agent::consensus::{Compaction, Consensus, Timing};
use muster_core::ids::AgentId;
use muster_tests::raft_sim::disk::SimDisk;
use muster_tests::raft_sim::entries;
use muster_tests::raft_sim::net::{Net, Weather};
use tokio::time::{Instant, sleep};

fn lasts() -> Duration {
    let minutes = std::env::var_os("MUSTER_SOAK_MINUTES").map_or(1, |_| 10);
    Duration::from_secs(60 * minutes)
}

#[derive(Debug, Default)]
struct Seen {
    elections: u64,
    proposed: u32,
    agreed: u32,
    /// Part of the time in which somebody leads and knows its majority.
    led: f64,
}

async fn a_while(weather: Weather) -> Result<Seen> {
    let net = Net::new(7);
    let ids = [1, 2, 3].map(AgentId);
    let mut agents = Vec::new();
    for id in ids {
        let (disk, wire, timing) = (SimDisk::new(id.0), net.wire(id), Timing::default());
        let compaction = Compaction::default();
        let agent = Consensus::open_in(disk.folder(), id, wire, timing, compaction).await?;
        net.plug(id, agent.clone());
        agents.push(agent);
    }
    let first = &agents[0];
    first
        .found(&entries::address(ids[0]), entries::found())
        .await?;
    for id in &ids[1..] {
        for entry in entries::join(*id) {
            first.propose(entry).await?;
        }
        first.add_learner(*id, &entries::address(*id)).await?;
    }
    first.set_voters(BTreeSet::from(ids)).await?;

    net.weather(weather);
    let term = || {
        agents
            .iter()
            .map(|agent| agent.standing().borrow().term)
            .max()
    };
    let before = term().context("a term")?;
    let (mut seen, mut looks, mut led) = (Seen::default(), 0, 0);
    let began = Instant::now();
    while began.elapsed() < lasts() {
        for _ in 0..20 {
            sleep(Duration::from_millis(100)).await;
            looks += 1;
            let leads = |agent: &&Consensus| {
                let standing = agent.standing();
                let standing = standing.borrow();
                standing.i_lead && standing.quorum
            };
            led += u32::from(agents.iter().any(|agent| leads(&agent)));
        }
        let leader = agents.iter().find(|agent| agent.standing().borrow().i_lead);
        seen.proposed += 1;
        if let Some(leader) = leader {
            let mark = format!("(mark {})", seen.proposed);
            seen.agreed += u32::from(leader.propose(entries::marked(&mark)).await.is_ok());
        }
    }
    seen.elections = term().context("a term")? - before;
    seen.led = f64::from(led) / f64::from(looks);
    Ok(seen)
}

fn live(weather: Weather) -> Result<Seen> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()?;
    let seen = runtime.block_on(a_while(weather))?;
    println!("{weather:?}: {seen:?}");
    Ok(seen)
}

fn weather(loss: f64, delay_ms_max: u64) -> Weather {
    Weather {
        loss,
        doubled: 0.0,
        delay_ms_max,
    }
}

#[test]
fn two_percent_loss_changes_nothing() -> Result<()> {
    let seen = live(weather(0.02, 20))?;
    assert_eq!(seen.elections, 0, "{seen:?}");
    assert_eq!(seen.agreed, seen.proposed, "{seen:?}");
    Ok(())
}

#[test]
fn jitter_of_half_a_second_on_the_way_there_and_back_changes_nothing() -> Result<()> {
    let seen = live(weather(0.0, 250))?;
    assert_eq!(seen.elections, 0, "{seen:?}");
    assert_eq!(seen.agreed, seen.proposed, "{seen:?}");
    Ok(())
}

#[test]
fn twenty_percent_loss_or_half_a_second_each_way_slow_it_down_and_do_not_stop_it() -> Result<()> {
    for bad in [weather(0.2, 20), weather(0.0, 500), weather(0.2, 250)] {
        let seen = live(bad)?;
        assert!(seen.agreed * 10 > seen.proposed * 6, "{bad:?}: {seen:?}");
        assert!(seen.led > 0.6, "{bad:?}: {seen:?}");
    }
    Ok(())
}
