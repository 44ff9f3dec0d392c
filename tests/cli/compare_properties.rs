//! Property test: a comparison is that of two answers in csv, cell by cell.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use wabalake::lake::{AsOf, Lake};
use wabalake::render::{self, Answer, Format};
use wabalake::run::compare::{AsOfOption, Comparison};
use wabalake::run::polars;
use wabalake_data::tables::deployments;
use wabalake_queries::CATALOG;
use wabalake_queries::query::{Defaults, Question};

use super::compare::{DEPLOYMENTS, HEADER, WHY};
use crate::support::Bench;

/// The question of a line: the name of a query, and its options.
fn asked(line: &str) -> Question {
    let mut words = line.split(' ');
    let name = words.next().unwrap();
    let entry = CATALOG.iter().find(|entry| entry.spec.name == name).unwrap();
    entry.ask_for(words, &Defaults::default()).unwrap()
}

fn csv(answer: &Answer) -> String {
    let mut out = Vec::new();
    render::write(answer, Format::Csv, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn answered(lake: &Lake, question: &Question) -> String {
    let plan = polars::plan(lake, question, None).unwrap();
    let rows = polars::collect(plan, question).unwrap();
    csv(&Answer::new(&rows, question.columns(), question.timezone()).unwrap())
}

/// The comparison of two versions of `deployments`, and what changed in the tables.
fn comparison(lake: &Lake, question: &Question, versions: [u64; 2]) -> [String; 2] {
    let [before, after] = versions.map(|version| AsOfOption {
        option: "--as-of",
        as_of: AsOf::Versions([("deployments", version)].into()),
    });
    let comparison = Comparison::of(lake, question, before, after).unwrap();
    let differences = comparison.differences().unwrap();
    let is_empty = differences.is_empty().unwrap();
    let cells = csv(&differences.answer(None).unwrap());
    assert_eq!(is_empty, cells == HEADER);
    [cells, csv(&comparison.why().unwrap().answer(None).unwrap())]
}

/// The cells of csv; an empty one without quotes is null.
fn cells(csv: &str) -> Vec<Vec<Option<String>>> {
    let (mut rows, mut row, mut cell) = (Vec::new(), Vec::new(), None::<String>);
    let mut is_quoted = false;
    let mut letters = csv.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if is_quoted && letters.next_if_eq(&'"').is_some() => {
                cell.get_or_insert_default().push('"');
            }
            '"' => {
                is_quoted = !is_quoted;
                cell.get_or_insert_default();
            }
            ',' if !is_quoted => row.push(cell.take()),
            '\n' if !is_quoted => {
                row.push(cell.take());
                rows.push(std::mem::take(&mut row));
            }
            letter => cell.get_or_insert_default().push(letter),
        }
    }
    rows
}

/// Answers by their keys: the key as text, and the cells by the place of their columns.
fn by_key<'a>(
    rows: &'a [Vec<Option<String>>],
    keys: &[&str],
) -> BTreeMap<String, &'a [Option<String>]> {
    let header = &rows[0];
    let place =
        |key: &&str| header.iter().position(|title| title.as_deref() == Some(*key)).unwrap();
    let text = |row: &[Option<String>]| {
        let part = |key| format!("{key}={}", row[place(key)].clone().unwrap_or_default());
        keys.iter().map(part).collect::<Vec<_>>().join("; ")
    };
    rows[1..].iter().map(|row| (text(row), row.as_slice())).collect()
}

/// The comparison of two answers in csv, cell by cell.
fn naive(before: &str, after: &str, keys: &[&str]) -> Vec<Vec<Option<String>>> {
    let (before, after) = (cells(before), cells(after));
    let header = before[0].clone();
    assert_eq!(after[0], header);
    let (before, after) = (by_key(&before, keys), by_key(&after, keys));
    let all: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let mut found = Vec::new();
    for key in all {
        let (was, is) = (before.get(key), after.get(key));
        let change = match (was, is) {
            (Some(_), Some(_)) => "changed",
            (Some(_), None) => "removed",
            _ => "added",
        };
        for (place, title) in header.iter().enumerate() {
            if keys.iter().any(|key| title.as_deref() == Some(*key)) {
                continue;
            }
            let [was, is] = [was, is].map(|row| row.and_then(|row| row[place].clone()));
            if was == is {
                continue;
            }
            let number = |text: &Option<String>| text.as_ref()?.parse::<f64>().ok();
            let difference =
                number(&is).zip(number(&was)).map(|(is, was)| format!("{:?}", is - was));
            let key = Some(key.clone()).filter(|key| !key.is_empty());
            let change = Some(change.to_owned());
            found.push(vec![key, title.clone(), was, is, difference, change]);
        }
    }
    found
}

const STATES: [&str; 4] = ["Delivered", "Sent", "In Process", "Failed"];

/// An export of deployments: of each the flow, the day, the person and the status.
fn export(rows: &[(u8, u8, u8, usize)]) -> String {
    let row = |(flow, day, person, status): &(u8, u8, u8, usize)| {
        let status = STATES[*status];
        format!("{flow},1,2026-11-2{day}T10:00:00Z,{status},57300555010{person}\n")
    };
    DEPLOYMENTS.to_owned() + &rows.iter().map(row).collect::<String>()
}

fn rows() -> impl Strategy<Value = Vec<(u8, u8, u8, usize)>> {
    prop::collection::vec((7..9_u8, 0..4_u8, 0..6_u8, 0..4_usize), 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn comparison_is_the_naive_one_of_two_answers(one in rows(), other in rows()) {
        const QUERIES: [(&str, &[&str]); 5] = [
            ("delivery-rate", &["day"]),
            ("delivery-rate --by country,day", &["country", "day"]),
            ("failure-reasons", &["state", "status_detail"]),
            ("deployment-states --by day", &["day", "state"]),
            ("conversation-summary", &["conversation_id", "conversation_version"]),
        ];
        let bench = Bench::new();
        bench.load("one.csv", export(&one));
        let questions = QUERIES.map(|(line, keys)| (asked(line), keys));
        let before = questions.each_ref().map(|(question, _)| answered(&bench.lake(), question));
        bench.load("other.csv", export(&other));
        let lake = bench.lake();
        let newest = lake.snapshot(&deployments::TABLE).unwrap().version;
        for ((question, keys), before) in questions.iter().zip(&before) {
            let after = answered(&lake, question);
            let [found, why] = comparison(&lake, question, [0, newest.unwrap()]);
            prop_assert_eq!(cells(&found).split_off(1), naive(before, &after, keys));
            prop_assert_eq!(why == WHY, one_has_all(&one, &other), "{}", why);
            let same = comparison(&lake, question, [newest.unwrap(); 2]);
            prop_assert_eq!(same, [HEADER.to_owned(), WHY.to_owned()]);
            // Backwards, what came is gone.
            let [back, _] = comparison(&lake, question, [newest.unwrap(), 0]);
            prop_assert_eq!(cells(&back).split_off(1), naive(&after, before, keys));
        }
    }
}

/// Returns `true` if a load of the other rows changes nothing: each has a row of the same key that is as far
/// along.
fn one_has_all(one: &[(u8, u8, u8, usize)], other: &[(u8, u8, u8, usize)]) -> bool {
    // Of two settled states the greater text stays.
    let rank = |status: usize| match STATES[status] {
        "In Process" => (0, ""),
        "Sent" => (1, ""),
        settled => (2, settled),
    };
    other.iter().all(|(flow, day, person, status)| {
        let same = one.iter().filter(|row| (row.0, row.1, row.2) == (*flow, *day, *person));
        same.map(|row| rank(row.3)).max().is_some_and(|known| known >= rank(*status))
    })
}
