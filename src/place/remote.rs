//! Buckets whose files are named by URLs on the command line, such as exports.
//!
//! ```text
//! s3://events/exports/2025/*.csv
//! └ bucket ─┘ └ path within ───┘
//! ```
//!
//! Options and credentials are those of the environment.

use std::path::Path;

use super::{Address, Download, Entry, Environment, Key, Place, StoreOptions, access};
use crate::error::{Error, Result};

/// A bucket of an object store, by the URL that was typed.
#[derive(Debug)]
pub(crate) struct Remote {
    place: Place,
}

impl Remote {
    /// Returns `true` for a URL.
    pub(crate) fn is_url(file: &Path) -> bool {
        file.to_str().is_some_and(|file| file.contains("://"))
    }

    /// Splits a URL into that of its bucket, and the path within.
    ///
    /// # Errors
    ///
    /// A URL that is of no object store, or that may hold a secret.
    pub(crate) fn split(url: &str) -> Result<(&str, &str)> {
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        if !matches!(scheme, "s3" | "s3a" | "gs" | "az" | "abfs" | "abfss") {
            return Err(Error::usage("an export by a URL is on `s3://`, `gs://` or `az://`").hint(
                "name a file of this machine by its path; what another program downloads is read \
                 from standard input: `curl … | wabalake load -`",
            ));
        }
        // A query may hold a secret: no message repeats it.
        if rest.contains(['?', '#']) {
            return Err(Error::usage("the URL of an export has a `?` or `#`").hint(
                "leave a query out: credentials come from the environment. In a pattern, `*` \
                 matches any name, `[…]` one character, `**` any folders",
            ));
        }
        let bucket = url.len() - rest.len() + rest.find('/').unwrap_or(rest.len());
        let (bucket, path) = url.split_at(bucket);
        Address::parse(bucket)?;
        Ok((bucket, path.strip_prefix('/').unwrap_or(path)))
    }

    /// Opens a bucket by its URL, without a request to it.
    ///
    /// # Errors
    ///
    /// No credentials, or settings that cannot be used.
    pub(crate) fn open(bucket: &str) -> Result<Self> {
        let Address::Store(address) = Address::parse(bucket)? else {
            return Err(Error::bug("a URL of a folder"));
        };
        let environment = Environment::of_process();
        let options = StoreOptions::parse(environment.get("WABALAKE_STORE_OPTIONS"), [])?;
        let connected = access::connect(&address, &options, &environment)?;
        Ok(Self { place: Place::connected(connected, "", bucket.to_owned())? })
    }

    /// The bucket that a place is.
    #[cfg(test)]
    pub(crate) fn over(place: Place) -> Self {
        Self { place }
    }

    /// The URL of a key, as it would be typed.
    pub(crate) fn url(&self, key: &Key) -> String {
        match key.as_str() {
            "" => self.place.shown().to_owned(),
            key => format!("{}/{key}", self.place.shown()),
        }
    }

    /// Looks up an object; `None` if it does not exist.
    ///
    /// # Errors
    ///
    /// A store that does not answer, or that refuses it.
    pub(crate) fn entry(&self, key: &Key) -> Result<Option<Entry>> {
        self.place.entry(key)
    }

    /// Lists the objects below a key, by key.
    ///
    /// # Errors
    ///
    /// As [`Remote::entry`].
    pub(crate) fn list(&self, below: &Key) -> Result<Vec<Entry>> {
        self.place.list(below, None)
    }

    /// Opens an object.
    ///
    /// # Errors
    ///
    /// As [`Remote::entry`], or an object that does not exist.
    pub(crate) fn download(&self, key: &Key) -> Result<Download> {
        Download::of(&self.place, key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_is_split_after_its_bucket() {
        for (url, bucket, path) in [
            ("s3://events", "s3://events", ""),
            ("s3://events/", "s3://events", ""),
            ("gs://events/a/*.csv", "gs://events", "a/*.csv"),
            (
                "abfss://c@acme.dfs.core.windows.net/a b/",
                "abfss://c@acme.dfs.core.windows.net",
                "a b/",
            ),
        ] {
            assert_eq!(Remote::split(url).unwrap(), (bucket, path));
        }
    }

    #[test]
    fn url_that_is_of_no_store_or_holds_a_secret_is_refused() {
        for url in [
            "https://b/a.csv?sig=s3cret",
            "file:///a.csv",
            "s3://",
            "s3://b/a?sig=s3cret",
            "s3://u:s3cret@b/a",
        ] {
            let error = Remote::split(url).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{url}");
            assert!(!error.lines().contains("s3cret") && error.details().hint.is_some(), "{url}");
        }
    }
}
