//! What all connections of the peer port share, and how one request is worked on within its limits.

use std::collections::HashMap;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::{Request, Response, StatusCode, header};
use muster_core::ids::AgentId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsAcceptor;

use super::handler::PeerHandler;
use super::identity::LiveIdentity;
use super::limits::{
    BODY_BYTES_IN_FLIGHT_MAX, BODY_BYTES_PER_PEER_MAX, CONNECTIONS_MAX, CONNECTIONS_PER_PEER_MAX,
    HANDSHAKES_MAX, HANDSHAKES_PER_ADDRESS_MAX, REQUESTS_PER_PEER_MAX, STRANGERS_MAX,
    STRANGERS_PER_ADDRESS_MAX,
};
use super::listener::ListenerPace;
use super::places::Places;
use super::request::{self, Route, invalid};
use super::traffic::Traffic;
use super::verify::{CallerVerifier, provider};
use super::wire::{Refusal, RefusalKind};

/// Body bytes are counted in blocks of this size.
const BLOCK_BYTES: usize = 1 << 10;

/// Between two warnings of the same kind.
const WARN_PAUSE: Duration = Duration::from_secs(60);

type Answer = Response<Full<Bytes>>;

/// All that connections share.
pub(super) struct Port<H> {
    own: AgentId,
    /// When a copy of this host was last warned of.
    warned: Mutex<Option<Instant>>,
    handler: Arc<H>,
    body_blocks: Arc<Semaphore>,
    pub(super) pace: ListenerPace,
    pub(super) traffic: Arc<Traffic>,
    pub(super) tls: TlsAcceptor,
    /// Connections that have not said who they are.
    pub(super) handshakes: Arc<Places<IpAddr>>,
    /// Connections without a certificate.
    pub(super) strangers: Arc<Places<IpAddr>>,
    /// Connections of known peers.
    pub(super) connections: Arc<Places<AgentId>>,
    peers: Mutex<HashMap<AgentId, Arc<Peer>>>,
}

/// What is kept of one known peer over all its connections.
pub(super) struct Peer {
    pub(super) id: AgentId,
    requests: Arc<Semaphore>,
    body_blocks: Arc<Semaphore>,
}

impl<H: PeerHandler> Port<H> {
    pub(super) fn new(
        identity: Arc<LiveIdentity>,
        handler: Arc<H>,
        traffic: Arc<Traffic>,
        pace: ListenerPace,
    ) -> Result<Self, rustls::Error> {
        let current = identity.current();
        let verifier = CallerVerifier::new(current.ca(), &current.peer().cluster_id)?;
        let mut tls = rustls::ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(Arc::new(verifier))
            .with_cert_resolver(identity);
        tls.alpn_protocols = vec![b"h2".to_vec()];
        // Every connection proves itself anew: a resumed one would carry the certificate of another day.
        tls.send_tls13_tickets = 0;
        tls.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        Ok(Self {
            own: current.peer().agent_id,
            warned: Mutex::new(None),
            pace,
            handler,
            traffic,
            tls: TlsAcceptor::from(Arc::new(tls)),
            handshakes: Places::new(HANDSHAKES_MAX, HANDSHAKES_PER_ADDRESS_MAX),
            strangers: Places::new(STRANGERS_MAX, STRANGERS_PER_ADDRESS_MAX),
            connections: Places::new(CONNECTIONS_MAX, CONNECTIONS_PER_PEER_MAX),
            body_blocks: Arc::new(Semaphore::new(BODY_BYTES_IN_FLIGHT_MAX / BLOCK_BYTES)),
            peers: Mutex::default(),
        })
    }

    pub(super) fn peer(&self, id: AgentId) -> Arc<Peer> {
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        let peer = peers.entry(id).or_insert_with(|| {
            Arc::new(Peer {
                id,
                requests: Arc::new(Semaphore::new(REQUESTS_PER_PEER_MAX)),
                body_blocks: Arc::new(Semaphore::new(BODY_BYTES_PER_PEER_MAX / BLOCK_BYTES)),
            })
        });
        Arc::clone(peer)
    }

    /// Whether `from` may speak; asked for each request.
    fn admit(&self, from: AgentId) -> Result<(), Refusal> {
        if from == self.own {
            self.warn_of_copy();
            return Err(Refusal::new(
                RefusalKind::Forbidden,
                format!(
                    "two hosts run as agent {from}: one is a copy of the other; stop the copy, empty its state folder \
                     and let it join as a new agent"
                ),
            ));
        }
        let admission = catch_unwind(AssertUnwindSafe(|| self.handler.admission(from)));
        match admission {
            Ok(admission) => admission.check(from),
            Err(_) => Err(panicked()),
        }
    }

    /// Both of the two log it: nobody knows which is the copy. At most once a minute.
    fn warn_of_copy(&self) {
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if warned.is_none_or(|at| at.elapsed() >= WARN_PAUSE) {
            *warned = Some(Instant::now());
            tracing::warn!(
                agent = self.own.0,
                "two hosts run as this agent: one is a copy of the other; stop the copy, empty its state folder and \
                 let it join as a new agent"
            );
        }
    }

    /// Answers one request of a peer, or of a stranger (none).
    pub(super) async fn respond(
        &self,
        caller: Option<Arc<Peer>>,
        request: Request<Incoming>,
    ) -> Answer {
        match self.handle(caller.as_deref(), request).await {
            Ok(body) => json(StatusCode::OK, body),
            Err(refusal) => {
                let from = caller.as_ref().map(|peer| peer.id.0);
                let sentence = &refusal.sentence;
                tracing::debug!(from, sentence, "a peer's request was refused");
                json(
                    status(refusal.kind),
                    request::text(&refusal).unwrap_or_default(),
                )
            }
        }
    }

    async fn handle(
        &self,
        caller: Option<&Peer>,
        request: Request<Incoming>,
    ) -> Result<Bytes, Refusal> {
        let from = caller.map(|peer| peer.id);
        if let Some(from) = from {
            self.admit(from)?;
        }
        let route = Route::find(request.method(), request.uri().path())?;
        if from.is_none() && route != Route::Join {
            // What decode() says too; said here before a stranger's body is read.
            request::decode(route, from, b"")?;
        }
        let busy = match caller {
            Some(peer) => Some(
                Arc::clone(&peer.requests)
                    .try_acquire_owned()
                    .map_err(|_| busy("too many requests at once"))?,
            ),
            None => None,
        };
        let body = self.collect(caller, request.into_body(), route);
        let Collected { bytes, blocks } = timeout(self.pace.body_time_max, body)
            .await
            .map_err(|_| invalid("the request's body did not arrive in time"))??;
        let request = request::decode(route, from, &bytes)?;
        drop(bytes);
        if let Some(from) = from {
            // It may have been removed while its body was on the way.
            self.admit(from)?;
        }
        let handler = Arc::clone(&self.handler);
        // A task of its own: it goes on if the caller hangs up, and if it panics, that is all that panics.
        let worked = tokio::spawn(async move {
            let _held = (busy, blocks);
            request::answer(&*handler, from, request).await
        });
        match timeout(self.pace.handler_time_max, worked).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(panicked()),
            Err(_) => Err(busy_late()),
        }
    }

    async fn collect(
        &self,
        caller: Option<&Peer>,
        mut body: Incoming,
        route: Route,
    ) -> Result<Collected, Refusal> {
        let too_large = || {
            invalid(format!(
                "the request's body is larger than {} bytes",
                route.bytes_max()
            ))
        };
        // What the caller announces may be a lie, but there is no need to read what admits to be too large.
        if body.size_hint().lower() > route.bytes_max() as u64 {
            return Err(too_large());
        }
        let mut collected = Collected {
            bytes: Vec::new(),
            blocks: Vec::new(),
        };
        let mut reserved = 0;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|e| invalid(format!("the request's body broke off: {e}")))?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            let length = collected.bytes.len() + data.len();
            if length > route.bytes_max() {
                return Err(too_large());
            }
            if length > reserved {
                let blocks = (length - reserved).div_ceil(BLOCK_BYTES);
                for budget in caller
                    .map(|peer| &peer.body_blocks)
                    .into_iter()
                    .chain([&self.body_blocks])
                {
                    let permit = u32::try_from(blocks)
                        .ok()
                        .and_then(|blocks| Arc::clone(budget).try_acquire_many_owned(blocks).ok())
                        .ok_or_else(|| busy("too much to read at once"))?;
                    collected.blocks.push(permit);
                }
                reserved += blocks * BLOCK_BYTES;
            }
            collected.bytes.extend_from_slice(&data);
        }
        Ok(collected)
    }
}

/// A body, and the places it takes among the bytes in flight: given back when the request has been worked on.
struct Collected {
    bytes: Vec<u8>,
    blocks: Vec<OwnedSemaphorePermit>,
}

fn busy(why: &str) -> Refusal {
    Refusal::new(
        RefusalKind::Busy,
        format!("this agent is busy ({why}); ask again"),
    )
}

fn busy_late() -> Refusal {
    busy("the answer took too long; the request may still be carried out")
}

fn panicked() -> Refusal {
    Refusal::new(
        RefusalKind::Failed,
        "this agent failed while it worked on the request; its log says where",
    )
}

fn status(kind: RefusalKind) -> StatusCode {
    match kind {
        RefusalKind::Removed | RefusalKind::Forbidden => StatusCode::FORBIDDEN,
        RefusalKind::NotLeader => StatusCode::MISDIRECTED_REQUEST,
        RefusalKind::Invalid => StatusCode::BAD_REQUEST,
        RefusalKind::Declined => StatusCode::CONFLICT,
        RefusalKind::Busy => StatusCode::SERVICE_UNAVAILABLE,
        RefusalKind::Failed => StatusCode::INTERNAL_SERVER_ERROR,
        RefusalKind::Unknown => StatusCode::NOT_FOUND,
    }
}

fn json(status: StatusCode, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("application/json"),
    );
    answer
}
