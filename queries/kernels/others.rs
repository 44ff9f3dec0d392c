//! Search for another event of the same person within an interval, and for one of the same group with a
//! greater rank.
//!
//! ```text
//! person  id   at      interval         another within it   group, rank   one of a greater rank
//! 1       a    09:00   10:00 to 12:00   yes: b              flow 7, 1     yes: b
//! 1       b    11:00   11:00 to 11:30   no: only itself     flow 7, 2     no
//! 2       c    11:15                    no interval         flow 7, 3     no
//! ```

use std::cmp::Reverse;
use std::collections::BTreeSet;

use polars::prelude::{
    BooleanChunked, Column, DataFrame, DataType, Field, IntoColumn, LazyFrame, NewChunkedArray,
    PolarsResult,
};

use super::adding;
use super::parts::Parts;

/// The columns of [`others`], 64-bit integers.
#[derive(Clone, Copy, Debug)]
pub struct Others {
    /// The person or the like; a row without one is no event and finds none.
    pub key: &'static str,
    /// The id of what happens. Nothing is another of the same id; a row without one is no event.
    pub id: &'static str,
    /// The instant of the event.
    pub at: &'static str,
    /// The first and the last instant of the interval, both included; null without one.
    pub within: [&'static str; 2],
}

/// A group and a rank within it, for [`others_ranked`].
#[derive(Clone, Copy, Debug)]
pub struct Ranked {
    /// The group, a 64-bit integer; a row without one is of no group.
    pub group: &'static str,
    /// The rank, a 32-bit integer; a row without one has no rank.
    pub rank: &'static str,
}

/// An event, in the order in which its fields are compared.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Event {
    key: i64,
    at: i64,
    id: i64,
    place: u32,
}

/// The interval of a row.
#[derive(Clone, Copy)]
struct Interval {
    key: i64,
    first: i64,
    last: i64,
    id: i64,
    place: u32,
}

/// The group and the rank of a row, if both are known.
type Rank = Option<(i64, i32)>;

/// Adds to each row the column `named`: `true` if an event of the same key and with another id lies in the
/// row's interval. Rows keep their order.
pub fn others(rows: LazyFrame, of: Others, named: &'static str) -> LazyFrame {
    let added = vec![Field::new(named.into(), DataType::Boolean)];
    let name = format!("others within an interval: {of:?} as {named}");
    adding(rows, name, added, move |mut rows| {
        let [any, _] = found(&rows, of, None)?;
        rows.with_column(truths(named, any))?;
        Ok(rows)
    })
}

/// Adds two columns: that of [`others`], and one that is `true` if one of these events is of the row's group
/// and has a greater rank. An id that many events share is that of few rows, since those events are passed
/// over one by one.
pub fn others_ranked(
    rows: LazyFrame,
    of: Others,
    ranked: Ranked,
    named: [&'static str; 2],
) -> LazyFrame {
    let added = named.map(|named| Field::new(named.into(), DataType::Boolean));
    let name = format!("others within an interval: {of:?}, by {ranked:?}, as {named:?}");
    adding(rows, name, added.to_vec(), move |mut rows| {
        let (groups, ranks) = (rows.column(ranked.group)?.i64()?, rows.column(ranked.rank)?.i32()?);
        let ranks: Vec<Rank> =
            groups.iter().zip(ranks.iter()).map(|(group, rank)| Some((group?, rank?))).collect();
        let found = found(&rows, of, Some(ranks.as_slice()))?;
        for (named, found) in named.into_iter().zip(found) {
            rows.with_column(truths(named, found))?;
        }
        Ok(rows)
    })
}

fn truths(named: &str, found: Vec<bool>) -> Column {
    BooleanChunked::from_iter_values(named.into(), found.into_iter()).into_column()
}

/// For each row, `true` if it finds another event, and if it finds one of a greater rank.
fn found(rows: &DataFrame, of: Others, ranks: Option<&[Rank]>) -> PolarsResult<[Vec<bool>; 2]> {
    let events = Parts::of(rows, |rows, places, parts| {
        let numbers = |name: &str| rows.column(name)?.i64();
        let events =
            numbers(of.key)?.iter().zip(numbers(of.at)?.iter()).zip(numbers(of.id)?.iter());
        parts.extend(events.zip(places).filter_map(|(((key, at), id), place)| {
            let (key, at, id) = (key?, at?, id?);
            Some((key, Event { key, at, id, place }))
        }));
        Ok(())
    })?;
    let intervals = Parts::of(rows, |rows, places, parts| {
        let numbers = |name: &str| rows.column(name)?.i64();
        let ends = numbers(of.within[0])?.iter().zip(numbers(of.within[1])?.iter());
        let intervals = numbers(of.key)?.iter().zip(numbers(of.id)?.iter()).zip(ends);
        parts.extend(intervals.zip(places).filter_map(|(((key, id), (first, last)), place)| {
            let (key, id, first, last) = (key?, id?, first?, last?);
            (first <= last).then_some((key, Interval { key, first, last, id, place }))
        }));
        Ok(())
    })?;
    let of_parts = events.map_with(intervals, |mut events, intervals| {
        let any = of_part(&mut events, intervals);
        let greater = ranks.map(|ranks| of_greater_rank(&events, &any, ranks));
        (any, greater.unwrap_or_default())
    });
    let mut found = [vec![false; rows.height()], Vec::new()];
    if ranks.is_some() {
        found[1].resize(rows.height(), false);
    }
    for (any, greater) in of_parts {
        for interval in any {
            found[0][interval.place as usize] = true;
        }
        for place in greater {
            found[1][place as usize] = true;
        }
    }
    Ok(found)
}

/// The intervals of a part in which another event lies, in the order of their keys. Sorts the events.
fn of_part(events: &mut [Event], mut intervals: Vec<Interval>) -> Vec<Interval> {
    events.sort_unstable();
    intervals.sort_unstable_by_key(|interval| (interval.key, interval.first));
    // The first event of another id after each one, so that no search passes over many of its own.
    let mut others = vec![events.len(); events.len()];
    for place in (1..events.len()).rev() {
        let is_other = events[place - 1].id != events[place].id;
        others[place - 1] = if is_other { place } else { others[place] };
    }
    let mut passed = 0;
    intervals.retain(|interval| {
        let before = |event: &&Event| (event.key, event.at) < (interval.key, interval.first);
        passed += events[passed..].iter().take_while(before).count();
        let inside = |event: &&Event| event.key == interval.key && event.at <= interval.last;
        let Some(first) = events.get(passed).filter(inside) else { return false };
        let is_own = first.id == interval.id;
        !is_own || events.get(others[passed]).is_some_and(|other| inside(&other))
    });
    intervals
}

/// The places of the rows in whose interval an event with another id, of the row's group, has a greater rank.
/// Events and intervals are in the order of their keys.
fn of_greater_rank(events: &[Event], intervals: &[Interval], ranks: &[Rank]) -> Vec<u32> {
    let rank_of = |place: u32| ranks[place as usize];
    let mut found = Vec::new();
    let mut rest = events;
    for intervals in intervals.chunk_by(|one, next| one.key == next.key) {
        let key = intervals[0].key;
        rest = &rest[rest.partition_point(|event| event.key < key)..];
        let (of_key, after) = rest.split_at(rest.partition_point(|event| event.key == key));
        rest = after;
        // In each group, the greatest rank first.
        let ranked = of_key.iter().filter_map(|event| {
            let (group, rank) = rank_of(event.place)?;
            Some((group, Reverse(rank), event.at, event.id))
        });
        let mut ranked: Vec<_> = ranked.collect();
        ranked.sort_unstable();
        let asking = intervals.iter().filter_map(|interval| {
            let (group, rank) = rank_of(interval.place)?;
            Some((group, Reverse(rank), interval))
        });
        let mut asking: Vec<_> = asking.collect();
        asking.sort_unstable_by_key(|(group, rank, _)| (*group, *rank));
        // The events of the group whose rank is greater than that of the interval.
        let mut greater = BTreeSet::new();
        let mut passed = 0;
        for of_group in asking.chunk_by(|one, next| one.0 == next.0) {
            let group = of_group[0].0;
            passed += ranked[passed..].partition_point(|event| event.0 < group);
            greater.clear();
            for (_, rank, interval) in of_group {
                while let Some((_, _, at, id)) =
                    ranked.get(passed).filter(|event| event.0 == group && event.1 < *rank)
                {
                    greater.insert((*at, *id));
                    passed += 1;
                }
                let mut within =
                    greater.range((interval.first, i64::MIN)..=(interval.last, i64::MAX));
                if within.any(|(_, id)| *id != interval.id) {
                    found.push(interval.place);
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use polars::prelude::{Engine, IntoLazy, df};
    use proptest::prelude::*;

    use super::*;

    /// Key, id, instant, interval; group and rank.
    type Given = ([Option<i64>; 5], Option<i64>, Option<i32>);

    fn rows() -> impl Strategy<Value = Vec<Given>> {
        let number = |until: i64| prop::option::weighted(0.8, 0..until);
        let key = prop_oneof![4 => Just(Some(7)), 1 => prop::option::of(any::<i64>())];
        let numbers = (key, number(3), number(9), number(9), number(9));
        let numbers = numbers.prop_map(|(key, id, at, first, last)| [key, id, at, first, last]);
        let rank = prop::option::weighted(0.8, -1..3_i32);
        prop::collection::vec((numbers, number(2), rank), 0..40)
    }

    fn truths_of(answer: &DataFrame, named: &str) -> Vec<bool> {
        answer.column(named).unwrap().bool().unwrap().iter().flatten().collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn another_event_within_the_interval_is_found(given in rows()) {
            let column = |of: usize| given.iter().map(|row| row.0[of]).collect::<Vec<_>>();
            let frame = df![
                "key" => column(0),
                "id" => column(1),
                "at" => column(2),
                "first" => column(3),
                "last" => column(4),
                "group" => given.iter().map(|row| row.1).collect::<Vec<_>>(),
                "rank" => given.iter().map(|row| row.2).collect::<Vec<_>>(),
            ];
            let frame = frame.unwrap().lazy();
            let of = Others { key: "key", id: "id", at: "at", within: ["first", "last"] };
            let ranked = Ranked { group: "group", rank: "rank" };
            let answer = others(frame, of, "other");
            let answer = others_ranked(answer, of, ranked, ["again", "greater"]);
            let answer = answer.collect_with_engine(Engine::Streaming).unwrap().unwrap_single();
            let finds = |row: &Given, counts: &dyn Fn(&Given) -> bool| {
                let [key, id, _, first, last] = row.0;
                let is_other = |other: &Given| {
                    other.0[0] == key
                        && other.0[1].is_some_and(|other| Some(other) != id)
                        && other.0[2].is_some_and(|at| (first..=last).contains(&Some(at)))
                        && counts(other)
                };
                [key, id, first, last].iter().all(Option::is_some) && given.iter().any(is_other)
            };
            let any: Vec<bool> = given.iter().map(|row| finds(row, &|_| true)).collect();
            let greater = given.iter().map(|row| {
                finds(row, &|other: &Given| {
                    row.1.is_some() && row.1 == other.1 && row.2.is_some() && other.2 > row.2
                })
            });
            let greater: Vec<bool> = greater.collect();
            prop_assert_eq!(truths_of(&answer, "other"), any.clone());
            prop_assert_eq!(truths_of(&answer, "again"), any);
            prop_assert_eq!(truths_of(&answer, "greater"), greater);
        }
    }
}
