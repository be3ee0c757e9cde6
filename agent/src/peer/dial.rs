//! From an address to an open connection: TCP, TLS with proof of who answers, HTTP/2.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use muster_core::ids::AgentId;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::TlsConnector;

use super::certificate::PeerIdentity;
use super::connection::{ConnectionPace, Means};
use super::identity::LiveIdentity;
use super::resolver::Resolver;
use super::traffic::{Counted, Heard, Traffic};
use super::verify::{CalledVerifier, provider};

/// A sender of requests on an open connection.
pub(super) type Sender = SendRequest<Full<Bytes>>;
/// Drives an open connection for as long as it is polled, to its end.
pub(super) type Open = http2::Connection<
    TokioIo<tokio_rustls::client::TlsStream<Counted<TcpStream>>>,
    Full<Bytes>,
    TokioExecutor,
>;

/// An open connection.
pub(super) struct Live {
    pub(super) sender: Sender,
    pub(super) open: Pin<Box<Open>>,
    /// When anything last came from the peer.
    pub(super) heard: Arc<Heard>,
}

/// Attempts that run at once.
const ATTEMPTS_MAX: usize = 4;
/// So many times longer is waited before another attempt once TCP has been answered.
const ANSWERED_PATIENCE: u32 = 4;

/// Connects, with further attempts beside one that hangs; the first that succeeds wins, and a clear failure ends all.
pub(super) async fn connect(
    to: AgentId,
    means: &Means,
    address: &str,
    resolver: &mut Resolver,
) -> io::Result<Live> {
    let own = means.identity.current();
    let expected = PeerIdentity {
        cluster_id: own.peer().cluster_id.clone(),
        agent_id: to,
    };
    let verifier = CalledVerifier::agent(own.ca(), expected).map_err(io::Error::other)?;
    let tls = client_tls(verifier, Some(Arc::clone(&means.identity)))?;
    let places = timeout(means.pace.attempt_time_max, resolver.resolve(address))
        .await
        .map_err(|_| late("its name was not resolved in time"))??;
    let mut attempts = JoinSet::new();
    let answered = Arc::new(AtomicBool::new(false));
    let mut begun = 0;
    let mut begun_at = Instant::now();
    let mut begin = true;
    loop {
        if begin && begun < ATTEMPTS_MAX {
            // Each attempt takes the next address of the name: the first may be one that nobody answers.
            let place = places[begun % places.len()];
            let attempt = open(place, tls.clone(), means.clone(), Arc::clone(&answered));
            attempts.spawn(timeout(means.pace.attempt_time_max, attempt));
            begun += 1;
            begun_at = Instant::now();
        }
        // A host that has answered and is slow to prove itself is more likely busy than gone.
        let patience = || match answered.load(Ordering::Relaxed) {
            true => means.pace.attempt_again_after * ANSWERED_PATIENCE,
            false => means.pace.attempt_again_after,
        };
        let ended = tokio::select! {
            ended = attempts.join_next() => ended,
            () = sleep_until(begun_at + patience()), if begun < ATTEMPTS_MAX => {
                begin = begun_at.elapsed() >= patience();
                continue;
            }
        };
        begin = false;
        match ended {
            Some(Ok(Ok(Ok(live)))) => return Ok(live),
            // Another address of the same name may still answer.
            Some(Ok(Ok(Err(_)))) if begun < places.len().min(ATTEMPTS_MAX) => begin = true,
            Some(Ok(Ok(Err(error)))) if attempts.is_empty() || places.len() == 1 => {
                return Err(error);
            }
            _ if attempts.is_empty() => return Err(late("no answer")),
            _ => {}
        }
    }
}

async fn open(
    place: SocketAddr,
    tls: TlsConnector,
    means: Means,
    answered: Arc<AtomicBool>,
) -> io::Result<Live> {
    let stream = TcpStream::connect(place).await?;
    answered.store(true, Ordering::Relaxed);
    secure(stream, tls, &means.traffic, &means.pace).await
}

/// TLS and HTTP/2 on a fresh TCP connection.
pub(super) async fn secure(
    stream: TcpStream,
    tls: TlsConnector,
    traffic: &Arc<Traffic>,
    pace: &ConnectionPace,
) -> io::Result<Live> {
    stream.set_nodelay(true)?;
    let stream = Counted::new(stream, Arc::clone(traffic));
    let heard = stream.heard();
    // The name is not used: a peer is known by the identity in its certificate.
    let name = ServerName::try_from("muster").map_err(io::Error::other)?;
    let stream = tls.connect(name, stream).await?;
    if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
        return Err(io::Error::other("the peer does not speak HTTP/2"));
    }
    let (sender, open) = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(pace.ping_interval)
        .keep_alive_timeout(pace.ping_timeout)
        .keep_alive_while_idle(true)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|e| io::Error::other(chain(&e)))?;
    Ok(Live {
        sender,
        open: Box::pin(open),
        heard,
    })
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
