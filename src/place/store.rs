//! A lake's place in an object store.
//!
//! Requests run on threads of their own, at most 64 at once. Failed ones are tried again by the
//! library, with one exception: after a conditional put that may have been done, the object is read
//! back. The library would take its own first try for another writer's.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::sync::{Arc, OnceLock};

use bytes::{Buf as _, Bytes};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use object_store::client::{HttpError, HttpErrorKind};
use object_store::path::Path as ObjectPath;
use object_store::{
    Attribute, Attributes, Error as ObjectError, GetOptions, GetRange, GetResult, MultipartUpload,
    ObjectMeta, ObjectStore, ObjectStoreExt as _, PutOptions,
};
use tokio::task::JoinSet;

use super::access::Connected;
use super::address::Cloud;
use super::conditional::conditional;
use super::fault::{self, is_missing};
use super::http::wait;
use super::versions::Kept;
use super::{Entry, Key, Made, Part, Payload};
use crate::error::{Context as _, Error, Result};

/// Requests of one call at the same time.
pub(super) const AT_ONCE: usize = 64;

/// The size of the largest file that is uploaded by one request. Larger ones are uploaded in parts, so no
/// more than this is in memory.
pub(crate) const IN_ONE_PUT: usize = 32 << 20;

/// How often an object is read from its start again.
pub(super) const BODIES: u32 = 2;

/// The size of a part.
const PART: usize = 8 << 20;

/// Parts at the same time.
const PARTS_AT_ONCE: usize = 4;

/// A part of an object store.
pub(crate) struct Store {
    objects: Arc<dyn ObjectStore>,
    root: ObjectPath,
    /// The URL of the root, without secrets.
    url: String,
    connected: Arc<Connected>,
    /// What it keeps of deleted files, once it was asked.
    pub(super) kept: OnceLock<Kept>,
    /// Set once conditions are known to be heeded.
    pub(super) heeds: OnceLock<()>,
}

impl fmt::Debug for Store {
    /// Writes the URL alone: clients hold credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Store").field(&self.url).finish()
    }
}

impl Store {
    /// A store whose root is a prefix.
    ///
    /// # Errors
    ///
    /// A prefix with parts that no object has.
    pub(super) fn new(
        connected: impl Into<Arc<Connected>>,
        prefix: &str,
        url: String,
    ) -> Result<Self> {
        let (connected, root) = (connected.into(), parse_prefix(prefix)?);
        Ok(Self {
            objects: Arc::clone(&connected.objects),
            root,
            url,
            connected,
            kept: OnceLock::new(),
            heeds: OnceLock::new(),
        })
    }

    /// Another part of the same bucket.
    ///
    /// # Errors
    ///
    /// As [`Store::new`].
    pub(super) fn at(&self, prefix: &str) -> Result<Self> {
        let bucket = self.bucket_url();
        let slash = if bucket.ends_with('/') || prefix.is_empty() { "" } else { "/" };
        Self::new(Arc::clone(&self.connected), prefix, format!("{bucket}{slash}{prefix}"))
    }

    /// The URL of the bucket.
    pub(super) fn bucket_url(&self) -> &str {
        let bucket = self.url.strip_suffix(self.root.as_ref()).unwrap_or(&self.url);
        // A store of a test has nothing but its scheme.
        bucket.strip_suffix('/').filter(|bucket| !bucket.ends_with('/')).unwrap_or(bucket)
    }

    /// The prefix.
    pub(super) fn root(&self) -> &ObjectPath {
        &self.root
    }

    /// The store itself, for readers that ask it directly. Its paths are those of [`Store::path`].
    pub(crate) fn objects(&self) -> &Arc<dyn ObjectStore> {
        &self.objects
    }

    /// How the store was reached.
    pub(super) fn connected(&self) -> &Connected {
        &self.connected
    }

    /// Tells this store from others, for caches: its URL and the server's.
    pub(crate) fn identity(&self) -> String {
        format!("{}@{}", self.url, self.connected.endpoint.as_deref().unwrap_or_default())
    }

    /// The path of a key's object.
    pub(crate) fn path(&self, key: &Key) -> ObjectPath {
        let path = match (self.root.as_ref(), key.as_str()) {
            (root, "") => return ObjectPath::parse(root).unwrap_or_default(),
            ("", key) => key.to_owned(),
            (root, key) => format!("{root}/{key}"),
        };
        // A key has no part that an object's path refuses.
        ObjectPath::parse(&path).unwrap_or_else(|_| ObjectPath::from(path))
    }

    /// The key of an object below the root; `None` for others, and for names that no key has.
    pub(super) fn key(&self, path: &ObjectPath) -> Option<Key> {
        let below = match self.root.as_ref() {
            "" => path.as_ref(),
            root => path.as_ref().strip_prefix(root)?.strip_prefix('/')?,
        };
        Key::parse(below).ok()
    }

    pub(super) fn url(&self, key: &Key) -> String {
        match key.as_str() {
            "" => self.url.clone(),
            key => format!("{}/{key}", self.url),
        }
    }

    /// The URL of a key as Spark and its relatives read it.
    pub(super) fn public_url(&self, key: &Key) -> String {
        let Some(container) = &self.connected.container else { return self.url(key) };
        let path = self.path(key);
        match path.as_ref() {
            "" => container.clone(),
            path => format!("{container}/{path}"),
        }
    }

    /// The error of a failed request: what was done with which key.
    pub(crate) fn error(&self, error: &ObjectError, doing: &str, key: &Key) -> Error {
        let doing = format!("{doing} `{}`", self.url(key));
        fault::error(error, &doing, &self.connected.credentials)
    }

    pub(crate) fn list(&self, below: &Key, after: Option<&str>) -> Result<Vec<Entry>> {
        let prefix = self.path(below);
        let offset = after.filter(|after| !after.is_empty()).map(|after| below.join(after));
        let offset = offset.map(|offset| self.path(&offset));
        let objects = Arc::clone(self.objects());
        let listed = wait(async move {
            let prefix = (!prefix.as_ref().is_empty()).then_some(&prefix);
            let found = match &offset {
                Some(offset) => objects.list_with_offset(prefix, offset),
                None => objects.list(prefix),
            };
            found.try_collect::<Vec<ObjectMeta>>().await
        })?;
        let listed = listed.map_err(|error| self.error(&error, "listing", below))?;
        let entries = listed.into_iter().filter_map(|object| self.entry(object));
        // Not every server heeds the offset.
        let is_after = |entry: &Entry| match (entry.key.below(below), after) {
            (Some(name), Some(after)) => name > after,
            (name, None) => name.is_some(),
            (None, _) => false,
        };
        let mut entries: Vec<Entry> = entries.filter(is_after).collect();
        entries.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        // Some tools write an empty object for each folder.
        let folders: Vec<Key> = entries
            .iter()
            .filter(|entry| entry.bytes == 0)
            .filter(|folder| entries.iter().any(|entry| entry.key.below(&folder.key).is_some()))
            .map(|folder| folder.key.clone())
            .collect();
        entries.retain(|entry| !folders.contains(&entry.key));
        Ok(entries)
    }

    fn entry(&self, object: ObjectMeta) -> Option<Entry> {
        Some(Entry {
            key: self.key(&object.location)?,
            bytes: object.size,
            modified: object.last_modified,
            tag: object.e_tag.map(|tag| self.tag(tag)),
        })
    }

    /// An entity tag as headers have it: in its listings, Azure leaves the quotes out.
    fn tag(&self, tag: String) -> String {
        match self.connected.cloud == Some(Cloud::Azure) && !tag.ends_with('"') {
            true => format!("\"{tag}\""),
            false => tag,
        }
    }

    pub(super) fn folders(&self, below: &Key) -> Result<Vec<Key>> {
        let (prefix, objects) = (self.path(below), Arc::clone(self.objects()));
        let listed = wait(async move {
            let prefix = (!prefix.as_ref().is_empty()).then_some(&prefix);
            objects.list_with_delimiter(prefix).await
        })?;
        let listed = listed.map_err(|error| self.error(&error, "listing", below))?;
        let mut folders: Vec<Key> =
            listed.common_prefixes.iter().filter_map(|prefix| self.key(prefix)).collect();
        folders.sort_unstable();
        Ok(folders)
    }

    /// Runs a request for each of many keys, [`AT_ONCE`], in their order.
    pub(super) fn each<T, F>(
        &self,
        keys: impl IntoIterator<Item = ObjectPath>,
        request: impl Fn(Arc<dyn ObjectStore>, ObjectPath, usize) -> F + Send + Sync + 'static,
    ) -> Result<Vec<Result<T, ObjectError>>>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, ObjectError>> + Send + 'static,
    {
        let (objects, keys) = (Arc::clone(self.objects()), Vec::from_iter(keys));
        wait(async move {
            let requests = keys.into_iter().enumerate();
            stream::iter(requests)
                .map(|(at, path)| request(Arc::clone(&objects), path, at))
                .buffered(AT_ONCE)
                .collect()
                .await
        })
    }

    pub(super) fn entries(&self, keys: &[Key]) -> Vec<Result<Option<Entry>>> {
        let found = self
            .each(keys.iter().map(|key| self.path(key)), |objects, path, _| async move {
                objects.head(&path).await
            });
        let entry = |key: &Key, found| match found {
            Ok(object) => Ok(self.entry(object)),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(self.error(&error, "reading", key)),
        };
        results(keys, found, entry)
    }

    pub(crate) fn read(&self, key: &Key) -> Result<Option<Bytes>> {
        self.read_all(std::slice::from_ref(key)).pop().unwrap_or(Ok(None))
    }

    pub(super) fn read_all(&self, keys: &[Key]) -> Vec<Result<Option<Bytes>>> {
        let found = self
            .each(keys.iter().map(|key| self.path(key)), |objects, path, _| async move {
                fetch(&*objects, &path).await.map(|(bytes, _)| bytes)
            });
        let bytes = |key: &Key, found| match found {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(self.error(&error, "reading", key)),
        };
        results(keys, found, bytes)
    }

    pub(super) fn parts(&self, parts: &[Part]) -> Vec<Result<Bytes>> {
        let ranges: Vec<_> = parts.iter().map(|part| part.range.clone()).collect();
        let found = self.each(parts.iter().map(|part| self.path(&part.key)), {
            move |objects, path, at| {
                let range = ranges.get(at).cloned().unwrap_or_default();
                async move {
                    if range.is_empty() {
                        return Ok((Bytes::new(), objects.head(&path).await?.size));
                    }
                    // A suffix is no range that every store knows.
                    let range = Some(GetRange::Bounded(range));
                    let options = GetOptions { range, ..GetOptions::default() };
                    let got = objects.get_opts(&path, options).await?;
                    let size = got.meta.size;
                    Ok((whole(got).await?, size))
                }
            }
        });
        let bytes = |part: &Part, found| match found {
            Ok((bytes, size)) if size == part.size => Ok(bytes),
            Ok((_, size)) => {
                let url = self.url(&part.key);
                Err(Error::lake(format!("`{url}` has another size than expected"))
                    .found(format!("{size} bytes, not {}", part.size)))
            }
            Err(error) => Err(self.error(&error, "reading", &part.key)),
        };
        results(parts, found, bytes)
    }

    pub(super) fn make(&self, key: &Key, bytes: Bytes) -> Result<Made> {
        self.conditional(key, bytes, None)
    }

    pub(super) fn swap(&self, key: &Key, bytes: Bytes, tag: &str) -> Result<Made> {
        self.conditional(key, bytes, Some(tag.to_owned()))
    }

    fn conditional(&self, key: &Key, bytes: Bytes, tag: Option<String>) -> Result<Made> {
        let (objects, path) = (Arc::clone(self.objects()), self.path(key));
        let cloud = self.connected.cloud;
        let made = wait(async move { conditional(&*objects, &path, bytes, tag, cloud).await })?;
        made.map_err(|(error, in_doubt)| {
            let error = self.error(&error, "writing", key);
            if in_doubt { error.in_doubt() } else { error }
        })
    }

    pub(super) fn put(&self, key: &Key, from: Payload) -> Result<()> {
        let bytes = match from {
            Payload::File(file) => {
                let reading = || format!("reading `{}`", file.display());
                if file.metadata().context(reading)?.len() > IN_ONE_PUT as u64 {
                    return self.put_parts(key, File::open(&file).context(reading)?);
                }
                std::fs::read(&file).context(reading)?.into()
            }
            Payload::Bytes(bytes) if bytes.len() > IN_ONE_PUT => {
                return self.put_parts(key, bytes.reader());
            }
            Payload::Bytes(bytes) => bytes,
        };
        let (objects, path) = (Arc::clone(self.objects()), self.path(key));
        let put = wait(async move { objects.put(&path, bytes.into()).await })?;
        put.map(drop).map_err(|error| self.error(&error, "writing", key))
    }

    /// Writes an object that tells browsers what it is.
    pub(super) fn put_typed(
        &self,
        key: &Key,
        bytes: Bytes,
        content_type: &'static str,
    ) -> Result<()> {
        let (objects, path) = (Arc::clone(self.objects()), self.path(key));
        let attributes = Attributes::from_iter([(Attribute::ContentType, content_type)]);
        let options = PutOptions { attributes, ..PutOptions::default() };
        let put = wait(async move { objects.put_opts(&path, bytes.into(), options).await })?;
        put.map(drop).map_err(|error| self.error(&error, "writing", key))
    }

    /// Uploads a file in parts. After an error, the parts that are uploaded are deleted: stores do not list
    /// them, and charge for them.
    fn put_parts(&self, key: &Key, mut from: impl Read) -> Result<()> {
        let writing = |error| self.error(&error, "writing", key);
        let (objects, path) = (Arc::clone(self.objects()), self.path(key));
        let mut upload =
            wait(async move { objects.put_multipart(&path).await })?.map_err(writing)?;
        let mut on_their_way = JoinSet::new();
        let error = loop {
            let mut part = Vec::with_capacity(PART);
            if let Err(error) = from.by_ref().take(PART as u64).read_to_end(&mut part) {
                break Error::from(error).context(format!("reading what to write to `{key}`"));
            }
            let is_last = part.is_empty();
            let (put, on) = wait(async move {
                let put = put_part(&mut *upload, &mut on_their_way, part).await;
                (put, (upload, on_their_way))
            })?;
            (upload, on_their_way) = on;
            match put {
                Ok(()) if is_last => return Ok(()),
                Ok(()) => {}
                Err(error) => break writing(error),
            }
        };
        // The store may not answer any more.
        let _ = wait(async move {
            on_their_way.shutdown().await;
            upload.abort().await
        })?;
        Err(error)
    }

    pub(super) fn copy(&self, from: &Key, to: &Key) -> Result<()> {
        let (objects, source, target) =
            (Arc::clone(self.objects()), self.path(from), self.path(to));
        let copied = wait(async move { objects.copy(&source, &target).await })?;
        copied.map_err(|error| self.error(&error, &format!("copying `{from}` to"), to))
    }

    pub(super) fn delete(&self, keys: &[Key]) -> Result<()> {
        let objects = Arc::clone(self.objects());
        let paths: Vec<_> = keys.iter().map(|key| Ok(self.path(key))).collect();
        let deleted = wait(async move {
            // A bulk request succeeds even if some of its objects cannot be deleted.
            objects.delete_stream(stream::iter(paths).boxed()).collect::<Vec<_>>().await
        })?;
        let mut failed = deleted.into_iter().filter_map(Result::err).filter(|e| !is_missing(e));
        match failed.next() {
            Some(error) => Err(self.error(&error, "deleting files below", &Key::root())),
            None => Ok(()),
        }
    }
}

fn parse_prefix(prefix: &str) -> Result<ObjectPath> {
    ObjectPath::parse(prefix)
        .map_err(|_| Error::usage(format!("the prefix `{prefix}` cannot be that of a lake")))
}

/// Pairs what was asked with what was found.
pub(super) fn results<A, B, T>(
    asked: &[A],
    found: Result<Vec<Result<B, ObjectError>>>,
    result: impl Fn(&A, Result<B, ObjectError>) -> Result<T>,
) -> Vec<Result<T>> {
    match found {
        Ok(found) => asked.iter().zip(found).map(|(asked, found)| result(asked, found)).collect(),
        Err(error) => {
            let what = error.to_string();
            asked.iter().map(|_| Err(Error::lake(what.clone()))).collect()
        }
    }
}

/// Reads an object: its bytes, and its entity tag.
///
/// The library goes on with a body that was cut off, but not if the object was replaced meanwhile: it is
/// read from its start then.
pub(super) async fn fetch(
    objects: &dyn ObjectStore,
    path: &ObjectPath,
) -> Result<(Bytes, Option<String>), ObjectError> {
    let mut tries = 0;
    loop {
        let got = objects.get(path).await?;
        let tag = got.meta.e_tag.clone();
        match whole(got).await {
            Ok(bytes) => return Ok((bytes, tag)),
            Err(_) if tries < BODIES => tries += 1,
            Err(error) => return Err(error),
        }
    }
}

/// Reads a body, which the library may have put together from several answers.
async fn whole(got: GetResult) -> Result<Bytes, ObjectError> {
    let expected = got.range.end - got.range.start;
    let bytes = got.bytes().await?;
    match bytes.len() as u64 == expected {
        true => Ok(bytes),
        false => Err(cut()),
    }
}

/// The error of a body that was cut off.
pub(super) fn cut() -> ObjectError {
    let source = Box::new(HttpError::new(HttpErrorKind::Interrupted, Cut));
    ObjectError::Generic { store: "body", source }
}

/// A body that has not the size that its answer said.
#[derive(Debug, thiserror::Error)]
#[error("the body has another size")]
struct Cut;

/// Begins to upload a part once few enough are on their way. After the last one, which is empty, completes
/// the upload.
async fn put_part(
    upload: &mut dyn MultipartUpload,
    on_their_way: &mut JoinSet<Result<(), ObjectError>>,
    part: Vec<u8>,
) -> Result<(), ObjectError> {
    let at_most = if part.is_empty() { 0 } else { PARTS_AT_ONCE - 1 };
    while on_their_way.len() > at_most {
        on_their_way.join_next().await.transpose()?.transpose()?;
    }
    match part.is_empty() {
        true => upload.complete().await.map(drop),
        false => {
            on_their_way.spawn(upload.put_part(part.into()));
            Ok(())
        }
    }
}
