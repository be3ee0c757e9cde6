//! What counts as a sign of life, and what does not.

#![allow(
    clippy::unwrap_used,
    reason = "a panic here is a failed test with a line number"
)]

mod support;

use muster_core::command::Command;
use muster_core::evidence::{
    ConsensusFacts, Contact, Evidence, Heartbeat, Opinion, Relayed, TextBeat, Timing, Verdict,
};
use muster_core::ids::{AgentId, MemberId};
use muster_core::show::{self, Standing};
use muster_core::state::{MemberRole, MemberState};
use proptest::prelude::*;
use support::{Cluster, server};

const START_MS: u64 = 1_000_000;

fn heartbeat(from: u64, incarnation: u64, sequence: u64, report_number: u64) -> Heartbeat {
    let mut own = server(from, None);
    own.report_number = report_number;
    Heartbeat {
        agent_id: AgentId(from),
        incarnation,
        sequence,
        own: Some(own),
        texts: Vec::new(),
        contacts: Vec::new(),
        relayed: Vec::new(),
        view_id: 0,
    }
}

fn listening(cluster: &Cluster) -> Evidence {
    let mut evidence = Evidence::new(AgentId(1), 1, START_MS);
    evidence.due(START_MS, &cluster.state);
    evidence
}

/// Own statement of agent 1 about agent `about`.
fn opinion(
    evidence: &mut Evidence,
    cluster: &Cluster,
    now_ms: u64,
    about: u64,
) -> (Opinion, Opinion) {
    let seen = evidence.observe(now_ms, &cluster.state, ConsensusFacts::default());
    let statement = seen.agents[&AgentId(about)].statements[&AgentId(1)];
    (statement.agent, statement.report)
}

/// Lets time pass without a pause of the process itself.
fn wait(evidence: &mut Evidence, cluster: &Cluster, from_ms: u64, to_ms: u64) {
    for now_ms in (from_ms..=to_ms).step_by(100) {
        evidence.due(now_ms, &cluster.state);
    }
}

#[test]
fn only_a_new_report_is_a_sign_of_life_of_the_server() {
    let cluster = Cluster::running(3, &[1, 2, 3]);
    let mut evidence = listening(&cluster);
    let mut now_ms = START_MS;
    for sequence in 1..=60 {
        now_ms += 100;
        let verdict = evidence.hear(now_ms, &cluster.state, heartbeat(2, 9, sequence, 1));
        assert!(matches!(verdict, Verdict::Taken { .. }));
    }
    assert_eq!(
        opinion(&mut evidence, &cluster, now_ms, 2),
        (Opinion::Hears, Opinion::Lacks)
    );
    evidence.hear(now_ms, &cluster.state, heartbeat(2, 9, 61, 2));
    assert_eq!(
        opinion(&mut evidence, &cluster, now_ms, 2),
        (Opinion::Hears, Opinion::Hears)
    );
}

#[test]
fn the_age_of_a_report_counts_from_its_arrival_at_its_own_agent() {
    let cluster = Cluster::running(3, &[1, 2, 3]);
    let mut evidence = listening(&cluster);
    wait(&mut evidence, &cluster, START_MS, START_MS + 3_000);
    let now_ms = START_MS + 3_000;
    let mut late = heartbeat(2, 9, 1, 1);
    late.own.as_mut().unwrap().report_age_ms = 1_900;
    evidence.hear(now_ms, &cluster.state, late);
    assert_eq!(
        opinion(&mut evidence, &cluster, now_ms + 100, 2).1,
        Opinion::Hears
    );
    assert_eq!(
        opinion(&mut evidence, &cluster, now_ms + 101, 2).1,
        Opinion::Lacks
    );
}

#[test]
fn old_repeated_and_replaced_heartbeats_are_dropped() {
    let cluster = Cluster::running(3, &[1, 2, 3]);
    let mut evidence = listening(&cluster);
    let mut hear = |h| evidence.hear(START_MS + 100, &cluster.state, h);
    assert!(matches!(hear(heartbeat(2, 9, 5, 5)), Verdict::Taken { .. }));
    assert_eq!(hear(heartbeat(2, 9, 5, 5)), Verdict::Old);
    assert_eq!(hear(heartbeat(2, 9, 4, 9)), Verdict::Old);
    // Its process was started again: numbers begin anew, and the old ones never come back.
    assert!(matches!(hear(heartbeat(2, 3, 1, 1)), Verdict::Taken { .. }));
    assert_eq!(hear(heartbeat(2, 9, 6, 6)), Verdict::Old);
    assert!(matches!(hear(heartbeat(2, 3, 2, 2)), Verdict::Taken { .. }));
}

#[test]
fn a_late_word_of_a_former_process_locks_nobody_out() {
    let cluster = Cluster::running(3, &[1, 2, 3]);
    let mut evidence = listening(&cluster);
    let mut hear = |at_ms, h| evidence.hear(START_MS + at_ms, &cluster.state, h);
    // This agent has just started, and of two processes of the other it hears the newer first.
    assert!(matches!(
        hear(100, heartbeat(2, 7, 1, 1)),
        Verdict::Taken { .. }
    ));
    assert!(matches!(
        hear(110, heartbeat(2, 6, 900, 900)),
        Verdict::Taken { .. }
    ));
    assert_eq!(hear(350, heartbeat(2, 7, 2, 2)), Verdict::Old);
    assert_eq!(hear(2_100, heartbeat(2, 7, 9, 9)), Verdict::Old);
    // The older is silent for ever, so the newer is believed after a ttl.
    assert!(matches!(
        hear(2_350, heartbeat(2, 7, 10, 10)),
        Verdict::Taken { .. }
    ));
    assert!(matches!(
        hear(2_600, heartbeat(2, 7, 11, 11)),
        Verdict::Taken { .. }
    ));
    assert_eq!(hear(2_610, heartbeat(2, 6, 901, 901)), Verdict::Old);
}

#[test]
fn pitfall_38_two_processes_with_one_number_are_noticed() {
    let cluster = Cluster::running(3, &[1, 2, 3]);
    let mut evidence = listening(&cluster);
    let mut now_ms = START_MS;
    let mut twin = |evidence: &mut Evidence, rounds: u64, from: u64| {
        for n in from..from + rounds {
            now_ms += 250;
            // The copy began later, so it is the one that is listened to; the first speaks on.
            evidence.hear(now_ms, &cluster.state, heartbeat(2, 7, n, n));
            evidence.hear(now_ms, &cluster.state, heartbeat(2, 8, n, n));
        }
        let seen = evidence.observe(now_ms, &cluster.state, ConsensusFacts::default());
        assert_eq!(seen.agents[&AgentId(2)].report_age_ms, Some(0));
        seen.agents[&AgentId(2)].twin
    };
    assert!(!twin(&mut evidence, 5, 1), "a few late words prove nothing");
    assert!(twin(&mut evidence, 10, 6));
}

#[test]
fn pitfall_39_strangers_and_oversized_words_are_not_taken() {
    let mut cluster = Cluster::running(3, &[1, 2, 3]);
    cluster.ok(muster_core::command::Command::RemoveAgent {
        agent_id: AgentId(3),
    });
    let mut evidence = listening(&cluster);
    let mut hear = |h| evidence.hear(START_MS + 100, &cluster.state, h);
    assert_eq!(
        hear(heartbeat(3, 9, 1, 1)),
        Verdict::Stranger,
        "a removed agent"
    );
    assert_eq!(hear(heartbeat(99, 9, 1, 1)), Verdict::Stranger);
    assert_eq!(hear(heartbeat(1, 9, 1, 1)), Verdict::Stranger, "itself");
    let mut huge = heartbeat(2, 9, 1, 1);
    huge.relayed = vec![
        Relayed {
            agent_id: AgentId(2),
            incarnation: 1,
            sequence: 1,
            age_ms: 0,
            own: None,
            texts: Vec::new(),
        };
        10_000
    ];
    assert_eq!(hear(huge), Verdict::TooLarge);
    let mut long = heartbeat(2, 9, 1, 1);
    support::facts(long.own.as_mut().unwrap()).gtid_executed = "é".repeat(1_000_000);
    assert!(matches!(hear(long), Verdict::Taken { .. }));
    let known = evidence.known(START_MS, AgentId(2)).unwrap().own.unwrap();
    let gtid = &known
        .report
        .as_ref()
        .unwrap()
        .facts
        .as_ref()
        .unwrap()
        .gtid_executed;
    assert!(gtid.len() <= 16 * 1024 && gtid.ends_with('…'));
}

fn relayed(about: u64, incarnation: u64, sequence: u64, age_ms: u64) -> Relayed {
    Relayed {
        agent_id: AgentId(about),
        incarnation,
        sequence,
        age_ms,
        own: Some(server(about, None)),
        texts: Vec::new(),
    }
}

#[test]
fn hearsay_is_shown_and_is_no_contact() {
    let cluster = Cluster::running(3, &[1, 2, 3]);
    let mut evidence = listening(&cluster);
    let mut now_ms = START_MS;
    for sequence in 1..=40 {
        now_ms += 100;
        let mut by_2 = heartbeat(2, 9, sequence, sequence);
        by_2.relayed = vec![relayed(3, 5, sequence, 50)];
        evidence.hear(now_ms, &cluster.state, by_2);
    }
    let known = evidence.known(now_ms, AgentId(3)).unwrap();
    assert!(known.relayed && now_ms - known.said_ms == 50);
    assert_eq!(
        opinion(&mut evidence, &cluster, now_ms, 3),
        (Opinion::Lacks, Opinion::Lacks)
    );
}

#[test]
fn a_replayed_relay_replaces_nothing_newer() {
    let cluster = Cluster::running(3, &[1, 2, 3]);
    let mut evidence = listening(&cluster);
    let mut sequence = 0;
    let mut by_2 = |evidence: &mut Evidence, now_ms, word| {
        sequence += 1;
        let mut by_2 = heartbeat(2, 9, sequence, 1);
        by_2.relayed = vec![word];
        evidence.hear(now_ms, &cluster.state, by_2);
        evidence.known(now_ms, AgentId(3)).unwrap()
    };
    assert_eq!(
        by_2(&mut evidence, START_MS + 100, relayed(3, 5, 7, 50)).said_ms,
        START_MS + 50
    );
    assert_eq!(
        by_2(&mut evidence, START_MS + 200, relayed(3, 5, 6, 0)).said_ms,
        START_MS + 50
    );
    assert_eq!(
        by_2(&mut evidence, START_MS + 300, relayed(3, 5, 8, 100)).said_ms,
        START_MS + 200
    );
    // Another incarnation is newer only by age.
    assert_eq!(
        by_2(&mut evidence, START_MS + 400, relayed(3, 6, 1, 300)).said_ms,
        START_MS + 200
    );
    assert_eq!(
        by_2(&mut evidence, START_MS + 500, relayed(3, 6, 1, 100)).said_ms,
        START_MS + 400
    );
}

#[test]
fn a_voter_makes_no_statement_before_it_has_listened_for_a_ttl() {
    let cluster = Cluster::running(3, &[1, 2, 3]);
    let mut evidence = listening(&cluster);
    wait(&mut evidence, &cluster, START_MS, START_MS + 2_000);
    assert_eq!(
        opinion(&mut evidence, &cluster, START_MS + 2_000, 2),
        (Opinion::Unsure, Opinion::Unsure)
    );
    assert_eq!(
        opinion(&mut evidence, &cluster, START_MS + 2_001, 2),
        (Opinion::Lacks, Opinion::Lacks)
    );
    // An agent that joined a moment ago is given the same time.
    let mut cluster = cluster;
    cluster.join(4, support::agent(4));
    wait(&mut evidence, &cluster, START_MS + 2_001, START_MS + 3_001);
    assert_eq!(
        opinion(&mut evidence, &cluster, START_MS + 3_001, 4).0,
        Opinion::Unsure
    );
}

#[test]
fn a_new_voter_has_not_been_listening_while_it_was_a_learner() {
    let mut cluster = Cluster::running(4, &[2, 3, 4]);
    let mut evidence = listening(&cluster);
    wait(&mut evidence, &cluster, START_MS, START_MS + 10_000);
    cluster.voters(&[1, 2, 3]);
    wait(
        &mut evidence,
        &cluster,
        START_MS + 10_000,
        START_MS + 11_000,
    );
    assert_eq!(
        opinion(&mut evidence, &cluster, START_MS + 11_000, 2).0,
        Opinion::Unsure
    );
}

#[test]
fn another_voters_word_wears_off() {
    let cluster = Cluster::running(3, &[1, 2, 3]);
    let mut evidence = listening(&cluster);
    let mut by_2 = heartbeat(2, 9, 1, 1);
    let contact = |age_ms| Contact {
        agent_id: AgentId(3),
        agent_age_ms: Some(age_ms),
        report_age_ms: Some(age_ms),
        listening_ms: 60_000,
    };
    by_2.contacts = vec![contact(500)];
    evidence.hear(START_MS, &cluster.state, by_2);
    let word = |evidence: &mut Evidence, now_ms| {
        wait(evidence, &cluster, now_ms - 400, now_ms);
        let seen = evidence.observe(now_ms, &cluster.state, ConsensusFacts::default());
        seen.agents[&AgentId(3)]
            .statements
            .get(&AgentId(2))
            .map(|s| s.agent)
    };
    assert_eq!(word(&mut evidence, START_MS + 1_500), Some(Opinion::Hears));
    // It was not missed when that was said, so it is not missed now.
    assert_eq!(word(&mut evidence, START_MS + 1_501), Some(Opinion::Unsure));
    assert_eq!(word(&mut evidence, START_MS + 2_001), None);
}

#[test]
fn the_interval_grows_so_that_traffic_stays_in_its_budget() {
    assert_eq!(Timing::new(2_000, 3, 3).interval_ms, 250);
    assert_eq!(Timing::new(2_000, 64, 5).interval_ms, 250);
    assert_eq!(Timing::new(2_000, 128, 5).ttl_ms, 2_000);
    let large = Timing::new(2_000, 200, 5);
    assert_eq!((large.interval_ms, large.ttl_ms), (782, 3_128));
    assert_eq!(large.relay_interval_ms, 7_618);
    for agents in 1..1_000 {
        let voters = agents.min(5);
        let timing = Timing::new(2_000, agents, voters);
        assert!(agents * 1_024 * 1_000 / timing.interval_ms <= 256 * 1_024);
        let share = (agents - voters).div_ceil(voters);
        assert!(share * agents * 1_024 * 1_000 / timing.relay_interval_ms <= 1_024 * 1_024);
        assert!(timing.ttl_ms >= 4 * timing.interval_ms);
    }
}

#[test]
fn a_learner_speaks_to_voters_only_and_is_kept_informed_by_one() {
    let cluster = Cluster::running(9, &[1, 2, 3, 4, 5]);
    let mut all: Vec<Evidence> = (1..=9)
        .map(|n| Evidence::new(AgentId(n), n, START_MS))
        .collect();
    let mut to_learner = Vec::new();
    for step in 0..200 {
        let now_ms = START_MS + step * 50;
        let mut sent = Vec::new();
        for evidence in &mut all {
            for to in evidence.due(now_ms, &cluster.state) {
                sent.push((
                    evidence.me(),
                    to,
                    evidence.heartbeat(now_ms, &cluster.state, to),
                ));
            }
        }
        for (from, to, heartbeat) in sent {
            if from.0 > 5 {
                assert!(to.0 <= 5, "{from} to {to}");
                assert!(heartbeat.relayed.is_empty());
            }
            if to.0 > 5 && step > 100 {
                to_learner.push((to, from));
                assert_eq!(heartbeat.relayed.len(), 7, "all but both ends");
            }
            // Voter 4 and its learner cannot reach each other.
            if (from.0, to.0) != (4, 8) && (from.0, to.0) != (8, 4) {
                all[to.0 as usize - 1].hear(now_ms, &cluster.state, heartbeat);
            }
        }
    }
    to_learner.sort_unstable();
    to_learner.dedup();
    let by_learner: Vec<u64> = to_learner.iter().map(|(to, _)| to.0).collect();
    assert_eq!(
        by_learner,
        [6, 7, 8, 9],
        "one each, also where the first choice is cut off: {to_learner:?}"
    );
}

#[test]
fn two_voters_have_one_exchange_in_an_interval_and_a_learner_no_relay_for_asking() {
    let cluster = Cluster::running(4, &[1, 2, 3]);
    let mut evidence = listening(&cluster);
    evidence.hear(START_MS + 200, &cluster.state, heartbeat(2, 9, 1, 1));
    let answer = evidence.answer(START_MS + 200, &cluster.state, AgentId(2));
    assert_eq!(answer.contacts.len(), 4);
    let due = evidence.due(START_MS + 250, &cluster.state);
    assert!(!due.contains(&AgentId(2)), "it has just been answered");
    assert!(due.contains(&AgentId(3)));
    assert_eq!(
        evidence.due(START_MS + 450, &cluster.state),
        [AgentId(2)],
        "it did not ask again"
    );
    let to_learner = evidence.answer(START_MS + 460, &cluster.state, AgentId(4));
    assert!(to_learner.relayed.is_empty() && to_learner.contacts.is_empty());
}

#[test]
fn a_change_of_the_own_server_is_told_at_once() {
    let cluster = Cluster::running(3, &[1, 2, 3]);
    let mut evidence = listening(&cluster);
    let mut own = server(1, None);
    assert!(evidence.set_own(START_MS, Some(own.clone())));
    assert_eq!(evidence.due(START_MS + 1, &cluster.state).len(), 2);
    own.report_number += 1;
    support::facts(&mut own).gtid_executed = "x:1".to_owned();
    assert!(
        !evidence.set_own(START_MS + 2, Some(own.clone())),
        "numbers move all the time"
    );
    assert_eq!(evidence.due(START_MS + 3, &cluster.state), []);
    support::facts(&mut own).read_only = true;
    assert!(evidence.set_own(START_MS + 4, Some(own)));
    assert_eq!(evidence.due(START_MS + 5, &cluster.state).len(), 2);
}

proptest! {
    /// Whatever the network does with what an agent once said, only a heartbeat that was not heard before, and newer
    /// than all that were, makes it younger.
    #[test]
    fn replay_and_reordering_make_nobody_younger(
        order in proptest::collection::vec((0usize..12, 0u64..20), 1..80),
        restart_at in 1usize..12,
    ) {
        let cluster = Cluster::running(3, &[1, 2, 3]);
        let mut evidence = listening(&cluster);
        let said: Vec<Heartbeat> = (0..12)
            .map(|n| {
                let incarnation = if n < restart_at { 1 } else { 2 };
                heartbeat(2, incarnation, n as u64 + 1, n as u64 + 1)
            })
            .collect();
        let mut now_ms = START_MS;
        prop_assert!(matches!(evidence.hear(now_ms, &cluster.state, said[0].clone()), Verdict::Taken { .. }), "new");
        let mut newest = 0;
        let mut last_ms = Some(now_ms);
        for (n, wait_ms) in order {
            now_ms += wait_ms;
            let verdict = evidence.hear(now_ms, &cluster.state, said[n].clone());
            if n > newest {
                prop_assert!(matches!(verdict, Verdict::Taken { .. }), "new");
                newest = n;
                last_ms = Some(now_ms);
            } else {
                prop_assert_eq!(verdict, Verdict::Old);
            }
            let known = evidence.known(now_ms, AgentId(2)).map(|k| k.said_ms);
            prop_assert_eq!(known, last_ms);
        }
    }
}

#[test]
fn text_members_are_shown_everywhere_with_their_last_heartbeat() {
    let mut cluster = Cluster::running(3, &[1, 2, 3]);
    let text = MemberId("77777777-0000-4000-8000-000000000000".into());
    cluster.ok(Command::TextJoin {
        agent_id: AgentId(2),
        member_id: text.clone(),
        host: "old".into(),
        port: 3305,
        state: MemberState::Online,
        role: MemberRole::Standalone,
        draining: false,
    });
    let state = &cluster.state.clone();
    let mut by_2 = Evidence::new(AgentId(2), 9, START_MS);
    by_2.due(START_MS, state);
    by_2.hear_text(START_MS, &text, 1_795_194_407_000_000);
    let shown = |evidence: &Evidence, now_ms: u64| {
        let observed = show::observed(state, evidence, now_ms, Standing::default());
        let row = observed.members.into_iter().find(|m| m.member_id == text.0);
        row.map(|m| (m.received_boot_ms, m.heartbeat_ttl_ms, m.wall_clock_us))
    };
    let expected = |at| Some((at, 30_000, Some(1_795_194_407_000_000)));
    assert_eq!(shown(&by_2, START_MS + 700), expected(START_MS));

    // Directly: agent 1's clock is another.
    let told = by_2.heartbeat(START_MS + 700, state, AgentId(1));
    let mut by_1 = Evidence::new(AgentId(1), 5, 50_000);
    by_1.due(50_000, state);
    assert!(matches!(
        by_1.hear(50_000, state, told),
        Verdict::Taken { .. }
    ));
    assert_eq!(shown(&by_1, 50_100), expected(49_300));

    // By relay, with the time it was under way.
    let told = by_1.heartbeat(50_400, state, AgentId(3));
    let mut by_3 = Evidence::new(AgentId(3), 6, 90_000);
    by_3.due(90_000, state);
    assert!(matches!(
        by_3.hear(90_000, state, told),
        Verdict::Taken { .. }
    ));
    assert_eq!(shown(&by_3, 90_000), expected(90_000 - 400 - 700));

    // Gone with the member.
    cluster.ok(Command::TextLeave {
        agent_id: AgentId(2),
        member_id: text.clone(),
    });
    by_2.due(START_MS + 800, &cluster.state);
    assert!(
        by_2.heartbeat(START_MS + 800, &cluster.state, AgentId(1))
            .texts
            .is_empty()
    );
}

#[test]
fn more_text_members_than_fit_are_no_honest_heartbeat() {
    let cluster = Cluster::running(3, &[1, 2, 3]);
    let mut evidence = listening(&cluster);
    let mut huge = heartbeat(2, 9, 1, 1);
    let beat = TextBeat {
        member_id: MemberId("x".into()),
        age_ms: u64::MAX,
        wall_clock_us: i64::MIN,
    };
    huge.texts = vec![beat.clone(); 1_001];
    assert_eq!(
        evidence.hear(START_MS, &cluster.state, huge.clone()),
        Verdict::TooLarge
    );
    huge.texts.truncate(1_000);
    assert!(matches!(
        evidence.hear(START_MS, &cluster.state, huge),
        Verdict::Taken { .. }
    ));
}
