//! The command line: one file per command, all of them thin. A command asks the agent of this host through the control
//! socket and shows the answer; what is decided is decided there.
//!
//! Exit status: 0 done, 1 refused or failed (one sentence on stderr that also says what to do), 2 wrong usage.

mod agent;
mod agents;
mod config;
mod events;
mod generate;
mod init;
mod install;
mod join;
mod leave;
mod members;
mod output;
mod recover;
mod remove;
mod status;
mod table;
mod token;
mod watch;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::CONTROL_SOCKET;
use crate::control::{Client, ClientError};
use agent::AgentError;
pub use output::Style;

/// One shared picture of a set of MySQL or MariaDB servers.
#[derive(Debug, Parser)]
#[command(
    name = "muster",
    version,
    arg_required_else_help = true,
    disable_help_subcommand = true
)]
pub struct Cli {
    /// Unix socket of this host's agent [variable: MUSTER_CONTROL_SOCKET] [default: /run/muster/control.sock]
    #[arg(long, global = true, value_name = "PATH")]
    control_socket: Option<PathBuf>,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the agent of this host, in the foreground
    Agent(agent::Agent),
    /// Make a cluster, with this host in it; prints a join token on the last line
    Init(init::Init),
    /// Make join tokens
    Token(token::Token),
    /// Bring this host into a cluster
    Join(join::Join),
    /// Take this host out of its cluster
    Leave(leave::Leave),
    /// Forget a dead host
    Remove(remove::Remove),
    /// Go on with this host alone after a majority is lost for good
    Recover(recover::Recover),
    /// Put the plugin into the local server, over SQL
    Install(install::Install),
    /// Take the plugin out of the local server
    Uninstall(install::Uninstall),
    /// How the cluster is, in a few lines
    Status(status::Status),
    /// The database servers
    Members(members::Members),
    /// The agents, arbitrators too
    Agents(agents::Agents),
    /// What changed, and why
    Events(events::Events),
    /// The settings that are equal on all hosts
    Config(config::Config),
    /// A live view in the terminal
    Watch(watch::Watch),
    /// Shell completions and manual pages
    #[command(hide = true)]
    Generate(generate::Generate),
}

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
enum CliError {
    /// The agent's word, or why there is none.
    #[error(transparent)]
    Agent(#[from] ClientError),
    /// Wrong usage that the parser cannot see.
    #[error("{0}")]
    Usage(String),
    /// Something on this side went wrong.
    #[error("{0}")]
    Failed(String),
    /// Nobody reads what we write any more, or the disk is full.
    #[error(
        "cannot write the answer: {0}; what was asked for has been done, so look again with `muster status`"
    )]
    Output(#[from] io::Error),
}

impl CliError {
    fn exit_status(&self) -> u8 {
        match self {
            // The reader has what it wanted: `muster members | head -1` is no failure.
            Self::Output(e) if e.kind() == io::ErrorKind::BrokenPipe => 0,
            Self::Usage(_) => 2,
            Self::Agent(_) | Self::Failed(_) | Self::Output(_) => 1,
        }
    }
}

/// What a command works with.
struct Context<'a> {
    client: Client,
    style: Style,
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
}

impl Context<'_> {
    /// One JSON value on a line of its own.
    fn json(&mut self, value: &impl serde::Serialize) -> Result<(), CliError> {
        let text = serde_json::to_string(value)
            .map_err(|e| CliError::Failed(format!("the answer cannot be written as JSON: {e}")))?;
        writeln!(self.out, "{text}")?;
        Ok(self.out.flush()?)
    }
}

/// The program: parses, runs, and gives the exit status.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => {
            // To print help into a closed pipe is no failure.
            e.print().ok();
            return ExitCode::from(u8::try_from(e.exit_code()).unwrap_or(2));
        }
    };
    // The service logs to stderr from many threads, so it must not be locked for one.
    if let Command::Agent(agent) = cli.command {
        return match agent.run(cli.control_socket) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                writeln!(io::stderr(), "muster: {error}").ok();
                match error {
                    AgentError::Configuration(_) => ExitCode::from(2),
                    AgentError::Failed(_) => ExitCode::FAILURE,
                }
            }
        };
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let (mut out, mut err) = (io::stdout().lock(), io::stderr().lock());
    let status = match runtime {
        Ok(runtime) => runtime.block_on(run(
            cli,
            std::env::var_os("MUSTER_CONTROL_SOCKET"),
            Style::of_stdout(),
            &mut out,
            &mut err,
        )),
        Err(e) => {
            writeln!(
                err,
                "muster: the system gives this program nothing to run on: {e}; try again"
            )
            .ok();
            1
        }
    };
    ExitCode::from(status)
}

/// Runs one command and gives its exit status.
async fn run(
    cli: Cli,
    socket_variable: Option<OsString>,
    style: Style,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> u8 {
    let socket = cli
        .control_socket
        .or_else(|| {
            socket_variable
                .filter(|path| !path.is_empty())
                .map(PathBuf::from)
        })
        .unwrap_or_else(|| CONTROL_SOCKET.into());
    let mut context = Context {
        client: Client::new(socket),
        style,
        out,
        err,
    };
    let done = match cli.command {
        Command::Agent(_) => Err(CliError::Usage("the agent is run on its own".to_owned())),
        Command::Init(command) => command.run(&mut context).await,
        Command::Token(command) => command.run(&mut context).await,
        Command::Join(command) => command.run(&mut context).await,
        Command::Leave(command) => command.run(&mut context).await,
        Command::Remove(command) => command.run(&mut context).await,
        Command::Recover(command) => command.run(&mut context).await,
        Command::Install(command) => command.run(&mut context).await,
        Command::Uninstall(command) => command.run(&mut context).await,
        Command::Status(command) => command.run(&mut context).await,
        Command::Members(command) => command.run(&mut context).await,
        Command::Agents(command) => command.run(&mut context).await,
        Command::Events(command) => command.run(&mut context).await,
        Command::Config(command) => command.run(&mut context).await,
        Command::Watch(command) => command.run(&mut context).await,
        Command::Generate(command) => command.run(&mut context),
    };
    let done = done.and_then(|()| Ok(context.out.flush()?));
    match done {
        Ok(()) => 0,
        Err(error) => {
            let status = error.exit_status();
            if status != 0 {
                writeln!(err, "muster: {}", output::clean(&error.to_string())).ok();
            }
            status
        }
    }
}
