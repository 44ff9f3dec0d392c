//! Parts of files whose sizes are known, such as their ends. Those of a store are kept in the cache.

use std::ops::Range;

use bytes::Bytes;
use rayon::prelude::*;

use super::cache::Piece;
use super::{Key, Kind, Place};
use crate::error::Result;

/// The size of most footers of Parquet files.
const FOOTER: u64 = 8 << 10;

/// A range of bytes of a data file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) key: Key,
    /// The size of the file.
    pub(crate) size: u64,
    pub(crate) range: Range<u64>,
}

/// The end of a file of some size: the last `1 / share` of the bytes, and 8 KiB more for the footer.
pub(crate) fn tail(size: u64, share: u64) -> Range<u64> {
    size.saturating_sub((size / share.max(1)).saturating_add(FOOTER))..size
}

impl Place {
    /// Reads parts of data files, which are never written twice, many at once. In the order of `parts`.
    ///
    /// A file that does not exist, or that has another size, is an error.
    pub(crate) fn parts(&self, parts: &[Part]) -> Vec<Result<Bytes>> {
        let store = match &self.kind {
            Kind::Folder(folder) => return folder.parts(parts),
            Kind::Store(store) => store,
        };
        let cached: Vec<Option<Bytes>> = parts.par_iter().map(|part| self.cached(part)).collect();
        let is_missing = |(_, cached): &(&Part, &Option<Bytes>)| cached.is_none();
        let missing: Vec<Part> =
            parts.iter().zip(&cached).filter(is_missing).map(|(part, _)| part.clone()).collect();
        let fetched = store.parts(&missing);
        missing.par_iter().zip(&fetched).for_each(|(part, fetched)| {
            if let (Some(cache), Ok(bytes)) = (self.cache(), fetched) {
                cache.put(&part.piece(&part.size.to_string()), bytes);
            }
        });
        let mut fetched = fetched.into_iter();
        let next = |cached: Option<Bytes>| cached.map(Ok).or_else(|| fetched.next());
        cached.into_iter().filter_map(next).collect()
    }

    /// A part that is in the cache, by itself or in a file that a scan fetched whole.
    fn cached(&self, part: &Part) -> Option<Bytes> {
        let (cache, version) = (self.cache()?, part.size.to_string());
        if let Some(bytes) = cache.get(&part.piece(&version)) {
            return Some(bytes);
        }
        let whole = Piece { range: 0..part.size, ..part.piece(&version) };
        let [start, end] = [part.range.start, part.range.end].map(usize::try_from);
        Some(cache.get(&whole)?.slice(start.ok()?..end.ok()?))
    }
}

impl Part {
    /// Its piece of the cache, as that of a scan: the version of a data file is its size.
    fn piece<'a>(&'a self, version: &'a str) -> Piece<'a> {
        Piece { key: self.key.as_str(), version, range: self.range.clone() }
    }
}
