//! What tests of `muster.so` inside a real server have in common.

use muster_lab::{Install, Kind, Result, Server, ServerOptions, artifacts};
use mysql_async::Conn;
use mysql_async::prelude::Queryable;

/// The tables, in the order in which `muster install` installs them.
pub const TABLES: [&str; 4] = [
    "CLUSTER_MEMBERS",
    "CLUSTER_VIEW",
    "CLUSTER_AGENTS",
    "CLUSTER_EVENTS",
];

/// Every plugin of the file: the tables first, the daemon last.
pub fn plugins() -> impl DoubleEndedIterator<Item = &'static str> {
    TABLES.into_iter().chain(["muster"])
}

/// A server with the file in its plugin folder, and its agent's socket at `agent.sock` in its own folder.
///
/// # Errors
/// As [`Server::start`]; `Missing` where the file is not built or the server cannot be had.
pub async fn server(kind: Kind, name: &str, at_boot: bool) -> Result<Server> {
    let file = artifacts::plugin()?;
    let install = Install::get(kind).await?;
    let options = ServerOptions::new(name).plugin(&file);
    if !at_boot {
        return Server::start(&install, options).await;
    }
    let mut server = Server::start(&install, options.load_at_boot()).await?;
    // The socket's path is known only now; the first start had no agent to find anyway.
    server.shutdown().await?;
    let socket = server.dir().join("agent.sock");
    server.add_option(&format!("--muster-agent-socket={}", socket.display()));
    server.start_again().await?;
    Ok(server)
}

/// INSTALL PLUGIN for all of them.
///
/// # Errors
/// When the server refuses one.
pub async fn install(server: &Server) -> Result<()> {
    for plugin in plugins() {
        server
            .execute(&format!("INSTALL PLUGIN {plugin} SONAME 'muster.so'"))
            .await?;
    }
    Ok(())
}

/// UNINSTALL PLUGIN for all of them, the daemon first.
///
/// # Errors
/// When the server refuses one.
pub async fn uninstall(server: &Server) -> Result<()> {
    for plugin in plugins().rev() {
        server
            .execute(&format!("UNINSTALL PLUGIN {plugin}"))
            .await?;
    }
    Ok(())
}

/// SHUTDOWN, which must end the process well and soon.
///
/// # Panics
/// When it crashes, hangs, or takes longer than issue 2 allows.
pub async fn shut_down(server: &Server) {
    let begun = std::time::Instant::now();
    let ended = server.shutdown().await.expect("the server ends");
    let took = begun.elapsed();
    assert!(
        ended.status.success(),
        "it ended with {}\n{}",
        ended.describe(),
        server.log()
    );
    assert!(took.as_secs() < 5, "SHUTDOWN took {took:?}");
}

/// The server's error number of a failed statement; none where the connection itself failed.
#[must_use]
pub fn error_code(error: &mysql_async::Error) -> Option<u16> {
    match error {
        mysql_async::Error::Server(error) => Some(error.code),
        _ => None,
    }
}

/// Level and text of each warning of the last statement.
///
/// # Errors
/// When the connection fails.
pub async fn warnings(conn: &mut Conn) -> std::result::Result<Vec<String>, mysql_async::Error> {
    let rows: Vec<(String, u16, String)> = conn.query("SHOW WARNINGS").await?;
    Ok(rows.into_iter().map(|(_, _, text)| text).collect())
}

/// Resident memory of a process in KiB.
#[must_use]
pub fn resident_kib(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// Names of the threads of a process that begin with `muster`.
#[must_use]
pub fn our_threads(pid: u32) -> Vec<String> {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    tasks
        .flatten()
        .filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok())
        .map(|name| name.trim().to_owned())
        .filter(|name| name.starts_with("muster"))
        .collect()
}

/// The same test for both servers: an async function that takes a [`Kind`].
#[macro_export]
macro_rules! on_both_servers {
    ($($test:ident => $mysql:ident, $mariadb:ident;)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $mysql() {
                $test(muster_lab::Kind::MySql).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $mariadb() {
                $test(muster_lab::Kind::MariaDb).await;
            }
        )*
    };
}
