//! The daemon's threads: named, deaf to signals, their panics caught and logged, joined within a bound.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use crate::ffi::os::with_signals_blocked;
use crate::server::{Level, ServerApi};

/// Enough for a statement inside the server, which itself counts on 1 MiB (`thread_stack`), and for deep JSON.
const STACK_BYTES: usize = 4 * 1024 * 1024;

/// A running thread of the daemon.
#[derive(Debug)]
pub struct Worker {
    name: &'static str,
    handle: JoinHandle<()>,
}

impl Worker {
    /// Starts `body` under `name` (at most 15 bytes, the kernel's limit). When it panics the server's error log says
    /// so, and `after_panic` runs.
    pub fn spawn(
        name: &'static str,
        server: &'static dyn ServerApi,
        body: impl FnOnce() + Send + 'static,
        after_panic: impl FnOnce() + Send + 'static,
    ) -> Result<Self, String> {
        debug_assert!(name.len() <= 15);
        let guarded = move || {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(body)) {
                let what = panic_text(&*panic);
                let sentence = format!(
                    "the thread {name} of the Muster plugin ended by a panic ({what}); the server is not harmed; reinstall the plugin to start it again"
                );
                let _ = catch_unwind(AssertUnwindSafe(|| server.log(Level::Error, &sentence)));
                let _ = catch_unwind(AssertUnwindSafe(after_panic));
            }
        };
        let spawned = with_signals_blocked(|| {
            Builder::new()
                .name(name.to_owned())
                .stack_size(STACK_BYTES)
                .spawn(guarded)
        });
        match spawned {
            Ok(Ok(handle)) => Ok(Self { name, handle }),
            Ok(Err(error)) | Err(error) => {
                Err(format!("the thread {name} could not be started: {error}"))
            }
        }
    }

    /// The thread's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// It has ended.
    pub fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }

    /// Waits for its end until `deadline`; gives the worker back if it is still running then.
    pub fn join_until(self, deadline: Instant) -> Result<(), Self> {
        let mut pause = Duration::from_micros(100);
        while !self.handle.is_finished() {
            if Instant::now() >= deadline {
                return Err(self);
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(5));
        }
        // Its panic, if any, was caught and logged inside.
        let _ = self.handle.join();
        Ok(())
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no text")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::fake::FakeServer;
    use std::sync::mpsc::channel;

    #[test]
    fn a_panic_is_caught_and_logged_and_followed_up() {
        let server = FakeServer::serving();
        let (sender, receiver) = channel();
        let worker = Worker::spawn(
            "muster-test",
            server,
            || panic!("on purpose {}", 7),
            move || sender.send(()).unwrap(),
        )
        .unwrap();
        receiver.recv_timeout(Duration::from_secs(10)).unwrap();
        worker
            .join_until(Instant::now() + Duration::from_secs(10))
            .unwrap();
        let lines = server.log_lines();
        assert!(
            lines[0].contains("muster-test") && lines[0].contains("on purpose 7"),
            "{lines:?}"
        );
    }

    #[test]
    fn a_thread_that_does_not_end_is_given_back_in_time() {
        let (sender, receiver) = channel::<()>();
        let worker = Worker::spawn(
            "muster-test",
            FakeServer::serving(),
            move || assert!(receiver.recv().is_err()),
            || (),
        )
        .unwrap();
        let worker = worker
            .join_until(Instant::now() + Duration::from_millis(20))
            .unwrap_err();
        assert!(!worker.is_finished());
        drop(sender);
        worker
            .join_until(Instant::now() + Duration::from_secs(10))
            .unwrap();
    }
}
