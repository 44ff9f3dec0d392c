//! The HTTP client of object stores: limits and counts of requests, on threads of its own.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::stream;
use http_body_util::{BodyExt as _, StreamBody};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    HttpResponseBody, HttpService, ReqwestConnector, SpawnService,
};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::fault::{Unreachable, Unsupported};
use super::options::Limits;
use crate::error::{Context as _, Error, Result};

/// The runtime of all requests, started on first use: a lake in a folder needs none.
pub(crate) fn runtime() -> Result<&'static Runtime> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let made = builder.worker_threads(2).thread_name("store").enable_all().build();
    let made = made.context(|| "starting threads for requests to a store")?;
    Ok(RUNTIME.get_or_init(|| made))
}

/// Runs a future on the runtime of requests and waits for it, on any thread. A thread of another
/// runtime may wait too: `block_on` would panic there.
///
/// # Errors
///
/// Threads that cannot be started.
pub(super) fn wait<T: Send + 'static>(
    future: impl Future<Output = T> + Send + 'static,
) -> Result<T> {
    let (send, receive) = std::sync::mpsc::sync_channel(1);
    runtime()?.spawn(async move {
        let _ = send.send(future.await);
    });
    receive.recv().map_err(|_| Error::bug("a request to a store ended without an answer"))
}

/// Counts of requests to a store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests, those that were tried again and those for credentials included.
    pub requests: u64,
    /// Bytes of bodies sent.
    pub sent: u64,
    /// Bytes of bodies received.
    pub received: u64,
}

/// What is measured of requests.
#[derive(Debug)]
pub(super) struct Meter {
    requests: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
    /// The store's clock minus this machine's, in seconds; [`i64::MIN`] before any answer.
    clock: AtomicI64,
    since: Instant,
    was_reached: AtomicBool,
}

impl Default for Meter {
    fn default() -> Self {
        Self {
            requests: AtomicU64::default(),
            sent: AtomicU64::default(),
            received: AtomicU64::default(),
            clock: AtomicI64::new(i64::MIN),
            since: Instant::now(),
            was_reached: AtomicBool::new(false),
        }
    }
}

impl Meter {
    pub(super) fn counts(&self) -> Counts {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counts { requests: of(&self.requests), sent: of(&self.sent), received: of(&self.received) }
    }

    /// The store's clock minus this machine's, in seconds.
    pub(super) fn clock_ahead(&self) -> Option<i64> {
        Some(self.clock.load(Ordering::Relaxed)).filter(|seconds| *seconds != i64::MIN)
    }
}

/// Connects clients that share limits and a meter.
#[derive(Clone)]
pub(super) struct Connector {
    limits: Limits,
    permits: Arc<Semaphore>,
    meter: Arc<Meter>,
    inner: Arc<dyn HttpConnector>,
}

impl Connector {
    pub(super) fn new(limits: Limits) -> Self {
        Self::over(Arc::new(ReqwestConnector::default()), limits)
    }

    /// A connector over another one, such as that of a test.
    pub(super) fn over(inner: Arc<dyn HttpConnector>, limits: Limits) -> Self {
        let permits = Arc::new(Semaphore::new(limits.at_once));
        Self { limits, permits, meter: Arc::default(), inner }
    }

    pub(super) fn meter(&self) -> Arc<Meter> {
        Arc::clone(&self.meter)
    }

    /// This connector with less patience, for servers on this machine or next to it.
    pub(super) fn impatient(&self, silence: Duration) -> Self {
        Self { limits: Limits { silence, ..self.limits }, ..self.clone() }
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = Client {
            inner: self.inner.connect(options)?,
            limits: self.limits,
            permits: Arc::clone(&self.permits),
            meter: Arc::clone(&self.meter),
        };
        let runtime = runtime().map_err(|error| object_store::Error::Generic {
            store: "HTTP",
            source: error.to_string().into(),
        })?;
        // A connection dies with the runtime that opened it, and Polars has one of its own.
        Ok(HttpClient::new(SpawnService::new(client, runtime.handle().clone())))
    }
}

/// A client that keeps limits and counts.
#[derive(Clone)]
struct Client {
    inner: HttpClient,
    limits: Limits,
    permits: Arc<Semaphore>,
    meter: Arc<Meter>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

impl Client {
    /// Returns `true` if the store was never reached, for long enough to take its address for wrong.
    fn is_unreachable(&self) -> bool {
        let Meter { since, was_reached, .. } = &*self.meter;
        !was_reached.load(Ordering::Relaxed) && since.elapsed() >= self.limits.first_contact
    }
}

/// Bytes a second below which an upload is taken for stuck.
const SLOWEST_UPLOAD: u64 = 64 << 10;

#[async_trait]
impl HttpService for Client {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.map_err(|error| HttpError::new(HttpErrorKind::Unknown, error))?;
        let (meter, silence) = (Arc::clone(&self.meter), self.limits.silence);
        let sent = request.body().content_length() as u64;
        meter.requests.fetch_add(1, Ordering::Relaxed);
        meter.sent.fetch_add(sent, Ordering::Relaxed);
        // The answer to an upload begins after its last byte.
        let patience = silence + Duration::from_secs(sent / SLOWEST_UPLOAD);
        let answer = timeout(patience, self.inner.execute(request));
        let (parts, body) = match answer.await.map_err(silent)? {
            Ok(answer) => answer.into_parts(),
            Err(error) if error.kind() == HttpErrorKind::Connect && self.is_unreachable() => {
                return Err(HttpError::new(HttpErrorKind::Unknown, Unreachable(error)));
            }
            Err(error) => return Err(error),
        };
        meter.was_reached.store(true, Ordering::Relaxed);
        if parts.status.as_u16() == 501 {
            return Err(HttpError::new(HttpErrorKind::Unknown, Unsupported));
        }
        let date = parts.headers.get("date").and_then(|date| date.to_str().ok());
        if let Some(date) = date.and_then(|date| DateTime::parse_from_rfc2822(date).ok()) {
            let ahead = date.signed_duration_since(Utc::now()).num_seconds();
            meter.clock.store(ahead, Ordering::Relaxed);
        }
        // The permit is given back with the last part.
        let state = (body, permit, meter);
        let parts_of_body =
            stream::try_unfold(state, move |(mut body, permit, meter)| async move {
                let Some(part) = timeout(silence, body.frame()).await.map_err(silent)? else {
                    return Ok(None);
                };
                let part = part?;
                let bytes = part.data_ref().map_or(0, |data| data.len() as u64);
                meter.received.fetch_add(bytes, Ordering::Relaxed);
                Ok(Some((part, (body, permit, meter))))
            });
        let body = HttpResponseBody::new(StreamBody::new(parts_of_body));
        Ok(HttpResponse::from_parts(parts, body))
    }
}

fn silent(elapsed: tokio::time::error::Elapsed) -> HttpError {
    HttpError::new(HttpErrorKind::Timeout, elapsed)
}
