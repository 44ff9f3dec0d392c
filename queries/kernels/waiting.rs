//! Counts of those who wait at the start of each bucket of local time, by group.
//!
//! ```text
//! group   waits                  buckets of an hour, with those who wait at their start
//! CO      from 09:10 to 11:00    10:00  1
//! CO      from 10:00 to 12:20    10:00  2 in all, 11:00  1, 12:00  1
//! MX      from 10:10 to 10:50    none: nobody waits at 10:00 or at 11:00
//! ```

use std::sync::Arc;

use chrono_tz::Tz;
use polars::prelude::{
    Column, DataFrame, DataType, IdxCa, Int64Chunked, IntoColumn, LazyFrame, PlHashMap,
    PolarsResult, Schema,
};

use super::{named, places};
use crate::query::time::Clock;

/// The columns and the clock of [`waiting`]. Buckets are numbers as of [`Clock::next`], except in `bucket`.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// The number of the group, `UInt32`.
    pub group: &'static str,
    /// The columns that tell the group.
    pub keys: Vec<&'static str>,
    /// The last bucket that began before the row waits, Int64.
    pub after: &'static str,
    /// The last bucket at whose start it waits, Int64. A row without one, or with one that is not later than
    /// `after`, waits at the start of none.
    pub until: &'static str,
    /// The column of a row's own bucket, an instant or a date.
    pub bucket: &'static str,
    /// The length of buckets.
    pub clock: Clock,
    /// The time zone in which they begin.
    pub zone: Tz,
    /// The name of the column of counts, Int64.
    pub named: &'static str,
}

/// Adds rows, and to all of them a count: a row for each group and bucket at whose start rows of the group
/// wait, with their number. It has its bucket and the columns that tell the group, and is null in all others.
/// The rows that were given count 0.
pub fn waiting(rows: LazyFrame, of: Waiting) -> LazyFrame {
    let count = of.named;
    let declared = move |given: &Schema| {
        let mut schema = given.clone();
        schema.with_column(count.into(), DataType::Int64);
        Arc::new(schema)
    };
    let name = format!("waiting at the start of buckets: {of:?}");
    named(rows, name, declared, move |mut rows| {
        let found = found(&rows, &of)?;
        let nobody = vec![0; rows.height()];
        let more = found.rows_like(&rows, &of)?;
        rows.with_column(Int64Chunked::from_vec(of.named.into(), nobody).into_column())?;
        rows.vstack_mut_owned(more)?;
        Ok(rows)
    })
}

/// Groups and buckets: the place of a row of the group, the bucket, and how many wait at its start.
#[derive(Default)]
struct Found {
    places: Vec<u32>,
    buckets: Vec<i64>,
    counts: Vec<i64>,
}

fn found(rows: &DataFrame, of: &Waiting) -> PolarsResult<Found> {
    let groups = rows.column(of.group)?.u32()?.iter();
    let ends = rows.column(of.after)?.i64()?.iter().zip(rows.column(of.until)?.i64()?.iter());
    // Of each group and bucket, how many more wait after its start than at it.
    let mut changes: PlHashMap<(u32, i64), i64> = PlHashMap::default();
    let mut of_groups: PlHashMap<u32, u32> = PlHashMap::default();
    for ((group, (after, until)), place) in groups.zip(ends).zip(places()) {
        let Some((group, (after, until))) = group.zip(after.zip(until)) else { continue };
        if after < until {
            *changes.entry((group, after)).or_default() += 1;
            *changes.entry((group, until)).or_default() -= 1;
            of_groups.entry(group).or_insert(place);
        }
    }
    let mut changes: Vec<((u32, i64), i64)> = changes.into_iter().collect();
    changes.sort_unstable();

    let mut found = Found::default();
    let mut following: PlHashMap<i64, Option<i64>> = PlHashMap::default();
    let mut next =
        |bucket| *following.entry(bucket).or_insert_with(|| of.clock.next(of.zone, bucket));
    for of_group in changes.chunk_by(|one, other| one.0.0 == other.0.0) {
        let place = of_groups.get(&of_group[0].0.0).copied().unwrap_or_default();
        let mut count = 0;
        for (one, other) in of_group.iter().zip(&of_group[1..]) {
            count += one.1;
            let (mut bucket, end) = (one.0.1, other.0.1);
            while count > 0 && bucket < end {
                let Some(later) = next(bucket) else { break };
                bucket = later;
                found.places.push(place);
                found.buckets.push(bucket);
                found.counts.push(count);
            }
        }
    }
    Ok(found)
}

impl Found {
    /// The rows, with the columns of others and the counts.
    fn rows_like(self, others: &DataFrame, of: &Waiting) -> PolarsResult<DataFrame> {
        let Self { places, buckets, counts } = self;
        let height = buckets.len();
        let places = IdxCa::from_vec("place".into(), places);
        let mut columns = Vec::with_capacity(others.width() + 1);
        for column in others.columns() {
            let name = column.name().clone();
            columns.push(if name == of.bucket {
                let numbers = Int64Chunked::from_vec(name, buckets.clone()).into_column();
                numbers.cast(&column.dtype().to_physical())?.cast(column.dtype())?
            } else if of.keys.iter().any(|key| name == *key) {
                column.take(&places)?
            } else {
                Column::full_null(name, height, column.dtype())
            });
        }
        columns.push(Int64Chunked::from_vec(of.named.into(), counts).into_column());
        DataFrame::new(height, columns)
    }
}

#[cfg(test)]
mod tests {
    use polars::prelude::{Engine, IntoLazy, col, df, lit};
    use proptest::prelude::*;
    use wabalake_data::tables::instant;

    use super::*;

    const MINUTE: i64 = 60_000_000;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// Around the change of the clock in Madrid, by which a day has 23 hours and a week one less.
        #[test]
        fn those_who_wait_at_the_start_of_a_bucket_are_counted(
            waits in prop::collection::vec((0..3_u32, 0..300_i64, 0..600_i64), 0..20),
            clock in prop::sample::select(vec![Clock::HalfHour, Clock::Hour, Clock::Day, Clock::Week]),
            zone in prop::sample::select(vec![Tz::UTC, Tz::Europe__Madrid]),
        ) {
            // 30 March 2025, from midnight in UTC on, by ten minutes.
            let at = |tens: i64| 1_743_292_800_000_000 + tens * 10 * MINUTE;
            let stamps = |of: &dyn Fn(&(u32, i64, i64)) -> i64| waits.iter().map(of).collect::<Vec<_>>();
            let rows = df![
                "group" => waits.iter().map(|wait| wait.0).collect::<Vec<_>>(),
                "name" => waits.iter().map(|wait| format!("of {}", wait.0)).collect::<Vec<_>>(),
                "from" => stamps(&|wait| at(wait.1)),
                "to" => stamps(&|wait| at(wait.1 + wait.2)),
            ];
            let start = |of: &str, earlier: i64| {
                clock.start((col(of) - lit(earlier)).cast(instant()), zone)
            };
            let rows = rows.unwrap().lazy().with_columns([
                start("from", 1).cast(DataType::Int64).alias("after"),
                start("to", 1).cast(DataType::Int64).alias("until"),
                start("from", 0).alias("bucket"),
            ]);
            let of = Waiting {
                group: "group",
                keys: vec!["name"],
                after: "after",
                until: "until",
                bucket: "bucket",
                clock,
                zone,
                named: "waiting",
            };
            let found = waiting(rows, of).filter(col("waiting").gt(lit(0))).select([
                col("name"),
                col("bucket").cast(DataType::Int64),
                col("waiting"),
            ]);
            let found = found.collect_with_engine(Engine::Streaming).unwrap().unwrap_single();
            let numbers = |name: &str| -> Vec<i64> {
                found.column(name).unwrap().i64().unwrap().iter().flatten().collect()
            };
            let names = found.column("name").unwrap().str().unwrap().clone();
            let names = names.iter().flatten().map(str::to_owned);
            let mut found: Vec<(String, i64, i64)> = names
                .zip(numbers("bucket"))
                .zip(numbers("waiting"))
                .map(|((name, bucket), waiting)| (name, bucket, waiting))
                .collect();
            found.sort();

            // Each bucket that begins within a week, by its first instant.
            let number = |at: i64| {
                let at = df!["at" => [at]].unwrap().lazy();
                let bucket = clock.start(col("at").cast(instant()), zone).cast(DataType::Int64);
                let bucket = at.select([bucket.alias("at")]).collect().unwrap();
                bucket.column("at").unwrap().i64().unwrap().get(0).unwrap()
            };
            let mut expected = Vec::new();
            let mut start = clock.floor(zone, at(0));
            while start < at(1_000) {
                for group in 0..3 {
                    let waits = waits.iter().filter(|wait| {
                        wait.0 == group && at(wait.1) <= start && start < at(wait.1 + wait.2)
                    });
                    let count = i64::try_from(waits.count()).unwrap();
                    if count > 0 {
                        expected.push((format!("of {group}"), number(start), count));
                    }
                }
                // The first instant of the next bucket, to ten minutes.
                let mut next = start;
                while clock.floor(zone, next) == start {
                    next += 10 * MINUTE;
                }
                start = clock.floor(zone, next);
            }
            expected.sort();
            prop_assert_eq!(found, expected);
        }
    }
}
