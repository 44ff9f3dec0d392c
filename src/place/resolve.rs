//! Paths of a lake's settings: folders relative to the lake, of this machine, or on object stores.
//!
//! | path | of a lake in `/srv/lake` | of a lake at `s3://events/lake` |
//! |---|---|---|
//! | `../inbox` | `/srv/inbox` | `s3://events/inbox` |
//! | `/srv/inbox` | a folder of this machine | the same |
//! | `s3://events/inbox` | a store, by the environment | reached as the lake is |
//! | `s3://exports/inbox` | a store, by the environment | the same |

use std::path::Path;
use std::sync::Arc;

use object_store::ObjectStoreExt as _;

use super::http::wait;
use super::key::is_part;
use super::store::Store;
use super::{Address, Environment, Key, Kind, Place, StoreOptions};
use crate::error::{Error, Result};

/// Opens the folders that settings name. Those of one bucket share a client.
#[derive(Debug)]
pub(crate) struct Resolver<'a> {
    options: &'a StoreOptions,
    known: Vec<Arc<Place>>,
}

impl<'a> Resolver<'a> {
    /// A resolver for the settings of a lake in a place; `options` are those of other stores.
    pub(crate) fn new(lake: &Arc<Place>, options: &'a StoreOptions) -> Self {
        Self { options, known: vec![Arc::clone(lake)] }
    }

    /// The folder that a path names. No request is made, and the folder need not exist.
    ///
    /// # Errors
    ///
    /// A path that leads out of a bucket; a store without credentials.
    pub(crate) fn folder(&mut self, path: &Path) -> Result<Arc<Place>> {
        let Some(lake) = self.known.first() else {
            return Err(Error::bug("no lake to resolve by"));
        };
        let opened = match Address::parse(path)? {
            Address::Folder(path) => match (&lake.kind, path.is_absolute()) {
                (Kind::Folder(folder), _) => existing(&folder.root().join(path)),
                (Kind::Store(_), true) => existing(&path),
                (Kind::Store(store), false) => lake.in_bucket(&joined(store, &path)?)?,
            },
            Address::Store(bucket) => {
                let base = super::Bucket { prefix: String::new(), ..bucket.clone() }.to_string();
                let same = self.known.iter().find(|known| known.bucket_url() == Some(&base));
                match same {
                    Some(known) => known.in_bucket(&bucket.prefix)?,
                    None => {
                        let environment = Environment::of_process();
                        let options = self.options.clone().overridden(&environment)?;
                        Place::open(&Address::Store(bucket), &options, &environment)?
                    }
                }
            }
        };
        let opened = Arc::new(opened);
        self.known.push(Arc::clone(&opened));
        Ok(opened)
    }

    /// The folder and the name of a file that a path names.
    ///
    /// # Errors
    ///
    /// As [`Resolver::folder`]; a path without a file's name.
    pub(crate) fn file(&mut self, path: &Path) -> Result<(Arc<Place>, Key)> {
        let shown = path.display().to_string();
        let (folder, name) = shown.rsplit_once('/').unwrap_or((".", &shown));
        let folder = if folder.is_empty() { "/" } else { folder };
        let name = Key::parse(name).map_err(|_| {
            Error::lake(format!("`{shown}` names no file"))
                .hint("write the name of a file at its end")
        })?;
        Ok((self.folder(Path::new(folder))?, name))
    }
}

fn existing(folder: &Path) -> Place {
    Place::folder(folder.canonicalize().unwrap_or_else(|_| folder.to_owned()))
}

/// The prefix of a path that is relative to a store's root.
fn joined(store: &Store, path: &Path) -> Result<String> {
    let shown = path.display().to_string();
    let mut parts: Vec<&str> = store.root().as_ref().split('/').collect();
    parts.retain(|part| !part.is_empty());
    for part in shown.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop().ok_or_else(|| {
                    Error::lake(format!("`{shown}` leads out of the bucket of the lake"))
                        .hint("write a path below the lake, such as `inbox`, or a URL")
                })?;
            }
            part if is_part(part) => parts.push(part),
            _ => {
                return Err(Error::lake(format!("`{shown}` cannot be a folder of a store"))
                    .hint("leave out backslashes and control characters"));
            }
        }
    }
    Ok(parts.join("/"))
}

impl Place {
    /// The URL of the place's bucket; none of a folder.
    fn bucket_url(&self) -> Option<&str> {
        Some(self.store()?.bucket_url())
    }

    /// Returns `true` if the place is a bucket without a prefix.
    pub(crate) fn is_whole_bucket(&self) -> bool {
        self.store().is_some_and(|store| store.root().as_ref().is_empty())
    }

    /// Another part of the place's bucket, by the same client.
    fn in_bucket(&self, prefix: &str) -> Result<Self> {
        let store = self.store().ok_or_else(|| Error::bug("a folder is in no bucket"))?;
        let store = store.at(prefix)?;
        let shown = store.url(&Key::root());
        Ok(Self { kind: Kind::Store(Arc::new(store)), shown, scans: super::Scans::default() })
    }

    /// Copies a file to another place of the same bucket, without reading it. Returns `false` if that
    /// is in another bucket, or a folder.
    ///
    /// # Errors
    ///
    /// A file that does not exist or cannot be copied.
    pub(crate) fn copy_within_bucket(&self, from: &Key, other: &Self, to: &Key) -> Result<bool> {
        let (Some(source), Some(target)) = (self.store(), other.store()) else { return Ok(false) };
        if !Arc::ptr_eq(source.objects(), target.objects()) {
            return Ok(false);
        }
        let (path, other) = (source.path(from), target.path(to));
        let objects = Arc::clone(source.objects());
        let copied = wait(async move { objects.copy(&path, &other).await })?;
        copied.map_err(|error| {
            source.error(&error, &format!("copying to `{}`", target.url(to)), from)
        })?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use object_store::memory::InMemory;

    use super::*;

    fn memory(prefix: &str) -> Arc<Place> {
        Arc::new(Place::over(Arc::new(InMemory::new()), prefix).unwrap())
    }

    #[test]
    fn relative_paths_are_joined_to_the_lakes_place() {
        let options = StoreOptions::default();
        for (lake, path, expected) in [
            ("a/lake", "../inbox", "memory://a/inbox"),
            ("a/lake", "../../inbox/", "memory://inbox"),
            ("a/lake", "./in/./box", "memory://a/lake/in/box"),
            ("a/lake", ".", "memory://a/lake"),
            ("", "inbox", "memory://inbox"),
        ] {
            let lake = memory(lake);
            let folder = Resolver::new(&lake, &options).folder(Path::new(path)).unwrap();
            assert_eq!(folder.shown(), expected, "{path}");
        }
        for path in ["../inbox", "a/../../b"] {
            let lake = memory("");
            let error = Resolver::new(&lake, &options).folder(Path::new(path)).unwrap_err();
            assert!(error.lines().contains("leads out of the bucket"), "{path}");
        }
        let here = tempfile::tempdir().unwrap();
        let root = here.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("inbox")).unwrap();
        let inbox = root.join("inbox");
        for lake in [memory("lake"), Arc::new(Place::folder(root.join("inbox")))] {
            let folder = Resolver::new(&lake, &options).folder(&inbox).unwrap();
            assert_eq!(folder.as_folder(), Some(inbox.as_path()));
        }
        let lake = Arc::new(Place::folder(&inbox));
        let folder = Resolver::new(&lake, &options).folder(Path::new("../inbox")).unwrap();
        assert_eq!(folder.as_folder(), Some(inbox.as_path()));
    }

    #[test]
    fn file_is_a_folder_and_a_name() {
        let options = StoreOptions::default();
        let lake = memory("a/lake");
        let mut resolver = Resolver::new(&lake, &options);
        for (path, folder, name) in [
            ("page.html", "memory://a/lake", "page.html"),
            ("../site/page.html", "memory://a/site", "page.html"),
            ("/srv/page.html", "/srv", "page.html"),
            ("/page.html", "/", "page.html"),
        ] {
            let (found, key) = resolver.file(Path::new(path)).unwrap();
            assert_eq!((found.shown(), key.as_str()), (folder, name));
        }
        assert!(resolver.file(Path::new("site/")).is_err());
    }

    #[test]
    fn file_is_copied_within_a_bucket_only() {
        let options = StoreOptions::default();
        let lake = memory("a/lake");
        let mut resolver = Resolver::new(&lake, &options);
        let [inbox, loaded] =
            ["../in", "../out"].map(|path| resolver.folder(Path::new(path)).unwrap());
        let key = Key::root().join("x.csv");
        inbox.put(&key, Bytes::from_static(b"x")).unwrap();
        assert!(inbox.copy_within_bucket(&key, &loaded, &key).unwrap());
        assert_eq!(loaded.read(&key).unwrap().as_deref(), Some(&b"x"[..]));
        assert!(!inbox.copy_within_bucket(&key, &memory("a/out"), &key).unwrap());
    }
}
