//! Retries of sends that failed: the next send of the same flow to the person, whether the person
//! wrote in between, and which attempt a send is.
//!
//! ```text
//! at     fails   next send    the person wrote   answered   attempt
//! 10:00  yes     18:00                           no         1
//! 18:00  yes     20:00                           no         2: a retry of the one before
//! 20:00  yes     22:00        21:00              yes        3
//! 22:00  yes     –                               no         1: the one before was answered
//! ```

use polars::prelude::{
    BooleanChunked, Column, DataFrame, DataType, Field, Int64Chunked, IntoColumn, LazyFrame,
    NewChunkedArray, PolarsResult, UInt32Chunked,
};

use super::adding;
use super::gaps::truths;
use super::parts::Parts;

/// The columns and the limit of [`retries`]. Instants are integers of 64 bits.
#[derive(Clone, Copy, Debug)]
pub struct Retries {
    /// The person, an Int64 hash. A row without one is no send, and tells of nobody who wrote.
    pub key: &'static str,
    /// The flow, an Int64 hash. A row without one is no send.
    pub flow: &'static str,
    /// The instant of the send. A row without one is no send.
    pub at: &'static str,
    /// The version of the flow, an Int32. Of several sends at one instant the one with the smallest
    /// is the next send, null last.
    pub version: &'static str,
    /// A column that is `true` for sends that failed.
    pub fails: &'static str,
    /// Instants at which the person wrote, in any row; null for none.
    pub wrote: [&'static str; 2],
    /// How much later the next send may be, in microseconds. Without one, what the person writes is
    /// an answer for as long.
    pub within: i64,
    /// Columns of booleans of the next send, each with its name beside the send. They are `false`
    /// without one.
    pub next: [(&'static str, &'static str); 3],
}

/// The column of the microseconds until the next send, Int64; null without one.
pub const NEXT_AFTER: &str = "next_after";
/// The column that is `true` if the person wrote after the send and before the next one.
pub const IS_ANSWERED: &str = "is_answered";
/// The column of the attempt, `UInt32`. It is 1, or 1 more than that of a failed send that was not
/// answered and whose next send this is; of several such the greatest.
pub const ATTEMPT_NUMBER: &str = "attempt_number";

/// Adds to each row [`NEXT_AFTER`], [`IS_ANSWERED`], [`ATTEMPT_NUMBER`] and the columns of the next
/// send. They tell of sends that failed; the attempt of all other rows is 0. Rows keep their order.
pub fn retries(rows: LazyFrame, of: Retries) -> LazyFrame {
    let own = [
        (NEXT_AFTER, DataType::Int64),
        (IS_ANSWERED, DataType::Boolean),
        (ATTEMPT_NUMBER, DataType::UInt32),
    ];
    let of_next = of.next.map(|(_, name)| (name, DataType::Boolean));
    let added = own.into_iter().chain(of_next);
    let added = added.map(|(name, of)| Field::new(name.into(), of)).collect();
    adding(rows, format!("retries: {of:?}"), added, move |mut rows| {
        for column in columns(&rows, of)? {
            rows.with_column(column)?;
        }
        Ok(rows)
    })
}

/// A send, in the order in which its fields are compared.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Sent {
    person: i64,
    flow: i64,
    at: i64,
    /// Null is after all others.
    version: i64,
    place: u32,
}

/// What a person wrote, as person and instant.
type Written = (i64, i64);

/// What is found of a send that failed.
struct Found {
    place: u32,
    /// The place of the next send, and how much later it is.
    next: Option<(u32, i64)>,
    is_answered: bool,
    attempt: u32,
}

fn columns(rows: &DataFrame, of: Retries) -> PolarsResult<Vec<Column>> {
    let sent = Parts::of(rows, |rows, places, parts| {
        let numbers = |name: &str| rows.column(name)?.i64();
        let sent =
            numbers(of.key)?.iter().zip(numbers(of.flow)?.iter()).zip(numbers(of.at)?.iter());
        let sent = sent.zip(rows.column(of.version)?.i32()?.iter()).zip(places);
        parts.extend(sent.filter_map(|((((person, flow), at), version), place)| {
            let (person, flow, at) = (person?, flow?, at?);
            let version = version.map_or(i64::MAX, i64::from);
            Some((person, Sent { person, flow, at, version, place }))
        }));
        Ok(())
    })?;
    let written = Parts::of(rows, |rows, _, parts| {
        let people = rows.column(of.key)?.i64()?;
        for wrote in of.wrote {
            let written = people.iter().zip(rows.column(wrote)?.i64()?.iter());
            parts.extend(written.filter_map(|(person, at)| Some((person?, (person?, at?)))));
        }
        Ok(())
    })?;
    let fails = truths(rows, of.fails)?;
    let found = sent.map_with(written, |sent, written| of_part(sent, written, &fails, of.within));
    let found: Vec<Found> = found.into_iter().flatten().collect();

    let height = rows.height();
    let (mut after, mut is_answered) = (vec![None; height], vec![false; height]);
    let mut attempts = vec![0; height];
    for row in &found {
        let place = row.place as usize;
        after[place] = row.next.map(|(_, after)| after);
        is_answered[place] = row.is_answered;
        attempts[place] = row.attempt;
    }
    let mut added = vec![
        Int64Chunked::from_iter_options(NEXT_AFTER.into(), after.into_iter()).into_column(),
        BooleanChunked::from_iter_values(IS_ANSWERED.into(), is_answered.into_iter()).into_column(),
        UInt32Chunked::from_vec(ATTEMPT_NUMBER.into(), attempts).into_column(),
    ];
    for (column, name) in of.next {
        let is_true = truths(rows, column)?;
        let mut of_next = vec![false; height];
        for row in &found {
            of_next[row.place as usize] = row.next.is_some_and(|(next, _)| is_true[next as usize]);
        }
        let of_next = BooleanChunked::from_iter_values(name.into(), of_next.into_iter());
        added.push(of_next.into_column());
    }
    Ok(added)
}

fn of_part(
    mut sent: Vec<Sent>,
    mut written: Vec<Written>,
    fails: &[bool],
    within: i64,
) -> Vec<Found> {
    sent.sort_unstable();
    written.sort_unstable();
    let mut found = Vec::new();
    let mut rest = &written[..];
    for of_person in sent.chunk_by(|one, other| one.person == other.person) {
        let person = of_person[0].person;
        rest = &rest[rest.partition_point(|written| written.0 < person)..];
        let (own, after) = rest.split_at(rest.partition_point(|written| written.0 == person));
        rest = after;
        for of_flow in of_person.chunk_by(|one, other| one.flow == other.flow) {
            follow(of_flow, own, fails, within, &mut found);
        }
    }
    found
}

/// Adds what is found of the sends of one flow to a person, in the order of time.
fn follow(sent: &[Sent], written: &[Written], fails: &[bool], within: i64, found: &mut Vec<Found>) {
    let mut later = sent;
    // The greatest attempt among the sends of the instant before, if they failed and were not
    // answered, and the next send is near enough.
    let mut before = 0;
    for at_once in sent.chunk_by(|one, other| one.at == other.at) {
        later = &later[at_once.len()..];
        let at = at_once[0].at;
        let next = later.first().filter(|next| next.at.saturating_sub(at) <= within);
        let until = next.map_or(at.saturating_add(within).saturating_add(1), |next| next.at);
        let first = written.get(written.partition_point(|written| written.1 <= at));
        let is_answered = first.is_some_and(|written| written.1 < until);
        let mut greatest = 0;
        for (turn, row) in at_once.iter().enumerate() {
            if !fails[row.place as usize] {
                continue;
            }
            // Of several at once, the first is the next send of those before.
            let attempt = if turn == 0 { before + 1 } else { 1 };
            greatest = greatest.max(attempt);
            let next = next.map(|next| (next.place, next.at.saturating_sub(at)));
            found.push(Found { place: row.place, next, is_answered, attempt });
        }
        before = if is_answered || next.is_none() { 0 } else { greatest };
    }
}

#[cfg(test)]
mod tests {
    use polars::prelude::{Engine, IntoLazy, df};
    use proptest::prelude::*;

    use super::*;

    /// Person, flow, instant and version of a send, if it fails, and instants at which the person
    /// wrote.
    type Given = ([Option<i64>; 3], Option<i32>, bool, [Option<i64>; 2]);

    fn rows() -> impl Strategy<Value = Vec<Given>> {
        let number = |until: i64| prop::option::weighted(0.8, 0..until);
        // One person has most rows.
        let person = prop_oneof![4 => Just(Some(7)), 1 => prop::option::of(any::<i64>())];
        let send = (person, number(2), number(12));
        let send = send.prop_map(|(person, flow, at)| [person, flow, at]);
        let wrote = prop::option::weighted(0.1, 0..12_i64);
        let wrote = (wrote.clone(), wrote).prop_map(|(first, last)| [first, last]);
        let version = prop::option::weighted(0.8, 1..4_i32);
        prop::collection::vec((send, version, prop::bool::weighted(0.7), wrote), 0..30)
    }

    /// The places of the sends of the same flow to the same person.
    fn of_flow(given: &[Given], row: &Given) -> Vec<usize> {
        let [person, flow, at] = row.0;
        let is_known = person.is_some() && flow.is_some() && at.is_some();
        let is_own = |place: &usize| {
            let other = given[*place].0;
            is_known && other[0] == person && other[1] == flow && other[2].is_some()
        };
        (0..given.len()).filter(is_own).collect()
    }

    /// The place of the next send. Of several equal ones the first.
    fn next(given: &[Given], place: usize, within: i64) -> Option<usize> {
        let at = given[place].0[2]?;
        let is_later = |other: &usize| {
            given[*other].0[2].is_some_and(|later| (1..=within).contains(&(later - at)))
        };
        let later = of_flow(given, &given[place]).into_iter().filter(is_later);
        later.min_by_key(|other| {
            let version = given[*other].1;
            (given[*other].0[2], version.is_none(), version, *other)
        })
    }

    fn is_answered(given: &[Given], place: usize, within: i64) -> bool {
        let [person, _, Some(at)] = given[place].0 else { return false };
        let until = next(given, place, within).and_then(|next| given[next].0[2]);
        let until = until.unwrap_or(at + within + 1);
        let own = given.iter().filter(|row| person.is_some() && row.0[0] == person);
        own.flat_map(|row| row.3).flatten().any(|wrote| at < wrote && wrote < until)
    }

    fn attempt(given: &[Given], place: usize, within: i64) -> u32 {
        let before = of_flow(given, &given[place]).into_iter().filter(|other| {
            given[*other].2
                && next(given, *other, within) == Some(place)
                && !is_answered(given, *other, within)
        });
        1 + before.map(|other| attempt(given, other, within)).max().unwrap_or(0)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn attempts_are_chains_of_sends_that_were_not_answered(
            given in rows(),
            within in 0..8_i64,
        ) {
            let column = |of: usize| given.iter().map(|row| row.0[of]).collect::<Vec<_>>();
            let wrote = |of: usize| given.iter().map(|row| row.3[of]).collect::<Vec<_>>();
            let fails = given.iter().map(|row| row.2).collect::<Vec<_>>();
            let frame = df![
                "person" => column(0),
                "flow" => column(1),
                "at" => column(2),
                "version" => given.iter().map(|row| row.1).collect::<Vec<_>>(),
                "fails" => &fails,
                "first" => wrote(0),
                "last" => wrote(1),
            ];
            let of = Retries {
                key: "person",
                flow: "flow",
                at: "at",
                version: "version",
                fails: "fails",
                wrote: ["first", "last"],
                within,
                next: [("fails", "again"), ("fails", "and_again"), ("fails", "once_more")],
            };
            let answer = retries(frame.unwrap().lazy(), of);
            let answer = answer.collect_with_engine(Engine::Streaming).unwrap().unwrap_single();
            let after = answer.column(NEXT_AFTER).unwrap().i64().unwrap();
            let answered = answer.column(IS_ANSWERED).unwrap().bool().unwrap();
            let attempts = answer.column(ATTEMPT_NUMBER).unwrap().u32().unwrap();
            let again = answer.column("again").unwrap().bool().unwrap();
            for place in 0..given.len() {
                let found =
                    (after.get(place), answered.get(place), attempts.get(place), again.get(place));
                let [person, flow, at] = given[place].0;
                let is_sent = person.is_some() && flow.is_some() && at.is_some();
                let expected = if is_sent && fails[place] {
                    let next = next(&given, place, within);
                    (
                        next.and_then(|next| Some(given[next].0[2]? - at?)),
                        Some(is_answered(&given, place, within)),
                        Some(attempt(&given, place, within)),
                        Some(next.is_some_and(|next| fails[next])),
                    )
                } else {
                    (None, Some(false), Some(0), Some(false))
                };
                prop_assert_eq!(found, expected);
            }
        }
    }
}
