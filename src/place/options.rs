//! Options of object stores: `--store-option` and `WABALAKE_STORE_OPTIONS`.

use std::fmt;
use std::time::Duration;

use super::Environment;
use crate::error::{Error, Result};

/// The variable of the environment with options, separated by `;`.
pub(crate) const VARIABLE: &str = "WABALAKE_STORE_OPTIONS";

/// Options of an object store, none of which is a secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreOptions {
    /// The URL of the server, for stores that are not the cloud's own.
    pub(super) endpoint: Option<String>,
    /// The region of the bucket.
    pub(super) region: Option<String>,
    /// The account of Azure.
    pub(super) account: Option<String>,
    /// `true` allows `http://` to other machines.
    pub(super) allow_http: bool,
    /// `true` puts the bucket into the host name, `false` into the path.
    pub(super) virtual_hosted: Option<bool>,
    /// `true` sends no credentials, for public buckets.
    pub(super) anonymous: bool,
    /// `true` pays for requests to a bucket of somebody else.
    pub(super) requester_pays: bool,
    /// The key of AWS KMS that objects are encrypted with.
    pub(super) sse_kms_key: Option<String>,
    /// The URL of a proxy.
    pub(super) proxy: Option<String>,
    pub(super) limits: Limits,
}

/// Limits of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    /// Until a connection is there.
    pub(super) connect: Duration,
    /// Until an answer begins, and between its parts.
    pub(super) silence: Duration,
    /// Until an answer is complete.
    pub(super) request: Duration,
    /// How often a request is tried again.
    pub(super) retries: usize,
    /// How long a request is tried again.
    pub(super) retry: Duration,
    /// How long a store that was never reached is tried again.
    pub(super) first_contact: Duration,
    /// Before a request is tried again for the first time.
    pub(super) pause: Duration,
    /// Requests at the same time.
    pub(super) at_once: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            silence: Duration::from_mins(1),
            request: Duration::from_mins(10),
            retries: 8,
            retry: Duration::from_secs(90),
            first_contact: Duration::from_secs(10),
            pause: Duration::from_millis(250),
            at_once: 64,
        }
    }
}

/// The names of options, with what they take.
const NAMES: [(&str, &str); 14] = [
    ("endpoint", "URL"),
    ("region", "NAME"),
    ("account", "NAME"),
    ("allow_http", "true|false"),
    ("virtual_hosted", "true|false"),
    ("anonymous", "true|false"),
    ("requester_pays", "true|false"),
    ("sse_kms_key", "ID"),
    ("proxy", "URL"),
    ("connect_timeout", "SECONDS"),
    ("silence_timeout", "SECONDS"),
    ("request_timeout", "SECONDS"),
    ("retries", "NUMBER"),
    ("retry_timeout", "SECONDS"),
];

impl StoreOptions {
    /// Parses the environment's options, separated by `;`, then those of the command line.
    ///
    /// # Errors
    ///
    /// An unknown option, a secret, or a value that an option does not take.
    pub fn parse<'a>(
        environment: Option<&'a str>,
        arguments: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self> {
        Self::default().and(environment, arguments)
    }

    /// These options, overridden by those of `WABALAKE_STORE_OPTIONS`.
    ///
    /// # Errors
    ///
    /// As [`StoreOptions::parse`].
    pub fn overridden(self, environment: &Environment) -> Result<Self> {
        self.and(environment.get(VARIABLE), [])
    }

    /// These options, overridden by those of the environment, then by those of the command line.
    ///
    /// # Errors
    ///
    /// As [`StoreOptions::parse`].
    pub fn and<'a>(
        mut self,
        environment: Option<&'a str>,
        arguments: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self> {
        let environment = environment.unwrap_or_default().split(';').map(str::trim);
        for text in environment.filter(|text| !text.is_empty()).chain(arguments) {
            self.set(text)?;
        }
        Ok(self)
    }

    /// Sets an option that is written as `KEY=VALUE`.
    ///
    /// # Errors
    ///
    /// As [`StoreOptions::parse`].
    pub(crate) fn set(&mut self, text: &str) -> Result<()> {
        let Some((name, value)) = text.split_once('=') else {
            return Err(Error::usage("an option of a store is not `KEY=VALUE`").hint(known()));
        };
        let (name, value) = (normal(name), value.trim());
        let Some((name, takes)) = NAMES.into_iter().find(|(known, _)| *known == name) else {
            return Err(match is_secret(&name) {
                true => Error::usage("a secret is no option of a store: others could read it")
                    .hint(
                        "use the environment or a file, as the cloud's own tools do: \
                     `AWS_SECRET_ACCESS_KEY`, `GOOGLE_APPLICATION_CREDENTIALS`, \
                     `AZURE_STORAGE_ACCOUNT_KEY`, …",
                    ),
                false => Error::usage("an option of a store is unknown").hint(known()),
            });
        };
        let wrong = || {
            Error::usage(format!(
                "the option `{name}` of a store has a value that it does not take"
            ))
            .hint(format!("write `{name}={takes}`"))
        };
        let flag = || value.parse::<bool>().map_err(|_| wrong());
        let seconds = || match value.parse::<f64>() {
            Ok(seconds) if seconds > 0. && seconds <= 86_400. => {
                Ok(Duration::from_secs_f64(seconds))
            }
            _ => Err(wrong()),
        };
        let text = || match value.is_empty() || value.contains(char::is_control) {
            true => Err(wrong()),
            false => Ok(Some(value.to_owned())),
        };
        let url = || {
            let url = url::Url::parse(value).map_err(|_| wrong())?;
            // A password with a slash in it would be taken for a path.
            if value.contains(['@', '?', '#']) {
                return Err(Error::usage(format!(
                    "the URL of the option `{name}` holds a name, a password or a query"
                ))
                .hint("leave it out; a proxy with a password goes into `HTTPS_PROXY`"));
            }
            match url.host_str().is_some() && matches!(url.scheme(), "http" | "https") {
                true => Ok(Some(value.trim_end_matches('/').to_owned())),
                false => Err(wrong()),
            }
        };
        match name {
            "endpoint" => self.endpoint = url()?,
            "region" => self.region = text()?,
            "account" => self.account = text()?,
            "allow_http" => self.allow_http = flag()?,
            "virtual_hosted" => self.virtual_hosted = Some(flag()?),
            "anonymous" => self.anonymous = flag()?,
            "requester_pays" => self.requester_pays = flag()?,
            "sse_kms_key" => self.sse_kms_key = text()?,
            "proxy" => self.proxy = url()?,
            "connect_timeout" => self.limits.connect = seconds()?,
            "silence_timeout" => self.limits.silence = seconds()?,
            "request_timeout" => self.limits.request = seconds()?,
            "retries" => self.limits.retries = value.parse().map_err(|_| wrong())?,
            _ => self.limits.retry = seconds()?,
        }
        Ok(())
    }
}

/// An option's name in any spelling, such as `Allow-HTTP`.
fn normal(name: &str) -> String {
    name.trim().to_ascii_lowercase().replace('-', "_")
}

fn known() -> String {
    let names: Vec<String> =
        NAMES.iter().map(|(name, takes)| format!("`{name}={takes}`")).collect();
    format!("options are {}", names.join(", "))
}

/// Returns `true` for names that object stores and their tools give to secrets.
fn is_secret(name: &str) -> bool {
    ["key", "secret", "token", "password", "sas", "credential", "signature", "connection_string"]
        .iter()
        .any(|word| name.contains(word))
}

impl StoreOptions {
    /// The names of options that are written as `KEY=VALUE`.
    pub(crate) fn names_in<'a>(texts: impl IntoIterator<Item = &'a str>) -> Vec<String> {
        let names = texts.into_iter().filter_map(|text| text.split_once('='));
        names.map(|(name, _)| normal(name)).collect()
    }

    /// The options that differ from their defaults: names and values.
    pub(crate) fn named(&self) -> Vec<(String, String)> {
        let usual = Self::default();
        let flag = |value: bool| value.then(|| "true".to_owned());
        let seconds = |value: Duration, usual: Duration| {
            (value != usual).then(|| value.as_secs_f64().to_string())
        };
        let (own, limits) = (self.limits, usual.limits);
        let all = [
            ("endpoint", self.endpoint.clone()),
            ("region", self.region.clone()),
            ("account", self.account.clone()),
            ("allow_http", flag(self.allow_http)),
            ("virtual_hosted", self.virtual_hosted.map(|value| value.to_string())),
            ("anonymous", flag(self.anonymous)),
            ("requester_pays", flag(self.requester_pays)),
            ("sse_kms_key", self.sse_kms_key.clone()),
            ("proxy", self.proxy.clone()),
            ("connect_timeout", seconds(own.connect, limits.connect)),
            ("silence_timeout", seconds(own.silence, limits.silence)),
            ("request_timeout", seconds(own.request, limits.request)),
            ("retries", (own.retries != limits.retries).then(|| own.retries.to_string())),
            ("retry_timeout", seconds(own.retry, limits.retry)),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }
}

impl fmt::Display for StoreOptions {
    /// Writes the options that differ from their defaults, as they are given.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = self.named().into_iter().map(|(name, value)| format!("{name}={value}"));
        f.write_str(&options.collect::<Vec<_>>().join(";"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn arguments_precede_the_environment() {
        let options = StoreOptions::parse(
            Some("region=eu-west-1; allow-http=true;retries=2;"),
            ["region=sa-east-1", "endpoint=https://store.example:9000/", "silence_timeout=0.5"],
        )
        .unwrap();
        assert_eq!(
            options.to_string(),
            "endpoint=https://store.example:9000;region=sa-east-1;allow_http=true;\
             silence_timeout=0.5;retries=2"
        );
        assert_eq!(StoreOptions::parse(Some(&options.to_string()), []).unwrap(), options);
        assert_eq!(StoreOptions::parse(None, []).unwrap().to_string(), "");
    }

    #[test]
    fn wrong_value_is_refused_with_what_the_option_takes() {
        for (text, hint) in [
            ("allow_http=maybe", "write `allow_http=true|false`"),
            ("connect_timeout=0", "write `connect_timeout=SECONDS`"),
            ("endpoint=store.example", "write `endpoint=URL`"),
        ] {
            let error = StoreOptions::parse(None, [text]).unwrap_err();
            assert_eq!(error.details().hint.as_deref(), Some(hint));
        }
    }

    proptest! {
        #[test]
        fn secret_is_refused_and_not_repeated(
            name in "(aws_)?(secret_access_key|session_token|account_key|sas_token|client_secret)",
            secret in "[A-Za-z0-9/+=]{12,60}",
            form in 0..3,
        ) {
            let text = match form {
                0 => format!("{name}={secret}"),
                1 => format!("proxy=http://user:{secret}@proxy.example:80"),
                _ => format!("{secret}{name}"),
            };
            let error = StoreOptions::parse(None, [text.as_str()]).unwrap_err();
            prop_assert_eq!(error.exit_code(), 2);
            let shown = format!("{error:?} {}", error.lines());
            prop_assert!(!shown.contains(&secret));
        }
    }
}
