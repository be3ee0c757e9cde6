//! How long after an event the servers of a cluster show it: one connection to each, asking as fast as it is answered.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use mysql_async::Conn;
use mysql_async::prelude::Queryable as _;
use tokio::task::JoinSet;

use crate::cluster::Cluster;
use crate::error::{Error, Result};

/// A watch over some servers for one answer.
#[derive(Debug)]
pub struct Watch {
    watchers: JoinSet<Result<(String, Instant)>>,
}

impl Watch {
    /// Asks the servers of `nodes` until the first column of the first row is `wanted`, for `limit` at most.
    ///
    /// Connects before it returns, so that no connection's time is counted: begin first, then make the event happen.
    pub async fn begin(
        cluster: &Cluster,
        nodes: &[usize],
        query: &str,
        wanted: &str,
        limit: Duration,
    ) -> Result<Self> {
        let mut watchers = JoinSet::new();
        for &index in nodes {
            let server = cluster.node(index).server()?;
            let conn = server.connect().await?;
            let (name, query, wanted) = (
                server.name().to_owned(),
                query.to_owned(),
                wanted.to_owned(),
            );
            watchers.spawn(async move {
                until(&name, conn, &query, &wanted, limit)
                    .await
                    .map(|at| (name, at))
            });
        }
        Ok(Self { watchers })
    }

    /// For one member's MEMBER_STATE.
    pub async fn state(
        cluster: &Cluster,
        nodes: &[usize],
        member: &str,
        state: &str,
        limit: Duration,
    ) -> Result<Self> {
        let query = format!(
            "SELECT MEMBER_STATE FROM INFORMATION_SCHEMA.CLUSTER_MEMBERS WHERE MEMBER_NAME = '{member}'"
        );
        Self::begin(cluster, nodes, &query, state, limit).await
    }

    /// Waits for all; how long after `at` each server, by name, gave the answer.
    pub async fn times(mut self, at: Instant) -> Result<BTreeMap<String, Duration>> {
        let mut times = BTreeMap::new();
        while let Some(watcher) = self.watchers.join_next().await {
            let watcher = watcher
                .map_err(|error| Error::Missing(format!("a watcher was stopped: {error}")))?;
            let (name, when) = watcher?;
            times.insert(name, when.saturating_duration_since(at));
        }
        Ok(times)
    }

    /// Waits for all; how long after `at` the last of them gave the answer.
    pub async fn last(self, at: Instant) -> Result<Duration> {
        Ok(self
            .times(at)
            .await?
            .into_values()
            .max()
            .unwrap_or_default())
    }
}

async fn until(
    name: &str,
    mut conn: Conn,
    query: &str,
    wanted: &str,
    limit: Duration,
) -> Result<Instant> {
    let started = Instant::now();
    loop {
        let failed = |error: mysql_async::Error| Error::Server {
            server: name.to_owned(),
            what: error.to_string(),
        };
        let seen: Option<Option<String>> = conn.query_first(query).await.map_err(failed)?;
        let seen = seen.flatten();
        if seen.as_deref() == Some(wanted) {
            return Ok(Instant::now());
        }
        if started.elapsed() > limit {
            return Err(Error::Timeout {
                what: format!("{wanted} from {query} on {name}"),
                seen: seen.unwrap_or_else(|| "nothing".to_owned()),
                waited_ms: u64::try_from(limit.as_millis()).unwrap_or(u64::MAX),
            });
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
