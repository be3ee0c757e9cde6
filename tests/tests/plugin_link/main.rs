//! The link between the plugin and its agent, inside real servers of both kinds: what the agent hears and how fast,
//! and what the server does not feel, whatever the agent, an operator or the server itself is doing.
#![allow(clippy::unwrap_used)]

mod agent;
mod life;
mod peers;
mod replication;
mod troubles;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use agent::{FakeAgent, Link};
use muster_lab::{Install, Kind, RunDir, Server, ServerOptions, artifacts, or_not_run};

/// How soon the server must have ended after SHUTDOWN.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(5);

/// A server whose plugin looks for its agent where `agent` listens. The plugin is not installed yet.
struct World {
    server: Server,
    agent: FakeAgent,
    _dir: RunDir,
}

impl World {
    async fn new(install: &Install, name: &str, more: &[&str]) -> Self {
        Self::start(install, name, more, false).await
    }

    async fn start(install: &Install, name: &str, more: &[&str], at_boot: bool) -> Self {
        let dir = RunDir::new().unwrap();
        let path = dir.path().join("agent.sock");
        let agent = FakeAgent::listen(&path);
        let mut options = ServerOptions::new(name)
            .plugin(&artifacts::plugin().unwrap())
            .option(&agent_socket(&path))
            .option("--loose-muster-report-interval-ms=200");
        if at_boot {
            options = options.load_at_boot();
        }
        for option in more {
            options = options.option(option);
        }
        Self {
            server: Server::start(install, options).await.unwrap(),
            agent,
            _dir: dir,
        }
    }

    fn path(&self) -> PathBuf {
        self.agent.path().to_owned()
    }

    async fn install(&self) -> Link {
        self.server
            .execute("INSTALL PLUGIN muster SONAME 'muster.so'")
            .await
            .unwrap();
        let (mut link, _) = self.agent.welcome().await;
        link.good_report().await;
        link
    }

    async fn uninstall(&self) {
        let began = Instant::now();
        self.server
            .execute("UNINSTALL PLUGIN muster")
            .await
            .unwrap();
        assert!(
            began.elapsed() < Duration::from_secs(4),
            "uninstall took {:?}",
            began.elapsed()
        );
    }

    async fn status(&self, name: &str) -> String {
        let rows = self
            .server
            .rows(&format!("SHOW GLOBAL STATUS LIKE '{name}'"))
            .await
            .unwrap();
        rows[0][1].clone().unwrap()
    }

    /// The server still answers, at once.
    async fn answers(&self) {
        let began = Instant::now();
        assert_eq!(
            self.server.value("SELECT 1").await.unwrap().as_deref(),
            Some("1")
        );
        assert!(
            began.elapsed() < Duration::from_secs(3),
            "SELECT 1 took {:?}",
            began.elapsed()
        );
    }
}

fn agent_socket(path: &Path) -> String {
    format!("--loose-muster-agent-socket={}", path.display())
}

/// SHUTDOWN ends the server in order and in time. A machine that is too busy for that is told by the same server
/// without the plugin.
async fn shut_down_in_time(mut world: World) {
    let began = Instant::now();
    let ended = world.server.shutdown().await.unwrap();
    let took = began.elapsed();
    assert_eq!(ended.describe(), "exit status 0", "{}", world.server.log());
    println!("{}: SHUTDOWN took {took:?}", world.server.kind());
    if took > SHUTDOWN_LIMIT {
        world.server.add_option("--loose-muster=OFF");
        world.server.start_again().await.unwrap();
        let began = Instant::now();
        world.server.shutdown().await.unwrap();
        let without = began.elapsed();
        assert!(
            took < without + SHUTDOWN_LIMIT / 2,
            "{took:?} with the plugin, {without:?} without"
        );
    }
}

macro_rules! on_both_servers {
    ($($name:ident => $test:path;)+) => {
        $(mod $name {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn mysql() {
                let what = concat!("plugin link: ", stringify!($name), ", MySQL");
                let install = super::or_not_run!(what, super::Install::get(super::Kind::MySql).await);
                $test(&install).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn mariadb() {
                let what = concat!("plugin link: ", stringify!($name), ", MariaDB");
                let install = super::or_not_run!(what, super::Install::get(super::Kind::MariaDb).await);
                $test(&install).await;
            }
        })+
    };
}

on_both_servers! {
    facts_reach_the_agent_and_the_end_is_announced => crate::life::facts;
    loaded_at_boot_it_waits_for_the_server_and_keeps_its_identity => crate::life::at_boot;
    whatever_the_peer_is_the_server_answers_and_an_agent_is_found_after_it => crate::peers::any;
    shutdown_in_the_middle_of_a_connect_takes_no_longer => crate::peers::shutdown_while_connecting;
    locks_kills_and_full_servers_stop_no_report => crate::troubles::all;
    replication_is_reported_as_it_is => crate::replication::facts;
    a_statement_that_hangs_stops_no_heartbeat => crate::replication::hang;
}
