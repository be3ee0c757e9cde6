//! One running MySQL or MariaDB server.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use crate::error::{Error, Result};
use crate::install::{Install, Kind};
use crate::port;
use crate::process::{Ended, Process, Program, last_lines};
use crate::run_dir::RunDir;
use crate::sql::{self, Strings};
use crate::template;

/// How long a server may take to serve, or to end after SHUTDOWN. Generous: machines are slow at times.
const LIMIT: Duration = Duration::from_secs(60);

/// How to start a server. Every field has a default that suits a test.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    name: String,
    server_id: Option<u32>,
    host: IpAddr,
    port: Option<u16>,
    plugin: Option<PathBuf>,
    load_at_boot: bool,
    namespace: Option<String>,
    detached: bool,
    extra: Vec<String>,
}

impl ServerOptions {
    /// A server on 127.0.0.1, with a port that the system chooses, without the plugin.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            server_id: None,
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: None,
            plugin: None,
            load_at_boot: false,
            namespace: None,
            detached: false,
            extra: Vec::new(),
        }
    }

    /// The address to listen on, and to report to others.
    #[must_use]
    pub fn host(mut self, host: IpAddr) -> Self {
        self.host = host;
        self
    }

    /// The port to listen on.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// `server_id`; without it each server of the process gets the next number.
    #[must_use]
    pub fn server_id(mut self, server_id: u32) -> Self {
        self.server_id = Some(server_id);
        self
    }

    /// Puts this file into the server's plugin folder as `muster.so`, ready for INSTALL PLUGIN.
    #[must_use]
    pub fn plugin(mut self, file: &Path) -> Self {
        self.plugin = Some(file.to_path_buf());
        self
    }

    /// Where the plugin finds its agent; for a boot with it and for a later INSTALL PLUGIN.
    #[must_use]
    pub fn agent_socket(self, socket: &Path) -> Self {
        // A server without the plugin ignores an option that begins so.
        let option = format!("--loose-muster-agent-socket={}", socket.display());
        self.option(&option)
    }

    /// Also loads it at boot (`plugin-load-add=muster.so`).
    #[must_use]
    pub fn load_at_boot(mut self) -> Self {
        self.load_at_boot = true;
        self
    }

    /// Runs the server inside a network namespace.
    #[must_use]
    pub fn namespace(mut self, name: &str) -> Self {
        self.namespace = Some(name.to_owned());
        self
    }

    /// Lets the server outlive us.
    #[must_use]
    pub fn detached(mut self) -> Self {
        self.detached = true;
        self
    }

    /// One more option of the server's own; it wins over ours.
    #[must_use]
    pub fn option(mut self, option: &str) -> Self {
        self.extra.push(option.to_owned());
        self
    }
}

/// A server with its data directory. Dropping it kills the server and removes the data.
#[derive(Debug)]
pub struct Server {
    options: ServerOptions,
    install: Install,
    server_id: u32,
    port: u16,
    process: Option<Process>,
    /// One connection, kept for the helpers below.
    conn: Mutex<Option<Conn>>,
    dir: RunDir,
}

impl Server {
    /// Makes a data directory, starts a server on it, and waits until it serves.
    pub async fn start(install: &Install, options: ServerOptions) -> Result<Self> {
        static NEXT_ID: AtomicU32 = AtomicU32::new(1);
        let dir = RunDir::new()?;
        template::copy(install, &dir.path().join("data"))?;
        for name in ["plugin", "tmp"] {
            let path = dir.path().join(name);
            fs::create_dir(&path).map_err(Error::io("create", &path))?;
        }
        link_own_plugins(install, &dir.path().join("plugin"))?;
        let port = match options.port {
            Some(port) => port,
            None => port::free(options.host)?,
        };
        let server_id = options
            .server_id
            .unwrap_or_else(|| NEXT_ID.fetch_add(1, Ordering::Relaxed));
        let mut server = Self {
            options,
            install: install.clone(),
            server_id,
            port,
            process: None,
            conn: Mutex::new(None),
            dir,
        };
        if let Some(plugin) = server.options.plugin.clone() {
            server.put_plugin(&plugin)?;
        }
        server.start_again().await?;
        Ok(server)
    }

    /// Starts the server again on its data, on the same port, and waits until it serves.
    pub async fn start_again(&mut self) -> Result<()> {
        self.launch()?;
        self.wait_until_serving(LIMIT).await
    }

    /// Starts the process, and does not wait.
    pub fn launch(&mut self) -> Result<()> {
        if self.is_running() {
            return Err(self.error("it runs already"));
        }
        self.forget_connection();
        let mut program = Program::in_namespace(
            self.options.namespace.as_deref(),
            self.install.program(),
            &self.log_path(),
        );
        program
            .args(self.arguments())
            .detached(self.options.detached);
        self.process = Some(program.start()?);
        Ok(())
    }

    /// Waits until the server answers a query on its unix socket.
    pub async fn wait_until_serving(&self, limit: Duration) -> Result<()> {
        let started = Instant::now();
        loop {
            if let Some(ended) = self.process.as_ref().and_then(Process::ended) {
                return Err(self.error(&format!(
                    "it ended with {} instead of serving",
                    ended.describe()
                )));
            }
            match Conn::new(sql::socket_options(&self.socket())).await {
                Ok(mut conn) => {
                    if conn.query_drop("SELECT 1").await.is_ok() {
                        self.keep_connection(conn);
                        return Ok(());
                    }
                }
                Err(error) if started.elapsed() > limit => {
                    return Err(self.error(&format!(
                        "it does not serve after {} s ({error})",
                        limit.as_secs()
                    )));
                }
                Err(_) => {}
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Stops it in order, by the statement SHUTDOWN, and waits for its end.
    pub async fn shutdown(&self) -> Result<Ended> {
        // The answer may be cut off by the very shutdown.
        let mut conn = self.connect().await?;
        self.forget_connection();
        let _ = conn.query_drop("SHUTDOWN").await;
        drop(conn);
        self.wait_for_end(LIMIT).await
    }

    /// Waits for the end of the process.
    pub async fn wait_for_end(&self, limit: Duration) -> Result<Ended> {
        let process = self
            .process
            .as_ref()
            .ok_or_else(|| self.error("it was not started"))?;
        process
            .wait(limit)
            .await
            .ok_or_else(|| self.error(&format!("it still runs after {} ms", limit.as_millis())))
    }

    /// `kill -9`, and waits for the end; returns the moment before the signal.
    pub async fn kill(&self) -> Result<Instant> {
        self.forget_connection();
        let at = self.running()?.kill();
        self.wait_for_end(LIMIT).await?;
        Ok(at)
    }

    /// The running process: for `kill`, `freeze`, `thaw` and signals without a wait.
    pub fn running(&self) -> Result<&Process> {
        self.process
            .as_ref()
            .filter(|process| process.ended().is_none())
            .ok_or_else(|| self.error("it does not run"))
    }

    /// Whether its process runs (or is frozen).
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.process
            .as_ref()
            .is_some_and(|process| process.ended().is_none())
    }

    /// The process, ended or not.
    #[must_use]
    pub fn process(&self) -> Option<&Process> {
        self.process.as_ref()
    }

    /// Puts a plugin file in place as `muster.so`, by rename, as an upgrade of it must.
    pub fn put_plugin(&self, file: &Path) -> Result<()> {
        let folder = self.plugin_dir();
        let new = folder.join("muster.so.new");
        fs::copy(file, &new).map_err(Error::io("copy", file))?;
        fs::rename(&new, folder.join("muster.so")).map_err(Error::io("put in place", &new))
    }

    /// The name given in the options.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.options.name
    }

    /// MySQL or MariaDB.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.install.kind()
    }

    /// The installation that it runs from.
    #[must_use]
    pub fn install(&self) -> &Install {
        &self.install
    }

    /// The address it listens on.
    #[must_use]
    pub fn host(&self) -> IpAddr {
        self.options.host
    }

    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its unix socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("mysqld.sock")
    }

    /// Its folder of plugins.
    #[must_use]
    pub fn plugin_dir(&self) -> PathBuf {
        self.dir.path().join("plugin")
    }

    /// Its data directory.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Its error log.
    #[must_use]
    pub fn log_path(&self) -> PathBuf {
        self.dir.path().join("error.log")
    }

    /// The whole error log so far.
    #[must_use]
    pub fn log(&self) -> String {
        crate::process::tail(&self.log_path(), 16 << 20)
    }

    /// Its private folder, in which a test may put more, such as an agent's socket.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Adds an option for the next start; it wins over ours.
    pub fn add_option(&mut self, option: &str) {
        self.options.extra.push(option.to_owned());
    }

    /// Leaves the server and its data alone from now on.
    pub fn keep(&mut self) {
        if let Some(process) = &mut self.process {
            process.forget();
        }
        self.dir.keep();
    }

    /// A new connection as `root`, over the unix socket.
    pub async fn connect(&self) -> Result<Conn> {
        Conn::new(sql::socket_options(&self.socket()))
            .await
            .map_err(|source| self.refused("(connect)", source))
    }

    /// A new connection as `root`, over TCP. Inside a namespace the server is not reachable so.
    pub async fn connect_tcp(&self) -> Result<Conn> {
        let options = sql::tcp_options(&self.options.host.to_string(), self.port);
        Conn::new(options)
            .await
            .map_err(|source| self.refused("(connect over TCP)", source))
    }

    /// Runs a statement and drops what it returns.
    pub async fn execute(&self, statement: &str) -> Result<()> {
        let mut conn = self.borrow().await?;
        let result = conn.query_drop(statement).await;
        self.give_back(conn, statement, result)
    }

    /// Every row of a query as text.
    pub async fn rows(&self, query: &str) -> Result<Vec<Strings>> {
        let mut conn = self.borrow().await?;
        let result = sql::rows_as_strings(&mut conn, query).await;
        self.give_back(conn, query, result)
    }

    /// Every row of a query as text, by column name.
    pub async fn named_rows(&self, query: &str) -> Result<Vec<BTreeMap<String, Option<String>>>> {
        let mut conn = self.borrow().await?;
        let result = sql::rows_by_name(&mut conn, query).await;
        self.give_back(conn, query, result)
    }

    /// The first column of the first row.
    pub async fn value(&self, query: &str) -> Result<Option<String>> {
        Ok(self
            .rows(query)
            .await?
            .into_iter()
            .next()
            .and_then(|row| row.into_iter().next())
            .flatten())
    }

    fn arguments(&self) -> Vec<String> {
        let host = self.options.host;
        let path = |name: &str| self.dir.path().join(name).display().to_string();
        let mut arguments = self.install.location_options();
        arguments.extend([
            format!("--datadir={}", path("data")),
            format!("--plugin-dir={}", path("plugin")),
            format!("--tmpdir={}", path("tmp")),
            format!("--socket={}", self.socket().display()),
            format!("--pid-file={}", path("mysqld.pid")),
            format!("--bind-address={host}"),
            format!("--port={}", self.port),
            format!("--report-host={host}"),
            format!("--report-port={}", self.port),
            format!("--server-id={}", self.server_id),
            "--log-bin=binlog".to_owned(),
            "--relay-log=relay".to_owned(),
            "--binlog-format=ROW".to_owned(),
            "--skip-name-resolve".to_owned(),
            // Small: several of them share a machine with a compiler.
            "--innodb-buffer-pool-size=16M".to_owned(),
            "--innodb-read-io-threads=1".to_owned(),
            "--innodb-write-io-threads=1".to_owned(),
            "--innodb-purge-threads=1".to_owned(),
            "--innodb-doublewrite=OFF".to_owned(),
            // To the system, if not to the disk: a killed server must keep what it acknowledged.
            "--innodb-flush-log-at-trx-commit=2".to_owned(),
            "--sync-binlog=0".to_owned(),
            "--table-open-cache=64".to_owned(),
            "--table-definition-cache=400".to_owned(),
            "--max-connections=200".to_owned(),
        ]);
        match self.kind() {
            Kind::MySql => arguments.extend(
                [
                    "--gtid-mode=ON",
                    "--enforce-gtid-consistency=ON",
                    "--log-replica-updates=ON",
                    "--skip-replica-start=OFF",
                    "--innodb-redo-log-capacity=16M",
                    "--innodb-page-cleaners=1",
                ]
                .map(str::to_owned),
            ),
            Kind::MariaDb => arguments.extend(
                [
                    "--gtid-strict-mode=ON",
                    "--log-slave-updates=ON",
                    "--innodb-log-file-size=16M",
                ]
                .map(str::to_owned),
            ),
        }
        if self.options.load_at_boot {
            arguments.push("--plugin-load-add=muster.so".to_owned());
            if self.kind() == Kind::MariaDb {
                // A MariaDB server loads no plugin that calls itself less than stable, unless told to.
                arguments.push("--plugin-maturity=unknown".to_owned());
            }
        }
        arguments.extend(self.options.extra.iter().cloned());
        arguments
    }

    async fn borrow(&self) -> Result<Conn> {
        let kept = self.lock().take();
        match kept {
            Some(conn) => Ok(conn),
            None => self.connect().await,
        }
    }

    fn give_back<T>(
        &self,
        conn: Conn,
        statement: &str,
        result: std::result::Result<T, mysql_async::Error>,
    ) -> Result<T> {
        // After an error the connection may be cut off; the next statement makes a new one.
        match result {
            Ok(value) => {
                self.keep_connection(conn);
                Ok(value)
            }
            Err(source) => Err(self.refused(statement, source)),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Conn>> {
        self.conn
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn keep_connection(&self, conn: Conn) {
        *self.lock() = Some(conn);
    }

    fn forget_connection(&self) {
        *self.lock() = None;
    }

    fn refused(&self, statement: &str, source: mysql_async::Error) -> Error {
        Error::Sql {
            server: self.options.name.clone(),
            statement: statement.chars().take(120).collect(),
            source,
        }
    }

    fn error(&self, what: &str) -> Error {
        let log = last_lines(&crate::process::tail(&self.log_path(), 8192), 8);
        Error::Server {
            server: self.options.name.clone(),
            what: format!("{what}; the end of its log:\n{log}"),
        }
    }
}

/// Links the server's own plugins into a private folder, so that ours can lie beside them.
fn link_own_plugins(install: &Install, folder: &Path) -> Result<()> {
    let own = install.plugins();
    for entry in fs::read_dir(own).map_err(Error::io("read", own))? {
        let path = entry.map_err(Error::io("read", own))?.path();
        if path.extension().is_some_and(|extension| extension == "so")
            && let Some(name) = path.file_name()
        {
            let link = folder.join(name);
            std::os::unix::fs::symlink(&path, &link).map_err(Error::io("link", &link))?;
        }
    }
    Ok(())
}
