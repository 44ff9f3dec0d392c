//! The paths by which Polars scans files of a place.
//!
//! | place | path |
//! |---|---|
//! | a folder | its own: Polars maps the file into memory |
//! | a folder below one such as `env=prod` | as on a store: Polars would take `env` for a column of the rows |
//! | a store | `wabalake://3/tables/…`, read through [`Ahead`] |

use std::path::Path;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use object_store::local::LocalFileSystem;
use object_store::prefix::PrefixStore;
use polars::prelude::PlRefPath;

use super::ahead::Ahead;
use super::cache::{self, Cache, Piece};
use super::{Key, Kind, Place, http};
use crate::error::{Error, Result};

/// What scans of a place share.
#[derive(Debug, Default)]
pub(super) struct Scans {
    ahead: OnceLock<Arc<Ahead>>,
    cache: Option<Arc<Cache>>,
}

impl Place {
    /// Keeps copies of a store's immutable files on this machine.
    #[must_use]
    pub fn with_cache(mut self, options: Option<cache::Options>) -> Self {
        let identity = self.store().map(|store| store.identity());
        let cache = identity.zip(options).map(|(store, options)| Cache::new(&options, &store));
        self.scans.cache = cache.map(Arc::new);
        self
    }

    /// The cache of the place's files on this machine; none for a folder.
    pub(crate) fn cache(&self) -> Option<&Cache> {
        self.scans.cache.as_deref()
    }

    /// The paths by which Polars scans files whose sizes are given, in order.
    ///
    /// # Errors
    ///
    /// A file that no scan can name.
    pub(crate) fn scan_paths(&self, files: &[(Key, u64)]) -> Result<Vec<PlRefPath>> {
        if let Kind::Folder(folder) = &self.kind
            && !folder.root().to_string_lossy().contains('=')
        {
            let path = |key: &Key| PlRefPath::try_from_path(&folder.root().join(key.as_str()));
            return files.iter().map(|(key, _)| Ok(path(key)?)).collect();
        }
        self.ahead()?.scan(files.iter().map(|(key, bytes)| (key.as_str(), *bytes)))
    }

    /// Reads whole data files whose sizes are given, many at once; from this machine's cache, if they are
    /// there. `None` for those that do not exist. In the order of `files`.
    pub(crate) fn read_files(&self, files: &[(Key, u64)]) -> Vec<Result<Option<Bytes>>> {
        let sizes: Vec<String> = files.iter().map(|(_, bytes)| bytes.to_string()).collect();
        let piece = |at: usize| {
            let (key, bytes) = &files[at];
            Piece { key: key.as_str(), version: &sizes[at], range: 0..*bytes }
        };
        let cached = |at| self.cache().and_then(|cache| cache.get(&piece(at)));
        let mut found: Vec<_> = (0..files.len()).map(|at| Ok(cached(at))).collect();
        let missing: Vec<usize> =
            (0..files.len()).filter(|at| matches!(found[*at], Ok(None))).collect();
        let keys: Vec<Key> = missing.iter().map(|at| files[*at].0.clone()).collect();
        for (at, read) in missing.into_iter().zip(self.read_all(&keys)) {
            if let (Some(cache), Ok(Some(bytes))) = (self.cache(), &read)
                && bytes.len() as u64 == files[at].1
            {
                cache.put(&piece(at), bytes);
            }
            found[at] = read;
        }
        found
    }

    /// The store that scans read through, made on first use.
    fn ahead(&self) -> Result<&Arc<Ahead>> {
        if let Some(ahead) = self.scans.ahead.get() {
            return Ok(ahead);
        }
        let ahead = match &self.kind {
            Kind::Folder(folder) => local(folder.root(), &self.shown)?,
            Kind::Store(store) => {
                let root = store.path(&Key::root());
                let objects = PrefixStore::new(Arc::clone(store.objects()), root);
                let store = Arc::clone(store);
                let explain = move |error: &object_store::Error, key: &str| {
                    store.error(error, "reading", &Key::root().join(key))
                };
                let workers = Some(http::runtime()?.handle().clone());
                let cache = self.scans.cache.clone();
                Ahead::new(&self.shown, Arc::new(objects), Box::new(explain), cache, workers)?
            }
        };
        Ok(self.scans.ahead.get_or_init(|| ahead))
    }
}

fn local(root: &Path, shown: &str) -> Result<Arc<Ahead>> {
    let error = |error: &object_store::Error, what: &str| {
        Error::lake(format!("reading `{what}`: {error}"))
            .hint("check that this user may read the lake's folder")
    };
    let files = LocalFileSystem::new_with_prefix(root);
    let files = files.map_err(|cause| error(&cause, &root.display().to_string()))?;
    Ahead::new(shown, Arc::new(files), Box::new(error), None, None)
}
