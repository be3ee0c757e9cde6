//! A slow wire: a TCP forwarder that delays what passes, by a fixed time and a random one.
//!
//! It delays each piece that it reads and keeps their order, as a long line does. Connections can be broken at once, and
//! the forwarder can swallow everything without breaking anything, as a firewall that forgot a connection does.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::error::{Error, Result};

/// Pieces under way in one direction of one connection; beyond that the sender waits, as on a real line.
const PIECES_MAX: usize = 1024;

/// A running forwarder; it ends with its value.
#[derive(Debug)]
pub struct Forwarder {
    address: SocketAddr,
    state: Arc<State>,
    tasks: JoinSet<()>,
}

#[derive(Debug)]
struct State {
    delay_us: AtomicU64,
    jitter_us: AtomicU64,
    swallow: AtomicBool,
    bytes: AtomicU64,
    seed: AtomicU64,
    cut: broadcast::Sender<()>,
}

impl Forwarder {
    /// Forwards from `listen` (port 0: one that the system chooses) to `target`.
    pub async fn start(listen: SocketAddr, target: SocketAddr) -> Result<Self> {
        let here = Path::new("a TCP port");
        let listener = TcpListener::bind(listen)
            .await
            .map_err(Error::io("listen on", here))?;
        let address = listener
            .local_addr()
            .map_err(Error::io("listen on", here))?;
        let state = Arc::new(State {
            delay_us: AtomicU64::new(0),
            jitter_us: AtomicU64::new(0),
            swallow: AtomicBool::new(false),
            bytes: AtomicU64::new(0),
            seed: AtomicU64::new(u64::from(address.port()) + 1),
            cut: broadcast::Sender::new(1),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, target, state.clone()));
        Ok(Self {
            address,
            state,
            tasks,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How long every piece takes from now on: `delay`, and up to `jitter` more.
    pub fn slow(&self, delay: Duration, jitter: Duration) {
        let us = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.state.delay_us.store(us(delay), Ordering::Relaxed);
        self.state.jitter_us.store(us(jitter), Ordering::Relaxed);
    }

    /// Swallows everything that arrives, with connections left open; or stops doing so.
    pub fn swallow(&self, swallow: bool) {
        self.state.swallow.store(swallow, Ordering::Relaxed);
    }

    /// Breaks every connection that is open now.
    pub fn break_connections(&self) {
        let _ = self.state.cut.send(());
    }

    /// How many bytes have passed, both directions together.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.state.bytes.load(Ordering::Relaxed)
    }

    /// Ends it now; dropping it does so too.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, state: Arc<State>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((near, _)) = accepted {
                    connections.spawn(connection(near, target, state.clone()));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(near: TcpStream, target: SocketAddr, state: Arc<State>) {
    let mut cut = state.cut.subscribe();
    let Ok(far) = TcpStream::connect(target).await else {
        return;
    };
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let (near_read, near_write) = near.into_split();
    let (far_read, far_write) = far.into_split();
    let both = async {
        tokio::join!(
            wire(near_read, far_write, &state),
            wire(far_read, near_write, &state)
        );
    };
    tokio::select! {
        () = both => {}
        _ = cut.recv() => {}
    }
}

/// One direction: reading stamps each piece with the time at which it may leave, and writing waits for it.
async fn wire(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, state: &State) {
    let (sender, mut pieces) = mpsc::channel::<(Instant, Vec<u8>)>(PIECES_MAX);
    let read = async move {
        let mut buffer = vec![0_u8; 16 * 1024];
        let mut last = Instant::now();
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            if state.swallow.load(Ordering::Relaxed) {
                continue;
            }
            state.bytes.fetch_add(length as u64, Ordering::Relaxed);
            // A later piece never overtakes an earlier one.
            last = last.max(Instant::now() + state.next_delay());
            if sender
                .send((last, buffer[..length].to_vec()))
                .await
                .is_err()
            {
                return;
            }
        }
    };
    let write = async move {
        while let Some((at, piece)) = pieces.recv().await {
            tokio::time::sleep_until(at).await;
            if to.write_all(&piece).await.is_err() {
                return;
            }
        }
        let _ = to.shutdown().await;
    };
    tokio::join!(read, write);
}

impl State {
    fn next_delay(&self) -> Duration {
        let jitter = self.jitter_us.load(Ordering::Relaxed);
        // An xorshift is random enough for a wire.
        let mut seed = self.seed.load(Ordering::Relaxed);
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        self.seed.store(seed, Ordering::Relaxed);
        let extra = if jitter == 0 { 0 } else { seed % jitter };
        Duration::from_micros(self.delay_us.load(Ordering::Relaxed) + extra)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn echo() -> (SocketAddr, JoinSet<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                open.spawn(async move {
                    let (mut read, mut write) = stream.into_split();
                    let _ = tokio::io::copy(&mut read, &mut write).await;
                });
            }
        });
        (address, tasks)
    }

    async fn round_trip(stream: &mut TcpStream, text: &[u8]) -> Option<Duration> {
        let started = Instant::now();
        stream.write_all(text).await.ok()?;
        let mut answer = vec![0; text.len()];
        stream.read_exact(&mut answer).await.ok()?;
        (answer == text).then(|| started.elapsed())
    }

    #[tokio::test]
    async fn it_delays_swallows_and_breaks() {
        let (target, _echo) = echo().await;
        let forwarder = Forwarder::start("127.0.0.1:0".parse().unwrap(), target)
            .await
            .unwrap();
        let mut stream = TcpStream::connect(forwarder.address()).await.unwrap();
        round_trip(&mut stream, b"at once").await.unwrap();
        forwarder.slow(Duration::from_millis(60), Duration::from_millis(20));
        let took = round_trip(&mut stream, &[7; 50_000]).await.unwrap();
        assert!(
            took >= Duration::from_millis(120),
            "two delays of 60 ms took {took:?}"
        );
        assert!(forwarder.bytes() >= 100_000);
        forwarder.slow(Duration::ZERO, Duration::ZERO);
        forwarder.swallow(true);
        let silent =
            tokio::time::timeout(Duration::from_millis(200), round_trip(&mut stream, b"lost"))
                .await;
        assert!(silent.is_err());
        forwarder.swallow(false);
        forwarder.break_connections();
        assert!(round_trip(&mut stream, b"broken").await.is_none());
        forwarder.stop().await;
    }
}
