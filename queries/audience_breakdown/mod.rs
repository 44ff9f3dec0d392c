//! How do the audiences compare?
//!
//! One row per tag that the person has when a deployment is sent or an inbound session starts; null for
//! people without a tag. A person with several tags counts under each, so the rows add up to more than
//! the total. Sessions, replies and conversions of a deployment are found as in
//! [`country_breakdown`](crate::country_breakdown), and filters keep the same rows. `--tag` keeps the rows of
//! people with that tag; they count under their other tags, too.
//!
//! `--cost` adds the columns that it adds there. What a deployment cost counts under each tag of its person.

use wabalake_data::Table;
use wabalake_data::tables::audience_tags::{self, TAG};
use wabalake_data::tables::{conversions, deployments, markets, messages, rates, sessions};

use crate::query::billing::sends::{CostSql, SendCosts};
use crate::query::breakdown::{
    AVG_SESSION_SECONDS, CLICK_THROUGH_PCT, CONVERSION_PCT, CONVERTED_SESSIONS, COSTS_PER,
    COUNTS_OF_DEPLOYMENTS, DELIVERED, DELIVERED_PCT, DEPLOYMENTS, INBOUND_SESSIONS, REPLIED,
    REPLY_PCT, REVENUE, REVENUE_CURRENCY, SESSIONS_CREATED, breakdown, counted_deployments,
};
use crate::query::prelude::*;
use crate::query::tags::tagged;

/// See the [module](self) for the question it answers.
#[derive(Debug)]
pub struct AudienceBreakdown;

impl Filtered for AudienceBreakdown {
    const TABLE: &'static Table = &deployments::TABLE;
    const FILTERS: &'static [Filter] = Filter::OF_DEPLOYMENTS;
}

/// The query's options.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    days: DayRange,
    #[command(flatten)]
    filters: Filters<AudienceBreakdown>,
    #[command(flatten)]
    conversions: Conversions,
    #[command(flatten)]
    costs: SendCosts,
}

/// The sends under each tag of their person, with their cost.
const UNITS: &str = "SELECT tags.tag, cost, charged_in
FROM sends
LEFT JOIN audience_tags AS tags
    ON tags.user_phone = sends.user_phone
    AND coalesce(tags.since, sends.deployment_timestamp) <= sends.deployment_timestamp";

impl Query for AudienceBreakdown {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "audience-breakdown",
        title: "How the audiences compare",
        question: "How do the audiences compare? Deployments by the tags that the person has at the \
                   time, the sessions, replies and conversions that followed, and inbound \
                   sessions; a person with several tags counts under each.",
        reads: &[
            &deployments::TABLE,
            &sessions::TABLE,
            &audience_tags::TABLE,
            &conversions::TABLE,
            &rates::TABLE,
            &markets::TABLE,
            &messages::TABLE,
        ],
        range: Range::Rows(&deployments::TABLE),
        columns: &[
            OutputColumn::written(TAG),
            OutputColumn::count(DEPLOYMENTS),
            OutputColumn::count(DELIVERED),
            OutputColumn::pct(DELIVERED_PCT),
            OutputColumn::count(SESSIONS_CREATED),
            OutputColumn::pct(CLICK_THROUGH_PCT),
            OutputColumn::count(REPLIED),
            OutputColumn::pct(REPLY_PCT),
            OutputColumn::count(INBOUND_SESSIONS),
            OutputColumn::seconds(AVG_SESSION_SECONDS),
            OutputColumn::count(CONVERTED_SESSIONS),
            OutputColumn::pct(CONVERSION_PCT),
            OutputColumn::money(REVENUE),
            OutputColumn::term(REVENUE_CURRENCY),
        ],
        key: &[TAG],
        order: &[Order::Descending(DEPLOYMENTS)],
        example: &["--from", "2025-06-01", "--to", "2025-06-30"],
        sql: include_str!("twin.sql"),
    };

    const BEHIND: Option<Behind<Self>> = Some(Behind {
        table: &deployments::TABLE,
        cells: &[TAG],
        counts: COUNTS_OF_DEPLOYMENTS,
        id: &[deployments::CONVERSATION_ID, deployments::CONVERSATION_VERSION],
        rows: |tables, params| {
            let (days, filters, conversions) = (&params.days, &params.filters, &params.conversions);
            let deployments = counted_deployments(days, filters, conversions, tables)?;
            Ok(tagged(deployments, &deployments::TABLE, tables))
        },
        sql: include_str!("people.sql"),
    });

    fn resolve(params: &mut Params, defaults: &Defaults) -> Result<Timeframe, UsageError> {
        params.costs.resolve(defaults)?;
        params.days.resolve(defaults)
    }

    fn reads(params: &Params) -> Vec<&'static Table> {
        Self::SPEC.reads_for(&[&params.costs])
    }

    fn shape(params: &Params) -> Shape {
        let costs = CostSql::of(&[], Self::SPEC.key, UNITS, COSTS_PER);
        params.costs.shape(Shape::of(&Self::SPEC), &costs)
    }

    fn range(params: &Params) -> Range {
        params.costs.range(Self::SPEC.range)
    }

    fn invalidation(params: &Params, table: &Table) -> Vec<Invalidation> {
        params.costs.invalidation(table)
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        breakdown(
            TAG,
            |rows, table| tagged(rows, table, tables),
            &params.days,
            &params.filters,
            &params.conversions,
            &params.costs,
            tables,
        )
    }

    fn bind(params: &Params) -> Bindings {
        let bindings = params.conversions.bind(params.days.bind(Bindings::new()));
        let bindings = params.filters.bind_table(params.filters.bind(bindings), &sessions::TABLE);
        params.costs.bind(bindings, &params.filters)
    }
}
