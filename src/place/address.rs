//! Addresses of lakes: what `--lake` accepts.
//!
//! | address | place |
//! |---|---|
//! | a path, `file:///…` | a folder |
//! | `s3://bucket/prefix` | Amazon S3, or another store that speaks its protocol |
//! | `gs://bucket/prefix` | Google Cloud Storage |
//! | `az://container/prefix` | Azure Blob Storage; the account comes from the environment |
//! | `abfss://container@account.dfs.core.windows.net/prefix` | the same, with the account |
//!
//! A prefix is taken as it is written: `%20` is three letters. Secrets in a URL are refused, since
//! command lines end up in process lists and logs.

use std::fmt;
use std::path::{Path, PathBuf};

use super::key::is_part;
use crate::error::{Error, Result};

/// The address of a lake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A folder of this machine.
    Folder(PathBuf),
    /// A bucket of an object store, or a part of one.
    Store(Bucket),
}

/// A part of an object store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    pub(super) cloud: Cloud,
    pub(super) name: String,
    /// Without a slash at either end; may be empty.
    pub(super) prefix: String,
    /// The host of the account, such as `account.dfs.core.windows.net`, if the address has it.
    pub(super) host: Option<String>,
}

/// The protocol of an object store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cloud {
    S3,
    Google,
    Azure,
}

impl Address {
    /// Parses a path or a URL.
    ///
    /// # Errors
    ///
    /// A URL with an unknown scheme, a password, a query or a fragment, without a bucket, or with
    /// empty parts.
    pub fn parse(text: impl AsRef<Path>) -> Result<Self> {
        let path = text.as_ref();
        let Some((scheme, rest)) = path.to_str().and_then(|text| text.split_once("://")) else {
            return Ok(Self::Folder(path.to_owned()));
        };
        let cloud = match scheme {
            "s3" | "s3a" => Cloud::S3,
            "gs" => Cloud::Google,
            "az" | "abfs" | "abfss" => Cloud::Azure,
            "file" => return Ok(Self::Folder(PathBuf::from(rest))),
            "http" | "https" => {
                return Err(Error::usage(format!("a lake on `{scheme}://` is not supported")).hint(
                    "write `s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX` or `az://CONTAINER/PREFIX`; \
                     the address of a server goes into `AWS_ENDPOINT_URL`",
                ));
            }
            _ => {
                return Err(Error::usage(format!("a lake on `{scheme}://` is not supported"))
                    .hint("name a folder, or an address on `s3://`, `gs://` or `az://`"));
            }
        };
        // No message repeats the URL before it is known to hold no secret.
        if let Some(sign) = ['?', '#'].into_iter().find(|sign| rest.contains(*sign)) {
            return Err(Error::usage(format!("the URL has a `{sign}`")).hint(
                "leave it out: credentials and options come from the environment, and a path \
                 with such a sign is not supported",
            ));
        }
        let (authority, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let (name, host) = match (authority.split_once('@'), cloud) {
            (None, _) => (authority, None),
            (Some((name, host)), Cloud::Azure) if !name.contains(':') => (name, Some(host)),
            _ => {
                return Err(Error::usage("the URL holds a name or a password before `@`")
                    .hint("leave it out: credentials come from the environment"));
            }
        };
        let is_name = |name: &str, more: &str| {
            let is_sign = |sign: char| sign.is_ascii_alphanumeric() || more.contains(sign);
            !name.is_empty() && name.chars().all(is_sign)
        };
        // `$root` and `$web` are containers of Azure.
        if !is_name(name, "-_.$") || host.is_some_and(|host| !is_name(host, "-.")) {
            let what = if cloud == Cloud::Azure { "container" } else { "bucket" };
            let example =
                if cloud == Cloud::Azure { "az://events/lake" } else { "s3://events/lake" };
            return Err(Error::usage(format!("the URL names no {what}"))
                .hint(format!("a name has letters, digits, `-`, `_` and `.`, as in `{example}`")));
        }
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        if !prefix.is_empty() && !prefix.split('/').all(is_part) {
            return Err(Error::usage(format!("the prefix `{prefix}` cannot be that of a lake"))
                .hint("it must have no empty part, no `.` or `..`, and no backslash"));
        }
        let bucket = Bucket {
            cloud,
            name: name.to_owned(),
            prefix: prefix.to_owned(),
            host: host.map(str::to_owned),
        };
        Ok(Self::Store(bucket))
    }
}

impl Bucket {
    /// The account of Azure that the address names.
    pub(super) fn account(&self) -> Option<&str> {
        self.host.as_deref()?.split('.').next()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => path.display().fmt(f),
            Self::Store(bucket) => bucket.fmt(f),
        }
    }
}

impl fmt::Display for Bucket {
    /// Writes the URL, without a slash at its end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cloud, name, prefix, host } = self;
        match (cloud, host) {
            (Cloud::S3, _) => write!(f, "s3://{name}")?,
            (Cloud::Google, _) => write!(f, "gs://{name}")?,
            (Cloud::Azure, None) => write!(f, "az://{name}")?,
            (Cloud::Azure, Some(host)) => write!(f, "abfss://{name}@{host}")?,
        }
        if !prefix.is_empty() {
            write!(f, "/{prefix}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_are_parsed_and_shown() {
        for (text, shown) in [
            ("s3://events/env=prod/my lake/", "s3://events/env=prod/my lake"),
            ("s3a://events", "s3://events"),
            ("gs://events/lake", "gs://events/lake"),
            ("az://events/100%25", "az://events/100%25"),
            (
                "abfss://events@acme.dfs.core.windows.net/lake",
                "abfss://events@acme.dfs.core.windows.net/lake",
            ),
            ("lake", "lake"),
            ("file:///srv/lake", "/srv/lake"),
        ] {
            let address = Address::parse(text).unwrap();
            assert_eq!(address.to_string(), shown);
            assert_eq!(Address::parse(shown).unwrap(), address);
        }
        let Ok(Address::Store(bucket)) = Address::parse("az://e@acme.blob.core.windows.net/l")
        else {
            panic!("no store")
        };
        assert_eq!(bucket.account(), Some("acme"));
    }

    #[test]
    fn url_that_is_no_lake_is_refused_with_a_hint() {
        for text in [
            "hdfs://name/lake",
            "https://bucket.s3.amazonaws.com/lake",
            "s3://",
            "s3:///lake",
            "s3://events//lake",
            "s3://events/../other",
            "s3://events/a\\b",
            "s3://events:9000/lake",
        ] {
            let error = Address::parse(text).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{text}");
            assert!(error.details().hint.is_some(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn refused_secret_is_not_repeated(
            scheme in "(s3|gs|az|abfss|hdfs|https)",
            secret in "[A-Za-z0-9]{12,40}",
            form in 0..4,
        ) {
            let text = match form {
                0 => format!("{scheme}://user:{secret}@events/lake"),
                1 => format!("{scheme}://events/lake?sig={secret}"),
                2 => format!("{scheme}://events/lake#{secret}"),
                _ => format!("{scheme}://{secret}:{secret}@events.example/lake"),
            };
            let error = Address::parse(&text).unwrap_err();
            let shown = format!("{error:?} {}", error.lines());
            prop_assert!(!shown.contains(&secret));
        }
    }
}
