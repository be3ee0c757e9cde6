//! Bad networks and half-cut ones: what is declared, and how often it changes. Virtual time. With `MUSTER_SOAK_MINUTES`
//! set, twenty times as many seeds.

use muster_core::state::MemberState;
use muster_tests::sim::World;
use muster_tests::sim::faults::Fault;
use muster_tests::sim::world::Event;

const MINUTE_MS: u64 = 60_000;

/// So many seeds, or twenty times as many for a soak.
fn seeds(short: u64) -> std::ops::Range<u64> {
    if std::env::var_os("MUSTER_SOAK_MINUTES").is_some() {
        0..short * 20
    } else {
        0..short
    }
}

/// A cluster that has come up and found its voters.
fn settled(seed: u64, hosts: usize) -> World {
    let mut world = World::of(seed, hosts, false);
    world.run_until(15_000);
    for host in 0..hosts {
        assert_eq!(world.state_of(host), Some(MemberState::Online));
    }
    world.checks.changes.clear();
    assert_eq!(world.checks.unreachable, 0);
    world
}

fn changes(world: &World) -> usize {
    world.checks.changes.values().sum()
}

fn after(world: &mut World, fault: Fault, ms: u64) {
    let at_ms = world.now_ms + 1;
    world.schedule(at_ms, Event::Fault(fault));
    world.run_until(at_ms + ms);
}

#[test]
fn at_two_percent_loss_and_half_a_second_of_jitter_nobody_is_ever_unreachable() {
    for seed in seeds(2) {
        for hosts in [3, 5] {
            let mut world = settled(seed, hosts);
            after(&mut world, Fault::Weather(20, 0, 500), 10 * MINUTE_MS);
            assert_eq!(world.checks.unreachable, 0, "seed {seed}, {hosts} hosts");
        }
    }
}

#[test]
fn at_twenty_percent_loss_and_half_a_second_of_jitter_almost_nobody_is() {
    let mut declared = 0;
    for seed in seeds(3) {
        let mut world = settled(seed, 3);
        after(&mut world, Fault::Weather(200, 0, 500), 10 * MINUTE_MS);
        declared += world.checks.unreachable;
        after(&mut world, Fault::Weather(0, 0, 4), 3_000);
        for host in 0..3 {
            assert_eq!(world.state_of(host), Some(MemberState::Online));
        }
    }
    let runs = seeds(3).count();
    println!("20 % loss: {declared} times unreachable in {runs} times 10 minutes of 3 members");
    assert!(declared <= runs, "{declared}");
}

#[test]
fn one_cut_link_changes_nothing_but_who_leads() {
    for seed in seeds(4) {
        for hosts in [3, 5] {
            let mut world = settled(seed, hosts);
            after(&mut world, Fault::CutLink(1, 2), 2 * MINUTE_MS);
            assert_eq!(changes(&world), 0, "seed {seed}, {hosts} hosts");
        }
    }
}

#[test]
fn a_replica_that_is_not_heard_is_unreachable_once_and_back_once() {
    for seed in seeds(4) {
        let mut world = settled(seed, 3);
        after(&mut world, Fault::Mute(2), 2 * MINUTE_MS);
        assert_eq!(world.state_of(2), Some(MemberState::Unreachable));
        assert_eq!(changes(&world), 1, "one stable verdict, seed {seed}");
        after(&mut world, Fault::Reconnect, MINUTE_MS);
        assert_eq!(world.state_of(2), Some(MemberState::Online));
        assert_eq!(changes(&world), 2, "seed {seed}");
    }
}

#[test]
fn one_direction_of_one_link_changes_nothing() {
    for seed in seeds(4) {
        let mut world = settled(seed, 3);
        after(&mut world, Fault::CutOneWay(1, 2), 2 * MINUTE_MS);
        assert_eq!(changes(&world), 0, "seed {seed}");
    }
}

#[test]
fn a_host_that_is_cut_off_is_unreachable_in_time_and_back_in_time() {
    let mut slowest = (0, 0);
    for seed in seeds(20) {
        let mut world = settled(seed, 3);
        let cut_ms = world.now_ms;
        after(&mut world, Fault::Isolate(2), 0);
        while world.state_of(2) != Some(MemberState::Unreachable) {
            let next_ms = world.now_ms + 10;
            world.run_until(next_ms);
            assert!(next_ms < cut_ms + 10_000, "seed {seed}");
        }
        let seen_ms = world.now_ms - cut_ms;
        assert!(seen_ms > 1_400, "too hasty: {seen_ms} ms, seed {seed}");
        let next_ms = world.now_ms + 10_000;
        world.run_until(next_ms);
        let healed_ms = world.now_ms;
        after(&mut world, Fault::Reconnect, 0);
        while world.state_of(2) != Some(MemberState::Online) {
            let next_ms = world.now_ms + 10;
            world.run_until(next_ms);
            assert!(next_ms < healed_ms + 10_000, "seed {seed}");
        }
        slowest = (
            slowest.0.max(seen_ms),
            slowest.1.max(world.now_ms - healed_ms),
        );
    }
    println!(
        "cut off: unreachable after at most {} ms, back {} ms after the cut was healed",
        slowest.0, slowest.1
    );
    assert!(slowest.0 <= 4_000 && slowest.1 <= 3_000);
}

#[test]
fn clocks_that_jump_change_nothing() {
    for seed in seeds(3) {
        let mut world = settled(seed, 3);
        let view = world.group.state().view_id;
        for host in 0..3 {
            after(&mut world, Fault::StepClock(host, 3_600_000_000), 5_000);
            after(&mut world, Fault::StepClock(host, -7_200_000_000), 5_000);
        }
        assert_eq!(changes(&world), 0);
        assert_eq!(world.group.state().view_id, view);
    }
}
