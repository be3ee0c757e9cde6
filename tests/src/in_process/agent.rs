//! One agent in the test's process.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use muster_agent::config::{self, Config};
use muster_agent::control::client::Client;
use muster_agent::control::types::{InitRequest, JoinRequest, StatusReply};
use muster_agent::node;
use muster_agent::service::Service;
use tokio::sync::oneshot;

/// An agent that runs, or does not.
#[derive(Debug)]
pub struct Agent {
    name: String,
    folder: PathBuf,
    address: SocketAddr,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    stop: oneshot::Sender<End>,
    thread: JoinHandle<Result<(), String>>,
}

/// How an agent ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// As by SIGTERM.
    InOrder,
    /// As by SIGKILL: its runtime is dropped where it stands.
    AtOnce,
}

impl Agent {
    /// Prepares an agent in `folder` on a loopback port of its own.
    pub fn prepare(folder: &Path, name: &str) -> Result<Self> {
        let folder = folder.join(name);
        std::fs::create_dir_all(&folder)?;
        // The system names a port that is free now; it is bound again within the same test.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        Ok(Self {
            name: name.to_owned(),
            folder,
            address,
            running: None,
        })
    }

    /// Prepares and starts one.
    pub async fn start_new(folder: &Path, name: &str) -> Result<Self> {
        let mut agent = Self::prepare(folder, name)?;
        agent.start().await?;
        Ok(agent)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `host:port` of its peer port.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Its state folder.
    #[must_use]
    pub fn state_dir(&self) -> PathBuf {
        self.folder.join("state")
    }

    /// Where a plugin finds it.
    #[must_use]
    pub fn plugin_socket(&self) -> PathBuf {
        self.folder.join("plugin.sock")
    }

    /// Asks it as the command line does.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(self.folder.join("control.sock"))
    }

    /// Starts it and waits until it answers.
    pub async fn start(&mut self) -> Result<()> {
        let config = self.config()?;
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name(format!("agent-{}", self.name))
            .spawn(move || run(config, stopped))?;
        self.running = Some(Running { stop, thread });
        let begun = Instant::now();
        while self.client().status().await.is_err() {
            if self
                .running
                .as_ref()
                .is_some_and(|r| r.thread.is_finished())
                || begun.elapsed() > Duration::from_secs(20)
            {
                let why = self.running.take().map(|r| join(r.thread));
                bail!("agent {} did not start: {why:?}", self.name);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    /// Ends it as SIGTERM does.
    pub fn stop(&mut self) -> Result<()> {
        self.end(End::InOrder)
    }

    /// Ends it as SIGKILL does.
    pub fn kill(&mut self) -> Result<()> {
        self.end(End::AtOnce)
    }

    fn end(&mut self, how: End) -> Result<()> {
        if let Some(running) = self.running.take() {
            let _ = running.stop.send(how);
            join(running.thread).map_err(anyhow::Error::msg)?;
        }
        Ok(())
    }

    /// `muster init`; the first join token.
    pub async fn init(&self) -> Result<String> {
        let request = InitRequest {
            cluster_name: "test".to_owned(),
        };
        Ok(self.client().init(&request).await?.token)
    }

    /// `muster join` through another agent; the number it got.
    pub async fn join(&self, through: &Agent, token: &str, arbitrator: bool) -> Result<u64> {
        let request = JoinRequest {
            token: token.to_owned(),
            address: through.address(),
            arbitrator,
        };
        Ok(self.client().join(&request).await?.agent_id)
    }

    /// A join token.
    pub async fn token(&self) -> Result<String> {
        Ok(self.client().token_create().await?.token)
    }

    /// `muster status --json`.
    pub async fn status(&self) -> Result<StatusReply> {
        Ok(self.client().status().await?)
    }

    fn config(&self) -> Result<Config> {
        let path = |name: &str| self.folder.join(name).display().to_string();
        let text = format!(
            "name = {:?}\n[agent]\nstate_dir = {:?}\ncontrol_socket = {:?}\nplugin_socket = {:?}\nlisten = \"{}\"\nadvertise = \"{}\"\nserver_user = [\"root\"]\n",
            self.name,
            path("state"),
            path("control.sock"),
            path("plugin.sock"),
            self.address,
            self.address,
        );
        config::parse(&text).context("the configuration that the test wrote")
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // A test that failed already says why; this only cleans up.
        let _ = self.kill();
    }
}

fn join(thread: JoinHandle<Result<(), String>>) -> Result<(), String> {
    thread
        .join()
        .unwrap_or_else(|_| Err("it panicked".to_owned()))
}

fn run(config: Config, stopped: oneshot::Receiver<End>) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|e| e.to_string())?;
    let service = Service::from_environment().map_err(|e| e.to_string())?;
    let (told, order) = oneshot::channel();
    let ended = runtime.block_on(async move {
        tokio::select! {
            ended = node::run_until(config, service, async move { let _ = order.await; }) => ended.map_err(|e| e.to_string()),
            how = async {
                let how = stopped.await.unwrap_or(End::AtOnce);
                if how == End::InOrder {
                    let _ = told.send(());
                    std::future::pending::<()>().await;
                }
            } => { let () = how; Ok(()) }
        }
    });
    runtime.shutdown_timeout(Duration::from_secs(10));
    ended
}
