//! A store that was set back behind its agent's back.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Result;
use muster_agent::consensus::{Compaction, Consensus, Timing};
use muster_core::ids::AgentId;
use muster_tests::raft_sim::disk::SimDisk;
use muster_tests::raft_sim::entries;
use muster_tests::raft_sim::group::SOON;
use muster_tests::raft_sim::net::Net;

const A: AgentId = AgentId(1);
const B: AgentId = AgentId(2);
const C: AgentId = AgentId(3);

async fn start(net: &Net, disk: &SimDisk, id: AgentId) -> Result<Consensus> {
    let (wire, timing) = (net.wire(id), Timing::default());
    let folder = disk.folder();
    let consensus = Consensus::open_in(folder, id, wire, timing, Compaction::default()).await?;
    net.plug(id, consensus.clone());
    Ok(consensus)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_whose_store_was_set_back_ends_and_the_others_go_on() -> Result<()> {
    let net = Net::new(0);
    let disks: BTreeMap<_, _> = [A, B, C].map(|id| (id, SimDisk::new(id.0))).into();
    let leader = start(&net, &disks[&A], A).await?;
    leader.found(&entries::address(A), entries::found()).await?;
    let mut third = None;
    for id in [B, C] {
        third = Some(start(&net, &disks[&id], id).await?);
        for entry in entries::join(id) {
            leader.propose(entry).await?;
        }
        leader.add_learner(id, &entries::address(id)).await?;
    }
    leader.set_voters(BTreeSet::from([A, B, C])).await?;
    let third = third.expect("the third was started");

    let copy = disks[&C].copy();
    leader
        .propose(entries::marked("acknowledged by all"))
        .await?;
    let view = leader.state().borrow().view_id;
    let mut state = third.state();
    tokio::time::timeout(SOON, state.wait_for(|state| state.view_id == view)).await??;

    // Away and back within a moment: the leader still knows what it was told.
    net.unplug(C);
    disks[&C].restore(copy);
    let third = start(&net, &disks[&C], C).await?;
    let mut standing = third.standing();
    let failed = standing.wait_for(|standing| standing.failed.is_some());
    let failed = tokio::time::timeout(SOON, failed).await??.failed.clone();
    let why = failed.expect("it waited for that");
    assert!(
        why.contains("set back") && why.contains("join again"),
        "{why}"
    );

    leader.propose(entries::marked("by the others")).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let standing = leader.standing().borrow().clone();
    assert!(
        standing.i_lead && standing.quorum && standing.failed.is_none(),
        "{standing:?}"
    );
    Ok(())
}
