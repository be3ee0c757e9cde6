//! What the daemon does with a peer that is no agent, or not in order.

use super::*;

/// Name, words by which the log tells, and what a peer may do instead of being an agent.
type Misbehaviour = (&'static str, &'static str, fn(&mut Agent));

fn misbehaviours() -> Vec<Misbehaviour> {
    vec![
        ("garbage", "does not speak Muster's protocol", |agent| {
            drop(agent.stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n"));
        }),
        ("half a frame", "in the middle of a frame", |agent| {
            agent.stream.write_all(&[0, 0, 0, 50, b'{']).unwrap();
            agent.stream.shutdown(std::net::Shutdown::Write).unwrap();
        }),
        ("an enormous frame", "at most 33554432", |agent| {
            agent.stream.write_all(&u32::MAX.to_be_bytes()).unwrap();
        }),
        ("a wrong version", "protocol version 999", |agent| {
            agent.say_welcome(999)
        }),
        ("a view before the welcome", "before it welcomed", |agent| {
            agent.say(&view(1))
        }),
        ("no word", "without a word", |agent| {
            agent.stream.shutdown(std::net::Shutdown::Write).unwrap()
        }),
        ("a refusal", "refused this server: go away", |agent| {
            agent.say(&ToPlugin::Refused {
                reason: "go away".into(),
            });
        }),
        ("no message", "no message", |agent| {
            agent.say_welcome(PROTOCOL_MAX);
            agent.stream.write_all(b"\0\0\0\x02[]").unwrap();
        }),
    ]
}

#[test]
fn whatever_the_peer_is_it_is_left_with_a_sentence_and_a_real_agent_is_found_after_it() {
    for (name, words, misbehave) in misbehaviours() {
        let mut world = World::new();
        let listener = world.listen();
        world.start();
        let mut peer = Agent::accept(&listener);
        misbehave(&mut peer);
        // It is left: the stream ends on our side, whatever we said before.
        while peer.next().is_some() {}
        until("it is said", || {
            world
                .server
                .log_lines()
                .iter()
                .any(|line| line.contains(words))
        });
        assert_ne!(state(), AgentState::Connected, "{name}");
        let mut agent = Agent::welcome(&listener);
        agent.report_where("any", |_| true);
        world.stop();
    }
}

#[test]
fn a_peer_that_says_nothing_at_all_is_left_after_the_silence() {
    let mut world = World::new();
    let listener = world.listen();
    world.start();
    let mut peer = Agent::accept(&listener);
    let began = Instant::now();
    while peer.next().is_some() {}
    assert!(
        began.elapsed() >= Duration::from_millis(AGENT_SILENCE_MS_MAX - 100),
        "{:?}",
        began.elapsed()
    );
    until("it is said", || {
        world
            .server
            .log_lines()
            .iter()
            .any(|line| line.contains("has not answered the greeting"))
    });
    let mut welcomed = Agent::welcome(&listener);
    while welcomed.next().is_some() {}
    until("it is said", || {
        world
            .server
            .log_lines()
            .iter()
            .any(|line| line.contains("has said nothing"))
    });
    assert_eq!(state(), AgentState::Connecting);
}

#[test]
fn a_peer_that_talks_and_never_reads_costs_one_frame_and_no_time() {
    let mut world = World::new();
    world.server.change(|state| {
        state.settings.report_interval_ms = 50;
        // Reports of 200 kB fill the kernel's buffer at once.
        state
            .variables
            .insert("gtid_executed".into(), "x".repeat(200_000));
    });
    let listener = world.listen();
    world.start();
    let mut peer = Agent::welcome(&listener);
    let began = Instant::now();
    let mut left = false;
    while !left {
        assert!(began.elapsed() < LONG, "it was not left");
        let mut bytes = Vec::new();
        encode(
            &ToPlugin::Observed {
                observed: Observed::default(),
            },
            FRAME_BYTES_MAX,
            &mut bytes,
        )
        .unwrap();
        left = peer.stream.write_all(&bytes).is_err();
        std::thread::sleep(Duration::from_millis(20));
    }
    until("it is said", || {
        world
            .server
            .log_lines()
            .iter()
            .any(|line| line.contains("has read nothing"))
    });
    let began = Instant::now();
    world.stop();
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
}

#[test]
fn a_flood_of_messages_starves_no_report() {
    let mut world = World::new();
    let listener = world.listen();
    world.start();
    let agent = Agent::welcome(&listener);
    let mut flood = agent.stream.try_clone().unwrap();
    let mut agent = Agent {
        answers: false,
        ..agent
    };
    let writer = std::thread::Builder::new()
        .name("flood".into())
        .spawn(move || {
            let mut bytes = Vec::new();
            for id in 0..200 {
                encode(&view(id), FRAME_BYTES_MAX, &mut bytes).unwrap();
            }
            let began = Instant::now();
            while began.elapsed() < Duration::from_secs(2) && flood.write_all(&bytes).is_ok() {}
        })
        .unwrap();
    let first = agent.report_where("with facts", |report| report.facts.is_some());
    agent.report_where("under the flood", |report| {
        report.sequence > first.sequence + 5
    });
    writer.join().unwrap();
    world.stop();
}
