//! A query with its parameters: what it plans, and the schema of what it answers.

use std::fmt::{self, Debug};

use chrono::NaiveDate;
use chrono_tz::Tz;
use polars::prelude::{
    DataFrame, Expr, IdxSize, LazyFrame, PolarsResult, SortMultipleOptions, col,
};
use wabalake_data::Table;

use super::{
    AnswerBuckets, Bindings, Envelope, Invalidation, Order, OutputColumn, Query, Range, Shape,
    Spec, Spread, Tables, Timeframe,
};
use crate::kernels::sorted::sorted;
use crate::query::time::{DAY, Span, day_start};

/// A query with its parameters.
pub struct Question {
    pub(super) spec: Spec,
    pub(super) query: Box<dyn ErasedQuery>,
    pub(super) timeframe: Timeframe,
}

impl Question {
    /// The spec of the query.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// The tables that the answer depends on: see [`Query::reads`].
    pub fn reads(&self) -> Vec<&'static Table> {
        self.query.reads()
    }

    /// The first instant of a table that counts and the first one after, in microseconds; `None`
    /// where the range is open. Rows outside do not change the answer.
    pub fn instants(&self, table: &Table) -> (Option<i64>, Option<i64>) {
        if self.is_ranged(table) { self.timeframe.instants() } else { (None, None) }
    }

    /// The values of `--from` and `--to`, both inclusive.
    pub fn dates(&self) -> (Option<NaiveDate>, Option<NaiveDate>) {
        self.timeframe.dates()
    }

    /// The time zone in which the answer's instants are shown.
    pub fn timezone(&self) -> Tz {
        self.timeframe.timezone()
    }

    /// The people whose rows alone the answer depends on: see [`Query::people`].
    pub fn people(&self) -> Vec<String> {
        self.query.people()
    }

    /// The column of the plan's answer that is shown as others: see [`Query::spread`].
    pub fn spread(&self) -> Option<Spread> {
        self.query.spread()
    }

    /// The columns of the answer, as the plan and the twin give them.
    pub fn columns(&self) -> Vec<OutputColumn> {
        self.query.columns()
    }

    /// The part of a response of Meta's API that surrounds the answer; `None` for a query without
    /// such a response.
    ///
    /// # Errors
    /// Those of building a plan.
    pub fn envelope(&self, tables: &Tables) -> PolarsResult<Option<Envelope>> {
        self.query.envelope(tables)
    }

    /// The columns of `--by`.
    pub fn by(&self) -> Vec<OutputColumn> {
        self.query.by()
    }

    /// The columns that identify a row of the answer.
    pub fn key(&self) -> Vec<&'static str> {
        let mut key: Vec<_> = self.query.by().into_iter().map(|column| column.name).collect();
        for name in self.query.shape().key {
            if !key.contains(&name) {
                key.push(name);
            }
        }
        key
    }

    /// The time buckets of the answer that can be computed one by one; `None` if only the whole
    /// answer can be computed.
    pub fn buckets(&self) -> Option<AnswerBuckets> {
        let key = self.key();
        let mut key_columns = self.columns();
        key_columns.retain(|column| key.contains(&column.name));
        let is_bounded = |table: &&Table| {
            let rules = self.query.invalidation(table);
            rules.iter().any(|rule| matches!(rule, Invalidation::Near(_)))
        };
        let own = self.query.buckets(self.timezone());
        own.or_else(|| AnswerBuckets::among(&key_columns, self.timezone()))
            .filter(|_| self.spec.reads.iter().any(is_bounded))
    }

    /// Which rows of the answer a changed row of a table affects: several rules add up, and none means
    /// that the table does not matter.
    pub fn invalidation(&self, table: &Table) -> Vec<Invalidation> {
        let rules = self.query.invalidation(table);
        if self.buckets().is_none() && rules.iter().any(Invalidation::is_of_dates) {
            return vec![Invalidation::Answer];
        }
        rules
    }

    /// Returns `true` if the days of a table's changed rows decide what a change affects.
    pub fn is_judged_by_day(&self, table: &Table) -> bool {
        let by_rule = self.invalidation(table).iter().any(Invalidation::is_of_dates);
        by_rule || self.instants(table) != (None, None)
    }

    /// Returns `true` if a row of a table may count whose own time is on a UTC day.
    pub fn may_count(&self, table: &Table, day: NaiveDate) -> bool {
        let (from, until) = self.instants(table);
        let start = day_start(Tz::UTC, day);
        from.is_none_or(|from| from < start.saturating_add(DAY))
            && until.is_none_or(|until| start < until)
    }

    /// Returns `true` if `--from` and `--to` restrict the rows of a table.
    fn is_ranged(&self, table: &Table) -> bool {
        self.spec.range.table().is_some_and(|ranged| ranged == table)
    }

    /// The columns that the answer is sorted by. No two rows are equal in all of them.
    pub fn order(&self) -> Vec<Order> {
        let by = self.query.by().into_iter().map(|column| Order::Ascending(column.name));
        let key = self.key().into_iter().map(Order::Ascending);
        let mut order: Vec<Order> = Vec::new();
        for next in by.chain(self.query.shape().order).chain(key) {
            if order.iter().all(|before| before.column() != next.column()) {
                order.push(next);
            }
        }
        order
    }

    /// Returns the lazy plan of the answer, cast to its schema and sorted. No data is read.
    ///
    /// # Errors
    /// Those of building a plan.
    pub fn plan(&self, tables: &Tables) -> PolarsResult<LazyFrame> {
        let (keys, options) = self.sort_keys();
        Ok(sorted(self.unsorted(tables)?, keys, options))
    }

    /// [`Question::plan`] of the first rows only.
    ///
    /// # Errors
    /// Those of building a plan.
    pub fn plan_first(&self, tables: &Tables, rows: IdxSize) -> PolarsResult<LazyFrame> {
        Ok(self.in_order(self.unsorted(tables)?).limit(rows))
    }

    /// The plan of the answer in any order, cast to its schema.
    ///
    /// # Errors
    /// Those of building a plan.
    pub fn unsorted(&self, tables: &Tables) -> PolarsResult<LazyFrame> {
        let columns = self.columns();
        let typed: Vec<_> =
            columns.iter().map(|column| col(column.name).cast(column.of.data_type())).collect();
        Ok(self.query.plan(tables)?.select(typed))
    }

    /// The table whose rows the answer lists in the order of their stamps, which none of them lacks. Then the
    /// answer is what the rows of one interval of time give, followed by what those of the next give.
    pub fn listed(&self) -> Option<&'static Table> {
        let table = self.spec.range.table()?;
        let by_time = self.order().first() == Some(&Order::Ascending(table.day_of));
        let stamped = table.columns.iter().any(|c| c.name == table.day_of && c.required);
        (by_time && stamped && self.key() == table.key).then_some(table)
    }

    /// [`Question::plan`] of the rows of the [listed](Self::listed) table that lie in an interval.
    ///
    /// # Errors
    /// Those of building a plan.
    pub fn plan_within(
        &self,
        tables: &Tables,
        table: &'static Table,
        within: Span,
    ) -> PolarsResult<LazyFrame> {
        self.plan(&tables.clone().with(table, within.scan(tables, table)))
    }

    /// Sorts rows of the answer by its [order](Self::order).
    pub fn in_order(&self, rows: LazyFrame) -> LazyFrame {
        let (keys, options) = self.sort_keys();
        rows.sort_by_exprs(keys, options)
    }

    fn sort_keys(&self) -> (Vec<Expr>, SortMultipleOptions) {
        let order = self.order().into_iter().flat_map(Order::keys);
        let (keys, descending): (Vec<_>, Vec<_>) = order.unzip();
        let options = SortMultipleOptions::default()
            .with_order_descending_multi(descending)
            .with_nulls_last(true);
        (keys, options)
    }

    /// The SQL twin with its parameters filled in as typed literals, for Spark and Sail.
    pub fn sql(&self) -> String {
        self.query.bindings().fill(&self.query.shape().sql)
    }

    /// The SQL twin with its slots filled in, and its parameters as `:name`.
    pub fn twin(&self) -> String {
        self.query.bindings().fill_slots(&self.query.shape().sql)
    }

    /// The values of the twin's parameters and slots.
    pub fn bindings(&self) -> Bindings {
        self.query.bindings()
    }

    /// Returns `true` if [`Question::fault`] was asked for. It needs every row of the answer.
    pub fn is_judged(&self) -> bool {
        self.query.is_judged()
    }

    /// Describes what fails in a whole answer, if the caller asked for a verdict.
    ///
    /// # Errors
    /// An answer to another question.
    pub fn fault(&self, answer: &DataFrame) -> PolarsResult<Option<String>> {
        self.query.fault(answer)
    }
}

impl Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Question")
            .field("name", &self.spec.name)
            .field("bindings", &self.bindings())
            .finish()
    }
}

/// A [`Query`] with its parameters, as a trait object.
pub(super) trait ErasedQuery: Send + Sync {
    fn by(&self) -> Vec<OutputColumn>;
    fn shape(&self) -> Shape;
    fn range(&self) -> Range;
    fn reads(&self) -> Vec<&'static Table>;
    fn columns(&self) -> Vec<OutputColumn>;
    fn spread(&self) -> Option<Spread>;
    fn envelope(&self, tables: &Tables) -> PolarsResult<Option<Envelope>>;
    fn people(&self) -> Vec<String>;
    fn plan(&self, tables: &Tables) -> PolarsResult<LazyFrame>;
    fn bindings(&self) -> Bindings;
    fn invalidation(&self, table: &Table) -> Vec<Invalidation>;
    fn buckets(&self, zone: Tz) -> Option<AnswerBuckets>;
    fn is_judged(&self) -> bool;
    fn fault(&self, answer: &DataFrame) -> PolarsResult<Option<String>>;
}

pub(super) struct WithParams<Q: Query> {
    pub(super) params: Q::Params,
}

impl<Q: Query> ErasedQuery for WithParams<Q> {
    fn by(&self) -> Vec<OutputColumn> {
        Q::by(&self.params)
    }

    fn shape(&self) -> Shape {
        Q::shape(&self.params)
    }

    fn range(&self) -> Range {
        Q::range(&self.params)
    }

    fn reads(&self) -> Vec<&'static Table> {
        Q::reads(&self.params)
    }

    fn columns(&self) -> Vec<OutputColumn> {
        match Q::META {
            Some(meta) => (meta.columns)(&self.params),
            None => {
                let by = Q::by(&self.params);
                let is_split = |column: &&OutputColumn| by.iter().any(|of| of.name == column.name);
                let mut others = Q::shape(&self.params).columns;
                others.retain(|column| !is_split(&column));
                by.iter().copied().chain(others).collect()
            }
        }
    }

    fn spread(&self) -> Option<Spread> {
        Q::spread(&self.params)
    }

    fn envelope(&self, tables: &Tables) -> PolarsResult<Option<Envelope>> {
        Q::META.map(|meta| (meta.envelope)(tables, &self.params)).transpose()
    }

    fn people(&self) -> Vec<String> {
        Q::people(&self.params)
    }

    fn plan(&self, tables: &Tables) -> PolarsResult<LazyFrame> {
        Q::plan(tables, &self.params)
    }

    fn bindings(&self) -> Bindings {
        Q::bind(&self.params)
    }

    fn invalidation(&self, table: &Table) -> Vec<Invalidation> {
        Q::invalidation(&self.params, table)
    }

    fn buckets(&self, zone: Tz) -> Option<AnswerBuckets> {
        Q::buckets(&self.params, zone)
    }

    fn is_judged(&self) -> bool {
        Q::JUDGE.is_some_and(|judge| (judge.is_asked)(&self.params))
    }

    fn fault(&self, answer: &DataFrame) -> PolarsResult<Option<String>> {
        Q::JUDGE.map_or(Ok(None), |judge| (judge.fault)(&self.params, answer))
    }
}
