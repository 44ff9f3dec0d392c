//! Windows that answers open: the message that answers a click, and the messages within a while
//! after it.
//!
//! ```text
//! person  click           answered within 24 hours by     window of 72 hours
//! 1       line A, 10:00   line A, 11:00                   line A, from 11:00 on
//! 1       no line, 10:30  line B, 10:40                   line B, from 10:40 on
//! 2       line A, 10:00   none: B is another line
//! ```
//!
//! A message is in the latest window of its person and line that holds its instant.

use std::collections::HashMap;

use polars::prelude::{DataFrame, PolarsResult, StringChunked};

use super::dictionary::Numbers;
use super::parts::Parts;

/// The columns of clicks, or of messages.
#[derive(Clone, Copy, Debug)]
pub struct Columns {
    /// The person, an Int64 hash. A row without a person does not count.
    pub person: &'static str,
    /// The line, a text. A click without one is answered on any line; to a message, no line is a
    /// line of its own.
    pub line: &'static str,
    /// The instant in microseconds, Int64. A row without an instant does not count.
    pub at: &'static str,
    /// The id, a text. Of several answers at one instant that with the smallest id counts; of
    /// several windows that begin together, that of the latest click, then that of the click with
    /// the greatest id. Messages need no ids if every click has a line.
    pub id: &'static str,
}

/// The lengths of time in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lengths {
    /// The longest time from a click to its answer, included.
    pub answer: i64,
    /// The length of a window. Its end is excluded.
    pub window: i64,
}

/// Answers and windows, by the rows of the frames.
#[derive(Debug, Default)]
pub struct Found {
    /// The instant of the answer to each click.
    pub answers: Vec<Option<i64>>,
    /// The row of the click that opened the window of each message.
    pub openers: Vec<Option<u32>>,
}

/// Finds the answers of clicks among messages, and the windows that messages are in.
///
/// # Errors
/// Columns that are missing or of other types.
pub fn find(
    (clicks, of_clicks): (&DataFrame, Columns),
    (messages, of_messages): (&DataFrame, Columns),
    lengths: Lengths,
) -> PolarsResult<Found> {
    let click_ids = clicks.column(of_clicks.id)?.str()?.rechunk().into_owned();
    // On one line, answers at one instant open the same window.
    let message_ids = match clicks.column(of_clicks.line)?.null_count() {
        0 => None,
        _ => Some(messages.column(of_messages.id)?.str()?.rechunk().into_owned()),
    };
    let lines = Numbers::of(1);
    let split = |rows: &DataFrame, columns: Columns| {
        let len = clicks.height() + messages.height();
        Parts::bounded(rows, len, |rows, places, parts| {
            let people = rows.column(columns.person)?.i64()?.iter();
            let names = rows.column(columns.line)?;
            let (numbers, names) = (lines.column(0, names)?, names.str()?.iter());
            let instants = rows.column(columns.at)?.i64()?.iter();
            let rows = people.zip(names.zip(numbers)).zip(instants).zip(places);
            parts.extend(rows.filter_map(|(((person, (name, number)), at), place)| {
                let row = Row { person: person?, line: name.map(|_| number), at: at?, place };
                Some((row.person, row))
            }));
            Ok(())
        })
    };
    let (of_clicks, of_messages) = (split(clicks, of_clicks)?, split(messages, of_messages)?);
    let parts = of_clicks.map_with(of_messages, |clicks, messages| {
        of_part(clicks, messages, (&click_ids, message_ids.as_ref()), lengths)
    });
    let mut found =
        Found { answers: vec![None; clicks.height()], openers: vec![None; messages.height()] };
    for part in parts {
        for (click, at) in part.answers {
            found.answers[click as usize] = Some(at);
        }
        for (message, click) in part.openers {
            found.openers[message as usize] = Some(click);
        }
    }
    Ok(found)
}

/// A click or a message.
#[derive(Clone, Copy)]
struct Row {
    person: i64,
    /// The number of the line.
    line: Option<u32>,
    at: i64,
    /// The number of its row in the frame.
    place: u32,
}

/// What is found in a part: pairs of the row of a click and its answer's instant, and of the row of
/// a message and that of a click.
#[derive(Default)]
struct FoundInPart {
    answers: Vec<(u32, i64)>,
    openers: Vec<(u32, u32)>,
}

/// A window, in the order in which its fields are compared.
#[derive(Clone, Copy)]
struct Window {
    opened: i64,
    clicked: i64,
    click: u32,
}

fn of_part(
    mut clicks: Vec<Row>,
    mut messages: Vec<Row>,
    (click_ids, message_ids): (&StringChunked, Option<&StringChunked>),
    lengths: Lengths,
) -> FoundInPart {
    clicks.sort_unstable_by_key(|click| click.person);
    messages.sort_unstable_by_key(|message| (message.person, message.at));
    let mut found = FoundInPart::default();
    for clicks in clicks.chunk_by(|one, other| one.person == other.person) {
        let Some(first) = clicks.first() else { continue };
        let person = first.person;
        let from = messages.partition_point(|message| message.person < person);
        let until = messages.partition_point(|message| message.person <= person);
        let of_person = &mut messages[from..until];
        if let Some(ids) = message_ids {
            for at_once in of_person.chunk_by_mut(|one, other| one.at == other.at) {
                if at_once.len() > 1 {
                    at_once.sort_by_key(|message| ids.get(message.place as usize));
                }
            }
        }
        of_one_person(clicks, of_person, click_ids, lengths, &mut found);
    }
    found
}

/// The answers and windows of a person, whose messages are in the order of instants and ids.
fn of_one_person(
    clicks: &[Row],
    messages: &[Row],
    ids: &StringChunked,
    lengths: Lengths,
    found: &mut FoundInPart,
) {
    let mut on_lines: HashMap<Option<u32>, Vec<Row>> = HashMap::new();
    for message in messages {
        on_lines.entry(message.line).or_default().push(*message);
    }
    let mut windows: HashMap<Option<u32>, Vec<Window>> = HashMap::new();
    for click in clicks {
        let asked = match click.line {
            Some(_) => on_lines.get(&click.line).map_or(&[][..], Vec::as_slice),
            None => messages,
        };
        let next = asked.partition_point(|message| message.at < click.at);
        let Some(answer) = asked.get(next) else { continue };
        if answer.at.saturating_sub(click.at) <= lengths.answer {
            found.answers.push((click.place, answer.at));
            let window = Window { opened: answer.at, clicked: click.at, click: click.place };
            windows.entry(answer.line).or_default().push(window);
        }
    }
    for (line, mut windows) in windows {
        windows.sort_by(|one, other| {
            let id = |window: &Window| ids.get(window.click as usize);
            let when = |window: &Window| (window.opened, window.clicked);
            when(one).cmp(&when(other)).then_with(|| id(one).cmp(&id(other)))
        });
        for message in on_lines.get(&line).into_iter().flatten() {
            let next = windows.partition_point(|window| window.opened <= message.at);
            let latest = windows[..next].last();
            let latest =
                latest.filter(|window| message.at.saturating_sub(window.opened) < lengths.window);
            found.openers.extend(latest.map(|window| (message.place, window.click)));
        }
    }
}

#[cfg(test)]
mod tests {
    use polars::prelude::df;
    use proptest::prelude::*;

    use super::*;

    const COLUMNS: Columns = Columns { person: "person", line: "line", at: "at", id: "id" };

    /// Person, line and instant. One person has most rows.
    type Given = (Option<i64>, Option<&'static str>, Option<i64>);

    fn given(most: usize) -> impl Strategy<Value = Vec<Given>> {
        let person = prop_oneof![
            4 => Just(Some(i64::MIN)),
            2 => prop::option::of(prop::sample::select(vec![-1, 0, i64::MAX])),
        ];
        let line = prop::option::of(prop::sample::select(vec!["", "12025550140"]));
        prop::collection::vec((person, line, prop::option::weighted(0.9, -5..25_i64)), 0..most)
    }

    /// Ids come in no order.
    fn id(row: usize) -> String {
        format!("{:04}", row * 7_919 % 1_009)
    }

    fn frame(rows: &[Given]) -> DataFrame {
        df![
            "person" => rows.iter().map(|row| row.0).collect::<Vec<_>>(),
            "line" => rows.iter().map(|row| row.1).collect::<Vec<_>>(),
            "at" => rows.iter().map(|row| row.2).collect::<Vec<_>>(),
            "id" => (0..rows.len()).map(id).collect::<Vec<_>>(),
        ]
        .unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]

        #[test]
        fn answers_and_windows_are_those_of_a_search_through_all_rows(
            clicks in given(20),
            messages in given(40),
            answer in 1..8_i64,
            window in 1..12_i64,
        ) {
            let lengths = Lengths { answer, window };
            let (of_clicks, of_messages) = (frame(&clicks), frame(&messages));
            let found = find((&of_clicks, COLUMNS), (&of_messages, COLUMNS), lengths).unwrap();

            let answer_of = |click: &Given| {
                let (person, line, at) = (click.0?, click.1, click.2?);
                let answers = messages.iter().enumerate().filter_map(|(row, message)| {
                    let sent = message.2?;
                    let fits = message.0 == Some(person) && (line.is_none() || message.1 == line);
                    (fits && (at..=at + answer).contains(&sent)).then(|| (sent, id(row), message.1))
                });
                answers.min()
            };
            let answers: Vec<Option<i64>> =
                clicks.iter().map(|click| answer_of(click).map(|(sent, ..)| sent)).collect();
            prop_assert_eq!(&found.answers, &answers);

            let opener_of = |message: &Given| {
                let (person, sent) = (message.0?, message.2?);
                let windows = clicks.iter().enumerate().filter_map(|(row, click)| {
                    let (opened, _, line) = answer_of(click)?;
                    let holds = click.0 == Some(person)
                        && line == message.1
                        && (opened..opened + window).contains(&sent);
                    holds.then(|| (opened, click.2, id(row), row))
                });
                windows.max().map(|(.., row)| u32::try_from(row).unwrap())
            };
            let openers: Vec<Option<u32>> = messages.iter().map(opener_of).collect();
            prop_assert_eq!(&found.openers, &openers);
        }
    }
}
