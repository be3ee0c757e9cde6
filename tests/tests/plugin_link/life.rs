//! From INSTALL PLUGIN, or the boot, to the end of the server.

use muster_link::message::ToAgent;
use muster_link::report::{Flavor, Phase};

use super::*;

pub async fn facts(install: &Install) {
    let world = World::new(
        install,
        "db1",
        &["--loose-muster-advertise-host=db1.example"],
    )
    .await;
    world
        .server
        .execute("INSTALL PLUGIN muster SONAME 'muster.so'")
        .await
        .unwrap();
    let (mut link, hello) = world.agent.welcome().await;
    let report = link.good_report().await;

    let identity = hello.identity;
    assert_eq!(identity.host, "db1.example");
    assert_eq!(identity.port, world.server.port());
    assert_eq!(
        Some(identity.pid),
        world.server.process().map(muster_lab::Process::pid)
    );
    assert_eq!(
        Some(identity.server_version.as_str()),
        world
            .server
            .value("SELECT VERSION()")
            .await
            .unwrap()
            .as_deref()
    );
    assert_eq!(identity.socket, world.server.socket().display().to_string());
    match world.server.kind() {
        Kind::MySql => {
            assert_eq!(identity.flavor, Flavor::Mysql);
            let uuid = world.server.value("SELECT @@server_uuid").await.unwrap();
            assert_eq!(Some(identity.member_id.clone()), uuid);
        }
        Kind::MariaDb => {
            assert_eq!(identity.flavor, Flavor::Mariadb);
            let file =
                std::fs::read_to_string(world.server.data_dir().join("muster-member-id")).unwrap();
            assert_eq!(file.trim_end(), identity.member_id);
        }
    }
    assert_eq!(hello.build, world.status("Muster_build").await);
    assert!(
        hello.plugin_path.ends_with("/muster.so"),
        "{}",
        hello.plugin_path
    );

    let facts = report.facts.unwrap();
    assert!(!facts.read_only && facts.channels.is_empty() && facts.replicas.is_empty());
    assert!(
        facts
            .threads_connected
            .is_some_and(|threads| (1..20).contains(&threads)),
        "{facts:?}"
    );
    assert!(facts.threads_running.is_some());
    world
        .server
        .execute("CREATE TABLE test.t (id INT PRIMARY KEY)")
        .await
        .unwrap();
    let gtid = |facts: &muster_link::report::Facts| facts.gtid_executed.clone();
    let report = link
        .report_where("of a written transaction", |report| {
            report
                .facts
                .as_ref()
                .is_some_and(|now| gtid(now) != gtid(&facts))
        })
        .await;
    let variable = match world.server.kind() {
        Kind::MySql => "SELECT REPLACE(@@global.gtid_executed, '\n', '')",
        Kind::MariaDb => "SELECT @@global.gtid_current_pos",
    };
    assert_eq!(
        Some(gtid(&report.facts.unwrap())),
        world.server.value(variable).await.unwrap()
    );
    // A server that nobody uses shows no queries of our own.
    let idle = link
        .report_where("of a rate", |report| {
            report
                .facts
                .as_ref()
                .and_then(|facts| facts.queries_per_second)
                .is_some_and(|rate| rate < 1.0)
        })
        .await;
    println!(
        "{}: idle at {:?} queries per second",
        world.server.kind(),
        idle.facts.unwrap().queries_per_second
    );

    // At once, not at the interval: that is a minute now.
    world
        .server
        .execute("SET GLOBAL muster_report_interval_ms = 60000")
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let began = Instant::now();
    world
        .server
        .execute("SET GLOBAL read_only = ON")
        .await
        .unwrap();
    link.report_where("of read_only", |report| {
        report.facts.as_ref().is_some_and(|facts| facts.read_only)
    })
    .await;
    println!(
        "{}: read_only reported after {:?}",
        world.server.kind(),
        began.elapsed()
    );
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "{:?}",
        began.elapsed()
    );
    world
        .server
        .execute("SET GLOBAL read_only = OFF")
        .await
        .unwrap();
    world
        .server
        .execute("SET GLOBAL muster_report_interval_ms = 200")
        .await
        .unwrap();
    link.report_where("of read_only off", |report| {
        report.facts.as_ref().is_some_and(|facts| !facts.read_only)
    })
    .await;

    link.show_view(7).await;
    for (name, value) in [
        ("Muster_view_id", "7"),
        ("Muster_agent_state", "CONNECTED"),
        ("Muster_reconnects", "0"),
    ] {
        let deadline = Instant::now() + agent::LONG;
        while world.status(name).await != value {
            assert!(
                Instant::now() < deadline,
                "{name} is {}",
                world.status(name).await
            );
        }
    }
    assert!(
        world
            .status("Muster_reports_sent")
            .await
            .parse::<u64>()
            .unwrap()
            > 3
    );

    world.uninstall().await;
    let last = link.last_words().await;
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
    let mut link = world.install().await;

    let kind = world.server.kind();
    let stopping = tokio::spawn(async move {
        link.report_where("stopping", |report| report.phase == Phase::Stopping)
            .await;
        (Instant::now(), link.last_words().await)
    });
    let began = Instant::now();
    shut_down_in_time(world).await;
    let (seen, last) = stopping.await.unwrap();
    println!("{kind}: the stop was reported after {:?}", seen - began);
    assert!(
        matches!(
            last,
            Some(ToAgent::Bye {
                server_stops: true,
                ..
            })
        ),
        "{last:?}"
    );
}

pub async fn at_boot(install: &Install) {
    let mut world = World::start(install, "db1", &[], true).await;
    let (mut link, hello) = world.agent.welcome().await;
    let first = hello.identity;
    assert!(
        !first.member_id.is_empty(),
        "both servers show who they are before they serve"
    );
    link.good_report().await;
    drop(link);
    let ended = world.server.shutdown().await.unwrap();
    assert_eq!(ended.describe(), "exit status 0", "{}", world.server.log());
    let World { server, agent, .. } = &mut world;
    let greeted = async {
        loop {
            let (mut link, hello) = agent.welcome().await;
            // Passing over connections of the first life that were still in the queue.
            if hello.identity.pid != first.pid {
                let report = link.report_where("any", |_| true).await;
                println!(
                    "{}: first seen as {:?}",
                    hello.identity.server_version, report.phase
                );
                link.good_report().await;
                break hello.identity;
            }
        }
    };
    let (started, second) = tokio::join!(server.start_again(), greeted);
    started.unwrap();
    assert_eq!(second.member_id, first.member_id);
    assert_ne!(second.pid, first.pid);
    if world.server.kind() == Kind::MariaDb {
        let file = world.server.data_dir().join("muster-member-id");
        world.server.shutdown().await.unwrap();
        std::fs::write(&file, "damaged\n").unwrap();
        world.server.start_again().await.unwrap();
        let mut link = loop {
            let (link, hello) = world.agent.welcome().await;
            if hello.identity.pid != first.pid && hello.identity.pid != second.pid {
                break link;
            }
        };
        let report = link
            .report_where("of the damaged identity", |report| report.trouble.is_some())
            .await;
        assert!(report.trouble.unwrap().contains("cannot be used"));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "damaged\n");
        world.answers().await;
    }
    shut_down_in_time(world).await;
}
