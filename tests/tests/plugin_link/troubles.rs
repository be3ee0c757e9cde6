//! What operators and clients do to a server, while the plugin reads its state.

use super::*;

pub async fn all(install: &Install) {
    let world = World::new(install, "db1", &[]).await;
    let mut link = world.install().await;
    global_read_lock(&world, &mut link).await;
    if world.server.kind() == Kind::MySql {
        // MariaDB's in-process sessions are on no list: nobody can kill one, and they count as no connection.
        killed(&world, &mut link).await;
        no_connection_to_spare(&world, &mut link).await;
    }
    shut_down_in_time(world).await;
}

/// FLUSH TABLES WITH READ LOCK, held: the reports go on, fresh and without delay.
async fn global_read_lock(world: &World, link: &mut Link) {
    use mysql_async::prelude::Queryable;

    let mut holder = world.server.connect().await.unwrap();
    holder
        .query_drop("FLUSH TABLES WITH READ LOCK")
        .await
        .unwrap();
    let before = link.good_report().await;
    let uptime = before.facts.unwrap().uptime_s;
    let later = link
        .report_where("fresh under the lock", |report| {
            report.trouble.is_none()
                && report
                    .facts
                    .as_ref()
                    .is_some_and(|facts| facts.uptime_s > uptime + 1)
        })
        .await;
    assert!(later.stalled_ms < 1_000, "{later:?}");
    holder.query_drop("UNLOCK TABLES").await.unwrap();
}

/// A DBA kills our session, many times: each time there is a new one.
async fn killed(world: &World, link: &mut Link) {
    const OURS: &str = "SELECT ID FROM information_schema.processlist WHERE USER = 'mysql.session'";
    let mut last = None;
    // Once more than there are kills, to see the last one replaced.
    for round in 0..6 {
        let deadline = Instant::now() + agent::LONG;
        let id = loop {
            let found = world.server.value(OURS).await.unwrap();
            if found.is_some() && found != last {
                break found.unwrap();
            }
            assert!(Instant::now() < deadline, "no new session after {last:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        if round < 5 {
            world.server.execute(&format!("KILL {id}")).await.unwrap();
        }
        last = Some(id);
        link.good_report().await;
    }
}

/// All connections are taken, and our session is killed: it says so, and comes back when there is room.
async fn no_connection_to_spare(world: &World, link: &mut Link) {
    use mysql_async::prelude::Queryable;

    let mut admin = world.server.connect().await.unwrap();
    let limit: String = admin
        .query_first("SELECT @@global.max_connections")
        .await
        .unwrap()
        .unwrap();
    // Fewer than are open: nobody gets in, whatever is closed.
    let mut taken = Vec::new();
    for _ in 0..10 {
        taken.push(world.server.connect().await.unwrap());
    }
    admin
        .query_drop("SET GLOBAL max_connections = 3")
        .await
        .unwrap();
    let ours = "SELECT ID FROM information_schema.processlist WHERE USER = 'mysql.session'";
    let id: String = admin.query_first(ours).await.unwrap().unwrap();
    admin.query_drop(format!("KILL {id}")).await.unwrap();
    let report = link
        .report_where("of no connection", |report| {
            report
                .trouble
                .as_ref()
                .is_some_and(|text| text.contains("Too many connections"))
        })
        .await;
    assert!(
        report.facts.is_some(),
        "the last known facts stay: {report:?}"
    );
    admin
        .query_drop(format!("SET GLOBAL max_connections = {limit}"))
        .await
        .unwrap();
    link.good_report().await;
    drop(taken);
}
