//! A few agents with their evidence, a network that loses exactly what it is told to, and one of them that leads.

use std::collections::{BTreeMap, BTreeSet};

use muster_core::decide::{Action, Decision, decide};
use muster_core::evidence::{ConsensusFacts, Evidence, Observations, OwnMember, Verdict};
use muster_core::ids::AgentId;
use muster_core::state::MemberState;

use super::{Cluster, server};

/// Steps of the clock, in milliseconds.
pub const STEP_MS: u64 = 50;
/// Between two reports of a plugin, in milliseconds.
pub const REPORT_MS: u64 = 500;

pub struct Net {
    pub cluster: Cluster,
    pub now_ms: u64,
    pub leader: u64,
    pub evidence: BTreeMap<u64, Evidence>,
    /// What each agent knows of its server; its plugin reports while it is not frozen.
    pub servers: BTreeMap<u64, OwnMember>,
    pub frozen: BTreeSet<u64>,
    /// Agents whose process does not run.
    pub dead: BTreeSet<u64>,
    /// Directions that lose everything.
    pub cut: BTreeSet<(u64, u64)>,
    /// Every decision made, with its time.
    pub decisions: Vec<(u64, Decision)>,
    pub learners: BTreeSet<AgentId>,
    incarnation: u64,
}

impl Net {
    /// Agents 1 to `agents` with their servers; 1 is the primary and 2 leads where there are more than one.
    pub fn new(agents: u64, voters: &[u64]) -> Self {
        let cluster = Cluster::running(agents, voters);
        let mut net = Self {
            now_ms: 1_000_000,
            leader: if voters.contains(&2) { 2 } else { 1 },
            evidence: BTreeMap::new(),
            servers: (1..=agents)
                .map(|n| (n, server(n, (n != 1).then_some(1))))
                .collect(),
            frozen: BTreeSet::new(),
            dead: BTreeSet::new(),
            cut: BTreeSet::new(),
            decisions: Vec::new(),
            learners: (1..=agents)
                .filter(|n| !voters.contains(n))
                .map(AgentId)
                .collect(),
            incarnation: 0,
            cluster,
        };
        for n in 1..=agents {
            net.start_agent(n);
        }
        net.run(5_000);
        net.decisions.clear();
        net
    }

    pub fn start_agent(&mut self, n: u64) {
        self.incarnation += 1;
        self.dead.remove(&n);
        let evidence = Evidence::new(AgentId(n), 77 * self.incarnation, self.now_ms);
        self.evidence.insert(n, evidence);
        if let Some(own) = self.servers.get_mut(&n) {
            own.report_number = 0;
            own.report = None;
            own.linked = false;
        }
    }

    pub fn isolate(&mut self, n: u64) {
        for other in self.evidence.keys().copied().collect::<Vec<_>>() {
            self.cut.insert((n, other));
            self.cut.insert((other, n));
        }
    }

    pub fn heal(&mut self) {
        self.cut.clear();
    }

    pub fn state_of(&self, n: u64) -> MemberState {
        self.cluster.record(n).state
    }

    pub fn reason_of(&self, n: u64) -> &str {
        &self.cluster.record(n).reason
    }

    pub fn run(&mut self, ms: u64) {
        let until = self.now_ms + ms;
        while self.now_ms < until {
            self.step();
        }
    }

    pub fn step(&mut self) {
        self.now_ms += STEP_MS;
        let now_ms = self.now_ms;
        for n in self.evidence.keys().copied().collect::<Vec<_>>() {
            if self.dead.contains(&n) {
                continue;
            }
            if let Some(own) = self.servers.get_mut(&n) {
                let alive = matches!(
                    own.process,
                    muster_core::evidence::ProcessState::Running { .. }
                );
                if alive && !self.frozen.contains(&n) && now_ms.is_multiple_of(REPORT_MS) {
                    own.report_number += 1;
                    own.linked = true;
                    if own.report.is_none() {
                        own.report = server(n, (n != 1).then_some(1)).report;
                    }
                }
                let own = own.clone();
                if let Some(evidence) = self.evidence.get_mut(&n) {
                    evidence.set_own(now_ms, Some(own));
                }
            }
        }
        self.exchange();
        self.lead();
    }

    fn exchange(&mut self) {
        let now_ms = self.now_ms;
        let state = &self.cluster.state;
        let mut sent = Vec::new();
        for (n, evidence) in &mut self.evidence {
            if self.dead.contains(n) {
                continue;
            }
            for to in evidence.due(now_ms, state) {
                sent.push((*n, to.0, evidence.heartbeat(now_ms, state, to)));
            }
        }
        for (from, to, heartbeat) in sent {
            if self.cut.contains(&(from, to)) || self.dead.contains(&to) {
                continue;
            }
            if let Some(evidence) = self.evidence.get_mut(&to) {
                let verdict = evidence.hear(now_ms, state, heartbeat);
                assert!(matches!(verdict, Verdict::Taken { .. }));
            }
        }
    }

    pub fn observe(&mut self) -> Observations {
        let consensus = ConsensusFacts {
            voters: self.cluster.state.voters.clone(),
            learners: self.learners.clone(),
            leading_ms: 1_000,
            ..ConsensusFacts::default()
        };
        self.evidence
            .get_mut(&self.leader)
            .expect("the leader has evidence")
            .observe(self.now_ms, &self.cluster.state, consensus)
    }

    fn lead(&mut self) {
        let seen = self.observe();
        for decision in decide(&self.cluster.state, &seen) {
            if let Some(Action::Propose(command)) = decision.action() {
                self.cluster.ok(command.clone());
            }
            self.decisions.push((self.now_ms, decision));
        }
    }

    /// How often the state of a member changed since the decisions were cleared.
    pub fn changes_of(&self, n: u64) -> usize {
        self.decisions
            .iter()
            .filter(|(_, d)| match d.action() {
                Some(Action::Propose(muster_core::command::Command::SetMembers { changes })) => {
                    changes.iter().any(|c| c.member_id == super::member(n))
                }
                _ => false,
            })
            .count()
    }
}
