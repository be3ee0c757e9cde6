//! Everything a person types: `cargo xtask COMMAND`.
//!
//! Each command works on a fresh machine with Rust, a C compiler and git; what else it needs it fetches into the
//! private cache (`.cache`, or `MUSTER_CACHE`). Where it cannot go on it says in one sentence what is missing.

mod cargo;
mod check;
mod demo;
mod setup;
mod summary;
mod table;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use muster_lab::progress::say;

/// Build, try, test and measure Muster on this machine. Nothing is installed into the system.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    disable_help_subcommand = true
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Fetch the database servers and tools into the private cache (the other commands do it by themselves)
    Setup {
        /// Take what the archives hold now, and keep the last set that worked where that one does not
        #[arg(long)]
        refresh: bool,
    },
    /// Start a cluster on this machine, break things, and show how every server sees it
    Demo(demo::Options),
    /// Run every proof in its short form, on MySQL and MariaDB
    Test {
        /// Run the long forms instead, each for this many minutes
        #[arg(long, value_name = "MINUTES")]
        soak: Option<u64>,
        /// Run only the tests whose names contain this
        #[arg(long, value_name = "NAME")]
        only: Option<String>,
    },
    /// Measure; a table for people, or one JSON object
    Bench {
        /// Which: tables, oltp, agents or times; all of them without it
        name: Option<String>,
        /// Write one JSON object to stdout and nothing else
        #[arg(long)]
        json: bool,
    },
    /// Check without changing anything: format, lints, licences, tests
    Ci,
    /// Format, and apply what the lints suggest
    Fix,
    /// Run the fuzz targets on their corpora and beyond
    Fuzz {
        /// Only the targets whose names contain this
        name: Option<String>,
        /// For how long each, beyond its corpus
        #[arg(long, default_value_t = 60)]
        seconds: u64,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match arguments.command {
        Command::Setup { refresh } => setup::run(refresh).await.map(|_| true),
        Command::Demo(options) => demo::run(options).await.map(|()| true),
        Command::Test { soak, only } => test::run(soak, only.as_deref()).await,
        Command::Bench { name, json } => test::bench(name.as_deref(), json).await,
        Command::Ci => check::ci().await,
        Command::Fix => check::fix().await,
        Command::Fuzz { name, seconds } => test::fuzz(name.as_deref(), seconds).await,
    };
    muster_lab::cleanup::leave_if_interrupted();
    muster_lab::cleanup::all();
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
