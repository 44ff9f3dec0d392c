//! Access to object stores: credentials, options, and the client that uses them.
//!
//! Credentials are looked for where each cloud's own tools look, without a request to the store:
//!
//! | S3 | Google | Azure |
//! |---|---|---|
//! | `AWS_ACCESS_KEY_ID`, … | `GOOGLE_APPLICATION_CREDENTIALS` | `AZURE_STORAGE_ACCOUNT_KEY`, `…_SAS_TOKEN` |
//! | profile: keys, `credential_process` | `gcloud auth application-default login` | client secret |
//! | web identity | metadata server | workload identity |
//! | container | | managed identity of a function or an app |
//! | instance | | `az login` |
//! | | | managed identity of a machine |
//!
//! A server for the instance's credentials that does not answer is asked once, for a second.

mod aws;
mod azure;
mod environment;
mod google;
mod process;
mod profile;
mod provider;
mod signed;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use object_store::{BackoffConfig, Certificate, ClientOptions, ObjectStore, RetryConfig};

pub use self::environment::Environment;
pub(super) use self::signed::Signed;
use super::address::{Bucket, Cloud};
use super::fault;
use super::http::{Connector, Meter};
use super::options::{Limits, StoreOptions};
use crate::error::{Error, Result, in_words};

/// A store that can be asked.
pub(super) struct Connected {
    pub(super) objects: Arc<dyn ObjectStore>,
    /// `None` for the store of a test.
    pub(super) cloud: Option<Cloud>,
    /// Where the credentials come from, in words.
    pub(super) credentials: String,
    pub(super) region: Option<String>,
    /// The URL of the server, if it is not the cloud's own.
    pub(super) endpoint: Option<String>,
    /// The container's URL with its account, for other programs; of Azure alone.
    pub(super) container: Option<String>,
    pub(super) meter: Arc<Meter>,
    /// For requests to the bucket itself; of S3 alone.
    pub(super) signed: Option<Signed>,
}

impl Connected {
    /// A store of a test, without a network.
    pub(super) fn unnamed(objects: Arc<dyn ObjectStore>) -> Self {
        Self {
            cloud: None,
            credentials: "nowhere".to_owned(),
            region: None,
            // Tells it from others of the same name.
            endpoint: Some(format!("{:p}", Arc::as_ptr(&objects))),
            objects,
            container: None,
            meter: Arc::default(),
            signed: None,
        }
    }
}

/// Connects to the store of a bucket, without a request to it.
///
/// # Errors
///
/// No credentials, or settings that contradict each other.
pub(super) fn connect(
    bucket: &Bucket,
    options: &StoreOptions,
    environment: &Environment,
) -> Result<Connected> {
    connect_by(bucket, options, environment, &Connector::new(options.limits))
}

/// As [`connect`], by a given HTTP client.
pub(super) fn connect_by(
    bucket: &Bucket,
    options: &StoreOptions,
    environment: &Environment,
    connector: &Connector,
) -> Result<Connected> {
    let way = Way { bucket, options, environment, connector };
    match bucket.cloud {
        Cloud::S3 => aws::connect(&way),
        Cloud::Google => google::connect(&way),
        Cloud::Azure => azure::connect(&way),
    }
}

/// What a connection is made of.
struct Way<'a> {
    bucket: &'a Bucket,
    options: &'a StoreOptions,
    environment: &'a Environment,
    connector: &'a Connector,
}

impl Way<'_> {
    /// The options of the HTTP client. `endpoint` decides whether it may do without TLS.
    fn client(&self, endpoint: Option<&str>, allow_http: bool) -> Result<ClientOptions> {
        let limits = self.options.limits;
        let mut options = ClientOptions::new()
            .with_timeout(limits.request)
            .with_connect_timeout(limits.connect)
            .with_pool_max_idle_per_host(limits.at_once);
        if let Some(endpoint) = endpoint.filter(|endpoint| endpoint.starts_with("http://")) {
            if !(allow_http || self.options.allow_http || is_loopback(endpoint)) {
                return Err(Error::usage(
                    "the store's endpoint is `http://`: requests and data \
                     would be readable on the way",
                )
                .hint("use `https://`, or allow it: `--store-option allow_http=true`"));
            }
            options = options.with_allow_http(true);
        }
        for name in ["AWS_CA_BUNDLE", "SSL_CERT_FILE"] {
            for certificate in certificates(name, self.environment)? {
                options = options.with_root_certificate(certificate);
            }
        }
        if let Some(proxy) = &self.options.proxy {
            options = options.with_proxy_url(proxy);
        }
        Ok(options)
    }

    fn retry(&self) -> RetryConfig {
        retry(self.options.limits)
    }

    /// The endpoint by the options, else by the first of variables that is set.
    fn endpoint(&self, variables: &[&str]) -> Result<Option<String>> {
        if let Some(endpoint) = &self.options.endpoint {
            return Ok(Some(endpoint.clone()));
        }
        let mut set = variables.iter().filter_map(|name| Some((name, self.environment.get(name)?)));
        let Some((name, text)) = set.next() else { return Ok(None) };
        endpoint(text, &format!("`{name}`")).map(Some)
    }

    /// The error that nothing was found, with where was looked.
    fn no_credentials(&self, looked: &[String], hint: &str) -> Error {
        Error::lake(self.looked(looked)).hint(hint)
    }

    fn looked(&self, looked: &[String]) -> String {
        format!("no credentials for `{}`: looked at {}", self.bucket, looked.join(", "))
    }
}

/// Looks whether a server for credentials answers, once and for at most a second.
fn is_reachable(server: &str) -> bool {
    use std::net::{TcpStream, ToSocketAddrs as _};
    let authority = server.split_once("://").map_or(server, |(_, rest)| rest);
    let authority = authority.split('/').next().unwrap_or_default();
    let address = match authority.contains(':') {
        true => authority.to_owned(),
        false => format!("{authority}:80"),
    };
    // A name could take a resolver longer than a second.
    let address = match address.parse() {
        Ok(address) => Some(address),
        Err(_) => address.to_socket_addrs().ok().and_then(|mut found| found.next()),
    };
    address.is_some_and(|address| TcpStream::connect_timeout(&address, SECOND).is_ok())
}

const SECOND: Duration = Duration::from_secs(1);

/// The patience with servers for credentials, which are near: some networks never answer.
fn nearby() -> (RetryConfig, Duration) {
    let limits = Limits { retries: 2, retry: SECOND, ..Limits::default() };
    (retry(limits), SECOND)
}

fn retry(limits: Limits) -> RetryConfig {
    RetryConfig {
        // The library's own would be over after 1.5 seconds.
        backoff: BackoffConfig {
            init_backoff: limits.pause,
            max_backoff: Duration::from_secs(10),
            base: 3.,
        },
        max_retries: limits.retries,
        retry_timeout: limits.retry,
    }
}

/// Checks the URL of a server. `of` names where it is set.
fn endpoint(text: &str, of: &str) -> Result<String> {
    let url = url::Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.host_str().is_some());
    let url = url.filter(|_| !text.contains(['@', '?', '#']));
    match url {
        Some(_) => Ok(text.trim_end_matches('/').to_owned()),
        None => Err(Error::usage(format!("{of} is not the URL of a server")).hint(
            "write `https://HOST` or `https://HOST:PORT`, without a name, password or query",
        )),
    }
}

fn is_loopback(endpoint: &str) -> bool {
    use url::Host;
    match url::Url::parse(endpoint).ok().as_ref().and_then(url::Url::host) {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn certificates(name: &str, environment: &Environment) -> Result<Vec<Certificate>> {
    let Some(file) = environment.get(name) else { return Ok(Vec::new()) };
    let unusable = |why: String| {
        Error::usage(format!("the certificates of `{name}` cannot be used: {why}"))
            .hint("name a file of certificates in PEM")
    };
    let text = std::fs::read(Path::new(file)).map_err(|error| unusable(in_words(&error)))?;
    Certificate::from_pem_bundle(&text).map_err(|_| unusable("not PEM".to_owned()))
}

/// An error of the library about settings, whose text could quote them.
fn unusable(error: &object_store::Error, bucket: &Bucket) -> Error {
    let doing = format!("connecting to `{bucket}`");
    match fault::is_without_credentials(error) {
        true => fault::error(error, &doing, ""),
        false => Error::usage(format!("{doing}: the settings cannot be used"))
            .hint("check the environment's variables of the cloud, and `--store-option`"),
    }
}
