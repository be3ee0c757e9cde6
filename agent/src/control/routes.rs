//! The routes: what each request is, who may send it, and how a refusal is answered.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};
use tracing::info;

use super::ACTION_MS_MAX;
use super::handler::{Answer, Handler, Refusal};
use super::permission::{Operators, Peer};
use super::reply;
use super::types::{
    Event, EventsQuery, EventsReply, Failure, InitRequest, JoinRequest, RecoverRequest,
    RemoveRequest, Setting, WAIT_MS_MAX,
};

/// Largest body of a request, in bytes.
pub const REQUEST_BYTES_MAX: usize = 64 * 1024;

struct Control {
    handler: Arc<dyn Handler>,
    operators: Operators,
}

type Shared = State<Arc<Control>>;
type From = Extension<Peer>;

/// All routes. Each request must carry its [`Peer`] as an extension.
pub(super) fn router(handler: Arc<dyn Handler>, operators: Operators) -> Router {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/members", get(members))
        .route("/v1/agents", get(agents))
        .route("/v1/events", get(events))
        .route("/v1/config", get(config_get).post(config_set))
        .route("/v1/init", post(init))
        .route("/v1/token", post(token))
        .route("/v1/join", post(join))
        .route("/v1/leave", post(leave))
        .route("/v1/remove", post(remove))
        .route("/v1/recover", post(recover))
        .fallback(no_route)
        .method_not_allowed_fallback(no_route)
        .layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX))
        .with_state(Arc::new(Control { handler, operators }))
}

async fn status(State(control): Shared) -> Response {
    Json(reply::status(control.handler.picture())).into_response()
}

async fn members(State(control): Shared) -> Response {
    Json(reply::members(&control.handler.picture())).into_response()
}

async fn agents(State(control): Shared) -> Response {
    Json(reply::agents(&control.handler.picture())).into_response()
}

async fn events(
    State(control): Shared,
    query: Result<Query<EventsQuery>, QueryRejection>,
) -> Response {
    let query = match query {
        Ok(Query(query)) => query,
        Err(e) => return bad_request(&e.body_text()),
    };
    let handler = &control.handler;
    let mut newest = handler.newest_event();
    let deadline = Instant::now() + Duration::from_millis(query.wait_ms.min(WAIT_MS_MAX));
    let mut rows = handler.events_after(query.after);
    let elsewhere = || {
        let own = &handler.picture().view.cluster_id;
        !query.cluster_id.is_empty() && !own.is_empty() && *own != query.cluster_id
    };
    while rows.is_empty() && query.wait_ms > 0 && !elsewhere() {
        // The mark is read before the rows, so an event between the two makes one round more and none is missed.
        match timeout_at(deadline, newest.changed()).await {
            Ok(Ok(())) => rows = handler.events_after(query.after),
            Ok(Err(_)) | Err(_) => break,
        }
    }
    if query.limit > 0 && rows.len() > query.limit {
        // One who follows wants the next ones; one who looks wants the newest.
        if query.wait_ms > 0 {
            rows.truncate(query.limit);
        } else {
            rows.drain(..rows.len() - query.limit);
        }
    }
    let view = handler.picture().view;
    let newest_event_id = *newest.borrow();
    Json(EventsReply {
        cluster_id: view.cluster_id.clone(),
        newest_event_id,
        events: rows.into_iter().map(|row| Event::of(row, &view)).collect(),
    })
    .into_response()
}

async fn config_get(State(control): Shared) -> Response {
    bounded(control.handler.config_get()).await
}

async fn config_set(control: Shared, Extension(peer): From, body: Bytes) -> Response {
    act(
        control,
        peer,
        "config set",
        &body,
        |handler, request: Setting| handler.config_set(request),
    )
    .await
}

async fn init(control: Shared, Extension(peer): From, body: Bytes) -> Response {
    act(
        control,
        peer,
        "init",
        &body,
        |handler, request: InitRequest| handler.init(request),
    )
    .await
}

async fn token(control: Shared, Extension(peer): From, body: Bytes) -> Response {
    act(control, peer, "token create", &body, |handler, Empty {}| {
        handler.token_create()
    })
    .await
}

async fn join(control: Shared, Extension(peer): From, body: Bytes) -> Response {
    act(
        control,
        peer,
        "join",
        &body,
        |handler, request: JoinRequest| handler.join(request),
    )
    .await
}

async fn leave(control: Shared, Extension(peer): From, body: Bytes) -> Response {
    act(control, peer, "leave", &body, |handler, Empty {}| {
        handler.leave()
    })
    .await
}

async fn remove(control: Shared, Extension(peer): From, body: Bytes) -> Response {
    act(
        control,
        peer,
        "remove",
        &body,
        |handler, request: RemoveRequest| handler.remove(request),
    )
    .await
}

async fn recover(control: Shared, Extension(peer): From, body: Bytes) -> Response {
    act(
        control,
        peer,
        "recover",
        &body,
        |handler, request: RecoverRequest| handler.recover(request),
    )
    .await
}

async fn no_route(request: axum::extract::Request) -> Response {
    let sentence = format!(
        "this agent (version {}) knows no {} {}: use a `muster` of the same version",
        env!("CARGO_PKG_VERSION"),
        request.method(),
        request.uri().path()
    );
    failure(StatusCode::NOT_FOUND, sentence)
}

/// The body of a request that has nothing to say: `{}` or nothing.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Empty {}

/// Checks who asks and what, and runs the action to its end even when the one who asked hangs up: half a join is worse
/// than one whose answer nobody read.
async fn act<Q, A>(
    State(control): Shared,
    peer: Peer,
    what: &'static str,
    body: &Bytes,
    action: impl for<'h> FnOnce(&'h dyn Handler, Q) -> Answer<'h, A> + Send + 'static,
) -> Response
where
    Q: DeserializeOwned + Send + 'static,
    A: Serialize + Send + 'static,
{
    if let Err(sentence) = control.operators.may_act(peer).await {
        return failure(StatusCode::FORBIDDEN, sentence);
    }
    let body: &[u8] = if body.is_empty() { b"{}" } else { body };
    let request = match serde_json::from_slice(body) {
        Ok(request) => request,
        Err(e) => return bad_request(&format!("{what}: {e}")),
    };
    info!("user {} asks for: {what}", peer.uid);
    let handler = Arc::clone(&control.handler);
    let task = tokio::spawn(async move { bounded(action(&*handler, request)).await });
    task.await.unwrap_or_else(|_| {
        failure(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("the agent failed during {what}, and what was done of it is unknown: see its log, then `muster status`"),
        )
    })
}

/// The answer of the handler, or after [`ACTION_MS_MAX`] a sentence instead of silence.
async fn bounded<A: Serialize>(answer: Answer<'_, A>) -> Response {
    match tokio::time::timeout(Duration::from_millis(ACTION_MS_MAX), answer).await {
        Ok(Ok(answer)) => Json(answer).into_response(),
        Ok(Err(Refusal::Refused(sentence))) => failure(StatusCode::CONFLICT, sentence),
        Ok(Err(Refusal::Failed(sentence))) => failure(StatusCode::INTERNAL_SERVER_ERROR, sentence),
        Err(_) => failure(
            StatusCode::GATEWAY_TIMEOUT,
            format!(
                "not done after {} s, and it may be done yet: see `muster status` before trying again",
                ACTION_MS_MAX / 1_000
            ),
        ),
    }
}

fn bad_request(what: &str) -> Response {
    failure(
        StatusCode::BAD_REQUEST,
        format!("the request cannot be read ({what}): use a `muster` of the agent's version"),
    )
}

fn failure(status: StatusCode, sentence: String) -> Response {
    (status, Json(Failure { error: sentence })).into_response()
}
