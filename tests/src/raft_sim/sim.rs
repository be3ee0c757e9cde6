//! Random lives of a group: proposals, crashes, cuts, bad weather, changes of the voters; and what must hold throughout.
//!
//! Checked after every step, over everything that any agent has ever shown:
//! * the events of all agents are one sequence, so the applied commands are prefixes of each other;
//! * VIEW_ID never goes back on an agent, over restarts too, and the same VIEW_ID is the same state everywhere;
//! * a term has one leader;
//! * what was acknowledged is in every state of that view or a later one.
//!
//! And when the faults have ended: a leader is elected, a proposal succeeds, and all agents show the same.
//!
//! What replays from a seed: the steps, the network's fate for the n-th message, the disks' for the n-th crash. What does
//! not: the engine draws its election timeouts from the system's randomness, and tokio the order in which it polls, so
//! that two runs of one seed are alike and not the same. A seed that fails is run again a number of times.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use muster_agent::consensus::{Compaction, Consensus, Timing};
use muster_core::command::Outcome;
use muster_core::ids::AgentId;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use tokio::time::{Instant, sleep};

use super::disk::SimDisk;
use super::entries;
use super::net::{Net, Weather};
use super::witness::Shared;

/// After the faults have ended, everything is well within this time.
const CALM: Duration = Duration::from_secs(60);

/// What a run did, for people.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Proposals that were acknowledged.
    pub acknowledged: usize,
    /// Proposals that were not.
    pub failed: usize,
    /// Crashes.
    pub crashes: usize,
    /// Different views that were shown.
    pub views: usize,
    /// Highest term.
    pub term: u64,
    /// Requests that arrived.
    pub requests: u64,
    /// Simulated time.
    pub lasted: Duration,
}

struct Sim {
    net: Net,
    random: StdRng,
    disks: BTreeMap<AgentId, SimDisk>,
    up: BTreeMap<AgentId, Consensus>,
    /// Whether the newest life of each agent goes on.
    alive: BTreeMap<AgentId, Arc<AtomicBool>>,
    witness: Shared,
    marks: usize,
    crashes: usize,
    /// Short, so that snapshots are made, sent and restored all the time.
    compaction: Compaction,
    /// Agents that the group has let in, and that have not been started yet.
    born: Arc<Mutex<Vec<AgentId>>>,
    /// Hosts that have asked to be let in.
    hosts: u64,
    began: Instant,
}

/// How one life is lived.
#[derive(Debug, Clone, Copy)]
pub struct Life {
    /// Where all draws come from.
    pub seed: u64,
    /// Random things that happen.
    pub steps: usize,
    /// The disks lose in a crash what they said was safe. Then promises are broken, and the checks must notice.
    pub lying_disks: bool,
}

/// Lives one random life and checks it, on a runtime of its own with a paused clock.
pub fn live(life: Life) -> Result<Report> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()?;
    runtime.block_on(run(life))
}

async fn run(life: Life) -> Result<Report> {
    let Life { seed, steps, .. } = life;
    let mut random = StdRng::seed_from_u64(seed);
    let agents = *[3, 3, 3, 5, 4].choose(&mut random).context("a size")?;
    let compaction = *[(1_000, 200), (20, 5), (7, 0)]
        .choose(&mut random)
        .context("a compaction")?;
    let compaction = Compaction {
        after_entries: compaction.0,
        keep_entries: compaction.1,
    };
    let mut sim = Sim {
        net: Net::new(random.random()),
        disks: (1..=agents)
            .map(|id| (AgentId(id), SimDisk::new(random.random())))
            .collect(),
        random,
        up: BTreeMap::new(),
        alive: BTreeMap::new(),
        witness: Shared::default(),
        marks: 0,
        crashes: 0,
        compaction,
        born: Arc::default(),
        hosts: agents,
        began: Instant::now(),
    };
    sim.gather().await.context("before any fault")?;
    for disk in sim.disks.values() {
        disk.lie(life.lying_disks);
    }
    for step in 0..steps {
        let what = sim.step().await;
        sim.tend().await?;
        sim.check()
            .with_context(|| format!("after step {step}: {what}"))?;
    }
    sim.calm_down()
        .await
        .context("after the faults had ended")?;
    let witness = sim.witness.lock();
    Ok(Report {
        acknowledged: witness.acknowledged.len(),
        failed: witness.failed,
        crashes: sim.crashes,
        views: witness.views.len(),
        term: witness.leaders.keys().next_back().copied().unwrap_or(0),
        requests: sim.net.delivered(),
        lasted: sim.began.elapsed(),
    })
}

impl Sim {
    async fn start(&mut self, id: AgentId) -> Result<()> {
        let wire = self.net.wire(id);
        // Another life of this agent: what it shows is compared from the beginning.
        self.witness.lock().compared.remove(&id);
        let folder = self.disks[&id].folder();
        let consensus =
            Consensus::open_in(folder, id, wire, Timing::default(), self.compaction).await?;
        // What it shows right after its start counts.
        let alive = Arc::new(AtomicBool::new(true));
        self.witness.follow(id, &consensus, alive.clone());
        self.alive.insert(id, alive);
        self.net.plug(id, consensus.clone());
        self.up.insert(id, consensus);
        Ok(())
    }

    fn crash(&mut self, id: AgentId) {
        self.net.unplug(id);
        self.disks[&id].crash();
        if let Some(consensus) = self.up.remove(&id) {
            self.crashes += 1;
            self.alive[&id].store(false, Ordering::SeqCst);
            // Its tasks find out that their disk and their network are gone.
            tokio::spawn(async move { consensus.shutdown().await });
        }
    }

    /// A founded group in which all vote.
    async fn gather(&mut self) -> Result<()> {
        let all: Vec<_> = self.disks.keys().copied().collect();
        let first = all[0];
        self.start(first).await?;
        let leader = self.up[&first].clone();
        leader
            .found(&entries::address(first), entries::found())
            .await?;
        for id in &all[1..] {
            self.start(*id).await?;
            for entry in entries::join(*id) {
                leader.propose(entry).await?;
            }
            leader.add_learner(*id, &entries::address(*id)).await?;
        }
        // With four, one stays a learner.
        let voters = all
            .iter()
            .copied()
            .take(if all.len() == 4 { 3 } else { all.len() });
        leader.set_voters(voters.collect()).await?;
        Ok(())
    }

    fn any(&mut self, of: &[AgentId]) -> Option<AgentId> {
        of.choose(&mut self.random).copied()
    }

    fn running(&self) -> Vec<AgentId> {
        self.up.keys().copied().collect()
    }

    fn leader(&self) -> Option<AgentId> {
        let leads = |id: &&AgentId| self.up[*id].standing().borrow().i_lead;
        self.up.keys().find(leads).copied()
    }

    /// Proposes in the background, mostly where it can succeed.
    fn propose(&mut self) {
        let leader = self.leader();
        let running = self.running();
        let at = match leader {
            Some(leader) if self.random.random_bool(0.8) => leader,
            _ => match self.any(&running) {
                Some(id) => id,
                None => return,
            },
        };
        self.marks += 1;
        let mark = format!("(mark {})", self.marks);
        let (consensus, witness) = (self.up[&at].clone(), self.witness.clone());
        tokio::spawn(async move {
            let proposed = consensus.propose(entries::marked(&mark)).await;
            let mut witness = witness.lock();
            match proposed.map(|proposed| proposed.outcome) {
                Ok(Outcome::Changed { view_id }) => witness.acknowledged.push((mark, view_id)),
                Ok(other) => witness.wrong(format!("'{mark}' came to {other:?}")),
                Err(_) => witness.failed += 1,
            }
        });
    }

    fn revote(&mut self) {
        let Some(leader) = self.leader() else { return };
        let consensus = self.up[&leader].clone();
        let standing = consensus.standing().borrow().clone();
        let known: Vec<_> = standing.voters.union(&standing.learners).copied().collect();
        let size = *[1, 3, 3, 3, 5].choose(&mut self.random).unwrap_or(&3);
        let voters: BTreeSet<_> = known
            .choose_multiple(&mut self.random, size.min(known.len()))
            .copied()
            .collect();
        if voters.is_empty() {
            return;
        }
        tokio::spawn(async move { consensus.set_voters(voters).await });
    }

    /// A new host asks to be let in. It gets its number from the group.
    fn join(&mut self) {
        let Some(leader) = self.leader() else { return };
        self.hosts += 1;
        let entries = entries::join(AgentId(self.hosts));
        let (consensus, born) = (self.up[&leader].clone(), self.born.clone());
        tokio::spawn(async move {
            for entry in entries {
                let proposed = consensus
                    .propose(entry)
                    .await
                    .map(|proposed| proposed.outcome);
                if let Ok(Outcome::Joined { agent_id, .. }) = proposed {
                    born.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(agent_id);
                }
            }
        });
    }

    /// An agent is taken out. It is not told, and goes on.
    fn remove(&mut self, id: AgentId) {
        let Some(leader) = self.leader() else { return };
        let consensus = self.up[&leader].clone();
        tokio::spawn(async move { consensus.propose(entries::remove(id)).await });
    }

    /// What the agent's brain does on a leader: the group follows the ordered state.
    async fn tend(&mut self) -> Result<()> {
        let born = std::mem::take(&mut *self.born.lock().unwrap_or_else(PoisonError::into_inner));
        for id in born {
            // The same number twice, for two hosts, would be found out here.
            ensure!(!self.disks.contains_key(&id), "agent {id} was let in twice");
            self.disks.insert(id, SimDisk::new(self.random.random()));
            self.start(id).await?;
        }
        let Some(leader) = self.leader() else {
            return Ok(());
        };
        let consensus = self.up[&leader].clone();
        let standing = consensus.standing().borrow().clone();
        let state = consensus.state().borrow().clone();
        for id in self.disks.keys().copied() {
            let consensus = consensus.clone();
            if state.agents.contains_key(&id) && !standing.has(id) {
                tokio::spawn(async move { consensus.add_learner(id, &entries::address(id)).await });
            } else if state.removed_agents.contains(&id) && standing.has(id) {
                tokio::spawn(async move { consensus.remove(id).await });
            }
        }
        Ok(())
    }

    /// One random thing, and some time for it to work.
    async fn step(&mut self) -> String {
        let all: Vec<_> = self.disks.keys().copied().collect();
        let running = self.running();
        let what = match self.random.random_range(0..100) {
            0..45 => {
                for _ in 0..self.random.random_range(1..4) {
                    self.propose();
                }
                "proposals".to_owned()
            }
            45..55 => match self.any(&running) {
                Some(id) => {
                    self.crash(id);
                    format!("crash of {id}")
                }
                None => "nothing".to_owned(),
            },
            55..70 => {
                let down: Vec<_> = all
                    .iter()
                    .filter(|id| !running.contains(id))
                    .copied()
                    .collect();
                match self.any(&down) {
                    Some(id) => match self.start(id).await {
                        Ok(()) => format!("start of {id}"),
                        Err(error) => {
                            let mut witness = self.witness.lock();
                            witness.wrong(format!("agent {id} does not start: {error}"));
                            String::new()
                        }
                    },
                    None => "nothing".to_owned(),
                }
            }
            70..76 => {
                let (from, to) = (self.any(&all), self.any(&all));
                if let (Some(from), Some(to)) = (from, to) {
                    self.net.cut(from, to);
                }
                format!("cut from {from:?} to {to:?}")
            }
            76..80 => {
                let one = self.any(&all).unwrap_or(all[0]);
                self.net
                    .isolate(one, all.iter().copied().filter(|id| *id != one));
                format!("isolation of {one}")
            }
            80..88 => {
                self.net.heal();
                "heal".to_owned()
            }
            88..93 => {
                let weather = Weather {
                    loss: *[0.0, 0.02, 0.2].choose(&mut self.random).unwrap_or(&0.0),
                    doubled: *[0.0, 0.1].choose(&mut self.random).unwrap_or(&0.0),
                    delay_ms_max: *[0, 5, 50, 300].choose(&mut self.random).unwrap_or(&0),
                };
                self.net.weather(weather);
                format!("{weather:?}")
            }
            93..95 => {
                let id = self.any(&all).unwrap_or(all[0]);
                let ms = *[0, 20, 300, 3_000, 30_000]
                    .choose(&mut self.random)
                    .unwrap_or(&0);
                self.disks[&id].slow(ms);
                format!("disk of {id} takes up to {ms} ms")
            }
            95..97 => {
                self.revote();
                "other voters".to_owned()
            }
            97 => {
                if all.len() < 7 {
                    self.join();
                }
                "a host joins".to_owned()
            }
            98 => {
                // The first one stays: the marks are about it.
                let id = self.any(&all[1..]).unwrap_or(all[1]);
                if all.len() > 3 {
                    self.remove(id);
                }
                format!("removal of {id}")
            }
            _ => {
                let leader = self.leader();
                let to = self.any(&all);
                if let (Some(leader), Some(to)) = (leader, to) {
                    let consensus = self.up[&leader].clone();
                    tokio::spawn(async move { consensus.transfer(to).await });
                }
                format!("transfer to {to:?}")
            }
        };
        let longest = *[5, 50, 400, 2_000].choose(&mut self.random).unwrap_or(&50);
        let pause = self.random.random_range(0..=longest);
        sleep(Duration::from_millis(pause)).await;
        what
    }

    fn check(&self) -> Result<()> {
        let mut witness = self.witness.lock();
        for (id, consensus) in &self.up {
            let state = consensus.state().borrow().clone();
            witness.shown(*id, &state);
            let failed = consensus.standing().borrow().failed.clone();
            if let Some(why) = failed {
                witness.wrong(format!("agent {id} has failed: {why}"));
            }
        }
        match &witness.wrong {
            Some(wrong) => bail!("{wrong}"),
            None => Ok(()),
        }
    }

    /// Ends all faults, and waits until all is well.
    async fn calm_down(&mut self) -> Result<()> {
        self.net.heal();
        for (id, disk) in self.disks.clone() {
            disk.slow(0);
            if !self.up.contains_key(&id) {
                self.start(id).await?;
            }
        }
        // What was asked for in the last steps may still be under way, other voters and another leader among it.
        sleep(Timing::default().propose * 2).await;
        let until = Instant::now() + CALM;
        loop {
            self.tend().await?;
            self.check()?;
            ensure!(
                Instant::now() < until,
                "no leader gets a proposal through: {}",
                self.describe()
            );
            if let Some(leader) = self.leader() {
                let proposed = self.up[&leader]
                    .propose(entries::marked("(the last one)"))
                    .await;
                if proposed.is_ok() && self.in_order(leader) {
                    break;
                }
            }
            sleep(Duration::from_millis(50)).await;
        }
        loop {
            self.check()?;
            let Some(leader) = self.leader() else {
                bail!("the leader was lost again: {}", self.describe());
            };
            let state = self.up[&leader].state().borrow().clone();
            let behind = |id: &&AgentId| {
                state.agents.contains_key(id) && *self.up[*id].state().borrow() != state
            };
            if !self.up.keys().any(|id| behind(&id)) {
                break;
            }
            ensure!(
                Instant::now() < until,
                "not all show the same in the end: {}",
                self.describe()
            );
            sleep(Duration::from_millis(20)).await;
        }
        // Those that were taken out stand for election without end. Nobody listens.
        let leader = self.leader();
        sleep(Duration::from_secs(5)).await;
        self.check()?;
        ensure!(
            leader.is_some() && self.leader() == leader,
            "peace does not last: {}",
            self.describe()
        );
        Ok(())
    }

    /// The group is as the ordered state says.
    fn in_order(&self, leader: AgentId) -> bool {
        let standing = self.up[&leader].standing().borrow().clone();
        let state = self.up[&leader].state().borrow().clone();
        let group = |id: &AgentId| standing.has(*id) == state.agents.contains_key(id);
        !standing.changing && standing.voters == state.voters && self.disks.keys().all(group)
    }

    fn describe(&self) -> String {
        let lines = self.up.iter().map(|(id, agent)| {
            let standing = agent.standing().borrow().clone();
            let view = agent.state().borrow().view_id;
            format!("\n  agent {id}: view {view}, {standing:?}")
        });
        lines.collect()
    }
}
