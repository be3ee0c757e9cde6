//! One request on the peer port: which route, what body, which handler, which answer.
//!
//! No sockets here: [`decode`] takes any bytes of any peer, which is what the fuzzer feeds it.

use hyper::Method;
use hyper::body::Bytes;
use muster_core::command::Entry;
use muster_core::evidence::Heartbeat;
use muster_core::ids::AgentId;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::authority;
use super::handler::PeerHandler;
use super::limits::{BODY_BYTES_MAX, JOIN_BYTES_MAX, RAFT_BYTES_MAX};
use super::wire::{self, JoinRequest, Refusal, RefusalKind, RenewReply, RenewRequest};
use crate::consensus::RaftRpc;

/// What a peer may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// See [`wire::RAFT`].
    Raft,
    /// See [`wire::HEARTBEAT`].
    Heartbeat,
    /// See [`wire::PROPOSE`].
    Propose,
    /// See [`wire::JOIN`].
    Join,
    /// See [`wire::RENEW`].
    Renew,
}

/// A request that makes sense so far.
#[derive(Debug)]
pub enum Request {
    /// For the consensus.
    Raft(RaftRpc),
    /// Evidence.
    Heartbeat(Box<Heartbeat>),
    /// A command.
    Propose(Box<Entry>),
    /// A host that wants in.
    Join(Box<JoinRequest>),
    /// A new certificate.
    Renew(RenewRequest),
}

impl Route {
    /// Every route.
    pub const ALL: [Self; 5] = [
        Self::Raft,
        Self::Heartbeat,
        Self::Propose,
        Self::Join,
        Self::Renew,
    ];

    /// Its path; the method is always POST.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Raft => wire::RAFT,
            Self::Heartbeat => wire::HEARTBEAT,
            Self::Propose => wire::PROPOSE,
            Self::Join => wire::JOIN,
            Self::Renew => wire::RENEW,
        }
    }

    /// Largest body, in bytes.
    #[must_use]
    pub fn bytes_max(self) -> usize {
        match self {
            Self::Raft => RAFT_BYTES_MAX,
            Self::Heartbeat | Self::Propose => BODY_BYTES_MAX,
            Self::Join | Self::Renew => JOIN_BYTES_MAX,
        }
    }

    /// Largest answer, in bytes.
    #[must_use]
    pub fn answer_bytes_max(self) -> usize {
        match self {
            Self::Raft => RAFT_BYTES_MAX,
            _ => BODY_BYTES_MAX,
        }
    }

    pub(super) fn find(method: &Method, path: &str) -> Result<Self, Refusal> {
        let found = Self::ALL.into_iter().find(|route| route.path() == path);
        match found {
            Some(route) if method == Method::POST => Ok(route),
            Some(_) => Err(invalid("this is asked with POST")),
            None => Err(Refusal::new(
                RefusalKind::Unknown,
                "this version of muster does not know that request; upgrade this host's agent",
            )),
        }
    }
}

/// Reads the body of a request from `from` (none: a stranger).
pub fn decode(route: Route, from: Option<AgentId>, body: &[u8]) -> Result<Request, Refusal> {
    match (route, from) {
        (Route::Raft, Some(_)) => Ok(Request::Raft(json(body)?)),
        (Route::Heartbeat, Some(from)) => {
            let heartbeat: Box<Heartbeat> = json(body)?;
            if heartbeat.agent_id != from {
                return Err(Refusal::new(
                    RefusalKind::Forbidden,
                    format!(
                        "agent {from} sent a heartbeat in the name of agent {}",
                        heartbeat.agent_id
                    ),
                ));
            }
            Ok(Request::Heartbeat(heartbeat))
        }
        (Route::Propose, Some(_)) => Ok(Request::Propose(json(body)?)),
        (Route::Renew, Some(_)) => {
            let request: RenewRequest = json(body)?;
            authority::csr_key_fingerprint(&request.csr_pem).map_err(|e| invalid(e.to_string()))?;
            Ok(Request::Renew(request))
        }
        (Route::Join, _) => {
            let request: Box<JoinRequest> = json(body)?;
            // Both must be readable before the handler hears of it.
            request.token_hash().map_err(|e| invalid(e.to_string()))?;
            request
                .key_fingerprint()
                .map_err(|e| invalid(e.to_string()))?;
            Ok(Request::Join(request))
        }
        (_, None) => Err(Refusal::new(
            RefusalKind::Forbidden,
            "this needs a certificate of the cluster; a host without one can only join",
        )),
    }
}

/// Hands the request to the handler and writes its answer.
pub(super) async fn answer<H: PeerHandler>(
    handler: &H,
    from: Option<AgentId>,
    request: Request,
) -> Result<Bytes, Refusal> {
    match (request, from) {
        (Request::Join(request), from) => text(&handler.join(from, *request).await?),
        (Request::Raft(rpc), Some(from)) => text(&handler.raft(from, rpc).await?),
        (Request::Heartbeat(heartbeat), Some(from)) => {
            text(&handler.heartbeat(from, *heartbeat).await?)
        }
        (Request::Propose(entry), Some(from)) => text(&handler.propose(from, *entry).await?),
        (Request::Renew(request), Some(from)) => {
            let certificate_pem = handler.renew(from, request.csr_pem).await?;
            text(&RenewReply { certificate_pem })
        }
        (_, None) => Err(invalid("a stranger can only join")),
    }
}

/// `serde_json` bounds the depth (128) by itself.
fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body)
        .map_err(|e| invalid(format!("the request's body cannot be read: {e}")))
}

pub(super) fn text<T: Serialize>(answer: &T) -> Result<Bytes, Refusal> {
    serde_json::to_vec(answer)
        .map(Bytes::from)
        .map_err(|e| Refusal::new(RefusalKind::Failed, format!("the answer was lost: {e}")))
}

pub(super) fn invalid(sentence: impl Into<String>) -> Refusal {
    Refusal::new(RefusalKind::Invalid, sentence)
}
