//! Events of hosts: cut off, half cut off, one link cut, joined, left, removed, wiped.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use muster_lab::cluster::{Cluster, column};
use muster_lab::netns::{Direction, Network};
use muster_lab::watch::Watch;

use super::{LIMIT, Shown, changes, newest_view, one_view_not_below, others, shown};

/// How long a verdict is watched for changing again.
const STABLE_FOR: Duration = Duration::from_secs(6);

/// One host cut off from all others, both ways, and healed.
pub async fn cut_off(cluster: &Cluster, network: &Network, victim: usize) -> Result<Vec<Shown>> {
    let before = newest_view(cluster).await?;
    let cut = cut(cluster, victim, || network.isolate(victim)).await?;
    let rows = cluster.members(victim).await?;
    ensure!(
        rows.len() == cluster.members(others(cluster, victim)[0]).await?.len(),
        "rows are missing in the minority"
    );
    let healed = Instant::now();
    network.heal()?;
    one_view_not_below(cluster, before).await?;
    Ok(vec![
        Shown {
            what: "host cut off: UNREACHABLE",
            took: cut,
        },
        Shown {
            what: "cut healed: one view everywhere",
            took: healed.elapsed(),
        },
    ])
}

/// One host that can no longer send, or no longer receive: one stable verdict, and none about the others.
pub async fn cut_one_way(
    cluster: &Cluster,
    network: &Network,
    victim: usize,
    mute: bool,
) -> Result<Vec<Shown>> {
    let before = newest_view(cluster).await?;
    let rest = others(cluster, victim);
    let name = cluster.node(victim).agent.name().to_owned();
    let count = changes(cluster, rest[0], &name).await?;
    let fault = || {
        if mute {
            network.mute(victim)
        } else {
            network.deafen(victim)
        }
    };
    let took = cut(cluster, victim, fault).await?;
    tokio::time::sleep(STABLE_FOR).await;
    if changes(cluster, rest[0], &name).await? != count + 1 {
        let query = "SELECT EVENT_TIME, MEMBER_ID, PREVIOUS_STATE, STATE, REASON FROM INFORMATION_SCHEMA.CLUSTER_EVENTS \
                     ORDER BY EVENT_ID DESC LIMIT 6";
        let events = cluster.node(rest[0]).server()?.rows(query).await?;
        bail!("the verdict about {name} changed again: {events:#?}");
    }
    for index in &rest {
        let other = cluster.node(*index).agent.name().to_owned();
        ensure!(
            shown(cluster, rest[0], &other, "MEMBER_STATE").await? == "ONLINE",
            "{other} is not ONLINE"
        );
    }
    network.heal()?;
    one_view_not_below(cluster, before).await?;
    let what = if mute {
        "host cannot send: UNREACHABLE"
    } else {
        "host cannot receive: UNREACHABLE"
    };
    Ok(vec![Shown { what, took }])
}

/// One link of several cut, both ways: everybody is still heard by a majority, so nothing is said of anybody.
pub async fn one_link_cut(
    cluster: &Cluster,
    network: &Network,
    from: usize,
    to: usize,
) -> Result<Vec<Shown>> {
    let before = newest_view(cluster).await?;
    let mut counts = Vec::new();
    for node in cluster.nodes() {
        counts.push(changes(cluster, 0, node.agent.name()).await?);
    }
    network.cut(from, to, Direction::Both)?;
    tokio::time::sleep(STABLE_FOR).await;
    for (node, count) in cluster.nodes().iter().zip(counts) {
        let name = node.agent.name();
        // Its replica may rightly be ERROR: it cannot reach its source. UNREACHABLE would be wrong.
        ensure!(
            changes(cluster, 0, name).await? <= count + 1,
            "the verdict about {name} changed more than once"
        );
        for on in others(cluster, usize::MAX) {
            let state = shown(cluster, on, name, "MEMBER_STATE").await?;
            ensure!(
                state != "UNREACHABLE" && state != "OFFLINE",
                "n{} shows {name} {state}",
                on + 1
            );
        }
    }
    let healed = Instant::now();
    network.heal()?;
    one_view_not_below(cluster, before).await?;
    Ok(vec![Shown {
        what: "one link cut, then healed: one view everywhere",
        took: healed.elapsed(),
    }])
}

/// A new host joins; one leaves; one is removed; one comes back with an empty disk. The cluster is as large as before
/// afterwards.
pub async fn come_and_go(
    cluster: &mut Cluster,
    network: Option<&mut Network>,
) -> Result<Vec<Shown>> {
    let host = network.map(Network::add_host).transpose()?;
    let mut all = Vec::new();

    let before = others(cluster, usize::MAX);
    let started = Instant::now();
    let new = cluster.add_node(host.as_ref()).await?;
    let name = cluster.node(new).agent.name().to_owned();
    cluster.wait_until_all_online().await?;
    ensure!(
        started.elapsed() < LIMIT * 2,
        "joining took {:?}",
        started.elapsed()
    );
    let member_id = shown(cluster, before[0], &name, "MEMBER_ID").await?;
    let first_number = shown(cluster, before[0], &name, "AGENT_ID").await?;

    // It leaves, in order.
    let count = format!(
        "SELECT COUNT(*) FROM INFORMATION_SCHEMA.CLUSTER_MEMBERS WHERE MEMBER_NAME = '{name}'"
    );
    let gone = Watch::begin(cluster, &before, &count, "0", LIMIT).await?;
    let at = Instant::now();
    cluster.node(new).agent.cli(&["leave"]).await?;
    all.push(Shown {
        what: "a host leaves: its row is gone",
        took: gone.last(at).await?,
    });

    // It comes back as a new agent with the same server.
    let took = rejoin(cluster, new, &before, &member_id).await?;
    all.push(Shown {
        what: "a host joins: ONLINE",
        took,
    });
    let second_number = shown(cluster, before[0], &name, "AGENT_ID").await?;
    ensure!(
        second_number != first_number,
        "agent number {first_number} was used twice"
    );

    // It is killed and removed, and comes back with an empty disk.
    cluster.node(new).agent.kill().await?;
    let gone = Watch::begin(cluster, &before, &count, "0", LIMIT).await?;
    let at = Instant::now();
    cluster
        .node(before[0])
        .agent
        .cli(&["remove", &name])
        .await?;
    all.push(Shown {
        what: "a host is removed: its row is gone",
        took: gone.last(at).await?,
    });
    cluster.node(new).agent.wipe()?;
    cluster.node_mut(new).agent.start_again().await?;
    rejoin(cluster, new, &before, &member_id).await?;
    let third_number = shown(cluster, before[0], &name, "AGENT_ID").await?;
    ensure!(
        third_number != second_number && third_number != first_number,
        "an agent number was used twice"
    );
    cluster.wait_until_all_online().await?;
    Ok(all)
}

async fn rejoin(
    cluster: &Cluster,
    node: usize,
    watchers: &[usize],
    member_id: &str,
) -> Result<Duration> {
    let first = &cluster.node(watchers[0]).agent;
    let token = first.create_token().await?;
    let query = format!(
        "SELECT MEMBER_STATE FROM INFORMATION_SCHEMA.CLUSTER_MEMBERS WHERE MEMBER_ID = '{member_id}'"
    );
    let online = Watch::begin(cluster, watchers, &query, "ONLINE", LIMIT).await?;
    let at = Instant::now();
    cluster
        .node(node)
        .agent
        .join(&token, first.address(), false)
        .await?;
    Ok(online.last(at).await?)
}

/// Makes a fault that leaves `victim` in the minority; how long until the majority shows it UNREACHABLE. Waits until the
/// victim itself says that it has no quorum.
async fn cut(
    cluster: &Cluster,
    victim: usize,
    fault: impl Fn() -> muster_lab::error::Result<()>,
) -> Result<Duration> {
    let name = cluster.node(victim).agent.name().to_owned();
    let rest = others(cluster, victim);
    let gone = Watch::state(cluster, &rest, &name, "UNREACHABLE", LIMIT).await?;
    let at = Instant::now();
    fault()?;
    let took = gone.last(at).await?;
    if cluster.node(victim).server.is_some() {
        let query = "SELECT QUORUM FROM INFORMATION_SCHEMA.CLUSTER_VIEW";
        let alone = Watch::begin(cluster, &[victim], query, "NO", LIMIT).await?;
        alone.last(at).await?;
        let view = cluster.view(victim).await?;
        let age = column(&view, "VIEW_AGE_MS")
            .context("no age")?
            .parse::<u64>()?;
        ensure!(age < u64::try_from(LIMIT.as_millis())?, "{view:?}");
    }
    Ok(took)
}
