//! What the store refuses, and what it survives.

#![allow(clippy::unwrap_used)]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::Result;
use muster_agent::consensus::{Compaction, Consensus, OpenError, ProposeError, Timing};
use muster_core::ids::AgentId;
use muster_tests::raft_sim::disk::SimDisk;
use muster_tests::raft_sim::entries;
use muster_tests::raft_sim::group::{Group, SOON};
use muster_tests::raft_sim::net::Net;

const A: AgentId = AgentId(1);

async fn open(folder: &Path, me: AgentId) -> Result<Consensus, OpenError> {
    Consensus::open(folder, me, Net::new(0).wire(me), Timing::default()).await
}

/// A stopped agent with a founded cluster in its folder.
async fn stopped() -> Result<Group> {
    let mut group = Group::of(1).await?;
    for number in 0..20 {
        group.mark(A, &format!("number {number}")).await?;
    }
    group.stop(A).await;
    Ok(group)
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn folder_and_files_are_for_their_owner_alone() -> Result<()> {
    let root = tempfile::tempdir()?;
    let folder = root.path().join("made-before");
    std::fs::create_dir(&folder)?;
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755))?;
    let consensus = open(&folder, A).await?;
    assert_eq!(mode(&folder), 0o700);
    for file in std::fs::read_dir(&folder)? {
        let path = file?.path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    consensus.shutdown().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_agent_on_the_same_folder_is_refused() -> Result<()> {
    let root = tempfile::tempdir()?;
    let first = open(root.path(), A).await?;
    let second = open(root.path(), A).await;
    assert!(matches!(second, Err(OpenError::InUse(_))), "{second:?}");
    first.shutdown().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_agents_store_is_refused() -> Result<()> {
    let group = stopped().await?;
    let stranger = open(&group.folder(A), AgentId(2)).await;
    assert!(
        matches!(stranger, Err(OpenError::OtherAgent { found: A, .. })),
        "{stranger:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_without_its_log_is_refused() -> Result<()> {
    let root = tempfile::tempdir()?;
    std::fs::write(root.path().join("snapshot"), "anything")?;
    let lost = open(root.path(), A).await;
    assert!(matches!(lost, Err(OpenError::Damaged { .. })), "{lost:?}");
    assert!(
        lost.unwrap_err()
            .to_string()
            .contains("join again as a new agent")
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_during_the_very_first_start_leaves_nothing_behind() -> Result<()> {
    let root = tempfile::tempdir()?;
    std::fs::write(root.path().join("log.redb.new"), vec![7; 5_000])?;
    let consensus = open(root.path(), A).await?;
    consensus
        .found(&entries::address(A), entries::found())
        .await?;
    consensus.shutdown().await;
    Ok(())
}

/// Every kind of damage is refused, or does no harm: a store that opens shows exactly what was agreed on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_store_is_refused_or_whole() -> Result<()> {
    let group = stopped().await?;
    let log = std::fs::read(group.folder(A).join("log.redb"))?;
    let whole = open(&group.folder(A), A).await?;
    let agreed = whole.state().borrow().clone();
    assert!(agreed.founded());
    whole.shutdown().await;

    let mut refused = 0;
    let damaged = |kind: &'static str, bytes: Vec<u8>| {
        let agreed = agreed.clone();
        async move {
            let root = tempfile::tempdir()?;
            std::fs::write(root.path().join("log.redb"), bytes)?;
            match open(root.path(), A).await {
                Ok(consensus) => {
                    let shown = consensus.state().borrow().clone();
                    consensus.shutdown().await;
                    assert_eq!(shown, agreed, "{kind}: it opened, and shows something else");
                    anyhow::Ok(0)
                }
                Err(OpenError::Damaged { .. }) => Ok(1),
                Err(other) => panic!("{kind}: {other}"),
            }
        }
    };
    for cut in [0, 1, 100, 4_096, log.len() / 2, log.len() - 1] {
        refused += damaged("cut short", log[..cut].to_vec()).await?;
    }
    let step = (log.len() / 150).max(1);
    for at in (0..log.len()).step_by(step) {
        let mut bytes = log.clone();
        bytes[at] ^= 0x10;
        refused += damaged("one bit", bytes).await?;
    }
    for at in (0..log.len()).step_by(4_096).take(40) {
        let mut bytes = log.clone();
        let end = (at + 512).min(bytes.len());
        bytes[at..end].fill(0);
        refused += damaged("a sector of zeros", bytes).await?;
    }
    assert!(refused > 0, "no damage was ever noticed");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn there_is_nothing_to_recover_in_an_empty_folder() -> Result<()> {
    let root = tempfile::tempdir()?;
    let nothing = Consensus::recover_alone(root.path(), A).await;
    assert!(matches!(nothing, Err(OpenError::Empty(_))), "{nothing:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_whose_disk_fails_says_so_and_ends() -> Result<()> {
    let disk = SimDisk::new(0);
    let wire = Net::new(0).wire(A);
    let consensus = Consensus::open_in(
        disk.folder(),
        A,
        wire,
        Timing::default(),
        Compaction::default(),
    )
    .await?;
    consensus
        .found(&entries::address(A), entries::found())
        .await?;
    let view = consensus.state().borrow().view_id;
    disk.crash();
    let lost = consensus.propose(entries::marked("lost")).await;
    assert!(matches!(lost, Err(ProposeError::Stopped(_))), "{lost:?}");
    let mut standing = consensus.standing();
    let failed = standing.wait_for(|standing| standing.failed.is_some());
    let failed = tokio::time::timeout(SOON, failed).await??.clone();
    assert!(!failed.i_lead && !failed.quorum);
    assert_eq!(consensus.state().borrow().view_id, view);
    // In order, and not by itself.
    consensus.shutdown().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_is_stopped_in_order_has_not_failed() -> Result<()> {
    let group = Group::of(1).await?;
    group.at(A).shutdown().await;
    let after = group.at(A).propose(entries::marked("too late")).await;
    assert!(matches!(after, Err(ProposeError::Stopped(_))), "{after:?}");
    assert_eq!(group.at(A).standing().borrow().failed, None);
    Ok(())
}
