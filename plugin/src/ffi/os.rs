//! The two calls to the operating system for which neither `std` nor `rustix` has a safe form that fits.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Runs `body` with every signal blocked on this thread, so that a thread it spawns inherits that and never takes a
/// signal meant for the server. The former mask is restored.
pub fn with_signals_blocked<T>(body: impl FnOnce() -> T) -> io::Result<T> {
    // SAFETY: a sigset_t is plain data for which all zeroes is a valid value, and sigfillset writes only into it.
    let all = unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&mut all);
        all
    };
    set_mask(&all).map(|before| {
        let restore = Restore(before);
        let result = body();
        drop(restore);
        result
    })
}

struct Restore(libc::sigset_t);

impl Drop for Restore {
    fn drop(&mut self) {
        // Cannot fail with a valid `how` and a mask that the kernel itself gave us.
        let _ = set_mask(&self.0);
    }
}

fn set_mask(new: &libc::sigset_t) -> io::Result<libc::sigset_t> {
    // SAFETY: `new` is a valid set for the duration of the call, `before` is plain data that the call fills.
    let (code, before) = unsafe {
        let mut before: libc::sigset_t = std::mem::zeroed();
        (
            libc::pthread_sigmask(libc::SIG_SETMASK, new, &mut before),
            before,
        )
    };
    match code {
        0 => Ok(before),
        code => Err(io::Error::from_raw_os_error(code)),
    }
}

/// The user that listened on the other end of a connected unix socket. (`rustix` has this with the peer's pid as a
/// non-zero number; for a peer in another pid namespace it is zero.)
pub fn peer_uid(socket: BorrowedFd<'_>) -> io::Result<u32> {
    // SAFETY: a ucred is plain data for which all zeroes is a valid value; the kernel writes at most `length` bytes
    // into it, and the descriptor is open for as long as it is borrowed.
    let (code, credentials) = unsafe {
        let mut credentials: libc::ucred = std::mem::zeroed();
        let mut length = std::mem::size_of::<libc::ucred>() as libc::socklen_t;
        let code = libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut credentials).cast(),
            &mut length,
        );
        (code, credentials)
    };
    if code == 0 {
        Ok(credentials.uid)
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    fn blocked() -> String {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        status
            .lines()
            .find(|line| line.starts_with("SigBlk:"))
            .unwrap()
            .to_owned()
    }

    #[test]
    fn a_spawned_thread_has_all_signals_blocked_and_ours_are_as_before() {
        let before = blocked();
        let child = with_signals_blocked(|| std::thread::Builder::new().spawn(blocked).unwrap())
            .unwrap()
            .join()
            .unwrap();
        assert_eq!(blocked(), before);
        // All but SIGKILL and SIGSTOP, and the two that glibc keeps for itself.
        assert_eq!(child, "SigBlk:\tfffffffe7ffbfeff");
    }

    #[test]
    fn the_peer_of_a_socket_pair_is_ourselves() {
        let (one, _two) = UnixStream::pair().unwrap();
        assert_eq!(
            peer_uid(one.as_fd()).unwrap(),
            rustix::process::geteuid().as_raw()
        );
    }
}
