//! What every server must show, and when: each event made to happen on real servers, and the time until it is shown.
//!
//! The tests make each event happen once and only ask that it is shown; `cargo xtask bench times` makes each happen
//! many times and reports how long it took.

pub mod agents;
pub mod hosts;
pub mod servers;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use muster_lab::cluster::{Cluster, column};

/// How long anything may take in a test: a bound that only what never happens exceeds.
pub const LIMIT: Duration = Duration::from_secs(45);

/// One event and how long it took to be shown.
#[derive(Debug, Clone)]
pub struct Shown {
    /// What happened, and what was shown.
    pub what: &'static str,
    /// Until the last server that had to show it did.
    pub took: Duration,
}

/// The nodes with a server that runs, but for `except`.
#[must_use]
pub fn others(cluster: &Cluster, except: usize) -> Vec<usize> {
    let runs = |index: &usize| {
        let server = cluster.node(*index).server.as_ref();
        *index != except && server.is_some_and(muster_lab::server::Server::is_running)
    };
    (0..cluster.nodes().len()).filter(runs).collect()
}

/// One column of one member's row as one server shows it.
pub async fn shown(cluster: &Cluster, on: usize, member: &str, name: &str) -> Result<String> {
    let rows = cluster.members(on).await?;
    let row = rows
        .get(member)
        .with_context(|| format!("no row for {member}"))?;
    Ok(column(row, name).unwrap_or("NULL").to_owned())
}

/// The reason of the newest event about a member's state, as one server shows it.
pub async fn reason(cluster: &Cluster, on: usize, member: &str) -> Result<String> {
    let query = format!(
        "SELECT E.REASON FROM INFORMATION_SCHEMA.CLUSTER_EVENTS E JOIN INFORMATION_SCHEMA.CLUSTER_MEMBERS M \
         ON E.MEMBER_ID = M.MEMBER_ID WHERE M.MEMBER_NAME = '{member}' AND E.EVENT_TYPE = 'MEMBER_STATE' \
         ORDER BY E.EVENT_ID DESC LIMIT 1"
    );
    let reason = cluster.node(on).server()?.value(&query).await?;
    reason.with_context(|| format!("no event about {member}"))
}

/// How often a member's state has changed, as one server shows it.
pub async fn changes(cluster: &Cluster, on: usize, member: &str) -> Result<u64> {
    let query = format!(
        "SELECT COUNT(*) FROM INFORMATION_SCHEMA.CLUSTER_EVENTS E JOIN INFORMATION_SCHEMA.CLUSTER_MEMBERS M \
         ON E.MEMBER_ID = M.MEMBER_ID WHERE M.MEMBER_NAME = '{member}' AND E.EVENT_TYPE = 'MEMBER_STATE'"
    );
    let count = cluster.node(on).server()?.value(&query).await?;
    Ok(count.context("no count")?.parse()?)
}

/// The newest VIEW_ID that any running server shows.
pub async fn newest_view(cluster: &Cluster) -> Result<u64> {
    let mut newest = 0;
    for index in others(cluster, usize::MAX) {
        let view = cluster.view(index).await?;
        newest = newest.max(column(&view, "VIEW_ID").unwrap_or("0").parse()?);
    }
    Ok(newest)
}

/// Every server shows every member ONLINE in one view that is not below `least`.
pub async fn one_view_not_below(cluster: &Cluster, least: u64) -> Result<()> {
    cluster.wait_until_all_online().await?;
    let newest = newest_view(cluster).await?;
    ensure!(
        newest >= least,
        "VIEW_ID went back from {least} to {newest}"
    );
    Ok(())
}
