//! The unix socket that the plugin connects to: made so that nobody else can use it and nobody's is taken away.
//!
//! The socket is bound under another name, gets its mode and group there, and is then renamed into place: there is no
//! moment in which the path leads nowhere or to a socket with other permissions.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use tokio::net::UnixListener;

use super::access::{gid_of, group_of_first};
use super::limits::SOCKET_PATH_BYTES_MAX;

/// Why the socket could not be made; each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// The path does not fit into a socket address.
    #[error(
        "the socket path {path} has {bytes} bytes; the system allows {SOCKET_PATH_BYTES_MAX}: choose a shorter one"
    )]
    PathTooLong {
        /// The path.
        path: PathBuf,
        /// Its length.
        bytes: usize,
    },
    /// The path has no folder.
    #[error("the socket path {0} is not absolute: write it from / on")]
    NotAbsolute(PathBuf),
    /// Others may replace files in the folder.
    #[error(
        "others than root and the agent's user may write to {folder} (owner {uid}, mode {mode:o}): a stranger could take the socket's place; give it to the agent's user with mode 0755"
    )]
    UnsafeFolder {
        /// The folder.
        folder: PathBuf,
        /// Its owner.
        uid: u32,
        /// Its permission bits.
        mode: u32,
    },
    /// Something that is no socket has the path.
    #[error("{0} exists and is no socket: remove it or choose another path")]
    NotASocket(PathBuf),
    /// Another program listens.
    #[error("another program already listens on {0}; stop it first (is another agent running?)")]
    InUse(PathBuf),
    /// The group is unknown.
    #[error("the system knows no group {0}: correct the configured group of the socket")]
    UnknownGroup(String),
    /// The group cannot be given.
    #[error(
        "the socket cannot be given to group {gid}: {source}; run the agent as root or put its user into that group"
    )]
    Group {
        /// The group.
        gid: u32,
        /// What the system said.
        source: io::Error,
    },
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

/// A listening socket at its place. Dropping it removes the file, if it is still ours.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) listener: UnixListener,
    path: PathBuf,
    /// Device and inode of our socket file.
    file: (u64, u64),
    /// Held as long as we listen: two agents cannot both find a path free.
    _lock: File,
}

/// Makes the socket at `path`, mode 0660. `group` is a name or number; without one it is the primary group of the first
/// of `users` that exists. Needs a tokio runtime.
pub(super) fn listen(
    path: &Path,
    group: Option<&str>,
    users: &[String],
) -> Result<Listener, SocketError> {
    let bytes = path.as_os_str().len();
    if bytes > SOCKET_PATH_BYTES_MAX {
        return Err(SocketError::PathTooLong {
            path: path.to_owned(),
            bytes,
        });
    }
    let folder = match path.parent() {
        Some(folder) if path.is_absolute() => folder,
        _ => return Err(SocketError::NotAbsolute(path.to_owned())),
    };
    let at = |what, path: &Path| {
        let path = path.to_owned();
        move |source| SocketError::Io { what, path, source }
    };
    check_folder(folder)?;

    let lock_path = suffixed(path, ".lock");
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&lock_path)
        .map_err(at("open", &lock_path))?;
    match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => return Err(SocketError::InUse(path.to_owned())),
        Err(error) => return Err(at("lock", &lock_path)(error.into())),
    }
    check_place(path)?;

    let building = suffixed(path, ".new");
    if building.as_os_str().len() > SOCKET_PATH_BYTES_MAX {
        return Err(SocketError::PathTooLong {
            path: path.to_owned(),
            bytes,
        });
    }
    match fs::remove_file(&building) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(at("remove", &building)(error));
        }
        _ => {}
    }
    let listener = UnixListener::bind(&building).map_err(at("listen on", &building))?;
    give_to_group(&building, group, users)?;
    fs::set_permissions(&building, Permissions::from_mode(0o660))
        .map_err(at("set the mode of", &building))?;
    let file = fs::symlink_metadata(&building).map_err(at("look at", &building))?;
    fs::rename(&building, path).map_err(at("rename the socket to", path))?;
    Ok(Listener {
        listener,
        path: path.to_owned(),
        file: (file.dev(), file.ino()),
        _lock: lock,
    })
}

impl Drop for Listener {
    fn drop(&mut self) {
        let ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|found| (found.dev(), found.ino()) == self.file);
        if ours {
            // A file that stays is found stale by the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn check_folder(folder: &Path) -> Result<(), SocketError> {
    let io = |what| {
        move |source| SocketError::Io {
            what,
            path: folder.to_owned(),
            source,
        }
    };
    if !folder.exists() {
        fs::create_dir_all(folder).map_err(io("make the folder"))?;
        fs::set_permissions(folder, Permissions::from_mode(0o755))
            .map_err(io("set the mode of"))?;
    }
    let found = fs::metadata(folder).map_err(io("look at"))?;
    let mode = found.mode() & 0o7777;
    let own = rustix::process::geteuid().as_raw();
    let owner_is_trusted = found.uid() == 0 || found.uid() == own;
    let others_may_write = mode & 0o022 != 0;
    let sticky = mode & 0o1000 != 0;
    if !owner_is_trusted || (others_may_write && !sticky) {
        return Err(SocketError::UnsafeFolder {
            folder: folder.to_owned(),
            uid: found.uid(),
            mode,
        });
    }
    Ok(())
}

/// What has the path now must be nothing, or a socket that nobody listens on any more.
fn check_place(path: &Path) -> Result<(), SocketError> {
    let found = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => {
            return Err(SocketError::Io {
                what: "look at",
                path: path.to_owned(),
                source,
            });
        }
        Ok(found) => found,
    };
    if !found.file_type().is_socket() {
        return Err(SocketError::NotASocket(path.to_owned()));
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(SocketError::InUse(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // A full backlog, for example: somebody is there.
        Err(_) => Err(SocketError::InUse(path.to_owned())),
    }
}

fn give_to_group(path: &Path, group: Option<&str>, users: &[String]) -> Result<(), SocketError> {
    let gid = match group {
        Some(name) => gid_of(name).ok_or_else(|| SocketError::UnknownGroup(name.to_owned()))?,
        None => match group_of_first(users) {
            Some(gid) => gid,
            None => return Ok(()),
        },
    };
    match std::os::unix::fs::chown(path, None, Some(gid)) {
        Ok(()) => Ok(()),
        // Nobody asked for this group: servers of our own user still reach us.
        Err(error) if group.is_none() => {
            tracing::warn!(gid, %error, "the agent's socket could not be given to the group of the server's user");
            Ok(())
        }
        Err(source) => Err(SocketError::Group { gid, source }),
    }
}

fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::super::test_data::Folder;
    use super::*;

    fn listen_here(path: &Path) -> Result<Listener, SocketError> {
        listen(path, None, &[])
    }

    #[tokio::test]
    async fn the_socket_has_its_mode_and_goes_with_its_listener() {
        let folder = Folder::new();
        let path = folder.path("agent.sock");
        let listener = listen_here(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o660);
        UnixStream::connect(&path).unwrap();
        drop(listener);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_stale_file_is_replaced_and_a_living_one_is_not() {
        let folder = Folder::new();
        let path = folder.path("agent.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "closing a listener leaves its file");
        let first = listen_here(&path).unwrap();
        assert!(matches!(listen_here(&path), Err(SocketError::InUse(_))));
        UnixStream::connect(&path).unwrap();
        drop(first);
        let _stranger = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert!(matches!(listen_here(&path), Err(SocketError::InUse(_))));
        UnixStream::connect(&path).unwrap();
    }

    #[tokio::test]
    async fn another_ones_file_is_left_alone() {
        let folder = Folder::new();
        let path = folder.path("agent.sock");
        fs::write(&path, "precious").unwrap();
        assert!(matches!(
            listen_here(&path),
            Err(SocketError::NotASocket(_))
        ));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");

        fs::remove_file(&path).unwrap();
        let listener = listen_here(&path).unwrap();
        fs::rename(&path, folder.path("moved")).unwrap();
        fs::write(&path, "put there by somebody").unwrap();
        drop(listener);
        assert!(path.exists(), "only our own socket is removed");
    }

    #[tokio::test]
    async fn a_folder_open_to_others_is_refused() {
        let folder = Folder::new();
        let open = folder.path("open");
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, Permissions::from_mode(0o777)).unwrap();
        let refused = listen_here(&open.join("agent.sock"));
        assert!(matches!(refused, Err(SocketError::UnsafeFolder { .. })));
        fs::set_permissions(&open, Permissions::from_mode(0o755)).unwrap();
        listen_here(&open.join("agent.sock")).unwrap();
    }

    #[tokio::test]
    async fn bad_paths_and_groups_are_said() {
        let folder = Folder::new();
        let long = folder.path(&"x".repeat(120));
        assert!(matches!(
            listen_here(&long),
            Err(SocketError::PathTooLong { .. })
        ));
        assert!(matches!(
            listen_here(Path::new("agent.sock")),
            Err(SocketError::NotAbsolute(_))
        ));
        let refused = listen(&folder.path("a"), Some("no-such-group-here"), &[]);
        assert!(matches!(refused, Err(SocketError::UnknownGroup(_))));
    }

    #[tokio::test]
    async fn a_missing_folder_is_made() {
        let folder = Folder::new();
        let path = folder.path("run/muster/agent.sock");
        let _listener = listen_here(&path).unwrap();
        let mode = fs::metadata(path.parent().unwrap()).unwrap().mode();
        assert_eq!(mode & 0o7777, 0o755);
    }
}
