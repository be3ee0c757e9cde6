//! What a query of CLUSTER_MEMBERS costs, beside the cheapest query there is and beside a table of the server's own.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use muster_lab::{Install, Kind, Server, ServerOptions, artifacts};
use muster_link::view::{AgentRow, MemberObserved, MemberRow, Observed, View};
use mysql_async::Conn;
use mysql_async::prelude::Queryable as _;
use tokio::task::JoinSet;

use super::figure::{Beside, Figure};
use crate::fake_agent::{FakeAgent, Picture};

const RUNS: usize = 7;
const SELECT_ALL: &str = "SELECT * FROM INFORMATION_SCHEMA.CLUSTER_MEMBERS";
const SELECT_PRIMARY: &str = "SELECT MEMBER_HOST, MEMBER_PORT FROM INFORMATION_SCHEMA.CLUSTER_MEMBERS WHERE MEMBER_ROLE = 'PRIMARY'";

/// With 3, 100 and 1,000 members; one and 64 clients.
pub async fn run(kind: Kind) -> Result<Vec<Figure>> {
    let install = Install::get(kind).await?;
    let options = ServerOptions::new("bench")
        .plugin(&artifacts::plugin()?)
        .load_at_boot()
        .option("--max-connections=200");
    let mut server = Server::start(&install, options).await?;
    server.shutdown().await?;
    let socket = server.dir().join("agent.sock");
    server.add_option(&format!("--muster-agent-socket={}", socket.display()));
    server.start_again().await?;
    let agent = FakeAgent::listen(&socket, picture(3))?;
    let mut figures = Vec::new();
    let own_table = match kind {
        Kind::MySql => (
            "performance_schema.replication_group_members",
            "SELECT * FROM performance_schema.replication_group_members",
        ),
        Kind::MariaDb => (
            "INFORMATION_SCHEMA.ENGINES",
            "SELECT * FROM INFORMATION_SCHEMA.ENGINES",
        ),
    };
    for members in [3, 100, 1_000] {
        agent.show(picture(members));
        let mut conn = server.connect().await?;
        wait_for(&mut conn, members).await?;
        let repeats = if members > 100 { 20 } else { 200 };
        let clients: &[usize] = if members == 3 { &[1, 64] } else { &[1] };
        for &clients in clients {
            let queries = [
                (
                    format!("{kind}: SELECT * with {members} members, {clients} clients"),
                    SELECT_ALL,
                ),
                (
                    format!("{kind}: SELECT primary with {members} members, {clients} clients"),
                    SELECT_PRIMARY,
                ),
                (
                    format!("{kind}: SHOW STATUS LIKE 'Muster_view_id', {clients} clients"),
                    "SHOW STATUS LIKE 'Muster_view_id'",
                ),
            ];
            let others = [("SELECT 1", "SELECT 1"), own_table];
            let all: Vec<&str> = queries
                .iter()
                .map(|(_, q)| *q)
                .chain(others.iter().map(|(_, q)| *q))
                .collect();
            let samples = interleaved(&server, &all, clients, repeats).await?;
            for (what, own) in queries.iter().map(|(what, _)| what).zip(&samples) {
                for (other, its) in others
                    .iter()
                    .map(|(name, _)| name)
                    .zip(&samples[queries.len()..])
                {
                    figures.push(Figure {
                        bench: "tables",
                        what: what.clone(),
                        unit: "µs a query",
                        samples: own.clone(),
                        beside: Some(Beside {
                            what: (*other).to_owned(),
                            samples: its.clone(),
                        }),
                        goal: None,
                    });
                }
            }
        }
    }
    Ok(figures)
}

/// Each query in its turn, `RUNS` times over, so that whatever disturbs the machine disturbs all alike.
async fn interleaved(
    server: &Server,
    queries: &[&str],
    clients: usize,
    repeats: usize,
) -> Result<Vec<Vec<f64>>> {
    let mut conns = Vec::new();
    for _ in 0..clients {
        conns.push(server.connect().await?);
    }
    let mut samples = vec![Vec::new(); queries.len()];
    for run in 0..=RUNS {
        for (query, samples) in queries.iter().zip(&mut samples) {
            let each = (repeats / clients).max(4);
            let begun = Instant::now();
            let mut working = JoinSet::new();
            for mut conn in conns.drain(..) {
                let query = (*query).to_owned();
                working.spawn(async move {
                    for _ in 0..each {
                        conn.query_drop(&query).await?;
                    }
                    Ok::<Conn, mysql_async::Error>(conn)
                });
            }
            while let Some(done) = working.join_next().await {
                conns.push(done??);
            }
            let took = begun.elapsed().as_secs_f64() * 1e6 / (each * clients) as f64;
            // The first round fills caches.
            if run > 0 {
                samples.push(took);
            }
        }
    }
    Ok(samples)
}

async fn wait_for(conn: &mut Conn, members: usize) -> Result<()> {
    let begun = Instant::now();
    loop {
        let rows: Option<usize> = conn
            .query_first("SELECT COUNT(*) FROM INFORMATION_SCHEMA.CLUSTER_MEMBERS")
            .await?;
        if rows == Some(members) {
            return Ok(());
        }
        anyhow::ensure!(
            begun.elapsed() < Duration::from_secs(20),
            "{rows:?} rows instead of {members}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn picture(members: usize) -> Picture {
    let id = |n: usize| format!("00000000-0000-0000-0000-{n:012}");
    let row = |n: usize| MemberRow {
        member_id: id(n),
        name: format!("db{n}"),
        host: format!("db{n}.example.com"),
        port: 3306,
        state: "ONLINE".to_owned(),
        role: if n == 0 { "PRIMARY" } else { "REPLICA" }.to_owned(),
        writable: n == 0,
        site: "north".to_owned(),
        priority: 100,
        server_version: "9.7.4".to_owned(),
        agent_id: n as u64 + 1,
        ..MemberRow::default()
    };
    let seen = |n: usize| MemberObserved {
        member_id: id(n),
        received_boot_ms: 1,
        heartbeat_ttl_ms: 2_000,
        wall_clock_us: Some(1_700_000_000_000_000),
        replication_lag_ms: Some(0),
        gtid_executed: "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-123456".to_owned(),
        threads_connected: Some(10),
        threads_running: Some(2),
        queries_per_second: Some(1234.5),
        last_error: None,
    };
    Picture {
        view: View {
            view_id: members as u64,
            cluster_name: "bench".to_owned(),
            cluster_id: id(999_999),
            primary_member_id: Some(id(0)),
            members: (0..members).map(row).collect(),
            agents: vec![AgentRow {
                agent_id: 1,
                name: "db0".to_owned(),
                ..AgentRow::default()
            }],
            ..View::default()
        },
        observed: Observed {
            quorum: true,
            members: (0..members).map(seen).collect(),
            ..Observed::default()
        },
        events: Vec::new(),
    }
}

/// The description of the server that was measured.
pub async fn describe(kind: Kind) -> Result<String> {
    Ok(Install::get(kind).await.context("the server")?.describe())
}
