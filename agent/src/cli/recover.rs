//! `muster recover --force`: go on alone after a majority is lost for good.

use clap::Args;

use crate::control::types::RecoverRequest;

use super::output::clean;
use super::{CliError, Context};

/// See [`super::Command::Recover`].
#[derive(Debug, Args)]
pub(super) struct Recover {
    /// The other hosts are lost for good, or their agents are stopped and will be wiped
    #[arg(long)]
    force: bool,
}

impl Recover {
    pub(super) async fn run(self, context: &mut Context<'_>) -> Result<(), CliError> {
        if !self.force {
            return Err(CliError::Usage(
                "recover makes a new group of this host alone and removes all others: make sure that they are lost or \
                 stopped, then say so with --force"
                    .into(),
            ));
        }
        let done = context
            .client
            .recover(RecoverRequest { force: true })
            .await?;
        writeln!(context.out, "{}", clean(&done.message))?;
        Ok(())
    }
}
