//! Fetching what the tests and the demo stand on.

use anyhow::Result;
use muster_lab::install::Which;
use muster_lab::packages::Freshness;
use muster_lab::progress::say;
use muster_lab::{Cache, Install, Kind};

/// What there is, and why what is not there is not.
#[derive(Debug, Default)]
pub struct Servers {
    pub present: Vec<Install>,
    pub absent: Vec<(Kind, String)>,
}

impl Servers {
    /// "MySQL 9.7.4-2, MariaDB 10.11.19-…".
    pub fn describe(&self) -> String {
        let mut parts: Vec<String> = self.present.iter().map(Install::describe).collect();
        parts.extend(self.absent.iter().map(|(kind, _)| format!("no {kind}")));
        parts.join(", ")
    }
}

/// `cargo xtask setup`.
pub async fn run(refresh: bool) -> Result<Servers> {
    let cache = Cache::open()?;
    say(&format!("servers, in {}", cache.root().display()));
    let servers = servers(if refresh {
        Freshness::Newest
    } else {
        Freshness::Any
    })
    .await?;
    for install in &servers.present {
        say(&format!("  {} is ready", install.describe()));
    }
    for (kind, why) in &servers.absent {
        say(&format!("  NO {kind}: {why}"));
    }
    Ok(servers)
}

/// Both kinds of server, as far as this machine can have them.
pub async fn servers(freshness: Freshness) -> Result<Servers> {
    let mut servers = Servers::default();
    for kind in [Kind::MySql, Kind::MariaDb] {
        match Install::resolve(Which::Kind(kind), freshness).await {
            Ok(install) => servers.present.push(install),
            Err(error) if error.is_missing() => servers.absent.push((kind, error.to_string())),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(servers)
}
