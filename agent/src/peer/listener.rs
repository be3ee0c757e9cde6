//! The peer port: accepts connections, proves who calls, and serves requests within limits.
//!
//! A caller without a certificate may do one thing, ask to join, on a connection that is small and short. A caller with
//! one is checked again for each request against the ordered state, so that removing a host ends its right to speak at
//! once, also on connections that are open. Nothing that a peer sends, and no panic in a handler, ends more than the
//! request or the connection it came on.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::certificate;
use super::handler::PeerHandler;
use super::identity::LiveIdentity;
use super::limits::{
    BODY_TIME_MAX, HANDLER_TIME_MAX, HANDSHAKE_TIME_MAX, HEADER_BYTES_MAX, REQUESTS_PER_PEER_MAX,
    REQUESTS_PER_STRANGER_MAX, STRANGER_TIME_MAX,
};
use super::places::Place;
use super::port::{Peer, Port};
use super::traffic::{Counted, Traffic};

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
        let _ = timeout(STOP_TIME_MAX * 2, self.stop.closed()).await;
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
                let place = port.handshakes.take(from.ip());
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

async fn serve<H: PeerHandler>(
    port: Arc<Port<H>>,
    stream: TcpStream,
    from: SocketAddr,
    place: Place<IpAddr>,
    stopped: watch::Receiver<bool>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let stream = Counted::new(stream, Arc::clone(&port.traffic));
    let shaken = tokio::select! {
        shaken = timeout(port.pace.handshake_time_max, port.tls.accept(stream)) => shaken,
        () = place.lost() => return Err(lost()),
    };
    let tls = shaken.map_err(|_| late("the TLS handshake took too long"))??;
    drop(place);
    let session = tls.get_ref().1;
    if session.alpn_protocol() != Some(b"h2") {
        return Err(io::Error::other("the peer does not speak HTTP/2"));
    }
    // The verifier has accepted this certificate; here it is only read.
    match session.peer_certificates().and_then(<[_]>::first) {
        Some(der) => {
            let said = certificate::read(der).map_err(io::Error::other)?;
            let peer = port.peer(said.identity.agent_id);
            tracing::debug!(agent = %peer.id, %from, "a peer connected");
            let place = port.connections.take(peer.id);
            let served = drive(port, Some(peer), TokioIo::new(tls), stopped);
            tokio::select! {
                served = served => served,
                () = place.lost() => Err(lost()),
            }
        }
        None => {
            let place = port.strangers.take(from.ip());
            let time_max = port.pace.stranger_time_max;
            let served = drive(port, None, TokioIo::new(tls), stopped);
            tokio::select! {
                served = timeout(time_max, served) => {
                    served.unwrap_or_else(|_| Err(late("the join took too long")))
                }
                () = place.lost() => Err(lost()),
            }
        }
    }
}

fn lost() -> io::Error {
    io::Error::other("a newer connection took its place")
}

fn late(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, why)
}

async fn drive<H: PeerHandler, S>(
    port: Arc<Port<H>>,
    caller: Option<Arc<Peer>>,
    stream: S,
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
        async move { Ok::<_, Infallible>(port.respond(caller, request).await) }
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
        () = told(&mut stopped) => {
            connection.as_mut().graceful_shutdown();
            timeout(STOP_TIME_MAX, connection).await.unwrap_or(Ok(()))
        }
    };
    ended.map_err(io::Error::other)
}
