//! `muster install` and `muster uninstall`: the plugin into and out of the local server, over SQL.
//!
//! Both can be repeated at any time: what is there already is left alone, what is missing is added. Neither changes who
//! may write. A MySQL server under `super_read_only` takes no INSTALL PLUGIN; only when asked to ([`Options::allow_write`])
//! is that switched off, for the few statements, with `read_only` still on, and it is on again before anything else
//! happens, whatever those statements came to ([`write_window`]).
//!
//! Every step is told in a sentence as it is done, so that a person sees how far it came if it stops.

mod account;
mod file;
mod write_window;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts};

pub use account::{Account, AccountError};
pub use file::FileError;
use write_window::WriteWindow;

/// The name under which the server finds the plugin's file.
pub const SONAME: &str = "muster.so";
/// The daemon plugin.
pub const DAEMON: &str = "muster";
/// The tables.
pub const TABLES: [&str; 4] = [
    "CLUSTER_MEMBERS",
    "CLUSTER_VIEW",
    "CLUSTER_AGENTS",
    "CLUSTER_EVENTS",
];

/// The server says so of a plugin that is loaded already (MySQL, MariaDB).
const ALREADY: [u16; 2] = [1125, 1968];
/// The server says so of a plugin that is not loaded.
const DOES_NOT_EXIST: u16 = 1305;
/// The server is read only.
const READ_ONLY: u16 = 1290;
/// A removed plugin may stay for a moment while statements use it.
const SETTLE_WITHIN: Duration = Duration::from_secs(10);
/// A server that does not answer for this long is given up.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// A fresh plugin has this long to reach its agent before we say that it has not.
const LINK_WITHIN: Duration = Duration::from_secs(3);

/// What to do and how.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// How to reach the server.
    pub account: Account,
    /// The plugin's file; none = look for it where packages put it, else use what is in the plugin folder.
    pub file: Option<PathBuf>,
    /// Switch `super_read_only` off for the statements that need it.
    pub allow_write: bool,
}

/// Why it stopped, and what to do. Steps told before it remain done.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// How to log in.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// The plugin's file.
    #[error(transparent)]
    File(#[from] FileError),
    /// No connection.
    #[error("cannot connect to the server {at}: {source}")]
    Connect {
        /// Socket and user.
        at: String,
        /// What went wrong.
        source: mysql_async::Error,
    },
    /// A statement failed.
    #[error("{statement}: {source}")]
    Sql {
        /// The statement.
        statement: String,
        /// What the server said.
        source: mysql_async::Error,
    },
    /// The server does not answer.
    #[error("the server has not answered `{0}` within {s} s; look at SHOW PROCESSLIST for what holds it up, then run the command again", s = ANSWER_WITHIN.as_secs())]
    NoAnswer(String),
    /// Read only.
    #[error(
        "the server is read only and takes no {what} PLUGIN. Either add `plugin-load-add={SONAME}` to its configuration and restart it, or repeat this command with --allow-write: it switches super_read_only off for a moment, leaves read_only on, and switches it on again"
    )]
    SuperReadOnly {
        /// INSTALL or UNINSTALL.
        what: &'static str,
    },
    /// MariaDB, read only, and the account may not write.
    #[error(
        "the server is read only and this account may not change that: grant it READ ONLY ADMIN, or add `plugin-load-add={SONAME}` to the server's configuration and restart it"
    )]
    ReadOnly,
    /// Something else has the name.
    #[error(
        "the server already has a plugin {name} from {library}, which is not Muster's; remove it first"
    )]
    NameTaken {
        /// The plugin.
        name: String,
        /// Its file.
        library: String,
    },
    /// The window could not be closed. The one thing that must be read.
    #[error(
        "super_read_only COULD NOT BE SWITCHED ON AGAIN ({reason}); read_only is on, but accounts with SUPER or CONNECTION_ADMIN can write: run `SET GLOBAL super_read_only = ON` on this server now"
    )]
    StillWritable {
        /// What went wrong.
        reason: String,
    },
    /// A removed plugin does not go.
    #[error(
        "{0} is still in use by statements that run; wait for them to end, then run the command again"
    )]
    StillInUse(String),
}

/// The server, connected.
struct Server {
    conn: Conn,
    opts: Opts,
    mariadb: bool,
    plugin_dir: PathBuf,
}

/// Puts the plugin into the server. Every step done is told through `say`.
pub async fn install(options: &Options, say: &mut dyn FnMut(String)) -> Result<(), InstallError> {
    let mut server = connect(&options.account, say).await?;
    let found = loaded(&mut server).await?;
    refuse_strangers(&found)?;
    let replaced = put_file(options, &server.plugin_dir, say)?;

    let wanted = TABLES.iter().chain([&DAEMON]).copied();
    let missing: Vec<_> = wanted.filter(|name| !found.contains_key(*name)).collect();
    if missing.is_empty() {
        say("all plugins are installed already".to_owned());
    } else {
        let statements: Vec<_> = missing
            .iter()
            .map(|name| (*name, format!("INSTALL PLUGIN {name} SONAME '{SONAME}'")))
            .collect();
        run_all(
            &mut server,
            "INSTALL",
            &statements,
            options.allow_write,
            say,
        )
        .await?;
    }
    if replaced && !found.is_empty() {
        say(format!(
            "the server still runs the build that it loaded before: restart it to load the new {SONAME}"
        ));
    }
    tell_link(&mut server, say).await?;
    close(server).await;
    Ok(())
}

/// Takes the plugin out of the server; the file stays.
pub async fn uninstall(options: &Options, say: &mut dyn FnMut(String)) -> Result<(), InstallError> {
    let mut server = connect(&options.account, say).await?;
    let found = loaded(&mut server).await?;
    let ours = [DAEMON].into_iter().chain(TABLES.into_iter().rev());
    let present: Vec<_> = ours
        .filter(|name| found.get(*name).is_some_and(|library| library == SONAME))
        .collect();
    if present.is_empty() {
        say("no plugin of Muster is installed".to_owned());
        close(server).await;
        return Ok(());
    }
    let kept = remembered(&mut server).await;
    let statements: Vec<_> = present
        .iter()
        .map(|name| (*name, format!("UNINSTALL PLUGIN {name}")))
        .collect();
    run_all(
        &mut server,
        "UNINSTALL",
        &statements,
        options.allow_write,
        say,
    )
    .await?;
    if kept.is_some_and(|kept| {
        present
            .iter()
            .any(|name| !kept.contains(&(*name).to_owned()))
    }) {
        say(format!(
            "the server loaded {SONAME} by its configuration: remove `plugin-load-add={SONAME}` there, or it comes back at the next start"
        ));
    }
    say(format!(
        "the file {} stays and can be removed",
        server.plugin_dir.join(SONAME).display()
    ));
    close(server).await;
    Ok(())
}

async fn connect(account: &Account, say: &mut dyn FnMut(String)) -> Result<Server, InstallError> {
    let (opts, at) = account.resolve(say)?;
    let connecting = tokio::time::timeout(ANSWER_WITHIN, Conn::new(opts.clone()));
    let mut conn = match connecting.await {
        Err(_) => return Err(InstallError::NoAnswer("a connection".to_owned())),
        Ok(Err(source)) => return Err(InstallError::Connect { at, source }),
        Ok(Ok(conn)) => conn,
    };
    let statement = "SELECT @@global.version, @@global.version_comment, @@global.plugin_dir";
    let row: Option<(String, String, String)> =
        bounded(statement, conn.query_first(statement)).await?;
    let (version, comment, plugin_dir) = row.unwrap_or_default();
    let mariadb = version.contains("MariaDB");
    say(format!(
        "connected to {} {version} ({comment}) {at}",
        if mariadb { "MariaDB" } else { "MySQL" }
    ));
    // Loading a plugin is this server's own affair. Servers keep it out of the binary log by themselves; this is for
    // those that would not. Without the privilege it stays as it is.
    let _ = conn.query_drop("SET SESSION sql_log_bin = 0").await;
    // A statement of somebody else that holds the table of plugins must not hold us for ever.
    let _ = conn.query_drop("SET SESSION lock_wait_timeout = 30").await;
    Ok(Server {
        conn,
        opts,
        mariadb,
        plugin_dir: plugin_dir.into(),
    })
}

async fn close(server: Server) {
    // The work is done; a server that goes away now takes nothing back.
    let _ = server.conn.disconnect().await;
}

/// Puts the file into the plugin folder. True if one was replaced.
fn put_file(
    options: &Options,
    plugin_dir: &Path,
    say: &mut dyn FnMut(String),
) -> Result<bool, InstallError> {
    let target = plugin_dir.join(SONAME);
    let Some(source) = file::find(options.file.as_deref(), &target)? else {
        say(format!(
            "using {}, which is there already",
            target.display()
        ));
        return Ok(false);
    };
    Ok(match file::put(&source, &target)? {
        file::Put::Same => {
            say(format!("{} is up to date", target.display()));
            false
        }
        file::Put::New => {
            say(format!(
                "copied {} to {}",
                source.display(),
                target.display()
            ));
            false
        }
        file::Put::Replaced => {
            say(format!(
                "replaced {} by {}",
                target.display(),
                source.display()
            ));
            true
        }
    })
}

/// Every plugin that bears one of our names or comes from our file, with its file; those that are on their way out
/// are not among them.
async fn loaded(server: &mut Server) -> Result<BTreeMap<String, String>, InstallError> {
    let statement = "SELECT PLUGIN_NAME, COALESCE(PLUGIN_LIBRARY, '') FROM INFORMATION_SCHEMA.PLUGINS WHERE PLUGIN_STATUS <> 'DELETED'";
    let rows: Vec<(String, String)> = bounded(statement, server.conn.query(statement)).await?;
    let canonical = |name: &str| {
        TABLES
            .iter()
            .chain([&DAEMON])
            .find(|ours| ours.eq_ignore_ascii_case(name))
            .map(|ours| (*ours).to_owned())
    };
    Ok(rows
        .into_iter()
        .filter_map(|(name, library)| Some((canonical(&name)?, library)))
        .collect())
}

fn refuse_strangers(found: &BTreeMap<String, String>) -> Result<(), InstallError> {
    match found.iter().find(|(_, library)| *library != SONAME) {
        Some((name, library)) => Err(InstallError::NameTaken {
            name: name.clone(),
            library: if library.is_empty() {
                "the server itself".to_owned()
            } else {
                library.clone()
            },
        }),
        None => Ok(()),
    }
}

/// Names that the server will load by itself at its next start, from `mysql.plugin`; none where we may not read it.
async fn remembered(server: &mut Server) -> Option<Vec<String>> {
    let rows: Result<Vec<String>, _> = server.conn.query("SELECT name FROM mysql.plugin").await;
    rows.ok()
}

/// Runs the statements, in a write window where one is needed and allowed. The window is closed before the outcome is
/// looked at.
async fn run_all(
    server: &mut Server,
    what: &'static str,
    statements: &[(&str, String)],
    allow_write: bool,
    say: &mut dyn FnMut(String),
) -> Result<(), InstallError> {
    let window = if server.mariadb {
        // MariaDB's read_only has one level, and an account that may write is not held up by it.
        None
    } else {
        let statement = "SELECT @@global.super_read_only";
        let on: Option<bool> = bounded(statement, server.conn.query_first(statement)).await?;
        if on == Some(true) {
            if !allow_write {
                return Err(InstallError::SuperReadOnly { what });
            }
            Some(WriteWindow::open(&mut server.conn, &server.opts).await?)
        } else {
            None
        }
    };
    if window.is_some() {
        say("switched super_read_only off for a moment; read_only stays on".to_owned());
    }
    let mut outcome = Ok(true);
    for (name, statement) in statements {
        outcome = run_one(server, what, name, statement).await;
        match &outcome {
            Ok(true) => say(statement.clone()),
            Ok(false) => say(format!("{name} needs nothing: {} already", done_word(what))),
            Err(_) => break,
        }
    }
    if let Some(window) = window {
        window.close(&mut server.conn).await?;
        say("switched super_read_only on again".to_owned());
    }
    outcome.map(|_| ())
}

fn done_word(what: &str) -> &'static str {
    if what == "INSTALL" {
        "installed"
    } else {
        "gone"
    }
}

/// True: done by us; false: was so already.
async fn run_one(
    server: &mut Server,
    what: &str,
    name: &str,
    statement: &str,
) -> Result<bool, InstallError> {
    let since = Instant::now();
    loop {
        let ran = bounded(statement, server.conn.query_drop(statement)).await;
        let code = match &ran {
            Ok(()) => return Ok(true),
            Err(InstallError::Sql {
                source: mysql_async::Error::Server(error),
                ..
            }) => error.code,
            Err(_) => return ran.map(|()| true),
        };
        let installing = what == "INSTALL";
        if code == READ_ONLY {
            return Err(if server.mariadb {
                InstallError::ReadOnly
            } else {
                InstallError::SuperReadOnly {
                    what: if installing { "INSTALL" } else { "UNINSTALL" },
                }
            });
        }
        if installing && ALREADY.contains(&code) {
            // Somebody else was quicker, or an old one is still on its way out.
            if loaded(server).await?.contains_key(name) {
                return Ok(false);
            }
        } else if !installing && code == DOES_NOT_EXIST {
            return Ok(false);
        } else {
            return ran.map(|()| true);
        }
        if since.elapsed() > SETTLE_WITHIN {
            return Err(InstallError::StillInUse(name.to_owned()));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Says whether the plugin has found its agent.
async fn tell_link(server: &mut Server, say: &mut dyn FnMut(String)) -> Result<(), InstallError> {
    let statement = "SELECT AGENT_STATE FROM INFORMATION_SCHEMA.CLUSTER_VIEW";
    let until = Instant::now() + LINK_WITHIN;
    loop {
        let state: Option<String> = bounded(statement, server.conn.query_first(statement)).await?;
        let state = state.unwrap_or_default();
        if state == "CONNECTED" {
            say("the plugin is connected to the agent".to_owned());
            return Ok(());
        }
        if Instant::now() > until {
            let path = "SELECT @@global.muster_agent_socket";
            let path: Option<String> = bounded(path, server.conn.query_first(path)).await?;
            say(format!(
                "the plugin works but has not reached the agent at {} yet (AGENT_STATE {state}): is `muster agent` running, with this plugin_socket?",
                path.unwrap_or_default()
            ));
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Runs a statement within [`ANSWER_WITHIN`].
async fn bounded<T>(
    statement: &str,
    running: impl Future<Output = Result<T, mysql_async::Error>>,
) -> Result<T, InstallError> {
    match tokio::time::timeout(ANSWER_WITHIN, running).await {
        Err(_) => Err(InstallError::NoAnswer(statement.to_owned())),
        Ok(Err(source)) => Err(InstallError::Sql {
            statement: statement.to_owned(),
            source,
        }),
        Ok(Ok(value)) => Ok(value),
    }
}
