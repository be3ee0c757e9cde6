//! From the sources to a [`Config`]: file, variables, command line.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{KEYS, Key, TABLES, instead};
use super::value::{Given, shown};
use super::{CONFIG_BYTES_MAX, CONFIG_PATH, Config, ConfigError, Draft, Place};

/// What was given on the command line.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `--config`
    pub config: Option<PathBuf>,
    /// Values by the variable that would set the same key (`MUSTER_LISTEN` for `--listen`).
    pub values: BTreeMap<&'static str, String>,
}

/// A configuration and what a person should know about how it came to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// The file that was read, if there is one.
    pub file: Option<PathBuf>,
    /// Sentences for the log: variables that look like a mistyped one of ours.
    pub notes: Vec<String>,
}

/// Reads all sources: `overrides`, then `environment`, then the file, then defaults.
///
/// Only a file that was named must be there.
pub fn load(
    overrides: &Overrides,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    host_name: &str,
) -> Result<Loaded, ConfigError> {
    load_with(Path::new(CONFIG_PATH), overrides, environment, host_name)
}

/// [`load`] with another place for the file that nobody named.
pub(super) fn load_with(
    usual: &Path,
    overrides: &Overrides,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    host_name: &str,
) -> Result<Loaded, ConfigError> {
    let environment: BTreeMap<OsString, OsString> = environment
        .into_iter()
        .filter(|(name, _)| name.as_encoded_bytes().starts_with(b"MUSTER_"))
        .collect();
    let named = overrides.config.clone().or_else(|| {
        let value = environment.get(OsStr::new("MUSTER_CONFIG"))?;
        Some(PathBuf::from(value))
    });
    let mut draft = Draft::default();
    let (path, must_exist) = match named {
        Some(path) => (path, true),
        None => (usual.to_owned(), false),
    };
    let text = read(&path, must_exist)?;
    let file = text.as_ref().map(|_| path.clone());
    if let Some(text) = text {
        apply_file(&mut draft, &text, &path)?;
    }
    for key in &KEYS {
        if let Some(value) = environment.get(OsStr::new(key.variable)) {
            let given = Given::Word(value.to_string_lossy().into_owned());
            key.set(&mut draft, &given, || {
                Place::Variable(key.variable.to_owned())
            })?;
        }
        if let Some(value) = overrides.values.get(key.variable) {
            key.set(&mut draft, &Given::Word(value.clone()), || {
                Place::Flag(key.flag())
            })?;
        }
    }
    Ok(Loaded {
        config: draft.complete(host_name)?,
        file,
        notes: mistyped(environment.keys()),
    })
}

/// A configuration from the text of a file alone, for a host called `localhost`. Takes any text, however hostile.
pub fn parse(text: &str) -> Result<Config, ConfigError> {
    let mut draft = Draft::default();
    apply_file(&mut draft, text, Path::new(""))?;
    draft.complete("localhost")
}

/// Variables that are one slip away from ours. They do not stop the agent: container platforms put variables of their
/// own beside ours (`MUSTER_PORT` for a service called muster), so an unknown one is no proof of a mistake.
fn mistyped<'a>(names: impl Iterator<Item = &'a OsString>) -> Vec<String> {
    let known = || KEYS.iter().map(|key| key.variable).chain(["MUSTER_CONFIG"]);
    names
        .filter_map(|name| name.to_str())
        .filter(|name| known().all(|known| known != *name))
        .filter_map(|name| {
            let meant = known().find(|known| strsim::damerau_levenshtein(name, known) <= 2)?;
            Some(format!(
                "the variable {} means nothing to the agent; did you mean {meant}?",
                shown(name)
            ))
        })
        .collect()
}

/// The text of the file, or nothing where it need not be there.
fn read(path: &Path, must_exist: bool) -> Result<Option<String>, ConfigError> {
    let failed = |source| ConfigError::Read {
        path: path.to_owned(),
        source,
    };
    // Asked before opening: to open a pipe waits for somebody to write into it.
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && !must_exist => return Ok(None),
        Err(e) => return Err(failed(e)),
    };
    if !metadata.is_file() {
        return Err(ConfigError::NotAFile {
            path: path.to_owned(),
        });
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(CONFIG_BYTES_MAX + 1).read_to_end(&mut bytes))
        .map_err(failed)?;
    if bytes.len() as u64 > CONFIG_BYTES_MAX {
        return Err(ConfigError::TooLarge {
            path: path.to_owned(),
        });
    }
    let good = match std::str::from_utf8(&bytes) {
        Ok(text) => text.find('\0').unwrap_or(bytes.len()),
        Err(e) => e.valid_up_to(),
    };
    match String::from_utf8(bytes) {
        Ok(text) if good == text.len() => Ok(Some(text)),
        Ok(text) => Err(not_text(path, &text.as_bytes()[..good])),
        Err(e) => Err(not_text(path, &e.as_bytes()[..good])),
    }
}

fn not_text(path: &Path, good: &[u8]) -> ConfigError {
    ConfigError::NotText {
        path: path.to_owned(),
        line: 1 + good.iter().filter(|byte| **byte == b'\n').count(),
    }
}

/// Puts the file's values into the draft.
fn apply_file(draft: &mut Draft, text: &str, path: &Path) -> Result<(), ConfigError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let place = |span: Range<usize>| place(text, path, span);
    let document = DeTable::parse(text).map_err(|e| ConfigError::Syntax {
        place: place(e.span().unwrap_or_default()),
        message: e.message().lines().collect::<Vec<_>>().join(", "),
    })?;
    for (name, value) in document.get_ref() {
        let word = name.get_ref().as_ref();
        if TABLES.contains(&word) {
            let DeValue::Table(table) = value.get_ref() else {
                return Err(ConfigError::Unknown {
                    place: place(name.span()),
                    what: format!("key '{word}' at the top"),
                    instead: format!("[{word}] is a table, with its keys in the lines below it"),
                });
            };
            for (name, value) in table {
                apply_key(draft, word, name, value, &place)?;
            }
        } else {
            apply_key(draft, "", name, value, &place)?;
        }
    }
    Ok(())
}

fn apply_key(
    draft: &mut Draft,
    table: &str,
    name: &Spanned<std::borrow::Cow<'_, str>>,
    value: &Spanned<DeValue<'_>>,
    place: &impl Fn(Range<usize>) -> Place,
) -> Result<(), ConfigError> {
    let word = name.get_ref().as_ref();
    if let Some(key) = Key::find(table, word) {
        return key.set(draft, &given(value.get_ref()), || place(value.span()));
    }
    let is_table = table.is_empty() && matches!(value.get_ref(), DeValue::Table(_));
    let elsewhere = KEYS.iter().find(|key| key.name == word);
    let (what, instead) = if is_table {
        (format!("table [{}]", shown(word)), instead(word, &TABLES))
    } else {
        let here: Vec<&str> = KEYS
            .iter()
            .filter(|key| key.table == table)
            .map(|key| key.name)
            .collect();
        let what = match table {
            "" => format!("key '{}' at the top", shown(word)),
            table => format!("key '{}' in [{table}]", shown(word)),
        };
        let instead = match elsewhere {
            Some(Key { table: "", .. }) => {
                "it belongs at the top of the file, before any [table]".to_owned()
            }
            Some(key) => format!("it belongs in [{}]", key.table),
            None => instead(word, &here),
        };
        (what, instead)
    };
    Err(ConfigError::Unknown {
        place: place(name.span()),
        what,
        instead,
    })
}

fn given(value: &DeValue<'_>) -> Given {
    match value {
        DeValue::String(text) => Given::Text(text.clone().into_owned()),
        DeValue::Integer(number) => i128::from_str_radix(number.as_str(), number.radix())
            .map_or(Given::Other("so large a number"), Given::Number),
        DeValue::Array(items) => items
            .iter()
            .map(|item| item.get_ref().as_str().map(str::to_owned))
            .collect::<Option<Vec<String>>>()
            .map_or(
                Given::Other("a list that holds more than texts"),
                Given::List,
            ),
        DeValue::Float(_) => Given::Other("a number with a fraction"),
        DeValue::Boolean(_) => Given::Other("true or false"),
        DeValue::Datetime(_) => Given::Other("a date or time"),
        DeValue::Table(_) => Given::Other("a table"),
    }
}

/// Line and column of a place in the text, both from 1, the column in characters.
fn place(text: &str, path: &Path, span: Range<usize>) -> Place {
    let before: String = text
        .char_indices()
        .take_while(|(at, _)| *at < span.start)
        .map(|(_, c)| c)
        .collect();
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    Place::File {
        path: path.to_owned(),
        line: 1 + before.matches('\n').count(),
        column: 1 + before[line_start..].chars().count(),
    }
}
