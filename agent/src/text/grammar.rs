//! What a request may say, and what an answer looks like, without any I/O: bytes in, a [`Request`] or an [`Error`] out.
//!
//! [`parse`] takes whatever came (it is the fuzzed entry point) and [`Answer`] writes every line that ever leaves. Words
//! of a request that are repeated in an answer are made printable first, so nobody can smuggle a line or a terminal
//! sequence through an error message.

use std::fmt;

use muster_core::state::{MemberRole, MemberState};

/// Longest request in bytes, its line end included.
pub const REQUEST_BYTES_MAX: usize = 512;
/// Longest host in characters, as MEMBER_HOST can show it.
const HOST_CHARS_MAX: usize = 255;

/// A status as it is said: MEMBER_STATE and DRAINING in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// ONLINE
    On,
    /// OFFLINE
    Off,
    /// STARTING
    Starting,
    /// STOPPING
    Stopping,
    /// ONLINE, kept out of reads: shown as DRAINING
    Standby,
}

impl Status {
    const WORDS: [(&'static str, Self); 5] = [
        ("on", Self::On),
        ("off", Self::Off),
        ("starting", Self::Starting),
        ("stopping", Self::Stopping),
        ("standby", Self::Standby),
    ];

    fn parse(word: &str) -> Option<Self> {
        find(&Self::WORDS, word)
    }

    /// The word of the protocol.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Off => "off",
            Self::Starting => "starting",
            Self::Stopping => "stopping",
            Self::Standby => "standby",
        }
    }

    /// The state of the member and whether it is draining.
    #[must_use]
    pub fn state(self) -> (MemberState, bool) {
        match self {
            Self::On => (MemberState::Online, false),
            Self::Off => (MemberState::Offline, false),
            Self::Starting => (MemberState::Starting, false),
            Self::Stopping => (MemberState::Stopping, false),
            Self::Standby => (MemberState::Online, true),
        }
    }

    /// The word for any member. Old scripts know five; of a member in a state that they have no word for they learn
    /// whether it is of use: RECOVERING is on its way (`starting`), ERROR and UNREACHABLE are not (`off`).
    #[must_use]
    pub fn of(state: MemberState, draining: bool) -> Self {
        match state {
            MemberState::Online if draining => Self::Standby,
            MemberState::Online => Self::On,
            MemberState::Starting | MemberState::Recovering => Self::Starting,
            MemberState::Stopping => Self::Stopping,
            MemberState::Offline | MemberState::Unreachable | MemberState::Error => Self::Off,
        }
    }
}

const ROLES: [(&str, MemberRole); 5] = [
    ("master", MemberRole::Primary),
    ("slave", MemberRole::Replica),
    ("standalone", MemberRole::Standalone),
    ("primary", MemberRole::Primary),
    ("replica", MemberRole::Replica),
];

/// The protocol's word for a role.
#[must_use]
pub fn role_word(role: MemberRole) -> &'static str {
    match role {
        MemberRole::Primary => "master",
        MemberRole::Replica => "slave",
        MemberRole::Standalone => "standalone",
    }
}

/// Where a server is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Name or address, as it was written.
    pub host: String,
    /// Never 0.
    pub port: u16,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// A server joins, or joins again.
    Join {
        /// Where.
        address: Address,
        /// Its status.
        status: Status,
        /// Its role.
        role: MemberRole,
    },
    /// A server is alive.
    Heartbeat {
        /// Which.
        address: Address,
        /// Its status now.
        status: Status,
    },
    /// All servers.
    ServerList,
    /// A server leaves.
    Leave {
        /// Which.
        address: Address,
    },
}

/// The four commands and how each is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// `join`
    Join,
    /// `heartbeat`
    Heartbeat,
    /// `serverlist`
    ServerList,
    /// `leave`
    Leave,
}

impl Command {
    const WORDS: [(&'static str, Self); 4] = [
        ("join", Self::Join),
        ("heartbeat", Self::Heartbeat),
        ("serverlist", Self::ServerList),
        ("leave", Self::Leave),
    ];

    /// How it is written, for error messages.
    #[must_use]
    pub fn syntax(self) -> &'static str {
        match self {
            Self::Join => "join <host> <port> <status> <role>",
            Self::Heartbeat => "heartbeat <host> <port> <status>",
            Self::ServerList => "serverlist",
            Self::Leave => "leave <host> <port>",
        }
    }

    fn parameters(self) -> usize {
        self.syntax().split(' ').count() - 1
    }
}

/// Every error of the protocol; `Display` is the line that is sent, without its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No such command.
    #[error("1 Invalid command")]
    InvalidCommand,
    /// Too few or too many words.
    #[error("2 Wrong number of parameters, syntax: {}", .0.syntax())]
    WrongNumber(Command),
    /// A status that is none.
    #[error("3 Unknown status '{word}', syntax: {}", .command.syntax())]
    UnknownStatus {
        /// What was given, printable.
        word: String,
        /// In which command.
        command: Command,
    },
    /// A role that is none.
    #[error("4 Unknown role '{word}', syntax: {}", .command.syntax())]
    UnknownRole {
        /// What was given, printable.
        word: String,
        /// In which command.
        command: Command,
    },
    /// Anything else.
    #[error("5 {0}")]
    Other(String),
}

impl Error {
    /// Error 5 with a sentence; its control characters and line ends become blanks.
    #[must_use]
    pub fn other(sentence: impl fmt::Display) -> Self {
        let text = sentence.to_string();
        Self::Other(
            text.chars()
                .map(|c| if c.is_control() { ' ' } else { c })
                .collect(),
        )
    }
}

/// Reads one request: the bytes of one line with its end, LF or CRLF. Whatever follows the first LF is ignored.
pub fn parse(bytes: &[u8]) -> Result<Request, Error> {
    let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
        return Err(if bytes.len() >= REQUEST_BYTES_MAX {
            too_long()
        } else {
            // Half a request may name another server than the whole one.
            Error::other("The request does not end with a line end")
        });
    };
    if end + 1 > REQUEST_BYTES_MAX {
        return Err(too_long());
    }
    let line = &bytes[..end];
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let line = String::from_utf8_lossy(line);
    let mut words = line.split([' ', '\t']).filter(|word| !word.is_empty());
    let command = words
        .next()
        .and_then(|word| find(&Command::WORDS, word))
        .ok_or(Error::InvalidCommand)?;
    let given: Vec<_> = words.collect();
    if given.len() != command.parameters() {
        return Err(Error::WrongNumber(command));
    }
    match (command, given.as_slice()) {
        (Command::Join, [host, port, status, role]) => {
            let status = parse_status(command, status)?;
            let role = parse_role(command, role)?;
            Ok(Request::Join {
                address: parse_address(host, port)?,
                status,
                role,
            })
        }
        (Command::Heartbeat, [host, port, status]) => {
            let status = parse_status(command, status)?;
            Ok(Request::Heartbeat {
                address: parse_address(host, port)?,
                status,
            })
        }
        (Command::Leave, [host, port]) => Ok(Request::Leave {
            address: parse_address(host, port)?,
        }),
        (Command::ServerList, []) => Ok(Request::ServerList),
        _ => Err(Error::WrongNumber(command)),
    }
}

fn too_long() -> Error {
    Error::other(format!(
        "The request is longer than {REQUEST_BYTES_MAX} bytes"
    ))
}

fn parse_status(command: Command, word: &str) -> Result<Status, Error> {
    Status::parse(word).ok_or_else(|| Error::UnknownStatus {
        word: printable(word),
        command,
    })
}

fn parse_role(command: Command, word: &str) -> Result<MemberRole, Error> {
    find(&ROLES, word).ok_or_else(|| Error::UnknownRole {
        word: printable(word),
        command,
    })
}

fn parse_address(host: &str, port: &str) -> Result<Address, Error> {
    let fits = |c: char| c.is_ascii_alphanumeric() || ".-_:%[]".contains(c);
    if host.chars().count() > HOST_CHARS_MAX || !host.chars().all(fits) {
        return Err(Error::other(format!(
            "'{}' is no host name or address",
            printable(host)
        )));
    }
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    match port.parse() {
        Ok(port) if digits && port > 0 => Ok(Address {
            host: host.to_owned(),
            port,
        }),
        _ => Err(Error::other(format!(
            "'{}' is no port, use a number from 1 to 65535",
            printable(port)
        ))),
    }
}

fn find<T: Copy>(words: &[(&str, T)], given: &str) -> Option<T> {
    words
        .iter()
        .find(|(word, _)| word.eq_ignore_ascii_case(given))
        .map(|(_, meaning)| *meaning)
}

fn printable(word: &str) -> String {
    word.chars()
        .map(|c| if c.is_ascii_graphic() { c } else { '?' })
        .collect()
}

/// One server in an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The agent that speaks for it.
    pub agent_id: u64,
    /// Where clients reach it.
    pub host: String,
    /// Where clients reach it.
    pub port: u16,
    /// Its status.
    pub status: Status,
    /// Its role.
    pub role: MemberRole,
    /// How long a heartbeat stays valid, in seconds.
    pub ttl_s: u64,
    /// Wall clock of its last heartbeat, microseconds since 1970 UTC; none = unknown here.
    pub last_heartbeat_us: Option<i64>,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} {} {} {} {} {}",
            self.agent_id,
            self.host,
            self.port,
            self.status.word(),
            role_word(self.role),
            self.ttl_s,
            timestamp(self.last_heartbeat_us)
        )
    }
}

/// `2026-11-20T17:06:47Z`, or `-` where it is not known.
fn timestamp(wall_us: Option<i64>) -> String {
    let format =
        time::macros::format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
    wall_us
        .and_then(|us| time::OffsetDateTime::from_unix_timestamp(us.div_euclid(1_000_000)).ok())
        .filter(|when| (0..=9_999).contains(&when.year()))
        .and_then(|when| when.format(format).ok())
        .unwrap_or_else(|| "-".to_owned())
}

/// A whole answer; `Display` is what is sent, every line with its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Done.
    Ok,
    /// Servers.
    Rows(Vec<Row>),
    /// Not done.
    Error(Error),
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok => f.write_str("0 OK\n"),
            Self::Rows(rows) => {
                f.write_str("0 ")?;
                if rows.is_empty() {
                    return f.write_str("\n");
                }
                rows.iter().try_for_each(|row| writeln!(f, "{row}"))
            }
            Self::Error(error) => writeln!(f, "{error}"),
        }
    }
}

#[cfg(test)]
#[path = "grammar_tests.rs"]
mod tests;
