//! The plugin's file: where it comes from, and how it gets into the server's plugin folder.

use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::server::limits::PLUGIN_FILE_BYTES_MAX;

/// Why there is no file, or it could not be put there.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Nothing found.
    #[error(
        "there is no muster.so in {looked}, and none in the server's plugin folder: name it with --plugin FILE"
    )]
    NotFound {
        /// Where it was looked for.
        looked: String,
    },
    /// No plugin.
    #[error("{0} is no Muster plugin: it is no shared library with a plugin declaration")]
    NotAPlugin(PathBuf),
    /// The server's folder cannot be seen from here.
    #[error(
        "the server's plugin folder {0} does not exist on this host: does the server run in a container? Put muster.so there yourself, then run the command again"
    )]
    NoFolder(PathBuf),
    /// Anything else.
    #[error("cannot {what} {path}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// What putting it there came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Put {
    /// The same bytes were there.
    Same,
    /// Nothing was there.
    New,
    /// Other bytes were there.
    Replaced,
}

/// The file to copy; none = the one at `target` serves.
pub(super) fn find(named: Option<&Path>, target: &Path) -> Result<Option<PathBuf>, FileError> {
    if let Some(named) = named {
        return Ok(Some(named.to_owned()));
    }
    let places = usual_places();
    if let Some(found) = places.iter().find(|place| place.is_file()) {
        return Ok(Some(found.clone()));
    }
    if target.is_file() {
        return Ok(None);
    }
    let looked: Vec<_> = places
        .iter()
        .map(|place| place.display().to_string())
        .collect();
    Err(FileError::NotFound {
        looked: looked.join(", "),
    })
}

/// Beside the program (a build folder calls it libmuster.so) and where packages put it.
fn usual_places() -> Vec<PathBuf> {
    let mut places = Vec::new();
    if let Ok(program) = std::env::current_exe()
        && let Some(folder) = program.parent()
    {
        places.push(folder.join("muster.so"));
        places.push(folder.join("libmuster.so"));
        places.push(folder.join("../lib/muster/muster.so"));
    }
    places.push("/usr/lib/muster/muster.so".into());
    places
}

/// Makes the file at `target` equal to `source`: by a file beside it that is renamed over it, never in place, because
/// the server has the old one mapped into its memory.
pub(super) fn put(source: &Path, target: &Path) -> Result<Put, FileError> {
    let at = |what, path: &Path| {
        let path = path.to_owned();
        move |source| FileError::Io { what, path, source }
    };
    let folder = target.parent().unwrap_or(Path::new("/"));
    if !folder.is_dir() {
        return Err(FileError::NoFolder(folder.to_owned()));
    }
    let bytes = read(source).map_err(at("read", source))?;
    if !is_plugin(&bytes) {
        return Err(FileError::NotAPlugin(source.to_owned()));
    }
    let existed = match read(target) {
        Ok(there) if there == bytes => return Ok(Put::Same),
        Ok(_) => true,
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return Err(at("read", target)(error)),
    };
    let building = folder.join(format!(".muster.so.{}", std::process::id()));
    let written = write(&building, &bytes)
        .and_then(|()| fs::rename(&building, target))
        .and_then(|()| File::open(folder)?.sync_all());
    if let Err(error) = written {
        // Whatever is left of it is of no use.
        let _ = fs::remove_file(&building);
        return Err(at("write", target)(error));
    }
    Ok(if existed { Put::Replaced } else { Put::New })
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::options().write(true).create_new(true).open(path)?;
    file.write_all(bytes)?;
    // The server's user reads it.
    file.set_permissions(Permissions::from_mode(0o644))?;
    file.sync_all()
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(PLUGIN_FILE_BYTES_MAX)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// An ELF file that holds the names by which both servers find a plugin, and ours.
fn is_plugin(bytes: &[u8]) -> bool {
    let holds = |name: &[u8]| bytes.windows(name.len()).any(|window| window == name);
    bytes.starts_with(b"\x7fELF") && holds(b"_plugin_declarations_") && holds(b"CLUSTER_MEMBERS")
}

#[cfg(test)]
mod tests {
    use super::super::super::test_data::Folder;
    use super::*;
    use std::os::unix::fs::MetadataExt;

    fn plugin(build: &str) -> Vec<u8> {
        let text = format!("_mysql_plugin_declarations_ CLUSTER_MEMBERS {build}");
        [b"\x7fELF", text.as_bytes()].concat()
    }

    #[test]
    fn it_is_copied_once_and_replaced_by_rename() {
        let folder = Folder::new();
        let (source, target) = (folder.path("build.so"), folder.path("muster.so"));
        fs::write(&source, plugin("1")).unwrap();
        assert_eq!(put(&source, &target).unwrap(), Put::New);
        assert_eq!(put(&source, &target).unwrap(), Put::Same);
        let before = fs::metadata(&target).unwrap();
        assert_eq!(before.mode() & 0o777, 0o644);
        let held = File::open(&target).unwrap();
        fs::write(&source, plugin("2")).unwrap();
        assert_eq!(put(&source, &target).unwrap(), Put::Replaced);
        assert_ne!(fs::metadata(&target).unwrap().ino(), before.ino());
        let mut old = Vec::new();
        (&held).read_to_end(&mut old).unwrap();
        assert_eq!(old, plugin("1"), "who has the old file open keeps it");
        assert_eq!(fs::read(&target).unwrap(), plugin("2"));
        let left: Vec<_> = fs::read_dir(target.parent().unwrap()).unwrap().collect();
        assert_eq!(left.len(), 2, "{left:?}");
    }

    #[test]
    fn what_is_no_plugin_is_not_copied() {
        let folder = Folder::new();
        let (source, target) = (folder.path("x"), folder.path("muster.so"));
        for bytes in [
            &b""[..],
            b"#!/bin/sh\n_mysql_plugin_declarations_ CLUSTER_MEMBERS",
            b"\x7fELF",
        ] {
            fs::write(&source, bytes).unwrap();
            assert!(matches!(
                put(&source, &target),
                Err(FileError::NotAPlugin(_))
            ));
        }
        assert!(!target.exists());
        assert!(matches!(
            put(&folder.path("nothing"), &target),
            Err(FileError::Io { .. })
        ));
        let elsewhere = folder.path("no/such/muster.so");
        assert!(matches!(
            put(&source, &elsewhere),
            Err(FileError::NoFolder(_))
        ));
    }

    #[test]
    fn what_the_server_has_serves_when_nothing_else_is_found() {
        let folder = Folder::new();
        let target = folder.path("muster.so");
        let named = folder.path("named.so");
        assert_eq!(find(Some(&named), &target).unwrap(), Some(named));
        fs::write(&target, plugin("1")).unwrap();
        if usual_places().iter().all(|place| !place.is_file()) {
            assert_eq!(find(None, &target).unwrap(), None);
            fs::remove_file(&target).unwrap();
            assert!(matches!(
                find(None, &target),
                Err(FileError::NotFound { .. })
            ));
        }
    }
}
