//! Search for another event of the same person within an interval.
//!
//! ```text
//! person  id   at      interval         another within it
//! 1       a    09:00   10:00 to 12:00   yes: b
//! 1       b    11:00   11:00 to 11:30   no: only itself
//! 2       c    11:15                    no interval
//! ```

use polars::prelude::{
    BooleanChunked, DataFrame, DataType, Field, IntoColumn, LazyFrame, NewChunkedArray,
    PolarsResult,
};

use super::parts::Parts;
use super::{adding, places};

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

/// An event as (key, instant, id).
type Event = (i64, i64, i64);

/// The interval of a row.
#[derive(Clone, Copy)]
struct Interval {
    key: i64,
    first: i64,
    last: i64,
    id: i64,
    place: u32,
}

/// Adds to each row the column `named`: `true` if an event of the same key and with another id lies in the
/// row's interval. Rows keep their order.
pub fn others(rows: LazyFrame, of: Others, named: &'static str) -> LazyFrame {
    let added = vec![Field::new(named.into(), DataType::Boolean)];
    let name = format!("others within an interval: {of:?} as {named}");
    adding(rows, name, added, move |mut rows| {
        let found = found(&rows, of)?;
        let found = BooleanChunked::from_iter_values(named.into(), found.into_iter());
        rows.with_column(found.into_column())?;
        Ok(rows)
    })
}

fn found(rows: &DataFrame, of: Others) -> PolarsResult<Vec<bool>> {
    let numbers = |name: &str| rows.column(name)?.i64();
    let (keys, ids, instants) = (numbers(of.key)?, numbers(of.id)?, numbers(of.at)?);
    let (first, last) = (numbers(of.within[0])?, numbers(of.within[1])?);
    let events = keys.iter().zip(instants.iter()).zip(ids.iter());
    let events = events.filter_map(|((key, at), id)| Some((key?, (key?, at?, id?))));
    let events = Parts::by_key(events, rows.height());
    let intervals = keys.iter().zip(ids.iter()).zip(first.iter().zip(last.iter())).zip(places());
    let intervals = intervals.filter_map(|(((key, id), (first, last)), place)| {
        let (key, id, first, last) = (key?, id?, first?, last?);
        (first <= last).then_some((key, Interval { key, first, last, id, place }))
    });
    let intervals = Parts::by_key(intervals, rows.height());
    let mut found = vec![false; rows.height()];
    for place in events.map_with(intervals, of_part).into_iter().flatten() {
        found[place as usize] = true;
    }
    Ok(found)
}

/// The places of the rows of a part that find another event.
fn of_part(mut events: Vec<Event>, mut intervals: Vec<Interval>) -> Vec<u32> {
    events.sort_unstable();
    intervals.sort_unstable_by_key(|interval| (interval.key, interval.first));
    // The first event of another id after each one, so that no search passes over many of its own.
    let mut others = vec![events.len(); events.len()];
    for place in (1..events.len()).rev() {
        let is_other = events[place - 1].2 != events[place].2;
        others[place - 1] = if is_other { place } else { others[place] };
    }
    let mut found = Vec::new();
    let mut passed = 0;
    for interval in intervals {
        let before = |event: &&Event| (event.0, event.1) < (interval.key, interval.first);
        passed += events[passed..].iter().take_while(before).count();
        let inside = |event: &&Event| event.0 == interval.key && event.1 <= interval.last;
        let Some(first) = events.get(passed).filter(inside) else { continue };
        let is_own = first.2 == interval.id;
        if !is_own || events.get(others[passed]).is_some_and(|other| inside(&other)) {
            found.push(interval.place);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use polars::prelude::{Engine, IntoLazy, df};
    use proptest::prelude::*;

    use super::*;

    type Given = (Option<i64>, Option<i64>, Option<i64>, Option<i64>, Option<i64>);

    fn rows() -> impl Strategy<Value = Vec<Given>> {
        let number = |until: i64| prop::option::weighted(0.8, 0..until);
        let key = prop_oneof![4 => Just(Some(7)), 1 => prop::option::of(any::<i64>())];
        prop::collection::vec((key, number(3), number(9), number(9), number(9)), 0..40)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn another_event_within_the_interval_is_found(given in rows()) {
            let column = |of: fn(&Given) -> Option<i64>| given.iter().map(of).collect::<Vec<_>>();
            let frame = df![
                "key" => column(|row| row.0),
                "id" => column(|row| row.1),
                "at" => column(|row| row.2),
                "first" => column(|row| row.3),
                "last" => column(|row| row.4),
            ];
            let of = Others { key: "key", id: "id", at: "at", within: ["first", "last"] };
            let answer = others(frame.unwrap().lazy(), of, "other");
            let answer = answer.collect_with_engine(Engine::Streaming).unwrap().unwrap_single();
            let answer: Vec<bool> =
                answer.column("other").unwrap().bool().unwrap().iter().flatten().collect();
            let finds = |(key, id, _, first, last): &Given| {
                let is_other = |other: &Given| {
                    other.0 == *key
                        && other.1.is_some_and(|other| Some(other) != *id)
                        && other.2.is_some_and(|at| (*first..=*last).contains(&Some(at)))
                };
                [*key, *id, *first, *last].iter().all(Option::is_some) && given.iter().any(is_other)
            };
            let expected: Vec<bool> = given.iter().map(finds).collect();
            prop_assert_eq!(answer, expected);
        }
    }
}
