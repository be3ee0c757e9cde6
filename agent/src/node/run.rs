//! The life of the process.

use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use muster_link::view::Observed;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Mutex, watch};
use tokio::time::{Duration, interval};

use super::entry::{self, ResumeError, set_leftover_aside};
use super::member::{Means, Member, store_dir};
use super::phase::Phase;
use super::publish::Shown;
use super::text_side::TextSide;
use crate::clock;
use crate::config::Config;
use crate::control::Refusal;
use crate::control::permission::Operators;
use crate::control::server::{BindError, ControlServer};
use crate::peer::identity::{IdentityError, IdentityStore};
use crate::server::{ServerConfig, ServerError, ServerLink};
use crate::service::Service;
use crate::text::{ListenError, TextServer};

/// Between two looks for the service manager.
const MANAGER_EVERY: Duration = Duration::from_secs(1);

/// Why the agent stopped, or never started.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The state folder.
    #[error(
        "the state folder {path} cannot be used: {why}; it must be writable for the user that the agent runs as"
    )]
    StateFolder {
        /// Which.
        path: String,
        /// What the system said.
        why: std::io::Error,
    },
    /// The identity on disk.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The link to the plugin.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The control socket.
    #[error(transparent)]
    Control(#[from] BindError),
    /// The membership.
    #[error(transparent)]
    Resume(#[from] ResumeError),
    /// The text protocol.
    #[error(transparent)]
    Text(#[from] ListenError),
    /// Signals.
    #[error("the signals of this process cannot be watched: {0}")]
    Signals(std::io::Error),
    /// It ran, and its consensus ended by itself.
    #[error("this agent can take no more part in the cluster and ends: {0}")]
    Failed(String),
}

/// The agent of this host.
pub(super) struct Node {
    pub(super) means: Means,
    pub(super) phase: ArcSwap<Phase>,
    /// One change of the phase at a time.
    pub(super) changing: Mutex<()>,
    pub(super) started_ms: u64,
    /// Told at each change of the phase, so that the main loop watches the right membership.
    phase_changed: watch::Sender<u64>,
}

/// Runs the agent until the process is told to stop. An error means that it could not start.
pub async fn run(config: Config, service: Service) -> Result<(), RunError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(RunError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(RunError::Signals)?;
    run_until(config, service, async move {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("told to terminate"),
            _ = interrupt.recv() => tracing::info!("interrupted"),
        }
    })
    .await
}

/// Runs an agent until `end` is ready; a process may run several.
pub async fn run_until(
    config: Config,
    service: Service,
    end: impl Future<Output = ()>,
) -> Result<(), RunError> {
    let config = Arc::new(config);
    let state_dir = &config.agent.state_dir;
    make_state_folder(state_dir).map_err(|why| RunError::StateFolder {
        path: state_dir.display().to_string(),
        why,
    })?;
    let identities = IdentityStore::open(state_dir)?;
    let server = Arc::new(ServerLink::start(ServerConfig {
        socket_path: config.agent.plugin_socket.clone(),
        users: config.agent.server_user.clone(),
        memory_path: Some(state_dir.join("server.json")),
        agent_name: config.name.clone(),
        ..ServerConfig::default()
    })?);
    let shown = Arc::new(Shown::default());
    let means = Means {
        config: config.clone(),
        server,
        identities,
        shown,
    };
    let member = entry::resume(&means).await?;
    let node = Arc::new(Node {
        phase: ArcSwap::from_pointee(member.map_or(Phase::Waiting, Phase::Member)),
        means,
        changing: Mutex::new(()),
        started_ms: clock::boot_ms(),
        phase_changed: watch::channel(0).0,
    });
    let operators = Operators::of_this_host(&config.agent.operator_group);
    let control =
        ControlServer::bind(&config.agent.control_socket, operators, node.clone()).await?;
    let text = match config.text.listen {
        Some(address) => Some(TextServer::start(address, TextSide(node.clone())).await?),
        None => None,
    };
    let (stop, mut stopped) = watch::channel(false);
    let serving = tokio::spawn(control.serve(async move {
        // The sender lives as long as this function.
        let _ = stopped.wait_for(|s| *s).await;
    }));
    tracing::info!(
        name = config.name,
        version = env!("CARGO_PKG_VERSION"),
        "the agent runs"
    );
    let failed = tokio::select! {
        () = end => None,
        why = node.watch_phase() => Some(why),
        () = node.serve_manager(&service) => None,
    };
    if let Some(why) = &failed {
        tracing::error!(why, "the consensus has ended");
    }
    service.stopping("the agent was told to stop");
    drop(text);
    stop.send_replace(true);
    if let Err(error) = serving.await {
        tracing::warn!(%error, "the control socket did not close in order");
    }
    if let Some(member) = node.phase.load().member() {
        member.stop().await;
    }
    failed.map_or(Ok(()), |why| Err(RunError::Failed(why)))
}

impl Node {
    /// Begins a membership.
    pub(super) fn enter(&self, member: Arc<Member>) {
        self.set_phase(Phase::Member(member));
    }

    fn set_phase(&self, phase: Phase) {
        self.phase.store(Arc::new(phase));
        self.phase_changed.send_modify(|n| *n += 1);
    }

    /// Tells the service manager how things are. Its watchdog is fed from here, by a pass that needs every lock that a
    /// request needs: an agent that hangs on one is restarted.
    async fn serve_manager(&self, service: &Service) {
        service.ready("starting");
        let every = service
            .watched_every()
            .unwrap_or(MANAGER_EVERY)
            .min(MANAGER_EVERY);
        let mut ticks = interval(every);
        loop {
            ticks.tick().await;
            let phase = self.phase.load_full();
            if let Some(member) = phase.member() {
                drop(member.evidence());
            }
            service.status(&self.means.shown.observed().summary);
            service.progress();
        }
    }

    /// While this agent is outside, its plugin is told so, and a membership that is told to end is ended. Returns when
    /// the consensus has ended by itself (its disk failed, say), with the reason: the process must end too.
    async fn watch_phase(&self) -> String {
        let mut changes = self.phase_changed.subscribe();
        let mut tick = interval(Duration::from_millis(500));
        loop {
            changes.borrow_and_update();
            let phase = self.phase.load_full();
            match &*phase {
                Phase::Member(member) => {
                    let mut out = member.out.subscribe();
                    let mut standing = member.consensus.standing();
                    let failed = async {
                        match standing.wait_for(|now| now.failed.is_some()).await {
                            Ok(now) => now.failed.clone().unwrap_or_default(),
                            // It was shut down in order; the phase changes next.
                            Err(_) => std::future::pending().await,
                        }
                    };
                    tokio::select! {
                        _ = changes.changed() => {}
                        why = failed => return why,
                        why = out.wait_for(Option::is_some) => {
                            let why = why.ok().and_then(|w| w.clone()).unwrap_or_default();
                            self.thrown_out(member, why).await;
                        }
                    }
                }
                outside => {
                    let observed = Observed {
                        summary: outside.sentence().unwrap_or_default().to_owned(),
                        local_member_id: self
                            .means
                            .server
                            .watch()
                            .borrow()
                            .bound
                            .clone()
                            .map(|id| id.0),
                        ..Observed::default()
                    };
                    self.means.shown.show_observed(&self.means.server, observed);
                    tokio::select! {
                        _ = changes.changed() => {}
                        _ = tick.tick() => {}
                    }
                }
            }
        }
    }

    /// The group has removed this agent.
    async fn thrown_out(&self, member: &Arc<Member>, why: String) {
        let _changing = self.changing.lock().await;
        let still = self
            .phase
            .load()
            .member()
            .is_some_and(|m| Arc::ptr_eq(m, member));
        if !still {
            return;
        }
        tracing::error!(why, "out of the cluster");
        if let Err(error) = self.leave_behind(member, why).await {
            tracing::error!(
                error,
                "what is left of the membership could not be put away"
            );
        }
    }

    /// Ends a membership for good: its identity is forgotten, its store moved aside.
    pub(super) async fn leave_behind(
        &self,
        member: &Arc<Member>,
        why: String,
    ) -> Result<(), String> {
        member.stop().await;
        self.set_phase(Phase::Out(why));
        self.means.identities.forget().map_err(|e| e.to_string())?;
        self.means.server.forget();
        set_leftover_aside(&store_dir(&self.means.config)).map_err(|e| e.to_string())
    }

    /// Goes on alone with the state that is here, one generation higher.
    pub(super) async fn recover_alone(&self, member: &Arc<Member>) -> Result<Arc<Member>, Refusal> {
        member.stop().await;
        let recovered = entry::recover(&self.means, member.me).await;
        // Whatever became of it, what is on disk is what this agent is.
        let started = entry::resume(&self.means).await;
        let started = started.map_err(|e| e.to_string()).and_then(|member| {
            member.ok_or_else(|| "the identity of this agent is gone from the disk".to_owned())
        });
        match started {
            Ok(member) => {
                self.enter(member.clone());
                recovered?;
                Ok(member)
            }
            Err(why) => {
                let why = format!(
                    "this agent stopped to recover its group and could not start again: {why}; restart it"
                );
                self.set_phase(Phase::Out(why.clone()));
                Err(Refusal::failed(why))
            }
        }
    }
}

/// The state folder holds keys: nobody else may look.
fn make_state_folder(path: &Path) -> std::io::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))
}
