//! What plugin and agent cost a server under load: sysbench with them against without, in turns.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use muster_lab::cache::Cache;
use muster_lab::cluster::{Cluster, ClusterOptions};
use muster_lab::tools::{self, Sysbench};
use muster_lab::{Install, Kind, Server, ServerOptions};

use super::figure::{Beside, Figure};

const PAIRS: usize = 7;
const SECONDS: &str = "8";
const OPTIONS: [&str; 3] = [
    "--max-connections=200",
    "--innodb-buffer-pool-size=256M",
    "--table-open-cache=400",
];

/// `oltp_read_write` and `oltp_write_only`, 8 threads.
pub async fn run(kind: Kind, say: impl Fn(&str)) -> Result<Vec<Figure>> {
    let sysbench = tools::sysbench(&Cache::open()?)?;
    let install = Install::get(kind).await?;
    let mut options = ClusterOptions::new(1)?;
    let mut plain = ServerOptions::new("plain");
    for option in OPTIONS {
        options = options.server_option(option);
        plain = plain.option(option);
    }
    let with = Cluster::start(&install, options).await?;
    let with = with.node(0).server()?;
    let without = Server::start(&install, plain).await?;
    for server in [with, &without] {
        server.execute("CREATE DATABASE sbtest").await?;
    }
    let mut figures = Vec::new();
    for script in ["oltp_read_write", "oltp_write_only"] {
        for server in [with, &without] {
            bench(&sysbench, script, server, "cleanup").await?;
            bench(&sysbench, script, server, "prepare").await?;
        }
        let (mut own, mut other) = (Vec::new(), Vec::new());
        for pair in 0..PAIRS {
            say(&format!("{kind}: {script}, pair {} of {PAIRS}", pair + 1));
            // Who goes first changes, so that a drift of the machine favours nobody.
            if pair % 2 == 0 {
                own.push(rate(&sysbench, script, with).await?);
                other.push(rate(&sysbench, script, &without).await?);
            } else {
                other.push(rate(&sysbench, script, &without).await?);
                own.push(rate(&sysbench, script, with).await?);
            }
        }
        let (mean, half) = difference(&own, &other);
        figures.push(Figure {
            bench: "oltp",
            what: format!(
                "{kind}: {script}, 8 threads; with/without {:+.2} % ± {:.2} % (95 %)",
                mean * 100.0,
                half * 100.0
            ),
            unit: "transactions/s",
            samples: own,
            beside: Some(Beside {
                what: "without plugin and agent".to_owned(),
                samples: other,
            }),
            goal: Some("no difference beyond 1 %"),
        });
    }
    Ok(figures)
}

/// Mean and half width of the 95 % interval of the pairs' relative differences.
fn difference(own: &[f64], other: &[f64]) -> (f64, f64) {
    let each: Vec<f64> = own.iter().zip(other).map(|(a, b)| a / b - 1.0).collect();
    let n = each.len() as f64;
    let mean = each.iter().sum::<f64>() / n;
    let variance = each.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / (n - 1.0);
    // Student's t for 6 degrees of freedom.
    (mean, 2.447 * (variance / n).sqrt())
}

async fn rate(sysbench: &Sysbench, script: &str, server: &Server) -> Result<f64> {
    let text = bench(sysbench, script, server, "run").await?;
    let line = text
        .lines()
        .find(|l| l.trim_start().starts_with("transactions:"))
        .context("sysbench names no rate")?;
    let rate = line
        .split('(')
        .nth(1)
        .and_then(|r| r.split_ascii_whitespace().next());
    rate.and_then(|r| r.parse().ok())
        .with_context(|| format!("sysbench says '{line}'"))
}

async fn bench(sysbench: &Sysbench, script: &str, server: &Server, what: &str) -> Result<String> {
    let mut command = tokio::process::Command::new(&sysbench.program);
    command
        .arg(sysbench.scripts.join(format!("{script}.lua")))
        .args([
            "--db-driver=mysql",
            "--mysql-user=root",
            "--tables=4",
            "--table-size=10000",
            "--threads=8",
        ])
        .arg(format!("--time={SECONDS}"))
        .arg(format!("--mysql-socket={}", server.socket().display()))
        .arg(what)
        .env("MARIADB_PLUGIN_DIR", &sysbench.client_plugins)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = command.output().await.context("cannot run sysbench")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.success(),
        "sysbench {script} {what} failed: {text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(text)
}
