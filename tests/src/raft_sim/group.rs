//! A group on real folders, in real time, over a network in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use muster_agent::consensus::{Consensus, Timing};
use muster_core::command::Outcome;
use muster_core::ids::{AgentId, ViewId};

use super::entries;
use super::net::Net;

/// Long enough for any election on a busy machine.
pub const SOON: Duration = Duration::from_secs(20);

/// The group.
#[derive(Debug)]
pub struct Group {
    root: tempfile::TempDir,
    /// What lies between the agents.
    pub net: Net,
    /// Who is running.
    pub up: BTreeMap<AgentId, Consensus>,
}

impl Group {
    /// Nobody yet.
    pub fn new() -> Result<Self> {
        Ok(Self {
            root: tempfile::tempdir()?,
            net: Net::new(1),
            up: BTreeMap::new(),
        })
    }

    /// A founded group of `n` voters, numbered from 1.
    pub async fn of(n: u64) -> Result<Self> {
        let mut group = Self::new()?;
        let first = AgentId(1);
        group.start(first).await?;
        group
            .at(first)
            .found(&entries::address(first), entries::found())
            .await?;
        for id in (2..=n).map(AgentId) {
            group.admit(first, id).await?;
        }
        let voters: BTreeSet<_> = (1..=n).map(AgentId).collect();
        group.at(first).set_voters(voters).await?;
        Ok(group)
    }

    /// Where agent `id` keeps its store.
    #[must_use]
    pub fn folder(&self, id: AgentId) -> PathBuf {
        self.root.path().join(format!("agent-{id}"))
    }

    /// A running agent.
    ///
    /// # Panics
    /// If it is not running.
    #[must_use]
    pub fn at(&self, id: AgentId) -> &Consensus {
        &self.up[&id]
    }

    /// Starts an agent on its folder.
    pub async fn start(&mut self, id: AgentId) -> Result<()> {
        let wire = self.net.wire(id);
        let consensus = Consensus::open(&self.folder(id), id, wire, Timing::default()).await?;
        self.net.plug(id, consensus.clone());
        self.up.insert(id, consensus);
        Ok(())
    }

    /// Stops an agent in order.
    pub async fn stop(&mut self, id: AgentId) {
        self.net.unplug(id);
        if let Some(consensus) = self.up.remove(&id) {
            consensus.shutdown().await;
        }
    }

    /// Starts a new agent and lets it in, as a learner.
    pub async fn admit(&mut self, leader: AgentId, id: AgentId) -> Result<()> {
        self.start(id).await?;
        for entry in entries::join(id) {
            self.at(leader).propose(entry).await?;
        }
        let address = entries::address(id);
        self.at(leader).add_learner(id, &address).await?;
        Ok(())
    }

    /// Proposes a change at `leader`; its view.
    pub async fn mark(&self, leader: AgentId, mark: &str) -> Result<ViewId> {
        match self
            .at(leader)
            .propose(entries::marked(mark))
            .await?
            .outcome
        {
            Outcome::Changed { view_id } => Ok(view_id),
            other => bail!("{mark}: {other:?}"),
        }
    }

    /// What `id` shows.
    #[must_use]
    pub fn view(&self, id: AgentId) -> ViewId {
        self.at(id).state().borrow().view_id
    }

    /// Waits until all of `ids` show `view` or a newer one.
    pub async fn all_show(&self, ids: &[AgentId], view: ViewId) -> Result<()> {
        for id in ids {
            let mut state = self.at(*id).state();
            tokio::time::timeout(SOON, state.wait_for(|state| state.view_id >= view))
                .await
                .with_context(|| format!("agent {id} never shows view {view}"))??;
        }
        Ok(())
    }

    /// Waits until one of `ids` leads with a majority behind it.
    pub async fn leader_among(&self, ids: &[AgentId]) -> Result<AgentId> {
        let started = Instant::now();
        while started.elapsed() < SOON {
            for id in ids {
                let standing = self.at(*id).standing();
                let standing = standing.borrow();
                if standing.i_lead && standing.quorum {
                    return Ok(*id);
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        bail!("no leader among {ids:?}")
    }
}
