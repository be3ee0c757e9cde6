//! Programs, libraries and headers that tests and builds want, from the cache: never installed into the system.
//!
//! These functions block, for seconds where they fetch.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::cache::Cache;
use crate::error::{Error, Result};
use crate::packages::{self, Freshness, PackageSet, SetSpec, Suite, fetch_package_set};
use crate::process::run;
use crate::progress::Step;

/// The packet filter's `nft`: the machine's own where it has one.
pub fn nft(cache: &Cache) -> Result<PathBuf> {
    if let Some(path) = on_path("nft") {
        return Ok(path);
    }
    Ok(fetch_package_set(cache, "nftables", &["nftables"], Suite::Host)?.path("usr/sbin/nft"))
}

/// `sysbench` with its scripts.
#[derive(Debug, Clone)]
pub struct Sysbench {
    /// The program.
    pub program: PathBuf,
    /// The folder of `oltp_read_write.lua` and the others.
    pub scripts: PathBuf,
    /// What goes into the variable `MARIADB_PLUGIN_DIR`, so that it can log in to a MySQL server.
    pub client_plugins: PathBuf,
}

/// Gets sysbench.
pub fn sysbench(cache: &Cache) -> Result<Sysbench> {
    let set = fetch_package_set(cache, "sysbench", &["sysbench"], Suite::Host)?;
    let client_plugins = library_folder(&set)?.join("libmariadb3/plugin");
    Ok(Sysbench {
        program: set.path("usr/bin/sysbench"),
        scripts: set.path("usr/share/sysbench"),
        client_plugins,
    })
}

/// What bindgen needs to run where no libclang is installed.
#[derive(Debug, Clone)]
pub struct LibClang {
    /// For the variable `LIBCLANG_PATH`.
    pub library: PathBuf,
    /// For the variable `BINDGEN_EXTRA_CLANG_ARGS`.
    pub arguments: String,
}

/// Gets libclang, with the compiler's own headers.
pub fn libclang(cache: &Cache) -> Result<LibClang> {
    let spec = SetSpec::new("libclang", Suite::Host, &["libclang-dev"]).without(&[
        "libobjc",
        "libclang-cpp",
        "libc6-dev",
        "linux-libc",
    ]);
    let set = packages::fetch(cache, &spec, Freshness::Any, |set| llvm(set).map(drop))?;
    let llvm = llvm(&set)?;
    let versions = llvm.join("lib/clang");
    let headers = first_folder(&versions)?.join("include");
    Ok(LibClang {
        library: llvm.join("lib"),
        arguments: format!("-isystem {}", headers.display()),
    })
}

/// `usr/lib/llvm-NN` of a set.
fn llvm(set: &PackageSet) -> Result<PathBuf> {
    let folder = set.path("usr/lib");
    entries(&folder)?
        .into_iter()
        .find(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("llvm-"))
        })
        .ok_or_else(|| {
            Error::Missing(
                "the archive's libclang is not where it was expected; bindings stay as checked in"
                    .into(),
            )
        })
}

/// The headers of the MySQL server, as the archive's source package holds them: the folder that contains `include`,
/// `sql` and `libbinlogevents` or their successors. Headers that a build would generate are not among them.
///
/// The package is large (about 430 MB to download); only its headers are kept.
pub fn mysql_headers(cache: &Cache) -> Result<(String, PathBuf)> {
    let spec = SetSpec::new("mysql-headers", Suite::Sid, &[]).and_alone(&["mysql-source"]);
    let set = packages::fetch(cache, &spec, Freshness::Any, |set| keep_headers(cache, set))?;
    Ok((set.version().to_owned(), set.derived().join("headers")))
}

fn keep_headers(cache: &Cache, set: &PackageSet) -> Result<()> {
    let step = Step::begin("taking MySQL's headers");
    let folder = set.path("usr/src/mysql");
    let archive = entries(&folder)?
        .into_iter()
        .find(|path| path.to_string_lossy().contains(".tar."))
        .ok_or_else(|| {
            Error::Missing(
                "the archive's mysql-source holds no source this time; headers are not compared"
                    .into(),
            )
        })?;
    let staging = cache.staging()?;
    run(Command::new("tar")
        .args(["--extract", "--strip-components=1", "--wildcards"])
        .arg("--file")
        .arg(&archive)
        .arg("--directory")
        .arg(staging.path())
        .args([
            "*/include/*",
            "*/sql/*.h",
            "*/libs/*.h",
            "*/libs/*.hpp",
            "*/sql-common/*.h",
            "*/vector-common/*.h",
            "*/MYSQL_VERSION",
            "*/configure.cmake",
            "*.h.cmake",
            "*.h.in",
        ]))?;
    staging.put(&set.derived().join("headers"))?;
    fs::remove_file(&archive).map_err(Error::io("remove", &archive))?;
    step.end(set.version());
    Ok(())
}

/// The headers of the MariaDB server for plugins: the folder that contains `mysql/plugin.h`.
pub fn mariadb_headers(cache: &Cache) -> Result<(String, PathBuf)> {
    let spec = SetSpec::new("mariadb-headers", Suite::Host, &[])
        .and_alone(&["libmariadbd-dev", "libmariadb-dev"]);
    let set = packages::fetch(cache, &spec, Freshness::Any, |set| {
        // The package is mostly the server as a static library.
        let libraries = set.path("usr/lib");
        fs::remove_dir_all(&libraries).map_err(Error::io("remove", &libraries))
    })?;
    Ok((
        set.version().to_owned(),
        set.path("usr/include/mariadb/server"),
    ))
}

fn library_folder(set: &PackageSet) -> Result<PathBuf> {
    entries(&set.path("usr/lib"))?
        .into_iter()
        .find(|path| path.to_string_lossy().ends_with("-linux-gnu"))
        .ok_or_else(|| {
            Error::Missing("the archive's packages hold no libraries for this machine".into())
        })
}

fn first_folder(folder: &Path) -> Result<PathBuf> {
    entries(folder)?
        .into_iter()
        .find(|path| path.is_dir())
        .ok_or_else(|| {
            Error::Missing(format!(
                "{} is empty; remove the cache folder and start again",
                folder.display()
            ))
        })
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(Error::io("read", folder))? {
        found.push(entry.map_err(Error::io("read", folder))?.path());
    }
    found.sort();
    Ok(found)
}

/// A program that the machine already has.
#[must_use]
pub fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    // What belongs to root is not on everybody's path.
    folders.extend(["/usr/sbin", "/sbin"].map(PathBuf::from));
    folders
        .into_iter()
        .map(|folder| folder.join(name))
        .find(|candidate| {
            candidate.is_file()
                && Command::new(candidate)
                    .arg("--version")
                    .stdin(Stdio::null())
                    .output()
                    .is_ok_and(|output| output.status.success())
        })
}
