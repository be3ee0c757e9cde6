//! Certificates renew by themselves.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;

use super::identity::{IdentityError, IdentityStore, LiveIdentity};

/// How often renewal is looked at. All by the monotonic clock: a wall clock that is years off asks for one certificate
/// a day and no more.
#[derive(Debug, Clone, Copy)]
pub struct RenewalPace {
    /// Between two looks at the certificate.
    pub look_every: Duration,
    /// After a renewal that failed.
    pub retry_after: Duration,
    /// After a renewal that worked.
    pub rest_after: Duration,
}

impl Default for RenewalPace {
    fn default() -> Self {
        Self {
            look_every: Duration::from_secs(3_600),
            retry_after: Duration::from_secs(60),
            rest_after: Duration::from_secs(24 * 3_600),
        }
    }
}

/// Renews for as long as it is polled. `ask` takes a request (PEM) to the leader and brings the certificate (PEM).
pub async fn keep_renewed<A, F>(
    store: IdentityStore,
    live: Arc<LiveIdentity>,
    pace: RenewalPace,
    ask: A,
) where
    A: Fn(String) -> F + Send,
    F: Future<Output = Result<String, String>> + Send,
{
    loop {
        let wait = if live.current().renewal_due(OffsetDateTime::now_utc()) {
            match renew(&store, &live, &ask).await {
                Ok(()) => {
                    let until = live.current().certificate().not_after;
                    tracing::info!(%until, "the certificate of this agent was renewed");
                    pace.rest_after
                }
                Err(error) => {
                    tracing::warn!(error, "the certificate of this agent was not renewed");
                    pace.retry_after
                }
            }
        } else {
            pace.look_every
        };
        tokio::time::sleep(wait).await;
    }
}

/// Renews once, with a fresh key, on disk and in use.
pub async fn renew<A, F>(
    store: &IdentityStore,
    live: &Arc<LiveIdentity>,
    ask: &A,
) -> Result<(), String>
where
    A: Fn(String) -> F,
    F: Future<Output = Result<String, String>>,
{
    let text = |e: IdentityError| e.to_string();
    let pending = store.pending().map_err(text)?;
    let csr = pending.csr_pem().map_err(|e| e.to_string())?;
    let certificate_pem = ask(csr).await?;
    let current = live.current();
    let renewed = store
        .install(
            &pending,
            &certificate_pem,
            &current.ca_pem(),
            Some(current.peer()),
        )
        .map_err(text)?;
    live.replace(renewed).map_err(text)
}
