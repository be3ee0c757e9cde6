//! An agent that shows exactly the picture that a test wants, on a unix socket. It speaks the link well; how the plugin
//! takes bad peers is tested beside its daemon.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use muster_link::frame::{Decoder, encode};
use muster_link::limits::{FRAME_BYTES_MAX, PROTOCOL_MAX};
use muster_link::message::{ToAgent, ToPlugin};
use muster_link::view::{EventRow, Observed, View};

/// What the agent shows of the cluster.
#[derive(Debug, Clone, Default)]
pub struct Picture {
    /// Ordered facts.
    pub view: View,
    /// Observed facts, sent every [`PUSH_EVERY`].
    pub observed: Observed,
    /// Events, sent as a whole.
    pub events: Vec<EventRow>,
}

/// Pause between two pushes.
pub const PUSH_EVERY: Duration = Duration::from_millis(50);

#[derive(Debug)]
struct Shared {
    picture: Mutex<(u64, Picture)>,
    received: Mutex<Vec<ToAgent>>,
    accepted: AtomicU64,
    generation: AtomicU64,
    stop: AtomicBool,
}

/// A listening agent; dropping it closes everything and removes the socket.
#[derive(Debug)]
pub struct FakeAgent {
    path: PathBuf,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl FakeAgent {
    /// Listens at `path`, in place of whatever is there.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub fn listen(path: &Path, picture: Picture) -> std::io::Result<Self> {
        let _ = std::fs::remove_file(path);
        let listener = UnixListener::bind(path)?;
        listener.set_nonblocking(true)?;
        let shared = Arc::new(Shared {
            picture: Mutex::new((1, picture)),
            received: Mutex::new(Vec::new()),
            accepted: AtomicU64::new(0),
            generation: AtomicU64::new(0),
            stop: AtomicBool::new(false),
        });
        let for_thread = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("fake-agent".into())
            .spawn(move || accept(&listener, &for_thread))?;
        Ok(Self {
            path: path.to_path_buf(),
            shared,
            thread: Some(thread),
        })
    }

    /// From now on: another picture, pushed at once.
    pub fn show(&self, picture: Picture) {
        let mut current = lock(&self.shared.picture);
        *current = (current.0 + 1, picture);
    }

    /// Closes the present connections.
    pub fn hang_up(&self) {
        self.shared.generation.fetch_add(1, Ordering::SeqCst);
    }

    /// Connections accepted so far.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// Everything that came so far, oldest first.
    #[must_use]
    pub fn received(&self) -> Vec<ToAgent> {
        lock(&self.shared.received).clone()
    }
}

impl Drop for FakeAgent {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let _ = std::fs::remove_file(&self.path);
    }
}

fn accept(listener: &UnixListener, shared: &Arc<Shared>) {
    let mut connections = Vec::new();
    while !shared.stop.load(Ordering::SeqCst) {
        match listener.accept() {
            Ok((stream, _)) => {
                shared.accepted.fetch_add(1, Ordering::SeqCst);
                let shared = Arc::clone(shared);
                let serving =
                    thread::Builder::new()
                        .name("fake-agent-link".into())
                        .spawn(move || {
                            // Whatever ends a connection is the plugin's business, and the test sees it there.
                            let _ = serve(stream, &shared);
                        });
                connections.extend(serving);
            }
            Err(_) => thread::sleep(Duration::from_millis(2)),
        }
    }
    for connection in connections {
        let _ = connection.join();
    }
}

fn serve(mut stream: UnixStream, shared: &Shared) -> std::io::Result<()> {
    let generation = shared.generation.load(Ordering::SeqCst);
    let over = || {
        shared.stop.load(Ordering::SeqCst) || shared.generation.load(Ordering::SeqCst) != generation
    };
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(Duration::from_millis(5)))?;
    stream.set_write_timeout(Some(Duration::from_secs(2)))?;
    let mut decoder = Decoder::<ToAgent>::new(FRAME_BYTES_MAX);
    let mut greeted = false;
    let mut version_sent = 0;
    let mut pushed = None::<Instant>;
    let mut buffer = vec![0; 64 * 1024];
    while !over() {
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => decoder.push(&buffer[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => return Err(error),
        }
        while let Ok(Some(message)) = decoder.next() {
            if matches!(message, ToAgent::Hello { .. }) && !greeted {
                greeted = true;
                send(&mut stream, &[welcome()])?;
            }
            lock(&shared.received).push(message);
        }
        if !greeted {
            continue;
        }
        let (version, picture) = lock(&shared.picture).clone();
        if version != version_sent {
            version_sent = version;
            send(
                &mut stream,
                &[
                    // The view last: when it shows, the rest is there too.
                    ToPlugin::Observed {
                        observed: picture.observed,
                    },
                    ToPlugin::Events {
                        reset: true,
                        events: picture.events,
                    },
                    ToPlugin::View { view: picture.view },
                ],
            )?;
            pushed = Some(Instant::now());
        } else if pushed.is_none_or(|at| at.elapsed() >= PUSH_EVERY) {
            send(
                &mut stream,
                &[ToPlugin::Observed {
                    observed: picture.observed,
                }],
            )?;
            pushed = Some(Instant::now());
        }
    }
    Ok(())
}

/// The message that accepts a plugin.
#[must_use]
pub fn welcome() -> ToPlugin {
    ToPlugin::Welcome {
        protocol: PROTOCOL_MAX,
        agent_version: "0.0.0-fake".into(),
        agent_name: "fake".into(),
    }
}

/// Messages as they travel.
///
/// # Panics
/// When a message is too long for a frame.
#[must_use]
pub fn frames(messages: &[ToPlugin]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for message in messages {
        encode(message, FRAME_BYTES_MAX, &mut bytes).expect("a test's message fits a frame");
    }
    bytes
}

fn send(stream: &mut UnixStream, messages: &[ToPlugin]) -> std::io::Result<()> {
    stream.write_all(&frames(messages))
}
