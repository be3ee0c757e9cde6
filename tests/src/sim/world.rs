//! The world: a queue of events in virtual time, and what each of them does.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;

use muster_core::command::{AgentDeclaration, Command, Entry, Outcome as Done};
use muster_core::decide::{self, Action, Decision};
use muster_core::evidence::{ConsensusFacts, Evidence, Heartbeat, Timing};
use muster_core::ids::{AgentId, MemberId};
use muster_core::show;
use muster_core::state::{Authority, ClusterState, MemberRole, MemberState};
use muster_link::report::Phase;

use super::Outcome;
use super::checks::Checks;
use super::faults::{END_MS, Fault};
use super::group::{Change, Group};
use super::network::{Host, Network};
use super::node::Node;
use super::random::Random;
use super::server::Server;

/// Between two ticks of an agent.
const TICK_MS: u64 = 50;
/// Between two steps of the total order.
const GROUP_MS: u64 = 20;
/// Between two reports of a plugin.
const REPORT_MS: u64 = 500;
/// A leader without a majority for so long stops leading.
const LEASE_MS: u64 = 700;
/// Everything has to be well again so long after the faults.
const SETTLE_MS: u64 = 90_000;
/// And stay so for so long.
const QUIET_MS: u64 = 12_000;
/// In a world without changes for so long, what is shown has to be true.
const STABLE_MS: u64 = 8_000;
/// Lines of the trace that are kept.
const TRACE_LINES: usize = 400;

/// Something that is going to happen.
#[derive(Debug, Clone)]
pub enum Event {
    /// A heartbeat arrives; with the time at which it was sent, and whether it is an answer.
    Deliver(AgentId, Heartbeat, u64, bool),
    /// An agent looks around.
    Tick(usize),
    /// A plugin reports.
    Report(Host),
    /// A server has come up.
    Serve(Host, u32),
    /// The total order goes on.
    Group,
    /// Something goes wrong, or ends.
    Fault(Fault),
}

/// A host on its way into the cluster.
#[derive(Debug, Clone)]
struct Joining {
    host: Host,
    key: String,
    name: String,
    token_hash: String,
    arbitrator: bool,
    step: Step,
    ticket: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Token,
    Join,
}

/// The world.
pub struct World {
    seed: u64,
    /// Where all chance comes from.
    pub random: Random,
    /// Virtual time.
    pub now_ms: u64,
    queue: BinaryHeap<Reverse<(u64, u64)>>,
    events: BTreeMap<u64, Event>,
    numbers: u64,
    /// Every agent that ever was.
    pub nodes: Vec<Node>,
    /// The agent of each host now.
    at: Vec<Option<usize>>,
    /// The server of each host; none on the host of an arbitrator.
    pub servers: Vec<Option<Server>>,
    /// The network.
    pub network: Network,
    /// The total order.
    pub group: Group,
    /// What has been promised.
    pub checks: Checks,
    disk_ms: u64,
    mariadb: bool,
    joining: Vec<Joining>,
    removing: Vec<(AgentId, u64)>,
    leaving: BTreeSet<AgentId>,
    steps: u64,
    fault_ms: u64,
    /// The newest lines of what happened.
    pub trace: VecDeque<String>,
    digest: DefaultHasher,
}

impl World {
    /// A cluster of a size that the seed decides: 1 to 7 hosts, perhaps one more with an arbitrator.
    #[must_use]
    pub fn random(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let hosts = random.between(1, 7) as usize;
        let arbitrator = random.chance(250);
        let mariadb = random.chance(500);
        Self::new(seed, random, hosts, arbitrator, mariadb)
    }

    /// A cluster of this size.
    #[must_use]
    pub fn of(seed: u64, hosts: usize, arbitrator: bool) -> Self {
        Self::new(seed, Random::new(seed), hosts, arbitrator, false)
    }

    fn new(seed: u64, random: Random, hosts: usize, arbitrator: bool, mariadb: bool) -> Self {
        let mut world = Self {
            seed,
            random,
            now_ms: 0,
            queue: BinaryHeap::new(),
            events: BTreeMap::new(),
            numbers: 0,
            nodes: Vec::new(),
            at: Vec::new(),
            servers: Vec::new(),
            network: Network::default(),
            group: Group::default(),
            checks: Checks::default(),
            disk_ms: 0,
            mariadb,
            joining: Vec::new(),
            removing: Vec::new(),
            leaving: BTreeSet::new(),
            steps: 0,
            fault_ms: 0,
            trace: VecDeque::new(),
            digest: DefaultHasher::new(),
        };
        world.network.heal();
        for host in 0..hosts {
            world.add_host((host > 0).then_some(0));
        }
        world.found();
        for host in 1..hosts {
            world.start_join(host, format!("n{host}"), false);
        }
        if arbitrator {
            let host = world.hosts();
            world.at.push(None);
            world.servers.push(None);
            world.start_join(host, format!("n{host}"), true);
        }
        world.schedule(GROUP_MS, Event::Group);
        world
    }

    /// Hosts that there are.
    #[must_use]
    pub fn hosts(&self) -> usize {
        self.servers.len()
    }

    /// Something will happen.
    pub fn schedule(&mut self, at_ms: u64, event: Event) {
        self.numbers += 1;
        self.queue.push(Reverse((at_ms, self.numbers)));
        self.events.insert(self.numbers, event);
    }

    /// The member state of a host's server; none where it is no member.
    #[must_use]
    pub fn state_of(&self, host: Host) -> Option<MemberState> {
        let uuid = self.servers.get(host)?.as_ref()?.uuid();
        let state = self.group.state();
        state.members.get(&MemberId(uuid)).map(|m| m.state)
    }

    /// Runs until then.
    pub fn run_until(&mut self, until_ms: u64) {
        while let Some(Reverse((at_ms, number))) = self.queue.peek().copied() {
            if at_ms > until_ms {
                break;
            }
            self.queue.pop();
            self.now_ms = at_ms;
            self.steps += 1;
            if let Some(event) = self.events.remove(&number) {
                self.happens(event);
            }
        }
        self.now_ms = until_ms;
    }

    /// Runs to the end of the faults and on until all is well and stays so.
    #[must_use]
    pub fn run_until_settled(mut self) -> Outcome {
        self.run_until(END_MS);
        let end_ms = self.now_ms;
        let mut well_since: Option<(u64, u64)> = None;
        loop {
            self.run_until(self.now_ms + 100);
            let view = self.group.state().view_id.0;
            match self.unwell() {
                None => match well_since {
                    Some((since, same)) if same == view => {
                        if self.now_ms - since >= QUIET_MS {
                            return self.outcome(since - end_ms);
                        }
                    }
                    _ => well_since = Some((self.now_ms, view)),
                },
                Some(why) => {
                    well_since = None;
                    if self.now_ms - end_ms > SETTLE_MS {
                        self.fail(&format!("not well {SETTLE_MS} ms after the faults: {why}"));
                    }
                }
            }
            if self.now_ms - end_ms > SETTLE_MS + QUIET_MS {
                self.fail("views go on changing after the faults");
            }
        }
    }

    fn outcome(&self, settled_after_ms: u64) -> Outcome {
        Outcome {
            entries: self.group.log.len(),
            view_id: self.group.state().view_id.0,
            steps: self.steps,
            unreachable: self.checks.unreachable,
            settled_after_ms,
            digest: self.digest.finish(),
        }
    }

    /// Ends the run: a promise is broken.
    fn fail(&self, why: &str) -> ! {
        let trace: Vec<&str> = self.trace.iter().map(String::as_str).collect();
        panic!(
            "seed {} at {} ms: {why}\n--- the newest of what happened:\n{}",
            self.seed,
            self.now_ms,
            trace.join("\n")
        );
    }

    fn note(&mut self, line: String) {
        let line = format!("{:>7} {line}", self.now_ms);
        line.hash(&mut self.digest);
        if self.trace.len() >= TRACE_LINES {
            self.trace.pop_front();
        }
        self.trace.push_back(line);
    }

    // ---- hosts, servers, agents

    fn add_host(&mut self, source: Option<Host>) {
        let number = self.servers.len() as u64 + 1;
        self.servers
            .push(Some(Server::new(number, self.mariadb, source)));
        self.at.push(None);
        let host = self.hosts() - 1;
        let first_ms = self.now_ms + self.random.between(1, REPORT_MS);
        self.schedule(first_ms, Event::Report(host));
    }

    fn found(&mut self) {
        let id = AgentId(1);
        self.group.voters = BTreeSet::from([id]);
        self.group.leader = Some(id);
        self.group.append(Entry {
            time_us: 0,
            reason: "the first voter".to_owned(),
            command: Command::VotersAre {
                voters: self.group.voters.clone(),
            },
        });
        self.group.append(Entry {
            time_us: 0,
            reason: "muster init".to_owned(),
            command: Command::Found {
                cluster_id: "simulated".to_owned(),
                cluster_name: "simulated".to_owned(),
                authority: Authority::default(),
                agent: declaration(0, "n0", false),
                key_fingerprint: format!("{:064x}", 1),
            },
        });
        self.new_node(id, 0);
        let clock = self.nodes[0].clock(0);
        self.nodes[0].leading_since_ms = Some(clock);
    }

    fn start_join(&mut self, host: Host, name: String, arbitrator: bool) {
        let key = format!("{:064x}", self.random.next());
        let token_hash = format!("{:064x}", self.random.next());
        self.joining.push(Joining {
            host,
            key,
            name,
            token_hash,
            arbitrator,
            step: Step::Token,
            ticket: 0,
        });
    }

    fn new_node(&mut self, id: AgentId, host: Host) {
        let clock_offset_ms = self.random.between(0, 1 << 40);
        let clock_gain_ppm = self.random.between(0, 400) as i64 - 200;
        let incarnation = self.random.next();
        let mut node = Node {
            id,
            host,
            alive: true,
            paused_until_ms: 0,
            waiting: Vec::new(),
            evidence: Evidence::new(id, incarnation, 0),
            state: ClusterState::default(),
            applied: 0,
            report_number: 0,
            introduced: false,
            report: None,
            linked: false,
            leading_since_ms: None,
            transfer_tried_ms: None,
            clock_offset_ms,
            clock_gain_ppm,
            wall_error_us: 0,
            shown: 0,
        };
        node.evidence = Evidence::new(id, incarnation, node.clock(self.now_ms));
        self.nodes.push(node);
        let index = self.nodes.len() - 1;
        self.at[host] = Some(index);
        let first_ms = self.now_ms + self.random.between(1, TICK_MS);
        self.schedule(first_ms, Event::Tick(index));
    }

    fn node_of(&self, id: AgentId) -> Option<usize> {
        self.nodes.iter().position(|n| n.id == id)
    }

    /// The agent that runs on a host and belongs.
    fn node_at(&self, host: Host) -> Option<usize> {
        self.at.get(host).copied().flatten()
    }

    fn kill_agent(&mut self, host: Host) {
        if let Some(index) = self.node_at(host) {
            let node = &mut self.nodes[index];
            node.alive = false;
            node.waiting.clear();
            node.leading_since_ms = None;
            node.introduced = false;
            node.linked = false;
            node.report = None;
            node.report_number = 0;
            let id = node.id;
            if self.group.leader == Some(id) {
                // A process that is started again does not lead any more, however soon it is back.
                self.group.leader = None;
                let wait_ms = LEASE_MS + self.random.between(0, 300);
                self.group.election = Some((self.now_ms, wait_ms));
            }
        }
    }

    /// Starts the agent's process again: its state is read from its log, everything else begins anew.
    fn start_agent(&mut self, host: Host) {
        let Some(index) = self.node_at(host) else {
            return;
        };
        if self.nodes[index].alive {
            return;
        }
        let incarnation = self.random.next();
        let mut state = ClusterState::default();
        for (n, entry) in self.group.log[..self.nodes[index].applied]
            .iter()
            .enumerate()
        {
            let _ = muster_core::apply::apply(&mut state, n as u64, entry);
        }
        if state != self.nodes[index].state {
            self.fail("the log, applied again, gives another state");
        }
        let now_ms = self.now_ms;
        let node = &mut self.nodes[index];
        node.alive = true;
        node.paused_until_ms = now_ms;
        node.evidence = Evidence::new(node.id, incarnation, node.clock(now_ms));
        let again_ms = now_ms + self.random.between(20, 300);
        self.schedule(again_ms, Event::Report(host));
    }

    /// A server said something, or its process changed: its agent knows at once.
    fn report(&mut self, host: Host) {
        let now_ms = self.now_ms;
        let Some(server) = self.servers[host].clone() else {
            return;
        };
        let Some(index) = self.node_at(host) else {
            return;
        };
        if !server.runs() || server.frozen || !self.nodes[index].awake(now_ms) {
            return;
        }
        let source = server.source.and_then(|host_of_source| {
            let source = self.servers[host_of_source].as_ref()?;
            let reachable = source.serves() && self.network.linked(host, host_of_source);
            Some((source, reachable))
        });
        let node = &mut self.nodes[index];
        let report = server.report(node.report_number + 1, node.wall_us(now_ms), source);
        node.introduced = true;
        node.linked = true;
        node.report_number += 1;
        node.report = Some((report, node.clock(now_ms)));
        self.look_around(index);
    }

    /// The agent sees at once that a process is gone, or is another one.
    fn process_changed(&mut self, host: Host) {
        if let Some(index) = self.node_at(host) {
            let runs = self.servers[host].as_ref().is_some_and(Server::runs);
            let node = &mut self.nodes[index];
            node.linked = false;
            if runs {
                node.report = None;
            }
            self.look_around(index);
        }
    }

    // ---- events

    fn happens(&mut self, event: Event) {
        match event {
            Event::Deliver(to, heartbeat, sent_ms, answer) => {
                if let Some(index) = self.node_of(to) {
                    let from = heartbeat.agent_id;
                    self.deliver(index, heartbeat, sent_ms);
                    if !answer && self.nodes[index].awake(self.now_ms) {
                        self.answer(index, from);
                    }
                }
            }
            Event::Tick(index) => {
                let again_ms = self.now_ms + TICK_MS;
                self.schedule(again_ms, Event::Tick(index));
                if self.nodes[index].awake(self.now_ms) {
                    let waiting = std::mem::take(&mut self.nodes[index].waiting);
                    for heartbeat in waiting {
                        self.hear(index, heartbeat);
                    }
                    self.look_around(index);
                }
            }
            Event::Report(host) => {
                let again_ms = self.now_ms + REPORT_MS;
                self.schedule(again_ms, Event::Report(host));
                self.report(host);
            }
            Event::Serve(host, pid) => {
                if let Some(server) = self.servers[host].as_mut()
                    && server.pids == pid
                    && server.runs()
                {
                    server.phase = Phase::Serving;
                    self.report(host);
                }
            }
            Event::Group => {
                let again_ms = self.now_ms + GROUP_MS;
                self.schedule(again_ms, Event::Group);
                self.go_on();
            }
            Event::Fault(fault) => {
                self.note(format!("{fault:?}"));
                self.fault_ms = self.fault_ms.max(self.now_ms);
                self.fault(fault);
            }
        }
    }

    fn deliver(&mut self, index: usize, heartbeat: Heartbeat, sent_ms: u64) {
        let now_ms = self.now_ms;
        let node = &self.nodes[index];
        if !node.alive {
            return;
        }
        if node.awake(now_ms) {
            if let Some(own) = heartbeat.own.as_ref().filter(|own| own.report.is_some()) {
                self.checks.heard(
                    self.nodes[index].id,
                    heartbeat.agent_id,
                    (heartbeat.incarnation, own.report_number),
                    sent_ms.saturating_sub(own.report_age_ms),
                    now_ms,
                    Timing::of(&self.nodes[index].state).ttl_ms,
                );
            }
            self.hear(index, heartbeat);
        } else {
            self.nodes[index].waiting.push(heartbeat);
        }
    }

    fn hear(&mut self, index: usize, heartbeat: Heartbeat) {
        let node = &mut self.nodes[index];
        let clock = node.clock(self.now_ms);
        node.evidence.hear(clock, &node.state, heartbeat);
    }

    /// One round of an agent: what it knows of its server, what it has to say, and, if it leads, what it decides.
    fn look_around(&mut self, index: usize) {
        let now_ms = self.now_ms;
        if !self.nodes[index].awake(now_ms) {
            return;
        }
        let host = self.nodes[index].host;
        let node = &mut self.nodes[index];
        let clock = node.clock(now_ms);
        if let Some(server) = &self.servers[host] {
            let own = node.own(now_ms, server);
            node.evidence.set_own(clock, own);
        }
        let mut sent = Vec::new();
        for to in node.evidence.due(clock, &node.state) {
            sent.push((to, node.evidence.heartbeat(clock, &node.state, to)));
        }
        for (to, heartbeat) in sent {
            self.send(index, to, &heartbeat, false);
        }
        if self.nodes[index].leading_since_ms.is_some() {
            self.lead(index);
        }
    }

    fn answer(&mut self, index: usize, to: AgentId) {
        let node = &mut self.nodes[index];
        if !node.state.agents.contains_key(&to) {
            return;
        }
        let clock = node.clock(self.now_ms);
        let answer = node.evidence.answer(clock, &node.state, to);
        self.send(index, to, &answer, true);
    }

    fn send(&mut self, index: usize, to: AgentId, heartbeat: &Heartbeat, answer: bool) {
        let host = self.nodes[index].host;
        let Some(there) = self.node_of(to).map(|n| self.nodes[n].host) else {
            return;
        };
        for delay_ms in self.network.send(&mut self.random, host, there) {
            let event = Event::Deliver(to, heartbeat.clone(), self.now_ms, answer);
            self.schedule(self.now_ms + delay_ms, event);
        }
    }

    fn lead(&mut self, index: usize) {
        let now_ms = self.now_ms;
        let leads = self.group.leader == Some(self.nodes[index].id);
        let busy = leads
            && (self.nodes[index].applied < self.group.log.len() || !self.group.pending.is_empty());
        if busy {
            return;
        }
        let facts = self.consensus_facts(index);
        let node = &mut self.nodes[index];
        let clock = node.clock(now_ms);
        let seen = node.evidence.observe(clock, &node.state, facts);
        let decisions = decide::decide(&node.state, &seen);
        if !leads {
            // It does not know yet that another one leads, or that nobody does: what it decides goes nowhere.
            node.leading_since_ms = None;
            return;
        }
        for decision in decisions {
            if let Decision::Act { action, why } = decision {
                self.act(index, action, why);
            }
        }
    }

    fn consensus_facts(&self, index: usize) -> ConsensusFacts {
        let node = &self.nodes[index];
        let clock = node.clock(self.now_ms);
        let newest = self.group.log.len();
        ConsensusFacts {
            voters: self.group.voters.clone(),
            learners: self.group.learners.clone(),
            changing: self.group.changing(),
            lagging: self
                .nodes
                .iter()
                .filter(|n| n.applied + 5 < newest)
                .map(|n| n.id)
                .collect(),
            leading_ms: node
                .leading_since_ms
                .map_or(0, |since| clock.saturating_sub(since)),
            transfer_tried_ms: node
                .transfer_tried_ms
                .map(|tried| clock.saturating_sub(tried)),
        }
    }

    fn act(&mut self, index: usize, action: Action, why: String) {
        let id = self.nodes[index].id;
        self.note(format!("agent {id}: {why}"));
        let change = match action {
            Action::Propose(command) => {
                self.check_unreachable(&command);
                Change::Entry(Entry {
                    time_us: self.nodes[index].wall_us(self.now_ms),
                    reason: why,
                    command,
                })
            }
            Action::AddLearner(id) => Change::AddLearner(id),
            Action::RemoveLearner(id) => Change::RemoveLearner(id),
            Action::SetVoters(voters) => Change::SetVoters(voters),
            Action::TransferLeadership(to) => {
                let clock = self.nodes[index].clock(self.now_ms);
                self.nodes[index].transfer_tried_ms = Some(clock);
                self.transfer(index, to);
                return;
            }
        };
        self.propose(change);
    }

    fn propose(&mut self, change: Change) -> u64 {
        let ready_ms =
            self.now_ms + 2 + self.disk_ms + self.random.between(0, self.network.jitter_ms);
        self.group.propose(ready_ms, change)
    }

    fn transfer(&mut self, from: usize, to: AgentId) {
        let Some(index) = self.node_of(to) else {
            return;
        };
        let linked = self
            .network
            .linked(self.nodes[from].host, self.nodes[index].host);
        let fit = linked
            && self.nodes[index].awake(self.now_ms)
            && self.nodes[index].applied == self.group.log.len()
            && self.group.voters.contains(&to);
        if fit {
            self.nodes[from].leading_since_ms = None;
            self.elected(index);
        }
    }

    /// What the leader says of a member has to be true of the voters, whatever it has heard of them.
    fn check_unreachable(&self, command: &Command) {
        let Command::SetMembers { changes } = command else {
            return;
        };
        let state = self.group.state();
        let ttl_ms = Timing::of(&state).ttl_ms;
        // A word is believed for a ttl, after the longest delay; and clocks differ by a little.
        let patience_ms = ttl_ms + 1_200;
        let voters: Vec<AgentId> = state.voters.iter().copied().collect();
        for change in changes {
            if change.state != MemberState::Unreachable {
                continue;
            }
            let about = state.members.get(&change.member_id).map(|m| m.agent_id);
            if let Some(about) = about
                && let Err(why) =
                    self.checks
                        .said_unreachable(about, &voters, self.now_ms, (ttl_ms, patience_ms))
            {
                self.fail(&format!("{why}; it was said: {}", change.reason));
            }
        }
    }

    /// In a world in which nothing has changed for a while, also one that is half cut, what is shown is true: nobody
    /// is ONLINE whom no voter hears that the leader hears, and nobody UNREACHABLE whom a majority hears.
    fn check_stable(&self, reach: &BTreeSet<AgentId>) {
        let since = self.fault_ms.max(self.group.elected_ms);
        let quiet = self.now_ms.saturating_sub(since) > STABLE_MS
            && self.disk_ms == 0
            && self.group.pending.is_empty();
        let state = self.group.state();
        if !quiet || self.now_ms % 100 != 0 || state.voters != self.group.voters {
            return;
        }
        let ttl_ms = Timing::of(&state).ttl_ms;
        let long_ms = ttl_ms + 4_000;
        for member in state.members.values() {
            let age = |v: &&AgentId| {
                self.checks
                    .report_age_ms(**v, member.agent_id, self.now_ms)
                    .unwrap_or(u64::MAX)
            };
            let lack = |v: &&AgentId| **v != member.agent_id && age(v) > long_ms;
            let reached = || state.voters.intersection(reach);
            let shown = member.state.word();
            if member.state == MemberState::Online
                && reached().filter(lack).count() >= state.majority()
            {
                self.fail(&format!("{} is {shown} and not heard", member.name));
            }
            let hear = |v: &&AgentId| **v != member.agent_id && age(v) <= ttl_ms / 2;
            if member.state == MemberState::Unreachable
                && reached().filter(hear).count() >= state.majority()
            {
                self.fail(&format!("{} is {shown} and heard", member.name));
            }
        }
    }

    // ---- the total order

    fn reach(&self, index: usize) -> BTreeSet<AgentId> {
        let from = &self.nodes[index];
        if !from.awake(self.now_ms) {
            return BTreeSet::new();
        }
        self.nodes
            .iter()
            .filter(|n| n.awake(self.now_ms) && self.network.linked(from.host, n.host))
            .map(|n| n.id)
            .collect()
    }

    fn go_on(&mut self) {
        let now_ms = self.now_ms;
        match self.group.leader.and_then(|id| self.node_of(id)) {
            Some(leader) => {
                let reach = self.reach(leader);
                if self.group.is_majority(&reach) {
                    self.group.lost_since_ms = None;
                    self.commit_ready();
                    self.replicate(leader, &reach);
                    self.check_stable(&reach);
                } else {
                    let since = *self.group.lost_since_ms.get_or_insert(now_ms);
                    if now_ms - since > LEASE_MS {
                        self.group.leader = None;
                        self.note("the leader lost its majority".to_owned());
                        let wait_ms = self.random.between(100, 600);
                        self.group.election = Some((now_ms, wait_ms));
                    }
                }
            }
            None => self.elect(),
        }
        self.join_on();
        self.remove_on();
    }

    fn elect(&mut self) {
        let now_ms = self.now_ms;
        let (since, wait_ms) = *self.group.election.get_or_insert((now_ms, 200));
        if now_ms < since + wait_ms {
            return;
        }
        let voters: Vec<usize> = self
            .group
            .voters
            .iter()
            .filter_map(|id| self.node_of(*id))
            .filter(|n| self.group.is_majority(&self.reach(*n)))
            .collect();
        match self.random.pick(&voters) {
            Some(index) => self.elected(index),
            None => {
                let wait_ms = self.random.between(100, 600);
                self.group.election = Some((now_ms, wait_ms));
            }
        }
    }

    /// A new leader: what its predecessor had proposed is in its log, or never will be.
    fn elected(&mut self, index: usize) {
        self.group.term += 1;
        let id = self.nodes[index].id;
        self.note(format!("agent {id} leads in term {}", self.group.term));
        for pending in std::mem::take(&mut self.group.pending) {
            if pending.ready_ms <= self.now_ms || self.random.chance(500) {
                self.commit(pending);
            }
        }
        self.group.leader = Some(id);
        self.group.elected_ms = self.now_ms;
        self.group.election = None;
        self.group.lost_since_ms = None;
        let clock = self.nodes[index].clock(self.now_ms);
        self.nodes[index].leading_since_ms = Some(clock);
    }

    fn commit_ready(&mut self) {
        while let Some(position) = self
            .group
            .pending
            .iter()
            .position(|p| p.ready_ms <= self.now_ms)
        {
            let pending = self.group.pending.remove(position);
            self.commit(pending);
        }
    }

    fn commit(&mut self, pending: super::group::Pending) {
        let before = self.group.state();
        let ticket = pending.ticket;
        self.group.commit(pending);
        let after = self.group.state();
        if after.view_id != before.view_id {
            let told = after
                .events
                .iter()
                .rev()
                .take_while(|e| e.view_id == after.view_id)
                .map(|e| format!("{:?} {:?}->{:?} {}", e.kind, e.before, e.after, e.reason))
                .collect::<Vec<_>>()
                .join(" | ");
            self.note(format!("view {}: {told}", after.view_id));
        }
        if let Some(Done::Refused { reason }) = self.group.outcomes.get(&ticket) {
            let line = format!("refused: {reason}");
            self.note(line);
        }
        if let Err(why) = self.checks.committed(&before, &after) {
            self.fail(&why);
        }
    }

    fn replicate(&mut self, leader: usize, reach: &BTreeSet<AgentId>) {
        let committed = self.group.log.len();
        for index in 0..self.nodes.len() {
            let id = self.nodes[index].id;
            let belongs = self.group.voters.contains(&id) || self.group.learners.contains(&id);
            let late = index != leader && self.random.chance(300);
            if !belongs || !reach.contains(&id) || late {
                continue;
            }
            while self.nodes[index].applied < committed {
                self.apply_next(index);
            }
        }
    }

    fn apply_next(&mut self, index: usize) {
        let at = self.nodes[index].applied;
        let entry = self.group.log[at].clone();
        let expected = Rc::clone(&self.group.states[at]);
        let node = &mut self.nodes[index];
        let _ = muster_core::apply::apply(&mut node.state, at as u64, &entry);
        node.applied += 1;
        let id = node.id;
        let view = node.state.view_id.0;
        if view < node.shown {
            self.fail(&format!("agent {id} went back to view {view}"));
        }
        self.nodes[index].shown = view;
        if self.nodes[index].state != *expected {
            self.fail(&format!(
                "agent {id} has another content of view {view} than the others"
            ));
        }
    }

    fn client_command(&mut self, command: Command) -> Option<u64> {
        self.group.leader?;
        let time_us = self.now_ms as i64;
        Some(self.propose(Change::Entry(Entry {
            time_us,
            reason: "an operator wants it".to_owned(),
            command,
        })))
    }

    /// Hosts on their way in: a token, then the request, each asked again when its answer was lost.
    fn join_on(&mut self) {
        for mut joining in std::mem::take(&mut self.joining) {
            let outcome = self.group.outcomes.get(&joining.ticket).cloned();
            let waiting = self
                .group
                .pending
                .iter()
                .any(|p| p.ticket == joining.ticket);
            match (joining.step, outcome) {
                (_, None) if waiting => {}
                (Step::Token, None) => {
                    let command = Command::CreateToken {
                        token_hash: joining.token_hash.clone(),
                    };
                    joining.ticket = self.client_command(command).unwrap_or(0);
                }
                (Step::Token, Some(_)) => {
                    joining.step = Step::Join;
                    joining.ticket = 0;
                }
                (Step::Join, None) => {
                    let command = Command::Join {
                        token_hash: joining.token_hash.clone(),
                        key_fingerprint: joining.key.clone(),
                        agent: declaration(joining.host, &joining.name, joining.arbitrator),
                    };
                    if self.random.chance(300) {
                        self.client_command(command.clone());
                    }
                    joining.ticket = self.client_command(command).unwrap_or(0);
                }
                (Step::Join, Some(Done::Joined { agent_id, .. })) => {
                    self.note(format!("host {} is agent {agent_id}", joining.host));
                    self.new_node(agent_id, joining.host);
                    continue;
                }
                (Step::Join, Some(other)) => {
                    // Its name or address still belong to the agent that it was before.
                    self.note(format!("host {} waits: {other:?}", joining.host));
                    joining.ticket = 0;
                    let gone: Vec<AgentId> = self
                        .nodes
                        .iter()
                        .filter(|n| n.host == joining.host)
                        .map(|n| n.id)
                        .collect();
                    for id in gone {
                        self.start_remove(id);
                    }
                }
            }
            self.joining.push(joining);
        }
    }

    fn start_remove(&mut self, id: AgentId) {
        if !self.removing.iter().any(|(removing, _)| *removing == id) {
            self.removing.push((id, 0));
        }
    }

    /// Agents on their way out, asked again until the group does not know them any more.
    fn remove_on(&mut self) {
        let state = self.group.state();
        for (id, ticket) in std::mem::take(&mut self.removing) {
            if state.removed_agents.contains(&id) {
                if let Some(index) = self.node_of(id) {
                    let host = self.nodes[index].host;
                    if self.at[host] == Some(index) {
                        self.kill_agent(host);
                        self.at[host] = None;
                    }
                }
                continue;
            }
            let waiting = self.group.pending.iter().any(|p| p.ticket == ticket);
            let ticket = if waiting {
                ticket
            } else {
                self.client_command(Command::RemoveAgent { agent_id: id })
                    .unwrap_or(0)
            };
            self.removing.push((id, ticket));
        }
    }

    /// Whether the group has a majority without this agent, so that it may be lost for ever.
    fn can_lose(&self, id: AgentId) -> bool {
        let others: BTreeSet<AgentId> = self
            .nodes
            .iter()
            .filter(|n| n.alive && n.id != id && !self.leaving.contains(&n.id))
            .map(|n| n.id)
            .collect();
        self.group.is_majority(&others) && !self.group.changing()
    }

    // ---- faults

    fn fault(&mut self, fault: Fault) {
        let hosts = self.hosts();
        match fault {
            Fault::KillServer(host) => self.end_server(host, false),
            Fault::EndServer(host) => self.end_server(host, true),
            Fault::StopServer(host) => {
                if let Some(server) = self.servers[host].as_mut().filter(|s| s.serves()) {
                    server.phase = Phase::Stopping;
                    self.report(host);
                    let end_ms = self.now_ms + self.random.between(50, 4_000);
                    self.schedule(end_ms, Event::Fault(Fault::EndServer(host)));
                }
            }
            Fault::StartServer(host) => self.start_server(host),
            Fault::Freeze(host) | Fault::Thaw(host) => {
                if let Some(server) = self.servers[host].as_mut() {
                    server.frozen = matches!(fault, Fault::Freeze(_)) && server.runs();
                }
            }
            Fault::BreakApplier(host) | Fault::MendApplier(host) => {
                if let Some(server) = self.servers[host].as_mut() {
                    server.applier_running = matches!(fault, Fault::MendApplier(_));
                }
                self.report(host);
            }
            Fault::KillAgent(host) => self.kill_agent(host),
            Fault::StartAgent(host) => self.start_agent(host),
            Fault::KillAllAgents => (0..hosts).for_each(|host| self.kill_agent(host)),
            Fault::StartAllAgents => (0..hosts).for_each(|host| self.start_agent(host)),
            Fault::PauseAgent(host, ms) => {
                if let Some(index) = self.node_at(host) {
                    self.nodes[index].paused_until_ms = self.now_ms + ms;
                    self.fault_ms = self.fault_ms.max(self.now_ms + ms);
                }
            }
            Fault::Isolate(host) => self.network.isolate(host, hosts),
            Fault::CutOneWay(from, to) => {
                self.network.cut.insert((from, to));
            }
            Fault::Mute(host) => {
                for other in 0..hosts {
                    self.network.cut.insert((host, other));
                }
            }
            Fault::CutLink(a, b) => {
                self.network.cut.extend([(a, b), (b, a)]);
            }
            Fault::Split(side) => self.network.split(&side, hosts),
            Fault::Reconnect => self.network.cut.clear(),
            Fault::Weather(loss, doubled, jitter_ms) => {
                self.network.loss_permille = loss;
                self.network.doubled_permille = doubled;
                self.network.jitter_ms = jitter_ms;
            }
            Fault::StepClock(host, us) => {
                if let Some(index) = self.node_at(host) {
                    self.nodes[index].wall_error_us += us;
                }
            }
            Fault::SlowDisks(ms) => self.disk_ms = ms,
            Fault::SwitchPrimary(host) => self.switch_primary(host),
            Fault::SecondPrimary(host, follower) => {
                if host != follower
                    && let Some(server) = self.servers[host].as_mut()
                {
                    server.read_only = false;
                    server.source = None;
                    if let Some(follower) = self.servers[follower].as_mut() {
                        follower.source = Some(host);
                        follower.read_only = true;
                    }
                }
            }
            Fault::Join => {
                if hosts < 9 {
                    let primary = self.servers.iter().position(|s| {
                        s.as_ref()
                            .is_some_and(|s| s.source.is_none() && !s.read_only)
                    });
                    self.add_host(Some(primary.unwrap_or(0)));
                    self.start_join(hosts, format!("n{hosts}"), false);
                }
            }
            Fault::Remove(host) => {
                if let Some(index) = self.node_at(host) {
                    let id = self.nodes[index].id;
                    if self.can_lose(id) && self.group.state().agents.len() > 1 {
                        self.leaving.insert(id);
                        self.start_remove(id);
                    }
                }
            }
            Fault::Wipe(host, remove_first) => self.wipe(host, remove_first),
            Fault::End => self.end(),
        }
    }

    fn end_server(&mut self, host: Host, announced: bool) {
        if let Some(server) = self.servers[host].as_mut().filter(|s| s.runs()) {
            server.end(announced);
            self.process_changed(host);
        }
    }

    fn start_server(&mut self, host: Host) {
        let Some(server) = self.servers[host].as_mut() else {
            return;
        };
        if server.runs() {
            return;
        }
        server.start();
        let pid = server.pids;
        self.process_changed(host);
        let serve_ms = self.now_ms + self.random.between(100, 3_000);
        self.schedule(serve_ms, Event::Serve(host, pid));
    }

    fn switch_primary(&mut self, host: Host) {
        if self.servers[host].is_none() {
            return;
        }
        for (other, server) in self.servers.iter_mut().enumerate() {
            if let Some(server) = server {
                server.read_only = other != host;
                server.source = (other != host).then_some(host);
            }
        }
    }

    fn wipe(&mut self, host: Host, remove_first: bool) {
        let Some(index) = self.node_at(host) else {
            return;
        };
        let id = self.nodes[index].id;
        let arbitrator = self.servers[host].is_none();
        let busy = self.joining.iter().any(|j| j.host == host);
        if busy || !self.can_lose(id) || !self.group.state().agents.contains_key(&id) {
            return;
        }
        self.kill_agent(host);
        self.at[host] = None;
        self.leaving.insert(id);
        if remove_first {
            self.start_remove(id);
        }
        let name = format!("n{host}-{}", self.numbers);
        self.start_join(host, name, arbitrator);
    }

    /// Everything works again, and the operators have put right what only they could.
    fn end(&mut self) {
        self.network.heal();
        self.disk_ms = 0;
        for host in 0..self.hosts() {
            if let Some(server) = self.servers[host].as_mut() {
                server.frozen = false;
                server.applier_running = true;
                if server.phase == Phase::Stopping {
                    self.end_server(host, true);
                }
            }
            self.start_server(host);
            self.start_agent(host);
            if let Some(index) = self.node_at(host) {
                self.nodes[index].paused_until_ms = self.now_ms;
            }
        }
        let primary = (0..self.hosts()).find(|host| {
            self.node_at(*host)
                .is_some_and(|n| !self.leaving.contains(&self.nodes[n].id))
                && self.servers[*host].is_some()
        });
        if let Some(primary) = primary {
            self.switch_primary(primary);
        }
        for id in self.leaving.clone() {
            self.start_remove(id);
        }
    }

    /// What is not as it should be when nothing is wrong any more; none = all is well.
    fn unwell(&self) -> Option<String> {
        let state = self.group.state();
        let Some(leader) = self.group.leader else {
            return Some("nobody leads".to_owned());
        };
        if !self.joining.is_empty() || !self.removing.is_empty() || !self.group.pending.is_empty() {
            return Some(format!(
                "{} join, {} are removed, {} are pending",
                self.joining.len(),
                self.removing.len(),
                self.group.pending.len()
            ));
        }
        let present: Vec<&Node> = self.at.iter().flatten().map(|n| &self.nodes[*n]).collect();
        for node in &present {
            if !state.agents.contains_key(&node.id) {
                return Some(format!("agent {} is not in the state", node.id));
            }
            if node.applied < self.group.log.len() {
                return Some(format!("agent {} is behind", node.id));
            }
            if let Some(why) = self.sees_badly(node, &state, leader) {
                return Some(why);
            }
        }
        if present.len() != state.agents.len() {
            return Some("the state has agents that are not there".to_owned());
        }
        if let Some(member) = state
            .members
            .values()
            .find(|m| m.state != MemberState::Online)
        {
            return Some(format!(
                "{} is {}: {}",
                member.name,
                member.state.word(),
                member.reason
            ));
        }
        let servers = present
            .iter()
            .filter(|n| self.servers[n.host].is_some())
            .count();
        if servers != state.members.len() {
            return Some(format!(
                "{servers} servers, {} members",
                state.members.len()
            ));
        }
        let writable = state.members.values().filter(|m| m.writable).count();
        if servers > 1 && writable != 1 {
            return Some(format!("{writable} members are writable"));
        }
        let replicas = state
            .members
            .values()
            .filter(|m| m.role == MemberRole::Replica)
            .count();
        if replicas + 1 != servers && servers > 0 {
            return Some(format!("{replicas} replicas of {servers} servers"));
        }
        let wanted = decide::voters::wanted(state.agents.len(), state.settings.voters_max);
        if self.group.voters.len() != wanted || self.group.voters != state.voters {
            return Some(format!("{:?} vote, {wanted} should", self.group.voters));
        }
        None
    }

    /// Whether an agent shows every member with a fresh report.
    fn sees_badly(&self, node: &Node, state: &ClusterState, leader: AgentId) -> Option<String> {
        let clock = node.clock(self.now_ms);
        let standing = show::Standing {
            quorum: true,
            leader: Some(leader),
        };
        let observed = show::observed(&node.state, &node.evidence, clock, standing);
        for id in state.members.keys() {
            let row = observed.members.iter().find(|row| row.member_id == id.0);
            let fresh = row.is_some_and(|row| {
                clock.saturating_sub(row.received_boot_ms) <= row.heartbeat_ttl_ms
            });
            if !fresh {
                return Some(format!("agent {} has no fresh report of {id}", node.id));
            }
        }
        None
    }
}

fn declaration(host: Host, name: &str, arbitrator: bool) -> AgentDeclaration {
    AgentDeclaration {
        name: name.to_owned(),
        address: format!("{name}:7400"),
        site: format!("site{}", host % 3),
        priority: 100,
        arbitrator,
        version: "simulated".to_owned(),
    }
}
