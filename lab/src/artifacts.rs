//! What cargo built: the plugin and the agent.

use std::path::PathBuf;

use crate::cache::workspace_root;
use crate::error::{Error, Result};

/// The file of the plugin, `libmuster.so`.
pub fn plugin() -> Result<PathBuf> {
    find(
        "MUSTER_PLUGIN",
        "libmuster.so",
        "cargo build -p muster-plugin",
    )
}

/// The file of the agent, `muster`.
pub fn agent() -> Result<PathBuf> {
    find("MUSTER_AGENT", "muster", "cargo build -p muster-agent")
}

/// Where a variable says, or else in the profile folder that the running program itself came from.
fn find(variable: &str, name: &str, build: &str) -> Result<PathBuf> {
    if let Some(path) = std::env::var_os(variable) {
        return Ok(PathBuf::from(path));
    }
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| workspace_root().join("target"), PathBuf::from);
    let profile = if cfg!(debug_assertions) {
        "debug"
    } else {
        "release"
    };
    let path = target.join(profile).join(name);
    if path.is_file() {
        return Ok(path);
    }
    Err(Error::Missing(format!(
        "{} is not built; run `{build}`, or `cargo xtask test`, which builds it first",
        path.display()
    )))
}
