//! How a table is stored: its columns, sort order, partition and statistics.

use polars::prelude::{DataType, PlSmallStr, Schema, SchemaRef, TimeUnit};
use wabalake_data::Table;
use wabalake_data::tables::UTC_DAY;

use super::rejects::REJECTS;
use super::runs::RUNS;
use crate::place::Key;

/// The storage layout of a table or mart. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Layout {
    /// The table's name, which is also that of its folder.
    pub name: PlSmallStr,
    /// Names and types of the columns in its files.
    pub stored: SchemaRef,
    /// The sort order of rows in a file.
    pub(super) sort: &'static [&'static str],
    /// Columns whose bounds the log holds in clear: never a phone, a name or a message.
    pub(super) statistics: &'static [&'static str],
    /// Columns whose numbers of nulls the log holds, and nothing else of them.
    pub(super) null_counts: &'static [&'static str],
    /// Hash columns of which a file has a Bloom filter.
    pub(super) filtered: &'static [&'static str],
    /// The lake's folder that contains it.
    pub(super) parent_folder: &'static str,
    /// The Date column that partitions it; its files do not contain it.
    pub(super) partition: &'static str,
    /// `true` for a mart: its schema may be replaced if all rows are rewritten in the same commit.
    pub(super) is_mart: bool,
}

impl From<&Table> for Layout {
    fn from(table: &Table) -> Self {
        Self {
            name: table.name.into(),
            stored: table.stored().into(),
            sort: table.sort,
            statistics: table.statistics,
            null_counts: table.null_counts(),
            filtered: table.person_keys(),
            parent_folder: TABLES,
            partition: UTC_DAY,
            is_mart: false,
        }
    }
}

impl From<&Self> for Layout {
    fn from(layout: &Self) -> Self {
        layout.clone()
    }
}

impl Layout {
    /// The key of its folder.
    pub(super) fn key(&self) -> Key {
        Key::root().join(self.parent_folder).join(&self.name)
    }

    /// The schema of a scan: the columns of the files, and the partition column.
    pub(super) fn scanned(&self) -> Schema {
        let mut schema = Schema::clone(&self.stored);
        schema.insert(self.partition.into(), DataType::Date);
        schema
    }
}

/// The lake's folder of tables.
pub(super) const TABLES: &str = "tables";

/// Every table that a lake may hold: those of exports, then wabalake's own.
pub fn stored_tables() -> impl Iterator<Item = &'static Table> {
    wabalake_data::TABLES.iter().copied().chain([&REJECTS, &RUNS])
}

/// The stored table with a name.
pub fn stored_table(name: &str) -> Option<&'static Table> {
    stored_tables().find(|table| table.name == name)
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

/// The type with a Delta name; `None` for those that [`delta_type`] gives no name.
pub(super) fn data_type(delta: &str) -> Option<DataType> {
    Some(match delta {
        "string" => DataType::String,
        "integer" => DataType::Int32,
        "long" => DataType::Int64,
        "double" => DataType::Float64,
        "boolean" => DataType::Boolean,
        "date" => DataType::Date,
        "timestamp" => {
            DataType::Datetime(TimeUnit::Microseconds, Some(polars::prelude::TimeZone::UTC))
        }
        _ => {
            let (precision, scale) =
                delta.strip_prefix("decimal(")?.strip_suffix(')')?.split_once(',')?;
            DataType::Decimal(precision.parse().ok()?, scale.parse().ok()?)
        }
    })
}
