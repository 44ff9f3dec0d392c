//! How many messages were delivered, and what did they cost?
//!
//! Meta's `pricing_analytics`, computed from the messages: one row per time bucket, and per value of
//! the dimensions, in which a delivered message was created. Prices come from the rate card, by Meta's
//! rules of 1 July 2025 whatever the date. A cost is null if a message has no rate or if rates are in
//! several currencies.

use wabalake_data::tables::{messages, meta_points, rates};

use crate::query::meta::{Field, MetaShape, Points, units};
use crate::query::prelude::*;

/// See the [module](self) for the question it answers.
pub struct PricingAnalytics;

/// The query's options.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    points: Points<units::PricingAnalytics>,
}

impl Params {
    fn units(&self, tables: &Tables) -> PolarsResult<LazyFrame> {
        units::deliveries(tables, self.points.span())
    }
}

impl Query for PricingAnalytics {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "pricing-analytics",
        title: "Delivered messages and what they cost, as Meta prices them",
        question: "How many messages were delivered, and what did they cost? Meta's pricing \
                   analytics, computed from the lake by its rules of 1 July 2025: each delivered \
                   message counts in the bucket of its creation; start and end are seconds since \
                   1970. With --source meta, the points that Meta reported.",
        reads: &[&messages::TABLE, &rates::TABLE, &meta_points::TABLE],
        range: Range::History,
        columns: units::PricingAnalytics::MEASURES,
        key: &[],
        order: &[],
        example: &[
            "--fields",
            "pricing_analytics.start(1748736000).end(1751328000)\
             .granularity(MONTHLY).dimensions([PRICING_CATEGORY,PRICING_TYPE,TIER])",
        ],
        sql: include_str!("twin.sql"),
    };

    const META: Option<MetaShape<Self>> = Some(MetaShape {
        field: units::PricingAnalytics::NAME,
        columns: |params| params.points.columns(),
        envelope: |tables, params| params.points.envelope(tables, || params.units(tables)),
    });

    fn resolve(params: &mut Params, defaults: &Defaults) -> Result<Timeframe, UsageError> {
        params.points.resolve(defaults)
    }

    fn by(params: &Params) -> Vec<OutputColumn> {
        params.points.by()
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        params.points.plan(tables, || params.units(tables))
    }

    fn bind(params: &Params) -> Bindings {
        params.points.bind(Bindings::new())
    }
}
