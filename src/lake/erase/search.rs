//! The tables that an erasure searches, and how it reads their files.
//!
//! Files of a store are fetched whole, many at once, but few bytes at once: memory is bounded by
//! [`BYTES_AT_ONCE`] and the largest file.

use std::collections::HashSet;
use std::path::Path;

use polars::prelude::*;
use wabalake_data::Table;

use super::number::Number;
use crate::error::Result;
use crate::lake::damage::Damage;
use crate::lake::files::{is_data_file, is_log_leftover};
use crate::lake::key_filters::WantedKeys;
use crate::lake::layout::{Layout, stored_tables};
use crate::lake::log::{Action, Log};
use crate::lake::snapshot::Snapshot;
use crate::lake::{DataFile, Lake, scans};
use crate::place::{Entry, Key, Place};

/// How many files are fetched at once.
const AT_ONCE: usize = 64;

/// How many bytes are fetched at once, unless one file has more.
pub(super) const BYTES_AT_ONCE: u64 = 64 << 20;

/// A table as it is before an erasure.
pub(super) struct StoredTable {
    pub(super) table: &'static Table,
    pub(super) snapshot: Snapshot,
    pub(super) log: Log,
    /// Data files that the newest version does not have: those in the log, and others with the name
    /// of a data file.
    pub(super) replaced: Vec<Entry>,
    /// Temporary files of killed commits.
    pub(super) leftovers: Vec<Key>,
}

impl Lake {
    /// All tables, as they are now.
    pub(super) fn searched_tables(&self) -> Result<Vec<StoredTable>> {
        let layouts: Vec<Layout> = stored_tables().map(Layout::from).collect();
        let snapshots = self.snapshots(&layouts)?;
        let logs = self.each(&layouts, |layout| {
            let log = self.log(layout)?;
            let versions = log.versions()?;
            log.fetch_commits(&versions);
            let mut logged = HashSet::new();
            for version in versions {
                let paths = log.actions(version)?.into_iter().filter_map(|action| match action {
                    Action::Add(add) => Some(add.path),
                    Action::Remove(remove) => Some(remove.path),
                    _ => None,
                });
                logged.extend(paths.filter_map(|path| log.file_key(&path).ok()));
            }
            let files = self.place().list(log.table_key(), None)?;
            Ok((log, logged, files))
        })?;
        let mut tables = Vec::new();
        for ((table, snapshot), (log, logged, files)) in stored_tables().zip(snapshots).zip(logs) {
            let current = snapshot.files.iter().map(|file| log.file_key(&file.path));
            let current: HashSet<Key> = current.collect::<Result<_>>()?;
            let (mut replaced, mut leftovers) = (Vec::new(), Vec::new());
            for file in files {
                let folder = file.key.parent();
                if folder.name() == "_delta_log" {
                    leftovers.extend(is_log_leftover(file.key.name()).then_some(file.key));
                } else if folder.parent() == *log.table_key()
                    && !folder.name().starts_with(['_', '.'])
                    && !current.contains(&file.key)
                    && (is_data_file(file.key.name()) || logged.contains(&file.key))
                {
                    replaced.push(file);
                }
            }
            tables.push(StoredTable { table, snapshot, log, replaced, leftovers });
        }
        Ok(tables)
    }
}

impl StoredTable {
    /// The place of its files.
    fn place(&self) -> &Place {
        self.log.place()
    }

    /// The keys of the data files of the newest version.
    pub(super) fn current(&self) -> impl Iterator<Item = Result<Key>> {
        self.snapshot.files.iter().map(|file| self.log.file_key(&file.path))
    }

    /// Scans each file of the newest version, one after another.
    ///
    /// # Errors
    ///
    /// Those of `take`; a file that cannot be read.
    pub(super) fn each_file(
        &self,
        take: impl FnMut(&DataFile, LazyFrame) -> Result<()>,
    ) -> Result<()> {
        each_file(&self.snapshot, &self.snapshot.files.iter().collect::<Vec<_>>(), take)
    }

    /// Scans each file of the newest version that may have rows with the number, one after another.
    ///
    /// # Errors
    ///
    /// As [`StoredTable::each_file`].
    pub(super) fn each_file_of(
        &self,
        number: &Number,
        take: impl FnMut(&DataFile, LazyFrame) -> Result<()>,
    ) -> Result<()> {
        let all: Vec<&DataFile> = self.snapshot.files.iter().collect();
        let wanted = WantedKeys { users: number.keys(), ..WantedKeys::default() };
        each_file(&self.snapshot, &self.snapshot.files_with(&all, &wanted), take)
    }

    /// Scans each replaced file, one after another. One that holds no rows is an error of its scan.
    ///
    /// # Errors
    ///
    /// Those of `take`; a store that does not answer.
    pub(super) fn each_replaced(
        &self,
        mut take: impl FnMut(&Entry, Result<LazyFrame>) -> Result<()>,
    ) -> Result<()> {
        if let Some(root) = self.place().as_folder() {
            let replaced = &mut self.replaced.iter();
            return replaced.try_for_each(|file| take(file, scan(&root.join(file.key.as_str()))));
        }
        for files in groups(&self.replaced, |file| file.bytes) {
            let keys: Vec<Key> = files.iter().map(|file| file.key.clone()).collect();
            for (file, read) in files.iter().zip(self.place().read_all(&keys)) {
                // One that was deleted meanwhile holds nobody.
                if let Some(bytes) = read? {
                    take(file, scan_bytes(bytes))?;
                }
            }
        }
        Ok(())
    }
}

/// Scans each of some files of a snapshot, one after another.
pub(super) fn each_file(
    snapshot: &Snapshot,
    files: &[&DataFile],
    mut take: impl FnMut(&DataFile, LazyFrame) -> Result<()>,
) -> Result<()> {
    let place = &snapshot.place;
    if place.as_folder().is_some() {
        let mut files = files.iter();
        return files.try_for_each(|file| take(file, snapshot.scan_files(&[file])?));
    }
    for files in groups(files, |file| file.bytes) {
        let key = |file: &&DataFile| Ok((snapshot.key(file)?, file.bytes));
        let keys = files.iter().map(key).collect::<Result<Vec<_>>>()?;
        for (file, read) in files.iter().zip(place.read_files(&keys)) {
            let bytes = read?.ok_or_else(|| snapshot.damaged(file, &Damage::Missing))?;
            take(file, snapshot.scan_bytes(file, bytes)?)?;
        }
    }
    Ok(())
}

/// Splits files into groups that are fetched at once.
pub(super) fn groups<T>(files: &[T], bytes: impl Fn(&T) -> u64) -> impl Iterator<Item = &[T]> {
    let mut rest = files;
    std::iter::from_fn(move || {
        let mut sum = 0_u64;
        let fits = |file: &&T| {
            sum = sum.saturating_add(bytes(file));
            sum <= BYTES_AT_ONCE
        };
        let count = rest.iter().take(AT_ONCE).take_while(fits).count();
        let (group, others) = rest.split_at(count.max(1).min(rest.len()));
        rest = others;
        (!group.is_empty()).then_some(group)
    })
}

/// Scans an old file of this machine, whose columns may be others than now.
fn scan(file: &Path) -> Result<LazyFrame> {
    let path = PlRefPath::try_from_path(file)?;
    Ok(LazyFrame::scan_parquet(path, options())?)
}

/// Scans the bytes of an old file.
pub(super) fn scan_bytes(bytes: bytes::Bytes) -> Result<LazyFrame> {
    Ok(LazyFrame::scan_parquet_sources(scans::in_memory(bytes), options())?)
}

fn options() -> ScanArgsParquet {
    ScanArgsParquet { glob: false, hive_options: HiveOptions::new_disabled(), ..Default::default() }
}

/// The text columns of a scan.
pub(super) fn texts(scan: LazyFrame) -> Result<DataFrame> {
    let mut scan = scan;
    let schema = scan.collect_schema()?;
    let wanted = schema.iter().filter(|(_, of)| **of == DataType::String);
    let wanted: Vec<Expr> = wanted.map(|(name, _)| col(name.clone())).collect();
    Ok(scan.select(wanted).collect()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_have_few_files_and_few_bytes() {
        let sizes =
            |files: &[u64]| groups(files, |bytes| *bytes).map(<[u64]>::len).collect::<Vec<_>>();
        assert_eq!(sizes(&[]), [] as [usize; 0]);
        assert_eq!(sizes(&[1; 130]), [64, 64, 2]);
        let (most, over) = (BYTES_AT_ONCE, BYTES_AT_ONCE + 1);
        assert_eq!(sizes(&[over, 1, most, most - 1, 1, 1, u64::MAX]), [1, 1, 1, 2, 1, 1]);
    }
}
