//! Waking a thread that sleeps in `poll`.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

/// A bell: rung by any thread, heard by the one that polls it. Ringing twice before it is heard rings once.
#[derive(Debug)]
pub struct Bell(OwnedFd);

impl Bell {
    /// A bell that has not been rung.
    pub fn new() -> io::Result<Self> {
        Ok(Self(eventfd(
            0,
            EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK,
        )?))
    }

    /// Wakes the listener. Never blocks; it can only fail when the bell is already ringing loudly.
    pub fn ring(&self) {
        let _ = rustix::io::write(&self.0, &1u64.to_ne_bytes());
    }

    /// Forgets all rings so far; true if there was one.
    pub fn hush(&self) -> bool {
        rustix::io::read(&self.0, &mut [0; 8]).is_ok()
    }

    /// Sleeps until the bell rings (true) or the time is over (false).
    pub fn wait(&self, longest: Duration) -> bool {
        let _ = wait_any(&mut [PollFd::new(&self.0, PollFlags::IN)], longest);
        self.hush()
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// `poll` with a bound: how many are ready. An interruption counts as the end of the wait.
pub fn wait_any(fds: &mut [PollFd<'_>], longest: Duration) -> io::Result<usize> {
    let bound = Timespec {
        tv_sec: i64::try_from(longest.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(longest.subsec_nanos()),
    };
    match poll(fds, Some(&bound)) {
        Ok(ready) => Ok(ready),
        Err(rustix::io::Errno::INTR) => Ok(0),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_before_or_during_the_wait_ends_it() {
        let bell = Bell::new().unwrap();
        assert!(!bell.wait(Duration::from_millis(1)));
        bell.ring();
        bell.ring();
        assert!(bell.wait(Duration::from_secs(60)));
        assert!(!bell.hush(), "two rings are heard once");
        std::thread::scope(|scope| {
            scope.spawn(|| bell.ring());
            assert!(bell.wait(Duration::from_secs(60)));
        });
    }
}
