//! How a table is stored: its columns, sort order, partition and statistics.

use std::fmt;

use polars::prelude::{DataType, Schema, TimeUnit};
use wabalake_data::Table;
use wabalake_data::tables::UTC_DAY;

use super::rejects::REJECTS;
use super::runs::RUNS;

/// A table that a lake can hold. Tables of exports are partitioned by `utc_day`.
pub trait Layout: Sync {
    /// Its name, which is also that of its folder.
    fn name(&self) -> &'static str;
    /// Names and types of the columns in its files.
    fn stored(&self) -> Schema;
    /// The sort order of rows in a file.
    fn sort(&self) -> &'static [&'static str];
    /// Columns whose bounds the log holds in clear: never a phone, a name or a message.
    fn statistics(&self) -> &'static [&'static str];
    /// The lake's folder that contains it.
    fn parent_folder(&self) -> &'static str {
        "tables"
    }
    /// The Date column that partitions it; its files do not contain it.
    fn partition(&self) -> &'static str {
        UTC_DAY
    }
    /// Returns `true` for a mart: its schema may be replaced if all rows are rewritten in the same
    /// commit.
    fn is_mart(&self) -> bool {
        false
    }
}

impl Layout for Table {
    fn name(&self) -> &'static str {
        self.name
    }

    fn stored(&self) -> Schema {
        Self::stored(self)
    }

    fn sort(&self) -> &'static [&'static str] {
        self.sort
    }

    fn statistics(&self) -> &'static [&'static str] {
        self.statistics
    }
}

impl fmt::Debug for dyn Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Layout").field(&self.name()).finish()
    }
}

/// Every table that a lake may hold: those of exports, then wabalake's own.
pub fn layouts() -> impl Iterator<Item = &'static dyn Layout> {
    let exported = wabalake_data::TABLES.iter().map(|table| *table as &'static dyn Layout);
    exported.chain([&REJECTS as &'static dyn Layout, &RUNS])
}

/// The table with a name.
pub fn layout(name: &str) -> Option<&'static dyn Layout> {
    layouts().find(|layout| layout.name() == name)
}

/// The schema of a scan: the columns of the files, and the partition column.
pub(super) fn scanned(layout: &dyn Layout) -> Schema {
    let mut schema = layout.stored();
    schema.insert(layout.partition().into(), DataType::Date);
    schema
}

/// The Delta name of a type; `None` for types that a lake must not hold, because clusters fail on
/// them.
pub(super) fn delta_type(data_type: &DataType) -> Option<String> {
    let word = match data_type {
        DataType::String => "string",
        DataType::Int32 => "integer",
        DataType::Int64 => "long",
        DataType::Float64 => "double",
        DataType::Boolean => "boolean",
        DataType::Date => "date",
        DataType::Datetime(TimeUnit::Microseconds, Some(zone)) if zone.as_str() == "UTC" => {
            "timestamp"
        }
        DataType::Decimal(precision, scale) => {
            return Some(format!("decimal({precision},{scale})"));
        }
        _ => return None,
    };
    Some(word.to_owned())
}
