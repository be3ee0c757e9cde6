//! Whether the `muster.so` on disk is the one that the server has loaded.
//!
//! The plugin is linked so that it stays in the server's memory until the server's end; a file replaced under it takes
//! effect only at the next start. The loaded build says its id in Hello, and every build holds its own id as text, so
//! a file that does not hold the loaded id is another build.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::limits::PLUGIN_FILE_BYTES_MAX;

/// Shortest build id that can be told from chance.
const BUILD_CHARS_MIN: usize = 8;

/// What to say when they differ.
pub(super) const NOTE: &str = "loaded build ≠ build on disk: restart the server";

/// A plugin's file and the build that was loaded from it.
#[derive(Debug, Clone)]
pub(super) struct BuildCheck {
    build: String,
    path: PathBuf,
    /// Device, inode, size and change time of the file at the last look, and what it found.
    last: Option<(FileState, Option<bool>)>,
}

type FileState = (u64, u64, u64, i64, i64);

impl BuildCheck {
    pub(super) fn new(build: String, path: PathBuf) -> Self {
        Self {
            build,
            path,
            last: None,
        }
    }

    /// The note, if the file holds another build; none also where the file cannot be seen from here (a container) or
    /// the loaded build has no usable id. Reads the file when it changed since the last look: blocks.
    pub(super) fn look(&mut self) -> Option<String> {
        let state = state_of(&self.path)?;
        let differs = match self.last {
            Some((before, differs)) if before == state => differs,
            _ => {
                let differs = differs(&self.path, &self.build);
                self.last = Some((state, differs));
                differs
            }
        };
        (differs == Some(true)).then(|| NOTE.to_owned())
    }
}

fn state_of(path: &Path) -> Option<FileState> {
    let found = std::fs::metadata(path).ok()?;
    let state = (
        found.dev(),
        found.ino(),
        found.size(),
        found.ctime(),
        found.ctime_nsec(),
    );
    found.is_file().then_some(state)
}

/// None = cannot be told.
fn differs(path: &Path, build: &str) -> Option<bool> {
    if build.len() < BUILD_CHARS_MIN {
        return None;
    }
    // The path came from the plugin: never hang in a pipe or read a device that somebody put there.
    let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).ok()?;
    let file = File::options()
        .read(true)
        .custom_flags(nonblocking)
        .open(path)
        .ok()?;
    let found = file.metadata().ok()?;
    if !found.is_file() || found.len() > PLUGIN_FILE_BYTES_MAX {
        return None;
    }
    holds(file.take(PLUGIN_FILE_BYTES_MAX), build.as_bytes()).map(|holds| !holds)
}

/// Whether `needle` occurs in what `reader` gives, read in pieces.
fn holds(mut reader: impl Read, needle: &[u8]) -> Option<bool> {
    let mut buffer = vec![0; 256 * 1024 + needle.len()];
    let mut have = 0;
    loop {
        let read = reader.read(&mut buffer[have..]).ok()?;
        if read == 0 {
            return Some(false);
        }
        have += read;
        if contains(&buffer[..have], needle) {
            return Some(true);
        }
        let keep = have.min(needle.len() - 1);
        buffer.copy_within(have - keep..have, 0);
        have = keep;
    }
}

fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    let first = needle[0];
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| *byte == first) {
        if rest[at..].starts_with(needle) {
            return true;
        }
        rest = &rest[at + 1..];
    }
    false
}

#[cfg(test)]
mod tests {
    use super::super::test_data::Folder;
    use super::*;
    use std::fs;

    const BUILD: &str = "0.1.0+0123456789abcdef";

    #[test]
    fn a_replaced_file_is_noticed_and_the_right_one_is_not() {
        let folder = Folder::new();
        let path = folder.path("muster.so");
        let mut check = BuildCheck::new(BUILD.into(), path.clone());
        assert_eq!(
            check.look(),
            None,
            "a file that cannot be seen says nothing"
        );
        let mut bytes = vec![0x30; 1_000_000];
        bytes.extend(BUILD.as_bytes());
        bytes.extend(vec![7; 1_000]);
        fs::write(&path, &bytes).unwrap();
        assert_eq!(check.look(), None);
        let new = folder.path("new");
        fs::write(&new, b"0.1.0+fedcba9876543210").unwrap();
        fs::rename(&new, &path).unwrap();
        assert_eq!(check.look().as_deref(), Some(NOTE));
        fs::write(&new, &bytes).unwrap();
        fs::rename(&new, &path).unwrap();
        assert_eq!(check.look(), None);
    }

    #[test]
    fn the_id_is_found_across_the_pieces_of_reading() {
        struct Dribble<'a>(&'a [u8]);
        impl Read for Dribble<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
                let n = self.0.len().min(3).min(buffer.len());
                buffer[..n].copy_from_slice(&self.0[..n]);
                self.0 = &self.0[n..];
                Ok(n)
            }
        }
        let text = format!("xx0.1.0+01{BUILD}yy");
        assert_eq!(
            holds(Dribble(text.as_bytes()), BUILD.as_bytes()),
            Some(true)
        );
        assert_eq!(
            holds(Dribble(b"0.1.0+0123456789abcde"), BUILD.as_bytes()),
            Some(false)
        );
    }

    #[test]
    fn folders_pipes_and_empty_ids_say_nothing() {
        let folder = Folder::new();
        let inside = folder.path("x");
        fs::create_dir(&inside).unwrap();
        assert_eq!(BuildCheck::new(BUILD.into(), inside).look(), None);
        assert_eq!(
            BuildCheck::new(BUILD.into(), "/dev/zero".into()).look(),
            None
        );
        let file = folder.path("file");
        fs::write(&file, b"something").unwrap();
        assert_eq!(BuildCheck::new(String::new(), file).look(), None);
    }
}
