//! A store that speaks the protocol of S3 without a network, and fails as it is told.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    HttpResponseBody, HttpService,
};
use object_store::{ClientOptions, HeaderValue};

use crate::place::access::{self, Environment};
use crate::place::http::Connector;
use crate::place::options::Limits;
use crate::place::{Address, Place, StoreOptions};

/// What goes wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It is answered as it should be.
    None,
    /// It is done, and answered with this status.
    After(u16),
    /// It is not done, and answered with this status.
    Before(u16),
    /// It is done, and the connection breaks.
    BrokenAfter,
    /// It is not done, and the connection breaks.
    BrokenBefore,
    /// There is no connection.
    Refused,
    /// It is done, and there is no answer.
    Silent,
    /// Half of the body arrives.
    Cut,
    /// Its range is ignored.
    Whole,
    /// It is answered with this status and body.
    Answer(u16, String),
}

/// The store.
#[derive(Debug, Default)]
pub(super) struct Fake {
    objects: Mutex<BTreeMap<String, (Bytes, usize)>>,
    /// Of the next requests; later ones have none.
    pub(super) troubles: Mutex<VecDeque<Trouble>>,
    /// Methods and paths.
    pub(super) requests: Mutex<Vec<String>>,
}

impl Fake {
    pub(super) fn with(troubles: impl IntoIterator<Item = Trouble>) -> Arc<Self> {
        let fake = Self::default();
        *fake.troubles.lock().unwrap() = troubles.into_iter().collect();
        Arc::new(fake)
    }

    /// A place in this store, with little patience.
    pub(super) fn place(self: &Arc<Self>) -> Place {
        let environment = Environment::of([
            ("AWS_ACCESS_KEY_ID", "id"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_REGION", "eu-west-1"),
        ]);
        self.place_at("s3://events/lake", &environment)
    }

    pub(super) fn place_at(self: &Arc<Self>, address: &str, environment: &Environment) -> Place {
        let limits = Limits {
            silence: Duration::from_millis(200),
            retries: 2,
            first_contact: Duration::ZERO,
            pause: Duration::from_millis(1),
            ..Limits::default()
        };
        let options = StoreOptions { limits, ..StoreOptions::default() };
        let connector = Connector::over(Arc::new(Connect(Arc::clone(self))), limits);
        let Ok(Address::Store(bucket)) = Address::parse(address) else { panic!("no store") };
        let connected = access::connect_by(&bucket, &options, environment, &connector).unwrap();
        Place::connected(connected, &bucket.prefix, bucket.to_string()).unwrap()
    }

    /// The bytes of the object at a path below the bucket.
    pub(super) fn object(&self, path: &str) -> Option<Bytes> {
        Some(self.objects.lock().unwrap().get(&format!("/events/{path}"))?.0.clone())
    }

    pub(super) fn set(&self, path: &str, bytes: &str) {
        self.write(format!("/events/{path}"), bytes.to_owned().into());
    }

    fn write(&self, path: String, bytes: Bytes) -> usize {
        let mut objects = self.objects.lock().unwrap();
        let tag = objects.get(&path).map_or(1, |(_, tag)| tag + 1);
        objects.insert(path, (bytes, tag));
        tag
    }

    /// Does a request.
    async fn answer(&self, request: HttpRequest) -> HttpResponse {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path().to_owned();
        let there = self.objects.lock().unwrap().get(&path).cloned();
        let header = |name: &str| parts.headers.get(name).map(|value| value.to_str().unwrap());
        let tag = |tag: usize| format!("\"{tag}\"");
        match (parts.method.as_str(), there) {
            ("PUT", there) => {
                let now = there.map(|(_, now)| tag(now));
                let refused = match (header("if-none-match"), header("if-match")) {
                    (Some("*"), _) => now.is_some(),
                    (_, Some(wanted)) => now.as_deref() != Some(wanted),
                    _ => false,
                };
                if refused {
                    return status(412, "<Error><Code>PreconditionFailed</Code></Error>");
                }
                let new = self.write(path, body.collect().await.unwrap().to_bytes());
                with_headers(status(200, ""), [("etag", tag(new))])
            }
            ("GET" | "HEAD", Some((bytes, now))) => {
                let headers = [
                    ("etag", tag(now)),
                    ("content-length", bytes.len().to_string()),
                    ("last-modified", "Sun, 01 Jun 2025 12:00:00 GMT".to_owned()),
                    ("date", chrono::Utc::now().to_rfc2822()),
                ];
                let is_head = parts.method.as_str() == "HEAD";
                let range = header("range").and_then(|range| range.strip_prefix("bytes="));
                if let Some((start, end)) = range.and_then(|range| range.split_once('-')) {
                    let (start, end) = (start.parse().unwrap(), end.parse::<usize>().unwrap());
                    let end = bytes.len().min(end + 1);
                    let of = format!("bytes {start}-{}/{}", end - 1, bytes.len());
                    let mut answer = HttpResponse::new(bytes.slice(start..end).into());
                    *answer.status_mut() = 206.try_into().unwrap();
                    let answer = with_headers(answer, headers);
                    let length = (end - start).to_string();
                    let more = [("content-range", of), ("content-length", length)];
                    return with_headers(answer, more);
                }
                let body = if is_head { Bytes::new() } else { bytes };
                with_headers(HttpResponse::new(body.into()), headers)
            }
            ("GET", None) => status(404, "<Error><Code>NoSuchKey</Code></Error>"),
            _ => status(404, ""),
        }
    }
}

fn status(status: u16, body: &str) -> HttpResponse {
    let mut answer = HttpResponse::new(body.to_owned().into());
    *answer.status_mut() = status.try_into().unwrap();
    answer
}

fn with_headers<const N: usize>(
    mut answer: HttpResponse,
    headers: [(&'static str, String); N],
) -> HttpResponse {
    for (name, value) in headers {
        answer.headers_mut().insert(name, HeaderValue::from_str(&value).unwrap());
    }
    answer
}

fn broken() -> HttpError {
    let error = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
    HttpError::new(HttpErrorKind::Interrupted, error)
}

#[derive(Debug)]
struct Connect(Arc<Fake>);

impl HttpConnector for Connect {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Service(Arc::clone(&self.0))))
    }
}

#[derive(Debug)]
struct Service(Arc<Fake>);

#[async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let fake = &self.0;
        let line = format!("{} {}", request.method(), request.uri().path());
        fake.requests.lock().unwrap().push(line);
        let trouble = fake.troubles.lock().unwrap().pop_front().unwrap_or(Trouble::None);
        match trouble {
            Trouble::None => Ok(fake.answer(request).await),
            Trouble::After(code) => {
                let answer = fake.answer(request).await;
                let done = answer.status().is_success();
                Ok(if done { status(code, "") } else { answer })
            }
            Trouble::Before(code) => Ok(status(code, "")),
            Trouble::BrokenAfter => {
                fake.answer(request).await;
                Err(broken())
            }
            Trouble::BrokenBefore => Err(broken()),
            Trouble::Refused => {
                let error = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
                Err(HttpError::new(HttpErrorKind::Connect, error))
            }
            Trouble::Silent => {
                fake.answer(request).await;
                std::future::pending().await
            }
            Trouble::Cut => {
                let (parts, body) = fake.answer(request).await.into_parts();
                let bytes = body.collect().await?.to_bytes();
                let half = Frame::data(bytes.slice(..bytes.len() / 2));
                let body = StreamBody::new(stream::iter([Ok(half), Err(broken())]));
                Ok(HttpResponse::from_parts(parts, HttpResponseBody::new(body)))
            }
            Trouble::Whole => {
                let mut request = request;
                request.headers_mut().remove("range");
                Ok(fake.answer(request).await)
            }
            Trouble::Answer(code, body) => Ok(status(code, &body)),
        }
    }
}
