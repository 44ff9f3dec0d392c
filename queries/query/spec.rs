//! The static description of a query.

use std::borrow::Cow;

use polars::prelude::{DataType, Expr, col, lit, when};
use wabalake_data::Table;

use super::OutputColumn;

/// Everything about a query that does not depend on its parameters.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// Command-line name in kebab-case; the folder has the same name in `snake_case`.
    pub name: &'static str,
    /// Heading of the answer, without a full stop.
    pub title: &'static str,
    /// The question in plain English, then which rows count.
    pub question: &'static str,
    /// The tables that the plan may scan; [`Query::reads`](super::Query::reads) tells which it does.
    pub reads: &'static [&'static Table],
    /// What `--from` and `--to` restrict.
    pub range: Range,
    /// The columns of the answer, after those of `--by`.
    pub columns: &'static [OutputColumn],
    /// The columns that, with those of `--by`, identify a row.
    pub key: &'static [&'static str],
    /// The order of the rows, after the columns of `--by`. Ties are broken by the key.
    pub order: &'static [Order],
    /// The arguments of an example command.
    pub example: &'static [&'static str],
    /// The SQL twin, with named parameters and slots.
    pub sql: &'static str,
}

impl Spec {
    /// The name of the query's folder and module.
    pub fn folder(&self) -> String {
        self.name.replace('-', "_")
    }

    /// The tables without those that only some of the options need, as given: see
    /// [`Query::reads`](super::Query::reads).
    pub fn reads_for(&self, options: &[&dyn NeedsTables]) -> Vec<&'static Table> {
        let is_read = |table: &&'static Table| {
            let of_table = options.iter().filter(|option| option.tables().contains(table));
            let mut of_table = of_table.peekable();
            of_table.peek().is_none() || of_table.any(|option| option.is_read(table))
        };
        self.reads.iter().copied().filter(is_read).collect()
    }
}

/// Options that some tables are read for.
pub trait NeedsTables {
    /// The tables that are read for some values of the options.
    fn tables(&self) -> &'static [&'static Table];

    /// Returns `true` if one of these tables is read for the options as given.
    fn is_read(&self, table: &Table) -> bool;
}

/// The columns, the key, the order and the twin of an answer.
#[derive(Clone, Debug)]
pub struct Shape {
    /// The columns, after those of `--by`.
    pub columns: Vec<OutputColumn>,
    /// The columns that, with those of `--by`, identify a row.
    pub key: Vec<&'static str>,
    /// The order of the rows, after the columns of `--by`. Ties are broken by the key.
    pub order: Vec<Order>,
    /// The SQL twin, with named parameters and slots.
    pub sql: Cow<'static, str>,
}

impl Shape {
    /// The shape that a spec states.
    pub fn of(spec: &Spec) -> Self {
        Self {
            columns: spec.columns.to_vec(),
            key: spec.key.to_vec(),
            order: spec.order.to_vec(),
            sql: Cow::Borrowed(spec.sql),
        }
    }
}

/// A column of JSON objects that is shown as a text column for each of their names, which only the rows of an
/// answer tell. The plan and the twin have the objects; whoever collects the answer makes the columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spread {
    /// The column of the answer.
    pub column: &'static str,
    /// What precedes a name in the name of a column in its place.
    pub prefix: &'static str,
    /// The option that asks for it.
    pub option: &'static str,
}

/// What `--from` and `--to` restrict.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Range {
    /// The rows of one table, so partitions of other days need not be opened.
    Rows(&'static Table),
    /// Something that only the whole history tells, such as the day of a first visit.
    History,
}

impl Range {
    /// The table whose rows are restricted.
    pub const fn table(self) -> Option<&'static Table> {
        match self {
            Self::Rows(table) => Some(table),
            Self::History => None,
        }
    }
}

/// A column to sort an answer by. Nulls come last in each case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Smallest value first.
    Ascending(&'static str),
    /// Greatest value first.
    Descending(&'static str),
    /// Greatest number first, whatever its sign. Numbers that are equal in nine decimals are equal, so that what
    /// floats lose decides no order.
    Largest(&'static str),
    /// The values of a list in the order of the list, then other values ascending.
    Listed(&'static str, &'static [&'static str]),
}

impl Order {
    /// The name of the column.
    pub const fn column(self) -> &'static str {
        match self {
            Self::Ascending(column)
            | Self::Descending(column)
            | Self::Largest(column)
            | Self::Listed(column, _) => column,
        }
    }

    /// The sort keys, each with `true` if it sorts descending.
    pub(super) fn keys(self) -> Vec<(Expr, bool)> {
        let column = col(self.column());
        match self {
            Self::Ascending(_) => vec![(column, false)],
            Self::Descending(_) => vec![(column, true)],
            Self::Largest(_) => {
                let billionths = column.abs() * lit(1e9) + lit(0.5);
                vec![(billionths.cast(DataType::Int64), true)]
            }
            Self::Listed(_, words) => {
                let after_all = lit(words.len() as u64);
                let place = words.iter().enumerate().fold(after_all, |other, (place, word)| {
                    let here = column.clone().eq(lit(*word));
                    when(here).then(lit(place as u64)).otherwise(other)
                });
                vec![(place, false), (column, false)]
            }
        }
    }
}
