//! The points of a field: buckets of time, each with its dimensions and measures.

use std::marker::PhantomData;

use chrono_tz::Tz;
use clap::{Error, ValueEnum};
use polars::prelude::{
    DataType, Expr, LazyFrame, NamedFrom, PolarsResult, Series, UniqueKeepStrategy, col, lit,
};
use wabalake_data::cells::list;
use wabalake_data::tables::messages::{self, CREATED_AT};
use wabalake_data::tables::meta_points::{
    self, COST, COUNTRY, COUNTRY_CODES, DIMENSION_COLUMNS, END, PHONE_NUMBER, PHONE_NUMBERS, START,
    WABA_ID,
};
use wabalake_data::{Invalid, Table};

use super::Envelope;
use super::expression::Bounds;
use super::fields::{BY_PRODUCT, Field, Filter, counts, has_cost};
use crate::kernels::groups::Groups;
use crate::query::billing::money;
use crate::query::filters::{self, Only};
use crate::query::sql::Bindings;
use crate::query::tables::Tables;
use crate::query::time::{Clock, DayRange, Span};
use crate::query::usage::misfit;
use crate::query::{AnswerBuckets, Defaults, Invalidation, OutputColumn, Timeframe};

/// The length of the buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Granularity {
    HalfHour,
    Day,
    Month,
}

impl Granularity {
    /// Parses a word in Meta's spelling or ours.
    pub(super) fn read(word: &str) -> Option<Self> {
        Some(match meta_points::GRANULARITIES.canonical(word)? {
            "HALF_HOUR" => Self::HalfHour,
            "MONTH" => Self::Month,
            _ => Self::Day,
        })
    }

    /// The word that stored points have.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::HalfHour => "HALF_HOUR",
            Self::Day => "DAY",
            Self::Month => "MONTH",
        }
    }

    fn clock(self) -> Clock {
        match self {
            Self::HalfHour => Clock::HalfHour,
            Self::Day => Clock::Day,
            Self::Month => Clock::Month,
        }
    }
}

/// Where points come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PointsSource {
    /// Computed from the lake's messages
    Lake,
    /// Loaded from Meta's responses
    Meta,
}

/// The parameters of a field's query, given by options or by an expression.
#[derive(Clone, Debug)]
pub struct Points<F: Field> {
    pub(super) days: DayRange,
    /// Start and end of an expression, which replace the dates.
    pub(super) bounds: Option<Bounds>,
    /// `true` if dates and buckets begin in UTC, not in the reporting zone.
    pub(super) in_utc: bool,
    pub(super) granularity: Granularity,
    pub(super) waba: Only<filters::Waba>,
    /// For each of the field's filters the values that pass; empty for all.
    pub(super) allowed: Vec<Vec<String>>,
    /// Meta's names of the dimensions, each once.
    pub(super) dimensions: Vec<&'static str>,
    pub(super) measures: Vec<OutputColumn>,
    pub(super) source: PointsSource,
    pub(super) of: PhantomData<F>,
}

/// The column with the start of a bucket.
const BUCKET: &str = "bucket";

impl<F: Field> Points<F> {
    /// Fills in the default zone and dates.
    ///
    /// # Errors
    /// A start that is not before its end.
    pub fn resolve(&mut self, defaults: &Defaults) -> Result<Timeframe, Error> {
        self.days.resolve(defaults)?;
        match self.span() {
            Span { from: Some(from), until: Some(until), .. }
                if self.bounds.is_some() && from >= until =>
            {
                let invalid = Invalid::new("`end` is not after `start`");
                Err(misfit(invalid.hint("the end is the first moment that does not count")))
            }
            span if self.bounds.is_some() => Ok(Timeframe::Span(span)),
            Span { timezone: shown_in, .. } => {
                let days = self.days.within(self.bucket_zone());
                Ok(Timeframe::DaysElsewhere { days, shown_in })
            }
        }
    }

    /// The interval of time that points lie in, with the reporting zone. Prices are those of its
    /// dates and months also where buckets begin in UTC.
    pub fn span(&self) -> Span {
        let timezone = self.bucket_zone();
        let span = match self.bounds {
            Some(bounds) => bounds.span(timezone),
            None => self.days.within(timezone).span(),
        };
        Span { timezone: self.days.timezone(), ..span }
    }

    /// The time zone in which buckets begin.
    fn bucket_zone(&self) -> Tz {
        if self.in_utc { Tz::UTC } else { self.days.timezone() }
    }

    /// [`Field::REFINED_BY`] with the values that pass, if it excludes something.
    pub(super) fn refined_by(&self) -> Option<(&'static Filter, &[String])> {
        let refined = F::REFINED_BY?;
        self.filters().find(|(filter, _)| filter.column == refined.column)
    }

    /// How changed rows of a table affect the points; `of_messages` is the rule of messages. With
    /// `--source meta` a change affects all.
    pub fn invalidation(
        &self,
        table: &Table,
        of_messages: impl FnOnce() -> Vec<Invalidation>,
    ) -> Vec<Invalidation> {
        let is_meta = *table == meta_points::TABLE;
        match self.source {
            PointsSource::Meta if is_meta => vec![Invalidation::Answer],
            PointsSource::Lake if *table == messages::TABLE => of_messages(),
            PointsSource::Lake if !is_meta => vec![Invalidation::Answer],
            _ => Vec::new(),
        }
    }

    /// The time buckets of the points. An expression fixes the dates, so that its points cannot be computed
    /// bucket by bucket.
    pub fn buckets(&self) -> Option<AnswerBuckets> {
        let buckets =
            AnswerBuckets::of_seconds(START, self.granularity.clock(), self.bucket_zone());
        self.bounds.is_none().then_some(buckets)
    }

    /// Where the points come from.
    pub fn source(&self) -> PointsSource {
        self.source
    }

    /// The columns that identify a point.
    pub fn by(&self) -> Vec<OutputColumn> {
        let bounds = const { [OutputColumn::count(START), OutputColumn::count(END)] };
        let split =
            self.dimension_columns().into_iter().map(|name| OutputColumn::text(name).as_named());
        bounds.into_iter().chain(F::ALWAYS.iter().copied()).chain(split).collect()
    }

    /// The columns of the answer.
    pub fn columns(&self) -> Vec<OutputColumn> {
        [self.by(), self.measures.clone()].concat()
    }

    /// The columns that points are broken down by, without the bucket.
    pub(super) fn split_by(&self) -> Vec<&'static str> {
        let always = F::ALWAYS.iter().map(|column| column.name);
        always.chain(self.dimension_columns()).collect()
    }

    fn dimension_columns(&self) -> Vec<&'static str> {
        self.dimensions.iter().filter_map(|word| column_of(word)).collect()
    }

    /// Returns the lazy plan of the points.
    ///
    /// `units` are rows of the span with `created_at`, `waba_id`, the columns of the field's filters
    /// and dimensions, the counts, and the columns of [`money::charged`] if the field has a cost.
    /// They are not used with `--source meta`.
    ///
    /// # Errors
    /// Those of building a plan.
    pub fn plan(
        &self,
        tables: &Tables,
        units: impl FnOnce() -> PolarsResult<LazyFrame>,
    ) -> PolarsResult<LazyFrame> {
        self.plan_of_sums(tables, || Ok(self.summed(units()?)))
    }

    /// Returns the lazy plan of the points from units that [`Points::summed`] has summed.
    ///
    /// # Errors
    /// Those of building a plan.
    pub fn plan_of_sums(
        &self,
        tables: &Tables,
        sums: impl FnOnce() -> PolarsResult<LazyFrame>,
    ) -> PolarsResult<LazyFrame> {
        let points = match self.source {
            PointsSource::Meta => self.stored(tables)?,
            PointsSource::Lake => self.bounded(sums()?),
        };
        let counts_anything = F::MEASURES.iter().map(|measure| {
            col(measure.name).cast(DataType::Float64).fill_null(lit(0.0)).neq(lit(0.0))
        });
        // A point of zeros is left out. Some stored points report a cost only, and are kept.
        let costs_only = counts::<F>().map(|count| col(count).is_null());
        let costs_only = costs_only.chain(has_cost::<F>().then(|| col(COST).is_not_null()));
        let costs_only = costs_only.reduce(Expr::and).filter(|_| has_cost::<F>());
        Ok(match counts_anything.chain(costs_only).reduce(Expr::or) {
            Some(is_point) => points.filter(is_point),
            None => points,
        })
    }

    /// Sums the units that pass the filters, by bucket and dimensions.
    pub fn summed(&self, units: LazyFrame) -> LazyFrame {
        let start = self.granularity.clock().start(col(CREATED_AT), self.bucket_zone());
        self.summed_by(start.alias(BUCKET), self.kept(units))
    }

    /// Sums what [`Points::summed`] returned for parts of the units.
    pub fn summed_again(&self, sums: LazyFrame) -> LazyFrame {
        self.summed_by(col(BUCKET), sums)
    }

    fn summed_by(&self, bucket: Expr, units: LazyFrame) -> LazyFrame {
        let split: Vec<Expr> = self.split_by().into_iter().map(col).collect();
        let mut sums: Vec<Expr> = counts::<F>().map(|count| col(count).sum()).collect();
        if has_cost::<F>() {
            sums.extend(money::charges());
        }
        if split.is_empty() {
            return units.group_by([bucket]).agg(sums);
        }
        Groups::of(units.with_column(bucket), [&[col(BUCKET)], &split[..]].concat()).agg(sums)
    }

    /// Adds the bounds of buckets, and the cost if the field has one.
    fn bounded(&self, sums: LazyFrame) -> LazyFrame {
        let [start, end] = self.granularity.clock().bounds(&col(BUCKET), self.bucket_zone());
        let points = sums.with_columns([start.alias(START), end.alias(END)]);
        if has_cost::<F>() { points.with_column(money::cost().alias(COST)) } else { points }
    }

    /// The words of a filter that pass; empty for all.
    pub fn allowed(&self, filter: &Filter) -> &[String] {
        self.filters().find(|(of, _)| of.name == filter.name).map_or(&[], |(_, allowed)| allowed)
    }

    /// The units that pass the filters.
    fn kept(&self, units: LazyFrame) -> LazyFrame {
        let units = self.waba.of(units);
        let refined = F::REFINED_BY.map(|filter| filter.name);
        // Messages of other products are no units.
        self.filters()
            .filter(|(filter, _)| Some(filter.name) != refined && filter.name != BY_PRODUCT.name)
            .fold(units, |units, (filter, allowed)| units.filter(is_one_of(filter.column, allowed)))
    }

    /// The filters that exclude something, each with the values that pass.
    pub(super) fn filters(&self) -> impl Iterator<Item = (&'static Filter, &[String])> {
        let all = F::FILTERS.iter().zip(self.allowed.iter().map(Vec::as_slice));
        all.filter(|(_, allowed)| !allowed.is_empty())
    }

    /// The part of a response of Meta's API that surrounds the points.
    ///
    /// # Errors
    /// Those of building a plan.
    pub fn envelope(
        &self,
        tables: &Tables,
        units: impl FnOnce() -> PolarsResult<LazyFrame>,
    ) -> PolarsResult<Envelope> {
        self.envelope_of(tables, || Ok(self.met_in(units()?)))
    }

    /// The accounts, lines and countries of the units that pass the filters.
    pub fn met_in(&self, units: LazyFrame) -> LazyFrame {
        let counts = counts::<F>().map(|count| col(count).neq(lit(0)));
        let anything = counts.reduce(Expr::or).unwrap_or(lit(true));
        let met = self.kept(units).filter(anything).select([
            col(WABA_ID),
            col(PHONE_NUMBER).alias(PHONE_NUMBERS),
            col(COUNTRY).alias(COUNTRY_CODES),
        ]);
        met.unique(None, UniqueKeepStrategy::Any)
    }

    /// The part of a response of Meta's API that surrounds the points, from what [`Points::met_in`] returned.
    ///
    /// # Errors
    /// Those of building a plan.
    pub fn envelope_of(
        &self,
        tables: &Tables,
        met: impl FnOnce() -> PolarsResult<LazyFrame>,
    ) -> PolarsResult<Envelope> {
        let asked = |name: &str| {
            let mut filters = self.filters();
            let (_, allowed) = filters.find(|(filter, _)| filter.name == name)?;
            let mut words = allowed.to_vec();
            words.sort_unstable();
            words.dedup();
            Some(words)
        };
        let met = match self.source {
            PointsSource::Meta => {
                self.chosen(tables)?.select([col(WABA_ID), col(PHONE_NUMBERS), col(COUNTRY_CODES)])
            }
            PointsSource::Lake => met()?,
        };
        Ok(Envelope {
            field: F::NAME,
            granularity: self.granularity.word(),
            wabas: self.waba.allowed().to_vec(),
            phone_numbers: asked(PHONE_NUMBERS),
            country_codes: asked(COUNTRY_CODES),
            met: met.unique(None, UniqueKeepStrategy::Any),
        })
    }

    /// Binds the parameters, and fills the slots that the twins of all fields share:
    ///
    /// | slot | SQL |
    /// |---|---|
    /// | `{bucket}` | the start of the bucket of `created_at` |
    /// | `{start}`, `{end}` | the bounds of the column `bucket`, in seconds |
    /// | `{dimensions}` | the columns of the dimensions, a comma before each |
    /// | `{including}` | the predicate that a stored point has the required dimensions, and passes [`Field::REFINED_BY`] |
    /// | `{measures}` | the chosen measures, cast to their types, a comma before each |
    /// | `{order}` | the sort keys |
    pub fn bind(&self, bindings: Bindings) -> Bindings {
        let clock = self.granularity.clock();
        let [start, end] = clock.bounds_sql(BUCKET);
        // `:timezone` is the zone of prices.
        let in_bucket_zone = |sql: String| match self.in_utc {
            true => sql.replace(":timezone", "'UTC'"),
            false => sql,
        };
        let mut dimensions = String::new();
        for column in self.dimension_columns() {
            dimensions.push_str(", ");
            dimensions.push_str(column);
        }
        let measures = self.measures.iter().map(|measure| {
            let (name, of) = (measure.name, measure.of.sql());
            format!(",\n    CAST({name} AS {of}) AS {name}")
        });
        let including = self
            .required()
            .into_iter()
            .map(|word| format!("\n        AND array_contains(split(dimensions, ','), '{word}')"));
        let refined = F::REFINED_BY.map(|Filter { name, column, .. }| {
            format!("\n        AND (size(:{name}) = 0 OR array_contains(:{name}, {column}))")
        });
        let including = including.chain(refined);
        let order = self.by().into_iter().map(|column| format!("`{}` NULLS LAST", column.name));
        let order: Vec<String> = order.collect();
        let bindings = self
            .waba
            .bind(self.span().bind(bindings))
            .word("source", self.source)
            .text("granularity", self.granularity.word())
            .instant("first_at", self.first_bucket())
            .slot("bucket", in_bucket_zone(clock.start_sql(CREATED_AT)))
            .slot("start", in_bucket_zone(start))
            .slot("end", in_bucket_zone(end))
            .slot("dimensions", dimensions)
            .slot("measures", measures.collect())
            .slot("including", including.collect())
            .slot("order", order.join(", "));
        let lists = F::FILTERS.iter().zip(&self.allowed);
        lists.fold(bindings, |bindings, (filter, allowed)| bindings.list(filter.name, allowed))
    }

    /// Binds the parameters `:phone_list` and `:country_list`: the lists as stored points have
    /// them, or null.
    pub fn bind_lists(&self, bindings: Bindings) -> Bindings {
        let list = |name: &str| {
            let asked = self.filters().find(|(filter, _)| filter.name == name);
            asked.and_then(|(_, allowed)| stored_list(allowed))
        };
        bindings
            .text_or_null("phone_list", list(PHONE_NUMBERS).as_deref())
            .text_or_null("country_list", list(COUNTRY_CODES).as_deref())
    }

    /// The start of the first bucket of the span, in microseconds.
    pub(super) fn first_bucket(&self) -> Option<i64> {
        let clock = self.granularity.clock();
        self.span().from.map(|from| clock.floor(self.bucket_zone(), from))
    }

    /// Meta's names of the dimensions that stored points must be broken down by.
    pub(super) fn required(&self) -> Vec<&'static str> {
        let mut required = self.dimensions.clone();
        let filtered = self.filters().filter_map(|(filter, _)| filter.dimension);
        for word in filtered.filter(|word| F::DIMENSIONS.contains(word)) {
            if !required.contains(&word) {
                required.push(word);
            }
        }
        required
    }
}

/// The column of one of Meta's dimensions.
pub(super) fn column_of(dimension: &str) -> Option<&'static str> {
    let found = DIMENSION_COLUMNS.iter().find(|(word, _)| *word == dimension);
    found.map(|(_, column)| *column)
}

/// Predicate: a column holds one of some texts.
pub(super) fn is_one_of(column: &str, words: &[String]) -> Expr {
    let words = Series::new("words".into(), words);
    col(column).is_in(lit(words).implode(true), false)
}

/// A list as stored points have it.
pub(super) fn stored_list(words: &[String]) -> Option<String> {
    list::sorted(words.iter().map(String::as_str))
}
