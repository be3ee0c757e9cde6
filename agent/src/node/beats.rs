//! Heartbeats: to whom `core::evidence` says, when it says, and at once when there is news.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use muster_core::ids::AgentId;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::member::{Member, removed_sentence};
use crate::clock;

/// Between two looks at who is due. Heartbeats themselves go at the group's interval; this is only how late one may be.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Heartbeats to one peer that may be under way at a time: a peer that hangs is not asked again and again.
const UNDER_WAY_MAX: usize = 4;

impl Member {
    /// Sends heartbeats for as long as it is polled.
    pub(super) async fn beat(self: Arc<Self>) {
        let under_way: Arc<Mutex<BTreeMap<AgentId, usize>>> = Arc::default();
        let mut calls = JoinSet::new();
        loop {
            let state = self.state();
            let now_ms = clock::boot_ms();
            let due = self.evidence().due(now_ms, &state);
            for to in due {
                if !begin(&under_way, to) {
                    continue;
                }
                let (member, under_way) = (self.clone(), under_way.clone());
                calls.spawn(async move {
                    member.beat_once(to).await;
                    end(&under_way, to);
                });
            }
            let next = Instant::now() + LOOK_EVERY;
            loop {
                tokio::select! {
                    () = self.beat_bell.notified() => break,
                    () = sleep_until(next) => break,
                    Some(_) = calls.join_next() => {}
                }
            }
        }
    }

    async fn beat_once(&self, to: AgentId) {
        let Some(address) = self.routes.address_of(to) else {
            return;
        };
        let state = self.state();
        let heartbeat = self.evidence().heartbeat(clock::boot_ms(), &state, to);
        let within = Duration::from_millis(state.settings.heartbeat_ttl_ms / 2);
        let asked = self
            .routes
            .client
            .heartbeat(to, &address, &heartbeat, within)
            .await;
        match asked {
            Ok(answer) => self.hear(answer),
            Err(error) if error.says_removed() && !self.consensus.standing().borrow().quorum => {
                self.put_out(removed_sentence(self.me));
            }
            Err(error) => tracing::debug!(%to, %error, "a heartbeat brought no answer"),
        }
    }
}

fn begin(under_way: &Mutex<BTreeMap<AgentId, usize>>, to: AgentId) -> bool {
    let mut under_way = under_way.lock().unwrap_or_else(PoisonError::into_inner);
    let count = under_way.entry(to).or_default();
    let free = *count < UNDER_WAY_MAX;
    if free {
        *count += 1;
    }
    free
}

fn end(under_way: &Mutex<BTreeMap<AgentId, usize>>, to: AgentId) {
    let mut under_way = under_way.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(count) = under_way.get_mut(&to) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            under_way.remove(&to);
        }
    }
}
