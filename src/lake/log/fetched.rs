//! Reads files of a log: in a folder one by one, on a store many at once and from the cache.
//!
//! A cached file is that of the tag that the log was listed with: `erase` rewrites commits, and a mart
//! that is made anew writes other commits with the same names.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::{Listing, Log, State};
use crate::error::{Error, Result};
use crate::place::cache::{Piece, name_of};
use crate::place::{Entry, Key};

/// What is known of the files of a log on a store, for as long as the lake is open.
#[derive(Debug, Default)]
pub(in crate::lake) struct Fetched {
    /// The tags of those that were listed.
    tags: Mutex<HashMap<Key, String>>,
    /// The content of those that were read.
    files: Mutex<HashMap<Key, Bytes>>,
    /// The newest whole listing.
    listing: Mutex<Option<Listing>>,
}

impl Fetched {
    /// The newest whole listing.
    pub(super) fn listing(&self) -> Option<Listing> {
        lock(&self.listing).clone()
    }

    /// Notes the whole listing.
    pub(super) fn note_listing(&self, listing: &Listing) {
        *lock(&self.listing) = Some(listing.clone());
    }

    /// Forgets the whole listing if a commit is newer.
    pub(super) fn note_newest(&self, newest: Option<u64>) {
        let mut listing = lock(&self.listing);
        if listing.as_ref().is_some_and(|listing| listing.newest() < newest) {
            *listing = None;
        }
    }

    /// Notes a file that was listed. What was read of another version of it is forgotten.
    pub(super) fn note(&self, entry: Entry) {
        let mut tags = lock(&self.tags);
        if entry.tag.is_none() || tags.get(&entry.key) != entry.tag.as_ref() {
            lock(&self.files).remove(&entry.key);
        }
        match entry.tag {
            Some(tag) => tags.insert(entry.key, tag),
            None => tags.remove(&entry.key),
        };
    }

    fn tag(&self, key: &Key) -> Option<String> {
        lock(&self.tags).get(key).cloned()
    }
}

impl Log {
    /// The tag that a version's commit was last listed with; `None` in a folder.
    pub(super) fn tag_of(&self, version: u64) -> Option<String> {
        self.fetched.tag(&self.commit_key(version))
    }

    /// Returns `true` if a file exists.
    pub(in crate::lake) fn exists(&self, key: &Key) -> bool {
        match self.place.as_folder() {
            Some(root) => root.join(key.as_str()).is_file(),
            None if self.fetched.tag(key).is_some() => true,
            None => matches!(self.place.entry(key), Ok(Some(_))),
        }
    }

    /// Reads a file; `None` if it does not exist.
    pub(in crate::lake) fn read(&self, key: &Key) -> Result<Option<Bytes>> {
        if let Some(root) = self.place.as_folder() {
            return match std::fs::read(root.join(key.as_str())) {
                Ok(bytes) => Ok(Some(bytes.into())),
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
                Err(error) => Err(Error::from(error)),
            };
        }
        if let Some(bytes) = self.at_hand(key) {
            return Ok(Some(bytes));
        }
        let read = self.place.read(key)?;
        if let Some(bytes) = &read {
            self.keep(key, bytes);
        }
        Ok(read)
    }

    /// Fetches files from a store, many at once, before they are read. Reading one that could not be
    /// fetched tells why.
    pub(in crate::lake) fn fetch(&self, keys: &[Key]) {
        if self.place.as_folder().is_some() {
            return;
        }
        let missing = keys.iter().filter(|key| self.at_hand(key).is_none()).cloned();
        let missing: Vec<Key> = missing.collect();
        for (key, read) in missing.iter().zip(self.place.read_all(&missing)) {
            if let Ok(Some(bytes)) = read {
                self.keep(key, &bytes);
            }
        }
    }

    /// Fetches commits, as [`Log::fetch`].
    pub(in crate::lake) fn fetch_commits(&self, versions: &[u64]) {
        let keys: Vec<Key> = versions.iter().map(|version| self.commit_key(*version)).collect();
        self.fetch(&keys);
    }

    /// Fetches what the state of a version is computed from, beginning with a known one.
    pub(super) fn fetch_for(&self, listing: &Listing, newest: u64, known: Option<u64>) {
        if self.place.as_folder().is_some() {
            return;
        }
        let whole = |(_, (of, parts)): &(&u64, &(usize, Vec<Key>))| parts.len() == *of;
        let checkpoint = match known {
            Some(_) => None,
            None => listing.checkpoints.range(..=newest).rev().find(whole),
        };
        let mut keys = Vec::new();
        if let Some((version, (_, parts))) = checkpoint {
            let hashes = self.checkpoint_hashes(*version);
            // Its name is not in every listing, and it changes with the checkpoint.
            if let Some(tag) = parts.first().and_then(|part| self.fetched.tag(part)) {
                lock(&self.fetched.tags).insert(hashes.clone(), tag);
            }
            keys.extend(parts.iter().cloned().chain([hashes]));
        }
        let start = known.or(checkpoint.map(|(version, _)| *version)).map_or(0, |last| last + 1);
        let commits = listing.commits.iter().filter(|version| (start..=newest).contains(*version));
        keys.extend(commits.map(|version| self.commit_key(*version)));
        self.fetch(&keys);
    }

    /// The content of a file that was fetched, or that the cache has.
    fn at_hand(&self, key: &Key) -> Option<Bytes> {
        if let Some(bytes) = lock(&self.fetched.files).get(key) {
            return Some(bytes.clone());
        }
        let tag = self.fetched.tag(key)?;
        let bytes = self.place.cache()?.get(&Piece::whole(key.as_str(), &tag))?;
        lock(&self.fetched.files).insert(key.clone(), bytes.clone());
        Some(bytes)
    }

    fn keep(&self, key: &Key, bytes: &Bytes) {
        if let Some((cache, tag)) = self.place.cache().zip(self.fetched.tag(key)) {
            cache.put(&Piece::whole(key.as_str(), &tag), bytes);
        }
        lock(&self.fetched.files).insert(key.clone(), bytes.clone());
    }

    /// The newest checkpoint that this machine has read from a store.
    pub(super) fn cached_checkpoint(&self) -> Option<u64> {
        self.noted(CHECKPOINT)?.parse().ok()
    }

    /// Notes the newest checkpoint of a listing, from which the next listing can begin.
    pub(super) fn note_checkpoint(&self, listing: &Listing) {
        let newest = listing.checkpoints.iter().rev().find(|(_, (of, parts))| parts.len() == *of);
        if let Some((newest, _)) = newest {
            self.note(CHECKPOINT, newest.to_string());
        }
    }

    /// Drops files from the cache that the newest version does not have: it may hold persons who were
    /// erased by another machine.
    pub(super) fn drop_replaced(&self, state: &State) {
        let Some(cache) = self.place.cache() else { return };
        let tag = self.tag_of(state.version).unwrap_or_default();
        let version = format!("{} {tag}", state.version);
        if self.noted(VERSION).as_ref() == Some(&version) {
            return;
        }
        let name = |path: &String| name_of(&format!("{}/{path}", self.table));
        cache.keep_only(self.table.as_str(), &state.files.keys().map(name).collect());
        self.note(VERSION, version);
    }

    /// A version that was noted in the cache.
    fn noted(&self, what: &str) -> Option<String> {
        let key = self.folder.join(what);
        let bytes = self.place.cache()?.get(&Piece::whole(key.as_str(), ""))?;
        String::from_utf8(bytes.into()).ok()
    }

    fn note(&self, what: &str, version: String) {
        let key = self.folder.join(what);
        if let Some(cache) = self.place.cache()
            && self.noted(what).as_ref() != Some(&version)
        {
            cache.put(&Piece::whole(key.as_str(), ""), &version.into());
        }
    }
}

/// The note of the newest checkpoint that was read; no file of a log has this name.
const CHECKPOINT: &str = "newest checkpoint";

/// The note of the version whose files the cache was reduced to.
const VERSION: &str = "newest version";

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
