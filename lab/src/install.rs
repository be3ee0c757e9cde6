//! Where a server's programs are: from the cache, or one that a person already has.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;

use crate::cache::Cache;
use crate::error::{Error, Result};
use crate::packages::{self, Freshness, PackageSet, SetSpec, Suite};
use crate::process::run;
use crate::{template, tools};

/// The two kinds of server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// MySQL (and what is built from it, such as Percona Server).
    MySql,
    /// MariaDB.
    MariaDb,
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::MySql => "MySQL",
            Self::MariaDb => "MariaDB",
        })
    }
}

/// What a person may say after `--server`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// One that is fetched.
    Kind(Kind),
    /// A `mysqld` or `mariadbd` that is already on the machine.
    Path(PathBuf),
}

impl FromStr for Which {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "mysql" => Ok(Self::Kind(Kind::MySql)),
            "mariadb" => Ok(Self::Kind(Kind::MariaDb)),
            path if path.contains('/') => Ok(Self::Path(PathBuf::from(path))),
            other => Err(format!(
                "{other:?} is neither mysql nor mariadb nor the path of a server's program"
            )),
        }
    }
}

/// A server that can be started.
#[derive(Debug, Clone)]
pub struct Install {
    kind: Kind,
    version: String,
    program: PathBuf,
    base: PathBuf,
    plugins: PathBuf,
    /// An initialised data directory to copy.
    template: PathBuf,
}

impl Install {
    /// A server of this kind from the cache, fetched first where it is not there.
    pub async fn get(kind: Kind) -> Result<Self> {
        Self::resolve(Which::Kind(kind), Freshness::Any).await
    }

    /// The server that `which` says.
    pub async fn resolve(which: Which, freshness: Freshness) -> Result<Self> {
        tokio::task::spawn_blocking(move || {
            let cache = Cache::open()?;
            match which {
                Which::Kind(kind) => match Self::fetched(&cache, kind, freshness) {
                    Err(error) if error.is_missing() => Self::on_path(&cache, kind).ok_or(error),
                    fetched => fetched,
                },
                Which::Path(path) => Self::at(&cache, &path),
            }
        })
        .await
        .map_err(|error| Error::Missing(format!("fetching was stopped: {error}")))?
    }

    /// MySQL or MariaDB.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// As the server itself writes it, such as "9.7.4-2".
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The server's program.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// What goes after `--basedir`.
    #[must_use]
    pub fn base(&self) -> &Path {
        &self.base
    }

    /// The folder of the server's own plugins.
    #[must_use]
    pub fn plugins(&self) -> &Path {
        &self.plugins
    }

    pub(crate) fn template(&self) -> &Path {
        &self.template
    }

    /// "MySQL 9.7.4-2".
    #[must_use]
    pub fn describe(&self) -> String {
        format!("{} {}", self.kind, self.version)
    }

    /// The options that tell a server of this installation where its own files are.
    pub(crate) fn location_options(&self) -> Vec<String> {
        let mut options = vec![
            "--no-defaults".to_owned(),
            format!("--basedir={}", self.base.display()),
        ];
        let share = self.base.join("share/mysql");
        if share.join("charsets").is_dir() {
            options.push(format!("--lc-messages-dir={}", share.display()));
            options.push(format!(
                "--character-sets-dir={}",
                share.join("charsets").display()
            ));
        }
        if self.kind == Kind::MySql {
            // Debian's default folder for it does not exist here, and the server refuses to start without.
            options.push("--secure-file-priv=NULL".to_owned());
            options.push("--mysqlx=OFF".to_owned());
        }
        if rustix::process::geteuid().is_root() {
            options.push("--user=root".to_owned());
        }
        options
    }

    fn fetched(cache: &Cache, kind: Kind, freshness: Freshness) -> Result<Self> {
        let spec = match kind {
            Kind::MySql => SetSpec::new(
                "mysql",
                Suite::Sid,
                &["mysql-server-core", "mysql-client-core"],
            )
            .without(&["perl", "libperl", "libgdbm"]),
            Kind::MariaDb => SetSpec::new(
                "mariadb",
                Suite::Host,
                &["mariadb-server-core", "mariadb-client-core"],
            )
            .and_alone(&["mariadb-server"]),
        };
        // A set is taken only when its server initialises a data directory: then all its libraries are there.
        let set = packages::fetch(cache, &spec, freshness, |set| {
            Self::in_set(kind, set)?.prepare(cache)
        })?;
        let install = Self::in_set(kind, &set)?;
        install.prepare(cache)?;
        Ok(install)
    }

    fn in_set(kind: Kind, set: &PackageSet) -> Result<Self> {
        let program = match kind {
            Kind::MySql => set.path("usr/sbin/mysqld"),
            Kind::MariaDb => set.path("usr/sbin/mariadbd"),
        };
        let (found, version) = ask_version(&program)?;
        if found != kind {
            return Err(Error::Missing(format!(
                "the archive's package for {kind} holds {found} {version}"
            )));
        }
        Ok(Self {
            kind,
            version,
            program,
            base: set.path("usr"),
            plugins: set.path(match kind {
                Kind::MySql => "usr/lib/mysql/plugin",
                Kind::MariaDb => "usr/lib/mysql/plugin",
            }),
            template: set.derived().join("template"),
        })
    }

    /// A server of this kind that a person has installed, where none can be fetched.
    fn on_path(cache: &Cache, kind: Kind) -> Option<Self> {
        let names: &[&str] = match kind {
            Kind::MySql => &["mysqld"],
            Kind::MariaDb => &["mariadbd", "mysqld"],
        };
        let found = names.iter().filter_map(|name| tools::on_path(name));
        found
            .filter_map(|path| Self::at(cache, &path).ok())
            .find(|install| install.kind == kind)
    }

    /// A server that is on the machine already.
    fn at(cache: &Cache, program: &Path) -> Result<Self> {
        let program = program
            .canonicalize()
            .map_err(Error::io("find the server", program))?;
        let (kind, version) = ask_version(&program)?;
        let base = program
            .parent()
            .and_then(Path::parent)
            .unwrap_or(Path::new("/usr"))
            .to_path_buf();
        let plugins = compiled_in_plugin_dir(&program).filter(|path| path.is_dir());
        let plugins = plugins
            .or_else(|| {
                ["lib/plugin", "lib/mysql/plugin"]
                    .map(|inside| base.join(inside))
                    .into_iter()
                    .find(|path| path.is_dir())
            })
            .ok_or_else(|| {
                Error::Missing(format!(
                    "the plugins of {} are not where it says they are",
                    program.display()
                ))
            })?;
        // Two servers of one version may differ; the program's path and size tell them apart well enough.
        let size = program
            .metadata()
            .map_err(Error::io("look at", &program))?
            .len();
        let mark: String = program
            .to_string_lossy()
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
            .collect();
        let template = cache
            .root()
            .join("templates")
            .join(format!("{mark}.{version}.{size}"));
        let install = Self {
            kind,
            version,
            program,
            base,
            plugins,
            template,
        };
        install.prepare(cache)?;
        Ok(install)
    }

    /// Makes the initialised data directory, once.
    fn prepare(&self, cache: &Cache) -> Result<()> {
        let _lock = cache.lock(&format!("template-{}", self.kind))?;
        template::make(self, cache)
    }
}

/// Kind and version by the program's own word: "… Ver 10.11.18-MariaDB-0+deb12u1 for debian-linux-gnu on x86_64 (…)".
fn ask_version(program: &Path) -> Result<(Kind, String)> {
    let text = run(Command::new(program).args(["--no-defaults", "--version"]))?;
    let version = text
        .split_once("Ver ")
        .and_then(|(_, rest)| rest.split_ascii_whitespace().next())
        .ok_or_else(|| {
            Error::Missing(format!(
                "{} does not say which server it is",
                program.display()
            ))
        })?;
    let kind = if text.contains("MariaDB") {
        Kind::MariaDb
    } else {
        Kind::MySql
    };
    Ok((kind, version.to_owned()))
}

fn compiled_in_plugin_dir(program: &Path) -> Option<PathBuf> {
    let text = run(Command::new(program).args(["--no-defaults", "--verbose", "--help"])).ok()?;
    let line = text.lines().find(|line| line.starts_with("plugin-dir "))?;
    Some(PathBuf::from(line.split_ascii_whitespace().nth(1)?))
}
