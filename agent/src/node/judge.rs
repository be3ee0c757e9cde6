//! The leader's loop: observe, decide, act. And every agent's own small duty: to declare itself as it is configured.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use muster_core::command::{Command, Entry, Outcome};
use muster_core::decide::{Action, Decision, decide};
use muster_core::evidence::{ConsensusFacts, Observations};
use muster_core::ids::AgentId;
use muster_core::state::AgentRecord;
use tokio::time::sleep;

use super::member::Member;
use crate::clock;
use crate::consensus::Standing;

/// Between two looks without any news: what decides then is time itself.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Least time between two looks, however much news there is.
const LOOK_PAUSE: Duration = Duration::from_millis(5);
/// After a proposal that did not go through.
const AFTER_FAILURE: Duration = Duration::from_millis(200);
/// Log entries that an agent may lack and still be fit to vote or lead.
const LAG_ENTRIES_MAX: u64 = 50;
/// Between two looks at what this agent declared of itself.
const DECLARE_EVERY: Duration = Duration::from_secs(2);

/// What the leader remembers of its own leadership.
#[derive(Debug, Default)]
struct Term {
    number: u64,
    since_ms: u64,
    transfer_tried_ms: Option<u64>,
}

impl Member {
    /// Decides and acts while this agent leads, for as long as it is polled.
    pub(super) async fn judge(self: Arc<Self>) {
        let mut term = Term::default();
        let reshaping = Arc::new(AtomicBool::new(false));
        loop {
            tokio::select! {
                () = self.judge_bell.notified() => {}
                () = sleep(LOOK_EVERY) => {}
            }
            let standing = self.consensus.standing().borrow().clone();
            let state = self.state();
            let now_ms = clock::boot_ms();
            if !standing.i_lead {
                self.set_held(BTreeMap::new());
                // Tokens and silences are counted by every agent, so that a new leader does not begin at nothing.
                self.evidence()
                    .observe(now_ms, &state, ConsensusFacts::default());
                continue;
            }
            if term.number != standing.term {
                term = Term {
                    number: standing.term,
                    since_ms: now_ms,
                    transfer_tried_ms: None,
                };
            }
            let facts = facts(&standing, &term, now_ms, reshaping.load(Ordering::SeqCst));
            let seen = self.evidence().observe(now_ms, &state, facts);
            let mut held = BTreeMap::new();
            let mut failed = false;
            for decision in decide(&state, &seen) {
                match decision {
                    Decision::Held { what, why } => {
                        held.insert(what, why);
                    }
                    Decision::Act {
                        action: Action::Propose(command),
                        why,
                    } => {
                        failed |= !self.act(command, why).await;
                    }
                    Decision::Act { action, why } => {
                        if let Action::TransferLeadership(_) = action {
                            term.transfer_tried_ms = Some(now_ms);
                        }
                        self.reshape(action, why, &reshaping);
                    }
                }
            }
            self.set_held(held);
            sleep(if failed { AFTER_FAILURE } else { LOOK_PAUSE }).await;
        }
    }

    /// What `decide` would look at if this agent led, as far as it can know.
    pub(super) fn observe_as_leader(&self, standing: &Standing) -> Observations {
        let now_ms = clock::boot_ms();
        let facts = facts(standing, &Term::default(), now_ms, false);
        let state = self.state();
        self.evidence().observe(now_ms, &state, facts)
    }

    /// Proposes one decision; says whether it went through.
    async fn act(&self, command: Command, why: String) -> bool {
        tracing::info!(why, "decided");
        let entry = Entry {
            time_us: clock::wall_us(),
            reason: why,
            command,
        };
        match self.consensus.propose(entry).await {
            Ok(done) => {
                if let Outcome::Refused { reason } = done.outcome {
                    tracing::warn!(reason, "a decision was refused by the ordered state");
                    return false;
                }
                true
            }
            Err(error) => {
                tracing::warn!(%error, "a decision was not agreed on");
                false
            }
        }
    }

    /// Changes of the group itself take their time, and one is under way at most; judging goes on meanwhile.
    fn reshape(self: &Arc<Self>, action: Action, why: String, reshaping: &Arc<AtomicBool>) {
        if reshaping.swap(true, Ordering::SeqCst) {
            return;
        }
        tracing::info!(why, ?action, "decided");
        let (member, reshaping) = (self.clone(), reshaping.clone());
        tokio::spawn(async move {
            let consensus = &member.consensus;
            let done = match action {
                Action::AddLearner(id) => match member.routes.address_of(id) {
                    Some(address) => consensus.add_learner(id, &address).await,
                    None => Ok(()),
                },
                Action::RemoveLearner(id) => consensus.remove(id).await,
                Action::SetVoters(voters) => consensus.set_voters(voters).await,
                Action::TransferLeadership(to) => consensus.transfer(to).await,
                Action::Propose(_) => Ok(()),
            };
            if let Err(error) = done {
                tracing::warn!(%error, "a change of the group did not go through");
                sleep(AFTER_FAILURE).await;
            }
            reshaping.store(false, Ordering::SeqCst);
            member.judge_bell.notify_one();
        });
    }

    /// Remembers what is held back, and logs what is new among it.
    fn set_held(&self, held: BTreeMap<String, String>) {
        let mut known = self
            .held
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        for (what, why) in &held {
            if known.get(what) != Some(why) {
                tracing::warn!(what, why, "held back");
            }
        }
        *known = held;
    }

    /// What the ordered state says of this agent is kept equal to its configuration.
    pub(super) async fn declare(self: Arc<Self>) {
        loop {
            let state = self.state();
            if let Some(record) = state.agents.get(&self.me) {
                let wanted = self.declaration(record.arbitrator);
                if !says(record, &wanted) {
                    let command = Command::DeclareAgent {
                        agent_id: self.me,
                        agent: wanted,
                    };
                    let why = format!("the configuration of host '{}' says so", self.config.name);
                    match self.propose(command, why).await {
                        Ok(done) => {
                            if let Outcome::Refused { reason } = done.outcome {
                                tracing::warn!(
                                    reason,
                                    "the group refuses what this agent declares of itself"
                                );
                            }
                        }
                        Err(error) => {
                            tracing::debug!(%error, "this agent could not declare itself")
                        }
                    }
                }
            }
            sleep(DECLARE_EVERY).await;
        }
    }

    /// Asks whoever leads for a certificate.
    pub(super) async fn ask_certificate(&self, csr_pem: String) -> Result<String, String> {
        let leader = self.consensus.standing().borrow().leader;
        match leader {
            None => Err("the group has no leader at the moment".to_owned()),
            Some(leader) if leader == self.me => self.sign(self.me, &csr_pem),
            Some(leader) => {
                let address = self
                    .routes
                    .address_of(leader)
                    .ok_or("the leader's address is not known")?;
                let asked =
                    self.routes
                        .client
                        .renew(leader, &address, csr_pem, Duration::from_secs(10));
                asked.await.map_err(|e| e.to_string())
            }
        }
    }

    /// Signs a certificate for an agent with the key of the ordered state.
    pub(super) fn sign(&self, agent_id: AgentId, csr_pem: &str) -> Result<String, String> {
        let state = self.state();
        let signer = crate::peer::authority::Signer::load(&state.authority, &state.cluster_id);
        signer
            .and_then(|s| s.sign(csr_pem, agent_id))
            .map_err(|e| e.to_string())
    }
}

fn says(record: &AgentRecord, wanted: &muster_core::command::AgentDeclaration) -> bool {
    record.name == wanted.name
        && record.address == wanted.address
        && record.site == wanted.site
        && record.priority == wanted.priority
        && record.version == wanted.version
}

fn facts(standing: &Standing, term: &Term, now_ms: u64, reshaping: bool) -> ConsensusFacts {
    let others = standing.voters.iter().chain(&standing.learners);
    let behind = |id: &&AgentId| {
        let matched = standing.matched.get(id).copied().unwrap_or(0);
        matched + LAG_ENTRIES_MAX < standing.last_log_index
    };
    let unknown = |id: &AgentId| !standing.matched.contains_key(id);
    let me = standing.leader;
    ConsensusFacts {
        voters: standing.voters.clone(),
        learners: standing.learners.clone(),
        changing: standing.changing || reshaping,
        lagging: others
            .filter(|id| Some(**id) != me)
            .filter(|id| unknown(id) || behind(id))
            .copied()
            .collect(),
        leading_ms: now_ms.saturating_sub(term.since_ms),
        transfer_tried_ms: term.transfer_tried_ms.map(|at| now_ms.saturating_sub(at)),
    }
}
