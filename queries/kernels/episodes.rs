//! Episodes of waiting: what a person writes on a line until somebody answers, or nobody does for too long.
//!
//! ```text
//! person   line   at      message     episode
//! 1        A      09:00   incoming    1
//! 1        A      09:20   incoming    1
//! 1        A      10:00   answer      1, answered at 10:00
//! 1        A      11:00   incoming    2, given up at 12:00 if nobody waits for more than an hour
//! 1        A      12:30   incoming    3
//! 1        A      14:00   answer      3, given up at 13:30
//! 1        B      09:10   incoming    4, of another line
//! ```

use polars::prelude::{ChunkAgg, Column, DataType, LazyFrame};

use super::gaps::{By, Message, Turns};
use super::named;

/// The column of the end of an episode in microseconds, Int64.
pub const CLOSED: &str = "closed";

/// The column that is `true` if an answer ended the episode.
pub const IS_ANSWERED: &str = "is_answered";

/// The column of the latest instant of all rows in microseconds, Int64: the same for each episode.
pub const LATEST: &str = "latest";

/// The episodes of people on lines: one row for each.
///
/// `incoming` is a column of booleans; other messages are answers. An episode is a run of incoming messages
/// without an answer between them, each at most `give_up` microseconds after the one before. It ends at the
/// next answer if that is at most so much later than its last message, else so much later than that. A row
/// without a person is of no episode, but may have the latest instant.
///
/// The result has the columns [`CLOSED`], [`IS_ANSWERED`], [`LATEST`], and those of its first message that an
/// episode brings, in the order of people, lines and instants, except that people of whose messages ids are
/// [collected](Turns::without_ids) come last.
pub fn episodes(
    messages: LazyFrame,
    by: By,
    incoming: &'static str,
    give_up: i64,
    brought: Vec<&'static str>,
) -> LazyFrame {
    let name = format!("episodes of waiting: {by:?} {incoming} {give_up} {brought:?}");
    let own =
        [(CLOSED, DataType::Int64), (IS_ANSWERED, DataType::Boolean), (LATEST, DataType::Int64)];
    let (messages, turns) = Turns::without_ids(messages, by, incoming, brought);
    named(messages, name, turns.declared(own), move |messages| {
        let latest = messages.column(by.at)?.to_physical_repr().i64()?.max().unwrap_or_default();
        turns.find(messages, &|messages: &[Message], is_incoming: &[bool]| {
            let Found { rows, closed, is_answered } = of_part(messages, is_incoming, give_up);
            let latest = vec![latest; rows.len()];
            let ends = vec![
                Column::new(CLOSED.into(), closed),
                Column::new(IS_ANSWERED.into(), is_answered),
                Column::new(LATEST.into(), latest),
            ];
            (ends, rows)
        })
    })
}

/// The first messages of episodes, with the ends.
#[derive(Default)]
struct Found {
    rows: Vec<u32>,
    closed: Vec<i64>,
    is_answered: Vec<bool>,
}

impl Found {
    fn push(&mut self, row: u32, closed: i64, is_answered: bool) {
        self.rows.push(row);
        self.closed.push(closed);
        self.is_answered.push(is_answered);
    }
}

/// The episodes of sorted messages.
fn of_part(messages: &[Message], is_incoming: &[bool], give_up: i64) -> Found {
    let mut found = Found::default();
    let of_lines =
        messages.chunk_by(|one, next| (one.person, one.line) == (next.person, next.line));
    for of_line in of_lines {
        // The row of the first message of the episode that is open, and the instant of its last.
        let mut open: Option<(u32, i64)> = None;
        for message in of_line {
            let of_person = is_incoming[message.row as usize];
            let begun = of_person.then_some((message.row, message.at));
            open = match open {
                Some((first, last)) if message.at.saturating_sub(last) > give_up => {
                    found.push(first, last.saturating_add(give_up), false);
                    begun
                }
                Some((first, _)) if of_person => Some((first, message.at)),
                Some((first, _)) => {
                    found.push(first, message.at, true);
                    None
                }
                None => begun,
            };
        }
        if let Some((first, last)) = open {
            found.push(first, last.saturating_add(give_up), false);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use polars::prelude::{Engine, IntoLazy, df};
    use proptest::prelude::*;

    use super::*;

    const BY: By = By { person: "person", line: "line", at: "at", id: "id" };

    /// Person, line, instant, and if the person wrote it.
    type Row = (Option<i64>, Option<&'static str>, i64, bool);

    fn some() -> impl Strategy<Value = Vec<Row>> {
        // One person has most messages, and many of them are at one instant.
        let person = prop_oneof![4 => Just(Some(7)), 1 => prop::option::of(-1..2_i64)];
        let line = prop::option::of(prop::sample::select(vec!["", "12025550140"]));
        prop::collection::vec((person, line, -5..25_i64, any::<bool>()), 0..40)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn episodes_are_runs_of_messages_without_an_answer(
            messages in some(),
            give_up in 0..6_i64,
            repeated in prop::sample::select(vec![1, 600]),
        ) {
            let all: Vec<Row> =
                messages.iter().cycle().take(messages.len() * repeated).copied().collect();
            // Copies are of people of their own.
            let copy = |row: usize| i64::try_from(row / messages.len().max(1)).unwrap() * 100;
            let person = |row: usize| all[row].0.map(|person| person + copy(row));
            let id = |row: usize| format!("wamid.{:06}", row * 7_919 % 1_000_003);
            let number = |row: usize| i64::try_from(row).unwrap();
            // Some messages of one turn differ in it.
            let kind = |row: usize| number(row / 3 % 2);
            let rows = df![
                "row" => (0..all.len()).map(number).collect::<Vec<_>>(),
                "kind" => (0..all.len()).map(kind).collect::<Vec<_>>(),
                "person" => (0..all.len()).map(person).collect::<Vec<_>>(),
                "line" => all.iter().map(|row| row.1).collect::<Vec<_>>(),
                "at" => all.iter().map(|row| row.2).collect::<Vec<_>>(),
                "id" => (0..all.len()).map(id).collect::<Vec<_>>(),
                "incoming" => all.iter().map(|row| row.3).collect::<Vec<_>>(),
            ];
            let rows = rows.unwrap().lazy();
            // Ids are collected for some people only, unless they are brought.
            let found = |brought: &'static str| {
                let found = episodes(rows.clone(), BY, "incoming", give_up, vec![brought]);
                let found = found.collect_with_engine(Engine::Streaming).unwrap().unwrap_single();
                let numbers = |name: &str| -> Vec<i64> {
                    found.column(name).unwrap().i64().unwrap().iter().flatten().collect()
                };
                let latest = all.iter().map(|row| row.2).max();
                assert!(numbers(LATEST).iter().all(|at| Some(*at) == latest));
                let answered = found.column(IS_ANSWERED).unwrap().bool().unwrap().clone();
                let ends = numbers(CLOSED).into_iter().zip(answered.iter().flatten());
                let found = numbers(brought).into_iter().zip(ends);
                let mut found: Vec<_> =
                    found.map(|(brought, (closed, answered))| (brought, closed, answered)).collect();
                found.sort_unstable();
                found
            };

            // What follows each message in its turn.
            let turn = |row: usize| (person(row), all[row].1, all[row].2, id(row));
            let mut in_turn: Vec<usize> = (0..all.len()).filter(|row| all[*row].0.is_some()).collect();
            in_turn.sort_by_key(|row| turn(*row));
            let is_same = |one: usize, other: usize| {
                person(one) == person(other) && all[one].1 == all[other].1
            };
            let follows = |one: usize, next: usize| {
                is_same(one, next) && all[next].2 - all[one].2 <= give_up
            };
            let mut expected = Vec::new();
            for (place, row) in in_turn.iter().enumerate().filter(|(_, row)| all[**row].3) {
                let goes_on = place > 0
                    && all[in_turn[place - 1]].3
                    && follows(in_turn[place - 1], *row);
                if goes_on {
                    continue;
                }
                let mut last = place;
                let next = |place: usize| {
                    in_turn.get(place + 1).copied().filter(|next| follows(in_turn[place], *next))
                };
                while let Some(next) = next(last).filter(|next| all[*next].3) {
                    last += 1;
                    assert_eq!(in_turn[last], next);
                }
                let answer = next(last).map(|answer| all[answer].2);
                let closed = answer.unwrap_or(all[in_turn[last]].2 + give_up);
                expected.push((*row, closed, answer.is_some()));
            }
            let expected = |brought: &dyn Fn(usize) -> i64| {
                let rows = expected.iter().map(|(row, closed, answered)| (brought(*row), *closed, *answered));
                let mut rows: Vec<_> = rows.collect();
                rows.sort_unstable();
                rows
            };
            prop_assert_eq!(found("row"), expected(&number));
            prop_assert_eq!(found("kind"), expected(&kind));
        }
    }
}
