//! How do the audiences compare?
//!
//! One row per tag that the person has when a deployment is sent or an inbound session starts; null for
//! people without a tag. A person with several tags counts under each, so the rows add up to more than
//! the total. Sessions, replies and conversions of a deployment are found as in
//! [`country_breakdown`](crate::country_breakdown).

use wabalake_data::tables::audience_tags::{self, TAG};
use wabalake_data::tables::{conversions, deployments, sessions};

use crate::query::breakdown::{
    AVG_SESSION_SECONDS, CLICK_THROUGH_PCT, CONVERSION_PCT, CONVERTED_SESSIONS, DELIVERED,
    DELIVERED_PCT, DEPLOYMENTS, INBOUND_SESSIONS, REPLIED, REPLY_PCT, REVENUE, REVENUE_CURRENCY,
    SESSIONS_CREATED, breakdown,
};
use crate::query::prelude::*;
use crate::query::tags::tagged;

/// See the [module](self) for the question it answers.
pub struct AudienceBreakdown;

/// The query's options.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    days: DayRange,
    #[command(flatten)]
    conversions: Conversions,
}

impl Query for AudienceBreakdown {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "audience-breakdown",
        title: "How the audiences compare",
        question: "How do the audiences compare? Deployments by the tags that the person has at the \
                   time, the sessions, replies and conversions that followed, and inbound \
                   sessions; a person with several tags counts under each.",
        reads: &[&deployments::TABLE, &sessions::TABLE, &audience_tags::TABLE, &conversions::TABLE],
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

    fn resolve(params: &mut Params, defaults: &Defaults) -> Result<Timeframe, UsageError> {
        params.days.resolve(defaults)
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        breakdown(
            TAG,
            |rows, table| tagged(rows, table, tables),
            &params.days,
            &params.conversions,
            tables,
        )
    }

    fn bind(params: &Params) -> Bindings {
        params.conversions.bind(params.days.bind(Bindings::new()))
    }
}
