//! Writes data files, which a commit then adds to a table.
//!
//! ```text
//! rows of 2025-06-01 ──► tables/sessions/utc_day=2025-06-01/5e0c….parquet    written, visible to nobody
//!                        └► statistics: 41,200 rows, started 00:00:02 to 23:59:57
//! ```
//!
//! Uncommitted files are deleted when their [`Staging`] is dropped; those of a killed process by
//! `vacuum`.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use deltalake::kernel::Add;
use polars::prelude::*;
use serde_json::{Map, Value, json};
use wabalake_data::cells::phone::is_user_id;
use wabalake_data::tables::USER_PHONE;

use super::damage::{FILE_HASH, FOOTER_HASH, Hash, HashingWriter, footer_hash, modified};
use super::history::rows_in;
use super::key_filters::write_parquet;
use super::layout::Layout;
use super::lock::Lock;
use super::log::file_key;
use super::snapshot::partition_folder;
use super::spill::Spill;
use crate::error::{Context as _, Error, Result};
use crate::place::{IN_ONE_PUT, Key, Place};

/// Longer texts are not used as bounds.
const LONGEST_BOUND: usize = 64;

/// The staging area of one table.
#[derive(Debug)]
pub struct Staging {
    layout: Layout,
    place: Arc<Place>,
    written: Mutex<Vec<StagedFile>>,
    /// `None` if the process holds the exclusive lock.
    _writing: Option<Lock>,
}

/// A file for a commit to add: written, but part of no version yet, or only of an older one.
#[derive(Clone, Debug)]
pub struct StagedFile {
    pub(super) add: Add,
    place: Arc<Place>,
    pub(super) key: Key,
    /// `true` if a commit may have added it to the table.
    pub(super) committed: Arc<AtomicBool>,
    /// `true` for a file of an older version that is added again.
    pub(super) is_restored: bool,
    day: Option<NaiveDate>,
    rows: u64,
}

impl StagedFile {
    /// A file of an older version, to be added again.
    ///
    /// # Errors
    ///
    /// A path that leads out of the lake.
    pub(super) fn restored(place: &Arc<Place>, table: &Layout, add: Add) -> Result<Self> {
        let partition = add.partition_values.values().flatten().next();
        Ok(Self {
            place: Arc::clone(place),
            key: file_key(&table.key(), &add.path)?,
            committed: Arc::new(AtomicBool::new(true)),
            is_restored: true,
            day: partition.and_then(|day| day.parse().ok()),
            rows: rows_in(&add).unwrap_or_default(),
            add,
        })
    }

    /// Returns `true` if it exists in its logged size.
    pub(super) fn exists(&self) -> bool {
        matches!(self.place.entry(&self.key), Ok(Some(there)) if there.bytes == self.bytes())
    }

    /// Its path. Only for a lake in a folder.
    pub(super) fn path(&self) -> PathBuf {
        self.place.as_folder().unwrap_or(Path::new("\0")).join(self.key.as_str())
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
}

/// Deletes files that no commit may have added.
fn delete(place: &Place, files: &[StagedFile]) {
    let is_unused = |file: &&StagedFile| !file.committed.load(Ordering::SeqCst);
    let keys: Vec<Key> = files.iter().filter(is_unused).map(|file| file.key.clone()).collect();
    if !keys.is_empty() {
        // `vacuum` deletes them later if this fails.
        let _ = place.delete(&keys);
    }
}

impl Staging {
    pub(super) fn new(layout: Layout, place: Arc<Place>, writing: Option<Lock>) -> Self {
        Self { layout, place, written: Mutex::default(), _writing: writing }
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
        let table = self.layout.key();
        if let Some(root) = self.place.as_folder() {
            // The log folder is created first: without it, a lost log looks like a table that never
            // existed.
            for folder in ["_delta_log", folder.as_str()] {
                let folder = root.join(table.join(folder).as_str());
                fs::create_dir_all(folder).context(|| format!("writing `{path}`"))?;
            }
        }
        let file = StagedFile {
            key: table.join(&path),
            add: Add { path, ..Add::default() },
            place: Arc::clone(&self.place),
            committed: Arc::default(),
            is_restored: false,
            day,
            rows: rows.height() as u64,
        };
        if let Ok(mut written) = self.written.lock() {
            written.push(file.clone());
        }
        let written = match self.place.as_folder() {
            Some(_) => {
                let path = file.path();
                write_file(&path, &mut rows, self.layout.filtered)
                    .context(|| format!("writing `{}`", path.display()))?
            }
            None => {
                let filtered = self.layout.filtered;
                put_object(&self.place, &file.key, &mut rows, filtered, IN_ONE_PUT)?
            }
        };
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
        delete(&self.place, files);
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if let Ok(written) = self.written.get_mut() {
            delete(&self.place, written);
        }
    }
}

/// What is known of a file after writing it.
pub(super) struct Written {
    pub(super) size: u64,
    /// In milliseconds, as [`modified`] reads it.
    modified: i64,
    pub(super) tags: HashMap<String, Option<String>>,
}

/// Writes a Parquet file into a folder, with filters of some columns.
fn write_file(place: &Path, rows: &mut DataFrame, filtered: &[&str]) -> Result<Written> {
    let file = HashingWriter::new(File::create_new(place)?);
    let mut file = BufWriter::with_capacity(1 << 20, file);
    let (size, filters) = write_parquet(&mut file, rows, filtered)?;
    let file = file.into_inner().map_err(std::io::IntoInnerError::into_error)?;
    let (hash, file) = file.end();
    let written = Written::new(size, modified(&file.metadata()?), hash, footer_hash(place)?);
    Ok(written.with_tags(filters))
}

/// Writes a Parquet file as an object, with filters of some columns. Meanwhile it is in memory, or in a file of this machine if it is
/// larger than `in_memory`.
pub(super) fn put_object(
    place: &Place,
    key: &Key,
    rows: &mut DataFrame,
    filtered: &[&str],
    in_memory: usize,
) -> Result<Written> {
    let mut file = HashingWriter::new(Spill::new(place, in_memory));
    let written = write_parquet(&mut file, rows, filtered);
    let (size, filters) = written.context(|| format!("writing `{key}`"))?;
    let (hash, file) = file.end();
    let footer = file.put(key)?;
    Ok(Written::new(size, None, hash, footer).with_tags(filters))
}

impl Written {
    fn new(size: u64, modified: Option<i64>, hash: Hash, footer: u64) -> Self {
        let tags = [
            (FILE_HASH.to_owned(), Some(hash.to_string())),
            (FOOTER_HASH.to_owned(), Some(format!("{footer:016x}"))),
        ];
        let modified = modified.unwrap_or_else(|| Utc::now().timestamp_millis());
        Self { size, modified, tags: tags.into() }
    }

    fn with_tags(mut self, tags: HashMap<String, Option<String>>) -> Self {
        self.tags.extend(tags);
        self
    }
}

/// The statistics of a file for the log: rows, bounds and nulls of the layout's statistics
/// columns, and nulls of others.
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
    if !layout.null_counts.is_empty() && !has_user_ids_as_phones(rows)? {
        for name in layout.null_counts {
            nulls.insert((*name).to_owned(), json!(rows.column(name)?.null_count()));
        }
    }
    Ok(json!({
        "numRecords": rows.height(),
        "minValues": min,
        "maxValues": max,
        "nullCount": nulls,
    }))
}

/// Returns `true` if rows have user ids in `user_phone`, as older versions stored them.
fn has_user_ids_as_phones(rows: &DataFrame) -> PolarsResult<bool> {
    let phones = rows.column(USER_PHONE)?.str()?;
    Ok(phones.iter().flatten().any(is_user_id))
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
