//! The rows of the tables that changed between two versions, by day, and the files that were loaded.
//!
//! ```text
//! sessions, before    06-01/a  06-02/b
//! sessions, after     06-01/a  06-02/c            only the rows of b and c are read
//!   │ joined by key
//!   ▼ changed rows    2025-06-02   1 added, 3 changed, 0 removed   june.csv
//! ```
//!
//! Rows are compared as they are stored. A row outside `--from` and `--to` is none of the table that they
//! restrict, so a row that moved into the range is added.

use std::collections::HashSet;

use chrono_tz::Tz;
use polars::prelude::{
    Column, DataFrame, DataType, Expr, IntoLazy as _, JoinArgs, JoinCoalesce, JoinType, LazyFrame,
    NULL, SortMultipleOptions, coalesce, col, lit,
};
use wabalake_data::tables::{key_part, loads};
use wabalake_data::{Column as TableColumn, Table};
use wabalake_queries::coverage::local_day;
use wabalake_queries::kernels::key_of;
use wabalake_queries::query::time::Span;
use wabalake_queries::query::{OutputColumn, Question};

use super::{AFTER, BEFORE, Comparison, IS, WAS, columns, depends_on, numbered};
use crate::error::Result;
use crate::lake::{DataFile, Snapshot};
use crate::render::Answer;
use crate::run::polars::collect;

const TABLE: &str = "table";
const DAY: &str = "day";
const ADDED: &str = "rows_added";
const CHANGED: &str = "rows_changed";
const REMOVED: &str = "rows_removed";
const FILES: &str = "files";

const COLUMNS: [OutputColumn; 6] = [
    OutputColumn::term(TABLE),
    OutputColumn::date(DAY),
    OutputColumn::count(ADDED),
    OutputColumn::count(CHANGED),
    OutputColumn::count(REMOVED),
    OutputColumn::term(FILES),
];

/// The columns of a join: a part of the key, and of each side the day and the hash of the other values.
const KEY_PART: &str = "key";
const HASH: &str = "hash";

/// The changed rows of the tables that a question reads.
pub struct Why {
    rows: DataFrame,
    columns: Vec<OutputColumn>,
    zone: Tz,
}

impl Why {
    /// Returns `true` if no row changed.
    pub fn is_empty(&self) -> bool {
        self.rows.height() == 0
    }

    /// The rows, at most `limit` of them.
    ///
    /// # Errors
    /// Those of [`Answer::new`].
    pub fn answer(self, limit: Option<usize>) -> Result<Answer> {
        let first = self.rows.head(limit.or(Some(usize::MAX)));
        Ok(Answer::new(&first, self.columns, self.zone)?)
    }
}

impl Comparison<'_> {
    /// The rows of the tables that were added, changed and removed, by table and local date, and the files
    /// that were loaded meanwhile.
    ///
    /// # Errors
    /// A file or log that cannot be read.
    pub fn why(&self) -> Result<Why> {
        let tables = depends_on(self.question);
        for side in [&self.before, &self.after] {
            side.check(self.question, &tables)?;
        }
        let mut rows = empty()?;
        for table in tables {
            if let Some(changed) = self.changes_of(table)? {
                rows.vstack_mut(&changed)?;
            }
        }
        rows.rechunk_mut();
        Ok(Why { rows, columns: COLUMNS.to_vec(), zone: self.question.timezone() })
    }

    /// The changed rows of one table; `None` if its files did not change.
    fn changes_of(&self, table: &'static Table) -> Result<Option<DataFrame>> {
        let (before, after, files) = if *table == loads::TABLE {
            (self.before.loads()?.lazy(), self.after.loads()?.lazy(), None)
        } else {
            let (before, after) = (self.before.table(table)?, self.after.table(table)?);
            let (before, after) = (&before.snapshot, &after.snapshot);
            let removed = not_in(before, after, table, self.question);
            let added = not_in(after, before, table, self.question);
            if removed.is_empty() && added.is_empty() {
                return Ok(None);
            }
            let versions = (before.version.min(after.version), before.version.max(after.version));
            let files = self.before.lake().files_loaded(table, versions.0, versions.1)?;
            let files: Vec<String> = files.into_iter().collect();
            let files = (!files.is_empty()).then(|| files.join("+"));
            (before.scan_files(&removed)?, after.scan_files(&added)?, files)
        };
        let sides = [(before, BEFORE, WAS), (after, AFTER, IS)];
        let [before, after] = sides.map(|(rows, name, mark)| {
            let rows = match within(table, self.question) {
                Some(within) => rows.filter(within),
                None => rows,
            };
            side(table, self.question, rows, name, mark)
        });
        let files = match files {
            Some(files) => lit(files),
            None => lit(NULL).cast(DataType::String),
        };
        let described = [lit(table.name).alias(TABLE), files.alias(FILES)];
        let names = COLUMNS.map(|column| column.name.to_owned());
        let changed = changed_rows(table, before, after).with_columns(described);
        let changed = collect(changed.select(columns(&names)), self.question)?;
        let order = SortMultipleOptions::default().with_nulls_last(true);
        Ok(Some(changed.sort([DAY], order)?))
    }
}

/// The files of a snapshot, as far as a question reads them, that another one does not have.
fn not_in<'s>(
    snapshot: &'s Snapshot,
    other: &Snapshot,
    table: &Table,
    question: &Question,
) -> Vec<&'s DataFile> {
    let there: HashSet<&str> = other.files.iter().map(|file| file.path.as_str()).collect();
    let mut files = snapshot.files_in_range(table.day_of, question.instants(table));
    files.retain(|file| !there.contains(file.path.as_str()));
    files
}

/// Predicate: a row is in the question's range. `None` if every row of the table is.
fn within(table: &Table, question: &Question) -> Option<Expr> {
    let (from, until) = question.instants(table);
    Span { from, until, timezone: question.timezone() }.holds(&col(table.day_of))
}

/// The rows of one side: the parts of the key, the local date, and a hash of all other values.
fn side(
    table: &'static Table,
    question: &Question,
    rows: LazyFrame,
    name: &str,
    mark: &str,
) -> LazyFrame {
    let keys = table.key.iter().enumerate();
    let keys = keys.map(|(place, part)| key_part(part).alias(numbered(KEY_PART, place)));
    let others = table.columns.iter().chain(table.internal);
    let others = others.filter(|column| !table.key.contains(&column.name));
    let others: Vec<Expr> = others.map(hashable).collect();
    let hash = if others.is_empty() { lit(0_i64) } else { key_of(&others) };
    let day = local_day(table, question.timezone());
    let named = |of: &str| format!("{of}_{name}");
    let columns = keys.chain([day.alias(named(DAY)), hash.alias(named(HASH))]);
    rows.select(columns.collect::<Vec<_>>()).with_column(lit(true).alias(mark))
}

/// A column as [`key_of`] takes it: a text, or at most 64 bits wide.
fn hashable(column: &TableColumn) -> Expr {
    match column.data_type() {
        DataType::Float64 | DataType::Decimal(..) => col(column.name).cast(DataType::String),
        _ => col(column.name),
    }
}

/// The numbers of added, changed and removed rows of each day on which there are any.
fn changed_rows(table: &Table, before: LazyFrame, after: LazyFrame) -> LazyFrame {
    let full = JoinArgs {
        coalesce: JoinCoalesce::CoalesceColumns,
        nulls_equal: true,
        ..JoinArgs::new(JoinType::Full)
    };
    let on: Vec<String> = (0..table.key.len()).map(|place| numbered(KEY_PART, place)).collect();
    let on = columns(&on);
    let of = |what: &str, side: &str| col(format!("{what}_{side}"));
    let (was, is) = (col(WAS).is_not_null(), col(IS).is_not_null());
    let is_other = of(HASH, BEFORE).neq(of(HASH, AFTER));
    let rows = before.join(after, &on, &on, full).select([
        coalesce(&[of(DAY, AFTER), of(DAY, BEFORE)]).alias(DAY),
        was.clone().not().alias(ADDED),
        was.and(is.clone()).and(is_other).fill_null(lit(false)).alias(CHANGED),
        is.not().alias(REMOVED),
    ]);
    let counts = [ADDED, CHANGED, REMOVED];
    let any = counts.map(col).into_iter().reduce(Expr::or).unwrap_or_else(|| lit(true));
    let count = |name: &str| col(name).cast(DataType::Int64).sum();
    rows.filter(any).group_by([col(DAY)]).agg(counts.map(count))
}

/// The rows of an answer that has none.
fn empty() -> Result<DataFrame> {
    let column = |of: OutputColumn| Column::new_empty(of.name.into(), &of.of.data_type());
    Ok(DataFrame::new(0, COLUMNS.map(column).into())?)
}
