//! Makes unpacked programs run from where they lie.
//!
//! A program from a newer Debian wants a newer C library than the host's. Its own one is in the set, so the set's
//! `patchelf` writes the set's loader and library folders into each program; then it runs under its own name, and
//! signals, `/proc/PID/comm` and debuggers see what they expect. Where the host's C library is new enough, only the
//! library folders are written and the host's loader stays, so that what is built on the host can be loaded.

use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Error, Result};
use crate::process::run;

/// Folders of programs, below a root.
const PROGRAMS: [&str; 4] = ["usr/bin", "usr/sbin", "bin", "sbin"];

/// Whether programs built against the set's `libc6` need that one rather than the host's.
pub(crate) fn needs_own_loader(libc6: Option<&str>) -> bool {
    let of_set = libc6.and_then(numbers);
    let of_host = run(Command::new("getconf").arg("GNU_LIBC_VERSION"))
        .ok()
        .and_then(|text| numbers(text.split_ascii_whitespace().last()?));
    match (of_set, of_host) {
        (Some(of_set), Some(of_host)) => of_set > of_host,
        // No libc in the set: nothing to choose. No glibc on the host: only the set's own can serve.
        (of_set, _) => of_set.is_some(),
    }
}

/// "2.36-9+deb12u10" is (2, 36).
fn numbers(version: &str) -> Option<(u32, u32)> {
    let upstream = version.split('-').next()?;
    let mut parts = upstream.split('.').map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??))
}

/// Writes loader and library folders into every program below `root`, for a root that will lie at `final_root`.
pub(crate) fn relocate(root: &Path, final_root: &Path) -> Result<()> {
    let patcher = Patcher::new(root, final_root)?;
    for folder in PROGRAMS {
        for path in files_in(&root.join(folder)) {
            if path != patcher.patchelf && is_program(&path) {
                patcher.patch(&path, true)?;
            }
        }
    }
    // A library that a program of the host's loads by its path must find its own libraries.
    for path in patcher.libraries.iter().flat_map(|folder| files_in(folder)) {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if name.starts_with("libclang") && name.contains(".so") {
            patcher.patch(&path, false)?;
        }
    }
    Ok(())
}

/// The set's `patchelf`, and what it is to write.
struct Patcher {
    patchelf: PathBuf,
    /// Where the libraries are while the set is being made.
    libraries: Vec<PathBuf>,
    /// The set's own loader, if it has one, now and in its final place.
    loader: Option<(PathBuf, PathBuf)>,
    rpath: OsString,
}

impl Patcher {
    fn new(root: &Path, final_root: &Path) -> Result<Self> {
        let rebased = |path: &Path| final_root.join(path.strip_prefix(root).unwrap_or(path));
        let libraries = libraries(root)?;
        let loader = loader(&libraries).map(|loader| {
            let rebased = rebased(&loader);
            (loader, rebased)
        });
        let rpath = joined(libraries.iter().map(|folder| rebased(folder)));
        Ok(Self {
            patchelf: root.join("usr/bin/patchelf"),
            libraries,
            loader,
            rpath,
        })
    }

    fn patch(&self, path: &Path, is_program: bool) -> Result<()> {
        // The program that patches is itself one of the set, and not patched.
        let here = joined(self.libraries.iter().cloned());
        let mut command = match &self.loader {
            Some((loader, _)) => {
                let mut command = Command::new(loader);
                command.arg("--library-path").arg(here).arg(&self.patchelf);
                command
            }
            None => {
                let mut command = Command::new(&self.patchelf);
                command.env("LD_LIBRARY_PATH", here);
                command
            }
        };
        if let Some((_, loader)) = self.loader.as_ref().filter(|_| is_program) {
            command.arg("--set-interpreter").arg(loader);
        }
        // RPATH rather than RUNPATH: it also holds for the libraries' own libraries and for plugins.
        command
            .arg("--force-rpath")
            .arg("--set-rpath")
            .arg(&self.rpath)
            .arg(path);
        run(&mut command)?;
        Ok(())
    }
}

/// The plain files in a folder; links to them are left as they are.
fn files_in(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let plain = entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
    plain.map(|entry| entry.path()).collect()
}

/// The folders below `root` in which shared libraries lie.
fn libraries(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for base in ["usr/lib", "lib"] {
        let base = root.join(base);
        let Ok(entries) = fs::read_dir(&base) else {
            continue;
        };
        for entry in entries {
            let path = entry.map_err(Error::io("read", &base))?.path();
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            if name.ends_with("-linux-gnu") && path.is_dir() {
                found.push(path);
            }
        }
    }
    let path = root.join("usr/lib/mysql/private");
    if path.is_dir() {
        found.push(path);
    }
    found.sort();
    // LLVM keeps its libraries in a folder of its own.
    if let Ok(entries) = fs::read_dir(root.join("usr/lib")) {
        for entry in entries.flatten() {
            let library = entry.path().join("lib");
            if entry.file_name().to_string_lossy().starts_with("llvm-") && library.is_dir() {
                found.push(library);
            }
        }
    }
    Ok(found)
}

/// The set's own loader, if its C library was unpacked.
fn loader(libraries: &[PathBuf]) -> Option<PathBuf> {
    libraries
        .iter()
        .filter_map(|folder| fs::read_dir(folder).ok())
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .find(|path| {
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            name.starts_with("ld-linux") && path.is_file()
        })
}

fn joined(folders: impl Iterator<Item = PathBuf>) -> OsString {
    let mut text = OsString::new();
    for folder in folders {
        if !text.is_empty() {
            text.push(":");
        }
        text.push(folder);
    }
    text
}

/// Whether a file is an executable that asks for a loader.
fn is_program(path: &Path) -> bool {
    let executable = path
        .metadata()
        .is_ok_and(|facts| facts.permissions().mode() & 0o111 != 0);
    let mut head = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(4096).read_to_end(&mut head));
    executable
        && read.is_ok()
        && head.starts_with(b"\x7fELF")
        && head.windows(9).any(|window| window == b"/ld-linux")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        assert_eq!(numbers("2.36-9+deb12u14"), Some((2, 36)));
        assert!(numbers("2.100") > numbers("2.43-7"));
        assert!(!needs_own_loader(Some("2.0-1")));
        assert!(needs_own_loader(Some("99.0-1")));
        assert!(!needs_own_loader(None));
    }
}
