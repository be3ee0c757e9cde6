//! The consensus adapter on real folders, over a network in memory.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use muster_agent::consensus::{Consensus, OpenError, ProposeError, Timing};
use muster_core::command::Outcome;
use muster_core::ids::{AgentId, ViewId};
use muster_tests::raft_sim::entries;
use muster_tests::raft_sim::net::Net;

const A: AgentId = AgentId(1);
const B: AgentId = AgentId(2);
const C: AgentId = AgentId(3);

/// Long enough for any election on a busy machine.
const SOON: Duration = Duration::from_secs(20);

struct Group {
    root: tempfile::TempDir,
    net: Net,
    up: BTreeMap<AgentId, Consensus>,
}

impl Group {
    fn new() -> Self {
        Self {
            root: tempfile::tempdir().unwrap(),
            net: Net::new(1),
            up: BTreeMap::new(),
        }
    }

    fn folder(&self, id: AgentId) -> std::path::PathBuf {
        self.root.path().join(format!("agent-{id}"))
    }

    async fn start(&mut self, id: AgentId) {
        let started = Instant::now();
        let consensus = loop {
            match Consensus::open(&self.folder(id), id, self.net.wire(id), Timing::default()).await
            {
                Ok(consensus) => break consensus,
                // The tasks of the stopped one may still hold the file for a moment.
                Err(OpenError::InUse(_)) if started.elapsed() < SOON => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(error) => panic!("{error}"),
            }
        };
        self.net.plug(id, consensus.clone());
        self.up.insert(id, consensus);
    }

    async fn stop(&mut self, id: AgentId) {
        self.net.unplug(id);
        self.up.remove(&id).unwrap().shutdown().await;
    }

    /// A founded group of `n` voters, numbered from 1.
    async fn of(n: u64) -> Self {
        let mut group = Self::new();
        group.start(A).await;
        group.up[&A]
            .found(&entries::address(A), entries::found())
            .await
            .unwrap();
        for id in (2..=n).map(AgentId) {
            group.admit(A, id).await;
        }
        let voters: BTreeSet<_> = (1..=n).map(AgentId).collect();
        group.up[&A].set_voters(voters).await.unwrap();
        group
    }

    /// Lets a new agent in, as a learner.
    async fn admit(&mut self, leader: AgentId, id: AgentId) {
        self.start(id).await;
        for entry in entries::join(id) {
            self.up[&leader].propose(entry).await.unwrap();
        }
        self.up[&leader]
            .add_learner(id, &entries::address(id))
            .await
            .unwrap();
    }

    fn view(&self, id: AgentId) -> ViewId {
        self.up[&id].state().borrow().view_id
    }

    /// Waits until all of `ids` show `view` or a newer one.
    async fn all_show(&self, ids: impl IntoIterator<Item = AgentId>, view: ViewId) {
        for id in ids {
            let mut state = self.up[&id].state();
            tokio::time::timeout(SOON, state.wait_for(|state| state.view_id >= view))
                .await
                .unwrap_or_else(|_| panic!("agent {id} never shows view {view}"))
                .unwrap();
        }
    }

    /// Waits until one of `ids` leads with a majority behind it.
    async fn leader_among(&self, ids: &[AgentId]) -> AgentId {
        let started = Instant::now();
        loop {
            let leads = ids.iter().find(|id| {
                let standing = self.up[id].standing();
                let standing = standing.borrow();
                standing.i_lead && standing.quorum
            });
            if let Some(leader) = leads {
                return *leader;
            }
            assert!(started.elapsed() < SOON, "no leader among {ids:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

fn changed(outcome: &Outcome) -> ViewId {
    match outcome {
        Outcome::Changed { view_id } => *view_id,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_agents_found_join_vote_and_agree() {
    let group = Group::of(3).await;
    let proposed = group.up[&A]
        .propose(entries::marked("first"))
        .await
        .unwrap();
    let view = changed(&proposed.outcome);
    group.all_show([A, B, C], view).await;
    let shown: Vec<_> = [A, B, C]
        .iter()
        .map(|id| group.up[id].state().borrow().clone())
        .collect();
    assert_eq!(shown[0], shown[1]);
    assert_eq!(shown[0], shown[2]);
    assert_eq!(shown[0].voters, BTreeSet::from([A, B, C]));
    let standing = group.up[&B].standing();
    assert_eq!(standing.borrow().leader, Some(A));
    assert!(standing.borrow().quorum && !standing.borrow().i_lead);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_refuses_a_proposal_and_names_the_leader() {
    let group = Group::of(3).await;
    group.all_show([B], group.view(A)).await;
    let refused = group.up[&B]
        .propose(entries::marked("no"))
        .await
        .unwrap_err();
    assert_eq!(refused, ProposeError::NotLeader { leader: Some(A) });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_leader_is_replaced_and_nothing_agreed_is_lost() {
    let mut group = Group::of(3).await;
    group.up[&A]
        .propose(entries::marked("before"))
        .await
        .unwrap();
    group.stop(A).await;
    let leader = group.leader_among(&[B, C]).await;
    let proposed = group.up[&leader]
        .propose(entries::marked("after"))
        .await
        .unwrap();
    let view = changed(&proposed.outcome);
    group.start(A).await;
    group.all_show([A, B, C], view).await;
    let marks = entries::marks(&group.up[&A].state().borrow());
    assert!(marks.contains(&"before".to_owned()) && marks.contains(&"after".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_agents_restart_and_no_view_goes_back() {
    let mut group = Group::of(3).await;
    let proposed = group.up[&A].propose(entries::marked("kept")).await.unwrap();
    let view = changed(&proposed.outcome);
    group.all_show([A, B, C], view).await;
    for id in [A, B, C] {
        group.stop(id).await;
    }
    for id in [A, B, C] {
        group.start(id).await;
        // Before any leader is there, and with nobody else up: what was shown is shown again.
        assert!(
            group.view(id) >= view,
            "agent {id} shows {} after {view}",
            group.view(id)
        );
    }
    let leader = group.leader_among(&[A, B, C]).await;
    group.up[&leader].read_barrier().await.unwrap();
    let proposed = group.up[&leader]
        .propose(entries::marked("later"))
        .await
        .unwrap();
    assert!(changed(&proposed.outcome) > view);
    group.all_show([A, B, C], changed(&proposed.outcome)).await;
}
