//! Merges the files of a day into one, so that scans open fewer files.
//!
//! Rows do not change. Only days with several files are touched, one at a time, so that memory
//! holds one day. After a conflict, days that the other commit changed are skipped.

use chrono::NaiveDate;
use polars::prelude::*;
use wabalake_data::Table;

use super::layout::stored_tables;
use super::{Change, DataFile, Lake, Operation, Snapshot, StagedFile};
use crate::error::{Context as _, Result};

/// The maximum number of rows in a merged file, so that they fit in memory for sorting.
const ROWS_PER_FILE: u64 = 2 << 20;

/// The number of days that one commit merges.
const DAYS_PER_COMMIT: usize = 32;

/// The result of compacting one table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Its name.
    pub table: &'static str,
    /// Days merged.
    pub days: u64,
    /// Files of those days, before and after.
    pub files: (u64, u64),
    /// Their bytes, before and after.
    pub bytes: (u64, u64),
}

/// Files of a day, and the file that replaces them.
struct Merge {
    paths: Vec<String>,
    bytes: u64,
    day: Option<NaiveDate>,
    into: StagedFile,
}

impl Lake {
    /// Merges the files of each day in every table, and returns the tables that changed.
    ///
    /// # Errors
    ///
    /// Files that cannot be read or written.
    pub fn compact(&self) -> Result<Vec<Compacted>> {
        let mut done = Vec::new();
        self.settle_killed()?;
        let snapshots = self.snapshots(stored_tables())?;
        let is_scattered = |(_, snapshot): &(&Table, &Snapshot)| !groups(snapshot).is_empty();
        let scattered: Vec<_> = stored_tables().zip(&snapshots).filter(is_scattered).collect();
        // Keeps `vacuum` from the files that later tables are merged from.
        let _writing = if scattered.is_empty() { None } else { Some(self.writing()?) };
        for (table, snapshot) in scattered {
            let compacted = self.compact_table(table, snapshot)?;
            if compacted.days > 0 {
                done.push(compacted);
            }
        }
        Ok(done)
    }

    fn compact_table(&self, table: &'static Table, snapshot: &Snapshot) -> Result<Compacted> {
        let mut done = Compacted { table: table.name, ..Compacted::default() };
        let groups = groups(snapshot);
        let staging = self.staging(table)?;
        for groups in groups.chunks(DAYS_PER_COMMIT) {
            let mut merges = Vec::new();
            for files in groups {
                let [first, ..] = &files[..] else { continue };
                let rows = merged(snapshot, files)
                    .context(|| format!("merging a day of table `{}`", table.name))?;
                merges.push(Merge {
                    paths: files.iter().map(|file| file.path.clone()).collect(),
                    bytes: files.iter().map(|file| file.bytes).sum(),
                    day: first.day,
                    into: staging.write(first.day, rows)?,
                });
            }
            self.commit_merges(table, merges, &mut done)?;
        }
        Ok(done)
    }

    fn commit_merges(
        &self,
        table: &'static Table,
        mut merges: Vec<Merge>,
        done: &mut Compacted,
    ) -> Result<()> {
        let transacted = self.transact(table, |snapshot, _| {
            let files = snapshot.state.as_ref().map(|state| &state.files);
            let is_there = |path: &String| files.is_some_and(|files| files.contains_key(path));
            merges.retain(|merge| merge.paths.iter().all(is_there));
            Ok((!merges.is_empty()).then(|| Change {
                remove: merges.iter().flat_map(|merge| merge.paths.clone()).collect(),
                add: merges.iter().map(|merge| merge.into.clone()).collect(),
                ..Change::new(Operation::Compact)
            }))
        })?;
        if !transacted.is_committed {
            return Ok(());
        }
        let mut days: Vec<_> = merges.iter().map(|merge| merge.day).collect();
        days.dedup();
        done.days += days.len() as u64;
        for merge in &merges {
            done.files.0 += merge.paths.len() as u64;
            done.files.1 += 1;
            done.bytes.0 += merge.bytes;
            done.bytes.1 += merge.into.bytes();
        }
        Ok(())
    }
}

/// Groups the files of each day that fit into one file.
fn groups(snapshot: &Snapshot) -> Vec<Vec<&DataFile>> {
    let mut groups = Vec::new();
    for day in snapshot.files.chunk_by(|a, b| a.day == b.day) {
        let mut smallest_first: Vec<&DataFile> = day.iter().collect();
        smallest_first.sort_by_key(|file| file.rows);
        let mut group: Vec<&DataFile> = Vec::new();
        let mut rows = 0;
        for file in smallest_first {
            if rows + file.rows > ROWS_PER_FILE && !group.is_empty() {
                groups.push(std::mem::take(&mut group));
                rows = 0;
            }
            rows += file.rows;
            group.push(file);
        }
        groups.push(group);
    }
    groups.retain(|group| group.len() > 1);
    groups
}

fn merged(snapshot: &Snapshot, files: &[&DataFile]) -> Result<DataFrame> {
    let names = snapshot.layout.stored.iter_names();
    let columns: Vec<Expr> = names.map(|name| col(name.clone())).collect();
    let order = SortMultipleOptions::default().with_nulls_last(true);
    let rows = snapshot.scan_files(files)?.select(columns).collect()?;
    Ok(rows.sort(snapshot.layout.sort.iter().copied(), order)?)
}
