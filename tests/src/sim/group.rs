//! The total order, as a model: one log, a leader that needs a majority, and proposals whose fate is not always known.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use muster_core::apply::apply;
use muster_core::command::{Command, Entry, Outcome};
use muster_core::ids::AgentId;
use muster_core::state::ClusterState;

/// A change on its way to the log.
#[derive(Debug, Clone)]
pub struct Pending {
    /// Who waits for the outcome.
    pub ticket: u64,
    /// Term of the leader that proposed it.
    pub term: u64,
    /// When it is on the disks of a majority, at the earliest.
    pub ready_ms: u64,
    /// What.
    pub change: Change,
}

/// What can be proposed.
#[derive(Debug, Clone)]
pub enum Change {
    /// A command.
    Entry(Entry),
    /// A new learner.
    AddLearner(AgentId),
    /// One learner less.
    RemoveLearner(AgentId),
    /// Other voters.
    SetVoters(BTreeSet<AgentId>),
}

/// The total order.
#[derive(Debug, Default)]
pub struct Group {
    /// Committed entries.
    pub log: Vec<Entry>,
    /// The state after each of them; the one before the first is the default.
    pub states: Vec<Rc<ClusterState>>,
    /// Outcomes by ticket.
    pub outcomes: BTreeMap<u64, Outcome>,
    /// Who votes.
    pub voters: BTreeSet<AgentId>,
    /// Who only listens.
    pub learners: BTreeSet<AgentId>,
    /// Grows with each election.
    pub term: u64,
    /// When the last one was.
    pub elected_ms: u64,
    /// Who leads.
    pub leader: Option<AgentId>,
    /// Since when the leader has lacked a majority.
    pub lost_since_ms: Option<u64>,
    /// Since when there has been no leader, and how long it takes until there is one.
    pub election: Option<(u64, u64)>,
    /// On their way.
    pub pending: Vec<Pending>,
    tickets: u64,
}

impl Group {
    /// The newest state.
    #[must_use]
    pub fn state(&self) -> Rc<ClusterState> {
        self.states.last().cloned().unwrap_or_default()
    }

    /// Puts a change on its way.
    pub fn propose(&mut self, ready_ms: u64, change: Change) -> u64 {
        self.tickets += 1;
        self.pending.push(Pending {
            ticket: self.tickets,
            term: self.term,
            ready_ms,
            change,
        });
        self.tickets
    }

    /// Whether the voters are being changed.
    #[must_use]
    pub fn changing(&self) -> bool {
        self.pending
            .iter()
            .any(|p| !matches!(p.change, Change::Entry(_)))
    }

    /// Whether these are a majority of the voters, and of the next ones where they are about to change.
    #[must_use]
    pub fn is_majority(&self, agents: &BTreeSet<AgentId>) -> bool {
        let majority_of =
            |voters: &BTreeSet<AgentId>| voters.intersection(agents).count() > voters.len() / 2;
        majority_of(&self.voters)
            && self.pending.iter().all(|p| match &p.change {
                Change::SetVoters(next) if p.term == self.term => majority_of(next),
                _ => true,
            })
    }

    /// Makes a change part of the order.
    pub fn commit(&mut self, pending: Pending) {
        match pending.change {
            Change::Entry(entry) => {
                let outcome = self.append(entry);
                self.outcomes.insert(pending.ticket, outcome);
            }
            Change::AddLearner(id) => {
                if !self.voters.contains(&id) {
                    self.learners.insert(id);
                }
            }
            Change::RemoveLearner(id) => {
                self.learners.remove(&id);
            }
            Change::SetVoters(voters) => {
                self.learners.extend(self.voters.iter().copied());
                self.learners.retain(|id| !voters.contains(id));
                self.voters.clone_from(&voters);
                self.append(Entry {
                    time_us: 0,
                    reason: "the voters were changed".to_owned(),
                    command: Command::VotersAre { voters },
                });
            }
        }
    }

    /// Appends an entry and applies it to the one state that all others are compared with.
    pub fn append(&mut self, entry: Entry) -> Outcome {
        let mut state = (*self.state()).clone();
        let outcome = apply(&mut state, self.log.len() as u64, &entry);
        self.log.push(entry);
        self.states.push(Rc::new(state));
        outcome
    }
}
