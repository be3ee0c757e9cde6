//! The `muster` program. See docs/ARCHITECTURE.md.

use std::process::ExitCode;

fn main() -> ExitCode {
    muster_agent::cli::main()
}
