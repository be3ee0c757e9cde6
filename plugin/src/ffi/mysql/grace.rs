//! Waits until no thread of the server can still be where it was.
//!
//! MySQL looks for a table's plugin without holding anything: it copies a list of plugins under a lock, lets the lock
//! go, and then reads the description of one after the other. An uninstall that frees a description in between crashes
//! the server. By the time that `check_uninstall` is called the plugin is marked, so that no new list holds it; what
//! remains are threads that copied theirs before. Reading such a list takes microseconds and never sleeps but on the
//! lock, behind which it looks at the marks again. So a thread is past it once it was seen asleep, or has run for much
//! longer than that, or is gone.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use crate::ffi::clock;

/// Time on a processor after which a thread has left any such list behind.
const RUN_NS: u64 = 500_000;
/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(1);

/// A thread that has not been seen past its list yet.
struct Waiting {
    id: u32,
    /// Time on a processor when the wait began.
    ran_ns: u64,
}

impl Waiting {
    fn is_past(&self) -> bool {
        let Some(ran_ns) = clock::thread_ran_ns(self.id) else {
            return true;
        };
        if ran_ns.saturating_sub(self.ran_ns) >= RUN_NS {
            return true;
        }
        let Ok(stat) = fs::read_to_string(format!("/proc/self/task/{}/stat", self.id)) else {
            return true;
        };
        // The name is in parentheses and may hold anything; the state is the first letter after it.
        let state = stat
            .rsplit_once(") ")
            .and_then(|(_, rest)| rest.chars().next());
        matches!(state, Some('S' | 'Z' | 'X'))
    }
}

/// Returns when every other thread of this process that ran at the call has been seen past, at most `limit` later.
///
/// # Errors
/// A sentence, when a thread neither slept nor ran in that time, or threads cannot be seen at all.
pub fn wait(limit: Duration) -> Result<(), String> {
    let begun = Instant::now();
    let unseen = |error: std::io::Error| {
        format!("the threads of the server cannot be seen in /proc ({error})")
    };
    let own = fs::read_link("/proc/thread-self").map_err(unseen)?;
    let own = own.file_name().map(|name| name.to_owned());
    let mut waiting: Vec<Waiting> = fs::read_dir("/proc/self/task")
        .map_err(unseen)?
        .flatten()
        .map(|task| task.file_name())
        .filter(|name| Some(name) != own.as_ref())
        .filter_map(|name| {
            let id = name.to_str()?.parse().ok()?;
            // Gone already, or its time: nothing else can be refused for a thread of ours.
            let ran_ns = clock::thread_ran_ns(id)?;
            Some(Waiting { id, ran_ns })
        })
        .collect();
    loop {
        waiting.retain(|thread| !thread.is_past());
        if waiting.is_empty() {
            return Ok(());
        }
        if begun.elapsed() >= limit {
            return Err(format!(
                "{} threads of the server neither slept nor ran for {} ms; try again when it is less busy",
                waiting.len(),
                limit.as_millis()
            ));
        }
        thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn sleeping_and_busy_threads_are_both_past_soon() {
        let stop = Arc::new(AtomicBool::new(false));
        let threads: Vec<_> = [false, true]
            .map(|busy| {
                let stop = Arc::clone(&stop);
                thread::Builder::new()
                    .name("grace-test".into())
                    .spawn(move || {
                        while !stop.load(Ordering::Relaxed) {
                            if !busy {
                                thread::sleep(Duration::from_millis(1));
                            }
                        }
                    })
                    .unwrap()
            })
            .into();
        let result = wait(Duration::from_secs(20));
        stop.store(true, Ordering::Relaxed);
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(result, Ok(()));
    }
}
