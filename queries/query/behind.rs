//! The people behind a number: `--people`, `--cell`, `--in` and `--out`.
//!
//! ```text
//! failure-reasons --by country                        CO  frequency_capped  3 deployments
//!   --people --cell country=CO                        the people of the rows that the cell counts:
//!   --cell state=frequency_capped                     user_phone, rows, first_at, last_at
//! ```
//!
//! A query that can name them states the rows that its answer counts ([`Behind`]); what is asked of them is
//! common to all queries.

use std::borrow::Cow;
use std::fmt::Write as _;

use chrono::{DateTime, NaiveDate};
use chrono_tz::Tz;
use clap::{Arg, ArgAction, ArgMatches, Command, Error};
use polars::prelude::{
    Expr, LazyFrame, LiteralValue, PolarsResult, UniqueKeepStrategy, by_name, col, lit,
};
use wabalake_data::tables::{USER_PHONE, deployments};
use wabalake_data::{Invalid, Table};

use super::billing::sends;
use super::measures::rows;
use super::question::ErasedQuery;
use super::sql::{SqlLiteral, Value};
use super::time::{date_literal, instant_literal};
use super::usage::misfit;
use super::words::Word;
use super::{
    AnswerBuckets, Bindings, Envelope, Invalidation, Order, OutputColumn, Query, Range, Shape,
    Spread, Tables, Type,
};

/// The rows that the cells of an answer count.
pub struct Behind<Q: Query> {
    /// The table of the rows. Its timestamp is in the plan under its own name, in SQL as `at`.
    pub table: &'static Table,
    /// The columns that, beside those of `--by`, tell the cell of a row.
    pub cells: &'static [&'static str],
    /// The columns of the answer that count rows. The first is meant without `--in`.
    pub counts: &'static [&'static str],
    /// The columns that, with the person and the timestamp, tell rows apart.
    pub id: &'static [&'static str],
    /// The plan of the rows in range that pass the filters: with the columns of `--by`, `cells`, `id`, the
    /// person's `user_phone`, and for each of `counts` a column that is true if it counts the row.
    ///
    /// A row may occur once for each cell that it belongs to.
    pub rows: fn(&Tables, &Q::Params) -> PolarsResult<LazyFrame>,
    /// The same rows in SQL: a query with parameters and slots of the twin.
    pub sql: &'static str,
}

impl<Q: Query> Clone for Behind<Q> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Q: Query> Copy for Behind<Q> {}

/// The heading of the options that name people, in help.
pub const HEADING: &str = "People behind a number";

/// [`Behind::id`] of deployments: columns that no dimension has, unlike those of the table.
pub const DEPLOYMENT_ID: &[&str] = &["id_of_conversation", "id_of_version"];

/// The columns of [`DEPLOYMENT_ID`].
pub fn deployment_id() -> [Expr; 2] {
    [
        col(deployments::CONVERSATION_ID).alias(DEPLOYMENT_ID[0]),
        col(deployments::CONVERSATION_VERSION).alias(DEPLOYMENT_ID[1]),
    ]
}

/// Rows of the person.
pub const ROWS: &str = "rows";
/// The first timestamp among them.
pub const FIRST_AT: &str = "first_at";
/// The last timestamp among them.
pub const LAST_AT: &str = "last_at";

const AT: &str = "at";
const PEOPLE: &str = "people";
const CELL: &str = "cell";
const IN: &str = "in_count";
const OUT: &str = "out_of_count";
const WITH_PEOPLE: &str = "with_people";

/// Adds the options to a query that can name the people behind its answer.
pub(super) fn args<Q: Query>(command: Command) -> Command {
    let Some(behind) = Q::BEHIND else { return command };
    let reshaped = Q::BEHIND_RESHAPED.map(|behind| behind.counts).unwrap_or_default();
    let others = reshaped.iter().filter(|count| !behind.counts.contains(count));
    let counts: Vec<&'static str> = behind.counts.iter().chain(others).copied().collect();
    let defaults = [behind.counts, reshaped].into_iter().filter_map(|counts| counts.first());
    let mut defaults: Vec<&str> = defaults.copied().collect();
    defaults.dedup();
    let flag = |id: &'static str| {
        Arg::new(id).long(id.replace('_', "-")).action(ArgAction::SetTrue).help_heading(HEADING)
    };
    let count = |id: &'static str, long: &'static str| {
        Arg::new(id)
            .long(long)
            .value_name("COLUMN")
            .value_parser(Word::listed(counts.iter().copied()))
            .requires(PEOPLE)
            .help_heading(HEADING)
    };
    command
        .arg(
            flag(PEOPLE)
                .help("Answer with the people of the rows that the answer counts, a row each"),
        )
        .arg(
            Arg::new(CELL)
                .long(CELL)
                .value_name("COLUMN=VALUE")
                .action(ArgAction::Append)
                .requires(PEOPLE)
                .help_heading(HEADING)
                .help("Only the rows of cells with this value, as csv prints it; empty for null"),
        )
        .arg(count(IN, "in").help(format!(
            "Only the rows that this column counts [default: {}]",
            defaults.join(" or ")
        )))
        .arg(count(OUT, "out").help("Not the rows that this column counts [default: none]"))
        .arg(flag(WITH_PEOPLE).requires(PEOPLE).help(
            "Let the answer name people; [privacy] people_in_answers of the settings does, too",
        ))
}

/// The question for the people behind an answer; `None` if they are not asked for.
///
/// # Errors
/// An unknown cell or value; people that may not be named.
pub(super) fn asked<Q: Query>(
    matches: &ArgMatches,
    params: Q::Params,
    may_name_people: bool,
    zone: Tz,
) -> Result<Box<dyn ErasedQuery>, Error> {
    let behind = Q::behind(&params).filter(|_| matches.get_flag(PEOPLE));
    let Some(behind) = behind else {
        return Ok(Box::new(super::question::WithParams::<Q> { params }));
    };
    if !may_name_people && !matches.get_flag(WITH_PEOPLE) {
        return Err(misfit(Invalid::new("`--people` names people").hint(
            "add `--with-people`, or set people_in_answers = true in [privacy] of the settings",
        )));
    }
    let columns = [Q::by(&params), Q::shape(&params).columns].concat();
    let by: Vec<&str> = Q::by(&params).iter().map(|column| column.name).collect();
    let of_cells = |name: &str| by.contains(&name) || behind.cells.contains(&name);
    let mut cells = Vec::new();
    for cell in matches.get_many::<String>(CELL).unwrap_or_default() {
        let (name, value) = cell.split_once('=').unwrap_or((cell, ""));
        let column = columns.iter().find(|column| column.name == name && of_cells(name));
        let Some(column) = column.filter(|_| cell.contains('=')) else {
            let known: Vec<&str> = by
                .iter()
                .chain(behind.cells)
                .copied()
                .collect::<std::collections::BTreeSet<_>>()
                .into_iter()
                .collect();
            let fault = Invalid::new(format!("`--cell {name}`: no such cell"));
            return Err(misfit(fault.hint(format!(
                "write COLUMN=VALUE with one of {}",
                wabalake_data::words::listed(&known)
            ))));
        };
        cells.push(Cell { name: column.name, value: read(column, value, zone)? });
    }
    let counted = |id: &str, long: &str| {
        let Some(asked) = matches.get_one::<String>(id) else { return Ok(None) };
        let count = behind.counts.iter().find(|count| *count == asked).copied();
        count.map(Some).ok_or_else(|| {
            let fault = Invalid::new(format!("`--{long} {asked}`: no count of this answer"));
            let known = wabalake_data::words::listed(behind.counts);
            misfit(fault.hint(format!("it counts {known}")))
        })
    };
    let within = counted(IN, "in")?.or(behind.counts.first().copied());
    let without = counted(OUT, "out")?;
    Ok(Box::new(PeopleBehind { params, behind, cells, within, without }))
}

/// The value of a column that cells must have; `None` for null.
#[derive(Debug)]
struct Cell {
    name: &'static str,
    value: Option<Value>,
}

/// Reads a value of a column as csv prints it.
fn read(column: &OutputColumn, text: &str, zone: Tz) -> Result<Option<Value>, Error> {
    if text.is_empty() {
        return Ok(None);
    }
    let value = match column.of {
        Type::Text => Some(text.value()),
        Type::Integer => text.parse::<i64>().ok().map(|number| number.value()),
        Type::Version => text.parse::<i32>().ok().map(|number| number.value()),
        Type::Boolean => text.parse::<bool>().ok().map(Value::Boolean),
        Type::Date => text.parse::<NaiveDate>().ok().map(Value::Date),
        Type::Instant => {
            let at = super::time::read_instant("--cell", text, zone)?;
            DateTime::from_timestamp_micros(at).map(Value::Instant)
        }
        Type::Float | Type::Money => None,
    };
    value.map(Some).ok_or_else(|| {
        let fault = Invalid::new(format!("`--cell {}`: not a value of the column", column.name));
        misfit(fault.hint(format!("it is a {}, as csv prints it", column.of.name())))
    })
}

/// The people behind the cells of an answer.
struct PeopleBehind<Q: Query> {
    params: Q::Params,
    behind: Behind<Q>,
    cells: Vec<Cell>,
    /// The column that counts the rows, and the one that does not.
    within: Option<&'static str>,
    without: Option<&'static str>,
}

impl<Q: Query> PeopleBehind<Q> {
    /// Predicate: a row belongs to the cells and counts.
    fn counts(&self) -> Expr {
        let is = |name: &str| col(name).fill_null(lit(false));
        let of_cells = self.cells.iter().map(|cell| match &cell.value {
            Some(value) => col(cell.name).eq(literal(value)).fill_null(lit(false)),
            None => col(cell.name).is_null(),
        });
        let within = self.within.map(is);
        let without = self.without.map(|name| is(name).not());
        let known = col(USER_PHONE).is_not_null();
        of_cells.chain(within).chain(without).fold(known, Expr::and)
    }

    /// The predicate in SQL.
    fn counts_sql(&self) -> String {
        let mut sql = String::from("user_phone IS NOT NULL");
        for cell in &self.cells {
            let Cell { name, value } = cell;
            // Writing to a String does not fail.
            let _ = match value {
                // A name may be a word of SQL, such as `group`.
                Some(value) => write!(sql, "\n        AND `{name}` = {}", value.literal()),
                None => write!(sql, "\n        AND `{name}` IS NULL"),
            };
        }
        if let Some(name) = self.within {
            let _ = write!(sql, "\n        AND {name}");
        }
        if let Some(name) = self.without {
            let _ = write!(sql, "\n        AND NOT coalesce({name}, FALSE)");
        }
        sql
    }
}

fn literal(value: &Value) -> Expr {
    match value {
        Value::Text(text) => lit(text.as_str()),
        Value::Integer(number) => lit(*number),
        Value::Version(number) => lit(*number),
        Value::Boolean(truth) => lit(*truth),
        Value::Date(date) => date_literal(*date),
        Value::Instant(at) => instant_literal(at.timestamp_micros()),
        Value::Null(_) | Value::List(..) => Expr::Literal(LiteralValue::untyped_null()),
    }
}

impl<Q: Query> ErasedQuery for PeopleBehind<Q> {
    fn by(&self) -> Vec<OutputColumn> {
        Vec::new()
    }

    fn shape(&self) -> Shape {
        let id: Vec<String> = self.behind.id.iter().map(|column| format!(", {column}")).collect();
        let id = id.concat();
        let sql = format!(
            "WITH behind AS (
    {}
),
met AS (
    SELECT DISTINCT user_phone, at{id}
    FROM behind
    WHERE {}
)
SELECT
    CAST(user_phone AS STRING) AS user_phone,
    CAST(count(*) AS BIGINT) AS `rows`,
    CAST(min(at) AS TIMESTAMP_LTZ) AS first_at,
    CAST(max(at) AS TIMESTAMP_LTZ) AS last_at
FROM met
GROUP BY user_phone
ORDER BY
    last_at DESC NULLS LAST,
    user_phone NULLS LAST",
            self.behind.sql.trim_end().replace('\n', "\n    "),
            self.counts_sql(),
        );
        Shape {
            columns: vec![
                OutputColumn::person(USER_PHONE),
                OutputColumn::count(ROWS),
                OutputColumn::instant(FIRST_AT),
                OutputColumn::instant(LAST_AT),
            ],
            key: vec![USER_PHONE],
            order: vec![Order::Descending(LAST_AT)],
            sql: Cow::Owned(sql),
        }
    }

    fn range(&self) -> Range {
        Q::SPEC.range
    }

    /// People are listed without what their rows cost.
    fn reads(&self) -> Vec<&'static Table> {
        let mut reads = Q::reads(&self.params);
        reads.retain(|table| !sends::TABLES.contains(table));
        reads
    }

    fn columns(&self) -> Vec<OutputColumn> {
        self.shape().columns
    }

    fn spread(&self) -> Option<Spread> {
        None
    }

    fn envelope(&self, _tables: &Tables) -> PolarsResult<Option<Envelope>> {
        Ok(None)
    }

    fn people(&self) -> Vec<String> {
        Q::people(&self.params)
    }

    fn plan(&self, tables: &Tables) -> PolarsResult<LazyFrame> {
        let found = (self.behind.rows)(tables, &self.params)?.filter(self.counts());
        let at = col(self.behind.table.day_of).alias(AT);
        let id = self.behind.id.iter().map(|column| col(*column));
        let row: Vec<Expr> = [col(USER_PHONE), at].into_iter().chain(id).collect();
        // A row that belongs to several cells counts once.
        let names = [&[USER_PHONE, AT], self.behind.id].concat();
        let once =
            found.select(row).unique(Some(by_name(names, true, false)), UniqueKeepStrategy::Any);
        Ok(once.group_by([col(USER_PHONE)]).agg([
            rows().alias(ROWS),
            col(AT).min().alias(FIRST_AT),
            col(AT).max().alias(LAST_AT),
        ]))
    }

    fn bindings(&self) -> Bindings {
        Q::bind(&self.params)
    }

    fn invalidation(&self, _table: &Table) -> Vec<Invalidation> {
        vec![Invalidation::Answer]
    }

    fn buckets(&self, _zone: Tz) -> Option<AnswerBuckets> {
        None
    }

    fn is_judged(&self) -> bool {
        false
    }

    fn fault(&self, _answer: &polars::prelude::DataFrame) -> PolarsResult<Option<String>> {
        Ok(None)
    }
}
