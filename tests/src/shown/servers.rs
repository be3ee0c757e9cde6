//! Events of one database server: killed, stopped, frozen.

use std::time::Instant;

use anyhow::{Result, ensure};
use muster_lab::cluster::Cluster;
use muster_lab::watch::Watch;

use super::{LIMIT, Shown, others, reason};

fn name(cluster: &Cluster, index: usize) -> String {
    cluster.node(index).agent.name().to_owned()
}

/// `kill -9`, and started again.
pub async fn killed(cluster: &mut Cluster, victim: usize) -> Result<Vec<Shown>> {
    let (name, rest) = (name(cluster, victim), others(cluster, victim));
    let offline = Watch::state(cluster, &rest, &name, "OFFLINE", LIMIT).await?;
    let at = cluster.node(victim).server()?.running()?.kill();
    let took = offline.last(at).await?;
    let why = reason(cluster, rest[0], &name).await?;
    ensure!(
        why.contains("vanished without announcing a stop") || why.contains("signal 9"),
        "the reason for OFFLINE is '{why}'"
    );
    cluster.node(victim).server()?.wait_for_end(LIMIT).await?;
    started_again(cluster, victim).await?;
    Ok(vec![Shown {
        what: "mysqld killed: OFFLINE",
        took,
    }])
}

/// SHUTDOWN, and started again.
pub async fn stopped(cluster: &mut Cluster, victim: usize) -> Result<Vec<Shown>> {
    let (name, rest) = (name(cluster, victim), others(cluster, victim));
    let stopping = Watch::state(cluster, &rest, &name, "STOPPING", LIMIT).await?;
    let offline = Watch::state(cluster, &rest, &name, "OFFLINE", LIMIT).await?;
    let asked = Instant::now();
    cluster.node(victim).server()?.shutdown().await?;
    let ended = Instant::now();
    let shown = vec![
        Shown {
            what: "mysqld stopped in order: STOPPING",
            took: stopping.last(asked).await?,
        },
        Shown {
            what: "mysqld stopped in order: OFFLINE after its end",
            took: offline.last(ended).await?,
        },
    ];
    let why = reason(cluster, rest[0], &name).await?;
    ensure!(
        !why.contains("without announcing"),
        "the reason for OFFLINE is '{why}'"
    );
    started_again(cluster, victim).await?;
    Ok(shown)
}

/// SIGSTOP, and SIGCONT after it was noticed.
pub async fn frozen(cluster: &mut Cluster, victim: usize) -> Result<Vec<Shown>> {
    let (name, rest) = (name(cluster, victim), others(cluster, victim));
    let gone = Watch::state(cluster, &rest, &name, "UNREACHABLE", LIMIT).await?;
    let process = cluster.node(victim).server()?.running()?;
    let at = process.freeze().await;
    let took = gone.last(at).await;
    let why = reason(cluster, rest[0], &name).await;
    // Whatever was seen, the server must not stay frozen.
    let back = Watch::state(cluster, &rest, &name, "ONLINE", LIMIT).await?;
    let at = cluster.node(victim).server()?.running()?.thaw();
    let back = back.last(at).await?;
    let why = why?;
    ensure!(
        why.contains("no progress"),
        "the reason for UNREACHABLE is '{why}'"
    );
    Ok(vec![
        Shown {
            what: "mysqld frozen: UNREACHABLE",
            took: took?,
        },
        Shown {
            what: "mysqld continued: ONLINE",
            took: back,
        },
    ])
}

async fn started_again(cluster: &mut Cluster, victim: usize) -> Result<()> {
    cluster.node_mut(victim).server_mut()?.start_again().await?;
    cluster.wait_until_all_online().await?;
    Ok(())
}
