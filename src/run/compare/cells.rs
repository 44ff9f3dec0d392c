//! The cells in which rows of two answers differ.

use std::collections::BTreeMap;

use chrono_tz::Tz;
use polars::prelude::{Column, DataFrame};
use wabalake_queries::query::{OutputColumn, Question, Spread};

use super::{AFTER, BEFORE, IS, KEY, WAS, numbered};
use crate::error::Result;
use crate::render::{Cells, Value, write_decimal};
use crate::run::spread::members;

/// The name of the column in which rows differ.
const COLUMN: &str = "column";
/// The second number without the first.
const DIFFERENCE: &str = "difference";
/// What became of the row: see [`Change`].
const CHANGE: &str = "change";

/// The columns of the comparison of answers that have these columns.
pub(super) fn columns(keys: &[OutputColumn], others: &[OutputColumn]) -> [OutputColumn; 6] {
    let text = |name: &'static str, shown: &[OutputColumn]| {
        let names_people = shown.iter().any(OutputColumn::names_people);
        if names_people { OutputColumn::person(name) } else { OutputColumn::term(name) }
    };
    [
        text(KEY, keys),
        OutputColumn::term(COLUMN),
        text(BEFORE, others),
        text(AFTER, others),
        OutputColumn::number(DIFFERENCE),
        OutputColumn::word(CHANGE),
    ]
}

/// What became of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Added,
    Removed,
    Changed,
}

impl Change {
    fn name(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
        }
    }
}

/// Makes a row for each cell that differs.
#[derive(Clone, Debug)]
pub(super) struct DifferingCells {
    /// The columns of the answer outside its key.
    columns: Vec<OutputColumn>,
    spread: Option<Spread>,
    zone: Tz,
}

impl DifferingCells {
    pub(super) fn of(question: &Question, columns: Vec<OutputColumn>) -> Self {
        Self { columns, spread: question.spread(), zone: question.timezone() }
    }

    /// The time zone in which instants are shown.
    pub(super) fn zone(&self) -> Tz {
        self.zone
    }

    /// The cells in which joined rows differ. A row that is on one side only, where it has no value outside its
    /// key, has one line without a column.
    pub(super) fn of_rows(&self, rows: &DataFrame) -> Result<DataFrame> {
        let cells = |side: &str, place: usize| -> Result<Cells> {
            Ok(Cells::of(rows.column(&numbered(side, place))?, self.zone)?)
        };
        let mut sides = Vec::new();
        for place in 0..self.columns.len() {
            sides.push((cells(BEFORE, place)?, cells(AFTER, place)?));
        }
        let keys = rows.column(KEY)?.as_materialized_series().rechunk();
        let keys = keys.str()?;
        let (was, is) = (rows.column(WAS)?.is_not_null(), rows.column(IS)?.is_not_null());
        let mut found = Found::default();
        for row in 0..rows.height() {
            let change = match (was.get(row), is.get(row)) {
                (Some(true), Some(true)) => Change::Changed,
                (Some(true), _) => Change::Removed,
                _ => Change::Added,
            };
            found.begin(keys.get(row), change);
            for (column, (before, after)) in self.columns.iter().zip(&sides) {
                let (before, after) = (before.get(row), after.get(row));
                match self.spread.filter(|spread| spread.column == column.name) {
                    Some(spread) => found.add_members(spread, before, after)?,
                    None => {
                        let texts = [text(before), text(after)];
                        found.add(column.name, texts, || difference(before, after));
                    }
                }
            }
            found.end();
        }
        found.frame()
    }
}

/// The cells found so far.
#[derive(Default)]
struct Found<'r> {
    row: Option<(Option<&'r str>, Change)>,
    /// `true` if a cell of the row was found.
    has_cell: bool,
    keys: Vec<Option<&'r str>>,
    columns: Vec<Option<String>>,
    before: Vec<Option<String>>,
    after: Vec<Option<String>>,
    differences: Vec<Option<f64>>,
    changes: Vec<&'static str>,
}

impl<'r> Found<'r> {
    /// Begins a row.
    fn begin(&mut self, key: Option<&'r str>, change: Change) {
        self.row = Some((key, change));
        self.has_cell = false;
    }

    /// Adds a cell of the row, if its texts differ.
    fn add(
        &mut self,
        column: &str,
        texts: [Option<String>; 2],
        difference: impl FnOnce() -> Option<f64>,
    ) {
        if texts[0] != texts[1] {
            self.push(Some(column.to_owned()), texts, difference());
        }
    }

    /// Adds the members of JSON objects that differ, each as a cell.
    fn add_members(&mut self, spread: Spread, before: Value<'_>, after: Value<'_>) -> Result<()> {
        let mut named: BTreeMap<String, [Option<String>; 2]> = BTreeMap::new();
        for (side, object) in [before, after].into_iter().enumerate() {
            let Value::Text(object) = object else { continue };
            for (name, value) in members(object, spread)? {
                named.entry(name).or_default()[side] = value;
            }
        }
        for (name, texts) in named {
            self.add(&format!("{}{name}", spread.prefix), texts, || None);
        }
        Ok(())
    }

    /// Ends a row: that it came or went is told even without a cell.
    fn end(&mut self) {
        let is_told = self.has_cell || self.row.is_none_or(|(_, change)| change == Change::Changed);
        if !is_told {
            self.push(None, [None, None], None);
        }
    }

    fn push(
        &mut self,
        column: Option<String>,
        [before, after]: [Option<String>; 2],
        difference: Option<f64>,
    ) {
        let Some((key, change)) = self.row else { return };
        self.has_cell = true;
        self.keys.push(key);
        self.columns.push(column);
        self.before.push(before);
        self.after.push(after);
        self.differences.push(difference);
        self.changes.push(change.name());
    }

    fn frame(self) -> Result<DataFrame> {
        let columns = vec![
            Column::new(KEY.into(), self.keys),
            Column::new(COLUMN.into(), self.columns),
            Column::new(BEFORE.into(), self.before),
            Column::new(AFTER.into(), self.after),
            Column::new(DIFFERENCE.into(), self.differences),
            Column::new(CHANGE.into(), self.changes),
        ];
        Ok(DataFrame::new_infer_height(columns)?)
    }
}

/// The text of a cell, as csv has it without quotes; `None` for null.
fn text(value: Value<'_>) -> Option<String> {
    if matches!(value, Value::Null) {
        return None;
    }
    let mut text = String::new();
    value.write(&mut text);
    Some(text)
}

/// The second number without the first; `None` unless both are numbers. Whole numbers and amounts are exact
/// before they become a float.
fn difference(before: Value<'_>, after: Value<'_>) -> Option<f64> {
    match (before, after) {
        (Value::Integer(before), Value::Integer(after)) => {
            (i128::from(after) - i128::from(before)).to_string().parse().ok()
        }
        (Value::Float(before), Value::Float(after)) => Some(after - before),
        (Value::Decimal(before, scale), Value::Decimal(after, _)) => {
            let mut text = String::new();
            write_decimal(after.checked_sub(before)?, scale, 0, &mut text);
            text.parse().ok()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn difference_is_of_numbers_alone_and_exact() {
        assert_eq!(difference(Value::Integer(90), Value::Integer(95)), Some(5.0));
        let (least, most) = (Value::Integer(i64::MIN), Value::Integer(i64::MAX));
        assert_eq!(difference(least, most), Some(u64::MAX as f64));
        let amount = |units| Value::Decimal(units, 6);
        assert_eq!(difference(amount(100_000), amount(300_000)), Some(0.2));
        assert_eq!(difference(Value::Float(0.1), Value::Float(0.3)), Some(0.3 - 0.1));
        assert_eq!(difference(Value::Null, Value::Integer(1)), None);
        assert_eq!(difference(Value::Text("1"), Value::Text("2")), None);
    }

    #[test]
    fn empty_text_differs_from_null() {
        let mut found = Found::default();
        found.begin(Some("id=1"), Change::Changed);
        found.add("a", [text(Value::Text("")), text(Value::Null)], || None);
        found.add("b", [text(Value::Boolean(true)), text(Value::Boolean(true))], || None);
        found.end();
        let frame = found.frame().unwrap();
        assert_eq!(frame.height(), 1);
        assert_eq!(frame.column(BEFORE).unwrap().str().unwrap().get(0), Some(""));
        assert_eq!(frame.column(AFTER).unwrap().str().unwrap().get(0), None);
    }

    #[test]
    fn row_without_a_value_is_told_if_it_came_or_went() {
        for (change, lines) in [(Change::Added, 1), (Change::Removed, 1), (Change::Changed, 0)] {
            let mut found = Found::default();
            found.begin(Some("id=1"), change);
            found.add("a", [None, None], || None);
            found.end();
            assert_eq!(found.frame().unwrap().height(), lines, "{change:?}");
        }
    }

    #[test]
    fn members_of_objects_are_cells() {
        let spread = Spread { column: "said", prefix: "var_", option: "--wide" };
        let mut found = Found::default();
        found.begin(None, Change::Changed);
        let [before, after] = [r#"{"a":"1","b":"2"}"#, r#"{"b":"2","c":"3"}"#].map(Value::Text);
        found.add_members(spread, before, after).unwrap();
        let frame = found.frame().unwrap();
        let column = frame.column(COLUMN).unwrap().str().unwrap();
        assert_eq!(column.iter().flatten().collect::<Vec<_>>(), ["var_a", "var_c"]);
    }
}
