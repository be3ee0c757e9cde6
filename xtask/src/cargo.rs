//! Calls of cargo, in the workspace, whatever folder the person stands in.

use std::ffi::OsString;
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use muster_lab::cache::workspace_root;
use muster_lab::progress::say;
use tokio::process::Command;

/// A call of cargo, not yet made.
pub fn command(arguments: &[&str]) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command
        .args(arguments)
        .current_dir(workspace_root())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// Runs cargo and says whether it succeeded. Its own progress goes to stderr, as it is.
pub async fn succeeds(arguments: &[&str]) -> Result<bool> {
    say(&format!("cargo {}", arguments.join(" ")));
    let status = command(arguments)
        .status()
        .await
        .context("cannot run cargo")?;
    Ok(status.success())
}

/// Builds, or stops with a sentence.
pub async fn build(arguments: &[&str]) -> Result<()> {
    let mut all = vec!["build"];
    all.extend(arguments);
    if !succeeds(&all).await? {
        bail!("the build failed; the compiler's own words are above");
    }
    Ok(())
}

/// Builds the plugin and the agent, the two things that are started beside servers.
pub async fn build_parts(release: bool) -> Result<()> {
    let mut arguments = vec!["-p", "muster-plugin", "-p", "muster-agent"];
    if release {
        arguments.push("--release");
    }
    build(&arguments).await
}

/// Whether a cargo subcommand such as `deny` is installed.
pub async fn has(subcommand: &str) -> bool {
    let mut command = command(&[subcommand, "--version"]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.status().await.is_ok_and(|status| status.success())
}
