//! Adds up rows of one file that are parts of one amount, before they are merged with the lake's.
//!
//! ```text
//! file  ad  day         days  amount
//! 1     7   2025-06-01  1     10.00  facebook    ┐
//! 1     7   2025-06-01  1      7.50  instagram   ├ one row of 19.75, two rows added up
//! 1     7   2025-06-01  1      2.25  audience    ┘
//! 1     7   2025-06-01  1      7.50  instagram     the same record again: counted once
//! 1     7   2025-06-01  7     16.00                another period: a row of its own
//! 2     7   2025-06-01  1     12.00                another file: a row of its own
//! ```
//!
//! The greatest text of [`Table::named`] stays, so a renamed ad is still one.
//!
//! Records may differ only in columns that are not stored, so each row has a hash of its record,
//! [`RECORD`].

use polars::prelude::*;
use wabalake_data::Table;

use super::merge::ByFile;
use super::staged_columns::{ORIGIN, RECORD};
use crate::error::{Error, Result};

/// The number of rows that were added up.
const PARTS: &str = "__parts";

/// Digits of a sum, which may be larger than the column's type.
const WIDE: usize = 38;

/// Rows after adding up.
#[derive(Debug, Default)]
pub(crate) struct Sums {
    /// The columns of [`Table::stored`] and [`ORIGIN`].
    pub(crate) rows: DataFrame,
    /// Rows that were added to others, by file.
    pub(crate) added_up: ByFile,
}

/// Adds up rows. They must be all rows of the files with their keys. `name` returns a file's name
/// by its origin.
///
/// # Errors
///
/// A sum that does not fit the column.
pub(crate) fn add_up(
    table: &Table,
    rows: &DataFrame,
    name: &dyn Fn(i32) -> String,
) -> Result<Sums> {
    if rows.height() == 0 {
        return Ok(Sums::default());
    }
    let stored = table.stored();
    let is_added_up = |name: &str| table.summed.contains(&name);
    let is_name = |name: &str| table.named.contains(&name);
    let same = stored.iter_names().map(PlSmallStr::as_str);
    let same = same.filter(|name| !is_added_up(name) && !is_name(name));
    let same: Vec<&str> = same.chain([ORIGIN]).collect();
    let once: Vec<String> = same.iter().copied().chain([RECORD]).map(str::to_owned).collect();
    let records = rows.unique_stable(Some(&once), UniqueKeepStrategy::Any, None)?;

    let amounts = || stored.iter().filter(|(name, _)| is_added_up(name));
    let sum = |(name, of): (&PlSmallStr, &DataType)| {
        let scale = if let DataType::Decimal(_, scale) = of { *scale } else { 0 };
        let sum = col(name.clone()).cast(DataType::Decimal(WIDE, scale)).sum();
        // The sum of nulls is null.
        when(col(name.clone()).count().gt(lit(0)))
            .then(sum)
            .otherwise(lit(NULL))
            .alias(name.clone())
    };
    let parts = len().cast(DataType::Int64).alias(PARTS);
    let keys: Vec<Expr> = same.iter().map(|name| col(*name)).collect();
    let names = table.named.iter().map(|name| col(*name).max());
    let aggregates = amounts().map(sum).chain(names).chain([parts]);
    let sums = records.lazy().group_by(keys).agg(aggregates.collect::<Vec<_>>());
    let sums = sums.collect()?;

    let mut added_up = ByFile::new();
    let origins = sums.column(ORIGIN)?.i32()?;
    for (origin, parts) in origins.iter().zip(sums.column(PARTS)?.i64()?.iter()) {
        let (Some(origin), Some(parts)) = (origin, parts) else { continue };
        let added = u64::try_from(parts - 1).unwrap_or_default();
        if added > 0 {
            *added_up.entry(origin).or_default() += added;
        }
    }
    let names = stored.iter_names().map(PlSmallStr::as_str).chain([ORIGIN]);
    let mut rows = sums.select(names)?;
    for (column, of) in amounts() {
        let sum = sums.column(column)?;
        let amount = sum.cast(of)?;
        if amount.null_count() > sum.null_count() {
            let lost = amount.is_null() & sum.is_not_null();
            let file = origins.filter(&lost)?.get(0).map(name).unwrap_or_default();
            return Err(too_large(table, column, &file));
        }
        rows.with_column(amount)?;
    }
    Ok(Sums { rows, added_up })
}

fn too_large(table: &Table, column: &str, file: &str) -> Error {
    let key = table.key.join(", ");
    Error::data(format!("`{file}`: rows with one {key} add up to more than `{column}` can hold"))
        .hint("one of its amounts must be wrong: fix it in the file, and load it again")
}
