//! How to reach the server and as whom. A password never stands on a command line: it comes from a file.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use mysql_async::{Opts, OptsBuilder};

/// Where servers usually listen, when nothing says it.
const USUAL_SOCKETS: [&str; 5] = [
    "/run/mysqld/mysqld.sock",
    "/var/run/mysqld/mysqld.sock",
    "/var/lib/mysql/mysql.sock",
    "/run/mysql/mysql.sock",
    "/tmp/mysql.sock",
];
/// A file of options longer than this is none.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// What the command line gave. What is named there wins over the file of defaults.
#[derive(Debug, Clone, Default)]
pub struct Account {
    /// Unix socket of the server.
    pub socket: Option<PathBuf>,
    /// User; root by default.
    pub user: Option<String>,
    /// File whose first line is the password.
    pub password_file: Option<PathBuf>,
    /// File of options as the servers' own clients read it: `[client]` and `[muster]` with user, password, socket.
    pub defaults_file: Option<PathBuf>,
}

/// Why it is not known how to reach the server.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No socket.
    #[error("no server listens at {looked}: name its socket with --socket PATH (SELECT @@socket)")]
    NoSocket {
        /// Where it was looked for.
        looked: String,
    },
    /// The path is no text.
    #[error("the socket path {0} is no UTF-8 text")]
    BadPath(PathBuf),
}

/// What a file of options says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Defaults {
    socket: Option<String>,
    user: Option<String>,
    password: Option<String>,
}

impl Account {
    /// Options for a connection, and a few words about it for messages.
    pub(super) fn resolve(
        &self,
        say: &mut dyn FnMut(String),
    ) -> Result<(Opts, String), AccountError> {
        let defaults = match &self.defaults_file {
            Some(path) => parse_defaults(&read(path, say)?),
            None => Defaults::default(),
        };
        let password = match &self.password_file {
            Some(path) => {
                let text = read(path, say)?;
                text.lines().next().map(str::to_owned)
            }
            None => defaults.password,
        };
        let named = self.socket.clone().or(defaults.socket.map(PathBuf::from));
        let socket = match named {
            Some(path) => path,
            None => USUAL_SOCKETS
                .iter()
                .map(PathBuf::from)
                .find(|path| path.exists())
                .ok_or_else(|| AccountError::NoSocket {
                    looked: USUAL_SOCKETS.join(", "),
                })?,
        };
        let user = self.user.clone().or(defaults.user);
        let user = user.unwrap_or_else(|| "root".to_owned());
        let at = format!("at {} as {user}", socket.display());
        let Some(path) = socket.to_str() else {
            return Err(AccountError::BadPath(socket));
        };
        let opts = OptsBuilder::default()
            .socket(Some(path))
            .user(Some(user))
            .pass(password)
            .into();
        Ok((opts, at))
    }
}

fn read(path: &Path, say: &mut dyn FnMut(String)) -> Result<String, AccountError> {
    let at = |source| AccountError::Read {
        path: path.to_owned(),
        source,
    };
    let found = fs::metadata(path).map_err(at)?;
    if !found.is_file() || found.len() > FILE_BYTES_MAX {
        return Err(at(io::Error::other("it is no file of a sensible size")));
    }
    if found.mode() & 0o044 != 0 {
        say(format!(
            "warning: others may read {}; chmod 600 would keep its password to you",
            path.display()
        ));
    }
    fs::read_to_string(path).map_err(at)
}

/// As the servers' own clients read it: `key = value` in sections, values plain or in quotes, `#` and `;` begin a
/// comment line. Other sections, keys and `!include` lines mean nothing here.
fn parse_defaults(text: &str) -> Defaults {
    let mut defaults = Defaults::default();
    let mut ours = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with(['#', ';', '!']) || line.is_empty() {
            continue;
        }
        if let Some(section) = line.strip_prefix('[') {
            let section = section.trim_end_matches(']').trim();
            ours = matches!(section, "client" | "muster");
            continue;
        }
        if let (true, Some((key, value))) = (ours, line.split_once('=')) {
            let value = Some(unquote(value.trim()));
            match key.trim() {
                "user" => defaults.user = value,
                "password" => defaults.password = value,
                "socket" => defaults.socket = value,
                _ => {}
            }
        }
    }
    defaults
}

fn unquote(value: &str) -> String {
    let quoted = |quote| {
        value
            .strip_prefix(quote)
            .and_then(|rest| rest.strip_suffix(quote))
    };
    if let Some(inner) = quoted('"').or_else(|| quoted('\'')) {
        return inner.to_owned();
    }
    // A comment may follow a value that is not quoted.
    value
        .split(" #")
        .next()
        .unwrap_or(value)
        .trim_end()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::super::test_data::Folder;
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_defaults_file_is_read_as_clients_read_it() {
        let text = "# mine\n[mysqld]\nuser = mysql\n[client]\nuser=admin\npassword = \"a # 'b\"\n\
                    !include /etc/x\nport=1\n[muster]\nsocket = /s/x.sock # here\n[mysql]\nuser=other\n";
        assert_eq!(
            parse_defaults(text),
            Defaults {
                socket: Some("/s/x.sock".into()),
                user: Some("admin".into()),
                password: Some("a # 'b".into()),
            }
        );
        assert_eq!(
            parse_defaults("user=x\n[client\npassword\n"),
            Defaults::default()
        );
    }

    #[test]
    fn the_command_line_wins_and_open_files_are_warned_of() {
        let folder = Folder::new();
        let (defaults, password) = (folder.path("my.cnf"), folder.path("pass"));
        fs::write(
            &defaults,
            "[client]\nuser=a\npassword=no\nsocket=/from/file\n",
        )
        .unwrap();
        fs::write(&password, "secret\nmore\n").unwrap();
        fs::set_permissions(&defaults, fs::Permissions::from_mode(0o600)).unwrap();
        fs::set_permissions(&password, fs::Permissions::from_mode(0o644)).unwrap();
        let account = Account {
            user: Some("b".into()),
            defaults_file: Some(defaults),
            password_file: Some(password),
            ..Account::default()
        };
        let mut said = Vec::new();
        let (opts, at) = account.resolve(&mut |line| said.push(line)).unwrap();
        assert_eq!(at, "at /from/file as b");
        assert_eq!(
            (opts.user(), opts.pass(), opts.socket()),
            (Some("b"), Some("secret"), Some("/from/file"))
        );
        assert_eq!(said.len(), 1);
        assert!(said[0].contains("pass") && !said[0].contains("secret"));
    }

    #[test]
    fn a_missing_file_is_named() {
        let account = Account {
            password_file: Some("/no/such/file".into()),
            ..Account::default()
        };
        let error = account.resolve(&mut |_| {}).unwrap_err();
        assert!(error.to_string().contains("/no/such/file"));
    }
}
