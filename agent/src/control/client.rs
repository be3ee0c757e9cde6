//! The asking end: one request, one answer, and one sentence for everything that can go wrong in between.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::ACTION_MS_MAX;
use super::types::{
    AgentsReply, ConfigReply, Done, EventsQuery, EventsReply, Failure, InitReply, InitRequest,
    JoinReply, JoinRequest, MembersReply, RecoverRequest, RemoveRequest, Setting, StatusReply,
    TokenReply,
};

/// Largest answer that is read, in bytes: 1,000 members with long GTID sets fit.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How long to wait for the answer to a look.
pub const LOOK: Duration = Duration::from_secs(5);
/// How long to wait for the answer to an action; longer than the agent lets it take, so that the agent's word comes first.
const ACT: Duration = Duration::from_millis(ACTION_MS_MAX + 5_000);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens there.
    #[error(
        "no agent answers at {path}: start it with `systemctl start muster` or name its socket with --control-socket",
        path = path.display()
    )]
    NoAgent {
        /// Where.
        path: PathBuf,
    },
    /// The socket is there and this user may not reach it.
    #[error("you may not reach {path}: {source}; become root, or have the permissions of its folder changed", path = path.display())]
    Denied {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It cannot be used for another reason.
    #[error("cannot connect to {path}: {source}; name the agent's socket with --control-socket", path = path.display())]
    Connect {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Connected, and no answer in time.
    #[error("the agent at {path} did not answer within {seconds} s: {advice}", path = path.display())]
    Silent {
        /// Where.
        path: PathBuf,
        /// How long was waited.
        seconds: u64,
        /// What to do.
        advice: &'static str,
    },
    /// The connection ended before the answer did.
    #[error("the agent at {path} hung up before it had answered: {advice}", path = path.display())]
    HungUp {
        /// Where.
        path: PathBuf,
        /// What to do.
        advice: &'static str,
    },
    /// An answer that no agent of this version gives.
    #[error("what answers at {path} is no agent of this version ({what}): name the agent's socket with --control-socket, or use its own `muster`", path = path.display())]
    Garbage {
        /// Where.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The agent answered that it will not, or could not; its own sentence.
    #[error("{0}")]
    Refused(String),
}

impl ClientError {
    /// Whether the agent is away rather than of another opinion, so that asking again later makes sense.
    #[must_use]
    pub fn is_away(&self) -> bool {
        matches!(
            self,
            Self::NoAgent { .. } | Self::Silent { .. } | Self::HungUp { .. }
        )
    }
}

const LOOK_ADVICE: &str = "see `systemctl status muster` and `journalctl -u muster`";
const ACT_ADVICE: &str =
    "it may be done yet, so see `muster status` before trying again, and `journalctl -u muster`";

/// One agent, by its socket.
#[derive(Debug, Clone)]
pub struct Client {
    path: PathBuf,
    look: Duration,
    act: Duration,
}

impl Client {
    /// The agent whose control socket is at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            look: LOOK,
            act: ACT,
        }
    }

    /// The same, waiting for no answer longer than this.
    #[must_use]
    pub fn patient_for(mut self, limit: Duration) -> Self {
        self.look = limit;
        self.act = limit;
        self
    }

    /// Its socket.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `GET /v1/status`
    pub async fn status(&self) -> Result<StatusReply, ClientError> {
        self.look("/v1/status", self.look).await
    }

    /// `GET /v1/members`
    pub async fn members(&self) -> Result<MembersReply, ClientError> {
        self.look("/v1/members", self.look).await
    }

    /// `GET /v1/agents`
    pub async fn agents(&self) -> Result<AgentsReply, ClientError> {
        self.look("/v1/agents", self.look).await
    }

    /// `GET /v1/events`
    pub async fn events(&self, query: EventsQuery) -> Result<EventsReply, ClientError> {
        let EventsQuery {
            after,
            limit,
            wait_ms,
            mut cluster_id,
        } = query;
        // A cluster's id is a UUID; nothing else may get into the query.
        cluster_id.retain(|c| c.is_ascii_alphanumeric() || c == '-');
        let path = format!(
            "/v1/events?after={after}&limit={limit}&wait_ms={wait_ms}&cluster_id={cluster_id}"
        );
        self.look(&path, self.look + Duration::from_millis(wait_ms))
            .await
    }

    /// `GET /v1/config`
    pub async fn config_get(&self) -> Result<ConfigReply, ClientError> {
        self.look("/v1/config", self.look).await
    }

    /// `POST /v1/config`
    pub async fn config_set(&self, setting: &Setting) -> Result<Done, ClientError> {
        self.act("/v1/config", setting).await
    }

    /// `POST /v1/init`
    pub async fn init(&self, request: &InitRequest) -> Result<InitReply, ClientError> {
        self.act("/v1/init", request).await
    }

    /// `POST /v1/token`
    pub async fn token_create(&self) -> Result<TokenReply, ClientError> {
        self.act("/v1/token", &serde_json::json!({})).await
    }

    /// `POST /v1/join`
    pub async fn join(&self, request: &JoinRequest) -> Result<JoinReply, ClientError> {
        self.act("/v1/join", request).await
    }

    /// `POST /v1/leave`
    pub async fn leave(&self) -> Result<Done, ClientError> {
        self.act("/v1/leave", &serde_json::json!({})).await
    }

    /// `POST /v1/remove`
    pub async fn remove(&self, request: &RemoveRequest) -> Result<Done, ClientError> {
        self.act("/v1/remove", request).await
    }

    /// `POST /v1/recover`
    pub async fn recover(&self, request: RecoverRequest) -> Result<Done, ClientError> {
        self.act("/v1/recover", &request).await
    }

    async fn look<A: DeserializeOwned>(
        &self,
        path: &str,
        limit: Duration,
    ) -> Result<A, ClientError> {
        self.ask(Method::GET, path, Bytes::new(), limit, LOOK_ADVICE)
            .await
    }

    async fn act<A: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<A, ClientError> {
        let body = serde_json::to_vec(body).map_err(|e| self.garbage(e.to_string()))?;
        self.ask(Method::POST, path, body.into(), self.act, ACT_ADVICE)
            .await
    }

    async fn ask<A: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        limit: Duration,
        advice: &'static str,
    ) -> Result<A, ClientError> {
        let exchange = async {
            let stream = self.connect(advice).await?;
            self.exchange(stream, method, path, body, advice).await
        };
        let (status, body) =
            tokio::time::timeout(limit, exchange)
                .await
                .map_err(|_| ClientError::Silent {
                    path: self.path.clone(),
                    seconds: limit.as_secs(),
                    advice,
                })??;
        if status == StatusCode::OK {
            return serde_json::from_slice(&body).map_err(|e| self.garbage(e.to_string()));
        }
        match serde_json::from_slice::<Failure>(&body) {
            Ok(failure) => Err(ClientError::Refused(failure.error)),
            Err(_) => Err(self.garbage(format!("status {}", status.as_u16()))),
        }
    }

    async fn connect(&self, advice: &'static str) -> Result<UnixStream, ClientError> {
        UnixStream::connect(&self.path).await.map_err(|source| {
            let path = self.path.clone();
            match source.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                    ClientError::NoAgent { path }
                }
                io::ErrorKind::PermissionDenied => ClientError::Denied { path, source },
                // The queue of waiting connections is full: a listener that accepts none.
                io::ErrorKind::WouldBlock => ClientError::Silent {
                    path,
                    seconds: 0,
                    advice,
                },
                _ => ClientError::Connect { path, source },
            }
        })
    }

    async fn exchange(
        &self,
        stream: UnixStream,
        method: Method,
        path: &str,
        body: Bytes,
        advice: &'static str,
    ) -> Result<(StatusCode, Bytes), ClientError> {
        let broken = |e: hyper::Error| {
            if e.is_parse() {
                self.garbage(e.to_string())
            } else {
                ClientError::HungUp {
                    path: self.path.clone(),
                    advice,
                }
            }
        };
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(broken)?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "muster")
            .header("content-type", "application/json")
            .body(Full::new(body))
            .map_err(|e| self.garbage(e.to_string()))?;
        let answer = async {
            let response = sender.send_request(request).await.map_err(broken)?;
            let status = response.status();
            let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX)
                .collect()
                .await
                .map_err(|e| match e.downcast::<hyper::Error>() {
                    Ok(e) => broken(*e),
                    Err(e) => self.garbage(e.to_string()),
                })?;
            Ok((status, body.to_bytes()))
        };
        tokio::pin!(answer);
        tokio::select! {
            answer = &mut answer => answer,
            // The connection's end hands its reason to the waiting answer.
            _ = connection => answer.await,
        }
    }

    fn garbage(&self, what: String) -> ClientError {
        ClientError::Garbage {
            path: self.path.clone(),
            what,
        }
    }
}
