//! What a query is, and what all of them share.
//!
//! ```text
//! drop-off --country CO                     a command line
//!   │  CatalogEntry::command, CatalogEntry::ask             its options, read and checked: usage errors end here
//!   ▼
//! Question ── plan(&Tables) ──► LazyFrame   collected at the edge
//!          ── columns, key, order           what the answer looks like
//!          ── sql ──► WITH sessions AS …    the twin with its parameters filled in
//! ```
//!
//! A query is a [`Query`]: its [`Spec`], its parameters and its plan. A [`CatalogEntry`] is a query with its
//! types put away, so that unlike queries fit in one slice, [`CATALOG`].

use std::fmt::Debug;

use chrono_tz::Tz;
use clap::{ArgMatches, Args, Command, Error, FromArgMatches};
use polars::prelude::{
    DataFrame, DataType, Engine, Expr, LazyFrame, PolarsResult, SortMultipleOptions, col, lit, when,
};
use wabalake_data::tables::instant;
use wabalake_data::{Column, Meaning, TABLES, Table};

use crate::CATALOG;

pub mod breakdown;
pub mod chains;
pub mod conversations;
pub mod conversions;
pub mod days;
pub mod dimensions;
pub mod filters;
pub mod invalidation;
pub mod joins;
pub mod json;
pub mod lines;
pub mod measures;
pub mod meta;
pub mod money;
pub mod numbers;
pub mod performance;
pub mod prices;
pub mod pricing;
pub mod proportions;
pub mod sql;
pub mod tables;
pub mod tags;
pub mod usage;
pub mod words;
pub mod zone;

pub use chains::Chains;
pub use conversions::Conversions;
pub use days::{DayRange, Timezone};
pub use dimensions::{Dimension, Dimensions, Grouped};
pub use filters::Only;
pub use invalidation::{Buckets, Invalidation};
pub use meta::Envelope;
pub use sql::Bindings;
pub use tables::Tables;

/// What a entry needs to state its spec, its parameters and its plan.
pub mod prelude {
    pub use clap::Args;
    pub use polars::prelude::{
        DataType, Expr, IntoLazy, JoinArgs, JoinType, LazyFrame, Null, PolarsResult, col, lit, when,
    };

    pub use super::filters::{self, Only};
    pub use super::joins::look_up;
    pub use super::measures::{
        agent_sessions, answered, average, average_seconds, delivery_is, elapsed, max_seconds,
        message_counts, message_delivered, message_failed, message_read, message_sent, minutes,
        outgoing, parent_key, quantile_seconds, ratio, rows, rows_where, seconds, session_duration,
        share_pct, users, visit,
    };
    pub use super::{
        Bindings, Chains, Conversions, DayRange, Dimension, Dimensions, Grouped, Invalidation,
        Order, OutputColumn, Query, Range, Spec, Tables, Timezone,
    };
}

/// The engine that answers are collected with: measured to be the faster of Polars' two.
pub const ENGINE: Engine = Engine::Streaming;

/// A question that a lake can answer.
pub trait Query: Send + Sync + 'static {
    /// What the caller may choose.
    type Params: Args + Debug + Send + Sync + 'static;

    /// What can be said of it without asking.
    const SPEC: Spec;

    /// The field of Meta's API whose responses its answer can be written as, if it can.
    const META_FIELD: Option<&'static str> = None;

    /// How far changed rows of a table reach; those of a table that is not here reach all of the
    /// answer.
    const INVALIDATION: &'static [(&'static Table, Invalidation)] = &[];

    /// The columns of `--by`, which come before those of the spec and belong to the key.
    fn by(_params: &Self::Params) -> Vec<OutputColumn> {
        Vec::new()
    }

    /// The columns of the answer: all that there are, unless some are left out.
    fn columns(params: &Self::Params) -> Vec<OutputColumn> {
        let mut columns = Self::by(params);
        columns.extend(Self::SPEC.columns);
        columns
    }

    /// What stands around the answer in a response of Meta's API.
    ///
    /// # Errors
    /// Those of building a plan.
    fn envelope(_tables: &Tables, _params: &Self::Params) -> PolarsResult<Option<Envelope>> {
        Ok(None)
    }

    /// Plans the answer's rows, in any order, with at least the columns that are declared.
    ///
    /// # Errors
    /// Those of building a plan.
    fn plan(tables: &Tables, params: &Self::Params) -> PolarsResult<LazyFrame>;

    /// What the parameters and slots of the twin stand for.
    fn bind(params: &Self::Params) -> Bindings;

    /// Whether the whole answer has to be worked out because [`Query::fault`] judges it.
    fn is_judged(_params: &Self::Params) -> bool {
        false
    }

    /// What is at fault, by a whole answer, if the caller asked to be told by the exit code.
    ///
    /// # Errors
    /// An answer that is not one.
    fn fault(_params: &Self::Params, _answer: &DataFrame) -> PolarsResult<Option<String>> {
        Ok(None)
    }
}

/// What can be said of a query without asking it.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// Its name on the command line, in kebab-case; its folder is the same in `snake_case`.
    pub name: &'static str,
    /// What its answer shows, as a heading.
    pub title: &'static str,
    /// The question, and what counts.
    pub question: &'static str,
    /// The tables it reads; the range of days applies to the first.
    pub reads: &'static [&'static Table],
    /// What the range of days cuts.
    pub range: Range,
    /// The columns of the answer, after those of `--by`.
    pub columns: &'static [OutputColumn],
    /// The columns, with those of `--by`, that name a row.
    pub key: &'static [&'static str],
    /// The order of the rows, after the columns of `--by`; what is equal goes by the key.
    pub order: &'static [Order],
    /// Arguments that make a telling example.
    pub example: &'static str,
    /// Its SQL twin, with named parameters.
    pub sql: &'static str,
}

impl Spec {
    /// The name of its folder and module.
    pub fn folder(&self) -> String {
        self.name.replace('-', "_")
    }
}

/// What `--from` and `--to` cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// The rows of the first table: no other day of it is opened.
    Rows,
    /// Something that takes the whole history to know.
    History,
}

/// A column to order an answer by. Nulls come last either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The least first.
    Ascending(&'static str),
    /// The greatest first.
    Descending(&'static str),
    /// Words as they are listed, any others after them.
    Listed(&'static str, &'static [&'static str]),
}

impl Order {
    /// The column.
    pub const fn column(self) -> &'static str {
        match self {
            Self::Ascending(column) | Self::Descending(column) | Self::Listed(column, _) => column,
        }
    }

    /// What to sort by, each with whether the greatest comes first.
    fn keys(self) -> Vec<(Expr, bool)> {
        let column = col(self.column());
        match self {
            Self::Ascending(_) => vec![(column, false)],
            Self::Descending(_) => vec![(column, true)],
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

/// A column of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputColumn {
    /// Its name.
    pub name: &'static str,
    /// The type of its values.
    pub of: Type,
    /// What a number counts or measures: `s` or `%`.
    pub unit: Option<&'static str>,
    /// What its texts are. Every text of an answer says it.
    pub meaning: Option<Meaning>,
}

impl OutputColumn {
    const fn new(name: &'static str, of: Type, unit: Option<&'static str>) -> Self {
        Self { name, of, unit, meaning: None }
    }

    /// A text of no answer of the catalog.
    pub const fn text(name: &'static str) -> Self {
        Self::new(name, Type::Text, None)
    }

    const fn means(self, meaning: Meaning) -> Self {
        Self { meaning: Some(meaning), ..self }
    }

    /// What a person is known by. No mart has such a column unless the lake allows it.
    pub const fn person(name: &'static str) -> Self {
        Self::text(name).means(Meaning::Person)
    }

    /// A line of the business.
    pub const fn line(name: &'static str) -> Self {
        Self::text(name).means(Meaning::Line)
    }

    /// What somebody wrote.
    pub const fn written(name: &'static str) -> Self {
        Self::text(name).means(Meaning::Written)
    }

    /// A word of a list.
    pub const fn word(name: &'static str) -> Self {
        Self::text(name).means(Meaning::Word)
    }

    /// A country's code.
    pub const fn country(name: &'static str) -> Self {
        Self::text(name).means(Meaning::Country)
    }

    /// An id, a code or a term, which names nobody.
    pub const fn term(name: &'static str) -> Self {
        Self::text(name).means(Meaning::Term)
    }

    /// The same, which means what a column of its name means in tables or in answers.
    #[must_use]
    pub fn as_named(self) -> Self {
        let stored = TABLES.iter().flat_map(|table| table.columns);
        let stored = stored.filter(|column| column.name == self.name).find_map(Column::meaning);
        let answered = || {
            let mut columns = CATALOG.iter().flat_map(|entry| entry.spec.columns);
            columns.find(|column| column.name == self.name)?.meaning
        };
        Self { meaning: stored.or_else(answered), ..self }
    }

    /// A number of things.
    pub const fn count(name: &'static str) -> Self {
        Self::new(name, Type::Integer, None)
    }

    /// The version of a conversation.
    pub const fn version(name: &'static str) -> Self {
        Self::new(name, Type::Version, None)
    }

    /// A length of time in seconds.
    pub const fn seconds(name: &'static str) -> Self {
        Self::new(name, Type::Float, Some("s"))
    }

    /// A share, 0 to 100.
    pub const fn pct(name: &'static str) -> Self {
        Self::new(name, Type::Float, Some("%"))
    }

    /// A number that need not be whole.
    pub const fn number(name: &'static str) -> Self {
        Self::new(name, Type::Float, None)
    }

    /// A length of time in minutes.
    pub const fn minutes(name: &'static str) -> Self {
        Self::new(name, Type::Float, Some("min"))
    }

    /// A local date.
    pub const fn date(name: &'static str) -> Self {
        Self::new(name, Type::Date, None)
    }

    /// An instant.
    pub const fn instant(name: &'static str) -> Self {
        Self::new(name, Type::Instant, None)
    }

    /// Yes or no.
    pub const fn boolean(name: &'static str) -> Self {
        Self::new(name, Type::Boolean, None)
    }

    /// An amount of money; its currency stands in the column beside it.
    pub const fn money(name: &'static str) -> Self {
        Self::new(name, Type::Money, None)
    }

    /// Whether it names people.
    pub fn names_people(&self) -> bool {
        self.meaning == Some(Meaning::Person)
    }
}

/// The type of an answer's column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// UTF-8.
    Text,
    /// 64 bits.
    Integer,
    /// 32 bits.
    Version,
    /// 64 bits.
    Float,
    /// true or false.
    Boolean,
    /// A date without a zone.
    Date,
    /// Microseconds, UTC.
    Instant,
    /// Exact, with six decimals of 38 digits: a sum of amounts, whose own have eighteen, is never
    /// too large for it.
    Money,
}

impl Type {
    /// As Polars has it.
    pub fn data_type(self) -> DataType {
        match self {
            Self::Text => DataType::String,
            Self::Integer => DataType::Int64,
            Self::Version => DataType::Int32,
            Self::Float => DataType::Float64,
            Self::Boolean => DataType::Boolean,
            Self::Date => DataType::Date,
            Self::Instant => instant(),
            Self::Money => DataType::Decimal(38, 6),
        }
    }

    /// As SQL for Spark has it.
    pub const fn sql(self) -> &'static str {
        match self {
            Self::Text => "STRING",
            Self::Integer => "BIGINT",
            Self::Version => "INT",
            Self::Float => "DOUBLE",
            Self::Boolean => "BOOLEAN",
            Self::Date => "DATE",
            Self::Instant => "TIMESTAMP",
            Self::Money => "DECIMAL(38, 6)",
        }
    }

    /// As help and goldens name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Integer => "int64",
            Self::Version => "int32",
            Self::Float => "float64",
            Self::Boolean => "boolean",
            Self::Date => "date",
            Self::Instant => "timestamp",
            Self::Money => "decimal(38,6)",
        }
    }
}

/// A query with its types put away.
#[derive(Clone, Copy, Debug)]
pub struct CatalogEntry {
    /// What can be said of it without asking.
    pub spec: Spec,
    /// The field of Meta's API whose responses its answer can be written as, if it can.
    pub meta_field: Option<&'static str>,
    reach: &'static [(&'static Table, Invalidation)],
    args: fn(Command) -> Command,
    ask: fn(&ArgMatches) -> Result<Box<dyn Asked>, Error>,
}

impl CatalogEntry {
    /// The entry of a query.
    pub const fn of<Q: Query>() -> Self {
        Self {
            spec: Q::SPEC,
            meta_field: Q::META_FIELD,
            reach: Q::INVALIDATION,
            args: Q::Params::augment_args,
            ask: |matches| {
                let params = Q::Params::from_arg_matches(matches)?;
                Ok(Box::new(With::<Q> { params }))
            },
        }
    }

    /// A command with the query's options added.
    pub fn args(&self, command: Command) -> Command {
        (self.args)(command)
    }

    /// A command of its own, named like the query.
    pub fn command(&self) -> Command {
        self.args(Command::new(self.spec.name).about(self.spec.title))
    }

    /// The words of its example without which it cannot be asked.
    pub fn needs(&self) -> Vec<&'static str> {
        let command = self.command();
        let required: Vec<String> = command
            .get_arguments()
            .filter(|argument| argument.is_required_set())
            .map(|argument| format!("--{}", argument.get_long().unwrap_or_default()))
            .collect();
        let words: Vec<&str> = self.spec.example.split_whitespace().collect();
        let needed = words.windows(2).filter(|pair| required.iter().any(|word| word == pair[0]));
        needed.flatten().copied().collect()
    }

    /// The question that a command line asks.
    ///
    /// # Errors
    /// A usage error: parameters that do not fit together.
    pub fn ask(&self, matches: &ArgMatches) -> Result<Question, Error> {
        let zone = matches.try_get_one::<Tz>("timezone").ok().flatten();
        Ok(Question {
            spec: self.spec,
            reach: self.reach,
            asked: (self.ask)(matches)?,
            timezone: zone.copied().unwrap_or(Tz::UTC),
        })
    }
}

/// A query with its parameters chosen.
pub struct Question {
    spec: Spec,
    reach: &'static [(&'static Table, Invalidation)],
    asked: Box<dyn Asked>,
    timezone: Tz,
}

impl Question {
    /// What can be said of its query.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// The first instant that counts in the query's first table and the first after, in
    /// microseconds; `None` without end. No row outside makes a difference.
    pub fn instants(&self) -> (Option<i64>, Option<i64>) {
        match self.spec.range {
            Range::Rows => DayRange::bound(&self.bindings()),
            Range::History => (None, None),
        }
    }

    /// The zone in which the answer's instants are to be shown.
    pub fn timezone(&self) -> Tz {
        self.timezone
    }

    /// The columns of the answer.
    pub fn columns(&self) -> Vec<OutputColumn> {
        self.asked.columns()
    }

    /// What stands around the answer in a response of Meta's API, if it can be one.
    ///
    /// # Errors
    /// Those of building a plan.
    pub fn envelope(&self, tables: &Tables) -> PolarsResult<Option<Envelope>> {
        self.asked.envelope(tables)
    }

    /// The columns that name a row of the answer.
    pub fn key(&self) -> Vec<&'static str> {
        let by = self.asked.by().into_iter().map(|column| column.name);
        by.chain(self.spec.key.iter().copied()).collect()
    }

    /// The stretches of time by which the answer falls into parts that can be worked out by
    /// themselves, if it does.
    pub fn buckets(&self) -> Option<Buckets> {
        let key = self.key();
        let columns: Vec<_> = self.columns();
        let named: Vec<_> = columns.into_iter().filter(|c| key.contains(&c.name)).collect();
        let falls_apart = self.reach.iter().any(|(_, reach)| *reach == Invalidation::Bucket);
        Buckets::among(&named).filter(|_| falls_apart && self.spec.range == Range::Rows)
    }

    /// How far changed rows of a table reach.
    pub fn invalidation(&self, table: &Table) -> Invalidation {
        let known = self.reach.iter().find(|(known, _)| *known == table);
        let first = self.spec.reads.first().is_some_and(|first| *first == table);
        match known {
            Some((_, reach)) if first && self.buckets().is_some() => *reach,
            _ => Invalidation::Answer,
        }
    }

    /// The order of the answer, which leaves no two rows equal.
    pub fn order(&self) -> Vec<Order> {
        let by = self.asked.by().into_iter().map(|column| Order::Ascending(column.name));
        let key = self.key().into_iter().map(Order::Ascending);
        let mut order: Vec<Order> = Vec::new();
        for next in by.chain(self.spec.order.iter().copied()).chain(key) {
            if order.iter().all(|before| before.column() != next.column()) {
                order.push(next);
            }
        }
        order
    }

    /// Plans the answer: its columns in their types, its rows in their order. Nothing is read.
    ///
    /// # Errors
    /// Those of building a plan.
    pub fn plan(&self, tables: &Tables) -> PolarsResult<LazyFrame> {
        let columns = self.columns();
        let typed: Vec<_> =
            columns.iter().map(|column| col(column.name).cast(column.of.data_type())).collect();
        Ok(self.in_order(self.asked.plan(tables)?.select(typed)))
    }

    /// Rows of the answer in its order.
    pub fn in_order(&self, rows: LazyFrame) -> LazyFrame {
        let order = self.order().into_iter().flat_map(Order::keys);
        let (keys, descending): (Vec<_>, Vec<_>) = order.unzip();
        let options = SortMultipleOptions::default()
            .with_order_descending_multi(descending)
            .with_nulls_last(true);
        rows.sort_by_exprs(keys, options)
    }

    /// The twin with its parameters filled in as typed literals, ready for Spark or Sail.
    pub fn sql(&self) -> String {
        self.asked.bindings().fill(self.spec.sql)
    }

    /// What the parameters and slots of the twin stand for.
    pub fn bindings(&self) -> Bindings {
        self.asked.bindings()
    }

    /// Whether the whole answer has to be worked out because [`Question::fault`] judges it.
    pub fn is_judged(&self) -> bool {
        self.asked.is_judged()
    }

    /// What is at fault, by a whole answer, if the caller asked to be told by the exit code.
    ///
    /// # Errors
    /// An answer to another question.
    pub fn fault(&self, answer: &DataFrame) -> PolarsResult<Option<String>> {
        self.asked.fault(answer)
    }
}

impl Debug for Question {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Question")
            .field("name", &self.spec.name)
            .field("bindings", &self.bindings())
            .finish()
    }
}

/// A query's parameters with the query, without their types.
trait Asked: Send + Sync {
    fn by(&self) -> Vec<OutputColumn>;
    fn columns(&self) -> Vec<OutputColumn>;
    fn envelope(&self, tables: &Tables) -> PolarsResult<Option<Envelope>>;
    fn plan(&self, tables: &Tables) -> PolarsResult<LazyFrame>;
    fn bindings(&self) -> Bindings;
    fn is_judged(&self) -> bool;
    fn fault(&self, answer: &DataFrame) -> PolarsResult<Option<String>>;
}

struct With<Q: Query> {
    params: Q::Params,
}

impl<Q: Query> Asked for With<Q> {
    fn by(&self) -> Vec<OutputColumn> {
        Q::by(&self.params)
    }

    fn columns(&self) -> Vec<OutputColumn> {
        Q::columns(&self.params)
    }

    fn envelope(&self, tables: &Tables) -> PolarsResult<Option<Envelope>> {
        Q::envelope(tables, &self.params)
    }

    fn plan(&self, tables: &Tables) -> PolarsResult<LazyFrame> {
        Q::plan(tables, &self.params)
    }

    fn bindings(&self) -> Bindings {
        Q::bind(&self.params)
    }

    fn is_judged(&self) -> bool {
        Q::is_judged(&self.params)
    }

    fn fault(&self, answer: &DataFrame) -> PolarsResult<Option<String>> {
        Q::fault(&self.params, answer)
    }
}
