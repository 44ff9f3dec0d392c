//! Failed requests as errors: what was being done, the store's answer, and what to do.
//!
//! ```text
//! error: reading `s3://events/lake/tables/sessions/…`: the store refused it (403 AccessDenied)
//!   hint: allow the credentials from the profile `default` to do that
//! ```
//!
//! Of an answer, only the status and the code are shown. A body of S3 holds the access key id and the
//! text that was signed; a URL of Azure may hold a signature. So the error of the library is not kept
//! either: its `Debug` shows both.

use std::error::Error as StdError;
use std::fmt;

use object_store::client::{HttpError, HttpErrorKind};

use crate::error::Error;

/// Why there are no credentials, in words without secrets.
#[derive(Debug)]
pub(super) struct NoCredentials {
    pub(super) what: String,
    pub(super) hint: String,
}

impl fmt::Display for NoCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl StdError for NoCredentials {}

impl From<NoCredentials> for object_store::Error {
    fn from(error: NoCredentials) -> Self {
        Self::Generic { store: "credentials", source: Box::new(error) }
    }
}

/// A request that the store does not support. The library would take it for a failure that passes,
/// and try again for a minute.
#[derive(Debug, thiserror::Error)]
#[error("not implemented")]
pub(super) struct Unsupported;

/// Returns `true` if the store does not support a request.
pub(super) fn is_unsupported(error: &HttpError) -> bool {
    error.source().is_some_and(<dyn std::error::Error>::is::<Unsupported>)
}

/// A connection that is not tried again.
#[derive(Debug, thiserror::Error)]
#[error("unreachable")]
pub(super) struct Unreachable(#[source] pub(super) HttpError);

/// The parts of a failed request that may be shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: Option<u16>,
    /// A word of the store's, such as `AccessDenied`.
    pub(super) code: Option<String>,
}

impl Answer {
    pub(super) fn of(error: &object_store::Error) -> Self {
        if cause::<Unsupported>(error).is_some() {
            return Self { status: Some(501), code: None };
        }
        // The type that has them is private to the library.
        let text = error.to_string();
        let (_, status) = text.split_once("status code: ").unwrap_or_default();
        let status = status.get(..3).and_then(|status| status.parse().ok());
        Self { status: status.or_else(|| status_of(error)), code: code(&text) }
    }
}

fn status_of(error: &object_store::Error) -> Option<u16> {
    use object_store::Error as E;
    Some(match error {
        E::NotFound { .. } => 404,
        E::AlreadyExists { .. } => 409,
        E::Precondition { .. } => 412,
        E::PermissionDenied { .. } => 403,
        E::Unauthenticated { .. } => 401,
        _ => return None,
    })
}

/// The code in the XML of a body.
pub(super) fn code(text: &str) -> Option<String> {
    let code = text.split_once("<Code>")?.1.split_once("</Code>")?.0;
    let is_word = code.len() <= 48 && code.bytes().all(|byte| byte.is_ascii_alphabetic());
    is_word.then(|| code.to_owned())
}

/// Returns `true` if the library sent the request more than once.
pub(super) fn was_retried(error: &object_store::Error) -> bool {
    error.to_string().contains(" retries, max_retries: ")
}

/// Returns `true` if an object does not exist, but what should hold it does.
pub(super) fn is_missing(error: &object_store::Error) -> bool {
    matches!(error, object_store::Error::NotFound { .. })
        && !Answer::of(error).code.is_some_and(|code| is_of_bucket(&code))
}

fn is_of_bucket(code: &str) -> bool {
    matches!(code, "NoSuchBucket" | "ContainerNotFound" | "ContainerBeingDeleted")
}

/// Returns the error of a failed request. `doing` names the object; `credentials` says where they
/// came from.
pub(super) fn error(error: &object_store::Error, doing: &str, credentials: &str) -> Error {
    if let Some(none) = cause::<NoCredentials>(error) {
        return Error::lake(format!("{doing}: {}", none.what)).hint(none.hint.clone()).of_request();
    }
    let answer = Answer::of(error);
    let Some(status) = answer.status else { return unanswered(error, doing).of_request() };
    let code = answer.code.as_deref().unwrap_or_default();
    let (what, hint) = match (status, code) {
        (_, code) if is_of_bucket(code) => (
            "the bucket does not exist",
            "check the name after `://`, and create the bucket with the cloud's own tools"
                .to_owned(),
        ),
        (_, "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "AuthenticationFailed") => (
            "the store does not accept the credentials",
            format!("they are from {credentials}: check both the name and the secret"),
        ),
        (_, "ExpiredToken" | "TokenRefreshRequired" | "InvalidToken") => {
            ("the credentials have expired", format!("they are from {credentials}: renew them"))
        }
        (_, "RequestTimeTooSkewed") => {
            ("this machine's clock is wrong", "set the clock, and try again".to_owned())
        }
        (301 | 307 | 308, _)
        | (400, "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException") => (
            "the bucket is in another region",
            "set `AWS_REGION` to the region of the bucket".to_owned(),
        ),
        (401 | 403, _) => (
            "the store refused it",
            format!("allow the credentials from {credentials} to do that, or use others"),
        ),
        (404, _) => ("it does not exist", "check the address of the lake".to_owned()),
        (409 | 412, _) => ("another writer was faster", "run the command again".to_owned()),
        (429 | 503, _) => (
            "the store is overloaded",
            "try again later, or with fewer commands at the same time".to_owned(),
        ),
        (501, _) => (
            "the store does not support the request",
            "a lake needs a store that heeds `If-None-Match` and `If-Match`".to_owned(),
        ),
        (500.., _) => (
            "the store failed",
            "try again later; `wabalake check --lake URL` tells whether it answers".to_owned(),
        ),
        _ => (
            "the store rejected the request",
            "`wabalake check --lake URL` tells what works there".to_owned(),
        ),
    };
    let space = if code.is_empty() { "" } else { " " };
    let error = Error::lake(format!("{doing}: {what} ({status}{space}{code})")).hint(hint);
    // A file that is missing may be damage.
    if status == 404 { error } else { error.of_request() }
}

/// The error of a request without an answer.
fn unanswered(error: &object_store::Error, doing: &str) -> Error {
    let kind = match cause::<Unreachable>(error) {
        Some(Unreachable(error)) => Some(error.kind()),
        None => cause::<HttpError>(error).map(HttpError::kind),
    };
    let (what, hint) = match kind {
        Some(HttpErrorKind::Connect) => (
            match connection_fault(error) {
                Some(why) => format!("cannot connect to the store: {why}"),
                None => "cannot connect to the store".to_owned(),
            },
            "check the network, the proxy (`HTTPS_PROXY`) and the endpoint \
             (`AWS_ENDPOINT_URL`, `AZURE_STORAGE_ENDPOINT`)",
        ),
        Some(HttpErrorKind::Timeout) => (
            "the store does not answer".to_owned(),
            "try again; `--store-option silence_timeout=SECONDS` waits longer",
        ),
        Some(_) => (
            "the connection to the store broke".to_owned(),
            "try again; `wabalake check --lake URL` tells whether the store answers",
        ),
        None if matches!(error, object_store::Error::Generic { .. })
            && error.to_string().contains("redirect without LOCATION") =>
        {
            (
                "the bucket is in another region".to_owned(),
                "set `AWS_REGION` to the region of the bucket",
            )
        }
        None => (
            "the store's answer cannot be used".to_owned(),
            "`wabalake check --lake URL` tells what works there",
        ),
    };
    Error::lake(format!("{doing}: {what}")).hint(hint)
}

/// The kind of a connection's failure. The texts of libraries may quote a URL, so only known ones are
/// told apart.
fn connection_fault(error: &object_store::Error) -> Option<&'static str> {
    let text = causes(error).map(ToString::to_string).collect::<Vec<_>>().join("\n");
    let text = text.to_ascii_lowercase();
    let kinds = [
        ("dns error", "its host name is unknown"),
        ("failed to lookup address", "its host name is unknown"),
        ("certificate", "its certificate is not trusted (`AWS_CA_BUNDLE`, `SSL_CERT_FILE`)"),
        ("connection refused", "nothing listens there"),
        ("network is unreachable", "the network is unreachable"),
        ("timed out", "it does not answer"),
    ];
    kinds.into_iter().find(|(sign, _)| text.contains(sign)).map(|(_, words)| words)
}

/// The first cause of a type.
fn cause<E: StdError + 'static>(error: &object_store::Error) -> Option<&E> {
    causes(error).find_map(|cause| cause.downcast_ref::<E>())
}

fn causes<'a>(
    error: &'a object_store::Error,
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    let first: &(dyn StdError + 'static) = error;
    std::iter::successors(Some(first), |cause: &&'a (dyn StdError + 'static)| (*cause).source())
}

/// Returns `true` if the request was never sent, for lack of credentials.
pub(super) fn is_without_credentials(error: &object_store::Error) -> bool {
    cause::<NoCredentials>(error).is_some()
}
