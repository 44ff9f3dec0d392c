//! The paths by which Polars scans files of a place.

use std::path::Path;
use std::sync::Arc;

use object_store::local::LocalFileSystem;
use polars::prelude::PlRefPath;

use super::ahead::Ahead;
use super::cache::Cache;
use super::{Key, Kind, Place};
use crate::error::{Context as _, Error, Result};

impl Place {
    /// The paths by which Polars scans files whose sizes are given, in order.
    ///
    /// # Errors
    ///
    /// A file that no scan can name.
    pub(crate) fn scan_paths(&self, files: &[(Key, u64)]) -> Result<Vec<PlRefPath>> {
        match &self.kind {
            Kind::Folder(folder) if has_partitions(folder.root()) => {
                let ahead = folder.ahead(|| local(folder.root()))?;
                ahead.scan(files.iter().map(|(key, bytes)| (key.as_str(), *bytes)))
            }
            Kind::Folder(folder) => files
                .iter()
                .map(|(key, _)| Ok(PlRefPath::try_from_path(&folder.root().join(key.as_str()))?))
                .collect(),
        }
    }

    /// The cache of the place's files on this machine; `None` for a folder.
    pub(crate) fn cache(&self) -> Option<&Cache> {
        match &self.kind {
            Kind::Folder(_) => None,
        }
    }
}

/// Returns `true` if a part of a path looks like a partition, such as `env=prod`. Polars would take it
/// for a column of every row.
fn has_partitions(path: &Path) -> bool {
    path.to_string_lossy().contains('=')
}

fn local(root: &Path) -> Result<Arc<Ahead>> {
    let reading = || format!("reading `{}`", root.display());
    let files = LocalFileSystem::new_with_prefix(root);
    let files = files.map_err(|error| Error::lake(error.to_string())).context(reading)?;
    let explain = |error: &object_store::Error, key: &str| {
        Error::lake(format!("reading `{key}`: {error}"))
    };
    Ahead::new(Arc::new(files), Box::new(explain), None, None)
}
