//! One connection from its first byte to its end.
//!
//! The other end may be the plugin, an older or newer one, or any program of an allowed user: it gets a bounded time
//! and size to introduce itself, then both push. A plugin that reads nothing stops only its own connection's writing;
//! what it misses is replaced by what is newer.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use muster_link::frame::{Decoder, FrameError, encode};
use muster_link::limits::{FRAME_BYTES_MAX, HELLO_BYTES_MAX};
use muster_link::message::{ToAgent, ToPlugin};
use muster_link::version::{self, Range};
use nix::sys::socket::{getsockopt, sockopt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use super::access::Access;
use super::build_check::BuildCheck;
use super::check;
use super::limits::{ANSWER_WITHIN, BUILD_CHECK_EVERY, LINGER, READ_BYTES};
use super::outbox::{Feed, Outbox};
use super::process::Process;
use super::state::{Admitted, ConnectionId, Newcomer, State};

/// What every connection needs.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) access: Access,
    pub(super) state: State,
    pub(super) outbox: Outbox,
    pub(super) agent_name: String,
    pub(super) agent_version: String,
    pub(super) hello_within: Duration,
}

/// Why a connection ended; for the log.
#[derive(Debug, thiserror::Error)]
pub(super) enum End {
    #[error("it closed")]
    Closed,
    #[error("it closed on purpose: {0}")]
    Bye(String),
    #[error("it did not introduce itself within {0:?}")]
    Silent(Duration),
    #[error("its first message was no introduction")]
    NoHello,
    #[error("it introduced itself twice")]
    SecondHello,
    #[error("it was refused: {0}")]
    Refused(String),
    #[error("a newer connection took its place, or its process is gone")]
    Replaced,
    #[error("{0}")]
    Frame(#[from] FrameError),
    #[error("{0}")]
    Io(#[from] io::Error),
}

struct Hello {
    range: Range,
    build: String,
    plugin_path: String,
    identity: muster_link::report::Identity,
}

/// Serves `stream` until it ends. `introduced` is called once the peer no longer counts as a stranger.
pub(super) async fn serve(
    shared: Arc<Shared>,
    stream: UnixStream,
    introduced: impl FnOnce(),
) -> End {
    match run(&shared, stream, introduced).await {
        Ok(never) => match never {},
        Err(end) => end,
    }
}

async fn run(
    shared: &Arc<Shared>,
    mut stream: UnixStream,
    introduced: impl FnOnce(),
) -> Result<std::convert::Infallible, End> {
    let peer = getsockopt(&stream, sockopt::PeerCredentials).map_err(io::Error::from)?;
    let uid = peer.uid();
    // 0 where the peer lives in a pid namespace that we cannot see.
    let pid = u32::try_from(peer.pid()).unwrap_or(0);
    if !allows(shared, uid).await {
        let reason = format!(
            "the agent takes servers of the users {} only, and this one runs as uid {uid}: set server_user in the agent's configuration",
            shared.access.describe()
        );
        return Err(refuse(&mut stream, reason).await);
    }
    let process = Process::of_peer(&stream, pid, uid).map(Arc::new);

    let mut decoder = Decoder::new(HELLO_BYTES_MAX);
    let hello = tokio::time::timeout(shared.hello_within, read_hello(&mut stream, &mut decoder))
        .await
        .map_err(|_| End::Silent(shared.hello_within))??;
    let protocol = match version::negotiate(version::OURS, hello.range) {
        Ok(protocol) => protocol,
        Err(error) => {
            // The sentence is written for the one who reads it: here that is the plugin's side.
            let reason = version::negotiate(hello.range, version::OURS)
                .err()
                .unwrap_or(error)
                .to_string();
            return Err(refuse(&mut stream, reason).await);
        }
    };
    let identity = match check::identity(hello.identity) {
        Ok(identity) => identity,
        Err(error) => return Err(refuse(&mut stream, error.to_string()).await),
    };
    let build = check::build(&hello.build);
    let newcomer = Newcomer {
        identity,
        build: build.clone(),
        process,
    };
    let admitted = match shared.state.admit(newcomer) {
        Ok(admitted) => admitted,
        Err(refusal) => return Err(refuse(&mut stream, refusal.to_string()).await),
    };
    introduced();
    let id = admitted.id;
    let lost = LostOnDrop(shared, id);
    let end = converse(
        shared,
        stream,
        decoder,
        admitted,
        protocol,
        build,
        check::path(&hello.plugin_path),
    )
    .await;
    drop(lost);
    Err(end)
}

/// Says that the link is lost however its task ends.
struct LostOnDrop<'a>(&'a Shared, ConnectionId);

impl Drop for LostOnDrop<'_> {
    fn drop(&mut self) {
        self.0.state.link_lost(self.1);
    }
}

async fn converse(
    shared: &Arc<Shared>,
    mut stream: UnixStream,
    mut decoder: Decoder<ToAgent>,
    admitted: Admitted,
    protocol: u16,
    build: String,
    plugin_path: Option<std::path::PathBuf>,
) -> End {
    let welcome = ToPlugin::Welcome {
        protocol,
        agent_version: shared.agent_version.clone(),
        agent_name: shared.agent_name.clone(),
    };
    if let Err(end) = send_within(&mut stream, &welcome).await {
        return end;
    }
    decoder.set_body_bytes_max(FRAME_BYTES_MAX);
    let (from, to) = stream.into_split();
    let look = plugin_path.map(|path| BuildCheck::new(build, path));
    tokio::select! {
        end = receive(shared, from, decoder, admitted.id) => end,
        end = push(shared.outbox.subscribe(), to) => end,
        _ = admitted.replaced => End::Replaced,
        () = watch_build(shared, admitted.id, look) => End::Closed,
    }
}

async fn allows(shared: &Arc<Shared>, uid: u32) -> bool {
    if shared.access.knows(uid) {
        return true;
    }
    // Looking names up may ask the network.
    let shared = Arc::clone(shared);
    tokio::task::spawn_blocking(move || shared.access.allows(uid))
        .await
        .unwrap_or(false)
}

async fn refuse(stream: &mut UnixStream, reason: String) -> End {
    let refused = ToPlugin::Refused {
        reason: reason.clone(),
    };
    if let Err(end) = send_within(stream, &refused).await {
        return end;
    }
    // A peer that is still writing its introduction would lose the sentence to a broken pipe if we closed at once.
    let linger = async {
        stream.shutdown().await?;
        let mut buffer = [0; 4_096];
        while stream.read(&mut buffer).await? > 0 {}
        Ok::<_, io::Error>(())
    };
    match tokio::time::timeout(LINGER, linger).await {
        Ok(Ok(())) | Err(_) => End::Refused(reason),
        Ok(Err(error)) => error.into(),
    }
}

async fn send_within(stream: &mut UnixStream, message: &ToPlugin) -> Result<(), End> {
    let mut bytes = Vec::new();
    encode(message, FRAME_BYTES_MAX, &mut bytes)?;
    tokio::time::timeout(ANSWER_WITHIN, stream.write_all(&bytes))
        .await
        .map_err(|_| End::Silent(ANSWER_WITHIN))??;
    Ok(())
}

async fn read_hello(stream: &mut UnixStream, decoder: &mut Decoder<ToAgent>) -> Result<Hello, End> {
    let mut buffer = [0; 4_096];
    loop {
        match decoder.next()? {
            None => {}
            Some(ToAgent::Hello {
                protocol_min,
                protocol_max,
                build,
                plugin_path,
                identity,
            }) => {
                return Ok(Hello {
                    range: Range {
                        min: protocol_min,
                        max: protocol_max,
                    },
                    build,
                    plugin_path,
                    identity,
                });
            }
            Some(_) => return Err(End::NoHello),
        }
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            decoder.finish()?;
            return Err(End::Closed);
        }
        decoder.push(&buffer[..read]);
    }
}

async fn receive(
    shared: &Shared,
    mut from: OwnedReadHalf,
    mut decoder: Decoder<ToAgent>,
    id: ConnectionId,
) -> End {
    let mut buffer = vec![0; READ_BYTES];
    loop {
        loop {
            match decoder.next() {
                Ok(None) => break,
                Ok(Some(message)) => {
                    if let Err(end) = take(shared, id, message) {
                        return end;
                    }
                }
                Err(error) => return error.into(),
            }
        }
        match from.read(&mut buffer).await {
            Ok(0) => return decoder.finish().err().map_or(End::Closed, End::from),
            Ok(read) => decoder.push(&buffer[..read]),
            Err(error) => return error.into(),
        }
    }
}

fn take(shared: &Shared, id: ConnectionId, message: ToAgent) -> Result<(), End> {
    match message {
        ToAgent::Report { report } => shared.state.report(id, check::report(report)),
        ToAgent::Identity { identity } => {
            // It hears why when it connects again: a frame may be half written at this moment.
            let identity =
                check::identity(identity).map_err(|error| End::Refused(error.to_string()))?;
            shared
                .state
                .identify(id, identity)
                .map_err(|refusal| End::Refused(refusal.to_string()))?;
        }
        ToAgent::Bye {
            reason,
            server_stops,
        } => {
            let reason = muster_link::text::clip_text(&reason);
            shared.state.bye(id, &reason, server_stops);
            return Err(End::Bye(reason));
        }
        ToAgent::Hello { .. } => return Err(End::SecondHello),
        ToAgent::Unknown => {}
    }
    Ok(())
}

async fn push(mut feed: Feed, mut to: OwnedWriteHalf) -> End {
    let mut bytes = Vec::new();
    loop {
        let Some(message) = feed.next().await else {
            return End::Closed;
        };
        bytes.clear();
        bytes.shrink_to(READ_BYTES);
        match encode(&message, FRAME_BYTES_MAX, &mut bytes) {
            Ok(()) => {}
            Err(error) => {
                tracing::error!(%error, "a message to the plugin was left out");
                continue;
            }
        }
        if let Err(error) = to.write_all(&bytes).await {
            return error.into();
        }
    }
}

async fn watch_build(shared: &Shared, id: ConnectionId, check: Option<BuildCheck>) {
    let Some(mut check) = check else {
        return std::future::pending().await;
    };
    loop {
        let looked = tokio::task::spawn_blocking(move || {
            let note = check.look();
            (check, note)
        });
        let Ok((back, note)) = looked.await else {
            tracing::error!("the look at the plugin's file failed");
            return std::future::pending().await;
        };
        check = back;
        shared.state.build_note(id, note);
        tokio::time::sleep(BUILD_CHECK_EVERY).await;
    }
}
