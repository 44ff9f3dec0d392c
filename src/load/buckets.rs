//! Collects typed rows by day until every file is read: in memory up to a budget, then on disk.
//!
//! ```text
//! chunk → { 2025-06-01: 9,000 rows, 2025-06-02: 1,200 rows }
//!            │ in memory up to the budget; beyond it, everything is appended to the spill files
//!            ▼
//!         <spill>/20240.ipc, <spill>/20241.ipc     a sequence of Arrow IPC streams
//! ```

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use polars::io::SerReader as _;
use polars::prelude::*;
use tempfile::TempDir;

use crate::error::{Context as _, Error, Result};

/// Rows of several files, by UTC day.
pub(crate) struct DayBuckets {
    spill: TempDir,
    /// Bytes of rows that may stay in memory.
    budget: usize,
    held: usize,
    days: BTreeMap<i32, DayBucket>,
    /// Serialises writes to the spill files.
    turn: Arc<Mutex<()>>,
}

#[derive(Default)]
struct DayBucket {
    frames: Vec<DataFrame>,
    held: usize,
    spilled: usize,
}

/// Rows that exceed the memory budget.
#[must_use = "rows that are not written are lost"]
pub(crate) struct Overflow {
    days: Vec<(PathBuf, Vec<DataFrame>)>,
    turn: Arc<Mutex<()>>,
}

impl Overflow {
    /// Appends the rows to the spill files of their days.
    pub(crate) fn write(self) -> Result<()> {
        // A poisoned lock is no problem: the panic has ended the load.
        let _turn = self.turn.lock();
        for (path, frames) in self.days {
            let write = || {
                let file = OpenOptions::new().create(true).append(true).open(&path)?;
                let mut file = BufWriter::with_capacity(1 << 20, file);
                append(&mut file, stack(frames)?)?;
                Ok::<_, Error>(file.flush()?)
            };
            write().context(|| format!("writing `{}`", path.display()))?;
        }
        Ok(())
    }
}

impl DayBuckets {
    /// Creates buckets that spill rows beyond `budget` bytes to a temporary folder in `beside`. The
    /// folder is deleted on drop.
    pub(crate) fn new(beside: &Path, budget: usize) -> Result<Self> {
        let spill = tempfile::Builder::new().prefix("load-").tempdir_in(beside);
        let spill = spill.context(|| format!("making a folder in `{}`", beside.display()))?;
        Ok(Self { spill, budget, held: 0, days: BTreeMap::new(), turn: Arc::default() })
    }

    /// Adds rows of one day. `bytes` is their approximate size in memory.
    pub(crate) fn add(&mut self, day: i32, rows: DataFrame, bytes: usize) {
        let bucket = self.days.entry(day).or_default();
        bucket.frames.push(rows);
        bucket.held += bytes;
        self.held += bytes;
    }

    /// Changes the memory budget, which counts when rows are next added.
    pub(crate) fn limit_to(&mut self, budget: usize) {
        self.budget = budget;
    }

    /// Takes all rows out of memory if they exceed the budget. The caller writes them, without a
    /// lock on the buckets, before it reads anything.
    pub(crate) fn overflow(&mut self) -> Option<Overflow> {
        if self.held <= self.budget {
            return None;
        }
        self.held = 0;
        let folder = self.spill.path();
        let full = self.days.iter_mut().filter(|(_, bucket)| !bucket.frames.is_empty());
        let days = full.map(|(day, bucket)| {
            bucket.spilled += std::mem::take(&mut bucket.held);
            (spilled_to(folder, *day), std::mem::take(&mut bucket.frames))
        });
        Some(Overflow { days: days.collect(), turn: Arc::clone(&self.turn) })
    }

    /// Returns the days that have rows, ascending.
    pub(crate) fn days(&self) -> impl Iterator<Item = i32> {
        self.days.keys().copied()
    }

    /// Returns the approximate size in memory of a day's rows.
    pub(crate) fn bytes(&self, day: i32) -> usize {
        self.days.get(&day).map_or(0, |bucket| bucket.held + bucket.spilled)
    }

    /// Reads a day's rows, frame by frame, optionally only some columns.
    pub(crate) fn read(
        &self,
        day: i32,
        columns: Option<&[&str]>,
        mut take: impl FnMut(DataFrame) -> Result<()>,
    ) -> Result<()> {
        let Some(bucket) = self.days.get(&day) else { return Ok(()) };
        if bucket.spilled > 0 {
            read_spilled(&spilled_to(self.spill.path(), day), columns, &mut take)?;
        }
        for rows in &bucket.frames {
            take(match columns {
                Some(names) => rows.select(names.iter().copied())?,
                None => rows.clone(),
            })?;
        }
        Ok(())
    }

    /// Keeps only the rows for which `stays` returns `true`, frame by frame.
    pub(crate) fn retain(
        &mut self,
        mut stays: impl FnMut(i32, &DataFrame) -> Result<BooleanChunked>,
    ) -> Result<()> {
        let mut kept = |day, rows: DataFrame| -> Result<DataFrame> {
            let stay = stays(day, &rows)?;
            Ok(if stay.all() { rows } else { rows.filter(&stay)? })
        };
        for (day, bucket) in &mut self.days {
            if bucket.spilled > 0 {
                let path = spilled_to(self.spill.path(), *day);
                let new = path.with_extension("new");
                let mut file = BufWriter::with_capacity(1 << 20, File::create(&new)?);
                read_spilled(&path, None, |rows| match kept(*day, rows)? {
                    none if none.height() == 0 => Ok(()),
                    rows => append(&mut file, rows),
                })?;
                file.flush().context(|| format!("writing `{}`", new.display()))?;
                std::fs::rename(new, path)?;
            }
            for rows in &mut bucket.frames {
                *rows = kept(*day, std::mem::take(rows))?;
            }
        }
        Ok(())
    }
}

/// Appends rows to a spill file, in the old layout of texts: string views would write the
/// buffers of whole chunks.
fn append(file: &mut impl std::io::Write, mut rows: DataFrame) -> Result<()> {
    let mut stream = IpcStreamWriter::new(file).with_compat_level(CompatLevel::oldest());
    Ok(stream.finish(&mut rows)?)
}

/// Reads a spill file, frame by frame.
fn read_spilled(
    path: &Path,
    columns: Option<&[&str]>,
    mut take: impl FnMut(DataFrame) -> Result<()>,
) -> Result<()> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut reader = BufReader::new(file);
    while std::io::Seek::stream_position(&mut reader)? < length {
        let names = columns.map(|names| names.iter().map(|n| (*n).to_owned()).collect());
        take(IpcStreamReader::new(&mut reader).with_columns(names).finish()?)?;
    }
    Ok(())
}

fn spilled_to(folder: &Path, day: i32) -> PathBuf {
    folder.join(format!("{day}.ipc"))
}

/// Concatenates frames of one schema; no frames give an empty frame.
pub(crate) fn stack(frames: Vec<DataFrame>) -> PolarsResult<DataFrame> {
    let mut frames = frames.into_iter();
    let mut all = frames.next().unwrap_or_default();
    for frame in frames {
        all.vstack_mut_owned(frame)?;
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_from_memory_and_from_disk() {
        let folder = TempDir::new().unwrap();
        for budget in [0, 250, usize::MAX] {
            let mut buckets = DayBuckets::new(folder.path(), budget).unwrap();
            for part in 0..4i32 {
                for day in [7, 9] {
                    let rows = df!("n" => [part, part + 10], "text" => ["a", "\u{e9}"]).unwrap();
                    buckets.add(day, rows, 100);
                    if let Some(overflow) = buckets.overflow() {
                        overflow.write().unwrap();
                    }
                }
            }
            assert_eq!(buckets.days().collect::<Vec<_>>(), [7, 9]);
            assert_eq!(buckets.bytes(7), 400);
            let mut found = Vec::new();
            buckets
                .read(9, Some(&["n"]), |rows| {
                    assert_eq!(rows.get_column_names(), ["n"]);
                    found.extend(rows.column("n")?.i32()?.iter().flatten());
                    Ok(())
                })
                .unwrap();
            found.sort_unstable();
            assert_eq!(found, [0, 1, 2, 3, 10, 11, 12, 13]);

            let stays = |day, rows: &DataFrame| {
                let stays = |n: Option<i32>| n.is_some_and(|n| n > day + 1);
                Ok(rows.column("n")?.i32()?.iter().map(stays).collect())
            };
            buckets.retain(stays).unwrap();
            let mut left = Vec::new();
            for day in [7, 9] {
                let mut take = |rows: DataFrame| {
                    left.extend(rows.column("n")?.i32()?.iter().flatten().map(|n| (day, n)));
                    Ok(())
                };
                buckets.read(day, None, &mut take).unwrap();
            }
            left.sort_unstable();
            let expected = (10..14).map(|n| (7, n)).chain((11..14).map(|n| (9, n)));
            assert_eq!(left, expected.collect::<Vec<_>>());
        }
    }
}
