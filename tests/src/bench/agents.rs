//! What agents cost when nothing happens: memory, processor, bytes on the wire; and how that grows with the group.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use muster_agent::control::types::Setting;
use muster_lab::cluster::{Cluster, ClusterOptions};
use muster_lab::netns::Network;
use muster_lab::{Install, Kind};

use super::figure::Figure;
use crate::in_process::agent::Agent;
use crate::plugin::resident_kib;

const WATCHED_FOR: Duration = Duration::from_secs(10);
const RUNS: usize = 5;

/// Three agents beside idle servers, each on a host of its own.
pub async fn idle() -> Result<Vec<Figure>> {
    let install = Install::get(Kind::MariaDb).await?;
    let network = Network::new(3)?;
    let cluster = Cluster::start_on(&install, ClusterOptions::new(3)?, &network).await?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let (mut memory, mut processor, mut wire) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..RUNS {
        for (node, host) in cluster.nodes().iter().zip(network.hosts()) {
            let pid = node.agent.running()?.pid();
            let sent = || -> Result<f64> {
                let text = host.run("cat", &["/proc/net/dev"])?;
                bytes_sent(&text).context("no counters in /proc/net/dev")
            };
            let (ticks_before, sent_before, begun) = (ticks(pid)?, sent()?, Instant::now());
            tokio::time::sleep(WATCHED_FOR / 3).await;
            let seconds = begun.elapsed().as_secs_f64();
            processor.push((ticks(pid)? - ticks_before) / seconds);
            // The servers' own replication is in it too: a few bytes when nothing is written.
            wire.push((sent()? - sent_before) / seconds);
            memory.push(resident_kib(pid).context("no memory of the agent")? as f64 / 1024.0);
        }
    }
    let figure = |what: &str, unit, samples, goal| Figure {
        bench: "agents",
        what: what.to_owned(),
        unit,
        samples,
        beside: None,
        goal: Some(goal),
    };
    Ok(vec![
        figure(
            "one of 3 idle agents: resident memory",
            "MiB",
            memory,
            "30 MiB",
        ),
        figure(
            "one of 3 idle agents: processor",
            "% of a core",
            processor,
            "0.5 %",
        ),
        figure("one of 3 idle hosts: sent", "bytes/s", wire, ""),
    ])
}

/// `count` agents in this process, without servers: cost of each, and how fast a change is everywhere.
pub async fn many(count: usize, say: impl Fn(&str)) -> Result<Vec<Figure>> {
    let folder = tempfile::tempdir()?;
    let first = Agent::start_new(folder.path(), "a0").await?;
    first.init().await?;
    let mut agents = vec![first];
    while agents.len() < count {
        let token = agents[0].token().await?;
        let agent = Agent::start_new(folder.path(), &format!("a{}", agents.len())).await?;
        agent.join(&agents[0], &token, true).await?;
        agents.push(agent);
        if agents.len().is_multiple_of(25) {
            say(&format!("{} agents", agents.len()));
        }
    }
    converged(&agents, 0).await?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let me = std::process::id();
    let (mut processor, mut wire, mut change) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..RUNS {
        let (ticks_before, sent_before, begun) = (ticks(me)?, loopback()?, Instant::now());
        tokio::time::sleep(WATCHED_FOR).await;
        let seconds = begun.elapsed().as_secs_f64() * count as f64;
        processor.push((ticks(me)? - ticks_before) / seconds);
        wire.push((loopback()? - sent_before) / seconds);
        let view = agents[0].status().await?.view_id;
        let value = (3_600_001 + round).to_string();
        let begun = Instant::now();
        agents[0]
            .client()
            .config_set(&Setting {
                key: "token_ttl_ms".to_owned(),
                value,
            })
            .await?;
        converged(&agents, view + 1).await?;
        change.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    let memory =
        resident_kib(me).context("no memory of this process")? as f64 / 1024.0 / count as f64;
    let figure = |what: &str, unit, samples, goal| Figure {
        bench: "agents",
        what: format!("{count} agents in one process: {what}"),
        unit,
        samples,
        beside: None,
        goal,
    };
    Ok(vec![
        figure("memory of each", "MiB", vec![memory], None),
        figure("processor of each", "% of a core", processor, None),
        figure("sent by each", "bytes/s", wire, None),
        figure(
            "an ordered change is shown by all after",
            "ms",
            change,
            Some("1,000 ms at 200"),
        ),
    ])
}

async fn converged(agents: &[Agent], least: u64) -> Result<()> {
    let begun = Instant::now();
    for agent in agents {
        while agent.status().await?.view_id < least || agent.status().await?.agents != agents.len()
        {
            ensure!(
                begun.elapsed() < Duration::from_secs(60),
                "{} lags behind view {least}",
                agent.name()
            );
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    Ok(())
}

/// Processor time of a process so far, in hundredths of a second: a share of one core in percent per second.
fn ticks(pid: u32) -> Result<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, rest) = text
        .rsplit_once(')')
        .context("/proc/PID/stat is not as expected")?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let ticks = |n: usize| {
        fields
            .get(n)
            .and_then(|t| t.parse::<f64>().ok())
            .context("/proc/PID/stat is too short")
    };
    // The kernel counts for programs in hundredths of a second, whatever its own ticks are.
    Ok(ticks(11)? + ticks(12)?)
}

fn loopback() -> Result<f64> {
    let text = std::fs::read_to_string("/proc/net/dev")?;
    let line = text
        .lines()
        .find(|l| l.trim_start().starts_with("lo:"))
        .context("no loopback interface")?;
    sent_of(line).context("no counters of the loopback interface")
}

/// What everything but the loopback interface has sent.
fn bytes_sent(text: &str) -> Option<f64> {
    let lines = text
        .lines()
        .filter(|l| l.contains(':') && !l.trim_start().starts_with("lo:"));
    Some(lines.filter_map(sent_of).sum())
}

fn sent_of(line: &str) -> Option<f64> {
    let (_, counters) = line.split_once(':')?;
    counters.split_ascii_whitespace().nth(8)?.parse().ok()
}
