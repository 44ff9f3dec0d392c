//! The rows of the answer, from counts of starts by their day and by how long their outcomes took.

use chrono_tz::Tz;
use polars::prelude::{Field, Schema, UniqueKeepStrategy};

use super::{
    AGE_DAYS, COMPLETENESS_PCT, DAY, DAYS_TAKEN, HISTORY, IS_HISTORY, LATEST, PROJECTED_HIGH,
    PROJECTED_LOW, PROJECTED_PCT, REPORTED, REPORTED_PCT, STARTS, UNITS, WITHIN,
};
use crate::kernels::node;
use crate::query::prelude::*;
use crate::query::statistics::{Bound, projected_bound_pct, projected_pct};
use crate::query::time::{Clock, DAY as DAY_MICROS, SECOND};

/// Earlier outcomes that came within the age of the day.
const COMPLETED: &str = "completed";

/// The columns of the answer after [`DAY`] and [`AGE_DAYS`].
const COUNTS: [&str; 4] = [STARTS, REPORTED, WITHIN, HISTORY];
const SHARES: [&str; 5] =
    [REPORTED_PCT, COMPLETENESS_PCT, PROJECTED_PCT, PROJECTED_LOW, PROJECTED_HIGH];

/// The rows of the answer. `counts` are few: starts by [`DAY`], [`DAYS_TAKEN`] and [`IS_HISTORY`].
///
/// They are collected, because days and history are both made of them.
pub(super) fn by_day(counts: LazyFrame, horizon: i64, zone: Tz) -> LazyFrame {
    let int64 = [&[AGE_DAYS][..], &COUNTS].concat();
    let int64 = int64.into_iter().map(|name| Field::new(name.into(), DataType::Int64));
    let float64 = SHARES.iter().map(|name| Field::new((*name).into(), DataType::Float64));
    let day = [Field::new(DAY.into(), DataType::Date)];
    let schema = day.into_iter().chain(int64).chain(float64).collect::<Schema>();
    let name = format!("what is final of each day: {horizon} days in {zone}");
    node(counts, name, schema, move |counts| rows_of(counts.lazy(), horizon, zone).collect())
}

fn rows_of(counts: LazyFrame, horizon: i64, zone: Tz) -> LazyFrame {
    let [_, end] = Clock::Day.bounds(&col(DAY), zone);
    let age = (col(LATEST) - end * lit(SECOND)).floor_div(lit(DAY_MICROS));
    let is_young = col(AGE_DAYS).gt_eq(lit(0_i64)).and(col(AGE_DAYS).lt(lit(horizon)));
    let units_if = |predicate: Expr| when(predicate).then(col(UNITS)).otherwise(lit(0_i64));
    let is_within = || col(DAYS_TAKEN).lt_eq(col(AGE_DAYS));
    let days = counts
        .clone()
        .with_column(age.alias(AGE_DAYS))
        .filter(is_young)
        .with_columns([
            units_if(col(DAYS_TAKEN).is_not_null()).alias(REPORTED),
            units_if(is_within()).alias(WITHIN),
        ])
        .group_by([DAY, AGE_DAYS].map(col))
        .agg([col(UNITS).sum().alias(STARTS), col(REPORTED).sum(), col(WITHIN).sum()]);

    let outcomes = counts
        .filter(col(IS_HISTORY).and(col(DAYS_TAKEN).lt_eq(lit(horizon))))
        .group_by([col(DAYS_TAKEN)])
        .agg([col(UNITS).sum()]);
    let history = days
        .clone()
        .select([col(AGE_DAYS)])
        .unique(None, UniqueKeepStrategy::Any)
        .cross_join(outcomes, None)
        .with_columns([col(UNITS).alias(HISTORY), units_if(is_within()).alias(COMPLETED)])
        .group_by([col(AGE_DAYS)])
        .agg([col(HISTORY).sum(), col(COMPLETED).sum()]);

    let of_day = || [WITHIN, STARTS].map(col);
    let of_history = || [COMPLETED, HISTORY].map(col);
    let bound = |bound| projected_bound_pct(of_day(), of_history(), bound);
    let on = [col(AGE_DAYS)];
    let answer = [&[DAY, AGE_DAYS][..], &COUNTS, &SHARES].concat();
    days.join(history, &on, &on, JoinArgs::new(JoinType::Left))
        .with_columns([HISTORY, COMPLETED].map(|count| col(count).fill_null(lit(0_i64))))
        .with_columns([
            share_pct(col(REPORTED), col(STARTS)).alias(REPORTED_PCT),
            share_pct(col(COMPLETED), col(HISTORY)).alias(COMPLETENESS_PCT),
            projected_pct(of_day(), of_history()).alias(PROJECTED_PCT),
            bound(Bound::Low).alias(PROJECTED_LOW),
            bound(Bound::High).alias(PROJECTED_HIGH),
        ])
        .select(answer.into_iter().map(col).collect::<Vec<_>>())
}
