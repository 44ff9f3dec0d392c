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
    /// The columns of all rows.
    schema: SchemaRef,
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
        Ok(Self {
            spill,
            budget,
            held: 0,
            days: BTreeMap::new(),
            schema: SchemaRef::default(),
            turn: Arc::default(),
        })
    }

    /// Adds rows of one day. `bytes` is their approximate size in memory.
    pub(crate) fn add(&mut self, day: i32, rows: DataFrame, bytes: usize) {
        if self.schema.is_empty() {
            self.schema = Arc::clone(rows.schema());
        }
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
            let schema = match columns {
                Some(names) => Arc::new(self.schema.try_project(names)?),
                None => Arc::clone(&self.schema),
            };
            read_spilled(&spilled_to(self.spill.path(), day), &schema, &mut take)?;
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
                read_spilled(&path, &self.schema, |rows| match kept(*day, rows)? {
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
/// buffers of whole chunks. Columns of nulls are left out.
fn append(file: &mut impl std::io::Write, rows: DataFrame) -> Result<()> {
    let height = rows.height();
    let mut columns = rows.into_columns();
    let is_null = |column: &Column| column.null_count() == height;
    // Without any column a frame would lose its height.
    if !columns.iter().all(is_null) {
        columns.retain(|column| !is_null(column));
    }
    let mut stream = IpcStreamWriter::new(file).with_compat_level(CompatLevel::oldest());
    Ok(stream.finish(&mut DataFrame::new(height, columns)?)?)
}

/// Reads a spill file, frame by frame, with the columns of `schema`.
fn read_spilled(
    path: &Path,
    schema: &Schema,
    mut take: impl FnMut(DataFrame) -> Result<()>,
) -> Result<()> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut reader = BufReader::new(file);
    while std::io::Seek::stream_position(&mut reader)? < length {
        let mut stream = IpcStreamReader::new(&mut reader).set_rechunk(false);
        let held = stream.schema()?;
        let mut wanted: Vec<String> = held
            .iter_names()
            .filter(|name| schema.contains(name))
            .map(PlSmallStr::to_string)
            .collect();
        if wanted.is_empty() {
            // Any column has the height.
            wanted.extend(held.iter_names().next().map(PlSmallStr::to_string));
        }
        let rows = stream.with_columns(Some(wanted)).finish()?;
        let height = rows.height();
        let column = |(name, of): (&PlSmallStr, &DataType)| match rows.column(name) {
            Ok(column) => column.clone(),
            Err(_) => Column::full_null(name.clone(), height, of),
        };
        take(DataFrame::new(height, schema.iter().map(column).collect())?)?;
    }
    Ok(())
}

fn spilled_to(folder: &Path, day: i32) -> PathBuf {
    folder.join(format!("{day}.ipc"))
}

/// Concatenates frames of one schema; no frames give an empty frame. A column with one value stays one.
///
/// # Errors
///
/// Frames of different schemas.
pub(crate) fn stack(mut frames: Vec<DataFrame>) -> PolarsResult<DataFrame> {
    if frames.iter().any(|rows| rows.height() > 0) {
        // The value of a column without rows does not count.
        frames.retain(|rows| rows.height() > 0);
    }
    let Some(first) = frames.first() else { return Ok(DataFrame::default()) };
    let schema = Arc::clone(first.schema());
    for rows in &frames {
        polars_ensure!(*rows.schema() == schema, SchemaMismatch: "frames of different columns");
    }
    let height = frames.iter().map(DataFrame::height).sum();
    let mut frames: Vec<_> = frames.into_iter().map(|f| f.into_columns().into_iter()).collect();
    let columns = (0..schema.len()).map(|_| joined(frames.iter_mut().filter_map(Iterator::next)));
    DataFrame::new(height, columns.collect::<PolarsResult<_>>()?)
}

/// Concatenates the parts of one column.
fn joined(parts: impl Iterator<Item = Column>) -> PolarsResult<Column> {
    let parts: Vec<Column> = parts.collect();
    let height = parts.iter().map(Column::len).sum();
    let value = |column: &Column| column.as_scalar_column().map(|column| column.scalar().clone());
    if let Some(first) = parts.first().and_then(value)
        && parts[1..].iter().all(|part| value(part).as_ref() == Some(&first))
    {
        return Ok(Column::new_scalar(parts[0].name().clone(), first, height));
    }
    let mut parts = parts.into_iter();
    let mut all = parts.next().unwrap_or_default();
    for part in parts {
        all.append_owned(part)?;
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
                    let text = if part == 1 { None } else { Some("\u{e9}") };
                    let rows = df!("n" => [part, part + 10], "text" => [text, text]).unwrap();
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
            let mut take = |rows: DataFrame| {
                let numbers = rows.column("n")?.i32()?.iter().flatten();
                for (number, text) in numbers.zip(rows.column("text")?.str()?.iter()) {
                    let text_of_part = if number % 10 == 1 { None } else { Some("\u{e9}") };
                    assert_eq!(text, text_of_part);
                }
                Ok(())
            };
            buckets.read(9, None, &mut take).unwrap();

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
