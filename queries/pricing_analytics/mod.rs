//! How many messages were delivered, and what did they cost?
//!
//! Meta's `pricing_analytics`, computed from the messages: one row per time bucket, and per value of
//! the dimensions, in which a delivered message was created. Type and category are those that Meta
//! reported of the message, else computed by Meta's rules of the message's date. Prices come from the rate
//! card. A cost is null if a message has no rate or if rates are in several currencies.
//!
//! | rules from | not a template: SERVICE | UTILITY within 24 hours of the person's message to the line | any other template |
//! |---|---|---|---|
//! | 1 July 2025, and before | `FREE_CUSTOMER_SERVICE` | `FREE_CUSTOMER_SERVICE` | `REGULAR` |
//! | 1 October 2026 | the first 1000 of a line and month `FREE_CUSTOMER_SERVICE`, then `REGULAR` | `REGULAR` | `REGULAR` |
//!
//! Messages of a conversation that an ad led to are `FREE_ENTRY_POINT` under all rules. By default their
//! conversation type says so; with `--entry-point window` they are those in the 72 hours after the answer to a
//! click, as [`entry-windows`](crate::entry_windows) finds them, and with `either` both. The number of
//! free service messages is `--free-service-messages`: Meta's own pages do not state it. It is counted over
//! the whole lake, whatever the range and filters. Service messages are priced by the rate card's category
//! `service`, without tiers. `--rules` prices all messages by the rules, market and rates of one date, to
//! ask what they would have cost.

use chrono_tz::Tz;
use wabalake_data::Table;
use wabalake_data::tables::{markets, messages, meta_points, rates, sessions};

use crate::query::billing::pricing;
use crate::query::billing::rules::PricingOptions;
use crate::query::meta::{Field, MetaShape, Points, units};
use crate::query::prelude::*;

/// See the [module](self) for the question it answers.
pub struct PricingAnalytics;

/// The query's options.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    points: Points<units::PricingAnalytics>,
    #[command(flatten)]
    pricing: PricingOptions,
}

impl Params {
    /// The delivered messages of each month, reduced to sums or the like by `count`.
    fn counted(
        &self,
        tables: &Tables,
        count: impl Fn(&Points<units::PricingAnalytics>, LazyFrame) -> LazyFrame + Send + Sync + 'static,
    ) -> PolarsResult<LazyFrame> {
        let points = self.points.clone();
        units::deliveries(tables, self.points.span(), self.pricing, move |units, _| {
            count(&points, units)
        })
    }

    /// The sums of points. A bucket that begins in UTC may lie in two months of the reporting zone.
    fn sums(&self, tables: &Tables) -> PolarsResult<LazyFrame> {
        Ok(self.points.summed_again(self.counted(tables, Points::summed)?))
    }
}

impl Query for PricingAnalytics {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "pricing-analytics",
        title: "Delivered messages and what they cost, as Meta prices them",
        question: "How many messages were delivered, and what did they cost? Meta's pricing \
                   analytics, computed from the lake by Meta's rules of each message's date: each \
                   delivered message counts in the bucket of its creation; start and end are seconds \
                   since 1970. With --source meta, the points that Meta reported.",
        reads: &[
            &messages::TABLE,
            &rates::TABLE,
            &markets::TABLE,
            &meta_points::TABLE,
            &sessions::TABLE,
        ],
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
        envelope: |tables, params| {
            params.points.envelope_of(tables, || params.counted(tables, Points::met_in))
        },
    });

    fn resolve(params: &mut Params, defaults: &Defaults) -> Result<Timeframe, UsageError> {
        params.pricing.resolve(defaults)?;
        params.points.resolve(defaults)
    }

    fn reads(params: &Params) -> Vec<&'static Table> {
        Self::SPEC.reads_for(&[&params.pricing])
    }

    fn invalidation(params: &Params, table: &Table) -> Vec<Invalidation> {
        params.points.invalidation(table, || pricing::invalidation(&params.pricing))
    }

    fn buckets(params: &Params, _zone: Tz) -> Option<AnswerBuckets> {
        params.points.buckets()
    }

    fn by(params: &Params) -> Vec<OutputColumn> {
        params.points.by()
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        params.points.plan_of_sums(tables, || params.sums(tables))
    }

    fn bind(params: &Params) -> Bindings {
        params.pricing.bind(params.points.bind(Bindings::new()))
    }
}
