//! A session inside the server, as a safe boundary: the real ones are in `ffi/sql/`, one for each family of servers, the
//! tests have a fake. Everything above this file is ordinary Rust that runs without a server.

/// A session inside the server. Dropping it closes it.
pub trait Session {
    /// Runs one statement and gives all rows of its result. It may take as long as the server likes.
    fn query(&mut self, sql: &str) -> Result<Rows, SqlError>;

    /// Value of a global system variable, by the cheapest means there are.
    fn variable(&mut self, name: &str) -> Result<Option<String>, SqlError> {
        let rows = self.query(&format!("SELECT @@global.{name} AS value"))?;
        Ok(rows.first("value").map(str::to_owned))
    }

    /// Values of global status variables in the order of `names`, by the cheapest means there are.
    fn status(&mut self, names: &[&str]) -> Result<Vec<Option<String>>, SqlError>;
}

/// Why a statement gave nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SqlError {
    /// The server refused the statement; the session can go on.
    #[error("the server says: {text} (error {code})")]
    Server {
        /// The server's error number.
        code: u32,
        /// Its text.
        text: String,
    },
    /// The session is gone: killed, or the server stops. Close it and open another.
    #[error("the plugin's own session is gone: {0}")]
    Lost(String),
    /// No session could be opened.
    #[error("no session could be opened inside the server: {0}")]
    NoSession(String),
}

/// A result set as text. Bytes that are no UTF-8 are replaced.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rows {
    /// Column names.
    pub columns: Vec<String>,
    /// Rows in the order they came; none = NULL.
    pub rows: Vec<Vec<Option<String>>>,
}

impl Rows {
    /// The value of one column of one row; `names` are alternatives, for columns that were renamed between versions.
    pub fn value<'a>(&'a self, row: &'a [Option<String>], names: &[&str]) -> Option<&'a str> {
        names
            .iter()
            .find_map(|name| {
                self.columns
                    .iter()
                    .position(|column| column.eq_ignore_ascii_case(name))
            })
            .and_then(|at| row.get(at)?.as_deref())
    }

    /// The value of one column of the first row.
    pub fn first(&self, name: &str) -> Option<&str> {
        self.value(self.rows.first()?, &[name])
    }
}
