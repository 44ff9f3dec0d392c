//! Scans of a table's files: lazy plans that skip files by their day and statistics.

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, NaiveDate};
use chrono_tz::Tz;
use polars::prelude::*;

use super::damage::{Damage, check_quickly};
use super::layout::Layout;
use super::log::{DataFile, Statistics, file_key};
use super::snapshot::{Snapshot, partition_folder};
use crate::error::{Error, Result};

/// The suffix of a path in a plan whose file is damaged.
const DAMAGED: &str = ".damaged";

/// The most rows of a row group.
///
/// A file of one row group is skipped by the statistics in the log, or read: those in its footer would be evaluated
/// for nothing.
const ROW_GROUP: u64 = 1 << 18;

impl Snapshot {
    /// Scans all rows, with the columns of [`Layout::stored`] and `utc_day`. A column that an older
    /// file lacks is null.
    pub fn scan(&self) -> Result<LazyFrame> {
        self.scan_files(&self.files.iter().collect::<Vec<_>>())
    }

    /// Scans the rows of some files, with instants in a time zone if one is given. Filters on them still
    /// skip files.
    pub(super) fn scan_files_in(&self, files: &[&DataFile], zone: Option<Tz>) -> Result<LazyFrame> {
        let Some(zone) = zone else { return self.scan_files(files) };
        let zone = TimeZone::opt_try_new(Some(zone.name()))?;
        self.scan_as(files, &move |data_type| match data_type {
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
            _ => union(scans),
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
        let sources = ScanSources::Paths(paths.into_iter().collect());
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
        self.scan_sources(sources, files, &typed(schema, shown), hive_options, shown)
    }

    /// Scans the rows of a file whose bytes were read.
    ///
    /// # Errors
    ///
    /// Bytes of another size than the log says; a file in the wrong partition folder.
    pub(super) fn scan_bytes(&self, file: &DataFile, bytes: Bytes) -> Result<LazyFrame> {
        let found = bytes.len() as u64;
        if found != file.bytes {
            return Err(self.damaged(file, &Damage::Size { expected: file.bytes, found }));
        }
        self.check_place(file)?;
        let day = match file.day {
            Some(day) => lit(Scalar::new_date(day.to_epoch_days())),
            None => lit(NULL).cast(DataType::Date),
        };
        let rows = self.scan_sources(
            in_memory(bytes),
            &[file],
            &self.layout.stored,
            HiveOptions::new_disabled(),
            &|data_type| data_type,
        )?;
        Ok(rows.with_column(day.alias(self.layout.partition)))
    }

    fn scan_sources(
        &self,
        sources: ScanSources,
        files: &[&DataFile],
        schema: &Schema,
        hive_options: HiveOptions,
        shown: &dyn Fn(DataType) -> DataType,
    ) -> Result<LazyFrame> {
        let cast_columns_policy =
            CastColumnsPolicy { datetime_convert_timezone: true, ..Default::default() };
        let args = UnifiedScanArgs {
            hive_options,
            glob: false,
            cast_columns_policy,
            missing_columns_policy: MissingColumnsPolicy::Insert,
            extra_columns_policy: ExtraColumnsPolicy::Ignore,
            table_statistics: Some(TableStatistics(Arc::new(bounds(&self.layout, schema, files)?))),
            row_count: Some((files.iter().map(|file| file.rows).sum(), 0)),
            ..Default::default()
        };
        // With the schema given, no footer is read during planning.
        let options = ParquetOptions {
            schema: Some(Arc::new(typed(Schema::clone(&self.layout.stored), shown))),
            parallel: ParallelStrategy::default(),
            low_memory: false,
            use_statistics: files.iter().any(|file| file.rows > ROW_GROUP),
        };
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
}

/// A file in memory, to scan.
pub(super) fn in_memory(bytes: Bytes) -> ScanSources {
    ScanSources::Buffers(Arc::from([Vec::from(bytes).into()]))
}

fn typed(schema: Schema, shown: &dyn Fn(DataType) -> DataType) -> Schema {
    schema.into_iter().map(|(name, data_type)| (name, shown(data_type))).collect()
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

/// The bound of a column by the statistics of a file; `None` if unknown.
pub(super) fn read_bound(
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

/// The rows of one or several scans of a table, in any order.
pub(super) fn union(mut scans: Vec<LazyFrame>) -> Result<LazyFrame> {
    if scans.len() == 1 {
        return Ok(scans.remove(0));
    }
    Ok(concat(scans, UnionArgs { maintain_order: false, ..UnionArgs::default() })?)
}
