//! SQL to the lab's servers, over their unix socket or over TCP.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder, Row, Value};

use crate::error::{Error, Result};

/// A row: column values as text, `None` for NULL.
pub type Strings = Vec<Option<String>>;

/// Where and as whom to connect.
#[must_use]
pub fn socket_options(socket: &Path) -> Opts {
    OptsBuilder::default()
        .socket(socket.to_str())
        .user(Some("root"))
        .into()
}

/// The same over TCP.
#[must_use]
pub fn tcp_options(host: &str, port: u16) -> Opts {
    OptsBuilder::default()
        .ip_or_hostname(host)
        .tcp_port(port)
        .prefer_socket(false)
        .user(Some("root"))
        .into()
}

/// Every row of a query as text.
pub async fn rows_as_strings(
    conn: &mut Conn,
    query: &str,
) -> std::result::Result<Vec<Strings>, mysql_async::Error> {
    let rows: Vec<Row> = conn.query(query).await?;
    Ok(rows
        .into_iter()
        .map(|row| row.unwrap().into_iter().map(text_of).collect())
        .collect())
}

/// Every row of a query as text, by column name.
pub async fn rows_by_name(
    conn: &mut Conn,
    query: &str,
) -> std::result::Result<Vec<BTreeMap<String, Option<String>>>, mysql_async::Error> {
    let rows: Vec<Row> = conn.query(query).await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let columns = row.columns();
            columns
                .iter()
                .map(|column| column.name_str().into_owned())
                .zip(row.unwrap().into_iter().map(text_of))
                .collect()
        })
        .collect())
}

fn text_of(value: Value) -> Option<String> {
    match value {
        Value::NULL => None,
        Value::Bytes(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        other => Some(other.as_sql(true).trim_matches('\'').to_owned()),
    }
}

/// Asks `question` every 10 ms until it answers `Ok(Ok(value))`, at most `limit_ms`.
///
/// `Ok(Err(seen))` means "not yet, and this is what I saw"; `Err` is a failure and ends the wait.
pub async fn wait_for<T>(
    what: &str,
    limit_ms: u64,
    mut question: impl AsyncFnMut() -> Result<std::result::Result<T, String>>,
) -> Result<T> {
    let started = Instant::now();
    loop {
        let seen = match question().await? {
            Ok(value) => return Ok(value),
            Err(seen) => seen,
        };
        if started.elapsed() >= Duration::from_millis(limit_ms) {
            return Err(Error::Timeout {
                what: what.to_owned(),
                seen,
                waited_ms: limit_ms,
            });
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
