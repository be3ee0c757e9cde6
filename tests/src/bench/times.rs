//! The times of `crate::shown`: each event many times, on hosts of their own.

use std::collections::BTreeMap;

use anyhow::Result;
use muster_lab::cluster::{Cluster, ClusterOptions};
use muster_lab::netns::Network;
use muster_lab::{Install, Kind};

use super::figure::Figure;
use crate::shown::{Shown, agents, hosts, servers};

/// What the product wants to reach, p50 / p99.
const GOALS: [(&str, &str); 13] = [
    ("mysqld killed: OFFLINE", "50 / 250 ms"),
    ("mysqld stopped in order: STOPPING", "50 / 250 ms"),
    (
        "mysqld stopped in order: OFFLINE after its end",
        "50 / 250 ms",
    ),
    ("mysqld frozen: UNREACHABLE", "2,500 / 4,000 ms"),
    ("mysqld continued: ONLINE", "500 ms"),
    ("agent killed: UNREACHABLE", "2,500 / 4,000 ms"),
    ("agent started: ONLINE", "1,000 ms"),
    ("host cut off: UNREACHABLE", "2,500 / 4,000 ms"),
    ("cut healed: one view everywhere", "1,500 / 3,000 ms"),
    (
        "majority of agents killed, then started: one view",
        "3,000 / 5,000 ms",
    ),
    (
        "all agents killed, then started: one view",
        "3,000 / 5,000 ms",
    ),
    ("ordered change: first server to last", "10 / 50 ms"),
    ("a host joins: ONLINE", "1,000 / 2,000 ms"),
];

/// Each event `runs` times on three hosts.
pub async fn run(kind: Kind, runs: usize, say: impl Fn(&str)) -> Result<Vec<Figure>> {
    let install = Install::get(kind).await?;
    let mut network = Network::new(3)?;
    let mut cluster = Cluster::start_on(&install, ClusterOptions::new(3)?, &network).await?;
    let mut samples: BTreeMap<&'static str, Vec<f64>> = BTreeMap::new();
    for round in 0..runs {
        say(&format!("{kind}: round {} of {runs}", round + 1));
        let victim = round % 3;
        let mut take = |all: Vec<Shown>| {
            for one in all {
                samples
                    .entry(one.what)
                    .or_default()
                    .push(one.took.as_secs_f64() * 1e3);
            }
        };
        take(servers::killed(&mut cluster, victim).await?);
        take(servers::stopped(&mut cluster, victim).await?);
        take(servers::frozen(&mut cluster, victim).await?);
        take(agents::killed(&mut cluster, victim).await?);
        take(hosts::cut_off(&cluster, &network, victim).await?);
        take(agents::ordered_change(&cluster).await?);
        take(agents::many_killed(&mut cluster, &[victim, (victim + 1) % 3]).await?);
        take(agents::many_killed(&mut cluster, &[0, 1, 2]).await?);
    }
    // Hosts stay once they came, so this is the last, and done once.
    for one in hosts::come_and_go(&mut cluster, Some(&mut network)).await? {
        samples
            .entry(one.what)
            .or_default()
            .push(one.took.as_secs_f64() * 1e3);
    }
    let goal = |what: &str| {
        GOALS
            .iter()
            .find(|(name, _)| *name == what)
            .map(|(_, goal)| *goal)
    };
    Ok(samples
        .into_iter()
        .map(|(what, samples)| Figure {
            bench: "times",
            what: format!("{kind}: {what}"),
            unit: "ms",
            samples,
            beside: None,
            goal: goal(what),
        })
        .collect())
}
