//! Runs a person's own query: Polars SQL over the tables of a lake.
//!
//! ```text
//! SELECT country, COUNT(*) AS n FROM sessions WHERE session_started_timestamp >= :since GROUP BY country
//!   │ Sql::read      one SELECT, its tables named; what Polars would get wrong is refused
//!   │ bind           :since of `--param since=2025-06-01` becomes the instant at which that day begins
//!   │ plan           lazy scans with the catalog's columns, instants on the reporting zone's clock
//!   ▼
//! LazyFrame          columns of types that every format can write, instants in UTC again
//! ```
//!
//! Instants are on the reporting zone's clock throughout: `CAST(… AS DATE)`, `EXTRACT`, `STRFTIME`,
//! `DATE_TRUNC` and texts that are compared with a stamp all mean local time. A comparison of a
//! stamp with a value skips the files of other days.

mod bind;
mod depth;
mod fault;
mod files;
mod functions;
mod parameters;
mod pieces;

use std::ops::ControlFlow;
use std::sync::Arc;

use chrono_tz::Tz;
use polars::prelude::{
    ChunkApply as _, DataFrame, DataType, Expr, Field, IntoColumn as _, LazyFrame, Schema, col,
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
use wabalake_data::tables::{TABLES, instant, sessions, table};
use wabalake_data::words::suggestion;
use wabalake_queries::query::{ENGINE, OutputColumn, Type};

use self::bind::Binder;
pub use self::depth::on_deep_stack;
use self::fault::{at, shown};
use self::functions::{Functions, INSTANT};
pub use self::parameters::{Kind, Parameter};
use self::pieces::Pieces;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::lake::Lake;

/// One `SELECT` over tables of a lake.
#[derive(Clone, Debug)]
pub struct Sql {
    statement: Statement,
    tables: Vec<&'static Table>,
}

impl Sql {
    /// Reads a statement. This and all else that is done with it, its end included, goes as deep as
    /// the statement is nested: [`on_deep_stack`] has the entry.
    ///
    /// # Errors
    /// What is no SQL, is nested too deeply, is no `SELECT`, or reads a table that there is not.
    pub fn read(text: &str) -> Result<Self> {
        // As Polars reads it.
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
                return Err(Error::usage("there is no statement in it").hint(EXAMPLE));
            }
            (Some(_), Some(second)) => {
                return Err(at(second.span(), "a second statement")
                    .hint("one is answered at a time: put each into a file of its own"));
            }
        };
        match &statement {
            Statement::Query(_) => {}
            Statement::Explain { .. } | Statement::ExplainTable { .. } => {
                return Err(Error::usage("EXPLAIN is a command here")
                    .hint("`wabalake explain sql \"SELECT …\"`, `wabalake explain ./FILE.sql`"));
            }
            Statement::ShowTables { .. } => {
                return Err(Error::usage("SHOW TABLES is a command here")
                    .hint("`wabalake coverage` lists the tables"));
            }
            _ => {
                return Err(Error::usage("a query is a SELECT, with a WITH before it or not")
                    .hint("tables are changed with `wabalake load` and `wabalake undo` alone"));
            }
        }
        let tables = Relations::of(&statement)?;
        Ok(Self { statement, tables })
    }

    /// The tables that it reads, in the order of the catalog.
    pub fn tables(&self) -> &[&'static Table] {
        &self.tables
    }

    /// Plans the answer over a lake: with parameters, on a zone's clock, of which at most so many
    /// rows are wanted. Logs are read, data is not.
    ///
    /// # Errors
    /// A parameter that is missing, not used or of the wrong type; a file that may not be read; what
    /// Polars cannot do; a table that cannot be read.
    pub fn plan(
        &self,
        lake: &Lake,
        parameters: &[Parameter],
        zone: Tz,
        limit: Option<u64>,
    ) -> Result<LazyFrame> {
        let allowed = || Ok(Config::of(lake.root())?.sql.files);
        files::check(&self.statement, allowed)?;
        let bound = Binder::bind(&self.statement, &self.tables, parameters, zone)?;
        // A path may be a parameter.
        files::check(&bound, allowed)?;
        let Statement::Query(bound) = bound else {
            return Err(Error::bug("a statement that is no query"));
        };
        let functions = Functions::on_clock(zone);
        let instant_of = functions.expr(INSTANT);
        let context = SQLContext::new().with_function_registry(Arc::new(functions));
        for table in &self.tables {
            let columns: Vec<_> = table.columns.iter().map(|column| col(column.name)).collect();
            let rows = lake.snapshot(*table)?.scan_in_zone(zone)?;
            context.register(table.name, rows.select(columns));
        }
        let fault = |error| fault::of_polars(error, &self.statement, &self.tables);
        let mut answer = Pieces::of(context).query(*bound).map_err(fault)?;
        let schema = answer.collect_schema().map_err(fault)?;
        let written = schema.iter().map(|(name, of)| writable(name, of, &instant_of));
        let answer = answer.select(written.collect::<Result<Vec<_>>>()?);
        Ok(match limit.and_then(|rows| rows.try_into().ok()) {
            Some(rows) => answer.limit(rows),
            None => answer,
        })
    }

    /// The answer of a plan, with what is known of its columns.
    ///
    /// # Errors
    /// Files that cannot be read, values that cannot be what the statement makes of them.
    pub fn collect(&self, plan: LazyFrame) -> Result<(DataFrame, Vec<OutputColumn>)> {
        let fault = |error| fault::of_polars(error, &self.statement, &self.tables);
        let rows = plan.collect_with_engine(ENGINE).map_err(fault)?.unwrap_single();
        let columns = described(rows.schema());
        Ok((rows, columns))
    }
}

const EXAMPLE: &str =
    "such as: SELECT country, COUNT(*) AS sessions FROM sessions GROUP BY country";

/// A column in a type that every format can write.
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
        // Of a literal, Polars settles the type when it is needed.
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
                .hint("no format has lists: make a text of it with ARRAY_TO_STRING(…, ',')"));
        }
        other => {
            return Err(Error::usage(format!("column `{}` is a {other}", shown(name)))
                .hint("no format has that type: CAST it to another, such as VARCHAR"));
        }
    })
}

/// What the names and types of columns say of them: the names are those of the catalog.
fn described(schema: &Schema) -> Vec<OutputColumn> {
    let described = schema.iter().map(|(name, of)| {
        // A process answers one statement.
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

/// The tables that a statement reads.
#[derive(Default)]
struct Relations {
    tables: Vec<&'static Table>,
    /// The names of its WITHs.
    defined: Vec<String>,
    /// How often it reads one, whatever it is.
    read: usize,
}

/// Looks for a window.
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

impl Relations {
    fn of(statement: &Statement) -> Result<Vec<&'static Table>> {
        let mut relations = Self::default();
        // Names are used before and after they are defined, so all are looked for first.
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
        Ok(TABLES.iter().filter(read).copied().collect())
    }
}

impl Visitor for Relations {
    type Break = Box<Error>;

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Box<Error>> {
        let is_grouped = match &select.group_by {
            GroupByExpr::All(_) => true,
            GroupByExpr::Expressions(by, _) => !by.is_empty(),
        };
        // Polars would take the window over the rows of each group, without a word.
        match select.projection.visit(&mut Windows) {
            ControlFlow::Break(there) if is_grouped => {
                let error = at(there, "a window over groups").hint(
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
        let said = name.to_string();
        let said = said.trim_matches('"');
        if self.defined.iter().any(|defined| defined == said) {
            return ControlFlow::Continue(());
        }
        match table(said) {
            Some(table) => {
                self.tables.push(table);
                ControlFlow::Continue(())
            }
            None => {
                let names = TABLES.iter().map(|table| table.name);
                let known = names.clone().chain(self.defined.iter().map(String::as_str));
                let hint = suggestion(said, known).unwrap_or_else(|| {
                    format!("there are {}", names.collect::<Vec<_>>().join(", "))
                });
                let error = at(name.span(), format!("no table `{}`", shown(said))).hint(hint);
                ControlFlow::Break(Box::new(error))
            }
        }
    }
}

/// The names that a statement gives: Polars would take one of a table, or of a WITH, for that table
/// itself wherever it stands.
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
            // A file goes by its path.
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
