//! A table at one version: its files, its transactions, and lazy plans over its rows.
//!
//! ```text
//! Snapshot of version 20
//!   │ files         utc_day=2025-06-01/5e0c….parquet: 41,200 rows, started 00:00:02 to 23:59:57
//!   │ transactions  the file named 9f3a…: 1, loaded
//!   ▼
//! LazyFrame         where started >= 2025-06-02: the file is skipped without being opened
//! ```
//!
//! Later commits do not change a snapshot. Its files exist as long as `vacuum` retains replaced files.

use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate};
use polars::prelude::*;
use serde_json::{Value, json};
use wabalake_data::tables::UTC_DAY;

use super::damage::{Damage, check_all_bytes, check_quickly};
use super::layout::{Layout, data_type, delta_type};
use super::log::{DataFile, Log, PROTOCOL, State, file_key};
use super::scans::read_bound;
use super::transact::{Loaded, configuration};
use crate::error::{Error, Result};
use crate::place::{Key, Place};

const INSTANT: DataType = DataType::Datetime(TimeUnit::Microseconds, None);

/// One version of one table.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The version; `None` if the table does not exist.
    pub version: Option<u64>,
    /// Its files by day, rows without a time first, then by path.
    pub files: Vec<DataFile>,
    pub(super) layout: Layout,
    pub(super) place: Arc<Place>,
    pub(super) table: Key,
    pub(super) state: Option<Arc<State>>,
}

impl Snapshot {
    pub(super) fn new(
        layout: Layout,
        place: Arc<Place>,
        table: Key,
        state: Option<Arc<State>>,
    ) -> Result<Self> {
        let mut files = Vec::new();
        if let Some(state) = &state {
            Log::new(Arc::clone(&place), table.clone()).check_readable(state)?;
            if !layout.is_mart {
                check_types(&layout, state)?;
            }
            files.extend(state.files.values().cloned());
            files.sort_unstable_by(|a, b| (a.day, &a.path).cmp(&(b.day, &b.path)));
        }
        Ok(Self {
            version: state.as_ref().map(|state| state.version),
            files,
            layout,
            place,
            table,
            state,
        })
    }

    /// The version of a file's application transaction.
    pub fn transaction(&self, file_id: &str) -> Loaded {
        let known = self.state.as_ref().and_then(|state| state.transactions.get(file_id));
        Loaded(known.copied().unwrap_or_default())
    }

    /// The application transactions of loaded files.
    pub fn loaded(&self) -> impl Iterator<Item = &str> {
        let transactions = self.state.iter().flat_map(|state| &state.transactions);
        transactions
            .filter(|(_, version)| Loaded(**version).is_loaded())
            .map(|(file, _)| file.as_str())
    }

    /// The number of rows.
    pub fn rows(&self) -> u64 {
        self.files.iter().map(|file| file.rows).sum()
    }

    /// The files of one UTC day, or of the rows without a time.
    pub fn files_of(&self, day: Option<NaiveDate>) -> impl Iterator<Item = &DataFile> {
        let start = self.files.partition_point(|file| file.day < day);
        self.files[start..].iter().take_while(move |file| file.day == day)
    }

    /// The files that may have a timestamp in a half-open range, in microseconds, by their day and
    /// statistics. Without bounds, all files; rows without a time are in no range.
    pub fn files_in_range(
        &self,
        stamp: &str,
        (from, until): (Option<i64>, Option<i64>),
    ) -> Vec<&DataFile> {
        let day = |at: i64| DateTime::from_timestamp_micros(at).map(|at| at.date_naive());
        let (first, last) =
            (from.and_then(day), until.and_then(|until| day(until.saturating_sub(1))));
        let within = |file: &&DataFile| {
            if from.is_none() && until.is_none() {
                return true;
            }
            let bound = |greatest| match read_bound(&file.statistics, stamp, &INSTANT, greatest) {
                Some(AnyValue::DatetimeOwned(at, ..)) => Some(at),
                _ => None,
            };
            file.day.is_some_and(|day| {
                first.is_none_or(|first| day >= first) && last.is_none_or(|last| day <= last)
            }) && from.zip(bound(true)).is_none_or(|(from, greatest)| greatest >= from)
                && until.zip(bound(false)).is_none_or(|(until, least)| least < until)
        };
        self.files.iter().filter(within).collect()
    }

    /// The path of a file. Only for a lake in a folder.
    pub fn place(&self, file: &DataFile) -> PathBuf {
        self.folder().join(&file.path)
    }

    /// The key of a file.
    ///
    /// # Errors
    ///
    /// A path that leads out of the lake.
    pub fn key(&self, file: &DataFile) -> Result<Key> {
        file_key(&self.table, &file.path)
    }

    /// The path or URL of the table's folder, for other programs.
    pub fn address(&self) -> String {
        match self.place.as_folder() {
            Some(_) => self.folder().display().to_string(),
            None => self.place.url(&self.table),
        }
    }

    /// The table's folder. Only for a lake in a folder.
    pub(super) fn folder(&self) -> PathBuf {
        self.log().table()
    }

    fn log(&self) -> Log {
        Log::new(Arc::clone(&self.place), self.table.clone())
    }

    /// Checks the sizes and footers of files, or hashes them if `all_bytes`. On a store nothing is
    /// checked beforehand: the answer to a request for a file tells its size.
    ///
    /// # Errors
    ///
    /// The first damaged file.
    pub fn check_files(&self, files: &[&DataFile], all_bytes: bool) -> Result<()> {
        let look: fn(&std::path::Path, &DataFile) -> Option<Damage> =
            if all_bytes { check_all_bytes } else { check_quickly };
        if self.place.as_folder().is_none() {
            return Ok(());
        }
        for file in files {
            if let Some(fault) = look(&self.place(file), file) {
                return Err(self.damaged(file, &fault));
            }
        }
        Ok(())
    }

    /// The error for a damaged file, with the loads that wrote its day.
    pub(super) fn damaged(&self, file: &DataFile, fault: &Damage) -> Error {
        let shown = format!("{}/{}", self.table, file.path);
        fault.error(&shown).hint(self.log().hint_for_data_file(&file.path))
    }

    /// Returns `true` if no other program changed the protocol, the table properties or column
    /// metadata.
    pub(super) fn is_as_made_here(&self) -> bool {
        self.state.as_deref().is_some_and(|state| {
            let plain = |field: &Value| field["metadata"] == json!({});
            state.protocol == PROTOCOL
                && state.metadata.get("configuration") == Some(&configuration())
                && fields(state).iter().all(plain)
        })
    }

    /// Refuses to replace rows of an append-only table.
    pub(super) fn check_replaceable(&self) -> Result<()> {
        match &self.state {
            Some(state) => self.log().check_replaceable(state),
            None => Ok(()),
        }
    }

    /// The layout's columns that the table lacks, as Delta fields.
    pub(super) fn missing_fields(&self) -> Result<Vec<Value>> {
        let known = self.state.as_deref().map(fields).unwrap_or_default();
        let mut missing = fields_of(&self.layout)?;
        missing.retain(|field| !known.iter().any(|known| known["name"] == field["name"]));
        Ok(missing)
    }

    /// The names of the layout's columns that the table lacks.
    pub(crate) fn missing_columns(&self) -> Result<Vec<String>> {
        let missing = self.missing_fields()?;
        let names = missing.iter().filter_map(|field| field["name"].as_str());
        Ok(names.map(str::to_owned).collect())
    }

    /// The table's columns that this version of wabalake does not know. Those of a mart depend on
    /// its query.
    pub(super) fn unknown_columns(&self) -> Vec<String> {
        if self.layout.is_mart {
            return Vec::new();
        }
        let schema = self.layout.scanned();
        let known = self.state.as_deref().map(fields).unwrap_or_default();
        let names = known.iter().filter_map(|field| field["name"].as_str());
        names.filter(|name| !schema.contains(name)).map(str::to_owned).collect()
    }
}

/// The partition value of rows without a day.
pub(super) const NO_DAY: &str = "__HIVE_DEFAULT_PARTITION__";

/// The partition folder of a day.
pub(super) fn partition_folder(layout: &Layout, day: Option<NaiveDate>) -> String {
    let partition = layout.partition;
    match day {
        Some(day) => format!("{partition}={day}"),
        None => format!("{partition}={NO_DAY}"),
    }
}

/// The columns of a layout, as Delta fields.
pub(super) fn fields_of(layout: &Layout) -> Result<Vec<Value>> {
    let field = |(name, data_type): (&PlSmallStr, &DataType)| {
        let delta = delta_type(data_type).ok_or_else(|| {
            Error::bug(format!("column `{name}` of `{}` is a {data_type}", layout.name))
        })?;
        Ok(json!({"name": name.as_str(), "type": delta, "nullable": true, "metadata": {}}))
    };
    layout.scanned().iter().map(field).collect()
}

/// The columns of a table, as Delta fields.
pub(super) fn fields(state: &State) -> Vec<Value> {
    let schema = state.metadata.get("schemaString").and_then(Value::as_str).unwrap_or_default();
    let schema: Value = serde_json::from_str(schema).unwrap_or_default();
    schema["fields"].as_array().cloned().unwrap_or_default()
}

/// The types of a table's columns but for its partition; `None` if there is one that no table of ours
/// has.
pub(super) fn stored_schema(state: &State, partition: &str) -> Option<SchemaRef> {
    let column = |field: &Value| {
        let name = field["name"].as_str()?;
        Some(Field::new(name.into(), data_type(field["type"].as_str()?)?))
    };
    let fields = fields(state);
    let stored = fields.iter().filter(|field| field["name"] != partition).map(column);
    Some(Arc::new(stored.collect::<Option<Schema>>()?))
}

fn check_types(layout: &Layout, state: &State) -> Result<()> {
    let name = &layout.name;
    if state.metadata.get("partitionColumns") != Some(&json!([UTC_DAY])) {
        return Err(Error::lake(format!("table `{name}` is not partitioned by {UTC_DAY} alone"))
            .hint("another program created it: load into another lake"));
    }
    let expected = fields_of(layout)?;
    for field in fields(state) {
        let wanted = expected.iter().find(|wanted| wanted["name"] == field["name"]);
        if let Some(wanted) = wanted.filter(|wanted| wanted["type"] != field["type"]) {
            let column = field["name"].as_str().unwrap_or_default();
            return Err(Error::lake(format!(
                "column `{column}` of table `{name}` should be a {}",
                wanted["type"].as_str().unwrap_or_default()
            ))
            .found(format!("it is a {}", field["type"].to_string().trim_matches('"')))
            .hint("another program or version created it: load into another lake"));
        }
    }
    Ok(())
}
