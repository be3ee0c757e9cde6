//! `muster join`: bring this host into a cluster.

use std::io::Read;

use clap::Args;

use crate::config::PEER_PORT;
use crate::control::types::JoinRequest;

use super::output::clean;
use super::{CliError, Context};

/// Longest token that is read from the standard input, in bytes.
const TOKEN_BYTES_MAX: u64 = 16 * 1024;

/// See [`super::Command::Join`].
#[derive(Debug, Args)]
pub(super) struct Join {
    /// From `muster init` or `muster token create` on a host of the cluster; `-` reads it from the standard input, where
    /// no list of processes shows it
    #[arg(long, value_name = "TOKEN")]
    token: String,

    /// An agent of the cluster; the port is 7400 where none is named
    #[arg(value_name = "HOST:PORT")]
    address: String,

    /// Join without a database server, only to vote
    #[arg(long)]
    arbitrator: bool,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Join {
    pub(super) async fn run(self, context: &mut Context<'_>) -> Result<(), CliError> {
        let token = if self.token == "-" {
            let mut text = String::new();
            std::io::stdin()
                .take(TOKEN_BYTES_MAX)
                .read_to_string(&mut text)
                .map_err(|e| {
                    CliError::Failed(format!(
                        "cannot read the token from the standard input: {e}"
                    ))
                })?;
            text
        } else {
            self.token
        };
        let request = JoinRequest {
            token: token.trim().to_owned(),
            address: with_port(&self.address),
            arbitrator: self.arbitrator,
        };
        if request.token.is_empty() {
            return Err(CliError::Usage(
                "the token is empty: make one with `muster token create` on a host of the cluster"
                    .into(),
            ));
        }
        let reply = context.client.join(&request).await?;
        if self.json {
            return context.json(&reply);
        }
        writeln!(
            context.out,
            "This host belongs to '{}' now, as agent {}{}.",
            clean(&reply.cluster_name),
            reply.agent_id,
            if self.arbitrator {
                ", an arbitrator"
            } else {
                ""
            },
        )?;
        Ok(())
    }
}

/// `address` with the usual port where it has none.
fn with_port(address: &str) -> String {
    let bare_v6 = address.parse::<std::net::Ipv6Addr>().is_ok();
    if bare_v6 {
        format!("[{address}]:{PEER_PORT}")
    } else if address.ends_with(']') || !address.contains(':') {
        format!("{address}:{PEER_PORT}")
    } else {
        address.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::with_port;

    #[test]
    fn the_usual_port_is_added_where_none_is_named() {
        let cases = [
            ("db1", "db1:7400"),
            ("db1:7500", "db1:7500"),
            ("10.0.0.1", "10.0.0.1:7400"),
            ("2001:db8::7", "[2001:db8::7]:7400"),
            ("[2001:db8::7]", "[2001:db8::7]:7400"),
            ("[2001:db8::7]:7500", "[2001:db8::7]:7500"),
        ];
        for (given, expected) in cases {
            assert_eq!(with_port(given), expected);
        }
    }
}
