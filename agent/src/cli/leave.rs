//! `muster leave`: take this host out of its cluster.

use clap::Args;

use super::output::clean;
use super::{CliError, Context};

/// See [`super::Command::Leave`].
#[derive(Debug, Args)]
pub(super) struct Leave {}

impl Leave {
    pub(super) async fn run(self, context: &mut Context<'_>) -> Result<(), CliError> {
        let done = context.client.leave().await?;
        writeln!(context.out, "{}", clean(&done.message))?;
        Ok(())
    }
}
