//! The filters of a query: which rows of its table it counts.
//!
//! A query takes filters of its table's columns, of the channel that led to a session, and of the tags of
//! the person:
//!
//! ```text
//! return-rate --conversation-version 3 --tag vip
//!   │ Filters::of    plan: the sessions of version 3 whose person had the tag vip at their start
//!   │ Filters::bind  twin: FROM {sessions}, a subquery of the same rows
//! ```
//!
//! Filters cut the rows that a query counts, and nothing else: what it looks up before or after them is of
//! the whole lake.

use std::fmt::Debug;
use std::marker::PhantomData;
use std::sync::Arc;

use clap::{ArgMatches, Args, Command, Error, FromArgMatches};
use polars::prelude::{Expr, LazyFrame, lit};
use wabalake_data::Table;
use wabalake_data::tables::{agent_chats, deployments, events, messages, sessions};

use super::filters::{self, Choice, Only};
use super::sql::Bindings;
use super::tables::Tables;
use super::tags::{self, OfTags};
use super::{Invalidation, NeedsTables};

/// A filter that queries may take.
#[derive(Clone, Copy, Debug)]
pub struct Filter {
    name: &'static str,
    augment: fn(Command) -> Command,
    read: fn(&ArgMatches) -> Result<Box<dyn RowFilter>, Error>,
}

impl Filter {
    const fn of<C: Choice>() -> Self {
        Self {
            name: C::NAME,
            augment: Only::<C>::augment_args,
            read: |matches| Ok(Box::new(Only::<C>::from_arg_matches(matches)?)),
        }
    }

    /// `--country`.
    pub const COUNTRY: Self = Self::of::<filters::Country>();
    /// `--line`.
    pub const LINE: Self = Self::of::<filters::Line>();
    /// `--tag`.
    pub const TAG: Self = Self {
        name: filters::Tag::NAME,
        augment: Only::<filters::Tag>::augment_args,
        read: |matches| Ok(Box::new(OfTags::new(&Only::from_arg_matches(matches)?))),
    };
    /// `--waba`.
    pub const WABA: Self = Self::of::<filters::Waba>();
    /// `--conversation-id`.
    pub const CONVERSATION_ID: Self = Self::of::<filters::ConversationId>();
    /// `--conversation-version`.
    pub const CONVERSATION_VERSION: Self = Self::of::<filters::ConversationVersion>();
    /// `--delivery-status`.
    pub const DELIVERY_STATUS: Self = Self::of::<filters::DeliveryStatus>();
    /// `--state`.
    pub const STATE: Self = Self::of::<filters::State>();
    /// `--session-type`.
    pub const SESSION_TYPE: Self = Self::of::<filters::SessionType>();
    /// `--session-status`.
    pub const SESSION_STATUS: Self = Self::of::<filters::SessionStatus>();
    /// `--channel`.
    pub const CHANNEL: Self = Self::of::<filters::Channel>();

    /// The filters of sessions.
    pub const OF_SESSIONS: &'static [Self] = &[
        Self::COUNTRY,
        Self::LINE,
        Self::TAG,
        Self::CONVERSATION_ID,
        Self::of::<filters::ConversationVersion>(),
        Self::SESSION_TYPE,
        Self::SESSION_STATUS,
        Self::CHANNEL,
    ];

    /// The filters of deployments.
    pub const OF_DEPLOYMENTS: &'static [Self] = &[
        Self::COUNTRY,
        Self::TAG,
        Self::CONVERSATION_ID,
        Self::of::<filters::ConversationVersion>(),
        Self::DELIVERY_STATUS,
        Self::STATE,
    ];

    /// The filters of messages.
    pub const OF_MESSAGES: &'static [Self] = &[
        Self::COUNTRY,
        Self::LINE,
        Self::TAG,
        Self::WABA,
        Self::of::<filters::Direction>(),
        Self::of::<filters::Template>(),
        Self::of::<filters::Campaign>(),
        Self::of::<filters::Ref>(),
        Self::of::<filters::Ref1>(),
        Self::of::<filters::Ref2>(),
        Self::of::<filters::MessageSource>(),
        Self::of::<filters::MessageFormat>(),
    ];

    /// The filters of chats with agents.
    pub const OF_CHATS: &'static [Self] = &[Self::COUNTRY, Self::TAG, Self::of::<filters::Agent>()];

    /// The filters of events, which are those of templates.
    pub const OF_EVENTS: &'static [Self] = &[Self::WABA, Self::of::<filters::Template>()];

    /// The filters that sessions, deployments or messages have, each once.
    pub const OF_ANY: &'static [Self] = &[
        Self::COUNTRY,
        Self::LINE,
        Self::TAG,
        Self::CONVERSATION_ID,
        Self::CONVERSATION_VERSION,
        Self::DELIVERY_STATUS,
        Self::STATE,
        Self::SESSION_TYPE,
        Self::SESSION_STATUS,
        Self::CHANNEL,
        Self::WABA,
        Self::of::<filters::Direction>(),
        Self::of::<filters::Template>(),
        Self::of::<filters::Campaign>(),
        Self::of::<filters::Ref>(),
        Self::of::<filters::Ref1>(),
        Self::of::<filters::Ref2>(),
        Self::of::<filters::MessageSource>(),
        Self::of::<filters::MessageFormat>(),
    ];

    /// The filters of a table's rows.
    fn all_of(table: &Table) -> &'static [Self] {
        match table.name {
            sessions::NAME => Self::OF_SESSIONS,
            deployments::NAME => Self::OF_DEPLOYMENTS,
            messages::NAME => Self::OF_MESSAGES,
            agent_chats::NAME => Self::OF_CHATS,
            events::NAME => Self::OF_EVENTS,
            _ => &[],
        }
    }

    /// Returns `true` if a table has the filter of a name.
    fn is_of(table: &Table, name: &str) -> bool {
        Self::all_of(table).iter().any(|filter| filter.name == name)
    }
}

/// A query that takes filters.
pub trait Filtered: Send + Sync + 'static {
    /// The table whose rows are filtered.
    const TABLE: &'static Table;
    /// The filters that it accepts.
    const FILTERS: &'static [Filter];
}

/// One filter of rows, as given.
pub(super) trait RowFilter: Debug + Send + Sync {
    /// Returns `true` unless all rows pass.
    fn is_given(&self) -> bool;

    /// Adds to rows of a table what the predicate needs beside their own columns.
    fn prepared(&self, rows: LazyFrame, tables: &Tables) -> LazyFrame;

    /// Predicate: a row of a table passes.
    fn passes(&self, table: &Table) -> Expr;

    /// An SQL join that adds to a table what the predicate needs; empty if it needs nothing.
    fn join_sql(&self, table: &str) -> String;

    /// The predicate in SQL, never null.
    fn passes_sql(&self, table: &Table) -> String;

    /// Binds the values that the SQL names.
    fn bind(&self, bindings: Bindings) -> Bindings;
}

impl<C: Choice> RowFilter for Only<C> {
    fn is_given(&self) -> bool {
        self.is_given()
    }

    fn prepared(&self, rows: LazyFrame, _tables: &Tables) -> LazyFrame {
        rows
    }

    fn passes(&self, table: &Table) -> Expr {
        self.keep(C::compared_in(table).0)
    }

    fn join_sql(&self, _table: &str) -> String {
        String::new()
    }

    fn passes_sql(&self, table: &Table) -> String {
        let (_, compared) = C::compared_in(table);
        match (self.allowed().is_empty(), self.lets_null_pass()) {
            (true, _) => format!("{compared} IS NULL"),
            (false, false) => format!("array_contains(:{}, {compared})", C::NAME),
            (false, true) => {
                format!("(array_contains(:{}, {compared}) OR {compared} IS NULL)", C::NAME)
            }
        }
    }

    fn bind(&self, bindings: Bindings) -> Bindings {
        if self.allowed().is_empty() { bindings } else { bindings.list(C::NAME, self.allowed()) }
    }
}

/// The filters that a query takes, as given.
#[derive(Debug)]
pub struct Filters<Q: Filtered> {
    /// Each with the name of its option's id.
    given: Vec<(&'static str, Arc<dyn RowFilter>)>,
    of: PhantomData<Q>,
}

impl<Q: Filtered> Filters<Q> {
    /// Keeps the rows of the query's table that pass.
    pub fn of(&self, rows: LazyFrame, tables: &Tables) -> LazyFrame {
        self.of_table(rows, Q::TABLE, tables)
    }

    /// Keeps the rows of another table that pass the filters which it has too.
    pub fn of_table(&self, rows: LazyFrame, table: &Table, tables: &Tables) -> LazyFrame {
        let (rows, passes) = self.told_apart(rows, table, tables);
        match passes {
            Some(passes) => rows.filter(passes),
            None => rows,
        }
    }

    /// Rows of a table, and the predicate that tells which of them pass; `None` if all do. The predicate
    /// may read columns that are added here.
    pub fn told_apart(
        &self,
        rows: LazyFrame,
        table: &Table,
        tables: &Tables,
    ) -> (LazyFrame, Option<Expr>) {
        let given = self.given_for(table);
        let passes = given.iter().map(|filter| filter.passes(table)).reduce(Expr::and);
        let rows = given.iter().fold(rows, |rows, filter| filter.prepared(rows, tables));
        (rows, passes)
    }

    /// [`Filters::told_apart`] for the query's own table, with a predicate that is true if all rows pass.
    pub fn marked(&self, rows: LazyFrame, tables: &Tables) -> (LazyFrame, Expr) {
        let (rows, passes) = self.told_apart(rows, Q::TABLE, tables);
        (rows, passes.unwrap_or(lit(true)))
    }

    /// Fills a slot of the twin that has the name of the query's table, such as `FROM {sessions}`: the
    /// table, or a subquery of the rows that pass.
    pub fn bind(&self, bindings: Bindings) -> Bindings {
        self.bind_table(bindings, Q::TABLE)
    }

    /// Fills the slot of another table with the rows that pass the filters which it has too.
    pub fn bind_table(&self, bindings: Bindings, table: &'static Table) -> Bindings {
        self.bind_relation(bindings, table.name, table)
    }

    /// Fills the slot of a relation that has the columns of a table which are filtered, and is called
    /// otherwise.
    pub fn bind_relation(
        &self,
        bindings: Bindings,
        relation: &'static str,
        table: &Table,
    ) -> Bindings {
        let given = self.given_for(table);
        let bindings = given.iter().fold(bindings, |bindings, filter| filter.bind(bindings));
        if given.is_empty() {
            return bindings.slot(relation, relation.to_owned());
        }
        let joins: String = given.iter().map(|filter| filter.join_sql(relation)).collect();
        let passes: Vec<String> = given.iter().map(|filter| filter.passes_sql(table)).collect();
        let rows = format!(
            "(
        SELECT {relation}.*
        FROM {relation}{joins}
        WHERE {}
    ) AS {relation}",
            passes.join("\n            AND ")
        );
        bindings.slot(relation, rows)
    }

    /// Returns `true` unless all rows pass.
    pub fn are_given(&self) -> bool {
        !self.given.is_empty()
    }

    /// The option of a filter that is given and that a table does not have, without its dashes.
    pub fn given_beside(&self, table: &Table) -> Option<String> {
        let (other, _) = self.given.iter().find(|(name, _)| !Filter::is_of(table, name))?;
        Some(other.replace('_', "-"))
    }

    /// How changed tags affect an answer whose rows are filtered by tag: as those of the person's rows.
    pub fn invalidation_by_tags(&self) -> Vec<Invalidation> {
        tags::invalidation(self.is_by_tag(), Q::TABLE)
    }

    /// Returns `true` if rows are filtered by the tags of their person, whose `user_key` they then need.
    pub fn is_by_tag(&self) -> bool {
        self.is_given(filters::Tag::NAME)
    }

    fn is_given(&self, name: &str) -> bool {
        self.given.iter().any(|(given, _)| *given == name)
    }

    /// The filters that are given and that a table has.
    fn given_for(&self, table: &Table) -> Vec<&dyn RowFilter> {
        let given = self.given.iter().filter(|(name, _)| Filter::is_of(table, name));
        given.map(|(_, filter)| filter.as_ref()).collect()
    }
}

impl<Q: Filtered> NeedsTables for Filters<Q> {
    fn tables(&self) -> &'static [&'static Table] {
        tags::TABLES
    }

    fn is_read(&self, _table: &Table) -> bool {
        self.is_by_tag()
    }
}

impl<Q: Filtered> Clone for Filters<Q> {
    fn clone(&self) -> Self {
        Self { given: self.given.clone(), of: PhantomData }
    }
}

impl<Q: Filtered> Args for Filters<Q> {
    fn augment_args(command: Command) -> Command {
        Q::FILTERS.iter().fold(command, |command, filter| (filter.augment)(command))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<Q: Filtered> FromArgMatches for Filters<Q> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let mut given = Vec::new();
        for filter in Q::FILTERS {
            let read = (filter.read)(matches)?;
            if read.is_given() {
                given.push((filter.name, Arc::from(read)));
            }
        }
        Ok(Self { given, of: PhantomData })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
