//! The query interface: what a named query declares, and how the catalog asks it.
//!
//! ```text
//! drop-off --country CO                     a command line
//!   │  CatalogEntry::ask                    typed options + Defaults; usage errors end here
//!   ▼
//! Question ── plan(&Tables) ──► LazyFrame   a lazy plan, collected by the caller
//!          ── columns, key, order           the schema and order of the answer
//!          ── sql ──► WITH sessions AS …    the SQL twin with its parameters filled in
//! ```
//!
//! A query implements [`Query`]: its [`Spec`], its parameters and its plan. A [`CatalogEntry`] erases
//! those types, so that all queries fit into one slice, [`CATALOG`](crate::CATALOG).
//!
//! | modules | what they hold |
//! |---|---|
//! | [`spec`], [`mod@column`], [`entry`], [`question`] | the interface itself |
//! | [`behind`] | the people behind a number |
//! | [`time`] | time zones, date ranges, buckets of local time, invalidation of answers |
//! | [`filters`], [`row_filters`], [`dimensions`], [`numbers`], [`words`], [`usage`] | options and their parsers |
//! | [`measures`], [`joins`], [`lines`], [`people`], [`tags`], [`nodes`], [`chains`], [`first_visits`], [`conversions`], [`same_sends`], [`statistics`] | expressions and plans that queries share |
//! | [`breakdown`], [`performance`], [`failures`], [`clocks`] | the shared half of pairs of queries |
//! | [`billing`], [`monthly`], [`meta`] | what conversations and messages cost; conversations by month; Meta's analytics API |
//! | [`sql`], [`json`], [`tables`] | bindings of the twins; JSON texts; the tables that a plan scans |

use std::fmt::Debug;

use chrono_tz::Tz;
use clap::Args;
use polars::prelude::{DataFrame, Engine, LazyFrame, PolarsResult};
use wabalake_data::Table;

pub mod behind;
pub mod billing;
pub mod breakdown;
pub mod chains;
pub mod clocks;
pub mod column;
pub mod conversions;
pub mod dimensions;
pub mod entry;
pub mod failures;
pub mod filters;
pub mod first_visits;
pub mod joins;
pub mod json;
pub mod lines;
pub mod measures;
pub mod meta;
pub mod monthly;
pub mod nodes;
pub mod numbers;
pub mod people;
pub mod performance;
pub mod question;
pub mod row_filters;
pub mod same_sends;
pub mod spec;
pub mod sql;
pub mod statistics;
pub mod tables;
pub mod tags;
pub mod time;
pub mod usage;
pub mod words;

pub use behind::Behind;
pub use chains::Chains;
pub use column::{OutputColumn, Type};
pub use conversions::Conversions;
pub use dimensions::{Dimension, Dimensions, Grouped};
pub use entry::CatalogEntry;
pub use filters::Only;
pub use meta::{Envelope, MetaShape};
pub use question::Question;
pub use row_filters::{Filter, Filtered, Filters};
pub use spec::{NeedsTables, Order, Range, Shape, Spec, Spread};
pub use sql::Bindings;
pub use tables::Tables;
pub use time::{AnswerBuckets, DayRange, Defaults, Invalidation, Near, Timeframe, Timezone};

/// What a query needs to state its spec, its parameters and its plan.
pub mod prelude {
    pub use clap::{Args, Error as UsageError};
    pub use polars::prelude::{
        DataType, Expr, IntoLazy, JoinArgs, JoinType, LazyFrame, Null, PolarsResult, col, lit, when,
    };

    pub use super::filters::{self, Only};
    pub use super::joins::look_up;
    pub use super::measures::{
        agent_sessions, answered, average, average_seconds, delivery_is, elapsed, incoming_message,
        message_counts, message_delivered, message_failed, message_read, message_sent, minutes,
        outgoing, parent_key, quantile_seconds, ratio, rows, rows_where, seconds, session_duration,
        share_pct, users, visit,
    };
    pub use super::{
        AnswerBuckets, Behind, Bindings, Chains, Conversions, DayRange, Defaults, Dimension,
        Dimensions, Filter, Filtered, Filters, Grouped, Invalidation, Near, Order, OutputColumn,
        Query, Range, Shape, Spec, Spread, Tables, Timeframe, Timezone,
    };
}

/// The Polars engine that collects answers: the streaming engine measured faster.
pub const ENGINE: Engine = Engine::Streaming;

/// A named query over the tables of a lake.
pub trait Query: Sized + Send + Sync + 'static {
    /// The query's options, parsed by clap.
    type Params: Args + Debug + Send + Sync + 'static;

    /// Name, title, columns and everything else that is the same for all parameters.
    const SPEC: Spec;

    /// How an answer is written as a response of Meta's API, for queries that have one.
    const META: Option<MetaShape<Self>> = None;

    /// The rows behind the cells of an answer, for queries that name the people behind a number.
    const BEHIND: Option<Behind<Self>> = None;

    /// The rows behind the cells of an answer whose shape is not that of the spec.
    const BEHIND_RESHAPED: Option<Behind<Self>> = None;

    /// How an answer passes or fails, for queries that set the exit code.
    const JUDGE: Option<Judge<Self>> = None;

    /// Fills in from the defaults what was not typed, and returns the timeframe asked about.
    ///
    /// # Errors
    /// Options that are valid each by itself but not together.
    fn resolve(params: &mut Self::Params, defaults: &Defaults) -> Result<Timeframe, clap::Error>;

    /// The columns of `--by`. They precede the columns of the spec and belong to the key; one that the spec
    /// has too is not repeated.
    fn by(_params: &Self::Params) -> Vec<OutputColumn> {
        Vec::new()
    }

    /// The shape of the answer, if options change that of the spec.
    fn shape(_params: &Self::Params) -> Shape {
        Shape::of(&Self::SPEC)
    }

    /// What `--from` and `--to` restrict, if options change that of the spec.
    fn range(_params: &Self::Params) -> Range {
        Self::SPEC.range
    }

    /// The tables that the answer depends on. By default all of the spec; a query whose options need some of them
    /// names these options: see [`Spec::reads_for`].
    fn reads(_params: &Self::Params) -> Vec<&'static Table> {
        Self::SPEC.reads.to_vec()
    }

    /// The column in whose place the answer shows others, one for each name among its rows, if options ask for
    /// that. No mart can have such an answer, whose columns are not known before its rows.
    fn spread(_params: &Self::Params) -> Option<Spread> {
        None
    }

    /// The rows behind the cells of the answer: [`Query::BEHIND`] or [`Query::BEHIND_RESHAPED`].
    fn behind(_params: &Self::Params) -> Option<Behind<Self>> {
        Self::BEHIND
    }

    /// The people whose rows alone the answer depends on: numbers and user ids, or none if anybody's rows
    /// count. Only the files that may hold them are scanned.
    ///
    /// A row of a person names them as `user_phone`, or, in a table whose
    /// [`person_keys`](Table::person_keys) have `session_key`, one of the person's sessions.
    fn people(_params: &Self::Params) -> Vec<String> {
        Vec::new()
    }

    /// Which rows of the answer a changed row of a table affects: several rules add up, and none means
    /// that the table does not matter. By default all.
    fn invalidation(_params: &Self::Params, _table: &Table) -> Vec<Invalidation> {
        vec![Invalidation::Answer]
    }

    /// The time buckets of the answer, in the time zone of its dates, if no column of its key shows them
    /// by name.
    fn buckets(_params: &Self::Params, _zone: Tz) -> Option<AnswerBuckets> {
        None
    }

    /// Returns the lazy plan of the answer: at least the declared columns, rows in any order.
    ///
    /// # Errors
    /// Those of building a plan.
    fn plan(tables: &Tables, params: &Self::Params) -> PolarsResult<LazyFrame>;

    /// Binds the parameters and fills the slots of the SQL twin.
    fn bind(params: &Self::Params) -> Bindings;
}

/// How a query decides that an answer fails, for the exit code of the command.
pub struct Judge<Q: Query> {
    /// Returns `true` if the caller asked for a verdict. It needs every row, so `--limit` is then
    /// applied after the verdict.
    pub is_asked: fn(&Q::Params) -> bool,
    /// Describes what fails in a whole answer; `None` if nothing does.
    pub fault: fn(&Q::Params, &DataFrame) -> PolarsResult<Option<String>>,
}
