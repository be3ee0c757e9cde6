//! What readers see, with and without an agent.

use super::*;

#[test]
fn the_picture_is_shown_and_stays_when_the_agent_goes() {
    let mut world = World::new();
    let listener = world.listen();
    world.start();
    let mut agent = Agent::welcome(&listener);
    agent.say(&view(7));
    agent.say(&ToPlugin::Observed {
        observed: Observed {
            quorum: true,
            ..Observed::default()
        },
    });
    let events = |ids: std::ops::Range<u64>| {
        ids.map(|event_id| EventRow {
            event_id,
            ..EventRow::default()
        })
        .collect()
    };
    agent.say(&ToPlugin::Events {
        reset: true,
        events: events(0..5),
    });
    agent.say(&ToPlugin::Events {
        reset: false,
        events: events(5..1_005),
    });
    until("all is shown", || snapshot::current().events.len() == 1_000);
    let shown = snapshot::current();
    assert_eq!(
        (
            shown.view.view_id,
            shown.observed.quorum,
            shown.events[0].event_id
        ),
        (7, true, 5)
    );
    assert_eq!(shown.agent_state, AgentState::Connected);
    // A lower VIEW_ID of the same cluster is never shown; what comes after it is.
    agent.say(&view(6));
    agent.say(&ToPlugin::Observed {
        observed: Observed {
            summary: "late".into(),
            ..Observed::default()
        },
    });
    until("the observed facts came", || {
        snapshot::current().observed.summary == "late"
    });
    assert_eq!(snapshot::current().view.view_id, 7);
    drop(agent);
    drop(listener);
    until("the end is seen", || state() == AgentState::Connecting);
    let left = snapshot::current();
    assert_eq!(left.view.view_id, 7);
    let now = crate::daemon::clock::boot_ms();
    assert!(
        left.age_ms(now + 100).unwrap() >= 100,
        "it grows old by itself"
    );
    world.stop();
    assert_eq!(
        snapshot::current().view.view_id,
        7,
        "known also without the daemon"
    );
}

#[test]
fn without_an_agent_it_is_quiet_and_an_agent_that_comes_is_found() {
    let mut world = World::new();
    world.start();
    until("it has looked", || {
        snapshot::current().agent_error.is_some()
    });
    assert_eq!(state(), AgentState::NeverConnected);
    std::thread::sleep(Duration::from_millis(300));
    let log = world.server.log_lines();
    assert_eq!(log.len(), 1, "{log:?}");
    assert!(log[0].contains("there is no agent at"), "{log:?}");
    let listener = world.listen();
    let mut agent = Agent::welcome(&listener);
    agent.report_where("any", |_| true);
    assert_eq!(state(), AgentState::Connected);
}

#[test]
fn the_daemon_starts_once_and_again_after_a_stop() {
    let mut world = World::new();
    let listener = world.listen();
    for _ in 0..3 {
        crate::daemon::start(world.server.settings(), world.server).unwrap();
        assert!(
            crate::daemon::start(world.server.settings(), world.server)
                .unwrap_err()
                .contains("runs already")
        );
        let mut agent = Agent::welcome(&listener);
        agent.report_where("any", |_| true);
        crate::daemon::stop().unwrap();
        crate::daemon::stop().unwrap();
    }
    world.daemon = None;
    assert_eq!(world.server.state().sessions_open, 0);
}
