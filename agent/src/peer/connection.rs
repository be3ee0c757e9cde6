//! The one connection to one peer: made when wanted, kept, noticed when dead, made again.
//!
//! A task owns it. Callers wait for it no longer than their own deadline, and giving up does not disturb an attempt that
//! others wait for. While a peer cannot be reached, callers hear so at once instead of queueing.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use muster_core::ids::AgentId;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use super::certificate::PeerIdentity;
use super::identity::LiveIdentity;
use super::limits::HANDSHAKE_TIME_MAX;
use super::traffic::{Counted, Traffic};
use super::verify::{self, CalledVerifier, provider};

/// A sender of requests on an open connection.
pub(super) type Sender = SendRequest<Full<Bytes>>;
type Open = http2::Connection<
    TokioIo<tokio_rustls::client::TlsStream<Counted<TcpStream>>>,
    Full<Bytes>,
    TokioExecutor,
>;

/// How a client keeps its connections.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionPace {
    /// A connection that brought nothing for this long is pinged.
    pub ping_interval: Duration,
    /// A ping that is not answered for this long ends the connection.
    pub ping_timeout: Duration,
    /// One attempt to connect, from the name's resolution to the end of the handshake.
    pub attempt_time_max: Duration,
    /// While an attempt gets no answer, another is begun this much later: after a cut has healed, the first attempt may
    /// wait long for TCP to try again.
    pub attempt_again_after: Duration,
    /// Pause after a failure: doubles from here
    pub pause_min: Duration,
    /// to here.
    pub pause_max: Duration,
    /// A connection that nobody used for this long is closed.
    pub idle_max: Duration,
}

impl Default for ConnectionPace {
    fn default() -> Self {
        Self {
            ping_interval: Duration::from_secs(1),
            ping_timeout: Duration::from_secs(2),
            attempt_time_max: HANDSHAKE_TIME_MAX,
            attempt_again_after: Duration::from_millis(700),
            pause_min: Duration::from_millis(50),
            pause_max: Duration::from_millis(400),
            idle_max: Duration::from_secs(120),
        }
    }
}

/// Attempts that run at once.
const ATTEMPTS_MAX: usize = 4;

#[derive(Debug, Clone)]
enum State {
    /// No connection and nobody wants one.
    Idle,
    /// An attempt runs.
    Connecting,
    /// Open, to this address.
    Up(Sender, Arc<str>),
    /// The last attempt, at this address, failed for that reason, and the pause after it is not over.
    Down(Arc<str>, Arc<str>),
}

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum NoConnection {
    /// The peer cannot be reached.
    Down(Arc<str>),
    /// Not within the caller's deadline.
    Late,
}

/// What a connection needs of the client that it belongs to.
#[derive(Debug, Clone)]
pub(super) struct Means {
    pub(super) identity: Arc<LiveIdentity>,
    pub(super) traffic: Arc<Traffic>,
    pub(super) pace: ConnectionPace,
}

#[derive(Debug)]
struct Shared {
    to: AgentId,
    address: watch::Sender<String>,
    state: watch::Sender<State>,
    wanted: Notify,
    used: Mutex<Instant>,
}

/// The connection to one peer; ends with its last holder.
#[derive(Debug)]
pub(super) struct PeerConnection {
    shared: Arc<Shared>,
    keeper: AbortHandle,
}

impl Drop for PeerConnection {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

impl PeerConnection {
    pub(super) fn new(to: AgentId, address: &str, means: Means) -> Self {
        let shared = Arc::new(Shared {
            to,
            address: watch::Sender::new(address.to_owned()),
            state: watch::Sender::new(State::Idle),
            wanted: Notify::new(),
            used: Mutex::new(Instant::now()),
        });
        let keeper = tokio::spawn(keep(Arc::clone(&shared), means)).abort_handle();
        Self { shared, keeper }
    }

    /// The open connection to the peer at `address`, waiting for one until `deadline`. A peer that has moved is followed.
    pub(super) async fn sender(
        &self,
        address: &str,
        deadline: Instant,
    ) -> Result<Sender, NoConnection> {
        *lock(&self.shared.used) = Instant::now();
        self.shared.address.send_if_modified(|now| {
            let moved = now != address;
            if moved {
                address.clone_into(now);
            }
            moved
        });
        let mut state = self.shared.state.subscribe();
        loop {
            match &*state.borrow_and_update() {
                State::Up(sender, at) if **at == *address && !sender.is_closed() => {
                    return Ok(sender.clone());
                }
                State::Down(at, why) if **at == *address => {
                    return Err(NoConnection::Down(Arc::clone(why)));
                }
                State::Connecting => {}
                // What is, or was, at another address says nothing of this one.
                State::Idle | State::Up(..) | State::Down(..) => self.shared.wanted.notify_one(),
            }
            match timeout_at(deadline, state.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(NoConnection::Down("the client was stopped".into())),
                Err(_) => return Err(NoConnection::Late),
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Owns the connection for as long as the client does.
async fn keep(shared: Arc<Shared>, means: Means) {
    let mut pause = means.pace.pause_min;
    let mut address = shared.address.subscribe();
    let mut resolver = Resolver::default();
    loop {
        shared.wanted.notified().await;
        shared.state.send_replace(State::Connecting);
        let target: Arc<str> = address.borrow_and_update().as_str().into();
        let made = tokio::select! {
            made = connect(&shared, &means, &target, &mut resolver) => made,
            _ = address.changed() => {
                // Whoever waits goes on waiting, for the new address.
                shared.state.send_replace(State::Idle);
                shared.wanted.notify_one();
                continue;
            }
        };
        match made {
            Ok((sender, open)) => {
                pause = means.pace.pause_min;
                shared
                    .state
                    .send_replace(State::Up(sender, Arc::clone(&target)));
                let why = hold(&shared, &means, open, &mut address).await;
                tracing::debug!(agent = %shared.to, address = &*target, why, "a connection ended");
                shared.state.send_replace(State::Idle);
            }
            Err(error) => {
                tracing::debug!(agent = %shared.to, address = &*target, %error, "a peer cannot be reached");
                let why = format!("{target}: {}", verify::words(&error));
                shared
                    .state
                    .send_replace(State::Down(Arc::clone(&target), why.into()));
                tokio::select! {
                    () = sleep(pause) => {}
                    _ = address.changed() => {}
                }
                pause = (pause * 2).min(means.pace.pause_max);
                shared.state.send_replace(State::Idle);
            }
        }
    }
}

/// Drives an open connection to its end, and says why it ended.
async fn hold(
    shared: &Shared,
    means: &Means,
    open: Open,
    address: &mut watch::Receiver<String>,
) -> String {
    tokio::pin!(open);
    loop {
        let unused_at = *lock(&shared.used) + means.pace.idle_max;
        tokio::select! {
            ended = &mut open => {
                return match ended {
                    Ok(()) => "closed".to_owned(),
                    Err(error) => chain(&error),
                };
            }
            _ = address.changed() => return "the peer has another address".to_owned(),
            () = tokio::time::sleep_until(unused_at) => {
                if lock(&shared.used).elapsed() >= means.pace.idle_max {
                    return "not used".to_owned();
                }
            }
        }
    }
}

/// Connects, with further attempts beside one that hangs; the first that succeeds wins, and a clear failure ends all.
async fn connect(
    shared: &Shared,
    means: &Means,
    address: &str,
    resolver: &mut Resolver,
) -> io::Result<(Sender, Open)> {
    let own = means.identity.current();
    let expected = PeerIdentity {
        cluster_id: own.peer().cluster_id.clone(),
        agent_id: shared.to,
    };
    let verifier = CalledVerifier::agent(own.ca(), expected).map_err(io::Error::other)?;
    let tls = client_tls(verifier, Some(Arc::clone(&means.identity)))?;
    let places = timeout(means.pace.attempt_time_max, resolver.resolve(address))
        .await
        .map_err(|_| late("its name was not resolved in time"))??;
    let mut attempts = JoinSet::new();
    let mut begun = 0;
    loop {
        if begun < ATTEMPTS_MAX {
            // Each attempt takes the next address of the name: the first may be one that nobody answers.
            let place = places[begun % places.len()];
            let attempt = open(place, tls.clone(), means.clone());
            attempts.spawn(timeout(means.pace.attempt_time_max, attempt));
            begun += 1;
        }
        let again = sleep(means.pace.attempt_again_after);
        let ended = tokio::select! {
            ended = attempts.join_next() => ended,
            () = again, if begun < ATTEMPTS_MAX => continue,
        };
        match ended {
            Some(Ok(Ok(Ok(open)))) => return Ok(open),
            // Another address of the same name may still answer.
            Some(Ok(Ok(Err(_)))) if begun < places.len().min(ATTEMPTS_MAX) => {}
            Some(Ok(Ok(Err(error)))) if attempts.is_empty() || places.len() == 1 => {
                return Err(error);
            }
            _ if attempts.is_empty() => return Err(late("no answer")),
            _ => {}
        }
    }
}

async fn open(place: SocketAddr, tls: TlsConnector, means: Means) -> io::Result<(Sender, Open)> {
    let stream = TcpStream::connect(place).await?;
    secure(stream, tls, &means.traffic, &means.pace).await
}

/// TLS and HTTP/2 on a fresh TCP connection.
pub(super) async fn secure(
    stream: TcpStream,
    tls: TlsConnector,
    traffic: &Arc<Traffic>,
    pace: &ConnectionPace,
) -> io::Result<(Sender, Open)> {
    stream.set_nodelay(true)?;
    let stream = Counted::new(stream, Arc::clone(traffic));
    // The name is not used: a peer is known by the identity in its certificate.
    let name = ServerName::try_from("muster").map_err(io::Error::other)?;
    let stream = tls.connect(name, stream).await?;
    if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
        return Err(io::Error::other("the peer does not speak HTTP/2"));
    }
    http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(pace.ping_interval)
        .keep_alive_timeout(pace.ping_timeout)
        .keep_alive_while_idle(true)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|e| io::Error::other(chain(&e)))
}

/// TLS towards a peer; without an identity of our own we are a stranger.
pub(super) fn client_tls(
    verifier: CalledVerifier,
    identity: Option<Arc<LiveIdentity>>,
) -> io::Result<TlsConnector> {
    let builder = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut tls = match identity {
        Some(identity) => builder.with_client_cert_resolver(identity),
        None => builder.with_no_client_auth(),
    };
    tls.alpn_protocols = vec![b"h2".to_vec()];
    tls.enable_sni = false;
    tls.resumption = rustls::client::Resumption::disabled();
    Ok(TlsConnector::from(Arc::new(tls)))
}

/// An error with what caused it: hyper's own words alone say little.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

fn late(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, why)
}

/// Names to addresses, one question at a time: the system's resolver may hang for long in a thread that cannot be ended,
/// and those must not pile up. While it hangs, or when it fails, the addresses of last time are used.
#[derive(Debug, Default)]
struct Resolver {
    known: Option<(String, Vec<SocketAddr>)>,
    asking: Option<Asking>,
}

#[derive(Debug)]
struct Asking {
    name: String,
    answer: tokio::task::JoinHandle<io::Result<Vec<SocketAddr>>>,
}

/// How long a question may take before the addresses of last time do.
const RESOLVE_PATIENCE: Duration = Duration::from_millis(500);

impl Resolver {
    async fn resolve(&mut self, name: &str) -> io::Result<Vec<SocketAddr>> {
        if let Ok(address) = name.parse::<SocketAddr>() {
            return Ok(vec![address]);
        }
        let known = match &self.known {
            Some((of, known)) if of == name => Some(known.clone()),
            _ => None,
        };
        let asking = match &mut self.asking {
            Some(asking) if asking.name == name => asking,
            other => {
                let asked = name.to_owned();
                other.insert(Asking {
                    name: name.to_owned(),
                    answer: tokio::spawn(async move {
                        Ok(tokio::net::lookup_host(asked).await?.collect())
                    }),
                })
            }
        };
        let answered = match &known {
            Some(known) => match timeout(RESOLVE_PATIENCE, &mut asking.answer).await {
                Ok(answered) => answered,
                Err(_) => return Ok(known.clone()),
            },
            None => (&mut asking.answer).await,
        };
        self.asking = None;
        match (answered, known) {
            (Ok(Ok(places)), _) if !places.is_empty() => {
                self.known = Some((name.to_owned(), places.clone()));
                Ok(places)
            }
            (_, Some(known)) => Ok(known),
            (Ok(Err(error)), None) => Err(io::Error::new(
                error.kind(),
                format!("its name cannot be resolved: {error}"),
            )),
            _ => Err(io::Error::other("its name has no address")),
        }
    }
}
