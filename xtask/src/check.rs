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
    if cargo::has("deny").await {
        for policy in ["deny.toml", "deny-plugin.toml"] {
            if muster_lab::cache::workspace_root().join(policy).is_file() {
                good &= licences(policy).await?;
            }
        }
    } else {
        say(
            "NOT RUN licence policies: cargo-deny is not installed; `cargo install --locked cargo-deny` brings it",
        );
    }
    good &= test::run(None, None).await?;
    Ok(good)
}

/// One policy file over the tree that it is for.
async fn licences(policy: &str) -> Result<bool> {
    let mut arguments = vec!["deny"];
    if policy == "deny-plugin.toml" {
        arguments.extend(["--manifest-path", "plugin/Cargo.toml"]);
    }
    arguments.extend(["check", "--config", policy, "licenses", "bans", "sources"]);
    cargo::succeeds(&arguments).await
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
