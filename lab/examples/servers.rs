//! Starts servers with GTID replication and keeps them until Ctrl-C:
//! `cargo run -p muster-lab --example servers -- mysql|mariadb|PATH [COUNT] [PLUGIN.so]`.

use muster_lab::packages::Freshness;
use muster_lab::progress::say;
use muster_lab::{Install, Result, Server, ServerOptions, replication};

#[tokio::main]
async fn main() {
    if let Err(error) = run().await {
        say(&error.to_string());
        muster_lab::cleanup::all();
        std::process::exit(1);
    }
}

async fn run() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let which = arguments
        .next()
        .unwrap_or_else(|| "mysql".to_owned())
        .parse();
    let which = which.map_err(muster_lab::Error::Missing)?;
    let count: u32 = arguments
        .next()
        .and_then(|count| count.parse().ok())
        .unwrap_or(1);
    let plugin = arguments.next();
    let install = Install::resolve(which, Freshness::Any).await?;
    let mut servers = Vec::new();
    for number in 1..=count {
        let mut options = ServerOptions::new(&format!("db{number}"));
        if let Some(plugin) = &plugin {
            options = options.plugin(plugin.as_ref());
        }
        servers.push(Server::start(&install, options).await?);
    }
    replication::chain(&servers).await?;
    for server in &servers {
        say(&format!(
            "{} {}: port {}, socket {}, log {}, pid {:?}",
            server.name(),
            install.describe(),
            server.port(),
            server.socket().display(),
            server.log_path().display(),
            server.process().map(muster_lab::Process::pid)
        ));
    }
    say("Ctrl-C stops them.");
    std::future::pending().await
}
