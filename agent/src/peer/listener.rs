//! The peer port: accepts connections, proves who calls, and serves requests within limits.
//!
//! A caller without a certificate may do one thing, ask to join, on a connection that is small and short. A caller with
//! one is checked again for each request against the ordered state, so that removing a host ends its right to speak at
//! once, also on connections that are open. Nothing that a peer sends, and no panic in a handler, ends more than the
//! request or the connection it came on.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, header};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use muster_core::ids::AgentId;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::certificate;
use super::handler::PeerHandler;
use super::identity::LiveIdentity;
use super::limits::{
    BODY_BYTES_IN_FLIGHT_MAX, BODY_TIME_MAX, CONNECTIONS_PER_PEER_MAX, HANDLER_TIME_MAX,
    HANDSHAKE_TIME_MAX, HANDSHAKES_MAX, HANDSHAKES_PER_ADDRESS_MAX, HEADER_BYTES_MAX,
    REQUESTS_PER_PEER_MAX, REQUESTS_PER_STRANGER_MAX, STRANGER_TIME_MAX, STRANGERS_MAX,
};
use super::request::{self, Route, invalid};
use super::traffic::{Counted, Traffic};
use super::verify::{CallerVerifier, provider};
use super::wire::{Refusal, RefusalKind};

/// How long a listener waits for whom.
#[derive(Debug, Clone, Copy)]
pub struct ListenerPace {
    /// See [`HANDSHAKE_TIME_MAX`].
    pub handshake_time_max: Duration,
    /// See [`BODY_TIME_MAX`].
    pub body_time_max: Duration,
    /// See [`STRANGER_TIME_MAX`].
    pub stranger_time_max: Duration,
    /// See [`HANDLER_TIME_MAX`].
    pub handler_time_max: Duration,
}

impl Default for ListenerPace {
    fn default() -> Self {
        Self {
            handshake_time_max: HANDSHAKE_TIME_MAX,
            body_time_max: BODY_TIME_MAX,
            stranger_time_max: STRANGER_TIME_MAX,
            handler_time_max: HANDLER_TIME_MAX,
        }
    }
}

/// Pings of ours on a quiet connection: they only clear away what is dead, the caller's are the quick ones.
const PING_INTERVAL: Duration = Duration::from_secs(5);
const PING_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an orderly stop waits for answers that are under way.
const STOP_TIME_MAX: Duration = Duration::from_millis(500);
/// Body bytes are counted in blocks of this size.
const BLOCK_BYTES: usize = 1 << 10;

type Answer = Response<Full<Bytes>>;

/// The running peer port.
#[derive(Debug)]
pub struct Listener {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

impl Listener {
    /// Serves `socket` with this agent's identity. Fails only where the identity cannot serve at all.
    pub fn start<H: PeerHandler>(
        socket: TcpListener,
        identity: Arc<LiveIdentity>,
        handler: Arc<H>,
        traffic: Arc<Traffic>,
    ) -> io::Result<Self> {
        Self::start_with(socket, identity, handler, traffic, ListenerPace::default())
    }

    /// The same, with another pace.
    pub fn start_with<H: PeerHandler>(
        socket: TcpListener,
        identity: Arc<LiveIdentity>,
        handler: Arc<H>,
        traffic: Arc<Traffic>,
        pace: ListenerPace,
    ) -> io::Result<Self> {
        let address = socket.local_addr()?;
        let port = Port::new(identity, handler, traffic, pace).map_err(io::Error::other)?;
        let port = Arc::new(port);
        let (stop, stopped) = watch::channel(false);
        let accepting = tokio::spawn(accept(socket, port, stopped));
        Ok(Self {
            address,
            stop,
            accepting,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes the port: no new connection, answers under way may still leave.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        // Each connection holds a receiver until it has ended.
        let _ = timeout(STOP_TIME_MAX, self.stop.closed()).await;
        self.accepting.abort();
        let _ = (&mut self.accepting).await;
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        self.accepting.abort();
    }
}

async fn accept<H: PeerHandler>(
    socket: TcpListener,
    port: Arc<Port<H>>,
    mut stopped: watch::Receiver<bool>,
) {
    loop {
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            () = told(&mut stopped) => return,
        };
        match accepted {
            Ok((stream, from)) => {
                let Some(place) = Place::take(&port.handshakes, from.ip()) else {
                    tracing::debug!(%from, "too many connections in their handshake; one was closed");
                    continue;
                };
                let port = Arc::clone(&port);
                let stopped = stopped.clone();
                tokio::spawn(async move {
                    if let Err(error) = serve(port, stream, from, place, stopped).await {
                        tracing::debug!(%from, %error, "a peer's connection ended");
                    }
                });
            }
            Err(error) => {
                // No descriptor left, or a connection that died in the queue: neither ends the port.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Waits for the order to stop, or for the one who could give it to be gone.
async fn told(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stop| *stop).await;
}

/// All that connections share.
struct Port<H> {
    own: AgentId,
    pace: ListenerPace,
    handler: Arc<H>,
    traffic: Arc<Traffic>,
    tls: TlsAcceptor,
    handshakes: Arc<Mutex<Handshakes>>,
    strangers: Arc<Semaphore>,
    body_blocks: Arc<Semaphore>,
    peers: Mutex<HashMap<AgentId, Arc<Peer>>>,
}

/// What is kept of one known peer over all its connections.
struct Peer {
    id: AgentId,
    requests: Arc<Semaphore>,
    connections: Mutex<VecDeque<Arc<Notify>>>,
}

impl<H: PeerHandler> Port<H> {
    fn new(
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
            pace,
            handler,
            traffic,
            tls: TlsAcceptor::from(Arc::new(tls)),
            handshakes: Arc::default(),
            strangers: Arc::new(Semaphore::new(STRANGERS_MAX)),
            body_blocks: Arc::new(Semaphore::new(BODY_BYTES_IN_FLIGHT_MAX / BLOCK_BYTES)),
            peers: Mutex::default(),
        })
    }

    fn peer(&self, id: AgentId) -> Arc<Peer> {
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        let peer = peers.entry(id).or_insert_with(|| {
            Arc::new(Peer {
                id,
                requests: Arc::new(Semaphore::new(REQUESTS_PER_PEER_MAX)),
                connections: Mutex::default(),
            })
        });
        Arc::clone(peer)
    }

    /// Whether `from` may speak; asked for each request.
    fn admit(&self, from: AgentId) -> Result<(), Refusal> {
        if from == self.own {
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
}

impl Peer {
    /// Notes one more connection; the oldest beyond the limit is told to end.
    fn opened(&self, end: &Arc<Notify>) {
        let mut open = self
            .connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        open.push_back(Arc::clone(end));
        if open.len() > CONNECTIONS_PER_PEER_MAX
            && let Some(oldest) = open.pop_front()
        {
            oldest.notify_one();
        }
    }

    fn closed(&self, end: &Arc<Notify>) {
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|one| !Arc::ptr_eq(one, end));
    }
}

/// Connections in their handshake, by source.
#[derive(Debug, Default)]
struct Handshakes {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// One place among them, given back when dropped.
struct Place {
    handshakes: Arc<Mutex<Handshakes>>,
    address: IpAddr,
}

impl Place {
    fn take(handshakes: &Arc<Mutex<Handshakes>>, address: IpAddr) -> Option<Self> {
        let mut open = handshakes.lock().unwrap_or_else(PoisonError::into_inner);
        let here = open.by_address.get(&address).copied().unwrap_or(0);
        if open.all >= HANDSHAKES_MAX || here >= HANDSHAKES_PER_ADDRESS_MAX {
            return None;
        }
        open.all += 1;
        open.by_address.insert(address, here + 1);
        Some(Self {
            handshakes: Arc::clone(handshakes),
            address,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self
            .handshakes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        open.all -= 1;
        if let Some(here) = open.by_address.get_mut(&self.address) {
            *here -= 1;
            if *here == 0 {
                open.by_address.remove(&self.address);
            }
        }
    }
}

async fn serve<H: PeerHandler>(
    port: Arc<Port<H>>,
    stream: TcpStream,
    from: SocketAddr,
    place: Place,
    stopped: watch::Receiver<bool>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let stream = Counted::new(stream, Arc::clone(&port.traffic));
    let tls = timeout(port.pace.handshake_time_max, port.tls.accept(stream))
        .await
        .map_err(|_| {
            io::Error::new(io::ErrorKind::TimedOut, "the TLS handshake took too long")
        })??;
    drop(place);
    let session = tls.get_ref().1;
    if session.alpn_protocol() != Some(b"h2") {
        return Err(io::Error::other("the peer does not speak HTTP/2"));
    }
    // The verifier has accepted this certificate; here it is only read.
    let caller = match session.peer_certificates().and_then(<[_]>::first) {
        Some(der) => {
            let said = certificate::read(der).map_err(io::Error::other)?;
            Some(port.peer(said.identity.agent_id))
        }
        None => None,
    };
    let Some(peer) = caller else {
        let Ok(_stranger) = Arc::clone(&port.strangers).try_acquire_owned() else {
            return Err(io::Error::other("too many hosts want to join at once"));
        };
        let never = Notify::new();
        let time_max = port.pace.stranger_time_max;
        let served = drive(port, None, TokioIo::new(tls), &never, stopped);
        return timeout(time_max, served)
            .await
            .unwrap_or_else(|_| Err(io::Error::other("the join took too long")));
    };
    tracing::debug!(agent = %peer.id, %from, "a peer connected");
    let end = Arc::new(Notify::new());
    peer.opened(&end);
    let served = drive(
        port,
        Some(Arc::clone(&peer)),
        TokioIo::new(tls),
        &end,
        stopped,
    )
    .await;
    peer.closed(&end);
    served
}

async fn drive<H: PeerHandler, S>(
    port: Arc<Port<H>>,
    caller: Option<Arc<Peer>>,
    stream: S,
    end: &Notify,
    mut stopped: watch::Receiver<bool>,
) -> io::Result<()>
where
    S: hyper::rt::Read + hyper::rt::Write + Unpin,
{
    let streams = match caller {
        Some(_) => u32::try_from(REQUESTS_PER_PEER_MAX).unwrap_or(u32::MAX),
        None => REQUESTS_PER_STRANGER_MAX,
    };
    let service = service_fn(move |request| {
        let port = Arc::clone(&port);
        let caller = caller.clone();
        async move { Ok::<_, Infallible>(respond(&port, caller, request).await) }
    });
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .max_concurrent_streams(streams)
        .max_header_list_size(HEADER_BYTES_MAX)
        .auto_date_header(false)
        .serve_connection(stream, service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = end.notified() => return Err(io::Error::other("a newer connection of this peer took its place")),
        () = told(&mut stopped) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    ended.map_err(io::Error::other)
}

async fn respond<H: PeerHandler>(
    port: &Arc<Port<H>>,
    caller: Option<Arc<Peer>>,
    request: Request<Incoming>,
) -> Answer {
    match handle(port, caller.as_deref(), request).await {
        Ok(body) => json(StatusCode::OK, body),
        Err(refusal) => {
            let from = caller.as_ref().map(|peer| peer.id.0);
            tracing::debug!(
                from,
                sentence = refusal.sentence,
                "a peer's request was refused"
            );
            json(
                status(refusal.kind),
                request::text(&refusal).unwrap_or_default(),
            )
        }
    }
}

async fn handle<H: PeerHandler>(
    port: &Arc<Port<H>>,
    caller: Option<&Peer>,
    request: Request<Incoming>,
) -> Result<Bytes, Refusal> {
    let from = caller.map(|peer| peer.id);
    if let Some(from) = from {
        port.admit(from)?;
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
    let body = timeout(
        port.pace.body_time_max,
        collect(port, request.into_body(), route),
    )
    .await
    .map_err(|_| invalid("the request's body did not arrive in time"))??;
    let request = request::decode(route, from, &body.bytes)?;
    drop(body);
    let handler = Arc::clone(&port.handler);
    // A task of its own: it goes on if the caller hangs up, and if it panics, that is all that panics.
    let worked = tokio::spawn(async move {
        let _busy = busy;
        request::answer(&*handler, from, request).await
    });
    match timeout(port.pace.handler_time_max, worked).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => Err(panicked()),
        Err(_) => Err(busy_late()),
    }
}

/// A body, and the places it takes among the bytes in flight.
struct Collected {
    bytes: Vec<u8>,
    _blocks: Vec<OwnedSemaphorePermit>,
}

async fn collect<H>(port: &Port<H>, body: Incoming, route: Route) -> Result<Collected, Refusal> {
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
        _blocks: Vec::new(),
    };
    let mut reserved = 0;
    let mut body = body;
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
            let permit = u32::try_from(blocks)
                .ok()
                .and_then(|blocks| {
                    Arc::clone(&port.body_blocks)
                        .try_acquire_many_owned(blocks)
                        .ok()
                })
                .ok_or_else(|| busy("too much to read at once"))?;
            collected._blocks.push(permit);
            reserved += blocks * BLOCK_BYTES;
        }
        collected.bytes.extend_from_slice(&data);
    }
    Ok(collected)
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
