//! `test`, `fuzz` and `bench`: cargo's own, with everything that they need made first.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anyhow::{Context, Result};
use muster_lab::cleanup::Cleanup;
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
    run_with(&environment, only, Some(servers)).await
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
    servers: Option<setup::Servers>,
) -> Result<bool> {
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
    let run = Arc::new(Run {
        summary: Mutex::default(),
        notes,
        servers,
        started: Instant::now(),
    });
    // Out of time, or Ctrl-C: what was seen until then is still the answer.
    let interrupted = run.clone();
    let unfinished = Cleanup::new(move || interrupted.report(End::Interrupted));
    let mut child = command.spawn().context("cannot run cargo test")?;
    if let Some(stdout) = child.stdout.take() {
        let mut lines = BufReader::new(stdout).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            run.summary().read(&line);
            print_line(&line);
        }
    }
    let status = child.wait().await.context("cannot wait for cargo test")?;
    unfinished.forget();
    // A build that fails counts no test; and a program that crashed counted none of its own.
    let end = match (status.success(), run.summary().failed) {
        (true, 0) => End::Good,
        (_, 0) => End::Crashed,
        _ => End::Failed,
    };
    run.report(end);
    Ok(end == End::Good)
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Good,
    Failed,
    /// No test failed, and still cargo says that something did.
    Crashed,
    Interrupted,
}

/// What is known of a run while it goes on.
struct Run {
    summary: Mutex<Summary>,
    /// Into which the tests write what they did not run.
    notes: PathBuf,
    servers: Option<setup::Servers>,
    started: Instant,
}

#[allow(clippy::print_stdout, reason = "what the tests themselves write")]
fn print_line(line: &str) {
    println!("{line}");
}

impl Run {
    fn summary(&self) -> MutexGuard<'_, Summary> {
        self.summary.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[allow(
        clippy::print_stdout,
        reason = "the result of the command, for people and for CI"
    )]
    fn report(&self, end: End) {
        let summary = self.summary();
        println!();
        for name in &summary.failures {
            println!("FAILED   {name}");
        }
        let notes = fs::read_to_string(&self.notes).unwrap_or_default();
        let (wholes, parts) = not_run::parse(&notes);
        for line in wholes.iter().chain(&parts) {
            println!("NOT RUN  {line}");
        }
        for (kind, why) in self.servers.iter().flat_map(|servers| &servers.absent) {
            println!("NO {kind}: {why}");
        }
        let unnamed = match end {
            End::Good | End::Failed => 0,
            End::Crashed => {
                println!(
                    "FAILED   a test program did not build, or did not run to its end; see above"
                );
                1
            }
            End::Interrupted => {
                println!(
                    "FAILED   the run was interrupted; what came after this point is not known"
                );
                1
            }
        };
        println!("took {} s", self.started.elapsed().as_secs());
        if let Some(servers) = &self.servers {
            println!("servers: {}", servers.describe());
        }
        // A test that was not run returned early, and the harness took that for a pass.
        let skipped = wholes.len() as u64;
        println!(
            "{} passed, {} failed, {} skipped",
            summary.passed.saturating_sub(skipped),
            summary.failed + unnamed,
            summary.ignored + skipped
        );
    }
}

/// `cargo xtask bench`.
pub async fn bench(name: Option<&str>, json: bool) -> Result<bool> {
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
