//! Copies objects to files of this machine, and finds other parts of a bucket.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use futures::StreamExt as _;
use object_store::ObjectStoreExt as _;

use super::http::wait;
use super::{Key, Kind, Place};
use crate::error::{Context as _, Error, Result};

impl Place {
    /// Copies a file to one of this machine, whose folder is created; `to` is not held in memory.
    ///
    /// # Errors
    ///
    /// A file that does not exist, or cannot be read or written.
    pub(crate) fn save(&self, key: &Key, to: &Path) -> Result<()> {
        let writing = || format!("writing `{}`", to.display());
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder).context(writing)?;
        }
        let Kind::Store(store) = &self.kind else {
            let root = self.as_folder().unwrap_or(Path::new(""));
            return fs::copy(root.join(key.as_str()), to).map(drop).context(writing);
        };
        let (objects, path) = (store.objects().clone(), store.path(key));
        let failed = |error| store.error(&error, "reading", key);
        let got = wait(async move { objects.get(&path).await })?.map_err(failed)?;
        let mut left = got.range.end - got.range.start;
        let (mut stream, mut file) = (got.into_stream(), File::create(to).context(writing)?);
        loop {
            let (next, rest) = wait(async move { (stream.next().await, stream) })?;
            stream = rest;
            match next.transpose().map_err(failed)? {
                Some(bytes) => {
                    left = left.saturating_sub(bytes.len() as u64);
                    file.write_all(&bytes).context(writing)?;
                }
                None if left > 0 => {
                    return Err(Error::lake(format!(
                        "reading `{}`: it was cut off",
                        self.url(key)
                    ))
                    .hint("run the command again: it may have been replaced meanwhile"));
                }
                None => return Ok(()),
            }
        }
    }

    /// Another part of the same bucket, by its path from here: `../inbox` of `s3://events/lake` is
    /// `s3://events/inbox`.
    ///
    /// # Errors
    ///
    /// A path that leads out of the bucket; a place in a folder.
    pub(crate) fn beside(&self, path: &str) -> Result<Self> {
        let Kind::Store(store) = &self.kind else {
            return Err(Error::bug("a folder has paths of its own"));
        };
        let root = store.path(&Key::root());
        let mut parts: Vec<&str> =
            root.as_ref().split('/').filter(|part| !part.is_empty()).collect();
        for part in path.split('/').filter(|part| !matches!(*part, "" | ".")) {
            if part != ".." {
                parts.push(part);
            } else if parts.pop().is_none() {
                return Err(Error::lake(format!("`{path}` leads out of the bucket of the lake"))
                    .hint("write a URL, such as `s3://BUCKET/PREFIX`"));
            }
        }
        let store = store.at(&parts.join("/"))?;
        let shown = store.url(&Key::root());
        Ok(Self { kind: Kind::Store(store.into()), shown, scans: super::Scans::default() })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use object_store::memory::InMemory;

    use super::*;

    fn place(prefix: &str) -> Place {
        Place::over(Arc::new(InMemory::new()), prefix).unwrap()
    }

    #[test]
    fn other_parts_of_the_bucket_are_found_by_their_paths() {
        let lake = place("a b/lake");
        let file = Key::root().join("x.csv");
        for (path, url) in [
            ("../inbox", "memory:///a b/inbox"),
            ("./in/", "memory:///a b/lake/in"),
            ("../..", "memory://"),
            ("../../50%", "memory:///50%"),
        ] {
            let beside = lake.beside(path).unwrap();
            assert_eq!(beside.shown(), url);
            beside.put(&file, bytes::Bytes::from_static(b"x")).unwrap();
        }
        assert!(lake.entry(&Key::root().join("in/x.csv")).unwrap().is_some());
        assert!(lake.beside("../../..").is_err());
    }

    #[test]
    fn saved_file_is_the_object() {
        let (place, folder) = (place("lake"), tempfile::tempdir().unwrap());
        let (key, to) = (Key::root().join("a.csv"), folder.path().join("new/a.csv"));
        assert!(place.save(&key, &to).is_err());
        let bytes = vec![7; 300_000];
        place.put(&key, bytes::Bytes::from(bytes.clone())).unwrap();
        place.save(&key, &to).unwrap();
        assert_eq!(fs::read(to).unwrap(), bytes);
    }
}
