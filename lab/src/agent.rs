//! One running `muster agent`.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::net::UnixStream;
use tokio::process::Command;

use crate::error::{Error, Result};
use crate::port;
use crate::process::{Ended, Process, Program, last_lines, tail};
use crate::run_dir::RunDir;

/// How long an agent may take to open its control socket, or to end after SIGTERM.
const LIMIT: Duration = Duration::from_secs(30);

/// How to start an agent.
#[derive(Debug, Clone)]
pub struct AgentOptions {
    name: String,
    program: PathBuf,
    site: Option<String>,
    priority: Option<u32>,
    host: IpAddr,
    port: Option<u16>,
    advertise: Option<SocketAddr>,
    namespace: Option<String>,
    text_listen: Option<SocketAddr>,
    detached: bool,
    environment: Vec<(String, String)>,
}

impl AgentOptions {
    /// An agent named `name` on 127.0.0.1, with a port that the system chooses; `program` is the binary `muster`.
    #[must_use]
    pub fn new(name: &str, program: &Path) -> Self {
        Self {
            name: name.to_owned(),
            program: program.to_path_buf(),
            site: None,
            priority: None,
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: None,
            advertise: None,
            namespace: None,
            text_listen: None,
            detached: false,
            environment: Vec::new(),
        }
    }

    /// Its data centre.
    #[must_use]
    pub fn site(mut self, site: &str) -> Self {
        self.site = Some(site.to_owned());
        self
    }

    /// Its server's promotion preference.
    #[must_use]
    pub fn priority(mut self, priority: u32) -> Self {
        self.priority = Some(priority);
        self
    }

    /// The address to listen on.
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

    /// The address that the other agents are told, such as a [`crate::forward::Forwarder`]'s.
    #[must_use]
    pub fn advertise(mut self, address: SocketAddr) -> Self {
        self.advertise = Some(address);
        self
    }

    /// Runs the agent inside a network namespace.
    #[must_use]
    pub fn namespace(mut self, name: &str) -> Self {
        self.namespace = Some(name.to_owned());
        self
    }

    /// Opens the text protocol there.
    #[must_use]
    pub fn text_listen(mut self, address: SocketAddr) -> Self {
        self.text_listen = Some(address);
        self
    }

    /// Lets the agent outlive us.
    #[must_use]
    pub fn detached(mut self) -> Self {
        self.detached = true;
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// The configuration file, as written.
#[derive(Debug, Serialize)]
struct Configuration<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    site: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<u32>,
    agent: AgentTable,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<TextTable>,
}

#[derive(Debug, Serialize)]
struct AgentTable {
    state_dir: PathBuf,
    control_socket: PathBuf,
    plugin_socket: PathBuf,
    listen: String,
    advertise: String,
    server_user: Vec<String>,
}

#[derive(Debug, Serialize)]
struct TextTable {
    listen: String,
}

/// An agent with its state. Dropping it kills the agent and removes the state.
#[derive(Debug)]
pub struct Agent {
    options: AgentOptions,
    port: u16,
    process: Option<Process>,
    dir: RunDir,
}

impl Agent {
    /// Makes folders and configuration, and starts nothing: the paths are known from here on.
    pub fn prepare(options: AgentOptions) -> Result<Self> {
        let dir = RunDir::new()?;
        let port = match options.port {
            Some(port) => port,
            None => port::free(options.host)?,
        };
        let agent = Self {
            options,
            port,
            process: None,
            dir,
        };
        agent.write_configuration()?;
        Ok(agent)
    }

    /// [`Agent::prepare`] and [`Agent::start_again`].
    pub async fn start(options: AgentOptions) -> Result<Self> {
        let mut agent = Self::prepare(options)?;
        agent.start_again().await?;
        Ok(agent)
    }

    /// Starts the agent on its state, and waits until its control socket answers.
    pub async fn start_again(&mut self) -> Result<()> {
        self.launch()?;
        self.wait_until_answering(LIMIT).await
    }

    /// Starts the process, and does not wait.
    pub fn launch(&mut self) -> Result<()> {
        if self.is_running() {
            return Err(self.error("it runs already"));
        }
        let mut program = Program::in_namespace(
            self.options.namespace.as_deref(),
            &self.options.program,
            &self.log_path(),
        );
        program
            .arg("agent")
            .arg("--config")
            .arg(self.configuration())
            .detached(self.options.detached);
        for (name, value) in &self.options.environment {
            program.env(name, value);
        }
        self.process = Some(program.start()?);
        Ok(())
    }

    /// Waits until the control socket takes connections.
    pub async fn wait_until_answering(&self, limit: Duration) -> Result<()> {
        let started = Instant::now();
        while UnixStream::connect(self.control_socket()).await.is_err() {
            if let Some(ended) = self.process.as_ref().and_then(Process::ended) {
                return Err(self.error(&format!(
                    "it ended with {} instead of answering",
                    ended.describe()
                )));
            }
            if started.elapsed() > limit {
                return Err(self.error(&format!(
                    "its control socket does not answer after {} s",
                    limit.as_secs()
                )));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// SIGTERM, and waits for the orderly end.
    pub async fn stop(&self) -> Result<Ended> {
        self.running()?.signal(rustix::process::Signal::TERM);
        self.wait_for_end(LIMIT).await
    }

    /// `kill -9`, and waits for the end; returns the moment before the signal.
    pub async fn kill(&self) -> Result<Instant> {
        let at = self.running()?.kill();
        self.wait_for_end(LIMIT).await?;
        Ok(at)
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

    /// The running process.
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

    /// Removes its state, as a new disk would. It must not run.
    pub fn wipe(&self) -> Result<()> {
        if self.is_running() {
            return Err(self.error("it still runs; stop it before its state is removed"));
        }
        let state = self.state_dir();
        if state.exists() {
            fs::remove_dir_all(&state).map_err(Error::io("remove", &state))?;
        }
        make_private(&state)
    }

    /// Runs `muster` with these arguments against this agent, and gives what it wrote to stdout.
    pub async fn cli(&self, arguments: &[&str]) -> Result<String> {
        let mut command = match &self.options.namespace {
            None => Command::new(&self.options.program),
            Some(name) => {
                let mut command = Command::new("ip");
                command
                    .args(["netns", "exec", name])
                    .arg(&self.options.program);
                command
            }
        };
        command
            .args(arguments)
            .env("MUSTER_CONTROL_SOCKET", self.control_socket());
        command
            .stdin(std::process::Stdio::null())
            // Ctrl-C is for us; we end what we started in order.
            .process_group(0)
            .kill_on_drop(true);
        let output = tokio::time::timeout(LIMIT, command.output())
            .await
            .map_err(|_| {
                self.error(&format!(
                    "`muster {}` took more than 30 s",
                    arguments.join(" ")
                ))
            })?
            .map_err(Error::io("run", &self.options.program))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        if !output.status.success() {
            return Err(Error::Command {
                program: format!("muster {}", arguments.join(" ")),
                status: output.status.to_string(),
                output: last_lines(&text(&output.stderr), 6),
            });
        }
        Ok(text(&output.stdout))
    }

    /// Makes a cluster of this one agent; returns a join token.
    pub async fn init(&self, cluster: &str) -> Result<String> {
        last_line(&self.cli(&["init", "--cluster", cluster]).await?)
    }

    /// A new join token.
    pub async fn create_token(&self) -> Result<String> {
        last_line(&self.cli(&["token", "create"]).await?)
    }

    /// Joins the cluster of the agent at `contact`.
    pub async fn join(&self, token: &str, contact: SocketAddr, arbitrator: bool) -> Result<()> {
        let contact = contact.to_string();
        let mut arguments = vec!["join", "--token", token, contact.as_str()];
        if arbitrator {
            arguments.push("--arbitrator");
        }
        self.cli(&arguments).await.map(drop)
    }

    /// The name given in the options.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.options.name
    }

    /// The address that the other agents are told.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.options
            .advertise
            .unwrap_or_else(|| self.listen_address())
    }

    /// The address that it listens on.
    #[must_use]
    pub fn listen_address(&self) -> SocketAddr {
        SocketAddr::new(self.options.host, self.port)
    }

    /// The process, ended or not.
    #[must_use]
    pub fn process(&self) -> Option<&Process> {
        self.process.as_ref()
    }

    /// The unix socket of the command line.
    #[must_use]
    pub fn control_socket(&self) -> PathBuf {
        self.dir.path().join("control.sock")
    }

    /// The unix socket of the plugin.
    #[must_use]
    pub fn plugin_socket(&self) -> PathBuf {
        self.dir.path().join("plugin.sock")
    }

    /// The folder of its state.
    #[must_use]
    pub fn state_dir(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// Its configuration file.
    #[must_use]
    pub fn configuration(&self) -> PathBuf {
        self.dir.path().join("muster.toml")
    }

    /// Where its messages go.
    #[must_use]
    pub fn log_path(&self) -> PathBuf {
        self.dir.path().join("agent.log")
    }

    /// All that it wrote so far.
    #[must_use]
    pub fn log(&self) -> String {
        tail(&self.log_path(), 16 << 20)
    }

    /// Leaves the agent and its state alone from now on.
    pub fn keep(&mut self) {
        if let Some(process) = &mut self.process {
            process.forget();
        }
        self.dir.keep();
    }

    fn write_configuration(&self) -> Result<()> {
        make_private(&self.state_dir())?;
        let configuration = Configuration {
            name: &self.options.name,
            site: self.options.site.as_deref(),
            priority: self.options.priority,
            agent: AgentTable {
                state_dir: self.state_dir(),
                control_socket: self.control_socket(),
                plugin_socket: self.plugin_socket(),
                listen: self.listen_address().to_string(),
                advertise: self.address().to_string(),
                server_user: vec![user_name()?],
            },
            text: self.options.text_listen.map(|address| TextTable {
                listen: address.to_string(),
            }),
        };
        let path = self.configuration();
        let text =
            toml::to_string(&configuration).map_err(|error| self.error(&error.to_string()))?;
        fs::write(&path, text).map_err(Error::io("write", &path))
    }

    fn error(&self, what: &str) -> Error {
        let log = last_lines(&tail(&self.log_path(), 8192), 8);
        Error::Agent {
            agent: self.options.name.clone(),
            what: format!("{what}; the end of its log:\n{log}"),
        }
    }
}

/// A folder that only its owner may enter, as an agent's state must be.
fn make_private(folder: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(Error::io("create", folder))
}

fn last_line(text: &str) -> Result<String> {
    text.lines()
        .last()
        .map(|line| line.trim().to_owned())
        .filter(|line| !line.is_empty())
        .ok_or_else(|| Error::Command {
            program: "muster".into(),
            status: "success".into(),
            output: "it printed no token".into(),
        })
}

/// As whom the servers run: as we do.
fn user_name() -> Result<String> {
    crate::process::run(std::process::Command::new("id").arg("-un"))
        .map(|name| name.trim().to_owned())
}
