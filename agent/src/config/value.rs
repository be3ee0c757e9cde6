//! What a single value may be. Each reader answers with the value, or with the words for what it takes.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use super::{LogFormat, NAME_CHARS_MAX, SOCKET_PATH_BYTES_MAX};

/// The words for what a key takes.
pub(super) type Takes = &'static str;

/// A value as a source gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Given {
    /// A text of the file.
    Text(String),
    /// A whole number of the file.
    Number(i128),
    /// A list of texts of the file.
    List(Vec<String>),
    /// Anything else of the file, by what it is.
    Other(&'static str),
    /// From a variable or the command line, where everything is a word.
    Word(String),
}

impl Given {
    /// As it is quoted in an error, cut short.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Text(text) => format!("\"{}\"", shown(text)),
            Self::Word(text) => format!("'{}'", shown(text)),
            Self::Number(number) => number.to_string(),
            Self::List(list) => format!("a list of {}", list.len()),
            Self::Other(kind) => (*kind).to_owned(),
        }
    }

    fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Word(text) => Some(text),
            _ => None,
        }
    }
}

/// Foreign text, fit for one line of a terminal: no control characters, at most 60 characters.
pub(super) fn shown(text: &str) -> String {
    const SHOWN_CHARS_MAX: usize = 60;
    let mut out: String = text
        .chars()
        .take(SHOWN_CHARS_MAX)
        .map(|c| {
            if c.is_control() {
                char::REPLACEMENT_CHARACTER
            } else {
                c
            }
        })
        .collect();
    if text.chars().nth(SHOWN_CHARS_MAX).is_some() {
        out.push('…');
    }
    out
}

const NAME: Takes =
    "1 to 64 letters, digits, '.', '_' or '-', beginning with a letter or a digit, as in \"db1\"";
const SITE: Takes = "at most 64 characters of one line, as in \"paris\"";
const PRIORITY: Takes = "a whole number from 0 (never promoted) to 4294967295, as in 100";
const DIRECTORY: Takes = "an absolute path, as in \"/var/lib/muster\"";
const SOCKET: Takes = "an absolute path of at most 107 bytes (the kernel's limit for a socket), as in \"/run/muster/control.sock\"";
const LISTEN: Takes = "an address of this host and a port, as in \"0.0.0.0:7400\", \"192.0.2.7:7400\" or \"[::]:7400\"";
const TEXT_LISTEN: Takes =
    "an address of this host and a port, as in \"127.0.0.1:2200\", or \"off\"";
const HOST_PORT: Takes = "a host name or address that the others can reach and a port, as in \"db1.example.net:7400\" or \"[2001:db8::7]:7400\"";
const USERS: Takes = "one to 16 names of system users, as in [\"mysql\"]";
const GROUP: Takes = "the name or number of one system group, as in \"muster\"";
const LEVEL: Takes = "off, error, warn, info, debug or trace, or such levels per part, as in \"info,muster_agent::link=debug\"";
const FORMAT: Takes = "\"text\" or \"json\"";

/// Most users in a list.
const USERS_MAX: usize = 16;
/// Longest name of a system user or group, in characters.
const ACCOUNT_CHARS_MAX: usize = 32;
/// Longest level text, in characters.
const LEVEL_CHARS_MAX: usize = 512;

/// A host's name in the cluster.
pub(super) fn name(text: &str) -> Result<String, Takes> {
    let fits = text.len() <= NAME_CHARS_MAX
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    if fits { Ok(text.to_owned()) } else { Err(NAME) }
}

pub(super) fn given_name(given: &Given) -> Result<String, Takes> {
    name(given.as_text().ok_or(NAME)?)
}

pub(super) fn site(given: &Given) -> Result<String, Takes> {
    let text = given.as_text().ok_or(SITE)?;
    let fits = text.chars().count() <= NAME_CHARS_MAX && !text.chars().any(char::is_control);
    if fits { Ok(text.to_owned()) } else { Err(SITE) }
}

pub(super) fn priority(given: &Given) -> Result<u32, Takes> {
    match given {
        Given::Number(number) => u32::try_from(*number).map_err(|_| PRIORITY),
        Given::Word(word) => word.parse().map_err(|_| PRIORITY),
        _ => Err(PRIORITY),
    }
}

pub(super) fn directory(given: &Given) -> Result<PathBuf, Takes> {
    absolute(given.as_text().ok_or(DIRECTORY)?).ok_or(DIRECTORY)
}

pub(super) fn socket(given: &Given) -> Result<PathBuf, Takes> {
    let text = given.as_text().ok_or(SOCKET)?;
    absolute(text)
        .filter(|_| text.len() <= SOCKET_PATH_BYTES_MAX && !text.ends_with('/'))
        .ok_or(SOCKET)
}

fn absolute(text: &str) -> Option<PathBuf> {
    let path = PathBuf::from(text);
    (path.is_absolute() && !text.chars().any(char::is_control)).then_some(path)
}

pub(super) fn listen(given: &Given) -> Result<SocketAddr, Takes> {
    given
        .as_text()
        .and_then(|text| text.parse().ok())
        .ok_or(LISTEN)
}

pub(super) fn text_listen(given: &Given) -> Result<Option<SocketAddr>, Takes> {
    match given.as_text().ok_or(TEXT_LISTEN)? {
        "off" => Ok(None),
        text => text.parse().map(Some).map_err(|_| TEXT_LISTEN),
    }
}

/// `host:port` that another host can connect to.
pub(super) fn host_port(text: &str) -> Result<String, Takes> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        let reachable = !address.ip().is_unspecified() && address.port() != 0;
        return if reachable {
            Ok(address.to_string())
        } else {
            Err(HOST_PORT)
        };
    }
    let (host, port) = text.rsplit_once(':').ok_or(HOST_PORT)?;
    let port: u16 = port.parse().map_err(|_| HOST_PORT)?;
    // What consists of digits and dots alone and is no address is a mistyped one, not a name.
    let fits = port != 0
        && (1..=253).contains(&host.len())
        && host.split('.').all(|label| !label.is_empty())
        && host
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
        && host.chars().any(|c| c.is_ascii_alphabetic())
        && host.parse::<IpAddr>().is_err();
    if fits {
        Ok(format!("{host}:{port}"))
    } else {
        Err(HOST_PORT)
    }
}

pub(super) fn advertise(given: &Given) -> Result<String, Takes> {
    host_port(given.as_text().ok_or(HOST_PORT)?)
}

pub(super) fn users(given: &Given) -> Result<Vec<String>, Takes> {
    let users: Vec<String> = match given {
        Given::List(list) => list.clone(),
        Given::Text(one) => vec![one.clone()],
        Given::Word(words) => words
            .split(',')
            .map(|word| word.trim().to_owned())
            .collect(),
        Given::Number(_) | Given::Other(_) => return Err(USERS),
    };
    let fits = (1..=USERS_MAX).contains(&users.len()) && users.iter().all(|user| account(user));
    if fits { Ok(users) } else { Err(USERS) }
}

pub(super) fn group(given: &Given) -> Result<String, Takes> {
    let text = given.as_text().ok_or(GROUP)?;
    if account(text) {
        Ok(text.to_owned())
    } else {
        Err(GROUP)
    }
}

fn account(text: &str) -> bool {
    (1..=ACCOUNT_CHARS_MAX).contains(&text.chars().count())
        && !text.starts_with('-')
        && !text
            .chars()
            .any(|c| c.is_control() || c.is_whitespace() || ":,/".contains(c))
}

pub(super) fn level(given: &Given) -> Result<String, Takes> {
    let text = given.as_text().ok_or(LEVEL)?;
    let one = |part: &str| match part.split_once('=') {
        None => is_level(part),
        Some((target, level)) => {
            is_level(level)
                && !target.is_empty()
                && target
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
        }
    };
    if text.len() <= LEVEL_CHARS_MAX && text.split(',').all(one) {
        Ok(text.to_owned())
    } else {
        Err(LEVEL)
    }
}

fn is_level(word: &str) -> bool {
    ["off", "error", "warn", "info", "debug", "trace"].contains(&word)
}

pub(super) fn format(given: &Given) -> Result<LogFormat, Takes> {
    match given.as_text() {
        Some("text") => Ok(LogFormat::Text),
        Some("json") => Ok(LogFormat::Json),
        _ => Err(FORMAT),
    }
}
