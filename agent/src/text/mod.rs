//! The text protocol: a TCP listener for `nc`, `telnet` and old scripts, off unless configured.
//!
//! [`grammar`] is the contract, pure; [`desk`] does what requests ask; [`presence`] counts the silence of members that
//! joined here; this file listens. One request per connection, one answer, then the connection closes; a peer has a
//! bounded time and size, and only so many are served at once.

mod desk;
pub mod grammar;
mod presence;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};

pub use desk::{Beat, Group, text_member_id};

use desk::Desk;
use grammar::{Answer, Error, REQUEST_BYTES_MAX};

/// A request must have come this long after the connection.
pub const REQUEST_WITHIN: Duration = Duration::from_secs(5);
/// The group has this long to take a change.
pub const CHANGE_WITHIN: Duration = Duration::from_secs(5);
/// A peer has this long to take the answer.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Connections served at one time; one more is told to come back later.
pub const CONNECTIONS_MAX: usize = 64;
/// Connections being told so at one time; still more are closed without a word.
const TURNED_AWAY_MAX: usize = 64;
/// A peer that goes on sending after its request may do so for this long before it is cut off.
const LINGER: Duration = Duration::from_millis(500);

/// The listener cannot be made.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot listen on {address} for the text protocol: {source}; correct [text] listen or leave it out"
)]
pub struct ListenError {
    /// Where.
    address: SocketAddr,
    /// What the system said.
    source: std::io::Error,
}

/// The running text protocol. Dropping it stops it.
#[derive(Debug)]
pub struct TextServer {
    address: SocketAddr,
    accepting: JoinHandle<()>,
    looking: JoinHandle<()>,
}

impl TextServer {
    /// Listens on `address` (port 0: the system chooses).
    pub async fn start<G: Group>(address: SocketAddr, group: G) -> Result<Self, ListenError> {
        let at = |source| ListenError { address, source };
        let listener = TcpListener::bind(address).await.map_err(at)?;
        let address = listener.local_addr().map_err(at)?;
        let desk = Arc::new(Desk::new(group));
        let accepting = tokio::spawn(accept(listener, Arc::clone(&desk)));
        let looking = tokio::spawn(look(desk));
        Ok(Self {
            address,
            accepting,
            looking,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for TextServer {
    fn drop(&mut self) {
        self.accepting.abort();
        self.looking.abort();
    }
}

async fn look<G: Group>(desk: Arc<Desk<G>>) {
    let mut ticks = tokio::time::interval(Duration::from_millis(presence::LOOK_EVERY_MS));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        desk.look().await;
    }
}

async fn accept<G: Group>(listener: TcpListener, desk: Arc<Desk<G>>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let door = Arc::new(Semaphore::new(TURNED_AWAY_MAX));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection of the text protocol could not be taken");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        if let Ok(place) = Arc::clone(&places).try_acquire_owned() {
            let desk = Arc::clone(&desk);
            connections.spawn(async move {
                let _place = place;
                serve(stream, &desk).await;
            });
        } else if let Ok(place) = Arc::clone(&door).try_acquire_owned() {
            connections.spawn(async move {
                let _place = place;
                let sorry = Error::other("Too many connections, come back later");
                reply(stream, &Answer::Error(sorry)).await;
            });
        }
    }
}

async fn serve<G: Group>(mut stream: TcpStream, desk: &Desk<G>) {
    let request = match tokio::time::timeout(REQUEST_WITHIN, read_request(&mut stream)).await {
        Ok(Ok(bytes)) => grammar::parse(&bytes),
        // It is gone; nobody would read an answer.
        Ok(Err(_)) => return,
        Err(_) => Err(Error::other(format!(
            "No request came within {} s",
            REQUEST_WITHIN.as_secs()
        ))),
    };
    let answer = match request {
        Err(error) => Answer::Error(error),
        Ok(request) => tokio::time::timeout(CHANGE_WITHIN, desk.answer(request))
            .await
            .unwrap_or_else(|_| {
                Answer::Error(Error::other(format!(
                    "The group has not answered within {} s; whether the change will be made is not known",
                    CHANGE_WITHIN.as_secs()
                )))
            }),
    };
    reply(stream, &answer).await;
}

/// The bytes up to the first line end, or all that came before the end of the stream or the limit.
async fn read_request(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(REQUEST_BYTES_MAX);
    let mut buffer = [0; REQUEST_BYTES_MAX];
    loop {
        let room = REQUEST_BYTES_MAX - bytes.len();
        let read = stream.read(&mut buffer[..room]).await?;
        bytes.extend_from_slice(&buffer[..read]);
        if read == 0 || bytes.len() == REQUEST_BYTES_MAX || buffer[..read].contains(&b'\n') {
            return Ok(bytes);
        }
    }
}

/// Sends the answer and closes, so that the peer can read it even if it sent more than we have read: a plain close
/// would reset the connection and with it the answer.
async fn reply(mut stream: TcpStream, answer: &Answer) {
    let text = answer.to_string();
    let send = async {
        stream.write_all(text.as_bytes()).await?;
        stream.shutdown().await
    };
    if !matches!(tokio::time::timeout(ANSWER_WITHIN, send).await, Ok(Ok(()))) {
        return;
    }
    let drain = async {
        let mut buffer = [0; 4_096];
        while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
    };
    // A peer that never stops is cut off.
    let _ = tokio::time::timeout(LINGER, drain).await;
}

#[cfg(test)]
#[path = "listener_tests.rs"]
mod tests;
