//! UTC days as numbers of days since 1970, and rows split by day.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use polars::prelude::*;
use wabalake_data::tables::Cell;

/// The day of rows whose timestamp is null. It sorts before every other day.
pub(crate) const NO_DAY: i32 = i32::MIN;

/// Returns the UTC day of an instant in microseconds since 1970.
pub(crate) fn utc_day(micros: i64) -> i32 {
    i32::try_from(micros.div_euclid(86_400_000_000)).unwrap_or(NO_DAY)
}

/// Returns the UTC day of the cell that a table is partitioned by.
pub(super) fn day_of(cell: &Cell<'_>) -> i32 {
    match cell {
        Cell::Stamp(micros) => utc_day(*micros),
        Cell::Date(days) => *days,
        Cell::Count(seconds) => utc_day(seconds.saturating_mul(1_000_000)),
        _ => NO_DAY,
    }
}

/// Returns the date of a day; `None` for [`NO_DAY`].
pub(crate) fn date(day: i32) -> Option<NaiveDate> {
    (day != NO_DAY).then(|| NaiveDate::from_epoch_days(day)).flatten()
}

/// Splits rows by day, on this thread. `days` yields the day of each row; the rows of a day keep their order.
pub(crate) fn by_day(
    rows: &DataFrame,
    days: impl IntoIterator<Item = i32>,
) -> PolarsResult<BTreeMap<i32, DataFrame>> {
    let mut indices: BTreeMap<i32, Vec<IdxSize>> = BTreeMap::new();
    for (row, day) in (0..).zip(days) {
        indices.entry(day).or_default().push(row);
    }
    if indices.len() == 1 {
        return Ok(indices.into_keys().map(|day| (day, rows.clone())).collect());
    }
    let part = |(day, indices): (i32, Vec<IdxSize>)| {
        let height = indices.len();
        let indices = IdxCa::from_vec("".into(), indices);
        let columns = rows.columns().iter().map(|column| column.take(&indices));
        Ok((day, DataFrame::new(height, columns.collect::<PolarsResult<_>>()?)?))
    };
    indices.into_iter().map(part).collect()
}
