//! Debian packages by apt, with a state of our own, so that the machine's is neither read nor changed.
//!
//! The archive's address and its key come from the machine's own apt configuration; no address is written here.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::{Error, Result};
use crate::packages::Suite;
use crate::process::{last_lines, run};
use crate::progress::Step;

/// A private apt: its lists, its archive of `.deb` files, its sources.
#[derive(Debug)]
pub(crate) struct Apt {
    folder: PathBuf,
}

/// One archive that the machine's configuration names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Archive {
    uri: String,
    release: String,
}

impl Apt {
    /// Prepares a private apt for `suite` in `folder`, and fetches the lists.
    pub(crate) fn prepare(folder: &Path, suite: Suite) -> Result<Self> {
        for name in ["lists/partial", "cache/archives/partial", "download"] {
            let path = folder.join(name);
            fs::create_dir_all(&path).map_err(Error::io("create", &path))?;
        }
        let status = folder.join("status");
        fs::write(&status, "").map_err(Error::io("write", &status))?;
        let sources = folder.join("muster.sources");
        fs::write(&sources, sources_for(suite)?).map_err(Error::io("write", &sources))?;
        let apt = Self {
            folder: folder.to_path_buf(),
        };
        apt.run(&["update"], None)?;
        Ok(apt)
    }

    /// Downloads `packages` with everything that they depend on, and `alone` without; gives the `.deb` files.
    pub(crate) fn download(
        &self,
        packages: &[String],
        alone: &[String],
        step: &Step,
    ) -> Result<Vec<PathBuf>> {
        if !packages.is_empty() {
            let mut arguments = vec!["install", "--download-only", "--no-install-recommends"];
            arguments.extend(packages.iter().map(String::as_str));
            self.run(&arguments, Some(step))?;
        }
        if !alone.is_empty() {
            let mut arguments = vec!["download"];
            arguments.extend(alone.iter().map(String::as_str));
            self.run(&arguments, None)?;
        }
        let mut found = Vec::new();
        for folder in [
            self.folder.join("cache/archives"),
            self.folder.join("download"),
        ] {
            for entry in fs::read_dir(&folder).map_err(Error::io("read", &folder))? {
                let path = entry.map_err(Error::io("read", &folder))?.path();
                if path.extension().is_some_and(|extension| extension == "deb") {
                    found.push(path);
                }
            }
        }
        found.sort();
        Ok(found)
    }

    fn run(&self, arguments: &[&str], step: Option<&Step>) -> Result<()> {
        let mut command = Command::new("apt-get");
        command
            .env("LC_ALL", "C")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .current_dir(self.folder.join("download"));
        for (name, value) in self.options() {
            command.arg("-o").arg(format!("{name}={value}"));
        }
        command
            .args(["-q", "-y", "-o", "APT::Status-Fd=1"])
            .args(arguments);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Error::Missing(
                "there is no apt on this machine to fetch servers with; give one of yours with --server PATH".into(),
            ),
            _ => Error::Io { doing: "run", path: PathBuf::from("apt-get"), source: error },
        })?;
        let complaints = child.stderr.take().and_then(|mut stderr| {
            let read = move || {
                let mut text = String::new();
                let _ = stderr.read_to_string(&mut text);
                text
            };
            std::thread::Builder::new()
                .name("lab-apt-stderr".into())
                .spawn(read)
                .ok()
        });
        let mut written = String::new();
        if let Some(stdout) = child.stdout.take() {
            for line in BufReader::new(stdout)
                .lines()
                .map_while(std::result::Result::ok)
            {
                match (progress_of(&line), step) {
                    (Some(percent), Some(step)) => step.percent(percent),
                    (Some(_), None) => {}
                    (None, _) => {
                        written.push_str(&line);
                        written.push('\n');
                    }
                }
            }
        }
        let status = child
            .wait()
            .map_err(Error::io("wait for", Path::new("apt-get")))?;
        if let Some(text) = complaints.and_then(|thread| thread.join().ok()) {
            written.push_str(&text);
        }
        // `update` ends with success where a list could not be fetched; its warnings tell.
        if status.success()
            && !(arguments.contains(&"update") && written.contains("Failed to fetch"))
        {
            return Ok(());
        }
        Err(explain(&written, &status.to_string()))
    }

    fn options(&self) -> BTreeMap<&'static str, String> {
        let at = |name: &str| self.folder.join(name).display().to_string();
        let mut options = BTreeMap::from([
            ("Dir::Etc::sourcelist", at("muster.sources")),
            ("Dir::Etc::sourceparts", "/dev/null".to_owned()),
            ("Dir::Etc::preferences", "/dev/null".to_owned()),
            ("Dir::Etc::preferencesparts", "/dev/null".to_owned()),
            ("Dir::State::Lists", at("lists")),
            ("Dir::State::status", at("status")),
            ("Dir::State::extended_states", at("extended_states")),
            ("Dir::Cache", at("cache")),
            // Only the package lists are wanted, of all that a machine may be set to fetch.
            (
                "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled",
                "false".to_owned(),
            ),
            (
                "Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled",
                "false".to_owned(),
            ),
            ("Acquire::Languages", "none".to_owned()),
            ("Acquire::Retries", "3".to_owned()),
        ]);
        if rustix::process::geteuid().is_root() {
            // apt's own unprivileged user cannot write into a cache below somebody's home.
            options.insert("APT::Sandbox::User", "root".to_owned());
        }
        options
    }
}

/// The percentage in a line that apt writes for programs.
fn progress_of(line: &str) -> Option<f64> {
    let rest = line
        .strip_prefix("dlstatus:")
        .or_else(|| line.strip_prefix("pmstatus:"))?;
    rest.split(':').nth(1)?.parse().ok()
}

/// apt's complaint, in a sentence.
fn explain(written: &str, status: &str) -> Error {
    let has = |text: &str| written.contains(text);
    if has("No space left") || has("enough free space") {
        return Error::disk_full();
    }
    if has("Temporary failure resolving")
        || has("Could not resolve")
        || has("Could not connect")
        || has("Unable to connect")
        || has("Connection failed")
        || has("Network is unreachable")
        || has("Connection timed out")
    {
        return Error::Missing(
            "there is no network to the Debian archive that this machine's apt is set to use; try again later, or give a \
             server of yours with --server PATH"
                .into(),
        );
    }
    if has("unmet dependencies")
        || has("held broken packages")
        || has("Unable to locate package")
        || has("no installation candidate")
        || has("does not have a Release file")
        || has("404  Not Found")
    {
        return Error::Missing(format!(
            "the archive does not hold a complete set of the packages today ({}); try again tomorrow, or give a server of \
             yours with --server PATH",
            last_lines(written, 1)
        ));
    }
    Error::Command {
        program: "apt-get".into(),
        status: status.to_owned(),
        output: last_lines(written, 8),
    }
}

/// The text of a sources file for `suite`.
fn sources_for(suite: Suite) -> Result<String> {
    let archives = configured_archives()?;
    let codename = host_codename();
    let of_host: Vec<&Archive> = archives
        .iter()
        .filter(|archive| {
            // The release itself and what Debian adds to it; not a third party's "bookworm-something".
            let Some(codename) = codename.as_deref() else {
                return true;
            };
            let addition = archive.release.strip_prefix(codename);
            addition.is_some_and(|addition| matches!(addition, "" | "-updates" | "-security"))
        })
        .collect();
    let wanted: Vec<(String, String)> = match suite {
        Suite::Host => of_host
            .iter()
            .map(|archive| (archive.uri.clone(), archive.release.clone()))
            .collect(),
        Suite::Sid => of_host
            .iter()
            .find(|archive| !archive.release.contains(['-', '/']))
            .map(|archive| (archive.uri.clone(), "sid".to_owned()))
            .into_iter()
            .collect(),
    };
    if wanted.is_empty() {
        return Err(Error::Missing(
            "this machine's apt names no archive of its own Debian release to fetch servers from; give one of yours with \
             --server PATH"
                .into(),
        ));
    }
    let keys = configured_keys();
    let mut text = String::new();
    for (uri, release) in wanted {
        text.push_str(&format!(
            "Types: deb\nURIs: {uri}\nSuites: {release}\nComponents: main\n"
        ));
        if let Some(key) = keys.get(uri.trim_end_matches('/')) {
            text.push_str(&format!("Signed-By: {key}\n"));
        }
        text.push('\n');
    }
    Ok(text)
}

/// The archives with a `main` component in the machine's configuration, whether their lists were fetched or not.
fn configured_archives() -> Result<Vec<Archive>> {
    let listed = run(Command::new("apt-get").env("LC_ALL", "C").args([
        "indextargets",
        "--no-release-info",
        "--format",
        "$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(IDENTIFIER)",
    ]))
    .map_err(|error| match error {
        Error::Missing(_) => Error::Missing(
            "there is no apt on this machine to fetch servers with; give one of yours with --server PATH".into(),
        ),
        other => other,
    })?;
    let mut archives: Vec<Archive> = listed
        .lines()
        .filter_map(|line| {
            let mut fields = line.split('|');
            let (uri, release) = (fields.next()?, fields.next()?);
            (fields.next()? == "main" && fields.next()? == "Packages").then(|| Archive {
                uri: uri.to_owned(),
                release: release.to_owned(),
            })
        })
        .collect();
    archives.sort();
    archives.dedup();
    Ok(archives)
}

/// Which key signs which archive, as the machine's sources say it.
fn configured_keys() -> BTreeMap<String, String> {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    if let Ok(entries) = fs::read_dir("/etc/apt/sources.list.d") {
        files.extend(entries.flatten().map(|entry| entry.path()));
    }
    files
        .iter()
        .filter_map(|file| fs::read_to_string(file).ok())
        .flat_map(|text| keys_in(&text))
        .collect()
}

/// The keys in one sources file, of the old form (one line each) or the new one (paragraphs).
fn keys_in(text: &str) -> BTreeMap<String, String> {
    let mut keys = BTreeMap::new();
    for line in text.lines() {
        let Some(rest) = line.trim().strip_prefix("deb ") else {
            continue;
        };
        let Some((options, rest)) = rest
            .trim_start()
            .strip_prefix('[')
            .and_then(|rest| rest.split_once(']'))
        else {
            continue;
        };
        let key = options
            .split_ascii_whitespace()
            .find_map(|option| option.strip_prefix("signed-by="));
        if let (Some(key), Some(uri)) = (key, rest.split_ascii_whitespace().next()) {
            keys.insert(uri.trim_end_matches('/').to_owned(), key.to_owned());
        }
    }
    for paragraph in text.split("\n\n") {
        let field = |name: &str| {
            paragraph.lines().find_map(|line| {
                let (key, value) = line.split_once(':')?;
                key.eq_ignore_ascii_case(name).then(|| value.trim())
            })
        };
        if let (Some(uris), Some(key)) = (field("URIs"), field("Signed-By")) {
            // A key may also stand in the file itself, over many lines; such an archive is left to apt's own key ring.
            if key.starts_with('/') {
                for uri in uris.split_ascii_whitespace() {
                    keys.insert(uri.trim_end_matches('/').to_owned(), key.to_owned());
                }
            }
        }
    }
    keys
}

fn host_codename() -> Option<String> {
    let text = fs::read_to_string("/etc/os-release").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="))?;
    Some(line.trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_sources_give_their_keys() {
        let old = "deb [arch=amd64 signed-by=/k/a.gpg] http://one.example/debian/ stable main\ndeb http://two.example/ x main\n";
        assert_eq!(
            keys_in(old),
            BTreeMap::from([("http://one.example/debian".into(), "/k/a.gpg".into())])
        );
        let new = "# comment\nTypes: deb\nURIs: http://three.example/debian\nSuites: a b\nSigned-By: /k/b.gpg\n\nTypes: deb\nURIs: http://four.example\nSigned-By:\n -----BEGIN\n";
        assert_eq!(
            keys_in(new),
            BTreeMap::from([("http://three.example/debian".into(), "/k/b.gpg".into())])
        );
    }

    #[test]
    fn what_apt_says_becomes_a_sentence() {
        let no_network = explain(
            "W: Failed to fetch http://x  Temporary failure resolving 'x'",
            "0",
        );
        assert!(no_network.is_missing() && no_network.to_string().contains("no network"));
        let broken = explain(
            "E: Unable to correct problems, you have held broken packages.",
            "100",
        );
        assert!(broken.is_missing() && broken.to_string().contains("today"));
        let full = explain("E: You don't have enough free space in /x.", "100");
        assert!(full.to_string().contains("disk is full"));
        assert!(!explain("E: something else", "100").is_missing());
    }

    #[test]
    fn progress_lines_are_read() {
        assert_eq!(
            progress_of("dlstatus:3:41.5:Retrieving file 3 of 9"),
            Some(41.5)
        );
        assert_eq!(progress_of("Get:1 http://x"), None);
    }
}
