//! Writes data files, which a commit then adds to a table.
//!
//! ```text
//! rows of 2025-06-01 ──► tables/sessions/utc_day=2025-06-01/5e0c….parquet    written, visible to nobody
//!                        └► statistics: 41,200 rows, started 00:00:02 to 23:59:57
//! ```
//!
//! Uncommitted files are deleted when their [`Staging`] is dropped; those of a killed process by
//! `vacuum`.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use deltalake::kernel::Add;
use polars::prelude::*;
use serde_json::{Map, Value, json};

use super::damage::{FILE_HASH, FOOTER_HASH, HashingWriter, footer_hash, modified};
use super::history::rows_in;
use super::layout::Layout;
use super::lock::Lock;
use super::snapshot::partition_folder;
use crate::error::{Context as _, Error, Result};

/// The maximum number of rows in a row group.
const ROW_GROUP: usize = 1 << 20;

/// Longer texts are not used as bounds.
const LONGEST_BOUND: usize = 64;

/// The staging area of one table.
#[derive(Debug)]
pub struct Staging {
    layout: Layout,
    folder: PathBuf,
    written: Mutex<Vec<StagedFile>>,
    /// `None` if the process holds the exclusive lock.
    _writing: Option<Lock>,
}

/// A file for a commit to add: written, but part of no version yet, or only of an older one.
#[derive(Clone, Debug)]
pub struct StagedFile {
    pub(super) add: Add,
    pub(super) place: PathBuf,
    /// `true` if a commit may have added it to the table.
    pub(super) committed: Arc<AtomicBool>,
    /// `true` for a file of an older version that is added again.
    pub(super) is_restored: bool,
    day: Option<NaiveDate>,
    rows: u64,
}

impl StagedFile {
    /// A file of an older version, to be added again.
    pub(super) fn restored(table: &Path, add: Add) -> Self {
        let partition = add.partition_values.values().flatten().next();
        Self {
            place: table.join(&add.path),
            committed: Arc::new(AtomicBool::new(true)),
            is_restored: true,
            day: partition.and_then(|day| day.parse().ok()),
            rows: rows_in(&add).unwrap_or_default(),
            add,
        }
    }

    /// Returns `true` if it exists in its logged size.
    pub(super) fn exists(&self) -> bool {
        fs::metadata(&self.place).is_ok_and(|there| there.len() == self.bytes())
    }

    /// The UTC day of its rows; `None` for rows without a time.
    pub fn day(&self) -> Option<NaiveDate> {
        self.day
    }

    /// Its number of rows.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Its size in bytes.
    pub fn bytes(&self) -> u64 {
        u64::try_from(self.add.size).unwrap_or_default()
    }

    fn delete(&self) {
        if !self.committed.load(Ordering::SeqCst) {
            // `vacuum` deletes it later if this fails.
            let _ = fs::remove_file(&self.place);
        }
    }
}

impl Staging {
    pub(super) fn new(layout: Layout, folder: PathBuf, writing: Option<Lock>) -> Self {
        Self { layout, folder, written: Mutex::default(), _writing: writing }
    }

    /// Writes rows of one UTC day, as they are sorted, with the columns of [`Layout::stored`]. May
    /// be called from several threads.
    pub fn write(&self, day: Option<NaiveDate>, mut rows: DataFrame) -> Result<StagedFile> {
        if rows.schema() != &self.layout.stored {
            let found: Vec<_> = rows.schema().iter_names().map(PlSmallStr::to_string).collect();
            return Err(Error::bug(format!("rows are not of table `{}`", self.layout.name))
                .found(found.join(", ")));
        }
        let folder = partition_folder(&self.layout, day);
        let path = format!("{folder}/{}.parquet", uuid::Uuid::new_v4());
        let place = self.folder.join(&path);
        // The log folder is created first: without it, a lost log looks like a table that never
        // existed.
        for folder in ["_delta_log", folder.as_str()] {
            fs::create_dir_all(self.folder.join(folder)).context(|| format!("writing `{path}`"))?;
        }
        let file = StagedFile {
            add: Add { path, ..Add::default() },
            place,
            committed: Arc::default(),
            is_restored: false,
            day,
            rows: rows.height() as u64,
        };
        if let Ok(mut written) = self.written.lock() {
            written.push(file.clone());
        }
        let written = write_parquet(&file.place, &mut rows)
            .context(|| format!("writing `{}`", file.place.display()))?;
        let statistics = statistics(&self.layout, &rows)?;
        let partition = self.layout.partition.to_owned();
        Ok(StagedFile {
            add: Add {
                partition_values: HashMap::from([(partition, day.map(|d| d.to_string()))]),
                size: i64::try_from(written.size).unwrap_or_default(),
                modification_time: written.modified,
                tags: Some(written.tags),
                stats: Some(statistics.to_string()),
                ..file.add
            },
            ..file
        })
    }

    /// Deletes files that are not needed.
    pub fn forget(&self, files: &[StagedFile]) {
        for file in files {
            file.delete();
        }
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if let Ok(written) = self.written.get_mut() {
            for file in written {
                file.delete();
            }
        }
    }
}

/// What is known of a file after writing it.
struct Written {
    size: u64,
    /// In milliseconds, as [`modified`] reads it.
    modified: i64,
    tags: HashMap<String, Option<String>>,
}

/// Writes a Parquet file.
fn write_parquet(place: &Path, rows: &mut DataFrame) -> Result<Written> {
    let file = HashingWriter::new(File::create_new(place)?);
    let mut file = BufWriter::with_capacity(1 << 20, file);
    let size = ParquetWriter::new(&mut file)
        .with_compression(ParquetCompression::Zstd(None))
        .with_row_group_size(Some(ROW_GROUP))
        .finish(rows)?;
    let file = file.into_inner().map_err(std::io::IntoInnerError::into_error)?;
    let (hash, file) = file.end();
    let modified = modified(&file.metadata()?);
    let tags = [
        (FILE_HASH.to_owned(), Some(hash.to_string())),
        (FOOTER_HASH.to_owned(), Some(format!("{:016x}", footer_hash(place)?))),
    ];
    let modified = modified.unwrap_or_else(|| Utc::now().timestamp_millis());
    Ok(Written { size, modified, tags: tags.into() })
}

/// Syncs files and all folders on their paths below the root.
///
/// In parallel: for 365 files in as many folders, one after the other takes 2.3 s, 16 at a time 0.3
/// s.
pub(super) fn sync(files: &[&Path], root: &Path) -> Result<()> {
    let folders = files.iter().flat_map(|file| file.ancestors().skip(1));
    let folders: BTreeSet<&Path> = folders.filter(|folder| folder.starts_with(root)).collect();
    at_once(files, |file| {
        let synced = File::open(file).and_then(|file| file.sync_all());
        synced.context(|| format!("writing `{}`", file.display()))
    })?;
    at_once(&Vec::from_iter(folders), |folder| {
        // Not every system can open or sync a folder; such systems do not lose entries if only the
        // process dies.
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
        Ok(())
    })
}

fn at_once(paths: &[&Path], each: fn(&Path) -> Result<()>) -> Result<()> {
    const THREADS: usize = 16;
    let share = paths.len().div_ceil(THREADS).max(1);
    std::thread::scope(|scope| {
        let threads: Vec<_> = paths
            .chunks(share)
            .map(|paths| scope.spawn(move || paths.iter().try_for_each(|path| each(path))))
            .collect();
        threads.into_iter().try_for_each(|thread| {
            thread.join().unwrap_or_else(|_| Err(Error::bug("a thread failed to write")))
        })
    })
}

/// The statistics of a file for the log: rows, and bounds and nulls of the layout's statistics
/// columns.
fn statistics(layout: &Layout, rows: &DataFrame) -> Result<Value> {
    let (mut min, mut max, mut nulls) = (Map::new(), Map::new(), Map::new());
    for name in layout.statistics {
        let column = rows.column(name)?.as_materialized_series();
        nulls.insert((*name).to_owned(), json!(column.null_count()));
        let ends = (
            bound(column.min_reduce()?.as_any_value()),
            bound(column.max_reduce()?.as_any_value()),
        );
        if let (Some(least), Some(most)) = ends {
            min.insert((*name).to_owned(), least);
            max.insert((*name).to_owned(), most);
        }
    }
    Ok(json!({
        "numRecords": rows.height(),
        "minValues": min,
        "maxValues": max,
        "nullCount": nulls,
    }))
}

fn bound(value: AnyValue) -> Option<Value> {
    match value {
        AnyValue::Datetime(at, TimeUnit::Microseconds, _)
        | AnyValue::DatetimeOwned(at, TimeUnit::Microseconds, _) => {
            let at = DateTime::from_timestamp_micros(at)?;
            Some(json!(at.to_rfc3339_opts(SecondsFormat::Micros, true)))
        }
        AnyValue::Int32(number) => Some(json!(number)),
        AnyValue::Int64(number) => Some(json!(number)),
        value => {
            let text = value.get_str()?;
            (text.len() <= LONGEST_BOUND).then(|| json!(text))
        }
    }
}
