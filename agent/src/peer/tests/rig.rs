//! Two or three agents in one process, each with its own identity, state and port.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use muster_core::command::{AgentDeclaration, Command, Entry, Outcome};
use muster_core::evidence::Heartbeat;
use muster_core::ids::{AgentId, ViewId};
use muster_core::state::{AgentRecord, Authority, ClusterState};
use tokio::net::TcpListener;

use crate::consensus::{RaftReply, RaftRpc};
use crate::peer::admission::Admission;
use crate::peer::authority::{self, Signer};
use crate::peer::client::PeerClient;
use crate::peer::connection::ConnectionPace;
use crate::peer::handler::PeerHandler;
use crate::peer::identity::{Identity, IdentityStore, LiveIdentity};
use crate::peer::listener::{Listener, ListenerPace};
use crate::peer::traffic::Traffic;
use crate::peer::wire::{JoinReply, JoinRequest, ProposeReply, Refusal, RefusalKind};

pub(super) const CLUSTER: &str = "6f1c1f0e-9f6a-4a57-9d6d-0a7c1d1f2b3c";
pub(super) const SOON: Duration = Duration::from_secs(5);

/// A folder that goes away.
#[derive(Debug)]
pub(super) struct Folder(pub(super) PathBuf);

impl Folder {
    pub(super) fn new() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("muster-peer-{}-{number}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The cluster as all agents of a test see it: one state for all, changed by the test.
pub(super) struct Cluster {
    pub(super) state: Arc<Mutex<ClusterState>>,
    pub(super) authority: Authority,
}

impl Cluster {
    pub(super) fn new(cluster_id: &str) -> Self {
        let authority = authority::found(cluster_id).unwrap();
        let state = ClusterState {
            cluster_id: cluster_id.to_owned(),
            cluster_name: "test".to_owned(),
            next_agent_id: 1,
            authority: authority.clone(),
            ..ClusterState::default()
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            authority,
        }
    }

    pub(super) fn signer(&self) -> Signer {
        let cluster_id = self.state.lock().unwrap().cluster_id.clone();
        Signer::load(&self.authority, &cluster_id).unwrap()
    }

    /// An identity as `muster init` makes it: signed on the spot.
    pub(super) fn identity(&self, id: u64) -> (Identity, IdentityStore, Folder) {
        let folder = Folder::new();
        let store = IdentityStore::open(&folder.0).unwrap();
        let pending = store.pending().unwrap();
        let csr = pending.csr_pem().unwrap();
        let certificate = self.signer().sign(&csr, AgentId(id)).unwrap();
        let ca = &self.authority.certificate_pem;
        let identity = store.install(&pending, &certificate, ca, None).unwrap();
        (identity, store, folder)
    }

    /// An agent with an open port that belongs to the cluster.
    pub(super) async fn agent(&self, id: u64) -> Agent {
        let (identity, store, folder) = self.identity(id);
        let agent = Agent::start(Arc::clone(&self.state), identity, store, folder).await;
        let mut state = self.state.lock().unwrap();
        state.agents.insert(AgentId(id), record(id, agent.address));
        state.next_agent_id = state.next_agent_id.max(id + 1);
        agent
    }

    pub(super) fn remove(&self, id: u64) {
        let mut state = self.state.lock().unwrap();
        state.agents.remove(&AgentId(id));
        state.removed_agents.insert(AgentId(id));
    }
}

fn record(id: u64, address: SocketAddr) -> AgentRecord {
    AgentRecord {
        name: format!("host{id}"),
        address: address.to_string(),
        site: String::new(),
        priority: 100,
        arbitrator: false,
        version: "0.1.0".to_owned(),
        key_fingerprint: String::new(),
        member_id: None,
    }
}

pub(super) struct Agent {
    pub(super) id: AgentId,
    pub(super) address: SocketAddr,
    pub(super) live: Arc<LiveIdentity>,
    pub(super) store: IdentityStore,
    pub(super) client: PeerClient,
    pub(super) handler: Arc<Handler>,
    pub(super) traffic: Arc<Traffic>,
    pub(super) listener: Listener,
    _folder: Folder,
}

impl Agent {
    async fn start(
        state: Arc<Mutex<ClusterState>>,
        identity: Identity,
        store: IdentityStore,
        folder: Folder,
    ) -> Self {
        let id = identity.peer().agent_id;
        let live = LiveIdentity::new(identity);
        let traffic = Arc::new(Traffic::default());
        let client = PeerClient::with_pace(Arc::clone(&live), Arc::clone(&traffic), pace());
        let handler = Arc::new(Handler {
            id,
            state,
            seen: Mutex::default(),
        });
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let listener = Listener::start_with(
            socket,
            Arc::clone(&live),
            Arc::clone(&handler),
            Arc::clone(&traffic),
            listener_pace(),
        )
        .unwrap();
        Self {
            id,
            address: listener.address(),
            live,
            store,
            client,
            handler,
            traffic,
            listener,
            _folder: folder,
        }
    }

    /// Calls another agent with a heartbeat.
    pub(super) async fn greet(
        &self,
        other: &Agent,
    ) -> Result<Heartbeat, crate::peer::client::CallError> {
        let address = other.address.to_string();
        self.client
            .heartbeat(other.id, &address, &heartbeat(self.id), SOON)
            .await
    }
}

/// Short patience, so that no test waits long.
pub(super) fn listener_pace() -> ListenerPace {
    ListenerPace {
        handshake_time_max: Duration::from_millis(1_500),
        body_time_max: Duration::from_millis(500),
        stranger_time_max: Duration::from_secs(2),
        handler_time_max: Duration::from_secs(3),
    }
}

/// Quick pings, so that no test waits long.
pub(super) fn pace() -> ConnectionPace {
    ConnectionPace {
        ping_interval: Duration::from_millis(200),
        ping_timeout: Duration::from_millis(1_000),
        silence_max: Duration::from_millis(500),
        ..ConnectionPace::default()
    }
}

pub(super) fn heartbeat(from: AgentId) -> Heartbeat {
    Heartbeat {
        agent_id: from,
        incarnation: 1,
        sequence: 1,
        own: None,
        texts: Vec::new(),
        contacts: Vec::new(),
        relayed: Vec::new(),
        view_id: 0,
    }
}

pub(super) fn entry(reason: &str) -> Entry {
    Entry {
        time_us: 0,
        reason: reason.to_owned(),
        command: Command::Set {
            key: "voters_max".to_owned(),
            value: "3".to_owned(),
        },
    }
}

pub(super) fn declaration(name: &str) -> AgentDeclaration {
    AgentDeclaration {
        name: name.to_owned(),
        address: "127.0.0.1:7400".to_owned(),
        site: "a".to_owned(),
        priority: 100,
        arbitrator: false,
        version: "0.1.0".to_owned(),
    }
}

/// A handler over the shared state: it joins and signs for real, and counts what it saw.
pub(super) struct Handler {
    id: AgentId,
    state: Arc<Mutex<ClusterState>>,
    seen: Mutex<HashMap<&'static str, u64>>,
}

impl Handler {
    fn saw(&self, what: &'static str) {
        *self.seen.lock().unwrap().entry(what).or_default() += 1;
    }

    pub(super) fn times(&self, what: &'static str) -> u64 {
        self.seen.lock().unwrap().get(what).copied().unwrap_or(0)
    }
}

impl PeerHandler for Handler {
    fn admission(&self, from: AgentId) -> Admission {
        Admission::judge(&self.state.lock().unwrap(), from)
    }

    async fn raft(&self, _from: AgentId, rpc: RaftRpc) -> Result<RaftReply, Refusal> {
        self.saw("raft");
        // The largest answer that can be made without the engine: none.
        Err(Refusal::new(
            RefusalKind::Declined,
            format!("no engine here for '{}'", rpc.kind()),
        ))
    }

    async fn heartbeat(&self, from: AgentId, heard: Heartbeat) -> Result<Heartbeat, Refusal> {
        self.saw("heartbeat");
        assert_eq!(from, heard.agent_id);
        assert_ne!(heard.view_id, 666, "a handler that panics");
        if heard.view_id == 600 {
            tokio::time::sleep(Duration::from_secs(600)).await;
        }
        Ok(Heartbeat {
            view_id: heard.view_id + 1,
            ..heartbeat(self.id)
        })
    }

    async fn propose(&self, _from: AgentId, entry: Entry) -> Result<ProposeReply, Refusal> {
        self.saw("propose");
        if entry.reason == "elsewhere" {
            return Ok(ProposeReply::NotLeader {
                leader: Some(AgentId(3)),
            });
        }
        Ok(ProposeReply::Applied {
            index: 7,
            outcome: Outcome::Changed { view_id: ViewId(8) },
        })
    }

    async fn join(
        &self,
        from: Option<AgentId>,
        request: JoinRequest,
    ) -> Result<JoinReply, Refusal> {
        self.saw(if from.is_some() {
            "join passed on"
        } else {
            "join"
        });
        let declined = |why: &str| Refusal::new(RefusalKind::Declined, why);
        let key = request.key_fingerprint().unwrap();
        let mut state = self.state.lock().unwrap();
        let next = AgentId(state.next_agent_id);
        let hash = request.token_hash().unwrap();
        let Some(used_by) = state.tokens.get(&hash).map(|token| token.used_by) else {
            return Err(declined("this token is not known"));
        };
        let agent_id = match used_by {
            None => {
                let mut new = record(next.0, "127.0.0.1:1".parse().unwrap());
                new.key_fingerprint = key;
                state.agents.insert(next, new);
                state.next_agent_id += 1;
                state
                    .tokens
                    .entry(hash)
                    .and_modify(|t| t.used_by = Some(next));
                next
            }
            Some(user) if state.agents[&user].key_fingerprint == key => user,
            Some(_) => return Err(declined("this token was used; make a new one")),
        };
        let signer = Signer::load(&state.authority, &state.cluster_id).unwrap();
        Ok(JoinReply {
            agent_id,
            certificate_pem: signer.sign(&request.csr_pem, agent_id).unwrap(),
            ca_pem: state.authority.certificate_pem.clone(),
            cluster_id: state.cluster_id.clone(),
            cluster_name: state.cluster_name.clone(),
            peers: state
                .agents
                .iter()
                .map(|(id, agent)| (*id, agent.address.clone()))
                .collect(),
        })
    }

    async fn renew(&self, from: AgentId, csr_pem: String) -> Result<String, Refusal> {
        self.saw("renew");
        let state = self.state.lock().unwrap();
        let signer = Signer::load(&state.authority, &state.cluster_id).unwrap();
        signer
            .sign(&csr_pem, from)
            .map_err(|e| Refusal::new(RefusalKind::Invalid, e.to_string()))
    }
}
