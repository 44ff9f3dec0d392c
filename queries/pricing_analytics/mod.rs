//! How many messages were delivered, and what did they cost?
//!
//! Meta's `pricing_analytics`, worked out from the messages: one row for each bucket of time, and
//! each value of the dimensions, in which any delivered message was created. Prices are those of
//! the rate card under Meta's rules of 1 July 2025, whatever the date. A cost is null where a
//! message has no rate, or where rates are in several currencies.

use wabalake_data::tables::messages::{self, COUNTRY, CREATED_AT, LINE, WABA_ID};
use wabalake_data::tables::meta_points::{
    self, COST, PHONE_NUMBER, PRICING_CATEGORY, PRICING_TYPE, TIER, VOLUME,
};
use wabalake_data::tables::rates;

use crate::query::days::Span;
use crate::query::meta::{
    self, BY_COUNTRY, BY_PHONE, BY_PRICING_CATEGORY, BY_PRICING_TYPE, Points,
};
use crate::query::prelude::*;
use crate::query::pricing::deliveries;
use crate::query::{Envelope, money};

/// See the [module](self) for the question it answers.
#[derive(Clone, Debug)]
pub struct PricingAnalytics;

/// What may be chosen.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    points: Points<PricingAnalytics>,
}

impl meta::Field for PricingAnalytics {
    const NAME: &'static str = "pricing_analytics";
    const FILTERS: &'static [meta::Filter] =
        &[BY_PHONE, BY_COUNTRY, BY_PRICING_TYPE, BY_PRICING_CATEGORY];
    const DIMENSIONS: &'static [&'static str] =
        &["COUNTRY", "PHONE", "PRICING_CATEGORY", "PRICING_TYPE", "TIER"];
    const MEASURES: &'static [OutputColumn] =
        &[OutputColumn::count(VOLUME), OutputColumn::money(COST)];
}

impl Query for PricingAnalytics {
    type Params = Params;

    const META_FIELD: Option<&'static str> = Some(<Self as meta::Field>::NAME);

    const SPEC: Spec = Spec {
        name: "pricing-analytics",
        title: "Delivered messages and what they cost, as Meta prices them",
        question: "How many messages were delivered, and what did they cost? Meta's pricing \
                   analytics, worked out under its rules of 1 July 2025: each delivered message in \
                   the bucket in which it was created; start and end are seconds since 1970. With \
                   --source meta, what Meta itself said.",
        reads: &[&messages::TABLE, &rates::TABLE, &meta_points::TABLE],
        range: Range::History,
        columns: <Self as meta::Field>::MEASURES,
        key: &[],
        order: &[],
        example: "--fields pricing_analytics.start(1748736000).end(1751328000)\
                  .granularity(MONTHLY).dimensions([PRICING_CATEGORY,PRICING_TYPE,TIER])",
        sql: include_str!("twin.sql"),
    };

    fn by(params: &Params) -> Vec<OutputColumn> {
        params.points.by()
    }

    fn columns(params: &Params) -> Vec<OutputColumn> {
        params.points.columns()
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        params.points.plan(tables, || units(tables, params.points.span()))
    }

    fn envelope(tables: &Tables, params: &Params) -> PolarsResult<Option<Envelope>> {
        params.points.envelope(tables, || units(tables, params.points.span())).map(Some)
    }

    fn bind(params: &Params) -> Bindings {
        params.points.bind(Bindings::new())
    }
}

/// The delivered messages of a stretch of time, in Meta's words: with `created_at`, a `waba_id`,
/// the columns of all dimensions, a `volume` of one each, and those of [`money::charged`].
///
/// # Errors
/// Those of building a plan.
pub(crate) fn units(tables: &Tables, span: Span) -> PolarsResult<LazyFrame> {
    let mut what = vec![
        col(CREATED_AT),
        col(WABA_ID),
        col(LINE).alias(PHONE_NUMBER),
        col(COUNTRY),
        col(PRICING_CATEGORY),
        col(PRICING_TYPE),
        col(TIER),
        lit(1_i64).alias(VOLUME),
    ];
    what.extend(money::CHARGES.map(col));
    Ok(deliveries(tables, span)?.select(what))
}
