//! Sets of Debian packages, unpacked into the cache and made to run from there.
//!
//! A set is `sets/NAME/VERSION/root`, and `sets/NAME/current` links to the newest one that proved to work. A newer one
//! is fetched only when asked for, and takes the link only when its check succeeds: what worked yesterday works today.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::apt::Apt;
use crate::cache::Cache;
use crate::error::{Error, Result};
use crate::process::run;
use crate::progress::{Step, say};
use crate::relocate;

/// Where packages come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suite {
    /// The Debian release that this machine runs, with its updates.
    Host,
    /// Debian's rolling suite.
    Sid,
}

/// What to fetch.
#[derive(Debug, Clone)]
pub struct SetSpec {
    /// Its name in the cache; file-name characters only.
    pub name: String,
    /// Where from.
    pub suite: Suite,
    /// Packages that are fetched with everything that they depend on. The first one names the set's version.
    pub packages: Vec<String>,
    /// Packages that are fetched without what they depend on.
    pub alone: Vec<String>,
    /// Name prefixes of packages that are depended on and not needed here.
    pub without: Vec<String>,
}

impl SetSpec {
    /// A set of `packages` with their dependencies.
    #[must_use]
    pub fn new(name: &str, suite: Suite, packages: &[&str]) -> Self {
        Self {
            name: name.to_owned(),
            suite,
            packages: owned(packages),
            alone: Vec::new(),
            without: Vec::new(),
        }
    }

    /// Adds packages without their dependencies.
    #[must_use]
    pub fn and_alone(mut self, packages: &[&str]) -> Self {
        self.alone = owned(packages);
        self
    }

    /// Leaves out packages whose names begin so.
    #[must_use]
    pub fn without(mut self, prefixes: &[&str]) -> Self {
        self.without = owned(prefixes);
        self
    }
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// An unpacked set.
#[derive(Debug, Clone)]
pub struct PackageSet {
    root: PathBuf,
    facts: Facts,
}

/// What is remembered beside `root`.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Facts {
    /// The version of the set's first package.
    version: String,
    /// Every package with its version.
    packages: BTreeMap<String, String>,
    /// The folder for which the programs' loader and library paths were written.
    relocated_to: PathBuf,
}

impl PackageSet {
    /// The folder into which the packages were unpacked.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A file or folder in it, such as `usr/bin/sysbench`.
    #[must_use]
    pub fn path(&self, inside: &str) -> PathBuf {
        self.root.join(inside)
    }

    /// The version of its first package.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.facts.version
    }

    /// Every package in it, with its version.
    #[must_use]
    pub fn packages(&self) -> &BTreeMap<String, String> {
        &self.facts.packages
    }

    /// A folder beside `root` for what is derived from the set, such as an initialised data directory.
    #[must_use]
    pub fn derived(&self) -> PathBuf {
        self.root.parent().unwrap_or(&self.root).join("derived")
    }

    fn load(folder: &Path) -> Option<Self> {
        let folder = folder.canonicalize().ok()?;
        let facts = fs::read(folder.join("set.json")).ok()?;
        let facts = serde_json::from_slice(&facts).ok()?;
        Some(Self {
            root: folder.join("root"),
            facts,
        })
    }
}

/// Gives a set of packages from the cache, and fetches it first where it is not there.
///
/// This blocks, for seconds where it fetches; in async code use `tokio::task::spawn_blocking`.
pub fn fetch_package_set(
    cache: &Cache,
    name: &str,
    packages: &[&str],
    suite: Suite,
) -> Result<PackageSet> {
    fetch(
        cache,
        &SetSpec::new(name, suite, packages),
        Freshness::Any,
        |_| Ok(()),
    )
}

/// Whether a set that is in the cache is good enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// Any that worked.
    Any,
    /// What the archive holds now; the last that worked only where that fails.
    Newest,
}

/// As [`fetch_package_set`], with a check that a newly fetched set must pass before it is ever used.
pub fn fetch(
    cache: &Cache,
    spec: &SetSpec,
    freshness: Freshness,
    check: impl Fn(&PackageSet) -> Result<()>,
) -> Result<PackageSet> {
    let folder = cache.root().join("sets").join(&spec.name);
    let current = folder.join("current");
    let _lock = cache.lock(&spec.name)?;
    let cached = PackageSet::load(&current).map(in_its_place).transpose()?;
    match (cached, freshness) {
        (Some(set), Freshness::Any) => Ok(set),
        (cached, _) => match fetch_newest(cache, spec, &folder, &check) {
            Ok(set) => {
                point_to(&current, &set)?;
                Ok(set)
            }
            Err(error) => {
                let Some(set) = cached else { return Err(error) };
                say(&format!(
                    "  keeping {} {}, the last that worked: {error}",
                    spec.name,
                    set.version()
                ));
                Ok(set)
            }
        },
    }
}

fn fetch_newest(
    cache: &Cache,
    spec: &SetSpec,
    folder: &Path,
    check: &impl Fn(&PackageSet) -> Result<()>,
) -> Result<PackageSet> {
    let step = Step::begin(format!("fetching {}", spec.name));
    let staging = cache.staging()?;
    let private = staging.path().join("apt");
    let mut packages = spec.packages.clone();
    packages.push("patchelf".to_owned());
    let debs = Apt::prepare(&private, spec.suite)?.download(&packages, &spec.alone, &step)?;
    step.end(&format!("{} packages", debs.len()));

    let step = Step::begin(format!("unpacking {}", spec.name));
    let root = staging.path().join("root");
    fs::create_dir_all(&root).map_err(Error::io("create", &root))?;
    let mut versions = BTreeMap::new();
    for deb in &debs {
        let fields = run(Command::new("dpkg-deb")
            .arg("--show")
            .args(["--showformat", "${Package}\t${Version}"])
            .arg(deb))?;
        let (name, version) = fields
            .trim()
            .split_once('\t')
            .unwrap_or((fields.trim(), "unknown"));
        versions.insert(name.to_owned(), version.to_owned());
    }
    let version = spec
        .packages
        .first()
        .or(spec.alone.first())
        .and_then(|first| versions.get(first))
        .cloned()
        .unwrap_or_else(|| "unknown".to_owned());
    fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    let folder = folder
        .canonicalize()
        .map_err(Error::io("resolve", folder))?;
    let mut target = folder.join(version.replace([':', '/'], "_"));
    // A folder that is there may be in use by a running server: it is taken as it is, or another name is.
    for number in 1.. {
        match PackageSet::load(&target) {
            Some(set) if set.facts.packages == versions => {
                step.end("is the newest already");
                return in_its_place(set);
            }
            Some(_) => {
                target = folder.join(format!("{}.{number}", version.replace([':', '/'], "_")))
            }
            None => break,
        }
    }
    // What lies there without its facts never passed its check: somebody was interrupted, and nobody uses it.
    if target.exists() {
        fs::remove_dir_all(&target).map_err(Error::io("remove", &target))?;
    }
    let own_loader = relocate::needs_own_loader(versions.get("libc6").map(String::as_str));
    let done = debs.len().max(1);
    for (number, deb) in debs.iter().enumerate() {
        let name = deb
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let name = name.split('_').next().unwrap_or_default();
        let unneeded = spec
            .without
            .iter()
            .any(|prefix| name.starts_with(prefix.as_str()));
        // The host's C library and another one's loader do not mix: take all of it or nothing.
        let host_has_it =
            !own_loader && matches!(name, "libc6" | "libc-bin" | "libc-gconv-modules-extra");
        if !unneeded && !host_has_it {
            run(Command::new("dpkg-deb")
                .arg("--extract")
                .arg(deb)
                .arg(&root))?;
        }
        #[allow(clippy::cast_precision_loss)]
        step.percent(number as f64 * 100.0 / done as f64);
    }
    fs::remove_dir_all(&private).map_err(Error::io("remove", &private))?;

    relocate::relocate(&root, &target.join("root"))?;
    let facts = Facts {
        version,
        packages: versions,
        relocated_to: target.join("root"),
    };
    staging.put(&target)?;
    let set = PackageSet {
        root: target.join("root"),
        facts,
    };
    step.end(set.version());
    if let Err(error) = check(&set) {
        let _ = fs::remove_dir_all(&target);
        return Err(error);
    }
    // Last of all: a set without its facts is no set.
    write_facts(&target, &set.facts)?;
    Ok(set)
}

/// A set whose folder was moved since it was unpacked gets its programs' paths written anew.
fn in_its_place(mut set: PackageSet) -> Result<PackageSet> {
    if set.facts.relocated_to != set.root {
        relocate::relocate(&set.root, &set.root)?;
        set.facts.relocated_to = set.root.clone();
        if let Some(folder) = set.root.parent() {
            write_facts(folder, &set.facts)?;
            let _ = fs::remove_dir_all(set.derived());
        }
    }
    Ok(set)
}

fn write_facts(folder: &Path, facts: &Facts) -> Result<()> {
    let path = folder.join("set.json");
    let text = serde_json::to_vec_pretty(facts).map_err(|error| Error::Io {
        doing: "write",
        path: path.clone(),
        source: error.into(),
    })?;
    fs::write(&path, text).map_err(Error::io("write", &path))
}

/// Makes `link` point to the set, in one step.
fn point_to(link: &Path, set: &PackageSet) -> Result<()> {
    let name = set
        .root
        .parent()
        .and_then(Path::file_name)
        .unwrap_or_default();
    let new = link.with_extension("new");
    let _ = fs::remove_file(&new);
    std::os::unix::fs::symlink(name, &new).map_err(Error::io("create", &new))?;
    fs::rename(&new, link).map_err(Error::io("put in place", link))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RunDir;

    /// A cache that holds one set, as an earlier fetch left it.
    fn cache_with_a_set(dir: &RunDir) -> (Cache, PathBuf) {
        let cache = Cache::open_at(&dir.path().join("cache")).unwrap();
        let folder = cache.root().join("sets/thing/1.0");
        fs::create_dir_all(folder.join("root/usr/bin")).unwrap();
        let facts = Facts {
            version: "1.0".into(),
            packages: BTreeMap::from([("thing".into(), "1.0".into())]),
            relocated_to: folder.join("root"),
        };
        write_facts(&folder, &facts).unwrap();
        let set = PackageSet {
            root: folder.join("root"),
            facts,
        };
        point_to(&cache.root().join("sets/thing/current"), &set).unwrap();
        (cache, folder)
    }

    #[test]
    fn a_broken_archive_leaves_the_last_set_that_worked() {
        let dir = RunDir::new().unwrap();
        let (cache, folder) = cache_with_a_set(&dir);
        // Whatever fails here, a name that no archive knows or the network: the old set is given.
        let spec = SetSpec::new("thing", Suite::Host, &["no-such-package-anywhere"]);
        let set = fetch(&cache, &spec, Freshness::Newest, |_| Ok(())).unwrap();
        assert_eq!(
            (set.version(), set.root()),
            ("1.0", folder.join("root").as_path())
        );
        // Without an old one it is a sentence, and nothing stays behind.
        let spec = SetSpec::new("other", Suite::Host, &["no-such-package-anywhere"]);
        assert!(
            fetch(&cache, &spec, Freshness::Any, |_| Ok(()))
                .unwrap_err()
                .is_missing()
        );
        assert_eq!(
            fs::read_dir(cache.root().join("staging")).unwrap().count(),
            0
        );
        assert!(!cache.root().join("sets/other/current").exists());
    }

    #[test]
    fn a_moved_cache_is_noticed() {
        let dir = RunDir::new().unwrap();
        let (cache, folder) = cache_with_a_set(&dir);
        fs::create_dir_all(folder.join("derived/template")).unwrap();
        let moved = dir.path().join("moved");
        fs::rename(cache.root(), &moved).unwrap();
        let cache = Cache::open_at(&moved).unwrap();
        let set = fetch_package_set(&cache, "thing", &["thing"], Suite::Host).unwrap();
        assert_eq!(set.facts.relocated_to, set.root());
        assert!(
            !set.derived().exists(),
            "what holds the old paths must be made anew"
        );
    }
}
