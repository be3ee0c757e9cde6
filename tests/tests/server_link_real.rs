//! The agent's end of the link with the real plugin in real servers: what it knows, and how soon.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use muster_agent::clock::boot_ms;
use muster_agent::server::install::{self, Account, Options};
use muster_agent::server::{ServerConfig, ServerLink, ServerSnapshot};
use muster_core::evidence::ProcessState;
use muster_lab::{Install, Kind, Server, ServerOptions, artifacts, or_not_run};
use muster_link::report::Phase;
use muster_link::view::{MemberRow, Observed, View};
use muster_tests::on_both_servers;
use rustix::process::Signal;

on_both_servers! {
    the_life_of_a_server => the_life_of_a_server_mysql, the_life_of_a_server_mariadb;
    a_frozen_server_comes_back => a_frozen_server_comes_back_mysql, a_frozen_server_comes_back_mariadb;
    another_build_on_disk_is_noted => another_build_on_disk_is_noted_mysql, another_build_on_disk_is_noted_mariadb;
}

/// Long enough for a slow machine.
const SOON: Duration = Duration::from_secs(30);

struct Agent {
    link: Arc<ServerLink>,
    beating: tokio::task::JoinHandle<()>,
}

impl Agent {
    fn start(folder: &Path) -> Self {
        let link = ServerLink::start(ServerConfig {
            socket_path: folder.join("agent.sock"),
            memory_path: Some(folder.join("server.json")),
            agent_name: "n1".into(),
            ..ServerConfig::default()
        });
        let link = Arc::new(link.unwrap());
        let beating = tokio::spawn({
            let link = Arc::clone(&link);
            async move {
                loop {
                    link.publish_observed(Arc::new(Observed {
                        quorum: true,
                        ..Observed::default()
                    }));
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
        });
        Self { link, beating }
    }

    async fn until(
        &self,
        what: &str,
        holds: impl FnMut(&ServerSnapshot) -> bool,
    ) -> ServerSnapshot {
        let mut watch = self.link.watch();
        match tokio::time::timeout(SOON, watch.wait_for(holds)).await {
            Ok(found) => found.unwrap().clone(),
            Err(_) => panic!("never {what}: {:?}", self.link.watch().borrow()),
        }
    }

    async fn stop(self) {
        self.beating.abort();
        let _ = self.beating.await;
        Arc::try_unwrap(self.link).unwrap().close().await;
    }
}

fn serving(now: &ServerSnapshot) -> bool {
    now.linked
        && now.identity.is_some()
        && now
            .report
            .as_ref()
            .is_some_and(|report| report.phase == Phase::Serving && report.facts.is_some())
}

async fn start(kind: Kind, folder: &Path) -> muster_lab::Result<(Server, Agent)> {
    let file = artifacts::plugin()?;
    let install = Install::get(kind).await?;
    let socket = folder.join("agent.sock");
    let server = Server::start(&install, ServerOptions::new("db1").agent_socket(&socket)).await?;
    let agent = Agent::start(folder);
    let options = Options {
        account: Account {
            socket: Some(server.socket()),
            ..Account::default()
        },
        file: Some(file),
        allow_write: false,
    };
    let mut said = Vec::new();
    let outcome = install::install(&options, &mut |line| said.push(line)).await;
    assert!(outcome.is_ok(), "{outcome:?}: {said:?}");
    assert_eq!(said.last().unwrap(), "the plugin is connected to the agent");
    Ok((server, agent))
}

async fn the_life_of_a_server(kind: Kind) {
    let test = &format!("the_life_of_a_server {kind}");
    let folder = tempfile::tempdir().unwrap();
    let (mut server, agent) = or_not_run!(test, start(kind, folder.path()).await);
    let pid = server.running().unwrap().pid();

    let now = agent.until("serving", serving).await;
    assert_eq!(now.process, ProcessState::Running { pid });
    let identity = now.identity.clone().unwrap();
    assert_eq!(identity.port, server.port());
    assert_eq!(Path::new(&identity.socket), server.socket());
    assert!(now.plugin_build.is_some());
    assert_eq!(now.note, None, "the loaded build is the one on disk");

    agent.link.publish_view(Arc::new(View {
        view_id: 41,
        cluster_name: "real".into(),
        members: vec![MemberRow {
            member_id: identity.member_id.clone(),
            name: "n1".into(),
            host: "h".into(),
            port: 1,
            state: "ONLINE".into(),
            role: "STANDALONE".into(),
            ..MemberRow::default()
        }],
        ..View::default()
    }));
    let pushed = Instant::now();
    let query = "SELECT VIEW_ID FROM INFORMATION_SCHEMA.CLUSTER_MEMBERS";
    while server.value(query).await.unwrap().as_deref() != Some("41") {
        assert!(pushed.elapsed() < SOON);
    }
    println!(
        "{kind}: view pushed and read by SQL after {:?}",
        pushed.elapsed()
    );

    // A switch that decides about roles is heard long before the next interval.
    let urgent = agent.link.watch().borrow().urgent;
    let switched = Instant::now();
    server.execute("SET GLOBAL read_only = ON").await.unwrap();
    agent
        .until("read only", |now| {
            now.urgent > urgent
                && now
                    .report
                    .as_ref()
                    .unwrap()
                    .facts
                    .as_ref()
                    .unwrap()
                    .read_only
        })
        .await;
    println!("{kind}: read_only known after {:?}", switched.elapsed());
    server.execute("SET GLOBAL read_only = OFF").await.unwrap();

    // Killed.
    let mut watch = agent.link.watch();
    let killed = server.kill().await.unwrap();
    let gone = |now: &ServerSnapshot| matches!(now.process, ProcessState::Gone { .. });
    tokio::time::timeout(SOON, watch.wait_for(gone))
        .await
        .unwrap()
        .unwrap();
    println!("{kind}: kill known after {:?}", killed.elapsed());
    let now = agent.link.watch().borrow().clone();
    assert!(!now.linked);
    match &now.process {
        ProcessState::Gone {
            pid: gone,
            announced,
            ..
        } => assert_eq!((*gone, *announced), (pid, false)),
        other => panic!("{other:?}"),
    }
    println!("{kind}: {:?}", now.process);

    // Started again: the same member, another process, numbers that go on.
    server.start_again().await.unwrap();
    let again = agent.until("serving again", serving).await;
    assert_eq!(
        again.identity.as_ref().unwrap().member_id,
        identity.member_id
    );
    assert_eq!(
        again.process,
        ProcessState::Running {
            pid: server.running().unwrap().pid()
        }
    );
    assert!(again.report_number > now.report_number);

    // The agent restarts under it.
    agent.stop().await;
    let agent = Agent::start(folder.path());
    let restarted = Instant::now();
    let resumed = agent.link.watch().borrow().clone();
    assert_eq!(resumed.process, again.process);
    agent.until("linked to the new agent", serving).await;
    println!(
        "{kind}: link back {:?} after the agent's restart",
        restarted.elapsed()
    );

    // Uninstalled: the server lives on, and says why nothing is heard.
    server.execute("UNINSTALL PLUGIN muster").await.unwrap();
    let now = agent.until("unlinked", |now| !now.linked).await;
    assert!(matches!(now.process, ProcessState::Running { .. }));
    assert!(now.note.unwrap().contains("uninstalled"));
    server
        .execute("INSTALL PLUGIN muster SONAME 'muster.so'")
        .await
        .unwrap();
    agent.until("linked again", serving).await;

    // Stopped in order: announced first, then gone.
    let mut watch = agent.link.watch();
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let watching = tokio::spawn(async move {
        let stopping = |now: &ServerSnapshot| {
            now.report
                .as_ref()
                .is_some_and(|report| report.phase == Phase::Stopping)
        };
        let first = watch.wait_for(stopping).await.unwrap().clone();
        let _ = sender.send((Instant::now(), first));
        watch
            .wait_for(|now| {
                matches!(
                    now.process,
                    ProcessState::Gone {
                        announced: true,
                        ..
                    }
                )
            })
            .await
            .unwrap()
            .clone()
    });
    let asked = Instant::now();
    server.shutdown().await.unwrap();
    let (announced, first) = tokio::time::timeout(SOON, receiver).await.unwrap().unwrap();
    assert!(
        matches!(first.process, ProcessState::Running { .. }),
        "stopping before gone"
    );
    tokio::time::timeout(SOON, watching).await.unwrap().unwrap();
    println!(
        "{kind}: stop announced after {:?}, gone known after {:?}",
        announced - asked,
        asked.elapsed()
    );
    agent.stop().await;
}

async fn a_frozen_server_comes_back(kind: Kind) {
    let test = &format!("a_frozen_server_comes_back {kind}");
    let folder = tempfile::tempdir().unwrap();
    let (server, agent) = or_not_run!(test, start(kind, folder.path()).await);
    agent.until("serving", serving).await;
    server.running().unwrap().signal(Signal::STOP);
    // What was under way still arrives.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let frozen = agent.link.watch().borrow().clone();
    tokio::time::sleep(Duration::from_secs(4)).await;
    let later = agent.link.watch().borrow().clone();
    assert_eq!(later.report_number, frozen.report_number);
    assert!(matches!(later.process, ProcessState::Running { .. }));
    assert!(later.own_member(boot_ms()).unwrap().report_age_ms >= 3_000);
    server.running().unwrap().signal(Signal::CONT);
    let thawed = Instant::now();
    let before = later.report_number;
    agent
        .until("heard again", |now| {
            now.report_number > before && serving(now)
        })
        .await;
    println!("{kind}: heard {:?} after SIGCONT", thawed.elapsed());
    agent.stop().await;
}

async fn another_build_on_disk_is_noted(kind: Kind) {
    let test = &format!("another_build_on_disk_is_noted {kind}");
    let folder = tempfile::tempdir().unwrap();
    let (server, agent) = or_not_run!(test, start(kind, folder.path()).await);
    let now = agent.until("serving", serving).await;
    let build = now.plugin_build.unwrap();
    // Another build: the same file with another id in it.
    let mut bytes = std::fs::read(artifacts::plugin().unwrap()).unwrap();
    let other = format!("{}x", &build[..build.len() - 1]);
    let mut found = 0;
    for at in 0..bytes.len() - build.len() {
        if bytes[at..].starts_with(build.as_bytes()) {
            bytes[at..at + build.len()].copy_from_slice(other.as_bytes());
            found += 1;
        }
    }
    assert!(found > 0, "the file holds its own id {build}");
    let upgraded = folder.path().join("upgraded.so");
    std::fs::write(&upgraded, &bytes).unwrap();
    server.put_plugin(&upgraded).unwrap();
    let now = agent.until("noted", |now| now.note.is_some()).await;
    assert_eq!(
        now.note.unwrap(),
        "loaded build ≠ build on disk: restart the server"
    );
    agent.stop().await;
}
