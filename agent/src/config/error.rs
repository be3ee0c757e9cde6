//! What is wrong with a configuration, where, and what would be right.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A file, by line and column, both from 1, the column in characters.
    File {
        /// Its path; empty for a text that was not read from a file.
        path: PathBuf,
        /// Line.
        line: usize,
        /// Column.
        column: usize,
    },
    /// A variable of the environment.
    Variable(String),
    /// An option of the command line, with its dashes.
    Flag(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line, column } if path.as_os_str().is_empty() => {
                write!(f, "line {line}, column {column}")
            }
            Self::File { path, line, column } => write!(f, "{}:{line}:{column}", path.display()),
            Self::Variable(name) | Self::Flag(name) => f.write_str(name),
        }
    }
}

/// Why the agent does not start with this configuration. Each reads as one sentence.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file that was asked for cannot be read.
    #[error(
        "cannot read the configuration {path}: {source}; name another with --config, or remove that option to use the defaults",
        path = path.display()
    )]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A directory, a device, a pipe.
    #[error("{path} is not a regular file: --config takes a text file like /etc/muster/muster.toml", path = path.display())]
    NotAFile {
        /// Which.
        path: PathBuf,
    },
    /// Larger than any configuration.
    #[error(
        "{path} is larger than {limit} KiB, so it is no configuration of an agent: name the right file with --config",
        path = path.display(), limit = super::CONFIG_BYTES_MAX / 1024
    )]
    TooLarge {
        /// Which.
        path: PathBuf,
    },
    /// Bytes that are no text.
    #[error(
        "{path}:{line}: there is a byte that is no UTF-8 text, so it is no configuration of an agent: \
         name the right file with --config, or save it as UTF-8",
        path = path.display()
    )]
    NotText {
        /// Which.
        path: PathBuf,
        /// In which line, from 1.
        line: usize,
    },
    /// Not TOML.
    #[error(
        "{place}: {message}; what is right looks like `key = \"text\"`, `key = 7` or `[table]`"
    )]
    Syntax {
        /// Where.
        place: Place,
        /// What the parser says.
        message: String,
    },
    /// A key or table that does not exist.
    #[error("{place}: there is no {what}; {instead}")]
    Unknown {
        /// Where.
        place: Place,
        /// The name, with what it is.
        what: String,
        /// What was probably meant, or what there is.
        instead: String,
    },
    /// A value that does not fit its key.
    #[error("{place}: {given} does not fit {key}: it takes {takes}")]
    Value {
        /// Where.
        place: Place,
        /// Which key.
        key: &'static str,
        /// What was given, cut short.
        given: String,
        /// What would be right.
        takes: &'static str,
    },
    /// Values that are right by themselves and wrong together.
    #[error("{0}")]
    Together(String),
}
