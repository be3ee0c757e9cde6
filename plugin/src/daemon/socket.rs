//! The socket to the agent: opened, read and written without ever waiting.

use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, recv,
    send, socket_with,
};

use crate::ffi::os::peer_uid;

/// Bytes taken from the kernel at once.
const READ_BYTES: usize = 64 * 1024;
/// Bytes taken in one go before other work gets its turn again.
const READ_BYTES_MAX: usize = 1024 * 1024;

/// A connected socket.
#[derive(Debug)]
pub struct Socket(OwnedFd);

impl Socket {
    /// Connects to the agent's socket at `path` and checks whose it is. Never waits. The error is a sentence.
    pub fn connect(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        let fail = |error: std::io::Error| match error.kind() {
            ErrorKind::NotFound => format!(
                "there is no agent at {shown}; start the agent on this host, or set muster_agent_socket to the path of its socket"
            ),
            ErrorKind::ConnectionRefused => {
                format!(
                    "no agent listens at {shown} (the file is left over); start the agent on this host"
                )
            }
            ErrorKind::PermissionDenied => format!(
                "the user of this server may not connect to the agent at {shown}; let the agent's configuration name this user"
            ),
            ErrorKind::WouldBlock => {
                format!("the agent at {shown} accepts no connection at the moment; it may hang")
            }
            _ => format!("the agent at {shown} cannot be reached: {error}"),
        };
        let address = SocketAddrUnix::new(path).map_err(|error| {
            format!(
                "muster_agent_socket = {shown} is no usable path of a socket ({error}); it may have at most 107 bytes"
            )
        })?;
        let owner = std::fs::metadata(path).map_err(fail)?.uid();
        let socket = socket_with(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
            None,
        )
        .map_err(|error| fail(error.into()))?;
        connect(&socket, &address).map_err(|error| fail(error.into()))?;
        let uid = peer_uid(socket.as_fd()).map_err(fail)?;
        if uid != 0 && uid != owner && uid != rustix::process::geteuid().as_raw() {
            return Err(format!(
                "the program at {shown} runs as user {uid}, which is neither root, nor this server's user, nor the owner of the socket (user {owner}); it is not trusted"
            ));
        }
        Ok(Self(socket))
    }

    /// A socket that is connected already, for tests.
    #[cfg(test)]
    pub fn from_stream(stream: std::os::unix::net::UnixStream) -> Self {
        stream.set_nonblocking(true).unwrap();
        Self(stream.into())
    }

    /// Gives what has come to `take`, up to a bound. True: the peer has closed its end.
    pub fn read(&self, mut take: impl FnMut(&[u8])) -> std::io::Result<bool> {
        let mut buffer = [0; READ_BYTES];
        let mut total = 0;
        while total < READ_BYTES_MAX {
            match recv(&self.0, &mut buffer[..], RecvFlags::DONTWAIT) {
                Ok((0, _)) => return Ok(true),
                Ok((count, _)) => {
                    take(&buffer[..count]);
                    total += count;
                }
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(false)
    }

    /// Hands as much of `bytes` to the kernel as it takes now, and says how much that was.
    pub fn write(&self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut written = 0;
        while written < bytes.len() {
            match send(
                &self.0,
                &bytes[written..],
                SendFlags::DONTWAIT | SendFlags::NOSIGNAL,
            ) {
                Ok(count) => written += count,
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(written)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::fake::scratch_dir;
    use std::os::unix::net::UnixListener;

    #[test]
    fn what_keeps_us_from_connecting_is_a_sentence() {
        let dir = scratch_dir("socket");
        let path = dir.path().join("agent.sock");
        assert!(
            Socket::connect(&path)
                .unwrap_err()
                .contains("there is no agent at")
        );
        drop(UnixListener::bind(&path).unwrap());
        assert!(Socket::connect(&path).unwrap_err().contains("left over"));
        let long = dir.path().join("x".repeat(200));
        assert!(
            Socket::connect(&long)
                .unwrap_err()
                .contains("at most 107 bytes")
        );
        assert!(
            Socket::connect(dir.path()).is_err(),
            "a folder is no socket"
        );
    }

    #[test]
    fn a_listener_that_accepts_nobody_does_not_hold_us_up() {
        let dir = scratch_dir("socket");
        let path = dir.path().join("agent.sock");
        let listener = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
        rustix::net::bind(&listener, &SocketAddrUnix::new(&path).unwrap()).unwrap();
        rustix::net::listen(&listener, 1).unwrap();
        let mut open = Vec::new();
        let refused = loop {
            match Socket::connect(&path) {
                Ok(socket) => open.push(socket),
                Err(sentence) => break sentence,
            }
            assert!(open.len() < 100);
        };
        assert!(refused.contains("accepts no connection"), "{refused}");
    }

    #[test]
    fn a_full_pipe_takes_what_it_can_and_never_blocks() {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let ours = Socket::from_stream(ours);
        let big = vec![7; 8 << 20];
        let written = ours.write(&big).unwrap();
        assert!(written > 0 && written < big.len());
        assert_eq!(ours.write(&big).unwrap(), 0);
        drop(theirs);
        assert!(ours.write(&big).is_err(), "no signal, an error");
    }
}
