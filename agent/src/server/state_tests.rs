use super::*;
use crate::server::test_data::{identity, report};

/// A child that lives until the test kills it.
struct Child(std::process::Child);

impl Child {
    fn new() -> Self {
        Self(
            std::process::Command::new("sleep")
                .arg("600")
                .spawn()
                .unwrap(),
        )
    }

    fn process(&self) -> Option<Arc<Process>> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap();
        let start = stat
            .rsplit_once(')')
            .unwrap()
            .1
            .split_whitespace()
            .nth(19)
            .unwrap();
        Some(Arc::new(
            Process::find(self.0.id(), start.parse().unwrap(), 0).unwrap(),
        ))
    }

    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn newcomer(letter: &str) -> Newcomer {
    Newcomer {
        identity: identity(letter),
        build: "0.1.0+0123456789abcdef".into(),
        process: None,
    }
}

fn unknown(letter: &str, process: Option<Arc<Process>>) -> Newcomer {
    let mut identity = identity(letter);
    identity.member_id = String::new();
    Newcomer {
        process,
        ..newcomer_of(identity)
    }
}

fn newcomer_of(identity: Identity) -> Newcomer {
    Newcomer {
        identity,
        ..newcomer("a")
    }
}

#[test]
fn the_first_server_is_taken_and_another_refused() {
    let state = State::new();
    let mut first = state.admit(newcomer("a")).unwrap();
    let refused = state.admit(newcomer("b")).unwrap_err();
    assert!(
        matches!(refused, Refusal::AnotherServer { .. }),
        "{refused}"
    );
    assert!(first.replaced.try_recv().is_err(), "the first one stays");
    state.link_lost(first.id);
    assert!(state.admit(newcomer("b")).is_err(), "also while it is away");
    state.admit(newcomer("a")).unwrap();
    state.forget();
    state.admit(newcomer("b")).unwrap();
}

#[test]
fn a_binding_that_the_group_knows_counts_before_any_server_came() {
    let state = State::new();
    state.bind(MemberId(identity("a").member_id));
    state.bind(MemberId(identity("b").member_id));
    assert!(state.admit(newcomer("b")).is_err());
    state.admit(newcomer("a")).unwrap();
}

#[test]
fn a_reconnect_replaces_the_old_connection_whose_words_count_no_more() {
    let state = State::new();
    let mut old = state.admit(newcomer("a")).unwrap();
    state.report(old.id, report(1));
    state.report(old.id, report(2));
    let new = state.admit(newcomer("a")).unwrap();
    assert_eq!(old.replaced.try_recv(), Ok(()));
    state.report(old.id, report(3));
    state.bye(old.id, "late", true);
    state.link_lost(old.id);
    let now = state.watch().borrow().clone();
    assert!(now.linked);
    assert_eq!(now.report_number, 2);
    state.report(new.id, report(1));
    assert_eq!(
        state.watch().borrow().report_number,
        3,
        "it grows over connections"
    );
}

#[test]
fn a_heartbeat_is_not_urgent_and_a_lost_link_is() {
    let state = State::new();
    let id = state.admit(newcomer("a")).unwrap().id;
    state.report(id, report(1));
    let urgent = || state.watch().borrow().urgent;
    let before = urgent();
    state.report(id, report(2));
    assert_eq!(urgent(), before);
    state.link_lost(id);
    assert_eq!(urgent(), before + 1);
    state.link_lost(id);
    assert_eq!(urgent(), before + 1);
}

#[test]
fn the_end_of_the_process_is_told_with_what_was_announced() {
    for announced in [false, true] {
        let state = State::new();
        let child = Child::new();
        let process = child.process();
        let id = state
            .admit(Newcomer {
                process: process.clone(),
                ..newcomer("a")
            })
            .unwrap()
            .id;
        state.report(id, report(1));
        if announced {
            state.bye(id, "SHUTDOWN", true);
            let now = state.watch().borrow().clone();
            assert_eq!(now.report.unwrap().phase, Phase::Stopping);
            assert_eq!(now.report_number, 2);
        }
        state.process_gone(&process.unwrap(), Some("signal 9".into()));
        let now = state.watch().borrow().clone();
        assert!(!now.linked);
        assert_eq!(
            now.process,
            ProcessState::Gone {
                pid: child.0.id(),
                announced,
                how: Some("signal 9".into())
            }
        );
    }
}

#[test]
fn an_uninstalled_plugin_is_noted_and_its_server_goes_on() {
    let state = State::new();
    let id = state.admit(newcomer("a")).unwrap().id;
    state.bye(id, "UNINSTALL PLUGIN", false);
    state.link_lost(id);
    let now = state.watch().borrow().clone();
    assert!(!now.linked && matches!(now.process, ProcessState::Running { .. }));
    assert!(now.note.unwrap().contains("UNINSTALL PLUGIN"));
    state.admit(newcomer("a")).unwrap();
    assert_eq!(state.watch().borrow().note, None);
}

#[test]
fn a_second_living_process_with_the_same_id_is_refused_until_the_first_is_gone() {
    let state = State::new();
    let (mut first, second) = (Child::new(), Child::new());
    let with = |child: &Child| Newcomer {
        process: child.process(),
        ..newcomer("a")
    };
    let id = state.admit(with(&first)).unwrap().id;
    state.report(id, report(1));
    let refused = state.admit(with(&second)).unwrap_err();
    assert!(matches!(refused, Refusal::Duplicate { pid, .. } if pid == first.0.id()));
    assert!(state.watch().borrow().linked);
    let note = state.watch().borrow().note.clone().unwrap();
    assert!(note.contains("same MEMBER_ID"), "{note}");
    state.link_lost(id);
    assert!(
        state.admit(with(&second)).is_err(),
        "it lives, only its link is away"
    );
    state.admit(with(&first)).unwrap();
    first.kill();
    // The watch has not told yet; the newcomer is quicker.
    state.admit(with(&second)).unwrap();
    let now = state.watch().borrow().clone();
    assert_eq!(now.process, ProcessState::Running { pid: second.0.id() });
    assert_eq!(
        now.report, None,
        "the old process's report is not the new one's"
    );
    assert_eq!(now.report_number, 1);
}

#[test]
fn the_end_of_a_former_process_changes_nothing() {
    let state = State::new();
    let (mut first, second) = (Child::new(), Child::new());
    let old = first.process();
    let came = |process| {
        state
            .admit(Newcomer {
                process,
                ..newcomer("a")
            })
            .unwrap()
    };
    came(old.clone());
    first.kill();
    came(second.process());
    state.process_gone(&old.unwrap(), None);
    assert_eq!(
        state.watch().borrow().process,
        ProcessState::Running { pid: second.0.id() }
    );
}

#[test]
fn a_starting_server_is_taken_before_its_id_is_known_where_it_can_be_no_other() {
    let state = State::new();
    let id = state.admit(unknown("a", None)).unwrap().id;
    state.report(id, report(1));
    let now = state.watch().borrow().clone();
    assert!(now.linked && now.own_member(0).is_none());
    assert_eq!(now.bound, None);
    state.identify(id, identity("a")).unwrap();
    assert!(state.watch().borrow().own_member(0).is_some());
    assert!(
        state.identify(id, identity("b")).is_err(),
        "it cannot become another"
    );

    // The same server starts again: same data directory.
    let again = state.admit(unknown("a", None)).unwrap();
    assert!(state.watch().borrow().own_member(0).is_some());
    let mut elsewhere = unknown("a", None);
    elsewhere.identity.datadir = "/srv/other".into();
    assert_eq!(state.admit(elsewhere).unwrap_err(), Refusal::NotKnownYet);
    state.identify(again.id, identity("a")).unwrap();
    let mut unsaid = unknown("a", None);
    unsaid.identity.datadir = String::new();
    state.admit(unsaid).unwrap();
}

#[test]
fn a_starting_server_that_turns_out_to_be_another_leaves_ours_as_it_was() {
    let state = State::new();
    let (mut ours, other) = (Child::new(), Child::new());
    let process = ours.process();
    let id = state
        .admit(Newcomer {
            process: process.clone(),
            ..newcomer("a")
        })
        .unwrap()
        .id;
    state.bye(id, "SHUTDOWN", true);
    ours.kill();
    state.process_gone(&process.unwrap(), None);
    let before = state.watch().borrow().clone();

    let mut unsaid = unknown("b", other.process());
    unsaid.identity.datadir = String::new();
    let id = state.admit(unsaid).unwrap().id;
    assert_eq!(
        state.watch().borrow().process,
        ProcessState::Running { pid: other.0.id() }
    );
    assert!(state.identify(id, identity("b")).is_err());
    let after = state.watch().borrow().clone();
    assert_eq!(after.process, before.process);
    assert!(!after.linked);
    assert_eq!(after.identity, before.identity);
}

#[test]
fn what_was_remembered_finds_the_process_again_or_knows_that_it_is_gone() {
    let mut child = Child::new();
    let state = State::new();
    let process = child.process();
    let memories = state.memories();
    state
        .admit(Newcomer {
            process,
            ..newcomer("a")
        })
        .unwrap();
    let remembered = memories.borrow().clone().unwrap();
    assert_eq!(remembered.pid, child.0.id());

    let after_restart = State::new();
    after_restart.resume(&remembered);
    let now = after_restart.watch().borrow().clone();
    assert_eq!(now.process, ProcessState::Running { pid: child.0.id() });
    assert!(!now.linked && now.own_member(0).is_some());
    assert!(
        after_restart.admit(newcomer("b")).is_err(),
        "the binding stays"
    );

    let mut other_boot = remembered.clone();
    other_boot.boot_id = "another boot".into();
    let after_reboot = State::new();
    after_reboot.resume(&other_boot);
    assert!(matches!(
        after_reboot.watch().borrow().process,
        ProcessState::Gone { how: None, .. }
    ));

    child.kill();
    let after_death = State::new();
    after_death.resume(&remembered);
    assert!(matches!(
        after_death.watch().borrow().process,
        ProcessState::Gone {
            announced: false,
            ..
        }
    ));
}
