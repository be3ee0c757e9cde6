//! What the agent hears, when, and what the daemon does inside the server for it.

use super::*;

#[test]
fn it_introduces_itself_and_reports_facts_and_says_goodbye() {
    let mut world = World::new();
    world.server.set_replica("10.0.0.7", true);
    let listener = world.listen();
    world.start();
    let mut agent = Agent::accept(&listener);
    let Some(ToAgent::Hello {
        build, plugin_path, ..
    }) = agent.next()
    else {
        panic!("no Hello")
    };
    assert_eq!(
        (build.as_str(), plugin_path.as_str()),
        (crate::BUILD, "/nonexistent/muster.so")
    );
    agent.say_welcome(PROTOCOL_MAX);
    let report = agent.report_where("with facts", |report| report.facts.is_some());
    let facts = report.facts.unwrap();
    assert_eq!((report.phase, report.trouble), (Phase::Serving, None));
    assert_eq!(facts.channels[0].source_host, "10.0.0.7");
    assert_eq!(facts.replicas, ["uuid-of-replica"]);
    let later = agent.report_where("later", |later| later.sequence > report.sequence);
    assert_eq!(later.sequence, report.sequence + 1);
    world.stop();
    let last = loop {
        match agent.next() {
            Some(ToAgent::Report { .. } | ToAgent::Identity { .. }) => {}
            other => break other,
        }
    };
    assert!(
        matches!(
            last,
            Some(ToAgent::Bye {
                server_stops: false,
                ..
            })
        ),
        "{last:?}"
    );
    assert_eq!(agent.next(), None);
    assert_eq!(state(), AgentState::NotInstalled);
    assert_eq!(world.server.state().sessions_open, 0);
}

#[test]
fn the_identity_follows_when_the_server_serves() {
    let mut world = World::new();
    world.server.change(|state| state.phase = Phase::Starting);
    let listener = world.listen();
    world.start();
    let mut agent = Agent::accept(&listener);
    let Some(ToAgent::Hello { identity, .. }) = agent.next() else {
        panic!("no Hello")
    };
    assert_eq!(
        (identity.member_id.as_str(), identity.pid),
        ("", std::process::id())
    );
    agent.say_welcome(PROTOCOL_MAX);
    let report = agent.report_where("while starting", |_| true);
    assert_eq!((report.phase, report.facts), (Phase::Starting, None));
    assert_eq!(
        world.server.state().sessions_opened,
        0,
        "no session before the server serves"
    );
    world.server.change(|state| state.phase = Phase::Serving);
    assert_eq!(
        agent.identity().member_id,
        "3e11fa47-71ca-11e1-9e33-c80aa9429562"
    );
    agent.report_where("with facts", |report| {
        report.phase == Phase::Serving && report.facts.is_some()
    });
}

#[test]
fn a_server_that_shows_who_it_is_before_it_serves_is_known_from_the_greeting_on() {
    let mut world = World::new();
    let early = Identity {
        member_id: "3e11fa47-71ca-11e1-9e33-c80aa9429562".into(),
        flavor: Flavor::Mysql,
        server_version: "9.9.9-fake".into(),
        pid: std::process::id(),
        host: "early".into(),
        port: 1,
        datadir: "/".into(),
        socket: "/s".into(),
    };
    world.server.change(|state| {
        state.phase = Phase::Starting;
        state.early_identity = Some(early.clone());
    });
    let listener = world.listen();
    world.start();
    let mut agent = Agent::accept(&listener);
    let Some(ToAgent::Hello { identity, .. }) = agent.next() else {
        panic!("no Hello")
    };
    assert_eq!(identity, early);
    agent.say_welcome(PROTOCOL_MAX);
    agent.report_where("while starting", |report| report.phase == Phase::Starting);
    // What the serving server says of itself replaces it.
    world.server.change(|state| state.phase = Phase::Serving);
    assert_eq!(agent.identity().host, "fake-host");
}

#[test]
fn a_change_is_reported_at_once_and_not_at_the_interval() {
    let mut world = World::new();
    world
        .server
        .change(|state| state.settings.report_interval_ms = MINUTE_MS);
    let listener = world.listen();
    world.start();
    let mut agent = Agent::welcome(&listener);
    agent.report_where("with facts", |report| report.facts.is_some());
    let began = Instant::now();
    // Seen without a statement, so even the facts thread is not needed.
    world.server.change(|state| {
        state.quick = Quick {
            read_only: Some(true),
            super_read_only: None,
        };
        state.variables.insert("read_only".into(), "1".into());
    });
    agent.report_where("read_only", |report| {
        report.facts.as_ref().is_some_and(|facts| facts.read_only)
    });
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
}

#[test]
fn a_stopped_applier_is_noticed_between_two_intervals() {
    let mut world = World::new();
    world.server.set_replica("h", true);
    world
        .server
        .change(|state| state.settings.report_interval_ms = MINUTE_MS);
    let listener = world.listen();
    world.start();
    let mut agent = Agent::welcome(&listener);
    agent.report_where("with facts", |report| report.facts.is_some());
    let began = Instant::now();
    world.server.set_replica("h", false);
    let report = agent.report_where("of the stop", |report| {
        report
            .facts
            .as_ref()
            .is_some_and(|facts| !facts.channels[0].applier_running)
    });
    assert_eq!(
        report.facts.unwrap().channels[0].error.as_deref(),
        Some("duplicate key")
    );
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
}

#[test]
fn a_statement_that_hangs_stops_no_heartbeat_and_the_reports_say_so() {
    let mut world = World::new();
    let listener = world.listen();
    world.start();
    let mut agent = Agent::welcome(&listener);
    let known = agent
        .report_where("with facts", |report| report.facts.is_some())
        .facts
        .unwrap();
    world.server.change(|state| state.hang = true);
    let first = agent.report_where("stalled", |report| report.stalled_ms > 200);
    let second = agent.report_where("stalled longer", |report| {
        report.stalled_ms > first.stalled_ms + 200
    });
    assert_eq!(
        second.facts.map(|facts| facts.gtid_executed),
        Some(known.gtid_executed)
    );
    world.server.change(|state| state.hang = false);
    agent.report_where("recovered", |report| report.stalled_ms == 0);
}

#[test]
fn stopping_while_a_statement_hangs_takes_a_bounded_time_and_names_the_thread() {
    let mut world = World::new();
    let listener = world.listen();
    world.start();
    let mut agent = Agent::welcome(&listener);
    world.server.change(|state| state.hang = true);
    agent.report_where("stalled", |report| report.stalled_ms > 100);
    let began = Instant::now();
    let late = world.daemon.take().unwrap().stop().unwrap_err();
    assert!(began.elapsed() < crate::daemon::STOP_BOUND + Duration::from_secs(2));
    assert_eq!(late.name(), "muster-facts");
    world.server.change(|state| state.hang = false);
    until("the late thread ends with its statement", || {
        late.is_finished()
    });
    assert_eq!(world.server.state().sessions_open, 0);
}

#[test]
fn a_server_that_begins_to_stop_is_announced_and_no_session_stays_open() {
    let mut world = World::new();
    world
        .server
        .change(|state| state.settings.report_interval_ms = MINUTE_MS);
    let listener = world.listen();
    world.start();
    let mut agent = Agent::welcome(&listener);
    agent.report_where("with facts", |report| report.facts.is_some());
    let began = Instant::now();
    world.server.change(|state| state.phase = Phase::Stopping);
    until("the session is closed", || {
        world.server.state().sessions_open == 0
    });
    let report = agent.report_where("stopping", |report| report.phase == Phase::Stopping);
    assert!(report.facts.is_some(), "the last known facts stay");
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    world.stop();
    assert!(matches!(
        agent.next(),
        Some(ToAgent::Bye {
            server_stops: true,
            ..
        })
    ));
    let log = world.server.log_lines();
    assert!(
        log.iter().all(|line| !line.contains("could not be read")),
        "{log:?}"
    );
}

#[test]
fn a_killed_session_is_replaced() {
    let mut world = World::new();
    let listener = world.listen();
    world.start();
    let mut agent = Agent::welcome(&listener);
    agent.report_where("with facts", |report| report.facts.is_some());
    world.server.change(|state| state.killed = true);
    until("there is another", || {
        world.server.state().sessions_opened == 2
    });
    world.server.set_variable("server_id", "8");
    agent.report_where("after it", |report| {
        report.trouble.is_none()
            && report
                .facts
                .as_ref()
                .is_some_and(|facts| facts.server_id == 8)
    });
    assert_eq!(world.server.state().sessions_open, 1);
    assert!(
        world
            .server
            .log_lines()
            .iter()
            .any(|line| line.contains("killed"))
    );
}

#[test]
fn no_connection_to_spare_is_said_and_tried_again() {
    let mut world = World::new();
    world
        .server
        .change(|state| state.too_many_connections = true);
    let listener = world.listen();
    world.start();
    let mut agent = Agent::welcome(&listener);
    let report = agent.report_where("of the trouble", |report| report.trouble.is_some());
    assert!(report.trouble.unwrap().contains("Too many connections"));
    world
        .server
        .change(|state| state.too_many_connections = false);
    agent.report_where("with facts", |report| {
        report.facts.is_some() && report.trouble.is_none()
    });
    let log = world.server.log_lines();
    assert_eq!(
        log.iter()
            .filter(|line| line.contains("Too many connections"))
            .count(),
        1,
        "{log:?}"
    );
}

#[test]
fn a_panic_of_the_facts_thread_is_told_and_the_heartbeat_goes_on() {
    let mut world = World::new();
    let listener = world.listen();
    world.start();
    let mut agent = Agent::welcome(&listener);
    agent.report_where("with facts", |report| report.facts.is_some());
    world.server.change(|state| state.panic = true);
    let report = agent.report_where("of the panic", |report| report.trouble.is_some());
    assert!(report.trouble.unwrap().contains("panic"));
    agent.report_where("after it", |later| later.sequence > report.sequence + 2);
    assert!(
        world
            .server
            .log_lines()
            .iter()
            .any(|line| line.contains("muster-facts"))
    );
    world.stop();
}
