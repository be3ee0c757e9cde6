//! The consensus adapter on real folders, over a network in memory.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::Result;
use muster_agent::consensus::{Consensus, ProposeError};
use muster_core::ids::{AgentId, ViewId};
use muster_tests::raft_sim::entries;
use muster_tests::raft_sim::group::{Group, SOON};

const A: AgentId = AgentId(1);
const B: AgentId = AgentId(2);
const C: AgentId = AgentId(3);
const D: AgentId = AgentId(4);

fn marks(group: &Group, id: AgentId) -> Vec<String> {
    entries::marks(&group.at(id).state().borrow())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_alone_founds_and_proposes() -> Result<()> {
    let mut group = Group::of(1).await?;
    let view = group.mark(A, "alone").await?;
    assert!(group.at(A).standing().borrow().quorum);
    group.at(A).read_barrier().await?;
    group.stop(A).await;
    group.start(A).await?;
    assert_eq!(group.view(A), view);
    assert_eq!(group.leader_among(&[A]).await?, A);
    group.mark(A, "again").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_of_a_cluster_cannot_found_another() -> Result<()> {
    let group = Group::of(1).await?;
    let again = group.at(A).found("elsewhere:1", entries::found()).await;
    assert!(matches!(again, Err(ProposeError::Refused(_))), "{again:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_agents_found_join_vote_and_agree() -> Result<()> {
    let group = Group::of(3).await?;
    let view = group.mark(A, "first").await?;
    group.all_show(&[A, B, C], view).await?;
    let shown = [A, B, C].map(|id| group.at(id).state().borrow().clone());
    assert_eq!(shown[0], shown[1]);
    assert_eq!(shown[0], shown[2]);
    assert_eq!(shown[0].voters, BTreeSet::from([A, B, C]));
    let standing = group.at(B).standing();
    assert_eq!(standing.borrow().leader, Some(A));
    assert!(standing.borrow().quorum && !standing.borrow().i_lead);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_refuses_a_proposal_and_names_the_leader() -> Result<()> {
    let group = Group::of(3).await?;
    group.all_show(&[B], group.view(A)).await?;
    let refused = group.at(B).propose(entries::marked("no")).await;
    assert_eq!(refused, Err(ProposeError::NotLeader { leader: Some(A) }));
    let refused = group.at(B).read_barrier().await;
    assert_eq!(refused, Err(ProposeError::NotLeader { leader: Some(A) }));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_leader_is_replaced_and_nothing_agreed_is_lost() -> Result<()> {
    let mut group = Group::of(3).await?;
    group.mark(A, "before").await?;
    group.stop(A).await;
    let leader = group.leader_among(&[B, C]).await?;
    let view = group.mark(leader, "after").await?;
    group.start(A).await?;
    group.all_show(&[A, B, C], view).await?;
    let marks = marks(&group, A);
    assert!(marks.contains(&"before".to_owned()), "{marks:?}");
    assert!(marks.contains(&"after".to_owned()), "{marks:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_agents_restart_and_no_view_goes_back() -> Result<()> {
    let mut group = Group::of(3).await?;
    let view = group.mark(A, "kept").await?;
    group.all_show(&[A, B, C], view).await?;
    for id in [A, B, C] {
        group.stop(id).await;
    }
    for id in [A, B, C] {
        group.start(id).await?;
        // Before any leader is there, and for the first one with nobody else up: what was shown is shown again.
        assert!(group.view(id) >= view, "agent {id}");
    }
    let leader = group.leader_among(&[A, B, C]).await?;
    group.at(leader).read_barrier().await?;
    let later = group.mark(leader, "later").await?;
    assert!(later > view);
    group.all_show(&[A, B, C], later).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_joiner_gets_a_snapshot_and_then_the_log() -> Result<()> {
    let mut group = Group::of(1).await?;
    for number in 0..1_300 {
        group.mark(A, &format!("number {number}")).await?;
    }
    // By now the beginning of the log is gone.
    let folder = group.folder(A);
    let started = Instant::now();
    while !folder.join("snapshot").exists() {
        assert!(started.elapsed() < SOON, "no snapshot was made");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    group.start(B).await?;
    assert_eq!(
        group.view(B),
        ViewId(0),
        "nothing is shown before it is known"
    );
    group.stop(B).await;
    group.admit(A, B).await?;
    group.all_show(&[B], group.view(A)).await?;
    assert_eq!(*group.at(A).state().borrow(), *group.at(B).state().borrow());
    group.at(A).set_voters(BTreeSet::from([A, B])).await?;
    let view = group.mark(A, "together").await?;
    group.all_show(&[A, B], view).await?;
    // Both come back from their own snapshot and log.
    for id in [A, B] {
        group.stop(id).await;
    }
    for id in [A, B] {
        group.start(id).await?;
        assert!(group.view(id) >= view, "agent {id}");
    }
    group.leader_among(&[A, B]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leadership_is_handed_over_in_order() -> Result<()> {
    let group = Group::of(3).await?;
    group.at(A).transfer(B).await?;
    assert_eq!(group.leader_among(&[B]).await?, B);
    let view = group.mark(B, "under the new leader").await?;
    group.all_show(&[A, B, C], view).await?;
    let refused = group.at(A).transfer(C).await;
    assert!(
        matches!(refused, Err(ProposeError::NotLeader { .. })),
        "{refused:?}"
    );
    let stranger = group.at(B).transfer(D).await;
    assert!(
        matches!(stranger, Err(ProposeError::Refused(_))),
        "{stranger:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_agent_is_out_and_its_number_is_never_used_again() -> Result<()> {
    let mut group = Group::of(3).await?;
    group.admit(A, D).await?;
    group.mark(A, "four").await?;
    // A learner, and a voter that is replaced by another agent at the same time.
    group.at(A).propose(entries::remove(C)).await?;
    group.at(A).set_voters(BTreeSet::from([A, B, D])).await?;
    group.at(A).remove(C).await?;
    let view = group.mark(A, "without the third").await?;
    group.all_show(&[A, B, D], view).await?;
    assert_eq!(
        group.at(B).state().borrow().voters,
        BTreeSet::from([A, B, D])
    );
    let standing = group.at(A).standing().borrow().clone();
    assert!(!standing.voters.contains(&C) && !standing.learners.contains(&C));
    let back = group.at(A).add_learner(C, &entries::address(C)).await;
    assert!(matches!(back, Err(ProposeError::Refused(_))), "{back:?}");
    // It stands for election without end, and disturbs nobody.
    let term = standing.term;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(group.at(A).standing().borrow().term, term);
    assert!(group.at(A).standing().borrow().i_lead);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_can_remove_itself() -> Result<()> {
    let mut group = Group::of(3).await?;
    group.at(A).remove(A).await?;
    let leader = group.leader_among(&[B, C]).await?;
    group.at(leader).propose(entries::remove(A)).await?;
    let view = group.mark(leader, "without the first").await.err();
    // The mark declares agent 1, which is gone: refused, but agreed on.
    assert!(view.is_some());
    group.stop(A).await;
    group.at(leader).read_barrier().await?;
    let standing = group.at(leader).standing().borrow().clone();
    assert_eq!(standing.voters, BTreeSet::from([B, C]));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_majority_nothing_is_agreed_on_and_everybody_knows() -> Result<()> {
    let group = Group::of(3).await?;
    let view = group.mark(A, "together").await?;
    group.all_show(&[A, B, C], view).await?;
    group.net.isolate(A, [B, C]);
    let started = Instant::now();
    let lost = group.at(A).propose(entries::marked("alone")).await;
    assert!(
        matches!(
            lost,
            Err(ProposeError::Unknown { .. } | ProposeError::NoQuorum { .. })
        ),
        "{lost:?}"
    );
    assert!(started.elapsed() < Duration::from_secs(8));
    assert!(!group.at(A).standing().borrow().quorum);
    let other = group.leader_among(&[B, C]).await?;
    let agreed = group.mark(other, "by two").await?;
    group.all_show(&[B, C], agreed).await?;
    assert_eq!(
        group.view(A),
        view,
        "the minority shows what was agreed on, no more"
    );
    group.net.heal();
    group.all_show(&[A], agreed).await?;
    let shown = marks(&group, A);
    assert!(shown.contains(&"by two".to_owned()));
    assert!(!shown.contains(&"alone".to_owned()));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_speaks_but_hears_nobody_is_replaced() -> Result<()> {
    let group = Group::of(3).await?;
    group.net.cut(B, A);
    group.net.cut(C, A);
    let other = group.leader_among(&[B, C]).await?;
    let view = group.mark(other, "heard").await?;
    group.all_show(&[B, C], view).await?;
    group.net.heal();
    group.all_show(&[A], view).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_cut_link_of_three_and_a_cut_follower_disturb_nobody() -> Result<()> {
    let group = Group::of(3).await?;
    let view = group.mark(A, "whole").await?;
    group.all_show(&[A, B, C], view).await?;
    let term = group.at(A).standing().borrow().term;
    // The followers do not need each other; a follower that hears nobody asks in vain, and comes back quietly.
    group.net.isolate(B, [C]);
    tokio::time::sleep(Duration::from_secs(3)).await;
    group.net.isolate(C, [A, B]);
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(!group.at(C).standing().borrow().quorum);
    assert_eq!(group.at(C).standing().borrow().leader, None);
    group.net.heal();
    let view = group.mark(A, "whole again").await?;
    group.all_show(&[A, B, C], view).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(group.at(A).standing().borrow().term, term);
    assert!(group.at(A).standing().borrow().i_lead);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_one_recovers_alone_a_generation_higher() -> Result<()> {
    let mut group = Group::of(3).await?;
    let view = group.mark(A, "agreed").await?;
    group.all_show(&[A, B, C], view).await?;
    for id in [A, B, C] {
        group.stop(id).await;
    }
    let kept = Consensus::recover_alone(&group.folder(B), B).await?;
    assert!(kept.view_id >= view);
    // Twice does no harm.
    Consensus::recover_alone(&group.folder(B), B).await?;
    group.start(B).await?;
    assert_eq!(group.leader_among(&[B]).await?, B);
    group.at(B).propose(entries::recover(B)).await?;
    let state = group.at(B).state().borrow().clone();
    assert!(state.view_id >= view.next_generation());
    assert_eq!(state.voters, BTreeSet::from([B]));
    assert!(marks(&group, B).contains(&"agreed".to_owned()));

    // The others were not dead after all: they go on among themselves, and cannot take B back.
    group.start(A).await?;
    group.start(C).await?;
    let other = group.leader_among(&[A, C]).await?;
    group.mark(other, "in the old generation").await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(group.at(B).standing().borrow().i_lead);
    assert_eq!(group.view(B), state.view_id);
    assert!(group.view(A) < state.view_id);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_address_reaches_everybody() -> Result<()> {
    let group = Group::of(3).await?;
    group.at(A).add_learner(C, "elsewhere.test:7400").await?;
    let view = group.mark(A, "moved").await?;
    group.all_show(&[A, B, C], view).await?;
    assert_eq!(
        group.at(A).standing().borrow().voters,
        BTreeSet::from([A, B, C])
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_learners_are_spoken_to_less_often_and_hear_enough() -> Result<()> {
    let mut group = Group::of(1).await?;
    let learners: Vec<_> = (2..=13).map(AgentId).collect();
    for id in &learners {
        group.admit(A, *id).await?;
    }
    group.all_show(&learners, group.view(A)).await?;
    // The first beat after a new learner goes to everybody.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (before, began) = (group.net.delivered(), Instant::now());
    for _ in 0..30 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        for id in &learners {
            let standing = group.at(*id).standing().borrow().clone();
            assert!(
                standing.quorum && standing.leader == Some(A),
                "{id}: {standing:?}"
            );
        }
    }
    let each = (group.net.delivered() - before) as f64 / 12.0 / began.elapsed().as_secs_f64();
    assert!(
        each < 3.0,
        "each learner hears {each} beats a second, and all of them would hear 5"
    );
    // What is agreed on does not wait for a beat.
    let view = group.mark(A, "at once").await?;
    let agreed = Instant::now();
    group.all_show(&learners, view).await?;
    println!("12 learners show it after {:?}", agreed.elapsed());
    Ok(())
}
