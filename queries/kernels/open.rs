//! Counts of open intervals: how many of a person's intervals hold an instant.
//!
//! ```text
//! person  at     interval         open at that instant
//! 1       09:00  09:00 to 11:00   1
//! 1       10:00  10:00 to 12:00   2
//! 1       11:00                   1: the first has ended
//! 2       11:00                   0
//! ```

use polars::prelude::{
    DataFrame, DataType, Field, IntoColumn, LazyFrame, PolarsResult, UInt32Chunked,
};

use super::adding;
use super::parts::Parts;

/// An instant, and an interval that begins with `from` and ends before `until`.
#[derive(Clone, Copy)]
struct Row {
    key: i64,
    at: i64,
    from: i64,
    until: i64,
    place: u32,
}

impl Row {
    const fn has_interval(&self) -> bool {
        self.from < self.until
    }
}

/// Adds to each row the column `named`, `UInt32`: how many intervals of rows with the same key hold the row's
/// instant.
///
/// Key, instant and both ends of the interval, of which the second is excluded, are columns of 64-bit
/// integers. A row without an end, or whose ends are not in order, has no interval; one without a key or an
/// instant has no count and no interval. Rows keep their order.
pub fn open(
    rows: LazyFrame,
    key: &'static str,
    at: &'static str,
    [from, until]: [&'static str; 2],
    named: &'static str,
) -> LazyFrame {
    let added = vec![Field::new(named.into(), DataType::UInt32)];
    let name = format!("open intervals {key} {at} {from}..{until} as {named}");
    adding(rows, name, added, move |mut rows| {
        let counts = counts(&rows, key, at, [from, until])?;
        rows.with_column(UInt32Chunked::from_vec(named.into(), counts).into_column())?;
        Ok(rows)
    })
}

fn counts(rows: &DataFrame, key: &str, at: &str, ends: [&str; 2]) -> PolarsResult<Vec<u32>> {
    let parts = Parts::of(rows, |rows, places, parts| {
        let numbers = |name: &str| rows.column(name)?.i64();
        let [from, until] = [numbers(ends[0])?.iter(), numbers(ends[1])?.iter()];
        let keyed = numbers(key)?.iter().zip(numbers(at)?.iter()).zip(from.zip(until)).zip(places);
        parts.extend(keyed.filter_map(|(((key, at), ends), place)| {
            let (key, at) = (key?, at?);
            let (from, until) = ends.0.zip(ends.1).unwrap_or_default();
            Some((key, Row { key, at, from, until, place }))
        }));
        Ok(())
    })?;
    let mut counts = vec![0; rows.height()];
    for (place, count) in parts.map(of_part).into_iter().flatten() {
        counts[place as usize] = count;
    }
    Ok(counts)
}

/// The place and the count of each row of a part that has open intervals.
fn of_part(mut rows: Vec<Row>) -> Vec<(u32, u32)> {
    rows.sort_unstable_by_key(|row| (row.key, row.at));
    let mut counts = Vec::new();
    let (mut begins, mut ends) = (Vec::new(), Vec::new());
    for rows in rows.chunk_by(|one, other| one.key == other.key) {
        let intervals = || rows.iter().filter(|row| row.has_interval());
        begins.clear();
        begins.extend(intervals().map(|row| row.from));
        begins.sort_unstable();
        ends.clear();
        ends.extend(intervals().map(|row| row.until));
        ends.sort_unstable();
        let (mut begun, mut ended) = (0, 0);
        for row in rows {
            let passed = |of: &[i64]| of.iter().take_while(|at| **at <= row.at).count();
            begun += passed(&begins[begun..]);
            ended += passed(&ends[ended..]);
            if begun > ended {
                counts.push((row.place, u32::try_from(begun - ended).unwrap_or(u32::MAX)));
            }
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use polars::prelude::{Engine, IntoLazy, df};
    use proptest::prelude::*;

    use super::*;

    /// Key, instant, and the ends of an interval.
    type Given = (Option<i64>, i64, Option<i64>, Option<i64>);

    fn rows() -> impl Strategy<Value = Vec<Given>> {
        let instant = || 0..12_i64;
        let end = || prop::option::weighted(0.8, 0..12_i64);
        // One person has most rows.
        let key = prop_oneof![4 => Just(Some(7)), 1 => prop::option::of(any::<i64>())];
        prop::collection::vec((key, instant(), end(), end()), 0..60)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn intervals_that_hold_the_instant_are_counted(given in rows()) {
            let frame = df![
                "key" => given.iter().map(|row| row.0).collect::<Vec<_>>(),
                "at" => given.iter().map(|row| row.1).collect::<Vec<_>>(),
                "from" => given.iter().map(|row| row.2).collect::<Vec<_>>(),
                "until" => given.iter().map(|row| row.3).collect::<Vec<_>>(),
            ];
            let counted = open(frame.unwrap().lazy(), "key", "at", ["from", "until"], "open");
            let counted = counted.collect_with_engine(Engine::Streaming).unwrap().unwrap_single();
            let counted = counted.column("open").unwrap().u32().unwrap().clone();
            let counted: Vec<u32> = counted.iter().flatten().collect();
            let holds = |row: &Given, at: i64| {
                row.2.zip(row.3).is_some_and(|(from, until)| (from..until).contains(&at))
            };
            let expected: Vec<u32> = given
                .iter()
                .map(|(key, at, ..)| {
                    let own = given.iter().filter(|row| row.0.is_some() && row.0 == *key);
                    u32::try_from(own.filter(|row| holds(row, *at)).count()).unwrap()
                })
                .collect();
            prop_assert_eq!(counted, expected);
        }
    }
}
