//! Nothing outlives us: what the lab starts or makes is registered here and undone on drop, on Ctrl-C and on SIGTERM.
//!
//! Against SIGKILL nothing in the process helps; there, child processes die by the kernel's parent-death signal
//! ([`crate::process`]), and folders and namespaces, whose names hold our pid, are swept by the next run
//! ([`crate::run_dir`]).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

type Action = Box<dyn FnOnce() + Send>;

/// What is to be undone, in the order of registration.
static PENDING: Mutex<BTreeMap<u64, Action>> = Mutex::new(BTreeMap::new());

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

fn pending() -> MutexGuard<'static, BTreeMap<u64, Action>> {
    PENDING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Undoes one thing when dropped.
#[derive(Debug)]
#[must_use = "dropping it undoes the thing at once"]
pub struct Cleanup {
    id: u64,
}

impl Cleanup {
    /// Registers `undo`, which runs once: on drop, or when the process is interrupted.
    pub fn new(undo: impl FnOnce() + Send + 'static) -> Self {
        watch_for_interrupts();
        let mut pending = pending();
        let id = pending.last_key_value().map_or(0, |(last, _)| last + 1);
        pending.insert(id, Box::new(undo));
        Self { id }
    }

    /// Leaves the thing as it is, for good.
    pub fn forget(self) {
        pending().remove(&self.id);
    }
}

impl Drop for Cleanup {
    fn drop(&mut self) {
        let action = pending().remove(&self.id);
        if let Some(action) = action {
            action();
        }
    }
}

/// Undoes everything, newest first.
pub fn all() {
    loop {
        let newest = pending().pop_last();
        match newest {
            Some((_, action)) => action(),
            None => return,
        }
    }
}

/// For the end of a program: where it was interrupted, waits until the cleaning up is done and the process ends, so that
/// nothing is said of failures that the interruption itself made.
pub fn leave_if_interrupted() {
    while INTERRUPTED.load(Ordering::SeqCst) {
        std::thread::park();
    }
}

/// Starts, once, the thread that cleans up when the process is told to end.
fn watch_for_interrupts() {
    static STARTED: OnceLock<()> = OnceLock::new();
    STARTED.get_or_init(|| {
        let spawned = std::thread::Builder::new()
            .name("lab-interrupt".into())
            .spawn(wait_for_interrupt);
        if let Err(error) = spawned {
            crate::progress::say(&format!(
                "cannot watch for Ctrl-C ({error}); stop servers by hand if you press it"
            ));
        }
    });
}

fn wait_for_interrupt() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    else {
        return;
    };
    let code = runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt()).ok()?;
        let mut terminate = signal(SignalKind::terminate()).ok()?;
        let mut hangup = signal(SignalKind::hangup()).ok()?;
        Some(tokio::select! {
            _ = interrupt.recv() => 130,
            _ = terminate.recv() => 143,
            _ = hangup.recv() => 129,
        })
    });
    if let Some(code) = code {
        INTERRUPTED.store(true, Ordering::SeqCst);
        crate::progress::say("interrupted: stopping what was started");
        all();
        std::process::exit(code);
    }
}
