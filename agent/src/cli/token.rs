//! `muster token create`: a key for one more host.

use clap::{Args, Subcommand};

use super::output::{clean, duration};
use super::{CliError, Context};

/// See [`super::Command::Token`].
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub(super) struct Token {
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Print a token that brings one host in; it expires
    Create {
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
}

impl Token {
    pub(super) async fn run(self, context: &mut Context<'_>) -> Result<(), CliError> {
        let TokenCommand::Create { json } = self.command;
        let reply = context.client.token_create().await?;
        if json {
            return context.json(&reply);
        }
        // The advice goes to stderr: stdout is the token and nothing else.
        writeln!(
            context.err,
            "It brings in one host within {}: muster join --token TOKEN HOST:PORT",
            duration(reply.ttl_ms)
        )?;
        writeln!(context.out, "{}", clean(&reply.token))?;
        Ok(())
    }
}
