//! How do the audiences compare?
//!
//! One row for each tag of a deployment's person at the time of the send, or of an inbound session's
//! person when it began; null for people without one. Who has several tags counts under each, so
//! the rows add up to more than there is. A tag that began to hold later does not count. What a
//! delivered deployment sparked is found as in [`country_breakdown`](crate::country_breakdown).

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

/// What may be chosen.
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
        question: "How do the audiences compare? Deployments by the tags that their person has at \
                   the time, what the delivered ones sparked, and the inbound sessions beside \
                   them; a person with several tags counts under each.",
        reads: &[&deployments::TABLE, &sessions::TABLE, &audience_tags::TABLE, &conversions::TABLE],
        range: Range::Rows,
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
        example: "--from 2025-06-01 --to 2025-06-30",
        sql: include_str!("twin.sql"),
    };

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
