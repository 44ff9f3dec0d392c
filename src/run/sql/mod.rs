//! Runs a user's own SQL query over the tables of a lake, with Polars SQL.
//!
//! ```text
//! SELECT country, COUNT(*) AS n FROM sessions WHERE session_started_timestamp >= :since GROUP BY country
//!   │ Sql::read      parses one SELECT and its tables; rejects what Polars would answer wrongly
//!   │ bind           :since of `--param since=2025-06-01` becomes the first moment of that day
//!   │ plan           lazy scans of the catalog's columns, timestamps in the reporting time zone
//!   ▼
//! LazyFrame          columns of types that every format can write, timestamps in UTC again
//! ```
//!
//! Timestamps are in the reporting time zone throughout: `CAST(… AS DATE)`, `EXTRACT`, `STRFTIME`,
//! `DATE_TRUNC` and literals that are compared with a timestamp all mean local time. Comparing a
//! timestamp with a literal skips the files of other days.

mod ast;
mod bind;
mod depth;
mod fault;
mod files;
mod functions;
mod parameters;
mod people;
mod pieces;
mod types;

use std::ops::ControlFlow;
use std::sync::{Arc, OnceLock};

use chrono_tz::Tz;
use polars::prelude::{
    ChunkApply as _, DataFrame, DataType, Expr, Field, IntoColumn as _, IntoLazy as _, LazyFrame,
    Schema, col,
};
use polars::sql::SQLContext;
use sqlparser::ast::{
    Expr as SqlExpr, GroupByExpr, Ident, Query, Select, Spanned as _, Statement, TableFactor,
    Visit as _, Visitor,
};
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::{Parser, ParserOptions};
use sqlparser::tokenizer::{Span, Tokenizer};
use wabalake_data::Table;
use wabalake_data::tables::{TABLES, instant, persons, sessions, table};
use wabalake_data::words::suggestion;
use wabalake_queries::query::{ENGINE, OutputColumn, Type};

use self::bind::Binder;
pub use self::depth::on_deep_stack;
use self::fault::{at, shown};
use self::files::Files;
use self::functions::{Functions, INSTANT};
pub use self::parameters::{Parameter, ParameterType};
use self::pieces::Pieces;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::lake::Lake;
use crate::lake::persons::computed_once;

/// One `SELECT` over tables of a lake.
#[derive(Clone, Debug)]
pub struct Sql {
    statement: Statement,
    tables: Vec<&'static Table>,
}

impl Sql {
    /// Parses a statement. Parsing, planning and dropping it recurse as deep as it is nested, so all of
    /// them must run in [`on_deep_stack`].
    ///
    /// # Errors
    /// The text is not SQL, is nested too deeply, is not one `SELECT`, or reads an unknown table.
    pub fn read(text: &str) -> Result<Self> {
        // The options of Polars.
        let options = ParserOptions { trailing_commas: true, ..ParserOptions::default() };
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let tokens = Tokenizer::new(&GenericDialect, text).tokenize_with_location();
        let tokens = tokens.map_err(|error| fault::of_parser(&error.into()))?;
        depth::check(&tokens)?;
        let mut statements = Parser::new(&GenericDialect)
            .with_options(options)
            .with_tokens_with_locations(tokens)
            .parse_statements()
            .map_err(|error| fault::of_parser(&error))?
            .into_iter();
        let statement = match (statements.next(), statements.next()) {
            (Some(statement), None) => statement,
            (None, _) => {
                return Err(Error::usage("the query is empty").hint(EXAMPLE));
            }
            (Some(_), Some(second)) => {
                return Err(at(second.span(), "only one statement is allowed")
                    .hint("put each statement into a file of its own"));
            }
        };
        match &statement {
            Statement::Query(_) => {}
            Statement::Explain { .. } | Statement::ExplainTable { .. } => {
                return Err(Error::usage("EXPLAIN is not supported").hint(
                    "use `wabalake explain sql \"SELECT …\"` or `wabalake explain ./FILE.sql`",
                ));
            }
            Statement::ShowTables { .. } => {
                return Err(Error::usage("SHOW TABLES is not supported")
                    .hint("`wabalake coverage` lists the tables"));
            }
            _ => {
                return Err(Error::usage("only SELECT is supported, with or without a WITH")
                    .hint("tables are only changed by commands such as `wabalake load` and `wabalake undo`"));
            }
        }
        let tables = Relations::of(&statement)?;
        Ok(Self { statement, tables })
    }

    /// Returns the tables that the statement reads, in the order of the catalog.
    pub fn tables(&self) -> &[&'static Table] {
        &self.tables
    }

    /// Builds the lazy plan of the answer, with its times in `zone` and at most `limit` rows. Reads
    /// transaction logs, but no data.
    ///
    /// # Errors
    /// A parameter is missing, unused or of the wrong type; a file may not be read; Polars does not
    /// support the statement; a table cannot be read.
    pub fn plan(
        &self,
        lake: &Lake,
        parameters: &[Parameter],
        zone: Tz,
        limit: Option<u64>,
    ) -> Result<LazyFrame> {
        let may_read = || match Config::of(lake)?.sql.files {
            true => Ok(Files::Allowed),
            false => Ok(Files::Forbidden),
        };
        let bound = self.bound(parameters, zone, may_read)?;
        let stored = self.tables.iter().filter(|table| ***table != persons::TABLE);
        let snapshots = lake.snapshots(stored.clone().copied())?;
        let known = OnceLock::new();
        let read_persons = || computed_once(&known, || lake.persons());
        let mut scans = Vec::with_capacity(self.tables.len());
        for (table, snapshot) in stored.zip(snapshots) {
            scans.push((*table, snapshot.scan_people(table, Some(zone), &read_persons)?));
        }
        if self.tables.contains(&&persons::TABLE) {
            scans.push((&persons::TABLE, read_persons()?.rows().lazy()));
        }
        let answer = self.planned(bound, scans, zone)?;
        Ok(match limit.and_then(|rows| rows.try_into().ok()) {
            Some(rows) => answer.limit(rows),
            None => answer,
        })
    }

    /// Builds the lazy plan of an answer that is kept, over scans of its tables with instants in `zone`. It
    /// reads no files beside them.
    ///
    /// # Errors
    /// As [`Sql::plan`]; a file is read.
    pub(crate) fn plan_over(
        &self,
        scan: impl Fn(&'static Table) -> Result<LazyFrame>,
        parameters: &[Parameter],
        zone: Tz,
    ) -> Result<LazyFrame> {
        let bound = self.bound(parameters, zone, || Ok(Files::Never))?;
        let scans = self.tables.iter().copied().map(|table| Ok((table, scan(table)?)));
        self.planned(bound, scans.collect::<Result<_>>()?, zone)
    }

    /// The statement with its parameters filled in.
    fn bound(
        &self,
        parameters: &[Parameter],
        zone: Tz,
        may_read: impl Fn() -> Result<Files> + Copy,
    ) -> Result<Query> {
        files::check(&self.statement, may_read)?;
        let bound = Binder::bind(&self.statement, &self.tables, parameters, zone)?;
        // Again, because a path may come from a parameter.
        files::check(&bound, may_read)?;
        match bound {
            Statement::Query(bound) => Ok(*bound),
            _ => Err(Error::bug("the statement is not a query")),
        }
    }

    /// The plan of the answer over scans of the tables.
    fn planned(
        &self,
        bound: Query,
        scans: Vec<(&'static Table, LazyFrame)>,
        zone: Tz,
    ) -> Result<LazyFrame> {
        let functions = Functions::on_clock(zone);
        let instant_of = functions.expr(INSTANT);
        let context = SQLContext::new().with_function_registry(Arc::new(functions));
        for (table, rows) in scans {
            let columns: Vec<_> = table.columns.iter().map(|column| col(column.name)).collect();
            context.register(table.name, rows.select(columns));
        }
        let fault = |error| fault::of_polars(error, &self.statement, &self.tables);
        let mut answer = Pieces::of(context).query(bound).map_err(fault)?;
        let schema = answer.collect_schema().map_err(fault)?;
        let written = schema.iter().map(|(name, of)| writable(name, of, &instant_of));
        Ok(answer.select(written.collect::<Result<Vec<_>>>()?))
    }

    /// Checks that the answer neither tells who somebody is, nor what they wrote: the statement names columns of
    /// people only as what `COUNT(DISTINCT …)` counts.
    ///
    /// # Errors
    /// The first column that identifies people or tells of one, such as `user_phone` or `message`; `*` of a
    /// table that has one; a file, whose columns nobody knows.
    pub fn check_people(&self) -> Result<()> {
        people::check(&self.statement, &self.tables)
    }

    /// Creates an error about a column of the answer, where it gets its name.
    pub(crate) fn fault_of_column(&self, name: &str, what: &str) -> Error {
        fault::of_column(&self.statement, name, what)
    }

    /// Collects a plan. Returns the rows and their columns.
    ///
    /// # Errors
    /// As [`Sql::rows`].
    pub fn collect(&self, plan: LazyFrame) -> Result<(DataFrame, Vec<OutputColumn>)> {
        let rows = self.rows(plan)?;
        let columns = described(rows.schema());
        Ok((rows, columns))
    }

    /// Collects the rows of a plan.
    ///
    /// # Errors
    /// A file cannot be read, or a value cannot be converted.
    pub fn rows(&self, plan: LazyFrame) -> Result<DataFrame> {
        let fault = |error| fault::of_polars(error, &self.statement, &self.tables);
        Ok(plan.collect_with_engine(ENGINE).map_err(fault)?.unwrap_single())
    }
}

const EXAMPLE: &str =
    "such as: SELECT country, COUNT(*) AS sessions FROM sessions GROUP BY country";

/// Casts a column to a type that every output format supports.
fn writable(name: &str, of: &DataType, instant_of: &dyn Fn(Expr) -> Expr) -> Result<Expr> {
    let column = col(name);
    Ok(match of {
        DataType::String
        | DataType::Boolean
        | DataType::Date
        | DataType::Float64
        | DataType::Int64
        | DataType::Decimal(..) => column,
        DataType::Int32 if name == sessions::CONVERSATION_VERSION => column,
        DataType::Datetime(_, Some(_)) => column.cast(instant()),
        DataType::Datetime(_, None) => instant_of(column).cast(instant()),
        // The type of a NULL literal is undecided.
        DataType::Null => column.cast(DataType::String),
        number if number.is_integer() => column.strict_cast(DataType::Int64),
        number if number.is_float() => column.cast(DataType::Float64),
        DataType::Duration(_) => column.dt().total_microseconds(false).map(
            |micros| {
                let micros = micros.cast(&DataType::Float64)?;
                Ok(micros.f64()?.apply_values(|micros| micros / 1e6).into_column())
            },
            |_, field| Ok(Field::new(field.name().clone(), DataType::Float64)),
        ),
        DataType::Time => column.cast(DataType::String),
        DataType::List(_) | DataType::Array(..) => {
            return Err(Error::usage(format!("column `{}` is a list", shown(name)))
                .hint("convert it to a text: ARRAY_TO_STRING(…, ',')"));
        }
        other => {
            return Err(Error::usage(format!("column `{}` is a {other}", shown(name)))
                .hint("CAST it to another type, such as VARCHAR"));
        }
    })
}

/// Describes the columns of an answer, by their types and by names of the catalog.
fn described(schema: &Schema) -> Vec<OutputColumn> {
    let described = schema.iter().map(|(name, of)| {
        // Leaked once: a process answers one statement.
        let name: &'static str = String::leak(name.to_string());
        let plain = |of| OutputColumn { of, ..OutputColumn::text(name) };
        let described = match of {
            DataType::Boolean => plain(Type::Boolean),
            DataType::Date => OutputColumn::date(name),
            DataType::Datetime(..) => OutputColumn::instant(name),
            DataType::Decimal(..) => OutputColumn::money(name),
            DataType::Int32 => OutputColumn::version(name),
            DataType::Int64 => OutputColumn::count(name),
            DataType::Float64 if name.ends_with("_pct") => OutputColumn::pct(name),
            DataType::Float64 if name.ends_with("_seconds") => OutputColumn::seconds(name),
            DataType::Float64 => plain(Type::Float),
            _ => OutputColumn::text(name),
        };
        described.as_named()
    });
    described.collect()
}

/// A visitor that collects the tables of a statement.
#[derive(Default)]
struct Relations {
    tables: Vec<&'static Table>,
    /// The names of its CTEs.
    defined: Vec<String>,
    /// The number of references to tables, CTEs and files.
    read: usize,
}

/// A visitor that stops at a window function.
struct Windows;

impl Visitor for Windows {
    type Break = Span;

    fn pre_visit_expr(&mut self, expr: &SqlExpr) -> ControlFlow<Span> {
        match expr {
            SqlExpr::Function(function) if function.over.is_some() => {
                ControlFlow::Break(function.name.span())
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

/// The tables that a statement may read. A CTE may have the name of the last, which is computed.
fn readable() -> impl Iterator<Item = &'static Table> + Clone {
    TABLES.iter().copied().chain([&persons::TABLE])
}

impl Relations {
    fn of(statement: &Statement) -> Result<Vec<&'static Table>> {
        let mut relations = Self::default();
        // A CTE may be referred to before its definition is visited, so all are collected first.
        let mut names = Names::default();
        let _ = statement.visit(&mut names);
        if let Some(error) = names.taken {
            return Err(*error);
        }
        relations.defined = names.defined;
        if let ControlFlow::Break(error) = statement.visit(&mut relations) {
            return Err(*error);
        }
        let read = |table: &&&'static Table| relations.tables.contains(*table);
        Ok(readable().filter(|table| read(&table)).collect())
    }
}

impl Visitor for Relations {
    type Break = Box<Error>;

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Box<Error>> {
        let is_grouped = match &select.group_by {
            GroupByExpr::All(_) => true,
            GroupByExpr::Expressions(by, _) => !by.is_empty(),
        };
        // Polars would silently compute the window over the rows of each group.
        match select.projection.visit(&mut Windows) {
            ControlFlow::Break(there) if is_grouped => {
                let error = at(there, "a window function together with GROUP BY").hint(
                    "put the SELECT with the GROUP BY into a WITH, and the window into a SELECT from it",
                );
                ControlFlow::Break(Box::new(error))
            }
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<Box<Error>> {
        self.read += 1;
        if self.read > depth::RELATIONS {
            let error = depth::too_much(factor.span(), depth::RELATIONS, "tables in FROM");
            return ControlFlow::Break(Box::new(error));
        }
        let TableFactor::Table { name, args: None, .. } = factor else {
            return ControlFlow::Continue(());
        };
        let name_text = name.to_string();
        let name_text = name_text.trim_matches('"');
        if self.defined.iter().any(|defined| defined == name_text) {
            return ControlFlow::Continue(());
        }
        match readable().find(|table| table.name == name_text) {
            Some(table) => {
                self.tables.push(table);
                ControlFlow::Continue(())
            }
            None => {
                let names = readable().map(|table| table.name);
                let known = names.clone().chain(self.defined.iter().map(String::as_str));
                let hint = suggestion(name_text, known).unwrap_or_else(|| {
                    format!("there are {}", names.collect::<Vec<_>>().join(", "))
                });
                let error = at(name.span(), format!("no table `{}`", shown(name_text))).hint(hint);
                ControlFlow::Break(Box::new(error))
            }
        }
    }
}

/// A visitor that collects the names of CTEs and aliases. One that repeats the name of a table or of
/// another CTE is an error: Polars would read that table wherever the name is used.
#[derive(Default)]
struct Names {
    defined: Vec<String>,
    taken: Option<Box<Error>>,
}

impl Names {
    fn take(&mut self, name: &Ident, stands_for: Option<&str>) {
        if stands_for == Some(&name.value) {
            return;
        }
        let what = if table(&name.value).is_some() {
            "the name of a table"
        } else if self.defined.contains(&name.value) {
            "the name of a WITH"
        } else {
            return;
        };
        let error = at(name.span, format!("`{}` is {what}", shown(&name.value)))
            .hint("give it another name");
        self.taken.get_or_insert_with(|| Box::new(error));
    }
}

impl Visitor for Names {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
            self.take(&cte.alias.name, None);
            self.defined.push(cte.alias.name.value.clone());
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        match factor {
            TableFactor::Table { name, alias: Some(alias), .. } => {
                self.take(&alias.name, Some(&name.to_string()));
            }
            // The name of a file is its path.
            TableFactor::Table { args: Some(args), alias: None, .. } => {
                if let Some(path) = files::path(args) {
                    self.take(&Ident::new(path), None);
                }
            }
            TableFactor::Derived { alias: Some(alias), .. }
            | TableFactor::NestedJoin { alias: Some(alias), .. } => self.take(&alias.name, None),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}
