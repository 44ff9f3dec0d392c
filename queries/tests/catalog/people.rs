//! Questions about people: the rows of others do not change the answer.

use polars::prelude::*;
use wabalake_data::tables::{SESSION_KEY, USER_ID, USER_KEY, persons, sessions, text_key};
use wabalake_queries::CATALOG;
use wabalake_queries::query::{CatalogEntry, Question, Tables};

use crate::fixtures::{given, read};
use crate::golden::{answer, ask, cases, lines, of_fixtures};

fn one_of(column: &str, keys: &[i64]) -> Expr {
    let keys = Series::new(column.into(), keys);
    col(column).is_in(lit(keys).implode(true), false).fill_null(lit(false))
}

fn keys(rows: LazyFrame, column: &str) -> Vec<i64> {
    let rows = rows.select([col(column)]).collect().unwrap();
    rows.column(column).unwrap().i64().unwrap().iter().flatten().collect()
}

/// The fixtures without the rows of others, and the number of rows that were dropped.
fn of_people(entry: &CatalogEntry, question: &Question) -> (Tables, usize) {
    let mut people = question.people();
    let linked = read(entry, &persons::TABLE);
    let [ids, of] =
        [USER_ID, persons::PERSON].map(|name| linked.column(name).unwrap().str().unwrap());
    let theirs =
        ids.iter().zip(of.iter()).filter(|(id, _)| people.iter().any(|p| Some(p.as_str()) == *id));
    let theirs: Vec<String> = theirs.filter_map(|(_, person)| person.map(str::to_owned)).collect();
    people.extend(theirs);
    let users: Vec<i64> = people.iter().map(|person| text_key(person)).collect();
    let own = read(entry, &sessions::TABLE).lazy().filter(one_of(USER_KEY, &users));
    let own = keys(own, SESSION_KEY);
    let mut dropped = 0;
    let mut few = Tables::new();
    for table in given() {
        let all = read(entry, table);
        let rows = match table.person_keys() {
            [] => all.clone(),
            [_] => all.clone().lazy().filter(one_of(USER_KEY, &users)).collect().unwrap(),
            _ => {
                let is_theirs = one_of(USER_KEY, &users).or(one_of(SESSION_KEY, &own));
                all.clone().lazy().filter(is_theirs).collect().unwrap()
            }
        };
        if entry.spec.reads.contains(&table) {
            dropped += all.height() - rows.height();
        }
        few = few.with(table, rows.lazy());
    }
    (few, dropped)
}

#[test]
fn rows_of_others_do_not_change_an_answer_about_people() {
    let mut asked = 0;
    for entry in CATALOG {
        for case in cases(entry) {
            let question = ask(entry, &case.arguments);
            if question.people().is_empty() {
                continue;
            }
            let (few, dropped) = of_people(entry, &question);
            let all = lines(&of_fixtures(entry, &case.arguments));
            assert_eq!(answer(&question, &few), all, "{} {:?}", entry.spec.name, case.arguments);
            asked += usize::from(dropped > 0);
        }
    }
    assert!(asked > 2, "no golden case is about people");
}
