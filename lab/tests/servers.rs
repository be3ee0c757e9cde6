//! What the lab promises of its servers, on real ones of both kinds.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use muster_lab::{Install, Kind, Server, ServerOptions, or_not_run, replication};

async fn replicate_crash_freeze_and_stop(kind: Kind) {
    let install = or_not_run!(&format!("lab servers: {kind}"), Install::get(kind).await);
    let mut servers = Vec::new();
    for name in ["db1", "db2"] {
        servers.push(
            Server::start(&install, ServerOptions::new(name))
                .await
                .unwrap(),
        );
    }
    replication::chain(&servers).await.unwrap();
    let [primary, replica] = servers.as_mut_slice() else {
        unreachable!()
    };
    assert_eq!(
        replica
            .value("SELECT @@global.read_only")
            .await
            .unwrap()
            .as_deref(),
        Some("1")
    );
    assert_eq!(
        primary
            .value("SELECT @@global.read_only")
            .await
            .unwrap()
            .as_deref(),
        Some("0")
    );

    primary
        .execute("CREATE TABLE test.t (id INT PRIMARY KEY, what VARCHAR(20))")
        .await
        .unwrap();
    primary
        .execute("INSERT INTO test.t VALUES (1, 'first'), (2, NULL)")
        .await
        .unwrap();
    replication::wait_for_catch_up(replica, primary)
        .await
        .unwrap();
    let rows = replica
        .rows("SELECT id, what FROM test.t ORDER BY id")
        .await
        .unwrap();
    assert_eq!(
        rows,
        [
            [Some("1".to_owned()), Some("first".to_owned())],
            [Some("2".to_owned()), None]
        ]
    );

    // The pid is the server's own, under its own name.
    let pid = primary.running().unwrap().pid();
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap();
    assert!(["mysqld", "mariadbd"].contains(&name.trim()), "{name}");

    primary.kill().await.unwrap();
    assert!(!primary.is_running());
    primary.start_again().await.unwrap();
    assert_eq!(
        primary
            .value("SELECT COUNT(*) FROM test.t")
            .await
            .unwrap()
            .as_deref(),
        Some("2")
    );

    replica.running().unwrap().freeze().await;
    let frozen = tokio::time::timeout(Duration::from_millis(500), replica.value("SELECT 1")).await;
    assert!(frozen.is_err(), "a frozen server answered");
    replica.running().unwrap().thaw();
    assert_eq!(
        replica.value("SELECT 1").await.unwrap().as_deref(),
        Some("1")
    );
    let over_tcp = muster_lab::sql::rows_as_strings(
        &mut replica.connect_tcp().await.unwrap(),
        "SELECT @@port",
    )
    .await;
    assert_eq!(over_tcp.unwrap(), [[Some(replica.port().to_string())]]);

    let ended = replica.shutdown().await.unwrap();
    assert!(ended.status.success(), "{}", ended.describe());
    let data = primary.data_dir();
    drop(servers);
    assert!(!data.exists());
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
}

#[tokio::test]
async fn mysql_replicates_crashes_freezes_and_stops() {
    replicate_crash_freeze_and_stop(Kind::MySql).await;
}

#[tokio::test]
async fn mariadb_replicates_crashes_freezes_and_stops() {
    replicate_crash_freeze_and_stop(Kind::MariaDb).await;
}

#[tokio::test]
async fn a_server_that_cannot_start_says_why() {
    let install = or_not_run!("lab servers: error log", Install::get(Kind::MariaDb).await);
    let error = Server::start(
        &install,
        ServerOptions::new("db").option("--no-such-option=1"),
    )
    .await
    .unwrap_err();
    assert!(error.to_string().contains("no-such-option"), "{error}");
}
