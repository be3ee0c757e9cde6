//! `super_read_only` off for a few statements, and on again whatever happens.
//!
//! `read_only` stays on all the time, so that within the window only accounts that may administer the server could
//! write. The window closes by the connection that opened it or, where that broke, by a new one; SIGINT and SIGTERM
//! wait for it. What remains is a SIGKILL of this very program, or the loss of its host, within those milliseconds: the
//! server is then left with `super_read_only` off and `read_only` on.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{InstallError, bounded};

/// Times that closing is tried.
const TRIES: u32 = 20;
/// Between two of them.
const RETRY_AFTER: Duration = Duration::from_millis(250);

/// An open window. Must be [closed](WriteWindow::close).
#[must_use = "the server stays writable for administrators until it is closed"]
pub(super) struct WriteWindow {
    opts: Opts,
    /// Registered signals do not end the program any more; both are looked at once the window is closed.
    _held_up: [Signal; 2],
}

impl WriteWindow {
    /// Switches `super_read_only` off, having made sure that `read_only` is on.
    pub(super) async fn open(conn: &mut Conn, opts: &Opts) -> Result<Self, InstallError> {
        let held_up = [SignalKind::interrupt(), SignalKind::terminate()].map(signal);
        let [Ok(interrupt), Ok(terminate)] = held_up else {
            return Err(InstallError::SuperReadOnly {
                what: "INSTALL or UNINSTALL",
            });
        };
        let window = Self {
            opts: opts.clone(),
            _held_up: [interrupt, terminate],
        };
        let statement = "SET GLOBAL super_read_only = OFF";
        match bounded(statement, conn.query_drop(statement)).await {
            Ok(()) => {}
            Err(InstallError::Sql { statement, source }) => {
                return Err(InstallError::Sql { statement, source });
            }
            // It may have been done although no answer came.
            Err(error) => {
                window.close(conn).await?;
                return Err(error);
            }
        }
        let statement = "SELECT @@global.read_only";
        let read_only: Result<Option<bool>, _> =
            bounded(statement, conn.query_first(statement)).await;
        match read_only {
            Ok(Some(true)) => Ok(window),
            other => {
                window.close(conn).await?;
                other?;
                Err(InstallError::SuperReadOnly {
                    what: "INSTALL or UNINSTALL",
                })
            }
        }
    }

    /// Switches it on again and makes sure that it is.
    pub(super) async fn close(self, conn: &mut Conn) -> Result<(), InstallError> {
        let mut last = match switch_on(conn).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        for _ in 0..TRIES {
            tokio::time::sleep(RETRY_AFTER).await;
            let again = async {
                let statement = "a connection";
                let mut fresh = bounded(statement, Conn::new(self.opts.clone())).await?;
                switch_on(&mut fresh).await
            };
            match again.await {
                Ok(()) => return Ok(()),
                Err(error) => last = error,
            }
        }
        Err(InstallError::StillWritable {
            reason: last.to_string(),
        })
    }
}

async fn switch_on(conn: &mut Conn) -> Result<(), InstallError> {
    let statement = "SET GLOBAL super_read_only = ON";
    bounded(statement, conn.query_drop(statement)).await?;
    let statement = "SELECT @@global.super_read_only";
    let on: Option<bool> = bounded(statement, conn.query_first(statement)).await?;
    match on {
        Some(true) => Ok(()),
        _ => Err(InstallError::StillWritable {
            reason: "the server says that it is off".to_owned(),
        }),
    }
}
