//! The agent's end of the link, over the real socket, against plugins that behave and plugins that do not.

// All of this program is test; the exception that clippy makes for tests ends at helper functions.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod plugin;

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use muster_agent::server::{ServerConfig, ServerLink, ServerSnapshot};
use muster_core::evidence::ProcessState;
use muster_link::limits::{FRAME_BYTES_MAX, HELLO_BYTES_MAX};
use muster_link::message::{ToAgent, ToPlugin};
use muster_link::view::{EventRow, MemberRow, Observed, View};
use plugin::{FakePlugin, PluginProcess, SOON, frame, hello, identity, report};
use tokio::task::spawn_blocking;

#[test]
fn fake_plugin_process() {
    plugin::run_if_child();
}

struct Agent {
    link: ServerLink,
    path: PathBuf,
    folder: tempfile::TempDir,
}

impl Agent {
    fn start() -> Self {
        Self::start_with(|_| {})
    }

    fn start_with(change: impl FnOnce(&mut ServerConfig)) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), change)
    }

    fn start_in(folder: tempfile::TempDir, change: impl FnOnce(&mut ServerConfig)) -> Self {
        let mut config = ServerConfig {
            socket_path: folder.path().join("agent.sock"),
            memory_path: Some(folder.path().join("server.json")),
            users: Vec::new(),
            agent_name: "n1".into(),
            hello_within: Duration::from_millis(300),
            ..ServerConfig::default()
        };
        change(&mut config);
        let path = config.socket_path.clone();
        Self {
            link: ServerLink::start(config).unwrap(),
            path,
            folder,
        }
    }

    /// The first snapshot for which `holds`; panics when none comes soon.
    async fn until(
        &self,
        what: &str,
        holds: impl FnMut(&ServerSnapshot) -> bool,
    ) -> ServerSnapshot {
        let mut watch = self.link.watch();
        match tokio::time::timeout(SOON, watch.wait_for(holds)).await {
            Ok(found) => found.unwrap().clone(),
            Err(_) => panic!("never {what}: {:?}", self.link.watch().borrow()),
        }
    }
}

/// Runs the plugin's side of a test on a thread of its own.
async fn plugin_side<T: Send + 'static>(
    path: &Path,
    act: impl FnOnce(&Path) -> T + Send + 'static,
) -> T {
    let path = path.to_owned();
    spawn_blocking(move || act(&path)).await.unwrap()
}

fn view(view_id: u64, padding: usize) -> Arc<View> {
    let member = MemberRow {
        name: "x".repeat(padding),
        ..MemberRow::default()
    };
    Arc::new(View {
        view_id,
        members: vec![member],
        ..View::default()
    })
}

fn event(event_id: u64) -> EventRow {
    EventRow {
        event_id,
        ..EventRow::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_is_welcomed_gets_the_whole_picture_and_then_changes() {
    let agent = Agent::start();
    agent.link.publish_view(view(4, 0));
    agent.link.publish_events(true, vec![event(1)]);
    agent.link.publish_observed(Arc::new(Observed {
        summary: "all is well".into(),
        ..Observed::default()
    }));
    let mut plugin = plugin_side(&agent.path, |path| {
        let mut plugin = FakePlugin::connect(path);
        plugin.send(&hello("a"));
        match plugin.next() {
            Some(ToPlugin::Welcome {
                protocol,
                agent_name,
                agent_version,
            }) => {
                assert_eq!((protocol, agent_name.as_str()), (1, "n1"));
                assert_eq!(agent_version, env!("CARGO_PKG_VERSION"));
            }
            other => panic!("{other:?}"),
        }
        assert!(matches!(plugin.next(), Some(ToPlugin::Events { reset: true, events }) if events.len() == 1));
        assert!(matches!(plugin.next(), Some(ToPlugin::View { view }) if view.view_id == 4));
        assert!(matches!(plugin.next(), Some(ToPlugin::Observed { observed }) if observed.summary == "all is well"));
        plugin.send(&report(1, "uuid:1-7"));
        plugin
    })
    .await;
    let now = agent.until("reported", |now| now.report_number == 1).await;
    assert!(now.linked);
    assert_eq!(
        now.process,
        ProcessState::Running {
            pid: std::process::id()
        }
    );
    let own = now.own_member(muster_agent::clock::boot_ms()).unwrap();
    assert_eq!(own.identity, identity("a"));
    assert_eq!(own.report.unwrap().facts.unwrap().gtid_executed, "uuid:1-7");
    assert!(own.report_age_ms < 5_000);

    agent.link.publish_view(view(4, 0));
    agent.link.publish_events(false, vec![event(1), event(2)]);
    plugin_side(&agent.path, move |_| {
        assert!(
            matches!(plugin.next(), Some(ToPlugin::Events { reset: false, events }) if events[0].event_id == 2),
            "an equal view is not sent again"
        );
        plugin.send(&ToAgent::Bye {
            reason: "SHUTDOWN".into(),
            server_stops: true,
        });
        plugin.closed_after();
    })
    .await;
    let now = agent.until("unlinked", |now| !now.linked).await;
    assert!(
        matches!(now.process, ProcessState::Running { .. }),
        "the process still runs"
    );
    assert_eq!(
        now.report.unwrap().phase,
        muster_link::report::Phase::Stopping
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn another_server_is_refused_and_the_first_stays() {
    let agent = Agent::start();
    let mut first = plugin_side(&agent.path, |path| FakePlugin::welcomed(path, "a")).await;
    let reason = plugin_side(&agent.path, |path| {
        let mut second = FakePlugin::connect(path);
        second.send(&hello("b"));
        second.refusal()
    })
    .await;
    assert!(reason.contains(&identity("a").member_id), "{reason}");
    plugin_side(&agent.path, move |_| first.send(&report(1, ""))).await;
    agent.until("heard", |now| now.report_number == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reconnect_takes_over_and_the_report_number_goes_on() {
    let agent = Agent::start();
    let mut first = plugin_side(&agent.path, |path| {
        let mut plugin = FakePlugin::welcomed(path, "a");
        (1..=3).for_each(|n| plugin.send(&report(n, "")));
        plugin
    })
    .await;
    agent.until("three", |now| now.report_number == 3).await;
    let second = plugin_side(&agent.path, move |path| {
        let mut second = FakePlugin::welcomed(path, "a");
        first.closed_after();
        second.send(&report(1, ""));
        second
    })
    .await;
    let now = agent.until("four", |now| now.report_number == 4).await;
    assert!(now.linked);
    drop(second);
    agent.until("unlinked", |now| !now.linked).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn introductions_that_are_none_end_in_bounded_time_and_harm_nobody() {
    let agent = Agent::start();
    let huge = u32::try_from(HELLO_BYTES_MAX + 1).unwrap().to_be_bytes();
    let mut long_hello = hello("a");
    if let ToAgent::Hello { build, .. } = &mut long_hello {
        *build = "b".repeat(HELLO_BYTES_MAX);
    }
    let whole = frame(&hello("a"));
    let attempts: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", vec![]),
        ("garbage", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
        ("an enormous frame", huge.to_vec()),
        ("the largest length", vec![0xff; 100]),
        ("an empty frame", vec![0; 4]),
        ("half a frame", whole[..whole.len() / 2].to_vec()),
        ("no JSON", [&3u32.to_be_bytes()[..], b"{{{"].concat()),
        ("an introduction that is too long", frame(&long_hello)),
        ("a report first", frame(&report(1, ""))),
        (
            "a farewell first",
            frame(&ToAgent::Bye {
                reason: String::new(),
                server_stops: true,
            }),
        ),
    ];
    for (what, bytes) in attempts {
        let took = plugin_side(&agent.path, move |path| {
            let mut plugin = FakePlugin::connect(path);
            plugin.try_raw(&bytes);
            plugin.closed_after()
        })
        .await;
        assert!(took < Duration::from_secs(5), "{what}: {took:?}");
    }
    assert_eq!(*agent.link.watch().borrow(), ServerSnapshot::default());
    plugin_side(&agent.path, |path| FakePlugin::welcomed(path, "a")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_introduction_is_cut_off_and_a_slow_but_timely_one_is_taken() {
    let agent = Agent::start();
    let took = plugin_side(&agent.path, |path| {
        let mut plugin = FakePlugin::connect(path);
        let since = Instant::now();
        for byte in frame(&hello("a")) {
            if !plugin.try_raw(&[byte]) {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        plugin.closed_after();
        since.elapsed()
    })
    .await;
    assert!(took >= Duration::from_millis(300), "{took:?}");
    let patient = Agent::start_with(|config| config.hello_within = SOON);
    plugin_side(&patient.path, |path| {
        let mut plugin = FakePlugin::connect(path);
        for byte in frame(&hello("a")) {
            plugin.raw(&[byte]);
        }
        assert!(matches!(plugin.next(), Some(ToPlugin::Welcome { .. })));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_versions_and_identities_are_refused_with_a_sentence() {
    let agent = Agent::start();
    let with = |change: fn(&mut u16, &mut u16, &mut muster_link::report::Identity)| {
        let mut message = hello("a");
        if let ToAgent::Hello {
            protocol_min,
            protocol_max,
            identity,
            ..
        } = &mut message
        {
            change(protocol_min, protocol_max, identity);
        }
        let path = agent.path.clone();
        async move {
            plugin_side(&path, move |path| {
                let mut plugin = FakePlugin::connect(path);
                plugin.send(&message);
                plugin.refusal()
            })
            .await
        }
    };
    let newer = with(|min, max, _| (*min, *max) = (7, 9)).await;
    assert!(
        newer.ends_with("upgrade the peer"),
        "for the plugin the agent is the peer: {newer}"
    );
    let older = with(|min, max, _| (*min, *max) = (0, 0)).await;
    assert!(older.ends_with("upgrade this side"), "{older}");
    let nonsense = with(|min, max, _| (*min, *max) = (9, 1)).await;
    assert!(!nonsense.is_empty());
    let no_uuid = with(|_, _, identity| identity.member_id = "../../etc".into()).await;
    assert!(no_uuid.contains("no UUID"), "{no_uuid}");
    let bad_host = with(|_, _, identity| identity.host = "a b".into()).await;
    assert!(bad_host.contains("muster_advertise_host"), "{bad_host}");
    assert_eq!(*agent.link.watch().borrow(), ServerSnapshot::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_after_the_introduction_closes_and_unknown_kinds_do_not() {
    let agent = Agent::start();
    plugin_side(&agent.path, |path| {
        let mut plugin = FakePlugin::welcomed(path, "a");
        let unknown = br#"{"kind":"lease_request","epoch":7}"#;
        plugin.raw(&u32::try_from(unknown.len()).unwrap().to_be_bytes());
        plugin.raw(unknown);
        plugin.send(&report(1, ""));
        // Longer than an introduction may be, and allowed now.
        plugin.send(&report(2, &"g".repeat(2 * HELLO_BYTES_MAX)));
        plugin.send(&hello("a"));
        plugin.closed_after();
    })
    .await;
    agent
        .until("two reports", |now| now.report_number == 2 && !now.linked)
        .await;
    plugin_side(&agent.path, |path| {
        let mut plugin = FakePlugin::welcomed(path, "a");
        plugin.raw(&u32::try_from(FRAME_BYTES_MAX + 1).unwrap().to_be_bytes());
        plugin.closed_after();
    })
    .await;
    plugin_side(&agent.path, |path| {
        let mut plugin = FakePlugin::welcomed(path, "a");
        let whole = frame(&report(9, "half"));
        plugin.raw(&whole[..whole.len() - 3]);
    })
    .await;
    let now = agent.until("unlinked", |now| !now.linked).await;
    assert_eq!(now.report_number, 2, "half a report is none");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_that_turns_into_another_closes_the_link() {
    let agent = Agent::start();
    let mut unknown = hello("a");
    if let ToAgent::Hello { identity, .. } = &mut unknown {
        identity.member_id = String::new();
    }
    let mut plugin = plugin_side(&agent.path, move |path| {
        let mut plugin = FakePlugin::connect(path);
        plugin.send(&unknown);
        assert!(matches!(plugin.next(), Some(ToPlugin::Welcome { .. })));
        plugin
    })
    .await;
    let now = agent.until("linked", |now| now.linked).await;
    assert_eq!(
        now.own_member(0),
        None,
        "nobody is declared before the id is known"
    );
    plugin_side(&agent.path, move |_| {
        plugin.send(&ToAgent::Identity {
            identity: identity("a"),
        });
        let mut moved = identity("a");
        moved.port = 3307;
        plugin.send(&ToAgent::Identity { identity: moved });
        plugin.send(&ToAgent::Identity {
            identity: identity("b"),
        });
        plugin.closed_after();
    })
    .await;
    let now = agent.until("unlinked", |now| !now.linked).await;
    let known = now.identity.unwrap();
    assert_eq!(
        (known.member_id, known.port),
        (identity("a").member_id, 3307)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_reads_nothing_blocks_nobody_and_wakes_up_to_the_newest() {
    let agent = Agent::start();
    let mut plugin = plugin_side(&agent.path, |path| FakePlugin::welcomed(path, "a")).await;
    let since = Instant::now();
    for view_id in 1..=2_000 {
        agent.link.publish_view(view(view_id, 100_000));
        agent.link.publish_observed(Arc::default());
        if view_id % 100 == 0 {
            tokio::task::yield_now().await;
        }
    }
    assert!(
        since.elapsed() < Duration::from_secs(5),
        "{:?}",
        since.elapsed()
    );
    let mut plugin = plugin_side(&agent.path, move |_| {
        plugin.send(&report(1, ""));
        plugin
    })
    .await;
    agent
        .until("heard all the same", |now| now.report_number == 1)
        .await;
    let seen = plugin_side(&agent.path, move |_| {
        let mut seen = Vec::new();
        while seen.last() != Some(&2_000) {
            if let Some(ToPlugin::View { view }) = plugin.next() {
                seen.push(view.view_id);
            }
        }
        seen
    })
    .await;
    assert!(seen.is_sorted(), "{seen:?}");
    assert!(
        seen.len() < 1_000,
        "what it missed was left out, {} came",
        seen.len()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_of_silent_strangers_keeps_the_plugin_out_only_for_their_time() {
    let agent = Agent::start();
    plugin_side(&agent.path, |path| {
        let crowd: Vec<_> = (0..100).map(|_| FakePlugin::connect(path)).collect();
        let until = Instant::now() + SOON;
        loop {
            let mut plugin = FakePlugin::connect(path);
            plugin.try_raw(&frame(&hello("a")));
            if matches!(plugin.next(), Some(ToPlugin::Welcome { .. })) {
                break;
            }
            assert!(Instant::now() < until, "never let in");
            std::thread::sleep(Duration::from_millis(20));
        }
        drop(crowd);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_is_known_gone_within_milliseconds_and_its_successor_is_taken() {
    let agent = Agent::start();
    let program = std::env::current_exe().unwrap();
    let mut took = Vec::new();
    for round in 1..=5 {
        let mut server = PluginProcess::start(&program, &agent.path, |_| {});
        let pid = server.0.id();
        agent
            .until("running", |now| {
                now.linked
                    && now.process == ProcessState::Running { pid }
                    && now.report_number == round
            })
            .await;
        let mut watch = agent.link.watch();
        let killed = Instant::now();
        server.0.kill().unwrap();
        let gone = |now: &ServerSnapshot| matches!(now.process, ProcessState::Gone { .. });
        let now = tokio::time::timeout(SOON, watch.wait_for(gone))
            .await
            .unwrap()
            .unwrap()
            .clone();
        took.push(killed.elapsed());
        assert!(!now.linked);
        assert_eq!(
            now.process,
            ProcessState::Gone {
                pid,
                announced: false,
                // Nobody has waited for it yet, so the kernel still tells.
                how: Some("signal 9".into())
            }
        );
        server.0.wait().unwrap();
    }
    println!("kill to known gone: {took:?}");
    assert!(
        took.iter().min().unwrap() < &Duration::from_millis(200),
        "{took:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_agent_remembers_its_server_and_what_became_of_it() {
    let agent = Agent::start();
    let program = std::env::current_exe().unwrap();
    let mut server = PluginProcess::start(&program, &agent.path, |_| {});
    let pid = server.0.id();
    agent.until("reported", |now| now.report_number == 1).await;
    // The file is written behind the report.
    let file = agent.folder.path().join("server.json");
    let until = Instant::now() + SOON;
    while !file.exists() {
        assert!(Instant::now() < until);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let Agent { link, path, folder } = agent;
    link.close().await;
    assert!(!path.exists(), "the socket's file goes with the agent");

    let agent = Agent::start_in(folder, |_| {});
    let now = agent.link.watch().borrow().clone();
    assert_eq!(now.process, ProcessState::Running { pid });
    assert!(!now.linked && now.report.is_none());
    let refused = plugin_side(&agent.path, |path| {
        let mut other = FakePlugin::connect(path);
        other.send(&hello("b"));
        other.refusal()
    })
    .await;
    assert!(refused.contains(&identity("a").member_id));
    server.kill();
    agent
        .until("gone", |now| {
            matches!(
                now.process,
                ProcessState::Gone {
                    announced: false,
                    ..
                }
            )
        })
        .await;

    let Agent { link, folder, .. } = agent;
    link.close().await;
    let agent = Agent::start_in(folder, |_| {});
    assert!(matches!(
        agent.link.watch().borrow().process,
        ProcessState::Gone { .. }
    ));
    agent.link.forget();
    plugin_side(&agent.path, |path| FakePlugin::welcomed(path, "b")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_another_user_is_refused_unless_configured() {
    if !rustix::process::geteuid().is_root() {
        println!("not run: only root can start a process of another user");
        return;
    }
    let stranger = 54_321;
    // The other user must be able to reach the socket and to run the program.
    let place = tempfile::tempdir().unwrap();
    let program = place.path().join("plugin");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    for (path, mode) in [(place.path(), 0o755), (&program, 0o755)] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    for (users, taken) in [(vec![], false), (vec![stranger.to_string()], true)] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let agent = Agent::start_in(folder, |config| {
            config.users = users;
            config.socket_group = Some(stranger.to_string());
        });
        let mut server = PluginProcess::start(&program, &agent.path, |command| {
            command.uid(stranger).gid(stranger);
        });
        if taken {
            agent.until("linked", |now| now.linked).await;
            server.kill();
        } else {
            let status = spawn_blocking(move || server.0.wait().unwrap())
                .await
                .unwrap();
            assert_eq!(status.code(), Some(3), "refused");
            assert_eq!(*agent.link.watch().borrow(), ServerSnapshot::default());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_in_order_ends_the_link_and_keeps_what_is_known() {
    let agent = Agent::start();
    let mut plugin = plugin_side(&agent.path, |path| FakePlugin::welcomed(path, "a")).await;
    let watch = agent.link.watch();
    let Agent {
        link,
        path,
        folder: _folder,
    } = agent;
    link.close().await;
    plugin_side(&path, move |_| plugin.closed_after()).await;
    assert!(!path.exists());
    assert!(watch.borrow().identity.is_some());
}
