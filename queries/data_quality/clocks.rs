//! Exports whose clock was not the one that the load took it for.
//!
//! The check is about events that a second source tells of in a month whose [mode](crate::query::clocks) is known,
//! with the thresholds that `clock-check` has by default. Those fail that are at a mode other than 0. The months are
//! of the whole lake: the pairs of a few days would seldom have a mode.

use wabalake_data::tables::deployments::{self, DEPLOYMENT_TIMESTAMP};

use super::{CHECK, EXAMPLE, FAILING, ROWS, TABLE};
use crate::query::clocks::{self, MINUTES, MODE, MONTH, PAIRS, Threshold, with_mode};
use crate::query::prelude::*;
use crate::query::time::rfc3339;

/// The name of the check.
pub(super) const NAME: &str = "clock-off";

const IN_RANGE: &str = "in_range";

/// The check of deployments. That of sessions is among those of the [sessions that rows name](super::named).
///
/// Pairs are counted by month and difference first, so that few rows are kept.
pub(super) fn tally(tables: &Tables, days: &DayRange) -> PolarsResult<LazyFrame> {
    let pairs = clocks::of_deployments(tables, &[DEPLOYMENT_TIMESTAMP])?;
    let table = &deployments::TABLE;
    let in_range = days.holds_instant(&col(table.day_of)).unwrap_or(lit(true));
    let shown = when(in_range.clone()).then(col(DEPLOYMENT_TIMESTAMP)).otherwise(lit(Null {}));
    let counts = pairs
        .with_columns([in_range.alias(IN_RANGE), shown.alias(EXAMPLE)])
        .group_by([col(MONTH), col(MINUTES)])
        .agg([
            rows().cast(DataType::Int64).alias(PAIRS),
            rows_where(col(IN_RANGE)).cast(DataType::Int64).alias(ROWS),
            col(EXAMPLE).min(),
        ]);
    let fails = || col(MINUTES).eq(col(MODE)).and(col(MODE).neq(lit(0)));
    let example = col(EXAMPLE).filter(fails()).min();
    let tally = with_mode(counts, Threshold::default())
        .filter(col(MODE).is_not_null())
        .select([
            col(ROWS).sum(),
            col(ROWS).filter(fails()).sum().alias(FAILING),
            rfc3339(example, days.timezone()),
        ])
        .select([
            lit(NAME).alias(CHECK),
            lit(table.name).alias(TABLE),
            col(ROWS),
            col(FAILING),
            col(EXAMPLE),
        ]);
    Ok(tally)
}
