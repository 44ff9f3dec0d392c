//! Older versions of objects, which S3 keeps of what is deleted or replaced if a bucket says so.
//!
//! ```text
//! GET    /bucket?versioning                        Enabled, Suspended, or nothing
//! GET    /bucket?versions&prefix=lake/tables       versions and delete markers, a thousand at a time
//! GET    /bucket/lake/a.parquet?versionId=3L4k…    the bytes of one
//! DELETE /bucket/lake/a.parquet?versionId=3L4k…    deletes it for good
//! ```
//!
//! Google and Azure may keep such things as well; what is told of them are words.

use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, StreamExt as _};
use object_store::{GetOptions, ObjectStore as _};
use serde::Deserialize;

use super::address::Cloud;
use super::http::wait;
use super::store::{AT_ONCE, Store};
use super::{Key, Place, fault};
use crate::error::{Error, Result};

/// What a place keeps of files that are deleted or replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// Nothing.
    Nothing,
    /// Versions, which can be listed and deleted. `is_on` is `false` if no more are kept.
    Versions { is_on: bool },
    /// The store does not tell, by the status of its answer.
    Unknown(Option<u16>),
    /// The cloud does not tell: what it may keep, in words.
    Maybe(&'static str),
}

/// What Google may keep.
const GOOGLE: &str = "Google Cloud Storage keeps deleted objects for as long as the soft delete policy of the \
    bucket says (7 days, unless it was changed), and older versions if the bucket has object versioning; \
    wabalake cannot see them";

/// What Azure may keep.
const AZURE: &str = "Azure Blob Storage keeps deleted blobs and older versions for as long as the soft delete \
    and versioning policies of the account and container say; wabalake cannot see them";

/// A version of an object, or the marker that it is deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    /// The key of the object.
    pub(crate) key: Key,
    pub(crate) id: String,
    pub(crate) bytes: u64,
    /// `true` if it is what readers find.
    pub(crate) is_latest: bool,
    /// `true` if it only says that the object is deleted.
    pub(crate) is_marker: bool,
}

/// A page of a list of versions.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Page {
    is_truncated: bool,
    next_key_marker: Option<String>,
    next_version_id_marker: Option<String>,
    #[serde(rename = "Version")]
    versions: Vec<Listed>,
    #[serde(rename = "DeleteMarker")]
    markers: Vec<Listed>,
}

/// An entry of a page.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    key: String,
    version_id: String,
    is_latest: bool,
    #[serde(default)]
    size: u64,
}

impl Place {
    /// Looks up what the place keeps of files that are deleted or replaced. The store is asked once.
    ///
    /// # Errors
    ///
    /// Threads that cannot be started.
    pub(crate) fn kept(&self) -> Result<Kept> {
        let Some(store) = self.store() else { return Ok(Kept::Nothing) };
        match store.kept.get() {
            Some(kept) => Ok(*kept),
            None => {
                let kept = kept(store)?;
                Ok(*store.kept.get_or_init(|| kept))
            }
        }
    }

    /// Lists all versions below a key and at it, by key.
    ///
    /// # Errors
    ///
    /// A store that refuses it, or that does not know versions.
    pub(crate) fn versions(&self, below: &Key) -> Result<Vec<Version>> {
        let Some(store) = self.store() else { return Ok(Vec::new()) };
        let root = store.path(below);
        let mut found = Vec::new();
        let mut after: Option<(String, String)> = None;
        loop {
            let mut query = format!("prefix={}&versions=", encoded(root.as_ref(), false));
            if let Some((key, version)) = &after {
                let [key, version] = [key, version].map(|text| encoded(text, false));
                query = format!("key-marker={key}&{query}&version-id-marker={version}");
            }
            let page = page(store, below, query)?;
            let entries = page.versions.into_iter().map(|entry| (entry, false));
            let entries = entries.chain(page.markers.into_iter().map(|entry| (entry, true)));
            found.extend(entries.filter_map(
                |(Listed { key, version_id, is_latest, size }, is_marker)| {
                    let path = object_store::path::Path::parse(&key).ok()?;
                    let key = store.key(&path)?;
                    let is_here = key == *below || key.below(below).is_some();
                    let version =
                        Version { key, id: version_id, bytes: size, is_latest, is_marker };
                    is_here.then_some(version)
                },
            ));
            let next =
                page.next_key_marker.zip(Some(page.next_version_id_marker.unwrap_or_default()));
            match next {
                Some(next) if page.is_truncated && after.as_ref() != Some(&next) => {
                    after = Some(next);
                }
                _ if page.is_truncated => {
                    return Err(listing(store, below, "its pages do not end"));
                }
                _ => break,
            }
        }
        found.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(found)
    }

    /// Reads versions, many at once; `None` for those that do not exist. In the order of `versions`.
    pub(crate) fn read_versions(&self, versions: &[&Version]) -> Vec<Result<Option<Bytes>>> {
        let Some(store) = self.store() else { return versions.iter().map(|_| Ok(None)).collect() };
        let ids: Vec<String> = versions.iter().map(|version| version.id.clone()).collect();
        let paths = versions.iter().map(|version| store.path(&version.key));
        let read = store.each(paths, move |objects, path, at| {
            let version = ids.get(at).cloned();
            async move {
                let options = GetOptions { version, ..GetOptions::default() };
                objects.get_opts(&path, options).await?.bytes().await
            }
        });
        super::store::results(versions, read, |version, read| match read {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if fault::is_missing(&error) => Ok(None),
            Err(error) => Err(store.error(&error, "reading an older version of", &version.key)),
        })
    }

    /// Deletes versions for good, many at once. One that does not exist is no error.
    ///
    /// # Errors
    ///
    /// Versions that the store does not delete, which the error names: those that are locked.
    pub(crate) fn delete_versions(&self, versions: &[Version]) -> Result<()> {
        /// How many of them an error names.
        const SHOWN: usize = 20;
        let Some(store) = self.store() else { return Ok(()) };
        let request = |version: &Version| {
            let path = encoded(store.path(&version.key).as_ref(), true);
            (path, format!("versionId={}", encoded(&version.id, false)))
        };
        let requests: Vec<_> = versions.iter().map(request).collect();
        let asked = Arc::clone(store);
        let answers: Vec<Option<u16>> = wait(async move {
            stream::iter(requests)
                .map(|(path, query)| {
                    let store = Arc::clone(&asked);
                    async move {
                        let signed = store.connected().signed.as_ref()?;
                        Some(signed.send("DELETE", &path, &query).await?.0)
                    }
                })
                .buffered(AT_ONCE)
                .collect()
                .await
        })?;
        let is_gone = |status: &Option<u16>| matches!(status, Some(200..300 | 404));
        let left: Vec<_> =
            versions.iter().zip(answers).filter(|(_, status)| !is_gone(status)).collect();
        let Some((_, status)) = left.first() else { return Ok(()) };
        let answer = status.map_or("it does not answer".to_owned(), |status| format!("{status}"));
        let mut keys: Vec<String> =
            left.iter().map(|(version, _)| store.url(&version.key)).collect();
        keys.dedup();
        if keys.len() > SHOWN {
            let more = keys.len() - SHOWN;
            keys.truncate(SHOWN);
            keys.push(format!("and {more} more"));
        }
        let count = wabalake_data::words::counted_as(
            left.len() as u64,
            "older version of a file was",
            "older versions of files were",
        );
        let error = Error::lake(format!("{count} not deleted: the store refuses it ({answer})"));
        Err(error.found(keys.join(", ")).hint(match status {
            Some(401 | 403 | 409) => {
                "they are locked (Object Lock, a legal hold), or the credentials lack \
                 `s3:DeleteObjectVersion`: change that, and run the same command again"
            }
            _ => "run the same command again",
        }))
    }
}

/// Looks up what a store keeps of files that are deleted or replaced.
pub(super) fn kept(store: &Arc<Store>) -> Result<Kept> {
    let connected = store.connected();
    match connected.cloud {
        None => return Ok(Kept::Nothing),
        Some(Cloud::Google) => return Ok(Kept::Maybe(GOOGLE)),
        Some(Cloud::Azure) => return Ok(Kept::Maybe(AZURE)),
        Some(Cloud::S3) => {}
    }
    let asked = Arc::clone(store);
    let answer = wait(async move { ask(&asked, "versioning=").await })?;
    Ok(match answer {
        Some((200, text)) if text.contains("<Status>Enabled</Status>") => {
            Kept::Versions { is_on: true }
        }
        // Those that were kept before are still there.
        Some((200, text)) if text.contains("<Status>Suspended</Status>") => {
            Kept::Versions { is_on: false }
        }
        // A server without versions need not know the question.
        Some((200 | 405 | 501, _)) => Kept::Nothing,
        Some((status, _)) => Kept::Unknown(Some(status)),
        None => Kept::Unknown(None),
    })
}

async fn ask(store: &Store, query: &str) -> Option<(u16, String)> {
    store.connected().signed.as_ref()?.send("GET", "", query).await
}

fn page(store: &Arc<Store>, below: &Key, query: String) -> Result<Page> {
    let asked = Arc::clone(store);
    let answer = wait(async move { ask(&asked, &query).await })?;
    match answer {
        Some((200, text)) => quick_xml::de::from_str(&text)
            .map_err(|_| listing(store, below, "the answer cannot be read")),
        Some((status, _)) => {
            Err(listing(store, below, &format!("the store refuses it ({status})")))
        }
        None => Err(listing(store, below, "the store does not answer")),
    }
}

fn listing(store: &Store, below: &Key, what: &str) -> Error {
    Error::lake(format!("listing older versions of files at `{}`: {what}", store.url(below))).hint(
        "the bucket keeps versions: allow `s3:ListBucketVersions`, `s3:GetObjectVersion` and \
         `s3:DeleteObjectVersion` to these credentials",
    )
}

/// A text as S3 signs it in a path, whose slashes stay, or in a query.
fn encoded(text: &str, is_path: bool) -> String {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    const QUERY: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    const PATH: AsciiSet = QUERY.remove(b'/');
    utf8_percent_encode(text, if is_path { &PATH } else { &QUERY }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_have_versions_and_markers_in_any_order() {
        let text = r#"<?xml version="1.0" encoding="UTF-8"?>
            <ListVersionsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
              <Name>lake</Name><IsTruncated>true</IsTruncated><KeyMarker></KeyMarker>
              <NextKeyMarker>a&amp;b</NextKeyMarker><NextVersionIdMarker>v2</NextVersionIdMarker>
              <Version><Key>a&amp;b</Key><VersionId>v1</VersionId><IsLatest>false</IsLatest>
                <Size>12</Size><Owner><ID>x</ID></Owner></Version>
              <DeleteMarker><Key>c</Key><VersionId>m</VersionId><IsLatest>true</IsLatest></DeleteMarker>
              <Version><Key>d</Key><VersionId>null</VersionId><IsLatest>true</IsLatest><Size>0</Size></Version>
            </ListVersionsResult>"#;
        let page: Page = quick_xml::de::from_str(text).unwrap();
        assert!(page.is_truncated);
        assert_eq!(page.next_key_marker.as_deref(), Some("a&b"));
        let ids: Vec<_> =
            page.versions.iter().map(|of| (&*of.key, &*of.version_id, of.size)).collect();
        assert_eq!(ids, [("a&b", "v1", 12), ("d", "null", 0)]);
        assert!(page.markers[0].is_latest && page.markers[0].version_id == "m");
        let none: Page = quick_xml::de::from_str("<ListVersionsResult/>").unwrap();
        assert!(none.versions.is_empty() && !none.is_truncated);
    }

    #[test]
    fn paths_and_queries_are_encoded_as_they_are_signed() {
        let key = "a b/utc_day=2025-06-01/é+~.json";
        assert_eq!(encoded(key, true), "a%20b/utc_day%3D2025-06-01/%C3%A9%2B~.json");
        assert_eq!(encoded("a/b&c", false), "a%2Fb%26c");
    }
}
