//! `muster generate`: shell completions and manual pages, made from the same description as the parser. For packagers.

use std::path::PathBuf;

use clap::{Args, CommandFactory, Subcommand};
use clap_complete::Shell;

use super::{Cli, CliError, Context};

/// See [`super::Command::Generate`].
#[derive(Debug, Args)]
pub(super) struct Generate {
    #[command(subcommand)]
    command: GenerateCommand,
}

#[derive(Debug, Subcommand)]
enum GenerateCommand {
    /// Print the completions of a shell
    Completions {
        /// Which
        shell: Shell,
    },
    /// Write the manual pages into a folder
    Man {
        /// It must be there
        folder: PathBuf,
    },
}

impl Generate {
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<(), CliError> {
        match self.command {
            GenerateCommand::Completions { shell } => {
                // The generator panics where it cannot write, so it writes into memory.
                let mut text = Vec::new();
                clap_complete::generate(shell, &mut Cli::command(), "muster", &mut text);
                context.out.write_all(&text)?;
                Ok(())
            }
            GenerateCommand::Man { folder } => clap_mangen::generate_to(Cli::command(), &folder).map_err(|e| {
                CliError::Failed(format!(
                    "cannot write manual pages into {}: {e}; name a folder that is there and writable",
                    folder.display()
                ))
            }),
        }
    }
}
