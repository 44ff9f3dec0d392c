//! Columns that only the rows of an answer tell: a column of JSON objects becomes one for each name.
//!
//! ```text
//! variables                      var_city   var_plan
//! {"city":"Cali"}                Cali       –
//! {"city":null,"plan":"gold"}    –          gold
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::mem::take;
use std::sync::{Mutex, PoisonError};

use polars::prelude::{Column, DataFrame, IntoColumn as _, StringChunked};
use wabalake_queries::query::{OutputColumn, Question, Spread};

use crate::error::{Error, Result};

/// The first rows of a whole answer, by default all, and their columns: those of the question, or others in
/// place of the one that it [spreads](Question::spread). Their names are those among all rows.
///
/// # Errors
/// An answer to another question.
pub fn first_rows(
    question: &Question,
    rows: &DataFrame,
    limit: Option<usize>,
) -> Result<(DataFrame, Vec<OutputColumn>)> {
    let first = rows.head(limit.or(Some(usize::MAX)));
    match question.spread() {
        Some(spread) => wide(&first, question.columns(), spread, rows),
        None => Ok((first, question.columns())),
    }
}

/// A value with the number of its row.
type Placed = (usize, Option<String>);

fn wide(
    first: &DataFrame,
    columns: Vec<OutputColumn>,
    spread: Spread,
    rows: &DataFrame,
) -> Result<(DataFrame, Vec<OutputColumn>)> {
    let height = first.height();
    let mut named: BTreeMap<String, Vec<Placed>> = BTreeMap::new();
    for (row, object) in rows.column(spread.column)?.str()?.iter().enumerate() {
        for (name, value) in members(object.unwrap_or_default(), spread)? {
            let values = named.entry(name).or_default();
            if row < height {
                values.push((row, value));
            }
        }
    }
    let (mut shown, mut cells) = (Vec::new(), Vec::new());
    for column in columns {
        if column.name != spread.column {
            shown.push(column);
            cells.push(first.column(column.name)?.clone());
            continue;
        }
        for (name, values) in take(&mut named) {
            let name = interned(format!("{}{name}", spread.prefix));
            shown.push(OutputColumn { name, ..column });
            cells.push(texts(name, values, height));
        }
    }
    Ok((DataFrame::new(height, cells)?, shown))
}

/// The members of a JSON object whose values are texts or null.
pub(super) fn members(object: &str, spread: Spread) -> Result<BTreeMap<String, Option<String>>> {
    if object.is_empty() || object == "{}" {
        return Ok(BTreeMap::new());
    }
    serde_json::from_str(object).map_err(|_| {
        Error::bug(format!("the column `{}` has a text that is no JSON object", spread.column))
    })
}

/// A column of texts, of which those are given that are not null, in the order of their rows.
fn texts(name: &'static str, values: Vec<Placed>, height: usize) -> Column {
    let mut values = values.into_iter().peekable();
    let cells: StringChunked =
        (0..height).map(|row| values.next_if(|(at, _)| *at == row)?.1).collect();
    cells.with_name(name.into()).into_column()
}

/// The name of a column, which the process keeps: each is leaked once.
fn interned(name: String) -> &'static str {
    static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = names.get(name.as_str()).copied() {
        return known;
    }
    let name: &'static str = String::leak(name);
    names.insert(name);
    name
}

#[cfg(test)]
mod tests {
    use polars::prelude::df;

    use super::*;

    const SPREAD: Spread = Spread { column: "said", prefix: "var_", option: "--wide" };

    fn columns() -> Vec<OutputColumn> {
        vec![OutputColumn::term("id"), OutputColumn::written("said"), OutputColumn::count("n")]
    }

    #[test]
    fn names_of_all_rows_stand_in_place_of_the_objects_in_the_order_of_their_bytes() {
        let rows = df!(
            "id" => ["a", "b", "c", "d"],
            "said" => [
                Some(r#"{"city":"Cali","ñ":""}"#),
                Some("{}"),
                None,
                Some(r#"{"Z\"\u0001":null,"city":null}"#),
            ],
            "n" => [1_i64, 2, 3, 4],
        )
        .unwrap();
        for height in [0, 1, 4] {
            let first = rows.head(Some(height));
            let (answer, shown) = wide(&first, columns(), SPREAD, &rows).unwrap();
            let expected = df!(
                "id" => ["a", "b", "c", "d"],
                "var_Z\"\u{1}" => [None::<&str>, None, None, None],
                "var_city" => [Some("Cali"), None, None, None],
                "var_ñ" => [Some(""), None, None, None],
                "n" => [1_i64, 2, 3, 4],
            );
            assert!(answer.equals_missing(&expected.unwrap().head(Some(height))), "{answer}");
            let names: Vec<&str> = shown.iter().map(|column| column.name).collect();
            assert_eq!(names, ["id", "var_Z\"\u{1}", "var_city", "var_ñ", "n"]);
            assert_eq!(shown[1].meaning, columns()[1].meaning);
        }
    }

    #[test]
    fn rows_without_names_have_no_column() {
        let rows = df!("id" => ["a"], "said" => ["{}"], "n" => [1_i64]).unwrap();
        let (answer, shown) = wide(&rows, columns(), SPREAD, &rows).unwrap();
        assert_eq!((answer.width(), shown.len()), (2, 2));
    }

    #[test]
    fn texts_that_are_no_objects_are_a_bug() {
        for text in ["[]", "{\"a\":1}", "x"] {
            let rows = df!("id" => ["a"], "said" => [text], "n" => [1_i64]).unwrap();
            assert_eq!(wide(&rows, columns(), SPREAD, &rows).unwrap_err().exit_code(), 3, "{text}");
        }
    }
}
