//! What the agents hear of a source and its replica.

use muster_link::message::ToAgent;
use muster_link::report::Facts;
use mysql_async::prelude::Queryable;

use super::*;

async fn pair(install: &Install) -> [(World, Link); 2] {
    let source = World::new(install, "db1", &[]).await;
    let replica = World::new(install, "db2", &[]).await;
    let links = (source.install().await, replica.install().await);
    muster_lab::replication::follow(&replica.server, &source.server)
        .await
        .unwrap();
    [(source, links.0), (replica, links.1)]
}

fn replicates(facts: &Facts) -> bool {
    facts
        .channels
        .iter()
        .any(|channel| channel.receiver_running && channel.applier_running)
}

pub async fn facts(install: &Install) {
    let [(source, mut to_source), (replica, mut to_replica)] = pair(install).await;
    // MySQL knows its source's UUID a moment after the threads run.
    let known = |facts: &Facts| {
        let of_source = facts
            .channels
            .iter()
            .any(|channel| channel.source_uuid.is_some());
        replicates(facts) && (of_source || install.kind() == Kind::MariaDb)
    };
    let report = to_replica.facts_where("of replication", known).await;
    let channel = &report.channels[0];
    assert_eq!(channel.source_host, "127.0.0.1");
    assert_eq!(channel.source_port, source.server.port());
    assert_eq!(channel.lag_ms, Some(0));
    let id = match install.kind() {
        Kind::MySql => {
            let uuid = source.server.value("SELECT @@server_uuid").await.unwrap();
            assert_eq!(channel.source_uuid, uuid);
            replica
                .server
                .value("SELECT @@server_uuid")
                .await
                .unwrap()
                .unwrap()
        }
        Kind::MariaDb => replica
            .server
            .value("SELECT @@server_id")
            .await
            .unwrap()
            .unwrap(),
    };
    to_source
        .facts_where("of the replica", |facts| facts.replicas == [id.clone()])
        .await;

    // The applier stops between two reports: it is told at once.
    replica
        .server
        .execute("SET GLOBAL muster_report_interval_ms = 60000")
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (stop, start) = match install.kind() {
        Kind::MySql => ("STOP REPLICA SQL_THREAD", "START REPLICA SQL_THREAD"),
        Kind::MariaDb => ("STOP SLAVE SQL_THREAD", "START SLAVE SQL_THREAD"),
    };
    let began = Instant::now();
    replica.server.execute(stop).await.unwrap();
    to_replica
        .facts_where("of the stopped applier", |facts| {
            !facts.channels[0].applier_running
        })
        .await;
    println!(
        "{}: a stopped applier is reported after {:?}",
        install.kind(),
        began.elapsed()
    );
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "{:?}",
        began.elapsed()
    );
    replica
        .server
        .execute("SET GLOBAL muster_report_interval_ms = 200")
        .await
        .unwrap();
    replica.server.execute(start).await.unwrap();
    to_replica
        .facts_where("of replication again", replicates)
        .await;

    // It stops by an error: the server's own words are told.
    replica
        .server
        .execute("SET GLOBAL read_only = OFF")
        .await
        .unwrap();
    source
        .server
        .execute("CREATE TABLE test.t (id INT PRIMARY KEY)")
        .await
        .unwrap();
    muster_lab::replication::wait_for_catch_up(&replica.server, &source.server)
        .await
        .unwrap();
    for statement in ["SET SESSION sql_log_bin = 0", "DROP TABLE test.t"] {
        replica.server.execute(statement).await.unwrap();
    }
    source
        .server
        .execute("INSERT INTO test.t VALUES (1)")
        .await
        .unwrap();
    let broken = to_replica
        .facts_where("of the error", |facts| facts.channels[0].error.is_some())
        .await;
    assert!(
        broken.channels[0]
            .error
            .as_ref()
            .unwrap()
            .contains("test.t"),
        "{broken:?}"
    );

    source.server.kill().await.unwrap();
    to_replica
        .facts_where("of the lost source", |facts| {
            !facts.channels[0].receiver_running
        })
        .await;
    shut_down_in_time(replica).await;
}

/// The heartbeat goes on while the plugin's own session hangs inside the server, and says so.
pub async fn hang(install: &Install) {
    match install.kind() {
        Kind::MySql => hang_in_a_change(install).await,
        Kind::MariaDb => hang_in_the_replication(install).await,
    }
}

async fn stalled_reports(link: &mut Link) {
    let first = link
        .report_where("stalled", |report| report.stalled_ms > 500)
        .await;
    let second = link
        .report_where("stalled longer", |report| {
            report.stalled_ms > first.stalled_ms + 1_000
        })
        .await;
    assert!(
        second.facts.is_some(),
        "the last known facts are repeated: {second:?}"
    );
}

/// STOP of an applier that waits for a lock holds a lock itself; a change of the source waits for that, and every look
/// at the replication for it.
async fn hang_in_the_replication(install: &Install) {
    let [(source, _to_source), (replica, mut to_replica)] = pair(install).await;
    source
        .server
        .execute("CREATE TABLE test.t (id INT PRIMARY KEY)")
        .await
        .unwrap();
    muster_lab::replication::wait_for_catch_up(&replica.server, &source.server)
        .await
        .unwrap();
    replica
        .server
        .execute("SET GLOBAL read_only = OFF")
        .await
        .unwrap();
    let mut holder = replica.server.connect().await.unwrap();
    holder.query_drop("LOCK TABLES test.t WRITE").await.unwrap();
    source
        .server
        .execute("INSERT INTO test.t VALUES (1)")
        .await
        .unwrap();
    // The applier must be inside the transaction before it is told to stop.
    let waiting = "SELECT COUNT(*) FROM information_schema.processlist WHERE STATE LIKE 'Waiting for table metadata lock%'";
    let deadline = Instant::now() + agent::LONG;
    while replica.server.value(waiting).await.unwrap().as_deref() == Some("0") {
        assert!(
            Instant::now() < deadline,
            "the applier does not wait for the lock"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut blocked = Vec::new();
    for statement in [
        "STOP SLAVE SQL_THREAD",
        "CHANGE MASTER TO MASTER_CONNECT_RETRY = 61",
    ] {
        let mut conn = replica.server.connect().await.unwrap();
        blocked.push(tokio::spawn(
            async move { conn.query_drop(statement).await },
        ));
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    stalled_reports(&mut to_replica).await;
    replica.answers().await;
    // MariaDB does not ask whether it may uninstall. That ends in time, the thread with its statement, and only then
    // can the plugin be installed again.
    replica.uninstall().await;
    assert!(matches!(
        to_replica.last_words().await,
        Some(ToAgent::Bye { .. })
    ));
    let again = replica
        .server
        .execute("INSTALL PLUGIN muster SONAME 'muster.so'")
        .await;
    assert!(again.is_err(), "{again:?}");
    assert!(
        replica
            .server
            .log()
            .contains("still hangs inside a statement"),
        "{}",
        replica.server.log()
    );
    holder.query_drop("UNLOCK TABLES").await.unwrap();
    for statement in blocked {
        // The change may be refused in the end, as the receiver runs.
        let _ = statement.await.unwrap();
    }
    let deadline = Instant::now() + agent::LONG;
    while let Err(error) = replica
        .server
        .execute("INSTALL PLUGIN muster SONAME 'muster.so'")
        .await
    {
        assert!(Instant::now() < deadline, "{error}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    replica.agent.welcome().await.0.good_report().await;
    shut_down_in_time(replica).await;
    shut_down_in_time(source).await;
}

/// A change of the source locks the map of all channels and then waits for a row of the server's own table.
async fn hang_in_a_change(install: &Install) {
    let [(source, _to_source), (replica, mut link)] = pair(install).await;
    for statement in ["STOP REPLICA", "SET GLOBAL read_only = OFF"] {
        replica.server.execute(statement).await.unwrap();
    }
    let mut holder = replica.server.connect().await.unwrap();
    for statement in ["BEGIN", "SELECT * FROM mysql.slave_master_info FOR UPDATE"] {
        holder.query_drop(statement).await.unwrap();
    }
    let mut conn = replica.server.connect().await.unwrap();
    let change = "CHANGE REPLICATION SOURCE TO SOURCE_CONNECT_RETRY = 61";
    let change = tokio::spawn(async move { conn.query_drop(change).await });
    stalled_reports(&mut link).await;
    replica.answers().await;
    // A thread that hangs cannot be joined, so the plugin stays.
    let refused = replica
        .server
        .execute("UNINSTALL PLUGIN muster")
        .await
        .unwrap_err()
        .to_string();
    assert!(refused.contains("in use"), "{refused}");
    assert!(
        replica
            .server
            .log()
            .contains("plugin muster stays installed"),
        "{}",
        replica.server.log()
    );
    holder.query_drop("ROLLBACK").await.unwrap();
    change.await.unwrap().unwrap();
    link.report_where("recovered", |report| {
        report.stalled_ms == 0 && report.trouble.is_none()
    })
    .await;
    replica.uninstall().await;
    shut_down_in_time(replica).await;
    shut_down_in_time(source).await;
}
