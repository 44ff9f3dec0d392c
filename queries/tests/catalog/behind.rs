//! The people behind a number are as many as the number says.

use polars::prelude::*;
use wabalake_data::tables::{USER_PHONE, deployments, messages, sessions};
use wabalake_queries::CATALOG;
use wabalake_queries::query::time::rfc3339;
use wabalake_queries::query::{CatalogEntry, Dimension, OutputColumn, Question, Tables};

use crate::fixtures;
use crate::golden::{ask, on_a_large_stack};

/// Rows of an answer whose people are asked for: of one that is not split, each with all of its counts, and
/// of a split one, each with one count after the other.
const MOST_ROWS: usize = 8;
const MOST_ROWS_OF_SPLIT: usize = 4;

/// Counts of distinct people, or of sessions that several rows name, in place of rows.
const NOT_OF_ROWS: [&str; 4] =
    ["total_users", "converted_sessions", "sessions_created", "replies_after"];

/// The fixtures without the rows of nobody.
fn with_people_only(entry: &CatalogEntry) -> Tables {
    fixtures::given().fold(Tables::new(), |tables, table| {
        let rows = fixtures::read(entry, table).lazy();
        let of_people = [&sessions::TABLE, &deployments::TABLE, &messages::TABLE].contains(&table);
        let rows = if of_people { rows.filter(col(USER_PHONE).is_not_null()) } else { rows };
        tables.with(table, rows)
    })
}

fn frame(question: &Question, tables: &Tables) -> DataFrame {
    let plan = question.plan(tables).unwrap();
    on_a_large_stack(|| plan.collect_with_engine(Engine::InMemory).unwrap().unwrap_single())
}

/// A value as csv prints it; empty for null.
fn printed(answer: &DataFrame, column: &str, row: usize) -> String {
    let cell = answer.column(column).unwrap().slice(i64::try_from(row).unwrap(), 1);
    let text = match cell.dtype() {
        DataType::Datetime(..) => {
            let written = cell.into_frame().lazy().select([rfc3339(col(column), chrono_tz::UTC)]);
            written.collect().unwrap().column(column).unwrap().clone()
        }
        _ => cell.cast(&DataType::String).unwrap(),
    };
    text.str().unwrap().get(0).unwrap_or_default().to_owned()
}

fn count(answer: &DataFrame, column: &str, row: usize) -> i64 {
    answer.column(column).unwrap().i64().unwrap().get(row).unwrap_or_default()
}

/// Adds the sessions that converted, if an answer has their share alone.
fn with_converted(answer: DataFrame) -> DataFrame {
    let has = |name| answer.column(name).is_ok();
    if has("converted_sessions") || !has("conversion_pct") || !has("sessions") {
        return answer;
    }
    let nearest = col("conversion_pct") * col("sessions") / lit(100.0) + lit(0.5);
    let converted = nearest.cast(DataType::Int64).alias("converted_sessions");
    answer.lazy().with_column(converted).collect().unwrap()
}

#[test]
fn each_cell_lists_the_people_that_it_counts() {
    let splits = [None, Some(Dimension::Day), Some(Dimension::Country), Some(Dimension::Tag)];
    let mut listed = 0;
    for entry in CATALOG.iter().filter(|entry| !entry.counts.is_empty()) {
        let tables = with_people_only(entry);
        for split in splits {
            let mut asked: Vec<String> = entry.needs().into_iter().map(str::to_owned).collect();
            if let Some(dimension) = split {
                asked.push(format!("--by={}", dimension.name()));
            }
            let known = |asked: &[String]| {
                entry.ask_for(asked, &wabalake_queries::query::Defaults::default()).is_ok()
            };
            if !known(&asked) {
                continue;
            }
            let question = ask(entry, &asked);
            let answer = with_converted(frame(&question, &tables));
            let key = question.key();
            let of_steps = answer.column("step_name").is_ok();
            let most = if split.is_none() { MOST_ROWS } else { MOST_ROWS_OF_SPLIT };
            for row in 0..answer.height().min(most) {
                let cells = key.iter().filter(|name| !of_steps || !name.starts_with("step"));
                let cells = cells.flat_map(|name| {
                    ["--cell".to_owned(), format!("{name}={}", printed(&answer, name, row))]
                });
                let cells: Vec<String> = cells.collect();
                let counts = entry.counts.iter().enumerate();
                let in_turn = counts
                    .filter(|(place, _)| split.is_none() || row % entry.counts.len() == *place);
                for (_, name) in in_turn {
                    let number = match of_steps {
                        true if printed(&answer, "step_name", row) == *name => {
                            count(&answer, "deployments", row)
                        }
                        true => continue,
                        false => count(&answer, name, row),
                    };
                    let flags = ["--people", "--with-people", "--in", name].map(str::to_owned);
                    let command = [&asked[..], &cells, &flags].concat();
                    let people = frame(&ask(entry, &command), &tables);
                    let persons = i64::try_from(people.height()).unwrap();
                    let rows: i64 =
                        people.column("rows").unwrap().i64().unwrap().iter().flatten().sum();
                    let of_rows = !NOT_OF_ROWS.contains(name);
                    assert!(
                        number == rows
                            || !of_rows && persons <= number && (number > 0) == (persons > 0),
                        "{} {command:?}: {number}\n{people}\n{answer}",
                        entry.spec.name
                    );
                    if name == &entry.counts[0] && answer.column("users").is_ok() {
                        let users = count(&answer, "users", row);
                        assert_eq!(users, persons, "{} {command:?}\n{people}", entry.spec.name);
                    }
                    listed += persons;
                }
            }
        }
    }
    assert!(listed > 500, "{listed}");
}

#[test]
fn people_are_named_only_if_it_is_allowed() {
    let entry = CATALOG.iter().find(|entry| entry.spec.name == "drop-off").unwrap();
    let defaults = wabalake_queries::query::Defaults::default();
    let refused = entry.ask_for(["--people"], &defaults).unwrap_err();
    assert!(refused.to_string().contains("names people"), "{refused}");
    assert!(entry.ask_for(["--people", "--with-people"], &defaults).is_ok());
    let allowed = wabalake_queries::query::Defaults { people_in_answers: true, ..defaults };
    let question = entry.ask_for(["--people"], &allowed).unwrap();
    assert!(question.columns().iter().any(OutputColumn::names_people));
    for wrong in ["share_pct=1", "day=2025-06-01", "conversation_id"] {
        let error = entry.ask_for(["--people", "--cell", wrong], &allowed).unwrap_err();
        assert!(error.to_string().contains("no such cell"), "{error}");
    }
    assert!(entry.ask_for(["--cell", "last_node_id=menu"], &allowed).is_err());
    assert!(entry.ask_for(["--people", "--cell", "conversation_version=x"], &allowed).is_err());
}
