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
use chrono_tz::Tz;
use polars::prelude::*;
use serde_json::{Value, json};
use wabalake_data::tables::UTC_DAY;

use super::damage::{Damage, check_all_bytes, check_quickly};
use super::layout::{Layout, delta_type};
use super::log::{DataFile, Log, PROTOCOL, State, Statistics, file_key};
use super::transact::{Loaded, configuration};
use crate::error::{Error, Result};
use crate::place::{Key, Place};

/// The suffix of a path in a plan whose file is damaged.
const DAMAGED: &str = ".damaged";

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

    /// Scans all rows, with the columns of [`Layout::stored`] and `utc_day`. A column that an older
    /// file lacks is null.
    pub fn scan(&self) -> Result<LazyFrame> {
        self.scan_files(&self.files.iter().collect::<Vec<_>>())
    }

    /// Scans all rows, with instants in a time zone. Filters on them still skip files.
    pub fn scan_in_zone(&self, zone: Tz) -> Result<LazyFrame> {
        let zone = TimeZone::opt_try_new(Some(zone.name()))?;
        self.scan_as(&self.files.iter().collect::<Vec<_>>(), &move |data_type| match data_type {
            DataType::Datetime(unit, Some(_)) => DataType::Datetime(unit, zone.clone()),
            other => other,
        })
    }

    /// Scans the rows of some UTC days.
    pub fn scan_days(&self, days: &[Option<NaiveDate>]) -> Result<LazyFrame> {
        let files: Vec<_> = self.files.iter().filter(|file| days.contains(&file.day)).collect();
        self.scan_files(&files)
    }

    /// Scans the rows of some files.
    pub fn scan_files(&self, files: &[&DataFile]) -> Result<LazyFrame> {
        self.scan_as(files, &|data_type| data_type)
    }

    /// Scans `files`, casting each column to `shown(type)`.
    fn scan_as(
        &self,
        files: &[&DataFile],
        shown: &dyn Fn(DataType) -> DataType,
    ) -> Result<LazyFrame> {
        let (dated, undated): (Vec<_>, Vec<_>) = files.iter().partition(|file| file.day.is_some());
        let mut scans = Vec::new();
        if !dated.is_empty() {
            scans.push(self.scan_partitions(&dated, true, shown)?);
        }
        if !undated.is_empty() {
            // Without a day in the path, Polars takes `day <= 2025-06-01` for true, not for null.
            let no_day = lit(NULL).cast(DataType::Date).alias(self.layout.partition);
            scans.push(self.scan_partitions(&undated, false, shown)?.with_column(no_day));
        }
        match scans.len() {
            0 => Ok(DataFrame::empty_with_schema(&typed(self.layout.scanned(), shown)).lazy()),
            1 => Ok(scans.remove(0)),
            _ => {
                let any_order = UnionArgs { maintain_order: false, ..UnionArgs::default() };
                Ok(concat(scans, any_order)?)
            }
        }
    }

    /// Scans files that either all have a day, which becomes a column, or all have none.
    fn scan_partitions(
        &self,
        files: &[&DataFile],
        dated: bool,
        shown: &dyn Fn(DataType) -> DataType,
    ) -> Result<LazyFrame> {
        let is_here = self.place.as_folder().is_some();
        let mut keys = Vec::with_capacity(files.len());
        for file in files {
            self.check_place(file)?;
            let is_damaged = is_here && check_quickly(&self.place(file), file).is_some();
            // Only executing the plan shows whether the file is needed: this path does not exist.
            let path = if is_damaged { &format!("{}{DAMAGED}", file.path) } else { &file.path };
            keys.push((file_key(&self.table, path)?, file.bytes));
        }
        let paths = self.place.scan_paths(&keys)?;
        let partition =
            Schema::from_iter([Field::new(self.layout.partition.into(), DataType::Date)]);
        let partitioned = HiveOptions {
            enabled: Some(true),
            // Polars ignores it, so no part above the lake may look like a partition.
            hive_start_idx: 0,
            schema: Some(Arc::new(partition)),
            try_parse_dates: true,
        };
        let (schema, hive_options) = if dated {
            (self.layout.scanned(), partitioned)
        } else {
            (Schema::clone(&self.layout.stored), HiveOptions::new_disabled())
        };
        let schema = typed(schema, shown);
        let cast_columns_policy =
            CastColumnsPolicy { datetime_convert_timezone: true, ..Default::default() };
        let args = UnifiedScanArgs {
            hive_options,
            glob: false,
            cast_columns_policy,
            missing_columns_policy: MissingColumnsPolicy::Insert,
            extra_columns_policy: ExtraColumnsPolicy::Ignore,
            table_statistics: Some(TableStatistics(Arc::new(bounds(
                &self.layout,
                &schema,
                files,
            )?))),
            row_count: Some((files.iter().map(|file| file.rows).sum(), 0)),
            ..Default::default()
        };
        // With the schema given, no footer is read during planning.
        let options = ParquetOptions {
            schema: Some(Arc::new(typed(Schema::clone(&self.layout.stored), shown))),
            parallel: ParallelStrategy::default(),
            low_memory: false,
            use_statistics: true,
        };
        let sources = ScanSources::Paths(paths.into_iter().collect());
        Ok(DslBuilder::scan_parquet(sources, options, args)?.build().into())
    }

    /// Polars takes the day from the path, Delta from the log: they must agree.
    fn check_place(&self, file: &DataFile) -> Result<()> {
        let place = partition_folder(&self.layout, file.day);
        if file.path.split('/').next() == Some(place.as_str()) {
            return Ok(());
        }
        Err(Error::lake(format!("table `{}` has the file `{}`", self.layout.name, file.path))
            .found(format!("it should be in the folder {place}"))
            .hint("another program wrote it: let only wabalake write to the lake"))
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

fn typed(schema: Schema, shown: &dyn Fn(DataType) -> DataType) -> Schema {
    schema.into_iter().map(|(name, data_type)| (name, shown(data_type))).collect()
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

/// The statistics of files as Polars expects them, to skip files; null if unknown.
fn bounds(layout: &Layout, schema: &Schema, files: &[&DataFile]) -> PolarsResult<DataFrame> {
    let partition = layout.partition;
    let count = |rows: u64| IdxSize::try_from(rows).ok();
    let rows: Vec<_> = files.iter().map(|file| count(file.rows)).collect();
    let mut columns = Vec::with_capacity(1 + 3 * schema.len());
    columns.push(Column::new("len".into(), rows));
    for (name, data_type) in schema.iter() {
        let [least, most, nulls] = ["min", "max", "nc"].map(|end| format!("{name}_{end}").into());
        if name != partition && !layout.statistics.contains(&name.as_str()) {
            // A filter may name any column, and Polars expects all three values for each.
            columns.push(Column::full_null(least, files.len(), data_type));
            columns.push(Column::full_null(most, files.len(), data_type));
            columns.push(Column::full_null(nulls, files.len(), &IDX_DTYPE));
            continue;
        }
        for (title, greatest) in [(least, false), (most, true)] {
            let bound = |file: &&DataFile| match file.day.filter(|_| name == partition) {
                Some(day) => Some(AnyValue::Date(day.to_epoch_days())),
                None => read_bound(&file.statistics, name, data_type, greatest),
            };
            let known = files.iter().map(|file| bound(file).unwrap_or(AnyValue::Null));
            let known: Vec<_> = known.collect();
            let known = Series::from_any_values_and_dtype(title, &known, data_type, true)?;
            columns.push(known.into_column());
        }
        let null_count = |file: &&DataFile| match name.as_str() {
            name if name == partition => Some(0),
            name => count(file.statistics.bounds().null_count.get(name)?.as_u64()?),
        };
        columns.push(Column::new(nulls, files.iter().map(null_count).collect::<Vec<_>>()));
    }
    DataFrame::new(files.len(), columns)
}

fn read_bound(
    statistics: &Statistics,
    name: &str,
    data_type: &DataType,
    greatest: bool,
) -> Option<AnyValue<'static>> {
    let bounds = statistics.bounds();
    let values = if greatest { &bounds.max_values } else { &bounds.min_values };
    let value = values.get(name)?;
    Some(match data_type {
        DataType::String => AnyValue::StringOwned(value.as_str()?.into()),
        DataType::Int32 => AnyValue::Int32(i32::try_from(value.as_i64()?).ok()?),
        DataType::Int64 => AnyValue::Int64(value.as_i64()?),
        DataType::Datetime(unit, zone) => {
            let text = value.as_str()?;
            let at = DateTime::parse_from_rfc3339(text).ok()?.timestamp_micros();
            // Other programs truncate timestamps to milliseconds, the maximum too.
            let cut = if greatest && at % 1000 == 0 { 999 } else { 0 };
            AnyValue::DatetimeOwned(at + cut, *unit, zone.clone().map(Arc::new))
        }
        _ => return None,
    })
}
