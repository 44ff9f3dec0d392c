//! Compares the answers to a question by two versions of the tables.
//!
//! ```text
//! by the tables as they were   day=2026-11-27   delivered 90   in_process 10
//! by the tables as they are    day=2026-11-27   delivered 95   in_process  5
//!   │ joined by key, the rows that differ
//!   ▼ cells that differ        day=2026-11-27   delivered    90   95    5.0   changed
//!                              day=2026-11-27   in_process   10    5   -5.0   changed
//! ```
//!
//! One answer is in memory, the other one streams past it, and of both only the rows that differ stay. They
//! are two plans: in one, the optimiser would take nodes of one name for the same, although tables of
//! different versions lie behind them. Answers that list the rows of a large table are compared in parts.
//!
//! [`Comparison::why`] compares the tables themselves.

mod cells;
mod side;
mod why;

use std::collections::BTreeMap;

use chrono::NaiveDate;
use polars::prelude::{
    Column, DataFrame, DataType, Expr, Field, IntoColumn as _, IntoLazy, JoinArgs, JoinCoalesce,
    JoinType, LazyFrame, Schema, SortMultipleOptions, StringChunked, UnionArgs, col, concat, lit,
};
use wabalake_data::Table;
use wabalake_data::tables::{identities, persons};
use wabalake_queries::query::time::Span;
use wabalake_queries::query::{OutputColumn, Question, Tables};

use self::cells::DifferingCells;
use self::side::Side;
pub use self::why::Why;
use crate::error::{Error, Result};
use crate::lake::{AsOf, Lake};
use crate::render::{Answer, Cells, key_text};
use crate::run::polars::{collect, parts};

/// An option that names a version of the tables, and its value.
#[derive(Clone, Debug)]
pub struct AsOfOption {
    /// Its name, such as `--as-of`.
    pub option: &'static str,
    /// The version of the tables.
    pub as_of: AsOf,
}

/// A question, and two versions of the tables to answer it by.
#[derive(Debug)]
pub struct Comparison<'l> {
    question: &'l Question,
    before: Side<'l>,
    after: Side<'l>,
}

/// The key of a row, as `name=value` joined by `; `.
const KEY: &str = "key";
/// True in rows of the answer before; null in others.
const WAS: &str = "was";
/// True in rows of the answer after; null in others.
const IS: &str = "is";
/// The name of each side's columns, before their number.
const BEFORE: &str = "before";
const AFTER: &str = "after";
/// The join key of an answer without a key, which has one row.
const NO_KEY: &str = "no_key";

/// The number of rows whose cells are made at once.
const ROWS: usize = 1 << 14;

impl<'l> Comparison<'l> {
    /// Pins both versions of the tables, and checks that their files are kept.
    ///
    /// # Errors
    /// A version that does not exist, or whose files were deleted; versions of tables that do not matter.
    pub fn of(
        lake: &'l Lake,
        question: &'l Question,
        before: AsOfOption,
        after: AsOfOption,
    ) -> Result<Self> {
        for asked in [&before, &after] {
            check_names(question, asked)?;
        }
        let [before, after] = [before, after].map(|asked| Side::of(lake, asked));
        for side in [&before, &after] {
            side.check(question, &question.reads())?;
        }
        Ok(Self { question, before, after })
    }

    /// The rows of the answers that differ.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn differences(&self) -> Result<Differences> {
        let found = self.differing().map_err(|error| self.explained(error))?;
        Differences::of(self.question, found)
    }

    /// Names deleted files of `identities` as the cause of an error: only some rows need them.
    fn explained(&self, error: Error) -> Error {
        if error.may_be_damage() {
            for side in [&self.before, &self.after] {
                if let Err(gone) = side.check(self.question, &[&identities::TABLE]) {
                    return gone;
                }
            }
        }
        error
    }

    fn differing(&self) -> Result<DataFrame> {
        let layout = Layout::of(self.question);
        let mut rows = layout.empty();
        if self.are_the_same()? {
            return Ok(rows);
        }
        let (before, after) = (self.before.scans(self.question)?, self.after.scans(self.question)?);
        let parts = self.parts()?;
        for part in &parts {
            let before = collect(self.answer(&before, *part)?, self.question)?;
            let before = layout.side(before.lazy(), BEFORE, WAS);
            let after = layout.side(self.answer(&after, *part)?, AFTER, IS);
            rows.vstack_mut(&collect(layout.joined(before, after), self.question)?)?;
        }
        if parts.len() > 1 {
            rows = collect(layout.joined_again(rows)?, self.question)?;
        }
        Ok(rows)
    }

    /// Returns `true` if both answers are by the same files.
    fn are_the_same(&self) -> Result<bool> {
        for table in depends_on(self.question) {
            let before = self.before.fingerprint(table)?;
            if !before.matches(&self.after.fingerprint(table)?) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The intervals of the listed table's time that are compared one by one; `None` for the whole answer.
    fn parts(&self) -> Result<Vec<Part>> {
        let Some(table) = self.question.listed() else { return Ok(vec![None]) };
        let mut rows: BTreeMap<NaiveDate, u64> = BTreeMap::new();
        for side in [&self.before, &self.after] {
            let pinned = side.table(table)?;
            let range = self.question.instants(table);
            for file in pinned.snapshot.files_in_range(table.day_of, range) {
                if let Some(day) = file.day {
                    *rows.entry(day).or_default() += file.rows;
                }
            }
        }
        Ok(parts(&rows).into_iter().map(|within| Some((table, within))).collect())
    }

    /// The plan of a part of an answer.
    fn answer(&self, tables: &Tables, part: Part) -> Result<LazyFrame> {
        Ok(match part {
            Some((table, within)) => {
                let scan = within.scan(tables, table);
                self.question.unsorted(&tables.clone().with(table, scan))?
            }
            None => self.question.unsorted(tables)?,
        })
    }
}

/// An interval of a table's time; `None` for all.
type Part = Option<(&'static Table, Span)>;

/// The tables that an answer depends on, by name. Identities say whom rows are about.
fn depends_on(question: &Question) -> Vec<&'static Table> {
    let mut tables = question.reads();
    if tables.iter().any(|table| table.has_people() || **table == persons::TABLE) {
        tables.push(&identities::TABLE);
    }
    tables.retain(|table| **table != persons::TABLE);
    tables.sort_unstable_by_key(|table| table.name);
    tables.dedup();
    tables
}

/// Checks that an option with versions names a table that matters.
fn check_names(question: &Question, asked: &AsOfOption) -> Result<()> {
    let AsOf::Versions(versions) = &asked.as_of else { return Ok(()) };
    let tables = depends_on(question);
    if tables.iter().any(|table| versions.contains_key(table.name)) {
        return Ok(());
    }
    let (option, name) = (asked.option, question.spec().name);
    let names: Vec<&str> = tables.iter().map(|table| table.name).collect();
    Err(Error::usage(format!("`{option}` names no table that `{name}` reads"))
        .hint(format!("it reads {}", wabalake_data::words::listed(&names))))
}

/// The columns of an answer: those of its key, and the others.
struct Layout {
    keys: Vec<OutputColumn>,
    others: Vec<OutputColumn>,
}

impl Layout {
    fn of(question: &Question) -> Self {
        let key = question.key();
        let (keys, others): (Vec<_>, Vec<_>) =
            question.columns().into_iter().partition(|column| key.contains(&column.name));
        // In the order of the key, not of the answer.
        let column = |name: &&str| keys.iter().find(|column| column.name == *name).copied();
        let keys = key.iter().filter_map(column).collect();
        Self { keys, others }
    }

    /// The names of the key's columns in a join.
    fn key_names(&self) -> Vec<String> {
        match self.keys.len() {
            0 => vec![NO_KEY.to_owned()],
            keys => (0..keys).map(|place| numbered(KEY, place)).collect(),
        }
    }

    /// The names of the columns of one side in a join, its mark last.
    fn side_names(&self, side: &str, mark: &str) -> Vec<String> {
        let others = (0..self.others.len()).map(|place| numbered(side, place));
        others.chain([mark.to_owned()]).collect()
    }

    /// The rows of an answer with the names that they have in a join, and a mark.
    fn side(&self, answer: LazyFrame, side: &str, mark: &str) -> LazyFrame {
        let keys = self.keys.iter().zip(self.key_names());
        let others = self.others.iter().zip(self.side_names(side, mark));
        let renamed = keys.chain(others).map(|(column, name)| col(column.name).alias(name));
        let rows = answer.select(renamed.collect::<Vec<_>>());
        let rows = rows.with_column(lit(true).alias(mark));
        if self.keys.is_empty() { rows.with_column(lit(0_i32).alias(NO_KEY)) } else { rows }
    }

    /// The full join of both sides: the rows that are on one side only, or have other values.
    fn joined(&self, before: LazyFrame, after: LazyFrame) -> LazyFrame {
        let full = JoinArgs {
            coalesce: JoinCoalesce::CoalesceColumns,
            nulls_equal: true,
            ..JoinArgs::new(JoinType::Full)
        };
        let on = columns(&self.key_names());
        let other = (0..self.others.len()).map(|place| {
            let [before, after] = [BEFORE, AFTER].map(|side| col(numbered(side, place)));
            before.neq_missing(after)
        });
        let alone = col(WAS).is_null().or(col(IS).is_null());
        let rows = before.join(after, &on, &on, full).filter(other.fold(alone, Expr::or));
        rows.select(columns(&self.names()))
    }

    /// Joins rows that moved from one part to another: each is on one side only, in both.
    fn joined_again(&self, rows: DataFrame) -> Result<LazyFrame> {
        let rows = rows.lazy();
        let alone = |mark: &str, side: &str, other: &str| {
            let names = [self.key_names(), self.side_names(side, mark)].concat();
            rows.clone().filter(col(other).is_null()).select(columns(&names))
        };
        let moved = self.joined(alone(WAS, BEFORE, IS), alone(IS, AFTER, WAS));
        let both = rows.clone().filter(col(WAS).is_not_null().and(col(IS).is_not_null()));
        Ok(concat([both, moved], UnionArgs::default())?)
    }

    /// The columns of a join.
    fn names(&self) -> Vec<String> {
        let sides = [self.side_names(BEFORE, WAS), self.side_names(AFTER, IS)];
        [self.key_names(), sides.concat()].concat()
    }

    /// A join without rows.
    fn empty(&self) -> DataFrame {
        let types = |columns: &[OutputColumn]| -> Vec<DataType> {
            columns.iter().map(|column| column.of.data_type()).collect()
        };
        let keys = if self.keys.is_empty() { vec![DataType::Int32] } else { types(&self.keys) };
        let side = [types(&self.others), vec![DataType::Boolean]].concat();
        let types = [keys, side.clone(), side].concat();
        let fields = self.names().into_iter().zip(types);
        let fields = fields.map(|(name, data_type)| Field::new(name.into(), data_type));
        DataFrame::empty_with_schema(&fields.collect::<Schema>())
    }
}

fn numbered(name: &str, place: usize) -> String {
    format!("{name}_{place}")
}

fn columns(names: &[String]) -> Vec<Expr> {
    names.iter().map(|name| col(name.as_str())).collect()
}

/// The rows of two answers that differ, in the order of their keys.
pub struct Differences {
    /// The key as text, and the columns of both sides.
    rows: DataFrame,
    cells: DifferingCells,
    columns: Vec<OutputColumn>,
}

impl Differences {
    fn of(question: &Question, mut rows: DataFrame) -> Result<Self> {
        let layout = Layout::of(question);
        let texts = key_texts(&layout, &rows, question)?;
        rows.with_column(texts)?;
        let order = [vec![KEY.to_owned()], layout.key_names()].concat();
        let rows = rows.sort(order, SortMultipleOptions::default().with_nulls_last(true))?;
        let sides = [layout.side_names(BEFORE, WAS), layout.side_names(AFTER, IS)].concat();
        let rows = rows.select([KEY.to_owned()].into_iter().chain(sides))?;
        let columns = cells::columns(&layout.keys, &layout.others).to_vec();
        Ok(Self { rows, cells: DifferingCells::of(question, layout.others), columns })
    }

    /// Returns `true` if no cell differs.
    ///
    /// # Errors
    /// A text that should be a JSON object.
    pub fn is_empty(&self) -> Result<bool> {
        for rows in self.batches() {
            if self.cells.of_rows(&rows)?.height() > 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The cells that differ, at most `limit` of them.
    ///
    /// # Errors
    /// A text that should be a JSON object.
    pub fn answer(self, limit: Option<usize>) -> Result<Answer> {
        let zone = self.cells.zone();
        let Some(limit) = limit else {
            let plans: Vec<LazyFrame> = self.batches().map(IntoLazy::lazy).collect();
            let Self { cells, columns, .. } = self;
            let made = move |plan: LazyFrame| cells.of_rows(&plan.collect()?);
            return Ok(Answer::planned(plans, made, columns, zone));
        };
        let mut first = self.cells.of_rows(&self.rows.head(Some(0)))?;
        for rows in self.batches() {
            if first.height() >= limit {
                break;
            }
            first.vstack_mut(&self.cells.of_rows(&rows)?)?;
        }
        Ok(Answer::new(&first.head(Some(limit)), self.columns, zone)?)
    }

    /// The rows in batches, of which there is at least one.
    fn batches(&self) -> impl Iterator<Item = DataFrame> {
        let starts = (0..self.rows.height().max(1)).step_by(ROWS);
        starts.map(|start| self.rows.slice(i64::try_from(start).unwrap_or(i64::MAX), ROWS))
    }
}

/// The key of each row as text; null for an answer without a key.
fn key_texts(layout: &Layout, rows: &DataFrame, question: &Question) -> Result<Column> {
    let mut keys = Vec::new();
    for (column, name) in layout.keys.iter().zip(layout.key_names()) {
        keys.push((column.name, Cells::of(rows.column(&name)?, question.timezone())?));
    }
    let text = |row: usize| (!keys.is_empty()).then(|| key_text(&keys, row));
    let texts: StringChunked = (0..rows.height()).map(text).collect();
    Ok(texts.with_name(KEY.into()).into_column())
}

#[cfg(test)]
mod tests {
    use polars::prelude::df;

    use super::*;
    use crate::run::polars::collect_of;

    fn joined(layout: &Layout, before: DataFrame, after: DataFrame) -> DataFrame {
        let before = layout.side(before.lazy(), BEFORE, WAS);
        let after = layout.side(after.lazy(), AFTER, IS);
        collect_of(layout.joined(before, after), "a test").unwrap()
    }

    #[test]
    fn answer_without_a_key_is_one_row() {
        let layout = Layout { keys: Vec::new(), others: vec![OutputColumn::count("n")] };
        let of = |number: i64| df!["n" => [number]].unwrap();
        let rows = joined(&layout, of(1), of(2));
        assert_eq!(rows.height(), 1);
        assert_eq!(rows.schema(), layout.empty().schema());
        assert_eq!(joined(&layout, of(1), of(1)).height(), 0);
    }

    #[test]
    fn row_that_moved_to_another_part_has_changed() {
        let (keys, others) = (vec![OutputColumn::term("id")], vec![OutputColumn::count("n")]);
        let layout = Layout { keys, others };
        let rows =
            |ids: Vec<Option<&str>>, numbers: Vec<i64>| df!["id" => ids, "n" => numbers].unwrap();
        let mut found = layout.empty();
        for [before, after] in [
            [rows(vec![Some("a"), None], vec![1, 2]), rows(vec![None], vec![2])],
            [rows(vec![], vec![]), rows(vec![Some("a"), Some("c")], vec![5, 1])],
        ] {
            found.vstack_mut(&joined(&layout, before, after)).unwrap();
        }
        let found = collect_of(layout.joined_again(found).unwrap(), "a test").unwrap();
        let found = found.sort(["key_0"], SortMultipleOptions::default()).unwrap();
        let expected = df![
            "key_0" => ["a", "c"],
            "before_0" => [Some(1_i64), None],
            "was" => [Some(true), None],
            "after_0" => [5_i64, 1],
            "is" => [true, true],
        ];
        assert!(found.equals_missing(&expected.unwrap()), "{found}");
    }
}
