//! Meta's points, each compared with units of the same bucket and dimensions.
//!
//! ```text
//! requests    the distinct accounts, buckets, dimensions and lists of the reported points
//! units       joined with the buckets that contain them by quarter of an hour, of which the
//!             half-hours of every time zone consist
//! facts       units summed by bucket and all dimensions
//! computed    facts summed by the dimensions of each request
//! ```

use std::marker::PhantomData;

use polars::prelude::{ExplodeOptions, UniqueKeepStrategy, by_name, concat_str, int_ranges};
use wabalake_data::tables::instant;
use wabalake_data::tables::messages::{self, CREATED_AT};
use wabalake_data::tables::meta_points::{
    self, CONVERSATION, COST, COUNTRY, COUNTRY_CODES, DELIVERED, DIMENSION_COLUMNS, DIMENSIONS,
    END, FIELD, GRANULARITY, PHONE_NUMBER, PHONE_NUMBERS, SENT, START, VOLUME, WABA_ID,
};

use super::{
    BUCKET, COMPUTED, KEY, Params, REPORTED, compare, key_of, side, sum_or_null, text_or_nothing,
};
use crate::query::billing::money;
use crate::query::meta::{Field, units};
use crate::query::prelude::*;
use crate::query::time::{Clock, SECOND, Span};

/// Seconds in a quarter of an hour.
const QUARTER: i64 = 900;

/// The columns that points of one request have in common.
const REQUEST: [&str; 7] =
    [WABA_ID, GRANULARITY, START, END, DIMENSIONS, PHONE_NUMBERS, COUNTRY_CODES];

/// `analytics`
pub(super) fn analytics(tables: &Tables, params: &Params) -> LazyFrame {
    let units = units::messages(tables, ever(params), &["0", "2"]);
    let figures = Figures::<units::Analytics>::of(&[SENT, DELIVERED], tables, params);
    let facts = figures.facts(units, tables);
    figures.compared("analytics", facts)
}

/// `conversation-analytics`
#[derive(Clone)]
pub(super) struct ConversationPoints(Figures<units::ConversationAnalytics>);

impl ConversationPoints {
    pub(super) fn of(tables: &Tables, params: &Params) -> Self {
        Self(Figures::of(&[CONVERSATION], tables, params))
    }

    /// The counts of conversations, or of those of a part of all time.
    pub(super) fn counted(&self, conversations: LazyFrame, tables: &Tables) -> LazyFrame {
        self.0.facts(conversations.select(units::of_conversations()), tables)
    }

    /// What [`Self::counted`] returned, beside the reported points.
    pub(super) fn compared(&self, counts: LazyFrame) -> LazyFrame {
        self.0.compared("conversation-analytics", self.0.summed(counts))
    }
}

/// `pricing-analytics`
pub(super) fn pricing_analytics(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
    let figures = Figures::<units::PricingAnalytics>::of(&[VOLUME], tables, params);
    let by_month = figures.clone();
    let facts = units::deliveries(tables, ever(params), params.pricing, move |units, tables| {
        by_month.facts(units, tables)
    })?;
    let facts = figures.summed(facts);
    Ok(figures.compared("pricing-analytics", facts))
}

/// All time, because a bucket may extend beyond the range.
pub(super) fn ever(params: &Params) -> Span {
    Span { from: None, until: None, timezone: params.days.timezone() }
}

/// The reported points of a field, and what is counted for them.
#[derive(Clone)]
struct Figures<F> {
    points: LazyFrame,
    counts: &'static [&'static str],
    columns: Vec<&'static str>,
    of: PhantomData<F>,
}

impl<F: Field> Figures<F> {
    fn of(counts: &'static [&'static str], tables: &Tables, params: &Params) -> Self {
        let points = reported(F::NAME, tables, params);
        Self { points, counts, columns: columns::<F>(), of: PhantomData }
    }

    /// Only fields with a single count have a cost.
    fn has_cost(&self) -> bool {
        self.counts.len() == 1
    }

    fn requests(&self) -> LazyFrame {
        self.points.clone().select(REQUEST.map(col)).unique(None, UniqueKeepStrategy::Any)
    }

    fn sums(&self) -> Vec<Expr> {
        let mut sums: Vec<Expr> = self.counts.iter().map(|count| col(*count).sum()).collect();
        if self.has_cost() {
            sums.extend(money::charges());
        }
        sums
    }

    /// The units summed by account, bucket of a request, and all dimensions.
    fn facts(&self, units: LazyFrame, tables: &Tables) -> LazyFrame {
        self.summed(in_buckets(units, &self.requests(), tables))
    }

    /// Units in buckets, or facts of parts of them, summed.
    fn summed(&self, facts: LazyFrame) -> LazyFrame {
        let dimensions = self.columns.iter().map(|column| col(*column));
        let by: Vec<Expr> = BY_BUCKET.map(col).into_iter().chain(dimensions).collect();
        facts.group_by(by).agg(self.sums())
    }

    /// The facts of the requests beside the reported points.
    fn compared(&self, what: &'static str, facts: LazyFrame) -> LazyFrame {
        let mut metrics = self.counts.to_vec();
        if self.has_cost() {
            metrics.push(COST);
        }
        let sums = metrics.iter().map(|metric| sum_or_null(metric).alias(*metric));
        let reported = self
            .points
            .clone()
            .with_columns([bucket().alias(BUCKET), key(&self.columns).alias(KEY)])
            .group_by([col(BUCKET), col(KEY)])
            .agg(sums.collect::<Vec<_>>());
        let computed = self.computed(facts);
        compare(what, side(computed, &metrics, COMPUTED), side(reported, &metrics, REPORTED))
    }

    /// The facts summed by bucket and key, over the buckets and dimensions of the reported points.
    fn computed(&self, facts: LazyFrame) -> LazyFrame {
        let by_bucket = BY_BUCKET.map(col);
        let nulls_too = JoinArgs { nulls_equal: true, ..JoinArgs::new(JoinType::Inner) };
        let asked = self.columns.iter().map(|column| {
            let is_asked = has(DIMENSIONS, lit(word_of(column)));
            when(is_asked).then(col(*column)).otherwise(lit(Null {})).alias(*column)
        });
        let in_list = |list: &str, column: &str| {
            let listed = has(list, col(column)).fill_null(lit(false));
            col(list).is_null().or(listed)
        };
        let not_zero = self.counts.iter().map(|count| col(*count).neq(lit(0))).reduce(Expr::or);
        let computed = facts
            .join(self.requests(), &by_bucket, &by_bucket, nulls_too)
            .filter(in_list(PHONE_NUMBERS, PHONE_NUMBER).and(in_list(COUNTRY_CODES, COUNTRY)))
            .with_columns(asked.collect::<Vec<_>>())
            .with_columns([bucket().alias(BUCKET), key(&self.columns).alias(KEY)])
            .group_by([col(BUCKET), col(KEY)])
            .agg(self.sums())
            .filter(not_zero.unwrap_or(lit(true)));
        match self.has_cost() {
            true => computed.with_column(money::cost().alias(COST)),
            false => computed,
        }
    }
}

/// The columns that a request's bucket is identified by.
const BY_BUCKET: [&str; 3] = [START, END, WABA_ID];

/// The reported points of a field whose bucket begins on a date of the range.
fn reported(field: &'static str, tables: &Tables, params: &Params) -> LazyFrame {
    let points = params.waba.of(tables.scan(&meta_points::TABLE)).filter(col(FIELD).eq(lit(field)));
    match params.days.holds(&Clock::Day.start(bucket(), params.days.timezone())) {
        Some(in_range) => points.filter(in_range),
        None => points,
    }
}

/// The start of a point's bucket.
fn bucket() -> Expr {
    (col(START) * lit(SECOND)).cast(instant())
}

/// Joins units with each bucket of a request that contains them: adds its `start` and `end`.
fn in_buckets(units: LazyFrame, requests: &LazyFrame, tables: &Tables) -> LazyFrame {
    const TOUCHED: &str = "quarter";
    const FIRST: &str = "first_quarter";
    const LAST: &str = "last_quarter";
    const EVERY: &str = "every";
    let quarter = |at: Expr| at.cast(DataType::Int64).floor_div(lit(SECOND * QUARTER));
    // A bucket is clipped to the time of the messages, so that a wrong `end` makes no endless list.
    let known = tables.scan(&messages::TABLE).select([
        quarter(col(CREATED_AT).min()).alias(FIRST),
        quarter(col(CREATED_AT).max()).alias(LAST),
        lit(true).alias(EVERY),
    ]);
    let first = col(START).floor_div(lit(QUARTER));
    let last = (col(END) - lit(1_i64)).floor_div(lit(QUARTER));
    let quarters = int_ranges(
        when(first.clone().gt(col(FIRST))).then(first).otherwise(col(FIRST)),
        when(last.clone().lt(col(LAST))).then(last).otherwise(col(LAST)) + lit(1_i64),
        lit(1_i64),
        DataType::Int64,
    );
    let keep_nulls = ExplodeOptions { empty_as_null: true, keep_nulls: true };
    let buckets = requests
        .clone()
        .select([col(START), col(END), lit(true).alias(EVERY)])
        .unique(None, UniqueKeepStrategy::Any)
        .inner_join(known, col(EVERY), col(EVERY))
        .select([col(START), col(END), quarters.alias(TOUCHED)])
        .explode(by_name([TOUCHED], true, false), keep_nulls);
    let at = || col(CREATED_AT).cast(DataType::Int64);
    let lies_in = at().gt_eq(col(START) * lit(SECOND)).and(at().lt(col(END) * lit(SECOND)));
    units
        .with_column(quarter(col(CREATED_AT)).alias(TOUCHED))
        .inner_join(buckets, col(TOUCHED), col(TOUCHED))
        .filter(lies_in)
}

/// The key of a point within its bucket: account and granularity, lists if there are any, dimensions.
fn key(columns: &[&'static str]) -> Expr {
    let named = |column: &'static str| {
        concat_str([lit(format!("; {column}=")), text_or_nothing(column)], "", false)
    };
    let mut parts = vec![key_of(&[WABA_ID, GRANULARITY])];
    for list in [PHONE_NUMBERS, COUNTRY_CODES] {
        parts.push(when(col(list).is_not_null()).then(named(list)).otherwise(lit("")));
    }
    for column in columns {
        let is_one = has(DIMENSIONS, lit(word_of(column)));
        parts.push(when(is_one).then(named(column)).otherwise(lit("")));
    }
    concat_str(parts, "", false)
}

/// The columns of a field's dimensions, in table order. `analytics` has no dimensions; its columns are
/// those that its lists restrict.
fn columns<F: Field>() -> Vec<&'static str> {
    let of_field = |word: &str| F::DIMENSIONS.contains(&word) || F::DIMENSIONS.is_empty();
    let dimensions = DIMENSION_COLUMNS.iter().filter(|(word, _)| of_field(word));
    let is_list = |column: &&str| [PHONE_NUMBER, COUNTRY].contains(column);
    let mut columns: Vec<&'static str> = dimensions
        .map(|(_, column)| *column)
        .filter(|column| !F::DIMENSIONS.is_empty() || is_list(column))
        .collect();
    columns.sort_by_key(|column| meta_points::TABLE.position(column));
    columns
}

/// Meta's name of a dimension column.
fn word_of(column: &str) -> &'static str {
    let found = DIMENSION_COLUMNS.iter().find(|(_, of)| *of == column);
    found.map_or("", |(word, _)| word)
}

/// Predicate: a stored list contains a word. Null if either is.
fn has(list: &str, word: Expr) -> Expr {
    let between_commas = |text: Expr| concat_str([lit(","), text, lit(",")], "", false);
    between_commas(col(list)).str().contains_literal(between_commas(word))
}
