//! Proposals from anywhere: find the leader, hand over, bring back the answer.

use std::time::Duration;

use muster_core::command::{Command, Entry};
use muster_core::ids::AgentId;
use tokio::time::{Instant, sleep};

use super::member::Member;
use crate::clock;
use crate::consensus::{ProposeError, Proposed};
use crate::peer::client::CallError;
use crate::peer::wire::{ProposeReply, RefusalKind};

/// How long a proposal looks for a leader before it gives up.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks for one.
const PAUSE: Duration = Duration::from_millis(50);

impl Member {
    /// Proposes `command` with its sentence, through whoever leads. Gives up after ten seconds without a leader.
    pub(super) async fn propose(
        &self,
        command: Command,
        reason: impl Into<String>,
    ) -> Result<Proposed, ProposeError> {
        self.propose_entry(Entry {
            time_us: clock::wall_us(),
            reason: reason.into(),
            command,
        })
        .await
    }

    /// The same for an entry that is complete.
    pub(super) async fn propose_entry(&self, entry: Entry) -> Result<Proposed, ProposeError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let leader = self.consensus.standing().borrow().leader;
            let attempt = match leader {
                Some(leader) if leader == self.me => self.consensus.propose(entry.clone()).await,
                Some(leader) => self.hand_over(leader, &entry, deadline).await,
                None => Err(ProposeError::NotLeader { leader: None }),
            };
            match attempt {
                // Nothing has happened: the next leader may take it.
                Err(ProposeError::NotLeader { .. }) if Instant::now() + PAUSE < deadline => {
                    sleep(PAUSE).await;
                }
                done => return done,
            }
        }
    }

    /// Takes an entry to the agent that leads. [`ProposeError::NotLeader`] means that nothing has happened.
    async fn hand_over(
        &self,
        leader: AgentId,
        entry: &Entry,
        deadline: Instant,
    ) -> Result<Proposed, ProposeError> {
        let nobody = ProposeError::NotLeader { leader: None };
        let Some(address) = self.routes.address_of(leader) else {
            return Err(nobody);
        };
        let within = deadline.saturating_duration_since(Instant::now());
        let asked = self
            .routes
            .client
            .propose(leader, &address, entry, within)
            .await;
        match asked {
            Ok(ProposeReply::Applied { index, outcome }) => Ok(Proposed { index, outcome }),
            Ok(ProposeReply::NotLeader { .. }) | Err(CallError::Unreachable { .. }) => Err(nobody),
            Err(CallError::Refused { refusal, .. }) => match refusal.kind {
                RefusalKind::NotLeader | RefusalKind::Busy => Err(nobody),
                _ => Err(ProposeError::Refused(refusal.sentence)),
            },
            Err(error @ (CallError::Timeout { .. } | CallError::Broken { .. })) => {
                Err(ProposeError::Unknown {
                    why: error.to_string(),
                })
            }
        }
    }
}
