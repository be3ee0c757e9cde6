//! `muster.so` comes and goes in real servers: installed, uninstalled, loaded at boot, refused.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use muster_lab::{Kind, artifacts, effort, or_not_run};
use muster_tests::on_both_servers;
use muster_tests::plugin::{self, TABLES, error_code, our_threads, resident_kib, warnings};
use mysql_async::Row;
use mysql_async::prelude::Queryable;

on_both_servers! {
    cycles_under_readers => cycles_under_readers_mysql, cycles_under_readers_mariadb;
    loads_at_boot => loads_at_boot_mysql, loads_at_boot_mariadb;
    parts_come_and_go_in_any_order => parts_come_and_go_in_any_order_mysql, parts_come_and_go_in_any_order_mariadb;
    prepared_statements_survive_reinstall => prepared_statements_survive_reinstall_mysql, prepared_statements_survive_reinstall_mariadb;
    bad_settings_are_refused => bad_settings_are_refused_mysql, bad_settings_are_refused_mariadb;
    an_upgrade_by_rename_waits_for_the_next_start => an_upgrade_by_rename_waits_for_the_next_start_mysql, an_upgrade_by_rename_waits_for_the_next_start_mariadb;
}

/// "Unknown table", while it is not installed.
const UNKNOWN_TABLE: u16 = 1109;
/// "This table is being uninstalled": ours.
const BEING_UNINSTALLED: u16 = 1105;
/// MariaDB delays an uninstall while the plugin is read: "already installed", "does not exist".
const NOT_YET: [u16; 2] = [1968, 1305];

/// All that an application may do with the tables, over and over.
const READS: &[&str] = &[
    "SELECT * FROM INFORMATION_SCHEMA.CLUSTER_MEMBERS",
    "SELECT * FROM INFORMATION_SCHEMA.CLUSTER_VIEW",
    "SELECT * FROM INFORMATION_SCHEMA.CLUSTER_AGENTS",
    "SELECT * FROM INFORMATION_SCHEMA.CLUSTER_EVENTS ORDER BY EVENT_ID DESC LIMIT 10",
    "SELECT v.VIEW_ID, w.VIEW_ID FROM INFORMATION_SCHEMA.CLUSTER_VIEW v JOIN INFORMATION_SCHEMA.CLUSTER_VIEW w",
    "SELECT m.MEMBER_ID FROM INFORMATION_SCHEMA.CLUSTER_MEMBERS m LEFT JOIN INFORMATION_SCHEMA.CLUSTER_AGENTS a USING (AGENT_ID)",
    "SHOW STATUS LIKE 'Muster%'",
    "SHOW VARIABLES LIKE 'muster%'",
];

async fn cycles_under_readers(kind: Kind) {
    let test = &format!("cycles_under_readers {kind}");
    let cycles = if effort::soak().is_some() { 3_000 } else { 300 };
    let server = or_not_run!(test, plugin::server(kind, "db1", false).await);
    plugin::install(&server).await.unwrap();

    let stop = Arc::new(AtomicBool::new(false));
    let reads = Arc::new(AtomicU64::new(0));
    let mut readers = Vec::new();
    for _ in 0..4 {
        let mut conn = server.connect().await.unwrap();
        let (stop, reads) = (Arc::clone(&stop), Arc::clone(&reads));
        readers.push(tokio::spawn(async move {
            let (mut seen, mut round) = (0_u64, 0_u64);
            while !stop.load(Ordering::Relaxed) {
                for statement in READS {
                    // Every other round as a prepared statement, which the connection keeps from round to round.
                    let result = if round % 2 == 0 {
                        conn.query::<Row, _>(*statement).await
                    } else {
                        conn.exec::<Row, _, _>(*statement, ()).await
                    };
                    match result {
                        Ok(_) => seen += 1,
                        Err(error) => assert!(
                            matches!(error_code(&error), Some(UNKNOWN_TABLE | BEING_UNINSTALLED)),
                            "{statement}: {error}"
                        ),
                    }
                }
                round += 1;
            }
            reads.fetch_add(seen, Ordering::Relaxed);
        }));
    }

    let pid = server.running().unwrap().pid();
    let mut conn = server.connect().await.unwrap();
    let mut delayed = 0_u64;
    let mut resident_at_third = 0;
    for cycle in 0..cycles {
        if cycle == cycles / 3 {
            resident_at_third = resident_kib(pid).unwrap();
        }
        for statement in plugin::plugins()
            .rev()
            .map(|name| format!("UNINSTALL PLUGIN {name}"))
            .chain(
                plugin::plugins().map(|name| format!("INSTALL PLUGIN {name} SONAME 'muster.so'")),
            )
        {
            if let Err(error) = conn.query_drop(&statement).await {
                let code = error_code(&error);
                assert!(
                    kind == Kind::MariaDb && code.is_some_and(|code| NOT_YET.contains(&code)),
                    "cycle {cycle}: {statement}: {error}\n{}",
                    server
                        .running()
                        .map(|process| process.log_tail(4_000))
                        .unwrap_or_default()
                );
                delayed += 1;
            }
        }
    }
    let grown = resident_kib(pid).unwrap().saturating_sub(resident_at_third);
    stop.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.await.unwrap();
    }
    let reads = reads.load(Ordering::Relaxed);
    eprintln!(
        "{test}: {cycles} cycles, {reads} reads, {delayed} delayed, resident memory grew by {grown} KiB"
    );
    assert!(reads > cycles, "the readers hardly read: {reads}");
    // 48 bytes per table and uninstall are ours; the rest is the allocator's and the server's own caches.
    assert!(
        grown < 24 * 1024,
        "resident memory grew by {grown} KiB in {cycles} cycles"
    );

    // It works as on the first day. On MariaDB a delayed uninstall may still be under way.
    for plugin in plugin::plugins() {
        let _ = server
            .execute(&format!("INSTALL PLUGIN {plugin} SONAME 'muster.so'"))
            .await;
    }
    for table in TABLES {
        server
            .rows(&format!("SELECT * FROM INFORMATION_SCHEMA.{table}"))
            .await
            .unwrap();
    }
    plugin::shut_down(&server).await;
}

async fn loads_at_boot(kind: Kind) {
    let server = or_not_run!(
        &format!("loads_at_boot {kind}"),
        plugin::server(kind, "db1", true).await
    );
    let active = server
        .rows("SELECT PLUGIN_NAME FROM INFORMATION_SCHEMA.PLUGINS WHERE PLUGIN_LIBRARY LIKE 'muster%' AND PLUGIN_STATUS = 'ACTIVE'")
        .await
        .unwrap();
    assert_eq!(active.len(), TABLES.len() + 1, "{active:?}");
    let port = server
        .value("SELECT @@GLOBAL.muster_advertise_port")
        .await
        .unwrap();
    assert_eq!(port, Some(server.port().to_string()));
    let socket = server
        .value("SELECT @@GLOBAL.muster_agent_socket")
        .await
        .unwrap()
        .unwrap();
    assert!(socket.ends_with("/agent.sock"), "{socket}");
    plugin::shut_down(&server).await;
}

async fn parts_come_and_go_in_any_order(kind: Kind) {
    let server = or_not_run!(
        &format!("parts_come_and_go_in_any_order {kind}"),
        plugin::server(kind, "db1", false).await
    );
    let state = "SELECT AGENT_STATE FROM INFORMATION_SCHEMA.CLUSTER_VIEW";
    let mut conn = server.connect().await.unwrap();

    // A table without the daemon answers, and warns.
    conn.query_drop("INSTALL PLUGIN CLUSTER_VIEW SONAME 'muster.so'")
        .await
        .unwrap();
    assert_eq!(
        conn.query_first::<String, _>(state)
            .await
            .unwrap()
            .as_deref(),
        Some("NOT_INSTALLED")
    );
    let warned = warnings(&mut conn).await.unwrap();
    assert!(
        warned.len() == 1 && warned[0].contains("INSTALL PLUGIN muster"),
        "{warned:?}"
    );

    // With the daemon and without an agent: likewise.
    conn.query_drop("INSTALL PLUGIN muster SONAME 'muster.so'")
        .await
        .unwrap();
    assert_eq!(
        conn.query_first::<String, _>(state)
            .await
            .unwrap()
            .as_deref(),
        Some("NEVER_CONNECTED")
    );
    assert_eq!(warnings(&mut conn).await.unwrap().len(), 1);

    // The daemon goes, the table stays.
    let pid = server.running().unwrap().pid();
    conn.query_drop("UNINSTALL PLUGIN muster").await.unwrap();
    assert_eq!(
        conn.query_first::<String, _>(state)
            .await
            .unwrap()
            .as_deref(),
        Some("NOT_INSTALLED")
    );
    assert_eq!(
        our_threads(pid),
        Vec::<String>::new(),
        "threads are joined at uninstall"
    );

    // The daemon comes back, the table goes, the daemon stays.
    conn.query_drop("INSTALL PLUGIN muster SONAME 'muster.so'")
        .await
        .unwrap();
    conn.query_drop("UNINSTALL PLUGIN CLUSTER_VIEW")
        .await
        .unwrap();
    let error = conn.query_drop(state).await.unwrap_err();
    assert_eq!(error_code(&error), Some(UNKNOWN_TABLE));
    let build: Option<(String, String)> = conn
        .query_first("SHOW STATUS LIKE 'Muster_build'")
        .await
        .unwrap();
    assert!(build.is_some_and(|(_, build)| build.contains('+')));
    conn.query_drop("INSTALL PLUGIN CLUSTER_VIEW SONAME 'muster.so'")
        .await
        .unwrap();
    assert_eq!(
        conn.query_first::<String, _>(state)
            .await
            .unwrap()
            .as_deref(),
        Some("NEVER_CONNECTED")
    );

    // A second INSTALL of the same is the server's own error, and harms nothing.
    assert!(
        conn.query_drop("INSTALL PLUGIN muster SONAME 'muster.so'")
            .await
            .is_err()
    );
    assert_eq!(
        conn.query_first::<String, _>(state)
            .await
            .unwrap()
            .as_deref(),
        Some("NEVER_CONNECTED")
    );
    drop(conn);
    plugin::shut_down(&server).await;
}

async fn prepared_statements_survive_reinstall(kind: Kind) {
    let server = or_not_run!(
        &format!("prepared_statements_survive_reinstall {kind}"),
        plugin::server(kind, "db1", false).await
    );
    plugin::install(&server).await.unwrap();
    let mut conn = server.connect().await.unwrap();
    let text = "SELECT COUNT(*), MAX(VIEW_ID) >= ? FROM INFORMATION_SCHEMA.CLUSTER_VIEW";
    let statement = conn.prep(text).await.unwrap();
    for _ in 0..20 {
        let row: Option<(u32, u32)> = conn.exec_first(&statement, (0,)).await.unwrap();
        assert_eq!(row, Some((1, 1)));
        plugin::uninstall(&server).await.unwrap();
        let error = conn.exec_drop(&statement, (0,)).await.unwrap_err();
        assert_eq!(
            error_code(&error),
            Some(BEING_UNINSTALLED),
            "{error}\n{}",
            server.log()
        );
        plugin::install(&server).await.unwrap();
        let row: Option<(u32, u32)> = conn.exec_first(&statement, (0,)).await.unwrap();
        assert_eq!(row, Some((1, 1)));
    }
    drop(conn);
    plugin::shut_down(&server).await;
}

async fn bad_settings_are_refused(kind: Kind) {
    let test = &format!("bad_settings_are_refused {kind}");
    let mut server = or_not_run!(test, plugin::server(kind, "db1", false).await);
    plugin::install(&server).await.unwrap();
    // Read-only ones cannot be set, the dynamic one only within its limits.
    for name in ["agent_socket", "advertise_host", "advertise_port"] {
        assert!(
            server
                .execute(&format!("SET GLOBAL muster_{name} = DEFAULT"))
                .await
                .is_err(),
            "{name}"
        );
    }
    assert!(
        server
            .execute("SET GLOBAL muster_report_interval_ms = 'soon'")
            .await
            .is_err()
    );
    for (asked, given) in [("1", "50"), ("750", "750"), ("999999999", "60000")] {
        server
            .execute(&format!("SET GLOBAL muster_report_interval_ms = {asked}"))
            .await
            .unwrap();
        let value = server
            .value("SELECT @@GLOBAL.muster_report_interval_ms")
            .await
            .unwrap();
        assert_eq!(value.as_deref(), Some(given));
    }
    // A path that no socket can have: the plugin is refused with a sentence, the server starts.
    server.shutdown().await.unwrap();
    server.add_option("--loose-muster-agent-socket=relative/agent.sock");
    server.start_again().await.unwrap();
    let active = server
        .value("SELECT COUNT(*) FROM INFORMATION_SCHEMA.PLUGINS WHERE PLUGIN_NAME = 'muster' AND PLUGIN_STATUS = 'ACTIVE'")
        .await
        .unwrap();
    assert_eq!(active.as_deref(), Some("0"));
    let log = server.log();
    assert!(
        log.contains("muster_agent_socket must be an absolute path"),
        "{log}"
    );
    let state = server
        .value("SELECT AGENT_STATE FROM INFORMATION_SCHEMA.CLUSTER_VIEW")
        .await
        .unwrap();
    assert_eq!(state.as_deref(), Some("NOT_INSTALLED"));
    plugin::shut_down(&server).await;
}

async fn an_upgrade_by_rename_waits_for_the_next_start(kind: Kind) {
    let server = or_not_run!(
        &format!("an_upgrade_by_rename_waits_for_the_next_start {kind}"),
        plugin::server(kind, "db1", false).await
    );
    plugin::install(&server).await.unwrap();
    let build = "SELECT VARIABLE_VALUE FROM performance_schema.global_status WHERE VARIABLE_NAME = 'Muster_build'";
    let before = match kind {
        Kind::MySql => server.value(build).await.unwrap(),
        Kind::MariaDb => None,
    };
    // The running image is still mapped from the old file; a new one under its name does not disturb it.
    server.put_plugin(&artifacts::plugin().unwrap()).unwrap();
    plugin::uninstall(&server).await.unwrap();
    plugin::install(&server).await.unwrap();
    for table in TABLES {
        server
            .rows(&format!("SELECT * FROM INFORMATION_SCHEMA.{table}"))
            .await
            .unwrap();
    }
    if kind == Kind::MySql {
        assert_eq!(server.value(build).await.unwrap(), before);
    }
    plugin::shut_down(&server).await;
}
