//! Replication by GTID between servers of the lab.

use crate::error::Result;
use crate::install::Kind;
use crate::server::Server;

/// The account that replicas use.
pub const USER: &str = "repl";
/// Its password. Real enough to be sent, and worth nothing.
pub const PASSWORD: &str = "repl-in-the-lab";

/// Makes `replica` follow `source` from the beginning of its GTIDs, read only, and waits until both threads run.
pub async fn follow(replica: &Server, source: &Server) -> Result<()> {
    set_read_only(replica, true).await?;
    let (host, port) = (source.host(), source.port());
    match replica.kind() {
        Kind::MySql => {
            replica
                .execute(&format!(
                    "CHANGE REPLICATION SOURCE TO SOURCE_HOST='{host}', SOURCE_PORT={port}, SOURCE_USER='{USER}', \
                     SOURCE_PASSWORD='{PASSWORD}', SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1, \
                     SOURCE_CONNECT_RETRY=1, SOURCE_RETRY_COUNT=86400, SOURCE_HEARTBEAT_PERIOD=1"
                ))
                .await?;
            replica.execute("START REPLICA").await?;
        }
        Kind::MariaDb => {
            replica
                .execute(&format!(
                    "CHANGE MASTER TO MASTER_HOST='{host}', MASTER_PORT={port}, MASTER_USER='{USER}', \
                     MASTER_PASSWORD='{PASSWORD}', MASTER_USE_GTID=slave_pos, MASTER_CONNECT_RETRY=1, \
                     MASTER_HEARTBEAT_PERIOD=1"
                ))
                .await?;
            replica.execute("START SLAVE").await?;
        }
    }
    wait_until_running(replica).await
}

/// Makes the first server the primary, and all others its replicas.
pub async fn chain(servers: &[Server]) -> Result<()> {
    let Some((primary, replicas)) = servers.split_first() else {
        return Ok(());
    };
    set_read_only(primary, false).await?;
    for replica in replicas {
        follow(replica, primary).await?;
    }
    Ok(())
}

/// Makes a server refuse writes, of administrators too where the server can; or accept them.
pub async fn set_read_only(server: &Server, read_only: bool) -> Result<()> {
    let value = u8::from(read_only);
    match (server.kind(), read_only) {
        // Each implies the other in the direction that matters here.
        (Kind::MySql, true) => server.execute("SET GLOBAL super_read_only=1").await,
        (Kind::MySql, false) => server.execute("SET GLOBAL read_only=0").await,
        (Kind::MariaDb, _) => {
            server
                .execute(&format!("SET GLOBAL read_only={value}"))
                .await
        }
    }
}

/// Stops a replica's threads, and keeps its position.
pub async fn stop(replica: &Server) -> Result<()> {
    replica
        .execute(match replica.kind() {
            Kind::MySql => "STOP REPLICA",
            Kind::MariaDb => "STOP SLAVE",
        })
        .await
}

/// Starts them again.
pub async fn start(replica: &Server) -> Result<()> {
    replica
        .execute(match replica.kind() {
            Kind::MySql => "START REPLICA",
            Kind::MariaDb => "START SLAVE",
        })
        .await
}

/// What a replica says of its two threads and their last errors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Threads {
    /// Whether the receiver runs ("Yes", "No", "Connecting").
    pub receiver: String,
    /// Whether the applier runs.
    pub applier: String,
    /// The newest error of either, or nothing.
    pub error: String,
}

/// Reads [`Threads`]; `None` where the server follows nobody.
pub async fn threads(replica: &Server) -> Result<Option<Threads>> {
    let (statement, io, sql, io_error, sql_error) = match replica.kind() {
        Kind::MySql => (
            "SHOW REPLICA STATUS",
            "Replica_IO_Running",
            "Replica_SQL_Running",
            "Last_IO_Error",
            "Last_SQL_Error",
        ),
        Kind::MariaDb => (
            "SHOW SLAVE STATUS",
            "Slave_IO_Running",
            "Slave_SQL_Running",
            "Last_IO_Error",
            "Last_SQL_Error",
        ),
    };
    let Some(row) = replica.named_rows(statement).await?.into_iter().next() else {
        return Ok(None);
    };
    let get = |name: &str| row.get(name).cloned().flatten().unwrap_or_default();
    Ok(Some(Threads {
        receiver: get(io),
        applier: get(sql),
        error: [get(io_error), get(sql_error)]
            .into_iter()
            .filter(|text| !text.is_empty())
            .collect::<Vec<_>>()
            .join("; "),
    }))
}

async fn wait_until_running(replica: &Server) -> Result<()> {
    crate::sql::wait_for("both replication threads to run", 20_000, async || {
        let threads = threads(replica).await?;
        let runs = threads
            .as_ref()
            .is_some_and(|threads| threads.receiver == "Yes" && threads.applier == "Yes");
        Ok(if runs {
            Ok(())
        } else {
            Err(format!("{}: {threads:?}", replica.name()))
        })
    })
    .await
}

/// Waits until `replica` has applied everything that `source` has committed by now.
pub async fn wait_for_catch_up(replica: &Server, source: &Server) -> Result<()> {
    let (at_source, here) = match source.kind() {
        Kind::MySql => (
            "SELECT @@global.gtid_executed",
            "SELECT GTID_SUBSET('{}', @@global.gtid_executed)",
        ),
        Kind::MariaDb => (
            "SELECT @@global.gtid_binlog_pos",
            "SELECT MASTER_GTID_WAIT('{}', 0.01) = 0",
        ),
    };
    let wanted = source
        .value(at_source)
        .await?
        .unwrap_or_default()
        .replace('\n', "");
    let question = here.replace("{}", &wanted);
    crate::sql::wait_for("the replica to catch up", 30_000, async || {
        let answer = replica.value(&question).await?;
        Ok(if answer.as_deref() == Some("1") {
            Ok(())
        } else {
            Err(format!("{} has not {wanted}", replica.name()))
        })
    })
    .await
}
