//! Counts of starts by their day and by how long their outcomes took, in one pass over all that starts.

use polars::prelude::{ChunkAgg, Column, DataFrame, Field, PlHashMap, Schema};
use rayon::prelude::*;

use super::{DAY, DAYS_TAKEN, DONE, IS_HISTORY, LATEST, PASSES, STARTED, UNITS};
use crate::kernels::{node, on_all_cores};
use crate::query::prelude::*;
use crate::query::time::DAY as DAY_MICROS;

/// The day of the start, the days taken, and if the start is history.
type Key = (Option<i32>, Option<i64>, Option<bool>);

/// The rows that one core counts at a time.
const PART: usize = 1 << 18;

/// The number of starts that the filters leave, in [`UNITS`], by [`DAY`], [`DAYS_TAKEN`] and [`IS_HISTORY`].
/// [`LATEST`] is the same in all rows.
///
/// `starts` have [`DAY`], [`STARTED`], [`DONE`] and [`PASSES`].
pub(super) fn counted(starts: LazyFrame, horizon: i64) -> LazyFrame {
    let fields = [
        (DAY, DataType::Date),
        (DAYS_TAKEN, DataType::Int64),
        (IS_HISTORY, DataType::Boolean),
        (UNITS, DataType::Int64),
        (LATEST, DataType::Int64),
    ];
    let schema: Schema = fields.into_iter().map(|(name, of)| Field::new(name.into(), of)).collect();
    let name = format!("starts by day and by how long their outcomes took: {horizon} days");
    node(starts, name, schema, move |starts| counts(&starts, horizon))
}

fn counts(starts: &DataFrame, horizon: i64) -> PolarsResult<DataFrame> {
    let ends = [STARTED, DONE].map(|of| Ok(starts.column(of)?.i64()?.max()));
    // No outcome is before its start.
    let latest = ends.into_iter().collect::<PolarsResult<Vec<_>>>()?.into_iter().flatten().max();
    let parts: Vec<usize> = (0..starts.height()).step_by(PART).collect();
    let of_part = |first: usize| {
        let first = i64::try_from(first).unwrap_or(i64::MAX);
        counts_of_part(&starts.slice(first, PART), horizon, latest)
    };
    let parts = on_all_cores(|| parts.into_par_iter().map(of_part).collect::<Vec<_>>());
    let mut counted: PlHashMap<Key, i64> = PlHashMap::default();
    for part in parts {
        for (key, units) in part? {
            *counted.entry(key).or_default() += units;
        }
    }
    let (keys, units): (Vec<Key>, Vec<i64>) = counted.into_iter().unzip();
    let days: Vec<Option<i32>> = keys.iter().map(|key| key.0).collect();
    let columns = vec![
        Column::new(DAY.into(), days).cast(&DataType::Date)?,
        Column::new(DAYS_TAKEN.into(), keys.iter().map(|key| key.1).collect::<Vec<_>>()),
        Column::new(IS_HISTORY.into(), keys.iter().map(|key| key.2).collect::<Vec<_>>()),
        Column::new(UNITS.into(), units),
        Column::new(LATEST.into(), vec![latest; keys.len()]),
    ];
    DataFrame::new(keys.len(), columns)
}

fn counts_of_part(
    starts: &DataFrame,
    horizon: i64,
    latest: Option<i64>,
) -> PolarsResult<PlHashMap<Key, i64>> {
    let (started, done) = (starts.column(STARTED)?.i64()?, starts.column(DONE)?.i64()?);
    let days = starts.column(DAY)?.to_physical_repr();
    let passes = starts.column(PASSES)?.bool()?;
    let rows = days.i32()?.iter().zip(started.iter()).zip(done.iter()).zip(passes.iter());
    let mut counted: PlHashMap<Key, i64> = PlHashMap::default();
    // Rows of one key mostly follow one another.
    let (mut last, mut run) = (Key::default(), 0);
    for (((day, started), done), passes) in rows {
        if passes == Some(true) {
            let took = done.zip(started).map(|(done, started)| done.saturating_sub(started));
            let taken = took.map(|took| took.saturating_add(DAY_MICROS - 1).div_euclid(DAY_MICROS));
            let taken = taken.map(|taken| taken.min(horizon + 1));
            let past = latest.zip(started).map(|(latest, started)| latest.saturating_sub(started));
            let key = (day, taken, past.map(|past| past >= horizon * DAY_MICROS));
            if key != last {
                *counted.entry(last).or_default() += run;
                (last, run) = (key, 0);
            }
            run += 1;
        }
    }
    *counted.entry(last).or_default() += run;
    counted.retain(|_, units| *units > 0);
    Ok(counted)
}
