//! `test`, `fuzz` and `bench`: cargo's own, with everything that they need made first.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use muster_lab::cache::workspace_root;
use muster_lab::packages::Freshness;
use muster_lab::progress::say;
use muster_lab::{RunDir, effort, not_run};
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::summary::Summary;
use crate::{cargo, setup};

/// `cargo xtask test`. Its last line is `N passed, N failed, N skipped`; the one before names the servers.
pub async fn run(soak: Option<u64>, only: Option<&str>) -> Result<bool> {
    let mut environment = Vec::new();
    if let Some(minutes) = soak {
        environment.push((effort::SOAK_VARIABLE, minutes.to_string()));
    }
    say("1/3 servers");
    let servers = setup::servers(Freshness::Any).await?;
    say(&format!("  {}", servers.describe()));
    say("2/3 plugin and agent");
    cargo::build_parts(false).await?;
    say("3/3 tests");
    run_with(&environment, only, Some(&servers)).await
}

/// `cargo xtask fuzz`: the tests whose names begin with `fuzz_`, for longer.
pub async fn fuzz(name: Option<&str>, seconds: u64) -> Result<bool> {
    let only = name.map_or_else(
        || "fuzz_".to_owned(),
        |name| format!("fuzz_{}", name.trim_start_matches("fuzz_")),
    );
    // The targets run in one process, beside no server.
    let environment = [(effort::FUZZ_VARIABLE, seconds.to_string())];
    run_with(&environment, Some(&only), None).await
}

async fn run_with(
    environment: &[(&str, String)],
    only: Option<&str>,
    servers: Option<&setup::Servers>,
) -> Result<bool> {
    let started = Instant::now();
    let dir = RunDir::new()?;
    let notes = dir.path().join("not-run");
    let mut arguments = vec!["test", "--workspace", "--no-fail-fast"];
    if let Some(only) = only {
        // Doc tests take no part in a choice by name.
        arguments.extend(["--lib", "--bins", "--tests", "--", only]);
    }
    let mut command = cargo::command(&arguments);
    command
        .env(not_run::FILE_VARIABLE, &notes)
        .stdout(Stdio::piped());
    for (name, value) in environment {
        command.env(name, value);
    }
    let mut child = command.spawn().context("cannot run cargo test")?;
    let mut summary = Summary::default();
    if let Some(stdout) = child.stdout.take() {
        let mut lines = BufReader::new(stdout).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            summary.read(&line);
            print_line(&line);
        }
    }
    let status = child.wait().await.context("cannot wait for cargo test")?;
    // A build that fails counts no test; and a program that crashed counted none of its own.
    let good = status.success() && summary.failed == 0;
    report(
        &summary,
        &fs::read_to_string(&notes).unwrap_or_default(),
        servers,
        good,
        started,
    );
    Ok(good)
}

#[allow(clippy::print_stdout, reason = "what the tests themselves write")]
fn print_line(line: &str) {
    println!("{line}");
}

#[allow(
    clippy::print_stdout,
    reason = "the result of the command, for people and for CI"
)]
fn report(
    summary: &Summary,
    notes: &str,
    servers: Option<&setup::Servers>,
    good: bool,
    started: Instant,
) {
    println!();
    for name in &summary.failures {
        println!("FAILED   {name}");
    }
    let (wholes, parts) = not_run::parse(notes);
    for line in wholes.iter().chain(&parts) {
        println!("NOT RUN  {line}");
    }
    for (kind, why) in servers.iter().flat_map(|servers| &servers.absent) {
        println!("NO {kind}: {why}");
    }
    let crashed = u64::from(!good && summary.failed == 0);
    if crashed == 1 {
        println!("FAILED   a test program did not build, or did not run to its end; see above");
    }
    println!("took {} s", started.elapsed().as_secs());
    if let Some(servers) = servers {
        println!("servers: {}", servers.describe());
    }
    // A test that was not run returned early, and the harness took that for a pass.
    let skipped = wholes.len() as u64;
    println!(
        "{} passed, {} failed, {} skipped",
        summary.passed.saturating_sub(skipped),
        summary.failed + crashed,
        summary.ignored + skipped
    );
}

/// `cargo xtask bench`.
pub async fn bench(name: Option<&str>, json: bool) -> Result<bool> {
    let source = PathBuf::from("tests/src/bin/bench.rs");
    if !workspace_root().join(&source).is_file() {
        bail!(
            "there is no benchmark in this version yet: {} does not exist",
            source.display()
        );
    }
    setup::servers(Freshness::Any).await?;
    cargo::build_parts(true).await?;
    let mut arguments = vec![
        "run",
        "--release",
        "--quiet",
        "-p",
        "muster-tests",
        "--bin",
        "bench",
        "--",
    ];
    arguments.extend(name);
    if json {
        arguments.push("--json");
    }
    cargo::succeeds(&arguments).await
}
