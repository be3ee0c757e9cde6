//! `ci` only reads; `fix` writes.

use anyhow::Result;
use muster_lab::progress::say;

use crate::{cargo, test};

/// `cargo xtask ci`: everything that must hold before a change is taken.
pub async fn ci() -> Result<bool> {
    let mut good = cargo::succeeds(&["fmt", "--all", "--check"]).await?;
    good &= cargo::succeeds(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ])
    .await?;
    good &= licences().await?;
    good &= test::run(None, None).await?;
    Ok(good)
}

/// The two policies: of everything, and the narrower one of what is linked into the server.
async fn licences() -> Result<bool> {
    if !cargo::has("deny").await {
        say(
            "NOT RUN licence policies: cargo-deny is not installed; `cargo install --locked cargo-deny` brings it",
        );
        return Ok(true);
    }
    let what = ["licenses", "bans", "sources"];
    let everything = [&["deny", "check"][..], &what].concat();
    let plugin = [
        &["deny", "--manifest-path", "plugin/Cargo.toml", "check"][..],
        &["--config", "plugin/deny.toml"],
        &what,
    ]
    .concat();
    let good = cargo::succeeds(&everything).await?;
    Ok(cargo::succeeds(&plugin).await? && good)
}

/// `cargo xtask fix`.
pub async fn fix() -> Result<bool> {
    let mut good = cargo::succeeds(&[
        "clippy",
        "--fix",
        "--workspace",
        "--all-targets",
        "--allow-dirty",
        "--allow-staged",
    ])
    .await?;
    good &= cargo::succeeds(&["fmt", "--all"]).await?;
    Ok(good)
}
