//! The identity of a MariaDB server, which has no UUID of its own: a file in its data directory.
//!
//! The file is written once and never changed. Whatever else is found under its name is not repaired, because a
//! guessed identity is worse than none: the cluster would take the server for another one.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use uuid::Uuid;

/// Name of the file in the data directory.
pub const FILE_NAME: &str = "muster-member-id";
/// Longest content that is looked at.
const BYTES_MAX: u64 = 256;

/// The UUID in `datadir`, made and written down if there is none yet. The error is a sentence.
pub fn member_id(datadir: &Path) -> Result<String, String> {
    let path = datadir.join(FILE_NAME);
    let shown = path.display();
    match read(&path) {
        Ok(Some(id)) => Ok(id),
        Ok(None) => create(datadir, &path).map_err(|error| {
            format!("the identity of this server could not be written to {shown}: {error}; make the data directory writable for the server's user")
        }),
        Err(error) => Err(format!(
            "the identity of this server in {shown} cannot be used: {error}; restore the file from a backup, or delete it to let the server join as a new member"
        )),
    }
}

fn read(path: &Path) -> Result<Option<String>, String> {
    let file = match OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)
    {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let mut text = String::new();
    file.take(BYTES_MAX)
        .read_to_string(&mut text)
        .map_err(|error| error.to_string())?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    match Uuid::try_parse(line) {
        Ok(id) if id.hyphenated().to_string() == line => Ok(Some(line.to_owned())),
        _ => Err(format!(
            "it should hold one lower-case UUID and holds {:?}",
            line.chars().take(60).collect::<String>()
        )),
    }
}

fn create(datadir: &Path, path: &Path) -> Result<String, String> {
    let id = Uuid::new_v4().hyphenated().to_string();
    let draft = datadir.join(format!("{FILE_NAME}.{}.tmp", std::process::id()));
    let result = write_draft(&draft, &id).and_then(|()| {
        // Never over an existing file: whoever was first gave the identity.
        match renameat_with(CWD, &draft, CWD, path, RenameFlags::NOREPLACE) {
            Ok(()) => Ok(id.clone()),
            Err(error) => Err(std::io::Error::from(error)),
        }
    });
    if result.is_err() {
        let _ = std::fs::remove_file(&draft);
    }
    match result {
        Ok(id) => File::open(datadir)
            .and_then(|folder| folder.sync_all())
            .map(|()| id)
            .map_err(|error| error.to_string()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            read(path)?.ok_or_else(|| "it appeared and vanished again".to_owned())
        }
        Err(error) => Err(error.to_string()),
    }
}

fn write_draft(draft: &Path, id: &str) -> std::io::Result<()> {
    // A draft of ours from before a crash; the name carries our pid, so nobody else writes it now.
    match std::fs::remove_file(draft) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(draft)?;
    file.write_all(format!("{id}\n").as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::fake::scratch_dir;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_identity_is_made_once_and_stays() {
        let dir = scratch_dir("member-id");
        let id = member_id(dir.path()).unwrap();
        assert_eq!(Uuid::try_parse(&id).unwrap().get_version_num(), 4);
        assert_eq!(member_id(dir.path()).unwrap(), id);
        let mode = std::fs::metadata(dir.path().join(FILE_NAME))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(
            std::fs::read_dir(dir.path()).unwrap().count(),
            1,
            "no draft is left behind"
        );
    }

    #[test]
    fn damaged_content_is_a_sentence_and_never_overwritten() {
        for content in [
            "",
            "\n",
            "not a uuid",
            "123e4567-e89b-42d3-a456-426614174000 ",
            "123E4567-E89B-42D3-A456-426614174000",
            "\u{0}\u{0}",
        ] {
            let dir = scratch_dir("member-id");
            let path = dir.path().join(FILE_NAME);
            std::fs::write(&path, content).unwrap();
            let sentence = member_id(dir.path()).unwrap_err();
            assert!(
                sentence.contains("cannot be used") && sentence.contains("restore the file"),
                "{sentence}"
            );
            assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
        }
    }

    #[test]
    fn bytes_that_are_no_text_and_what_is_no_file_are_refused() {
        let dir = scratch_dir("member-id");
        std::fs::write(dir.path().join(FILE_NAME), [0xff; 1000]).unwrap();
        assert!(member_id(dir.path()).is_err());
        let dir = scratch_dir("member-id");
        std::os::unix::fs::symlink("/etc/hostname", dir.path().join(FILE_NAME)).unwrap();
        assert!(member_id(dir.path()).is_err());
    }

    #[test]
    fn a_folder_that_is_not_there_is_a_sentence() {
        let sentence = member_id(Path::new("/nonexistent/muster")).unwrap_err();
        assert!(sentence.contains("could not be written"), "{sentence}");
    }
}
