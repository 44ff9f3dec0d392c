//! Search for pairs: two events of one person and of two kinds, each the only one that is near the other.
//!
//! ```text
//! person  kind    at      partner within an hour
//! 1       first   09:00   09:10
//! 1       second  09:10
//! 1       first   12:00   none: 12:20 and 12:40 are near
//! 1       second  12:20
//! 1       second  12:40
//! 1       first   15:00   none: 15:20 is near 15:30, too
//! 1       first   15:20   none
//! 1       second  15:30
//! ```

use polars::prelude::{
    DataFrame, DataType, Field, Int64Chunked, IntoColumn, LazyFrame, PolarsResult,
};

use super::parts::Parts;
use super::{adding, taken};

/// The columns and the limit of [`partners`].
#[derive(Clone, Copy, Debug)]
pub struct Partners {
    /// The person or the like, Int64. A row without one has no partner.
    pub key: &'static str,
    /// The time, Int64. A row without one has no partner.
    pub at: &'static str,
    /// A column that is `true` for events of the first kind and `false` for those of the second.
    pub is_first: &'static str,
    /// How far apart partners may be.
    pub within: i64,
}

/// An event, in the order in which its fields are compared.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Event {
    key: i64,
    is_first: bool,
    at: i64,
    place: u32,
}

/// Returns the events of the first kind that have a partner, in any order, each with the time of its partner
/// in the column `named`, Int64.
pub fn partners(rows: LazyFrame, of: Partners, named: &'static str) -> LazyFrame {
    let added = vec![Field::new(named.into(), DataType::Int64)];
    let name = format!("only partners: {of:?} as {named}");
    adding(rows, name, added, move |rows| {
        let found = found(&rows, of)?;
        let (places, times): (Vec<u32>, Vec<i64>) = found.into_iter().unzip();
        let mut paired = taken(rows, places.len(), |row| Some(places[row]))?;
        paired.with_column(Int64Chunked::from_vec(named.into(), times).into_column())?;
        Ok(paired)
    })
}

/// The place of each event of the first kind that has a partner, and the time of the partner.
fn found(rows: &DataFrame, of: Partners) -> PolarsResult<Vec<(u32, i64)>> {
    let parts = Parts::of(rows, |rows, places, parts| {
        let (keys, times) = (rows.column(of.key)?.i64()?.iter(), rows.column(of.at)?.i64()?.iter());
        let kinds = rows.column(of.is_first)?.bool()?.iter();
        let events = keys.zip(times).zip(kinds).zip(places);
        parts.extend(events.filter_map(|(((key, at), is_first), place)| {
            let (key, at, is_first) = (key?, at?, is_first?);
            Some((key, Event { key, is_first, at, place }))
        }));
        Ok(())
    })?;
    Ok(parts.map(|part| of_part(part, of.within)).into_iter().flatten().collect())
}

fn of_part(mut events: Vec<Event>, within: i64) -> Vec<(u32, i64)> {
    events.sort_unstable();
    let mut found = Vec::new();
    for of_key in events.chunk_by(|one, next| one.key == next.key) {
        let (seconds, firsts) = of_key.split_at(of_key.partition_point(|event| !event.is_first));
        let near_seconds = only_near(seconds, firsts, within);
        let pairs = firsts.iter().zip(only_near(firsts, seconds, within));
        found.extend(pairs.filter_map(|(first, near)| {
            // The only event that is near the second is then the first.
            let second = near.filter(|second| near_seconds[*second].is_some())?;
            Some((first.place, seconds[second].at))
        }));
    }
    found
}

/// For each event the position of the only one among others that is near it. Both are in the order of time.
fn only_near(events: &[Event], others: &[Event], within: i64) -> Vec<Option<usize>> {
    let (mut first, mut after) = (0, 0);
    let only = events.iter().map(|event| {
        let (from, until) = (event.at.saturating_sub(within), event.at.saturating_add(within));
        first += others[first..].iter().take_while(|other| other.at < from).count();
        after += others[after..].iter().take_while(|other| other.at <= until).count();
        (after - first == 1).then_some(first)
    });
    only.collect()
}

#[cfg(test)]
mod tests {
    use polars::prelude::{Engine, IntoLazy, df};
    use proptest::prelude::*;

    use super::*;

    /// Key, time and kind of an event. One person has most of them.
    fn events() -> impl Strategy<Value = Vec<(Option<i64>, Option<i64>, bool)>> {
        let key = prop_oneof![4 => Just(Some(7)), 1 => prop::option::of(any::<i64>())];
        prop::collection::vec((key, prop::option::weighted(0.9, 0..40_i64), any::<bool>()), 0..30)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn partners_are_near_each_other_and_nothing_else(given in events(), within in 0..6_i64) {
            let rows = df![
                "key" => given.iter().map(|event| event.0).collect::<Vec<_>>(),
                "at" => given.iter().map(|event| event.1).collect::<Vec<_>>(),
                "is_first" => given.iter().map(|event| event.2).collect::<Vec<_>>(),
            ];
            let rows = rows.unwrap().lazy().with_row_index("row", None);
            let of = Partners { key: "key", at: "at", is_first: "is_first", within };
            let answer = partners(rows, of, "partner_at").collect_with_engine(Engine::Streaming);
            let answer = answer.unwrap().unwrap_single();
            let column = |name: &str| {
                let column = answer.column(name).unwrap().cast(&DataType::Int64).unwrap();
                column.i64().unwrap().iter().flatten().collect::<Vec<i64>>()
            };
            let mut found: Vec<(i64, i64)> =
                column("row").into_iter().zip(column("partner_at")).collect();
            found.sort_unstable();

            let near = |row: usize| -> Vec<usize> {
                let (key, at, is_first) = given[row];
                let is_near = |other: &usize| {
                    let (other_key, other_at, other_is_first) = given[*other];
                    let apart = at.zip(other_at).map(|(at, other)| (at - other).abs());
                    key.is_some()
                        && key == other_key
                        && is_first != other_is_first
                        && apart.is_some_and(|apart| apart <= within)
                };
                (0..given.len()).filter(is_near).collect()
            };
            let partner = |row: usize| match near(row)[..] {
                [only] if near(only).len() == 1 => given[only].1,
                _ => None,
            };
            let firsts = (0..given.len()).filter(|row| given[*row].2);
            let expected = firsts.filter_map(|row| Some((i64::try_from(row).ok()?, partner(row)?)));
            prop_assert_eq!(found, expected.collect::<Vec<_>>());
        }
    }
}
