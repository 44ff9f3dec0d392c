//! Exports whose clock was not the one that the load took it for.
//!
//! The check is about events that a second source tells of in a month whose [mode](crate::query::clocks) is known,
//! with the thresholds that `clock-check` has by default. Those fail that are at a mode other than 0. The months are
//! of the whole lake: the pairs of a few days would seldom have a mode.

use wabalake_data::Table;
use wabalake_data::tables::deployments::{self, DEPLOYMENT_TIMESTAMP};
use wabalake_data::tables::sessions::{self, SESSION_ID, SESSION_STARTED_TIMESTAMP};

use super::{CHECK, EXAMPLE, FAILING, ROWS, TABLE};
use crate::query::clocks::{self, MINUTES, MODE, MONTH, PAIRS, Threshold, with_mode};
use crate::query::prelude::*;
use crate::query::time::rfc3339;

/// The name of the check.
pub(super) const NAME: &str = "clock-off";

const IN_RANGE: &str = "in_range";

/// The check of sessions and of deployments, a row each.
pub(super) fn tallies(tables: &Tables, days: &DayRange) -> PolarsResult<[LazyFrame; 2]> {
    let of_sessions = clocks::of_sessions(tables, &[SESSION_ID, SESSION_STARTED_TIMESTAMP]);
    let of_deployments = clocks::of_deployments(tables, &[DEPLOYMENT_TIMESTAMP])?;
    let zone = days.timezone();
    let instant = |at| rfc3339(at, zone);
    Ok([
        tally(of_sessions, &sessions::TABLE, days, SESSION_ID, |id| id),
        tally(of_deployments, &deployments::TABLE, days, DEPLOYMENT_TIMESTAMP, instant),
    ])
}

/// Counts the pairs of a table in months with a mode, and those that fail.
///
/// They are counted by month and difference first, so that few rows are kept.
fn tally(
    pairs: LazyFrame,
    table: &Table,
    days: &DayRange,
    example: &str,
    written: impl Fn(Expr) -> Expr,
) -> LazyFrame {
    let in_range = days.holds_instant(&col(table.day_of)).unwrap_or(lit(true));
    let shown = when(in_range.clone()).then(col(example)).otherwise(lit(Null {}));
    let counts = pairs
        .with_columns([in_range.alias(IN_RANGE), shown.alias(EXAMPLE)])
        .group_by([col(MONTH), col(MINUTES)])
        .agg([
            rows().cast(DataType::Int64).alias(PAIRS),
            rows_where(col(IN_RANGE)).cast(DataType::Int64).alias(ROWS),
            col(EXAMPLE).min(),
        ]);
    let fails = || col(MINUTES).eq(col(MODE)).and(col(MODE).neq(lit(0)));
    with_mode(counts, Threshold::default())
        .filter(col(MODE).is_not_null())
        .select([
            col(ROWS).sum(),
            col(ROWS).filter(fails()).sum().alias(FAILING),
            written(col(EXAMPLE).filter(fails()).min()),
        ])
        .select([
            lit(NAME).alias(CHECK),
            lit(table.name).alias(TABLE),
            col(ROWS),
            col(FAILING),
            col(EXAMPLE),
        ])
}
