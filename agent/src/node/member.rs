//! An agent's membership of a cluster: everything that exists only while it belongs to one.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use muster_core::command::AgentDeclaration;
use muster_core::evidence::{Evidence, Heartbeat};
use muster_core::ids::AgentId;
use muster_core::state::ClusterState;
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use super::publish::Shown;
use super::routes::Routes;
use crate::clock;
use crate::config::Config;
use crate::consensus::{Consensus, OpenError, Timing};
use crate::peer::client::PeerClient;
use crate::peer::identity::{IdentityStore, LiveIdentity};
use crate::peer::listener::Listener;
use crate::peer::renewal::{RenewalPace, keep_renewed};
use crate::peer::traffic::Traffic;
use crate::server::ServerLink;

/// Folder of the consensus in the state folder.
pub(super) const STORE: &str = "store";

/// Why a membership could not begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The peer port.
    #[error(
        "cannot listen for other agents on {address}: {why}; free the port, or set [agent] listen to another"
    )]
    Listen {
        /// Where.
        address: String,
        /// What the system said.
        why: std::io::Error,
    },
}

/// The membership. Its tasks hold it; [`Member::stop`] ends them.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) me: AgentId,
    pub(super) cluster_id: String,
    pub(super) config: Arc<Config>,
    pub(super) server: Arc<ServerLink>,
    pub(super) consensus: Consensus,
    pub(super) routes: Arc<Routes>,
    pub(super) live: Arc<LiveIdentity>,
    pub(super) traffic: Arc<Traffic>,
    pub(super) shown: Arc<Shown>,
    /// Rung when somebody should hear from us at once.
    pub(super) beat_bell: Notify,
    /// Rung when there may be something to decide.
    pub(super) judge_bell: Notify,
    /// Rung when there may be something new to show.
    pub(super) show_bell: Notify,
    /// Set once, when the group has removed this agent: why, and what to do.
    pub(super) out: watch::Sender<Option<String>>,
    /// What this agent as leader holds back, and why: shown as notes.
    pub(super) held: Mutex<BTreeMap<String, String>>,
    evidence: Mutex<Evidence>,
    tasks: Mutex<JoinSet<()>>,
    listener: Mutex<Option<Listener>>,
}

/// What a membership needs from the process around it.
#[derive(Debug, Clone)]
pub(super) struct Means {
    pub(super) config: Arc<Config>,
    pub(super) server: Arc<ServerLink>,
    pub(super) identities: IdentityStore,
    pub(super) shown: Arc<Shown>,
}

impl Member {
    /// Takes part with the identity that is in use, and the store in the state folder.
    pub(super) async fn start(
        means: Means,
        live: Arc<LiveIdentity>,
    ) -> Result<Arc<Self>, StartError> {
        let member = Self::open(means.clone(), live.clone()).await?;
        let address = means.config.agent.listen;
        let listen_error = |why| StartError::Listen {
            address: address.to_string(),
            why,
        };
        let socket = TcpListener::bind(address).await.map_err(listen_error)?;
        let listener = Listener::start(socket, live, member.clone(), member.traffic.clone());
        let listener = listener.map_err(listen_error)?;
        *lock(&member.listener) = Some(listener);
        member.spawn_all(means.identities);
        Ok(member)
    }

    async fn open(means: Means, live: Arc<LiveIdentity>) -> Result<Arc<Self>, StartError> {
        let identity = live.current();
        let me = identity.peer().agent_id;
        let traffic = Arc::new(Traffic::default());
        let routes = Arc::new(Routes::new(PeerClient::new(live.clone(), traffic.clone())));
        let store = means.config.agent.state_dir.join(STORE);
        let consensus = Consensus::open(&store, me, routes.clone(), Timing::default()).await?;
        let state = consensus.state().borrow().clone();
        routes.update(&state);
        if let Some(server) = state.agents.get(&me).and_then(|a| a.member_id.clone()) {
            means.server.bind(server);
        }
        Ok(Arc::new(Self {
            me,
            cluster_id: identity.peer().cluster_id.clone(),
            config: means.config,
            server: means.server,
            consensus,
            routes,
            live,
            traffic,
            shown: means.shown,
            beat_bell: Notify::new(),
            judge_bell: Notify::new(),
            show_bell: Notify::new(),
            out: watch::channel(None).0,
            held: Mutex::default(),
            evidence: Mutex::new(Evidence::new(me, rand::random(), clock::boot_ms())),
            tasks: Mutex::new(JoinSet::new()),
            listener: Mutex::new(None),
        }))
    }

    fn spawn_all(self: &Arc<Self>, identities: IdentityStore) {
        let mut tasks = lock(&self.tasks);
        tasks.spawn(self.clone().follow_state());
        tasks.spawn(self.clone().follow_server());
        tasks.spawn(self.clone().beat());
        tasks.spawn(self.clone().judge());
        tasks.spawn(self.clone().declare());
        tasks.spawn(self.clone().publish());
        let member = self.clone();
        tasks.spawn(keep_renewed(
            identities,
            self.live.clone(),
            RenewalPace::default(),
            move |csr_pem| {
                let member = member.clone();
                async move { member.ask_certificate(csr_pem).await }
            },
        ));
    }

    /// Ends everything in order: no new request is taken, the consensus closes its store.
    pub(super) async fn stop(&self) {
        let listener = lock(&self.listener).take();
        let mut tasks = std::mem::take(&mut *lock(&self.tasks));
        if let Some(listener) = listener {
            listener.stop().await;
        }
        self.consensus.shutdown().await;
        tasks.shutdown().await;
    }

    /// The newest ordered state.
    pub(super) fn state(&self) -> Arc<ClusterState> {
        self.consensus.state().borrow().clone()
    }

    /// The evidence; never held over a wait.
    pub(super) fn evidence(&self) -> MutexGuard<'_, Evidence> {
        lock(&self.evidence)
    }

    /// What this agent says of itself.
    pub(super) fn declaration(&self, arbitrator: bool) -> AgentDeclaration {
        declaration(&self.config, arbitrator)
    }

    /// Takes in a heartbeat that came directly, and rings where it brings news.
    pub(super) fn hear(&self, heartbeat: Heartbeat) {
        let state = self.state();
        let verdict = self.evidence().hear(clock::boot_ms(), &state, heartbeat);
        if verdict.has_news() {
            self.judge_bell.notify_one();
            self.show_bell.notify_one();
        }
    }

    /// The group says that this agent is out. The first word counts.
    pub(super) fn put_out(&self, why: String) {
        self.out.send_if_modified(|out| {
            let first = out.is_none();
            if first {
                *out = Some(why);
            }
            first
        });
    }

    /// Every new state: addresses, removal, and whoever reacts to it.
    async fn follow_state(self: Arc<Self>) {
        let mut states = self.consensus.state();
        loop {
            let state = states.borrow_and_update().clone();
            self.routes.update(&state);
            if state.removed_agents.contains(&self.me) {
                self.put_out(removed_sentence(self.me));
            }
            self.show_bell.notify_one();
            self.judge_bell.notify_one();
            if states.changed().await.is_err() {
                return;
            }
        }
    }

    /// Every change of the local server.
    async fn follow_server(self: Arc<Self>) {
        let mut server = self.server.watch();
        loop {
            let now_ms = clock::boot_ms();
            let own = server.borrow_and_update().own_member(now_ms);
            let urgent = self.evidence().set_own(now_ms, own);
            if urgent {
                self.beat_bell.notify_one();
                self.judge_bell.notify_one();
                self.show_bell.notify_one();
            }
            if server.changed().await.is_err() {
                return;
            }
        }
    }
}

/// What an agent with this configuration says of itself.
pub(super) fn declaration(config: &Config, arbitrator: bool) -> AgentDeclaration {
    AgentDeclaration {
        name: config.name.clone(),
        address: config.agent.advertise.clone(),
        site: config.site.clone(),
        priority: config.priority,
        arbitrator,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

/// The sentence of an agent that was removed.
pub(super) fn removed_sentence(me: AgentId) -> String {
    format!(
        "this agent was agent {me} and was removed from its cluster: 'muster join --token T HOST:PORT' lets the host in again, under a new number"
    )
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where the store is.
pub(super) fn store_dir(config: &Config) -> std::path::PathBuf {
    Path::new(&config.agent.state_dir).join(STORE)
}
