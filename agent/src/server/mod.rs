//! The agent's end of the link to the plugin in the local server.
//!
//! [`ServerLink::start`] makes the unix socket and from then on everything runs by itself: plugins connect
//! ([`connection`]), one of them is let in and bound ([`state`]), its reports become [`ServerSnapshot`]s, its process is
//! watched ([`process`]), and what the wiring publishes is pushed to it ([`outbox`]).
//!
//! The wiring calls [`watch`](ServerLink::watch) and reacts to every change; `urgent` in the snapshot tells a change
//! that others must hear of at once from a mere heartbeat. It calls
//! [`publish_observed`](ServerLink::publish_observed) at least every `AGENT_SILENCE_MS_MAX / 4`: nothing here repeats
//! it, so that a wiring that hangs shows in the server's tables as an agent that is silent.

mod access;
mod build_check;
mod check;
mod connection;
pub mod install;
pub mod limits;
mod memory;
mod outbox;
mod process;
mod snapshot;
mod socket;
mod state;
#[cfg(test)]
mod test_data;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use muster_core::ids::MemberId;
use muster_link::view::{EventRow, Observed, View};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};

pub use memory::MemoryError;
pub use snapshot::ServerSnapshot;
pub use socket::SocketError;

use connection::{End, Shared};
use memory::{Memory, Remembered};

/// How the link is set up.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Where the plugin finds us.
    pub socket_path: PathBuf,
    /// Group that the socket is given to, by name or number; none = the primary group of the first of `users` that
    /// the system knows.
    pub socket_group: Option<String>,
    /// Users whose servers may connect, by name or number; root and the agent's own user always may.
    pub users: Vec<String>,
    /// File that remembers the server over a restart of the agent; none = nothing is remembered.
    pub memory_path: Option<PathBuf>,
    /// Name of this agent, for the plugin's log.
    pub agent_name: String,
    /// Version of this program.
    pub agent_version: String,
    /// A connection that has not introduced itself for this long is closed.
    pub hello_within: Duration,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            socket_path: "/run/muster/agent.sock".into(),
            socket_group: None,
            users: vec!["mysql".to_owned()],
            memory_path: None,
            agent_name: String::new(),
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            hello_within: limits::HELLO_WITHIN,
        }
    }
}

/// Why the link could not be started.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The socket.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// What a former process of the agent left.
    #[error(transparent)]
    Memory(#[from] MemoryError),
}

/// The link. Dropping it closes the connection and removes the socket.
#[derive(Debug)]
pub struct ServerLink {
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
    remembering: JoinHandle<()>,
    watching: JoinHandle<()>,
}

impl ServerLink {
    /// Makes the socket and starts to serve it. Must be called within a tokio runtime.
    pub fn start(config: ServerConfig) -> Result<Self, ServerError> {
        let memory = Memory::open(config.memory_path.as_deref())?;
        let group = config.socket_group.as_deref();
        let listener = socket::listen(&config.socket_path, group, &config.users)?;
        let shared = Arc::new(Shared {
            access: access::Access::new(&config.users),
            state: state::State::new(),
            outbox: outbox::Outbox::new(),
            agent_name: config.agent_name,
            agent_version: config.agent_version,
            hello_within: config.hello_within,
        });
        if let Some(last) = memory.last() {
            shared.state.resume(last);
        }
        let watching = tokio::spawn(watch_processes(Arc::clone(&shared)));
        let remembering = tokio::spawn(remember(memory, shared.state.memories()));
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self {
            shared,
            accepting,
            remembering,
            watching,
        })
    }

    /// What is known of the server, now and at every change.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<ServerSnapshot> {
        self.shared.state.watch()
    }

    /// Binds the agent to a server that the group already knows as its own; ignored if it is bound. Without this, the
    /// first server that introduces itself is taken.
    pub fn bind(&self, member_id: MemberId) {
        self.shared.state.bind(member_id);
    }

    /// Forgets the server, as after `muster leave`: its connection is closed and the next server is taken.
    pub fn forget(&self) {
        self.shared.state.forget();
    }

    /// Pushes the ordered facts, if they differ from the last ones. Never waits.
    pub fn publish_view(&self, view: Arc<View>) {
        self.shared.outbox.publish_view(view);
    }

    /// Pushes the observed facts; also equal ones, because their arrival is the agent's sign of life. Never waits.
    pub fn publish_observed(&self, observed: Arc<Observed>) {
        self.shared.outbox.publish_observed(observed);
    }

    /// Pushes those of `events` (oldest first) that are newer than the newest known one; `reset` says that earlier ones
    /// are void (the state was replaced as a whole). Never waits.
    pub fn publish_events(&self, reset: bool, events: Vec<EventRow>) {
        self.shared.outbox.publish_events(reset, events);
    }

    /// Closes the link in order: no new connection, the socket's file removed, the present connection closed.
    pub async fn close(mut self) {
        self.accepting.abort();
        // Its only way to fail is being aborted.
        let _ = (&mut self.accepting).await;
    }
}

impl Drop for ServerLink {
    fn drop(&mut self) {
        self.accepting.abort();
        self.remembering.abort();
        self.watching.abort();
    }
}

/// Takes connections until it is aborted; they end with it.
async fn accept(listener: socket::Listener, shared: Arc<Shared>) {
    let strangers = Arc::new(Semaphore::new(limits::STRANGERS_MAX));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of descriptors, most likely: it passes or it does not, but it must not burn a core.
                tracing::warn!(%error, "a connection to the agent's socket could not be taken");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Ok(permit) = Arc::clone(&strangers).try_acquire_owned() else {
            tracing::warn!("too many connections that do not introduce themselves; one was closed");
            continue;
        };
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let end = connection::serve(shared, stream, || drop(permit)).await;
            match end {
                End::Closed | End::Bye(_) => tracing::info!(%end, "a plugin's connection ended"),
                end => tracing::warn!(%end, "a plugin's connection ended"),
            }
        });
    }
}

/// Waits for the end of the server's process, whichever it is, and says so at once; how it ended may follow.
async fn watch_processes(shared: Arc<Shared>) {
    let mut processes = shared.state.processes();
    loop {
        let process = processes.borrow_and_update().clone();
        let watch_one = async {
            if let Some(process) = process {
                process.gone().await;
                let how = process.ending();
                let known = how.is_some();
                shared.state.process_gone(&process, how);
                if !known
                    && let Some(unit) = &process.unit
                    && let Some(how) = process::ending_from_systemd(unit, process.pid).await
                {
                    shared.state.process_gone(&process, Some(how));
                }
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = watch_one => {}
            changed = processes.changed() => if changed.is_err() { return },
        }
    }
}

/// Keeps the file equal to what is known, away from everything that must not wait for a disk.
async fn remember(mut memory: Memory, mut wanted: watch::Receiver<Option<Remembered>>) {
    while wanted.changed().await.is_ok() {
        let now = wanted.borrow_and_update().clone();
        let written = tokio::task::spawn_blocking(move || {
            match now {
                Some(now) => memory.remember(now),
                None => memory.forget(),
            }
            memory
        });
        match written.await {
            Ok(back) => memory = back,
            Err(error) => {
                tracing::error!(%error, "what is known of the server is no longer remembered");
                return;
            }
        }
    }
}
