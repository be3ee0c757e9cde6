//! `cargo xtask bench [NAME] [--json]`: runs the benchmarks and prints a table, or one JSON object.
#![allow(clippy::print_stdout, reason = "the result of the program")]

use std::process::ExitCode;

use anyhow::{Result, bail};
use muster_lab::Kind;
use muster_tests::bench::{Figure, Report, agents, oltp, tables, times};

const NAMES: [&str; 4] = ["tables", "oltp", "agents", "times"];
/// Largest group of `agents`; the variable is for a quick look.
const AGENTS_VARIABLE: &str = "MUSTER_BENCH_AGENTS";
/// Rounds of `times`; likewise.
const ROUNDS_VARIABLE: &str = "MUSTER_BENCH_ROUNDS";

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let done = runtime
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(run()));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let json = arguments.iter().any(|a| a == "--json");
    let names: Vec<&str> = arguments
        .iter()
        .map(String::as_str)
        .filter(|a| !a.starts_with("--"))
        .collect();
    if let Some(unknown) = names.iter().find(|name| !NAMES.contains(name)) {
        bail!(
            "there is no benchmark '{unknown}'; there are: {}",
            NAMES.join(", ")
        );
    }
    let wanted = |name: &str| names.is_empty() || names.contains(&name);
    let say = |text: &str| eprintln!("{text}");
    let mut report = Report::begin();
    let kinds = [Kind::MySql, Kind::MariaDb];
    for kind in kinds {
        match tables::describe(kind).await {
            Ok(server) => report.servers.push(server),
            Err(error) => report.not_run.push(format!("{kind}: {error:#}")),
        }
    }
    for kind in kinds {
        if wanted("tables") {
            say(&format!("tables on {kind}"));
            take(&mut report, "tables", tables::run(kind).await);
        }
        if wanted("oltp") {
            take(&mut report, "oltp", oltp::run(kind, say).await);
        }
        if wanted("times") {
            let rounds = number(ROUNDS_VARIABLE).unwrap_or(20);
            take(&mut report, "times", times::run(kind, rounds, say).await);
        }
    }
    if wanted("agents") {
        say("agents: three beside idle servers");
        take(&mut report, "agents", agents::idle().await);
        let most = number(AGENTS_VARIABLE).unwrap_or(200);
        for count in [10, 50, 200].into_iter().filter(|count| *count <= most) {
            say(&format!("agents: {count} in this process"));
            take(&mut report, "agents", agents::many(count, say).await);
        }
    }
    if json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        println!("{}", report.table());
    }
    Ok(())
}

fn number(variable: &str) -> Option<usize> {
    std::env::var(variable).ok()?.parse().ok()
}

/// A benchmark that fails is named, and the others go on.
fn take(report: &mut Report, name: &str, figures: Result<Vec<Figure>>) {
    match figures {
        Ok(figures) => report.figures.extend(figures),
        Err(error) => report.not_run.push(format!("{name}: {error:#}")),
    }
}
