//! A network in memory between the consensus of several agents.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use muster_agent::consensus::{
    BoxFuture, Consensus, RaftReply, RaftRpc, RaftTransport, TransportError,
};
use muster_core::ids::AgentId;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep, sleep_until};

/// What may happen to each message, a request or an answer.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Weather {
    /// Part of the messages that are lost.
    pub loss: f64,
    /// Part of the requests that arrive twice.
    pub doubled: f64,
    /// Longest delay; each message draws its own, so they overtake each other.
    pub delay_ms_max: u64,
}

#[derive(Debug)]
struct Sky {
    there: BTreeMap<AgentId, Consensus>,
    /// Whether the newest wire of each agent still carries. A crashed agent's tasks run on for a moment, and must not
    /// talk any more, not under the name of their successor either.
    alive: BTreeMap<AgentId, Arc<AtomicBool>>,
    /// Nothing goes from the first to the second.
    cut: BTreeSet<(AgentId, AgentId)>,
    weather: Weather,
    random: StdRng,
    /// Requests that arrived, for traces.
    delivered: u64,
}

/// The network. Clones are the same one.
#[derive(Clone)]
pub struct Net {
    sky: Arc<Mutex<Sky>>,
}

impl fmt::Debug for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Net")
    }
}

/// One agent's end of it.
#[derive(Debug)]
pub struct Wire {
    from: AgentId,
    net: Net,
    alive: Arc<AtomicBool>,
}

impl Net {
    /// A network in fine weather, whose draws all come from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            sky: Arc::new(Mutex::new(Sky {
                there: BTreeMap::new(),
                alive: BTreeMap::new(),
                cut: BTreeSet::new(),
                weather: Weather::default(),
                random: StdRng::seed_from_u64(seed),
                delivered: 0,
            })),
        }
    }

    fn sky(&self) -> MutexGuard<'_, Sky> {
        self.sky.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The end of agent `from`; an earlier one is dead from now on.
    #[must_use]
    pub fn wire(&self, from: AgentId) -> Arc<dyn RaftTransport> {
        self.unplug(from);
        let alive = Arc::new(AtomicBool::new(true));
        self.sky().alive.insert(from, alive.clone());
        Arc::new(Wire {
            from,
            net: self.clone(),
            alive,
        })
    }

    /// Agent `id` can be reached from now on.
    pub fn plug(&self, id: AgentId, consensus: Consensus) {
        self.sky().there.insert(id, consensus);
    }

    /// Agent `id` is gone.
    pub fn unplug(&self, id: AgentId) {
        let mut sky = self.sky();
        sky.there.remove(&id);
        if let Some(alive) = sky.alive.remove(&id) {
            alive.store(false, Ordering::SeqCst);
        }
    }

    /// Nothing goes from `from` to `to` any more, neither requests nor answers.
    pub fn cut(&self, from: AgentId, to: AgentId) {
        self.sky().cut.insert((from, to));
    }

    /// Nothing goes between `one` and any of `others`.
    pub fn isolate(&self, one: AgentId, others: impl IntoIterator<Item = AgentId>) {
        for other in others {
            self.cut(one, other);
            self.cut(other, one);
        }
    }

    /// Everything that was cut is whole again, and the weather is fine.
    pub fn heal(&self) {
        let mut sky = self.sky();
        sky.cut.clear();
        sky.weather = Weather::default();
    }

    /// Changes the weather.
    pub fn weather(&self, weather: Weather) {
        self.sky().weather = weather;
    }

    /// Requests that arrived so far.
    #[must_use]
    pub fn delivered(&self) -> u64 {
        self.sky().delivered
    }

    /// One message's way: how long it takes, or none if it does not arrive.
    fn way(&self, from: AgentId, to: AgentId) -> Option<Duration> {
        let mut sky = self.sky();
        let weather = sky.weather;
        let lost = weather.loss > 0.0 && sky.random.random_bool(weather.loss);
        let delay_ms = sky.random.random_range(0..=weather.delay_ms_max);
        (!lost && !sky.cut.contains(&(from, to))).then_some(Duration::from_millis(delay_ms))
    }

    fn doubled(&self) -> bool {
        let mut sky = self.sky();
        let part = sky.weather.doubled;
        part > 0.0 && sky.random.random_bool(part)
    }

    /// Who answers under this id at this moment, and whether that one still lives.
    fn whois(&self, id: AgentId) -> Option<(Consensus, Arc<AtomicBool>)> {
        let sky = self.sky();
        Some((sky.there.get(&id)?.clone(), sky.alive.get(&id)?.clone()))
    }

    /// Carries one copy of a request to `to`, and the answer back; none if either is lost.
    async fn carry(&self, from: AgentId, to: AgentId, rpc: RaftRpc) -> Option<RaftReply> {
        sleep(self.way(from, to)?).await;
        let (there, alive) = self.whois(to)?;
        self.sky().delivered += 1;
        let answer = there.serve(from, as_sent(&rpc)).await.ok()?;
        if !alive.load(Ordering::SeqCst) {
            // Whoever crashed meanwhile does not answer.
            return None;
        }
        sleep(self.way(to, from)?).await;
        Some(as_sent(&answer))
    }
}

/// What arrives has been text on its way, as between real agents.
fn as_sent<T: Serialize + DeserializeOwned>(message: &T) -> T {
    let text = serde_json::to_string(message).expect("every message can be written");
    serde_json::from_str(&text).expect("every message can be read back")
}

impl RaftTransport for Wire {
    fn call<'a>(
        &'a self,
        to: AgentId,
        _address: &'a str,
        rpc: RaftRpc,
        deadline: Duration,
    ) -> BoxFuture<'a, Result<RaftReply, TransportError>> {
        let (net, from, alive) = (self.net.clone(), self.from, self.alive.clone());
        Box::pin(async move {
            let until = Instant::now() + deadline;
            if !alive.load(Ordering::SeqCst) {
                sleep_until(until).await;
                return Err(TransportError::Timeout {
                    to,
                    after: deadline,
                });
            }
            if net.whois(to).is_none() {
                return Err(TransportError::Unreachable {
                    to,
                    why: "connection refused".to_owned(),
                });
            }
            if net.doubled() {
                let (net, rpc) = (net.clone(), rpc.clone());
                tokio::spawn(async move { net.carry(from, to, rpc).await });
            }
            // In a task of its own: a request that has left arrives, even if its sender has given up on the answer.
            let carried = tokio::spawn(async move { net.carry(from, to, rpc).await });
            match tokio::time::timeout_at(until, carried).await {
                Ok(Ok(Some(answer))) => Ok(answer),
                _ => {
                    sleep_until(until).await;
                    Err(TransportError::Timeout {
                        to,
                        after: deadline,
                    })
                }
            }
        })
    }
}
