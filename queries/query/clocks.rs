//! The clocks of exports: pairs of stamps of one event, which two sources tell.
//!
//! ```text
//! session finished    12:00:00 of the export's clock, which the load took for UTC
//! its closure         17:00:12Z of the webhook, which tells the offset
//! difference          -300 minutes, to the nearest quarter of an hour
//! ```
//!
//! In most months most pairs differ by the same time, the mode. It is 0 if the load took the export's clock for
//! the right one.

use std::collections::BTreeMap;

use chrono_tz::Tz;
use polars::prelude::{
    DataFrame, DataType, Expr, Field, Int64Chunked, IntoColumn, LazyFrame, PolarsResult, UnionArgs,
    col, concat_lf_diagonal, lit,
};
use wabalake_data::tables::closures::{self, CLOSED_AT};
use wabalake_data::tables::deployments::{self, DEPLOYMENT_DELIVERED_TIMESTAMP};
use wabalake_data::tables::messages::{self, DELIVERED_AT, MESSAGE_TYPE};
use wabalake_data::tables::sessions::{self, SESSION_FINISHED_TIMESTAMP};
use wabalake_data::tables::{SESSION_KEY, USER_KEY, instant};

use super::Bindings;
use super::joins::{Nearest, nearest};
use super::tables::Tables;
use super::time::clock::{days, month_start};
use super::time::{Clock, HOUR};
use crate::kernels::adding;
use crate::kernels::partners::{Partners, partners};

/// The stamp of the other source, an instant.
pub const REFERENCE_AT: &str = "reference_at";
/// The UTC month of that stamp, as its first date.
pub const MONTH: &str = "month";
/// The first stamp less the other, in minutes, to the nearest quarter of an hour.
pub const MINUTES: &str = "minutes";
/// The number of pairs; see [`months`].
pub const PAIRS: &str = "pairs";
/// The mode of a month; see [`with_mode`].
pub const MODE: &str = "mode";

const AT: &str = "at";
const IS_SENT: &str = "is_sent";

const QUARTER: i64 = HOUR / 4;

/// How far apart the stamps of one delivery may be: the clock of a zone is at most 14 hours from UTC.
const WITHIN: i64 = 15 * HOUR;

/// Pairs of a session's finish and its latest closing event: [`REFERENCE_AT`], [`MONTH`] and [`MINUTES`].
///
/// # Errors
/// Those of building a plan.
pub fn of_sessions(tables: &Tables) -> PolarsResult<LazyFrame> {
    const END: &str = "end";
    // Later than any stamp, and no farther from one than `i64::MAX`.
    let end = lit(i64::MAX / 2).alias(END);
    let closed = tables
        .scan(&closures::TABLE)
        .filter(col(SESSION_KEY).is_not_null())
        .select([col(SESSION_KEY), micros(CLOSED_AT).alias(REFERENCE_AT)]);
    let own = [col(SESSION_KEY), micros(SESSION_FINISHED_TIMESTAMP).alias(AT), end];
    let finished = tables
        .scan(&sessions::TABLE)
        .filter(col(SESSION_FINISHED_TIMESTAMP).is_not_null())
        .select(own);
    let closed = (closed, REFERENCE_AT, &[][..]);
    let pairs = nearest(Nearest::LastBefore, (finished, END), closed, &[SESSION_KEY], i64::MAX)?;
    Ok(compared(pairs.filter(col(REFERENCE_AT).is_not_null()), &[]))
}

/// Pairs of a deployment's delivery and that of a template message to the same person: each is the only one
/// near the other. The columns are those of [`of_sessions`], and columns of deployments that are brought along.
///
/// # Errors
/// Those of building a plan.
pub fn of_deployments(tables: &Tables, brought: &[&str]) -> PolarsResult<LazyFrame> {
    let known = |stamp: &str| col(USER_KEY).is_not_null().and(col(stamp).is_not_null());
    let event = |stamp: &str, is_sent: bool| {
        [col(USER_KEY), micros(stamp).alias(AT), lit(is_sent).alias(IS_SENT)]
    };
    let sent = tables
        .scan(&deployments::TABLE)
        .filter(known(DEPLOYMENT_DELIVERED_TIMESTAMP))
        .select(with(&event(DEPLOYMENT_DELIVERED_TIMESTAMP, true), brought));
    let templates = tables
        .scan(&messages::TABLE)
        .filter(col(MESSAGE_TYPE).eq(lit("template")).and(known(DELIVERED_AT)))
        .select(event(DELIVERED_AT, false));
    let in_any_order = UnionArgs { maintain_order: false, ..UnionArgs::default() };
    let events = concat_lf_diagonal([sent, templates], in_any_order)?;
    let of = Partners { key: USER_KEY, at: AT, is_first: IS_SENT, within: WITHIN };
    Ok(compared(partners(events, of, REFERENCE_AT), brought))
}

fn micros(stamp: &str) -> Expr {
    col(stamp).cast(DataType::Int64)
}

/// Expressions, and columns by name.
fn with(own: &[Expr], brought: &[&str]) -> Vec<Expr> {
    own.iter().cloned().chain(brought.iter().map(|column| col(*column))).collect()
}

/// Pairs with both stamps in microseconds, as month and difference.
fn compared(pairs: LazyFrame, brought: &[&str]) -> LazyFrame {
    // A difference halfway between two quarters is nearer to the greater.
    let quarters = (col(AT) - micros(REFERENCE_AT) + lit(QUARTER / 2)).floor_div(lit(QUARTER));
    let own = [
        col(REFERENCE_AT),
        Clock::Month.start(col(REFERENCE_AT), Tz::UTC).alias(MONTH),
        (quarters * lit(15_i64)).alias(MINUTES),
    ];
    pairs.with_column(col(REFERENCE_AT).cast(instant())).select(with(&own, brought))
}

/// The minutes from the reference to another stamp, both in microseconds, as [`MINUTES`] has them.
pub fn minutes_apart(at: i64, reference: i64) -> i64 {
    at.wrapping_sub(reference).wrapping_add(QUARTER / 2).div_euclid(QUARTER) * 15
}

/// The UTC month of an instant in microseconds: the number of days from 1970 to its first date.
pub fn month_of(at: i64) -> Option<i32> {
    i32::try_from(month_start(days(at))).ok()
}

/// Which months have a mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threshold {
    /// The fewest pairs.
    pub min_pairs: i64,
    /// The smallest share of the pairs that are at the mode, in percent.
    pub min_share_pct: i64,
}

impl Default for Threshold {
    fn default() -> Self {
        Self { min_pairs: 30, min_share_pct: 60 }
    }
}

impl Threshold {
    /// Binds the parameters of the SQL fragment `{clock_months}`.
    pub fn bind(self, bindings: Bindings) -> Bindings {
        bindings.integer("min_pairs", self.min_pairs).integer("min_share_pct", self.min_share_pct)
    }
}

/// The pairs of a month.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Month {
    /// All of them.
    pub pairs: i64,
    /// The most frequent difference in minutes; of several the one nearest to 0, then the smaller.
    pub most_frequent: i64,
    /// The pairs that have this difference.
    pub at_most_frequent: i64,
}

impl Month {
    fn add(&mut self, minutes: i64, pairs: i64) {
        let rank = |minutes: i64, pairs: i64| (-pairs, minutes.abs(), minutes);
        let is_first = self.pairs == 0;
        if is_first || rank(minutes, pairs) < rank(self.most_frequent, self.at_most_frequent) {
            (self.most_frequent, self.at_most_frequent) = (minutes, pairs);
        }
        self.pairs += pairs;
    }

    /// The mode in minutes; `None` with too few pairs, or if too few of them have the most frequent difference.
    pub fn mode(self, threshold: Threshold) -> Option<i64> {
        let is_enough = self.pairs >= threshold.min_pairs
            && self.at_most_frequent * 100 >= self.pairs * threshold.min_share_pct;
        is_enough.then_some(self.most_frequent)
    }
}

/// The months among counts of pairs, which have [`MONTH`], [`MINUTES`] and [`PAIRS`], a row for each month and
/// difference. A month is the number of days from 1970 to its first date.
///
/// # Errors
/// Rows without these columns.
pub fn months(counts: &DataFrame) -> PolarsResult<BTreeMap<i32, Month>> {
    let days = counts.column(MONTH)?.cast(&DataType::Int32)?;
    let (minutes, pairs) = (counts.column(MINUTES)?.i64()?, counts.column(PAIRS)?.i64()?);
    let mut months: BTreeMap<i32, Month> = BTreeMap::new();
    for ((day, minutes), pairs) in days.i32()?.iter().zip(minutes.iter()).zip(pairs.iter()) {
        if let (Some(day), Some(minutes), Some(pairs)) = (day, minutes, pairs) {
            months.entry(day).or_default().add(minutes, pairs);
        }
    }
    Ok(months)
}

/// Adds [`MODE`] to counts of pairs, as [`months`] reads them: that of the row's month in minutes; null without
/// one.
pub fn with_mode(counts: LazyFrame, threshold: Threshold) -> LazyFrame {
    let added = vec![Field::new(MODE.into(), DataType::Int64)];
    let name = format!("mode of each month: {threshold:?}");
    adding(counts, name, added, move |mut counts| {
        let months = months(&counts)?;
        let days = counts.column(MONTH)?.cast(&DataType::Int32)?;
        let modes = days.i32()?.iter().map(|day| months.get(&day?)?.mode(threshold));
        let modes: Int64Chunked = modes.collect();
        counts.with_column(modes.with_name(MODE.into()).into_column())?;
        Ok(counts)
    })
}
