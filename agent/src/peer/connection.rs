//! The one connection to one peer: made when wanted, kept, noticed when dead, made again.
//!
//! A task owns it. Callers wait for it no longer than their own deadline, and giving up does not disturb an attempt that
//! others wait for. While a peer cannot be reached, callers hear so at once instead of queueing.
//!
//! A connection that falls silent is either dead (a router forgot it, the host is gone) or waits for TCP to send a lost
//! packet again. Nobody can tell which, so a second one is made beside it: to give up the first at once would turn two
//! lost packets into a new handshake over the same bad wire.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use muster_core::ids::AgentId;
use tokio::sync::{Notify, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

use super::dial::{self, Live, Sender, chain};
use super::identity::LiveIdentity;
use super::limits::HANDSHAKE_TIME_MAX;
use super::resolver::Resolver;
use super::traffic::Traffic;
use super::verify;

/// How a client keeps its connections.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionPace {
    /// A connection that brought nothing for this long is pinged.
    pub ping_interval: Duration,
    /// A ping that is not answered for this long ends the connection.
    pub ping_timeout: Duration,
    /// A connection that brought nothing for this long, pings included, is suspected: another is begun beside it, and
    /// the first of the two to bring something is used from then on.
    pub silence_max: Duration,
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
            ping_timeout: Duration::from_secs(5),
            silence_max: Duration::from_secs(2),
            attempt_time_max: HANDSHAKE_TIME_MAX,
            attempt_again_after: Duration::from_millis(700),
            pause_min: Duration::from_millis(50),
            pause_max: Duration::from_millis(400),
            idle_max: Duration::from_secs(120),
        }
    }
}

/// How often a silent connection is looked at while its replacement is under way.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// How long answers may still come on a connection that was replaced.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(10);

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
        let keeper = Keeper {
            address: shared.address.subscribe(),
            pause: means.pace.pause_min,
            failing: None,
            resolver: Resolver::default(),
            replaced: JoinSet::new(),
            shared: Arc::clone(&shared),
            means,
        };
        let keeper = tokio::spawn(keeper.run()).abort_handle();
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
struct Keeper {
    shared: Arc<Shared>,
    means: Means,
    address: watch::Receiver<String>,
    resolver: Resolver,
    pause: Duration,
    /// Why the peer cannot be reached, while it cannot.
    failing: Option<String>,
    /// Connections that were replaced, while answers may still come on them.
    replaced: JoinSet<()>,
}

/// Why a connection is not simply held on to.
enum Event {
    /// It is over.
    Over(String),
    /// Nothing has come for too long.
    Silent,
}

/// What came of looking for a replacement.
enum Second {
    /// It is open.
    Open(Live),
    /// The first one speaks again.
    NotNeeded,
    /// The peer has another address.
    Moved,
    /// There is none to be had.
    Failed(std::io::Error),
}

impl Keeper {
    async fn run(mut self) {
        loop {
            self.shared.wanted.notified().await;
            self.shared.state.send_replace(State::Connecting);
            let target: Arc<str> = self.address.borrow_and_update().as_str().into();
            let connecting =
                dial::connect(self.shared.to, &self.means, &target, &mut self.resolver);
            let made = tokio::select! {
                made = connecting => Some(made),
                _ = self.address.changed() => None,
            };
            match made {
                Some(Ok(live)) => self.hold(live, &target).await,
                Some(Err(error)) => self.rest(&error, &target).await,
                // Whoever waits goes on waiting, for the new address.
                None => self.shared.wanted.notify_one(),
            }
            self.shared.state.send_replace(State::Idle);
        }
    }

    /// Lets nobody try for a moment, after a failure.
    async fn rest(&mut self, error: &std::io::Error, target: &Arc<str>) {
        let why = verify::words(error);
        let why = format!("{target}: {why}");
        // Once for each reason, not for each attempt.
        if self.failing.as_ref() != Some(&why) {
            tracing::warn!(agent = %self.shared.to, why, "a peer cannot be reached");
            self.failing = Some(why.clone());
        }
        self.shared
            .state
            .send_replace(State::Down(Arc::clone(target), why.into()));
        tokio::select! {
            () = sleep(self.pause) => {}
            _ = self.address.changed() => {}
        }
        self.pause = (self.pause * 2).min(self.means.pace.pause_max);
    }

    /// Drives a connection, and those that replace it, to the end.
    async fn hold(&mut self, mut live: Live, target: &Arc<str>) {
        if self.failing.take().is_some() {
            tracing::info!(agent = %self.shared.to, address = &**target, "a peer is reached again");
        }
        loop {
            self.pause = self.means.pace.pause_min;
            let up = State::Up(live.sender.clone(), Arc::clone(target));
            self.shared.state.send_replace(up);
            let over = match self.event(&mut live).await {
                Event::Over(why) => why,
                Event::Silent => match self.second(&mut live, target).await {
                    Second::NotNeeded => continue,
                    Second::Open(other) => {
                        let first = std::mem::replace(&mut live, other).open;
                        while self.replaced.try_join_next().is_some() {}
                        self.replaced.spawn(async move {
                            // However it ends: nobody is called on it any more.
                            let _ = timeout(DRAIN_TIME_MAX, first).await;
                        });
                        continue;
                    }
                    Second::Moved => "the peer has another address".to_owned(),
                    Second::Failed(error) => {
                        self.rest(&error, target).await;
                        "silent".to_owned()
                    }
                },
            };
            tracing::debug!(agent = %self.shared.to, address = &**target, over, "a connection ended");
            return;
        }
    }

    /// Drives a connection for as long as all is well.
    async fn event(&mut self, live: &mut Live) -> Event {
        loop {
            let unused_at = *lock(&self.shared.used) + self.means.pace.idle_max;
            let silent_at = live.heard.at() + self.means.pace.silence_max;
            tokio::select! {
                ended = &mut live.open => {
                    return Event::Over(match ended {
                        Ok(()) => "closed".to_owned(),
                        Err(error) => chain(&error),
                    });
                }
                _ = self.address.changed() => {
                    return Event::Over("the peer has another address".to_owned());
                }
                () = sleep_until(unused_at) => {
                    if lock(&self.shared.used).elapsed() >= self.means.pace.idle_max {
                        return Event::Over("not used".to_owned());
                    }
                }
                () = sleep_until(silent_at) => {
                    if live.heard.at().elapsed() >= self.means.pace.silence_max {
                        return Event::Silent;
                    }
                }
            }
        }
    }

    /// Makes a second connection beside a silent one, until one of the two brings something.
    async fn second(&mut self, first: &mut Live, target: &Arc<str>) -> Second {
        let connecting = dial::connect(self.shared.to, &self.means, target, &mut self.resolver);
        tokio::pin!(connecting);
        let mut first_lives = true;
        loop {
            tokio::select! {
                made = &mut connecting => {
                    return match made {
                        Ok(live) => Second::Open(live),
                        Err(error) => Second::Failed(error),
                    };
                }
                _ = self.address.changed() => return Second::Moved,
                _ = &mut first.open, if first_lives => {
                    first_lives = false;
                    self.shared.state.send_replace(State::Connecting);
                }
                () = sleep(LOOK_AGAIN), if first_lives => {
                    if first.heard.at().elapsed() < self.means.pace.silence_max {
                        return Second::NotNeeded;
                    }
                }
            }
        }
    }
}
