//! Events of agents: killed alone, killed as a majority, all killed; an ordered change.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use muster_lab::cluster::{Cluster, column};
use muster_lab::watch::Watch;

use super::{LIMIT, Shown, newest_view, one_view_not_below, others, shown};

/// `kill -9` of one agent, and started again: its server answers all the time, and it comes back as the same agent.
pub async fn killed(cluster: &mut Cluster, victim: usize) -> Result<Vec<Shown>> {
    let name = cluster.node(victim).agent.name().to_owned();
    let rest = others(cluster, victim);
    let number = shown(cluster, rest[0], &name, "AGENT_ID").await?;
    let gone = Watch::state(cluster, &rest, &name, "UNREACHABLE", LIMIT).await?;
    let at = cluster.node(victim).agent.kill().await?;
    let answered = Instant::now();
    let view = cluster.view(victim).await?;
    ensure!(
        answered.elapsed() < Duration::from_secs(5),
        "the table took {:?}",
        answered.elapsed()
    );
    ensure!(
        cluster.members(victim).await?.len() == cluster.members(rest[0]).await?.len(),
        "rows are missing"
    );
    let took = gone.last(at).await?;
    ensure!(
        took >= Duration::from_millis(1_500),
        "UNREACHABLE after {took:?}, before the ttl was over"
    );
    let view_later = cluster.view(victim).await?;
    ensure!(
        column(&view_later, "AGENT_STATE") == Some("CONNECTING"),
        "{view_later:?}"
    );
    let age = |view: &_| column(view, "VIEW_AGE_MS").and_then(|age| age.parse::<u64>().ok());
    ensure!(
        age(&view_later) > age(&view),
        "the age of the view does not grow: {view:?}, {view_later:?}"
    );

    let back = Watch::state(cluster, &rest, &name, "ONLINE", LIMIT).await?;
    let at = Instant::now();
    cluster.node_mut(victim).agent.start_again().await?;
    let back = back.last(at).await?;
    ensure!(
        shown(cluster, rest[0], &name, "AGENT_ID").await? == number,
        "it came back as another agent"
    );
    cluster.wait_until_all_online().await?;
    Ok(vec![
        Shown {
            what: "agent killed: UNREACHABLE",
            took,
        },
        Shown {
            what: "agent started: ONLINE",
            took: back,
        },
    ])
}

/// `kill -9` of these agents, and started again: every server answers all the time; then one view, not below any value
/// seen before.
pub async fn many_killed(cluster: &mut Cluster, victims: &[usize]) -> Result<Vec<Shown>> {
    let before = newest_view(cluster).await?;
    for &victim in victims {
        cluster.node(victim).agent.running()?.kill();
    }
    for &victim in victims {
        cluster.node(victim).agent.wait_for_end(LIMIT).await?;
    }
    for index in others(cluster, usize::MAX) {
        ensure!(
            !cluster.members(index).await?.is_empty(),
            "n{} shows no rows without its agent",
            index + 1
        );
    }
    let at = Instant::now();
    for &victim in victims {
        cluster.node_mut(victim).agent.launch()?;
    }
    loop {
        let mut settled = true;
        for index in others(cluster, usize::MAX) {
            let view = cluster.view(index).await?;
            settled &= column(&view, "QUORUM") == Some("YES")
                && column(&view, "AGENT_STATE") == Some("CONNECTED");
        }
        if settled {
            break;
        }
        ensure!(
            at.elapsed() < LIMIT,
            "no quorum everywhere within {LIMIT:?}"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    one_view_not_below(cluster, before).await?;
    let what = if victims.len() == cluster.nodes().len() {
        "all agents killed, then started: one view"
    } else {
        "majority of agents killed, then started: one view"
    };
    Ok(vec![Shown {
        what,
        took: at.elapsed(),
    }])
}

/// An ordered change: from the first server that shows the new view to the last.
pub async fn ordered_change(cluster: &Cluster) -> Result<Vec<Shown>> {
    let all = others(cluster, usize::MAX);
    let agent = &cluster.node(all[0]).agent;
    let ttl = if agent
        .cli(&["config", "get", "token_ttl_ms"])
        .await?
        .contains("3600000")
    {
        "3600001"
    } else {
        "3600000"
    };
    let wanted = (newest_view(cluster).await? + 1).to_string();
    let query = "SELECT VIEW_ID FROM INFORMATION_SCHEMA.CLUSTER_VIEW";
    let watch = Watch::begin(cluster, &all, query, &wanted, LIMIT).await?;
    let at = Instant::now();
    agent.cli(&["config", "set", "token_ttl_ms", ttl]).await?;
    let times = watch.times(at).await?;
    let first = times.values().min().context("nobody watched")?;
    let last = times.values().max().context("nobody watched")?;
    Ok(vec![Shown {
        what: "ordered change: first server to last",
        took: last.saturating_sub(*first),
    }])
}
