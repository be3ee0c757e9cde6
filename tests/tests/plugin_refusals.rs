//! `muster.so` in a server that lacks something, or in states of the link in which a careless plugin would hang it.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use muster_lab::{Install, Kind, Server, ServerOptions, artifacts, or_not_run, sql};
use muster_tests::fake_agent::{FakeAgent, Picture};
use muster_tests::on_both_servers;
use muster_tests::plugin::{self, TABLES, our_threads};

on_both_servers! {
    a_missing_function_is_refused => a_missing_function_is_refused_mysql, a_missing_function_is_refused_mariadb;
    an_unknown_server_is_refused => an_unknown_server_is_refused_mysql, an_unknown_server_is_refused_mariadb;
    shutdown_and_uninstall_in_every_state_of_the_link => shutdown_and_uninstall_in_every_state_of_the_link_mysql, shutdown_and_uninstall_in_every_state_of_the_link_mariadb;
    odd_ways_to_start => odd_ways_to_start_mysql, odd_ways_to_start_mariadb;
}

/// The plugin's file with every occurrence of a name changed to one that no server exports.
fn without(folder: &std::path::Path, names: &[&str]) -> muster_lab::Result<std::path::PathBuf> {
    let mut bytes = fs::read(artifacts::plugin()?).unwrap();
    for name in names {
        let mut changed = 0;
        let mut at = 0;
        while let Some(found) = bytes[at..]
            .windows(name.len())
            .position(|part| part == name.as_bytes())
        {
            at += found + name.len();
            bytes[at - 1] = b'!';
            changed += 1;
        }
        assert!(changed > 0, "{name} is nowhere in the file");
    }
    let path = folder.join("muster-changed.so");
    fs::write(&path, bytes).unwrap();
    Ok(path)
}

/// Every INSTALL is refused, the log says `sentence`, and the server goes on.
async fn refused(server: &Server, sentence: &str) {
    for name in plugin::plugins() {
        let install = format!("INSTALL PLUGIN {name} SONAME 'muster.so'");
        assert!(server.execute(&install).await.is_err(), "{install}");
    }
    let log = server.log();
    assert!(
        log.contains(sentence),
        "{sentence} is not in the log:\n{log}"
    );
    assert_eq!(
        server.value("SELECT 1 + 1").await.unwrap().as_deref(),
        Some("2")
    );
    let installed =
        "SELECT COUNT(*) FROM INFORMATION_SCHEMA.PLUGINS WHERE PLUGIN_LIBRARY LIKE 'muster%'";
    assert_eq!(server.value(installed).await.unwrap().as_deref(), Some("0"));
    assert_eq!(
        our_threads(server.running().unwrap().pid()),
        Vec::<String>::new()
    );
}

async fn a_missing_function_is_refused(kind: Kind) {
    let test = &format!("a_missing_function_is_refused {kind}");
    let install = or_not_run!(test, Install::get(kind).await);
    let folder = tempfile::tempdir().unwrap();
    for name in [
        "_ZTV20Field_iterator_table",
        "_ZTV15Field_varstring",
        "_Z25schema_table_store_recordP3THDP5TABLE",
    ] {
        let file = or_not_run!(test, without(folder.path(), &[name]));
        let server = Server::start(&install, ServerOptions::new("db1").plugin(&file))
            .await
            .unwrap();
        refused(&server, "this server does not export").await;
        plugin::shut_down(&server).await;
    }
}

async fn an_unknown_server_is_refused(kind: Kind) {
    let test = &format!("an_unknown_server_is_refused {kind}");
    let install = or_not_run!(test, Install::get(kind).await);
    let folder = tempfile::tempdir().unwrap();
    // Without its own version text a server is not known, and the interface version stays one that none accepts.
    let file = or_not_run!(test, without(folder.path(), &["server_version"]));
    let server = Server::start(&install, ServerOptions::new("db1").plugin(&file))
        .await
        .unwrap();
    for name in plugin::plugins() {
        assert!(
            server
                .execute(&format!("INSTALL PLUGIN {name} SONAME 'muster.so'"))
                .await
                .is_err()
        );
    }
    assert_eq!(
        server.value("SELECT 1 + 1").await.unwrap().as_deref(),
        Some("2")
    );
    plugin::shut_down(&server).await;
}

/// What the plugin may find at the path of its agent's socket.
enum Found {
    Nothing,
    PlainFile,
    /// Connections are taken by the kernel, and nobody ever answers.
    NobodyAnswers(#[allow(dead_code)] UnixListener),
    Agent(FakeAgent),
}

async fn shutdown_and_uninstall_in_every_state_of_the_link(kind: Kind) {
    let test = &format!("shutdown_and_uninstall_in_every_state_of_the_link {kind}");
    let mut server = or_not_run!(test, plugin::server(kind, "db1", true).await);
    let path = server.dir().join("agent.sock");
    for state in 0..4 {
        let found = match state {
            0 => Found::Nothing,
            1 => {
                fs::write(&path, "not a socket").unwrap();
                Found::PlainFile
            }
            2 => Found::NobodyAnswers(UnixListener::bind(&path).unwrap()),
            _ => Found::Agent(FakeAgent::listen(&path, Picture::default()).unwrap()),
        };
        if state > 0 {
            server.start_again().await.unwrap();
        }
        let pid = server.running().unwrap().pid();
        sql::wait_for("the daemon's threads", 10_000, async || {
            let threads = our_threads(pid);
            Ok(if threads.is_empty() {
                Err("none".into())
            } else {
                Ok(())
            })
        })
        .await
        .unwrap();
        if let Found::Agent(agent) = &found {
            sql::wait_for("a connection", 10_000, async || {
                Ok(if agent.accepted() > 0 {
                    Ok(())
                } else {
                    Err("none".into())
                })
            })
            .await
            .unwrap();
        }
        // Reads answer at once, whatever the link does.
        for table in TABLES {
            let begun = Instant::now();
            server
                .rows(&format!("SELECT * FROM INFORMATION_SCHEMA.{table}"))
                .await
                .unwrap();
            assert!(
                begun.elapsed() < Duration::from_secs(2),
                "{table} took {:?}",
                begun.elapsed()
            );
        }
        let begun = Instant::now();
        server.execute("UNINSTALL PLUGIN muster").await.unwrap();
        let took = begun.elapsed();
        assert!(
            took < Duration::from_secs(4),
            "state {state}: UNINSTALL took {took:?}"
        );
        assert_eq!(our_threads(pid), Vec::<String>::new(), "state {state}");
        server
            .execute("INSTALL PLUGIN muster SONAME 'muster.so'")
            .await
            .unwrap();
        plugin::shut_down(&server).await;
        drop(found);
        let _ = fs::remove_file(&path);
    }
}

async fn odd_ways_to_start(kind: Kind) {
    let test = &format!("odd_ways_to_start {kind}");
    let mut server = or_not_run!(test, plugin::server(kind, "db1", true).await);
    plugin::shut_down(&server).await;
    // Each wins over the one before where they disagree.
    let options: &[&str] = match kind {
        Kind::MySql => &[
            "--skip-grant-tables",
            "--super-read-only=ON",
            "--performance-schema=ON",
        ],
        Kind::MariaDb => &[
            "--skip-grant-tables",
            "--read-only=ON",
            "--performance-schema=ON",
        ],
    };
    for option in options {
        server.add_option(option);
        server.start_again().await.unwrap();
        for table in TABLES {
            server
                .rows(&format!("SELECT * FROM INFORMATION_SCHEMA.{table}"))
                .await
                .unwrap_or_else(|error| panic!("{option}: {error}"));
        }
        let ended = server.shutdown().await.unwrap();
        assert!(ended.status.success(), "{option}: {}", ended.describe());
    }
}
