//! Calls to other agents: one connection per peer, a deadline for every call, and proof of who answers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response, StatusCode, header};
use muster_core::command::Entry;
use muster_core::evidence::Heartbeat;
use muster_core::ids::AgentId;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};

use super::connection::{ConnectionPace, Means, NoConnection, PeerConnection};
use super::dial::{Sender, chain};
use super::identity::LiveIdentity;
use super::request::Route;
use super::traffic::Traffic;
use super::wire::{
    JoinReply, JoinRequest, ProposeReply, Refusal, RefusalKind, RenewReply, RenewRequest,
};
use crate::consensus::{BoxFuture, RaftReply, RaftRpc, RaftTransport, TransportError};

/// Longer deadlines than this are cut: no call takes an hour, and an instant too far ahead cannot be written.
const CALL_TIME_MAX: Duration = Duration::from_secs(3_600);

/// Why a call brought no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// No connection; the request was not sent.
    #[error("agent {to} cannot be reached: {why}")]
    Unreachable {
        /// Whom we called.
        to: AgentId,
        /// What went wrong.
        why: String,
    },
    /// No answer within the deadline. The request may or may not have been carried out.
    #[error("agent {to} did not answer within {} ms", .after.as_millis())]
    Timeout {
        /// Whom we called.
        to: AgentId,
        /// The deadline it missed.
        after: Duration,
    },
    /// The connection broke, or the answer makes no sense. The request may or may not have been carried out.
    #[error("the call to agent {to} failed: {why}")]
    Broken {
        /// Whom we called.
        to: AgentId,
        /// What went wrong.
        why: String,
    },
    /// The peer answered that it will not.
    #[error("agent {to} refuses: {refusal}")]
    Refused {
        /// Whom we called.
        to: AgentId,
        /// Why.
        refusal: Refusal,
    },
}

impl CallError {
    /// The peer says that this agent was removed from the cluster.
    #[must_use]
    pub fn says_removed(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                refusal: Refusal {
                    kind: RefusalKind::Removed,
                    ..
                },
                ..
            }
        )
    }
}

/// Calls to the other agents of the cluster. Cheap to clone; all clones share the connections.
#[derive(Debug, Clone)]
pub struct PeerClient {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    means: Means,
    connections: Mutex<HashMap<AgentId, Arc<PeerConnection>>>,
}

impl PeerClient {
    /// A client that speaks with `identity`.
    #[must_use]
    pub fn new(identity: Arc<LiveIdentity>, traffic: Arc<Traffic>) -> Self {
        Self::with_pace(identity, traffic, ConnectionPace::default())
    }

    /// The same, with another pace of connections.
    #[must_use]
    pub fn with_pace(
        identity: Arc<LiveIdentity>,
        traffic: Arc<Traffic>,
        pace: ConnectionPace,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                means: Means {
                    identity,
                    traffic,
                    pace,
                },
                connections: Mutex::default(),
            }),
        }
    }

    /// Sends a heartbeat; the answer is the peer's own.
    pub async fn heartbeat(
        &self,
        to: AgentId,
        address: &str,
        heartbeat: &Heartbeat,
        deadline: Duration,
    ) -> Result<Heartbeat, CallError> {
        let answered: Heartbeat = self
            .call(to, address, Route::Heartbeat, heartbeat, deadline)
            .await?;
        if answered.agent_id != to {
            return Err(CallError::Broken {
                to,
                why: format!("it answers in the name of agent {}", answered.agent_id),
            });
        }
        Ok(answered)
    }

    /// Takes a command to the leader.
    pub async fn propose(
        &self,
        to: AgentId,
        address: &str,
        entry: &Entry,
        deadline: Duration,
    ) -> Result<ProposeReply, CallError> {
        self.call(to, address, Route::Propose, entry, deadline)
            .await
    }

    /// Takes a host's request to join to the leader, for an agent that was asked and does not lead.
    pub async fn forward_join(
        &self,
        to: AgentId,
        address: &str,
        request: &JoinRequest,
        deadline: Duration,
    ) -> Result<JoinReply, CallError> {
        self.call(to, address, Route::Join, request, deadline).await
    }

    /// Asks the leader for a new certificate (PEM) for the key of `csr_pem`.
    pub async fn renew(
        &self,
        to: AgentId,
        address: &str,
        csr_pem: String,
        deadline: Duration,
    ) -> Result<String, CallError> {
        let request = RenewRequest { csr_pem };
        let reply: RenewReply = self
            .call(to, address, Route::Renew, &request, deadline)
            .await?;
        Ok(reply.certificate_pem)
    }

    /// A request of the consensus.
    pub async fn raft(
        &self,
        to: AgentId,
        address: &str,
        rpc: &RaftRpc,
        deadline: Duration,
    ) -> Result<RaftReply, CallError> {
        self.call(to, address, Route::Raft, rpc, deadline).await
    }

    /// Closes the connections to all but those that `keep` names: for agents that left.
    pub fn retain(&self, keep: impl Fn(AgentId) -> bool) {
        self.connections().retain(|id, _| keep(*id));
    }

    async fn call<Q: Serialize, A: DeserializeOwned>(
        &self,
        to: AgentId,
        address: &str,
        route: Route,
        body: &Q,
        deadline: Duration,
    ) -> Result<A, CallError> {
        let broken = |why: String| CallError::Broken { to, why };
        let body = serde_json::to_vec(body).map_err(|e| broken(e.to_string()))?;
        if body.len() > route.bytes_max() {
            return Err(broken(format!(
                "the request is larger than {} bytes",
                route.bytes_max()
            )));
        }
        let answer = self
            .exchange(to, address, route, Bytes::from(body), deadline)
            .await?;
        serde_json::from_slice(&answer)
            .map_err(|e| broken(format!("its answer cannot be read: {e}")))
    }

    async fn exchange(
        &self,
        to: AgentId,
        address: &str,
        route: Route,
        body: Bytes,
        within: Duration,
    ) -> Result<Bytes, CallError> {
        let deadline = Instant::now() + within.min(CALL_TIME_MAX);
        let late = || CallError::Timeout { to, after: within };
        let connection = self.connection(to, address);
        // A connection may end between being handed out and being used. Then nothing was sent, and one more try is safe.
        for last in [false, true] {
            let sender = connection
                .sender(address, deadline)
                .await
                .map_err(|e| match e {
                    NoConnection::Down(why) => CallError::Unreachable {
                        to,
                        why: why.to_string(),
                    },
                    NoConnection::Late => late(),
                })?;
            match timeout_at(deadline, send(sender, route, body.clone())).await {
                Err(_) => return Err(late()),
                Ok(Ok(Ok(answer))) => return Ok(answer),
                Ok(Ok(Err(refusal))) => return Err(CallError::Refused { to, refusal }),
                Ok(Err(Failed { sent: false, .. })) if !last => {}
                Ok(Err(Failed { sent: false, why })) => {
                    return Err(CallError::Unreachable { to, why });
                }
                Ok(Err(Failed { sent: true, why })) => return Err(CallError::Broken { to, why }),
            }
        }
        Err(late())
    }

    fn connection(&self, to: AgentId, address: &str) -> Arc<PeerConnection> {
        let mut connections = self.connections();
        let connection = connections.entry(to).or_insert_with(|| {
            Arc::new(PeerConnection::new(to, address, self.shared.means.clone()))
        });
        Arc::clone(connection)
    }

    fn connections(&self) -> std::sync::MutexGuard<'_, HashMap<AgentId, Arc<PeerConnection>>> {
        self.shared
            .connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl RaftTransport for PeerClient {
    fn call<'a>(
        &'a self,
        to: AgentId,
        address: &'a str,
        rpc: RaftRpc,
        deadline: Duration,
    ) -> BoxFuture<'a, Result<RaftReply, TransportError>> {
        Box::pin(async move {
            let answered = self.raft(to, address, &rpc, deadline).await;
            answered.map_err(|error| match error {
                CallError::Unreachable { to, why } => TransportError::Unreachable { to, why },
                CallError::Timeout { to, after } => TransportError::Timeout { to, after },
                CallError::Broken { to, why } => TransportError::Broken { to, why },
                CallError::Refused { to, refusal } => TransportError::Unreachable {
                    to,
                    why: refusal.sentence,
                },
            })
        })
    }
}

/// A request that brought no answer.
#[derive(Debug)]
pub(super) struct Failed {
    /// It may have reached the peer.
    pub(super) sent: bool,
    pub(super) why: String,
}

/// Sends one request and reads its whole answer, or the refusal.
pub(super) async fn send(
    mut sender: Sender,
    route: Route,
    body: Bytes,
) -> Result<Result<Bytes, Refusal>, Failed> {
    let failed = |sent: bool, why: String| Failed { sent, why };
    sender.ready().await.map_err(|e| failed(false, chain(&e)))?;
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("https://muster{}", route.path()))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(body))
        .map_err(|e| failed(false, e.to_string()))?;
    let answer = sender
        .try_send_request(request)
        .await
        .map_err(|mut e| failed(e.take_message().is_none(), chain(e.error())))?;
    let status = answer.status();
    let body = read(answer, route.answer_bytes_max())
        .await
        .map_err(|why| failed(true, why))?;
    if status == StatusCode::OK {
        return Ok(Ok(body));
    }
    match serde_json::from_slice::<Refusal>(&body) {
        Ok(refusal) => Ok(Err(shortened(refusal))),
        Err(_) => Err(failed(true, format!("it answers with status {status}"))),
    }
}

async fn read(answer: Response<Incoming>, bytes_max: usize) -> Result<Bytes, String> {
    Limited::new(answer.into_body(), bytes_max)
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes)
        .map_err(|e| format!("its answer broke off or is too large: {e}"))
}

/// A sentence goes into logs and onto terminals: not an endless one, and none with control characters.
fn shortened(mut refusal: Refusal) -> Refusal {
    refusal.sentence = refusal
        .sentence
        .chars()
        .filter(|c| !c.is_control())
        .take(muster_link::limits::TEXT_CHARS_MAX)
        .collect();
    refusal
}
