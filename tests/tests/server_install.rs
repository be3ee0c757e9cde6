//! `muster install` and `uninstall` on real servers: repeatable, complete, and never a change of who may write.

#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use muster_agent::server::install::{self, Account, InstallError, Options};
use muster_lab::{Install, Kind, Server, ServerOptions, artifacts, or_not_run};
use muster_tests::on_both_servers;

on_both_servers! {
    in_and_out_again => in_and_out_again_mysql, in_and_out_again_mariadb;
    a_read_only_server_stays_read_only => a_read_only_server_stays_read_only_mysql, a_read_only_server_stays_read_only_mariadb;
    what_is_half_there_is_completed => what_is_half_there_is_completed_mysql, what_is_half_there_is_completed_mariadb;
    a_file_that_does_not_load_leaves_nothing_behind => a_file_that_does_not_load_leaves_nothing_behind_mysql, a_file_that_does_not_load_leaves_nothing_behind_mariadb;
}

/// A server without the plugin, with a binary log, and the plugin's file.
async fn bare(kind: Kind) -> muster_lab::Result<(Server, PathBuf)> {
    let file = artifacts::plugin()?;
    let install = Install::get(kind).await?;
    let server = Server::start(&install, ServerOptions::new("db1")).await?;
    Ok((server, file))
}

fn options(server: &Server, file: &std::path::Path) -> Options {
    Options {
        account: Account {
            socket: Some(server.socket()),
            ..Account::default()
        },
        file: Some(file.to_owned()),
        allow_write: false,
    }
}

async fn install(options: &Options) -> (Result<(), InstallError>, String) {
    let mut said = Vec::new();
    let outcome = install::install(options, &mut |line| said.push(line)).await;
    (outcome, said.join("\n"))
}

async fn uninstall(options: &Options) -> (Result<(), InstallError>, String) {
    let mut said = Vec::new();
    let outcome = install::uninstall(options, &mut |line| said.push(line)).await;
    (outcome, said.join("\n"))
}

async fn plugins(server: &Server) -> Vec<String> {
    let query = "SELECT PLUGIN_NAME FROM INFORMATION_SCHEMA.PLUGINS WHERE PLUGIN_LIBRARY = 'muster.so' ORDER BY 1";
    let rows = server.rows(query).await.unwrap();
    rows.into_iter()
        .filter_map(|row| row.into_iter().next()?)
        .collect()
}

/// All that says who may write, and what has been written.
async fn writability(server: &Server) -> String {
    let query = match server.kind() {
        Kind::MySql => {
            "SELECT CONCAT_WS(',', @@global.read_only, @@global.super_read_only, @@global.gtid_executed)"
        }
        Kind::MariaDb => {
            "SELECT CONCAT_WS(',', @@global.read_only, @@global.gtid_current_pos, @@global.gtid_binlog_pos)"
        }
    };
    server.value(query).await.unwrap().unwrap()
}

async fn in_and_out_again(kind: Kind) {
    let test = &format!("in_and_out_again {kind}");
    let (mut server, file) = or_not_run!(test, bare(kind).await);
    let options = options(&server, &file);
    let before = writability(&server).await;

    let (outcome, said) = install(&options).await;
    outcome.unwrap();
    assert!(
        said.contains("INSTALL PLUGIN muster SONAME 'muster.so'"),
        "{said}"
    );
    assert!(
        said.contains("is `muster agent` running"),
        "no agent listens: {said}"
    );
    assert_eq!(plugins(&server).await.len(), 5);
    assert_eq!(writability(&server).await, before);

    let (outcome, said) = install(&options).await;
    outcome.unwrap();
    assert!(
        said.contains("installed already") && said.contains("is up to date"),
        "{said}"
    );

    server.shutdown().await.unwrap();
    server.start_again().await.unwrap();
    assert_eq!(
        plugins(&server).await.len(),
        5,
        "the server keeps it over a restart"
    );

    let (outcome, said) = uninstall(&options).await;
    outcome.unwrap();
    assert!(
        said.contains("UNINSTALL PLUGIN muster") && said.contains("can be removed"),
        "{said}"
    );
    assert_eq!(plugins(&server).await, Vec::<String>::new());
    let (outcome, said) = uninstall(&options).await;
    outcome.unwrap();
    assert!(said.contains("no plugin of Muster"), "{said}");
    assert_eq!(writability(&server).await, before);
}

async fn a_read_only_server_stays_read_only(kind: Kind) {
    let test = &format!("a_read_only_server_stays_read_only {kind}");
    let (server, file) = or_not_run!(test, bare(kind).await);
    let mut options = options(&server, &file);
    let variable = match kind {
        Kind::MySql => "super_read_only",
        Kind::MariaDb => "read_only",
    };
    server
        .execute(&format!("SET GLOBAL {variable} = ON"))
        .await
        .unwrap();
    let before = writability(&server).await;

    let (outcome, said) = install(&options).await;
    match kind {
        Kind::MySql => {
            let error = outcome.unwrap_err();
            assert!(
                matches!(error, InstallError::SuperReadOnly { .. }),
                "{error}"
            );
            assert!(
                error.to_string().contains("plugin-load-add=muster.so"),
                "{error}"
            );
            assert_eq!(plugins(&server).await, Vec::<String>::new());
            assert_eq!(writability(&server).await, before);

            options.allow_write = true;
            let (outcome, said) = install(&options).await;
            outcome.unwrap();
            assert!(said.contains("switched super_read_only on again"), "{said}");
        }
        // An account that may write anyway is not held up; the server stays as it is for all others.
        Kind::MariaDb => {
            outcome.unwrap();
            assert!(said.contains("INSTALL PLUGIN muster"), "{said}");
        }
    }
    assert_eq!(plugins(&server).await.len(), 5);
    assert_eq!(writability(&server).await, before);
    let (outcome, _) = uninstall(&options).await;
    outcome.unwrap();
    assert_eq!(plugins(&server).await, Vec::<String>::new());
    assert_eq!(writability(&server).await, before);
}

async fn what_is_half_there_is_completed(kind: Kind) {
    let test = &format!("what_is_half_there_is_completed {kind}");
    let (server, file) = or_not_run!(test, bare(kind).await);
    let options = options(&server, &file);
    server.put_plugin(&file).unwrap();
    for name in ["CLUSTER_VIEW", "muster"] {
        server
            .execute(&format!("INSTALL PLUGIN {name} SONAME 'muster.so'"))
            .await
            .unwrap();
    }
    let (outcome, said) = install(&options).await;
    outcome.unwrap();
    assert!(said.contains("INSTALL PLUGIN CLUSTER_MEMBERS"), "{said}");
    assert!(!said.contains("INSTALL PLUGIN muster"), "{said}");
    assert_eq!(plugins(&server).await.len(), 5);
    server
        .execute("UNINSTALL PLUGIN CLUSTER_EVENTS")
        .await
        .unwrap();
    let (outcome, _) = uninstall(&options).await;
    outcome.unwrap();
    assert_eq!(plugins(&server).await, Vec::<String>::new());
}

async fn a_file_that_does_not_load_leaves_nothing_behind(kind: Kind) {
    let test = &format!("a_file_that_does_not_load_leaves_nothing_behind {kind}");
    let (server, file) = or_not_run!(test, bare(kind).await);
    let broken = server.dir().join("broken.so");
    // The right names are in it, the rest is missing.
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[64..4_096].fill(0xff);
    std::fs::write(&broken, &bytes).unwrap();
    let mut options = options(&server, &broken);
    options.allow_write = true;
    if kind == Kind::MySql {
        server
            .execute("SET GLOBAL super_read_only = ON")
            .await
            .unwrap();
    }
    let before = writability(&server).await;
    let (outcome, said) = install(&options).await;
    let error = outcome.unwrap_err();
    assert!(matches!(error, InstallError::Sql { .. }), "{error}\n{said}");
    assert_eq!(plugins(&server).await, Vec::<String>::new());
    assert_eq!(writability(&server).await, before, "{said}");
    assert!(server.is_running());

    options.file = Some(file);
    let (outcome, said) = install(&options).await;
    outcome.unwrap();
    assert!(said.contains("replaced"), "{said}");
    assert_eq!(writability(&server).await, before);
}
