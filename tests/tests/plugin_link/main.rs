//! The link between the plugin and its agent, inside real servers of both kinds.
#![allow(clippy::unwrap_used)]

mod agent;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use agent::FakeAgent;
use muster_lab::{Install, Kind, Server, ServerOptions, artifacts, or_not_run};
use muster_link::message::ToAgent;
use muster_link::report::Phase;

/// A server with the plugin's file beside it, not installed yet, that will look for its agent in its own folder.
async fn server(install: &Install, name: &str) -> Server {
    Server::start(install, options(name)).await.unwrap()
}

fn options(name: &str) -> ServerOptions {
    ServerOptions::new(name).plugin(&artifacts::plugin().unwrap())
}

fn agent_socket(server: &Server) -> PathBuf {
    server.dir().join("agent.sock")
}

/// `muster_agent_socket` can only be set in the configuration, so the server starts again with it.
async fn with_agent_path(install: &Install, name: &str, more: &[&str]) -> Server {
    let mut server = server(install, name).await;
    server.shutdown().await.unwrap();
    let path = agent_socket(&server);
    server.add_option(&format!("--loose-muster-agent-socket={}", path.display()));
    for option in more {
        server.add_option(option);
    }
    server.start_again().await.unwrap();
    server
}

async fn facts_and_life(kind: Kind) {
    let install = or_not_run!(
        &format!("plugin link facts: {kind}"),
        Install::get(kind).await
    );
    let server = with_agent_path(&install, "db1", &[]).await;
    let agent = FakeAgent::listen(&agent_socket(&server));
    server
        .execute("INSTALL PLUGIN muster SONAME 'muster.so'")
        .await
        .unwrap();
    let (mut link, hello) = agent.welcome().await;
    let report = link.good_report().await;
    println!("{kind}: {:?} {report:?}", hello.identity);
    let began = Instant::now();
    server.execute("SET GLOBAL read_only = ON").await.unwrap();
    link.report_where("of read_only", |report| {
        report.facts.as_ref().is_some_and(|facts| facts.read_only)
    })
    .await;
    println!("{kind}: read_only seen after {:?}", began.elapsed());
    for row in server
        .rows("SHOW GLOBAL STATUS LIKE 'Muster%'")
        .await
        .unwrap()
    {
        println!("{row:?}");
    }
    for row in server.rows("SHOW PROCESSLIST").await.unwrap() {
        println!("{row:?}");
    }
    server.execute("SET GLOBAL read_only = OFF").await.unwrap();
    let began = Instant::now();
    server.execute("UNINSTALL PLUGIN muster").await.unwrap();
    println!("{kind}: uninstalled in {:?}", began.elapsed());
    let last = link.last_words().await;
    assert!(
        matches!(
            last,
            Some(ToAgent::Bye {
                server_stops: false,
                ..
            })
        ),
        "{last:?}"
    );
    server
        .execute("INSTALL PLUGIN muster SONAME 'muster.so'")
        .await
        .unwrap();
    let (mut link, _) = agent.welcome().await;
    link.good_report().await;
    let began = Instant::now();
    let stopping = tokio::spawn(async move {
        let report = link
            .report_where("stopping", |report| report.phase == Phase::Stopping)
            .await;
        (
            Instant::now(),
            report,
            link.last_words().await,
            Instant::now(),
        )
    });
    let ended = server.shutdown().await.unwrap();
    println!("{kind}: {} in {:?}", ended.describe(), began.elapsed());
    let (seen, _, last, gone) = stopping.await.unwrap();
    println!(
        "{kind}: stopping seen after {:?}, {last:?} after {:?}",
        seen - began,
        gone - began
    );
    println!("{}", server.log());
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn facts_and_life_mysql() {
    facts_and_life(Kind::MySql).await;
}

#[tokio::test]
async fn facts_and_life_mariadb() {
    facts_and_life(Kind::MariaDb).await;
}
