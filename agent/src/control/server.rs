//! The listening end: one request per connection, bounded in number, size and time.

use std::collections::HashMap;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Extension;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;
use tracing::{debug, warn};

use super::ACTION_MS_MAX;
use super::handler::Handler;
use super::permission::{Operators, Peer};
use super::routes::router;
use super::types::WAIT_MS_MAX;

/// Connections at a time from one user; root and the agent's own user are not limited.
pub const CONNECTIONS_PER_USER_MAX: usize = 16;
/// Connections at a time from all users but root and the agent's own.
pub const CONNECTIONS_MAX: usize = 128;
/// Time to send the head of a request.
const HEAD: Duration = Duration::from_secs(5);
/// Time that a connection may live: the longest action or wait, and some to send and receive.
const CONNECTION: Duration = Duration::from_millis(ACTION_MS_MAX + WAIT_MS_MAX);
/// Time that running requests get when the agent ends.
const FAREWELL: Duration = Duration::from_secs(2);
/// Everybody may look, so everybody may connect; who may act is decided by who it is.
const SOCKET_MODE: u32 = 0o666;

/// Why the socket cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody answers there.
    #[error("another agent answers at {path}: stop it, or give this one its own socket with [agent] control_socket", path = path.display())]
    InUse {
        /// Where.
        path: PathBuf,
    },
    /// There is something that we must not remove.
    #[error("{path} is there and is not a socket: move it away, or name another path with [agent] control_socket", path = path.display())]
    NotASocket {
        /// Where.
        path: PathBuf,
    },
    /// The system says no.
    #[error(
        "cannot make the control socket {path}: {source}; its folder must be there and writable for the agent \
         (systemd makes /run/muster), or name another path with [agent] control_socket",
        path = path.display()
    )]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The bound socket, ready to serve. Dropping it removes the socket.
pub struct ControlServer {
    listener: UnixListener,
    operators: Operators,
    handler: Arc<dyn Handler>,
    path: OwnPath,
}

impl ControlServer {
    /// Binds `path`, in place of a socket that nobody serves any more.
    pub async fn bind(
        path: &Path,
        operators: Operators,
        handler: Arc<dyn Handler>,
    ) -> Result<Self, BindError> {
        let failed = |source| BindError::Io {
            path: path.to_owned(),
            source,
        };
        clear(path).await?;
        let listener = UnixListener::bind(path).map_err(failed)?;
        let metadata = std::fs::symlink_metadata(path).map_err(failed)?;
        let owned = OwnPath {
            path: path.to_owned(),
            identity: (metadata.dev(), metadata.ino()),
        };
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(SOCKET_MODE))
            .map_err(failed)?;
        Ok(Self {
            listener,
            operators,
            handler,
            path: owned,
        })
    }

    /// Serves until `end` is ready; running requests then get a moment to finish.
    pub async fn serve(self, end: impl Future<Output = ()>) {
        let Self {
            listener,
            operators,
            handler,
            path,
        } = self;
        let admission = Arc::new(Admission::default());
        let router = router(handler, operators.clone());
        let mut running = JoinSet::new();
        tokio::pin!(end);
        loop {
            let accepted = tokio::select! {
                () = &mut end => break,
                Some(_) = running.join_next(), if !running.is_empty() => continue,
                accepted = listener.accept() => accepted,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(e) => {
                    // Out of descriptors or memory: what runs must end before more can begin.
                    warn!("cannot accept on the control socket: {e}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let peer = match stream.peer_cred() {
                Ok(cred) => Peer {
                    uid: cred.uid(),
                    gid: cred.gid(),
                },
                Err(e) => {
                    warn!(
                        "a control connection whose user the kernel does not tell is closed: {e}"
                    );
                    continue;
                }
            };
            let place = if operators.is_own(peer) {
                None
            } else if let Some(place) = Admission::enter(&admission, peer.uid) {
                Some(place)
            } else {
                turn_away(&stream);
                continue;
            };
            let service = TowerToHyperService::new(router.clone().layer(Extension(peer)));
            running.spawn(async move {
                let _place = place;
                let connection = hyper::server::conn::http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEAD)
                    .keep_alive(false)
                    .serve_connection(TokioIo::new(stream), service);
                match tokio::time::timeout(CONNECTION, connection).await {
                    Ok(Ok(())) => {}
                    Ok(Err(e)) => debug!("a control connection of user {} ended: {e}", peer.uid),
                    Err(_) => debug!("a control connection of user {} took too long", peer.uid),
                }
            });
        }
        drop(listener);
        drop(path);
        let all = async { while running.join_next().await.is_some() {} };
        if tokio::time::timeout(FAREWELL, all).await.is_err() {
            debug!("control requests were still running at the end");
        }
    }
}

/// Makes room for our socket: removes one that nobody serves, and nothing else.
async fn clear(path: &Path) -> Result<(), BindError> {
    let failed = |source| BindError::Io {
        path: path.to_owned(),
        source,
    };
    match std::fs::symlink_metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(failed(e)),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(BindError::NotASocket {
                path: path.to_owned(),
            });
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path).await {
        Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(failed)
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        // A full backlog answers "try again": somebody listens, if slowly.
        Err(e) if e.kind() != io::ErrorKind::WouldBlock => Err(failed(e)),
        Ok(_) | Err(_) => Err(BindError::InUse {
            path: path.to_owned(),
        }),
    }
}

/// Tells one connection too many why it is closed. Nothing waits for it: the answer fits the socket's buffer.
fn turn_away(stream: &UnixStream) {
    const BODY: &str =
        r#"{"error":"you have too many connections to this agent open: close some and try again"}"#;
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{BODY}",
        BODY.len()
    );
    if let Err(e) = stream.try_write(answer.as_bytes()) {
        debug!("a control connection too many was closed without a word: {e}");
    }
}

/// How many connections each user has.
#[derive(Default)]
struct Admission {
    by_user: Mutex<HashMap<u32, usize>>,
}

/// One connection's place; given back when dropped.
struct Place {
    admission: Arc<Admission>,
    uid: u32,
}

impl Admission {
    fn enter(admission: &Arc<Self>, uid: u32) -> Option<Place> {
        let mut by_user = admission
            .by_user
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let own = by_user.get(&uid).copied().unwrap_or_default();
        if own >= CONNECTIONS_PER_USER_MAX || by_user.values().sum::<usize>() >= CONNECTIONS_MAX {
            return None;
        }
        by_user.insert(uid, own + 1);
        Some(Place {
            admission: Arc::clone(admission),
            uid,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut by_user = self
            .admission
            .by_user
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = by_user.get_mut(&self.uid) {
            *own -= 1;
            if *own == 0 {
                by_user.remove(&self.uid);
            }
        }
    }
}

/// The path that we bound; removed at the end unless another agent has put its own socket there meanwhile.
struct OwnPath {
    path: PathBuf,
    identity: (u64, u64),
}

impl Drop for OwnPath {
    fn drop(&mut self) {
        let ours = std::fs::symlink_metadata(&self.path)
            .is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == self.identity);
        if ours && let Err(e) = std::fs::remove_file(&self.path) {
            debug!("the control socket could not be removed: {e}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_user_cannot_take_all_places() {
        let admission = Arc::new(Admission::default());
        let held: Vec<_> = (0..CONNECTIONS_PER_USER_MAX)
            .map(|_| Admission::enter(&admission, 7).unwrap())
            .collect();
        assert!(Admission::enter(&admission, 7).is_none());
        assert!(Admission::enter(&admission, 8).is_some());
        drop(held);
        assert!(Admission::enter(&admission, 7).is_some());
        assert!(admission.by_user.lock().unwrap().is_empty());
    }

    #[test]
    fn all_users_together_are_bounded() {
        let admission = Arc::new(Admission::default());
        let held: Vec<_> = (0u32..)
            .map_while(|n| Admission::enter(&admission, n / 16))
            .collect();
        assert_eq!(held.len(), CONNECTIONS_MAX);
    }
}
