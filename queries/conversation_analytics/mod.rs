//! How many conversations were there, and what did they cost?
//!
//! Meta's `conversation_analytics`, worked out from the messages: one row for each bucket of time,
//! and each value of the dimensions, in which any began. A conversation is one of
//! [`session-summary`](crate::session_summary), with its free tier, which is counted before any
//! filter. A cost is null where a conversation has no rate, or where rates are in several
//! currencies.

use wabalake_data::tables::messages::{self, COUNTRY, CREATED_AT, LINE, WABA_ID};
use wabalake_data::tables::meta_points::{
    self, CONVERSATION, CONVERSATION_CATEGORY, CONVERSATION_DIRECTION, CONVERSATION_TYPE, COST,
    PHONE_NUMBER,
};
use wabalake_data::tables::rates;

use crate::query::conversations::{FREE_TIER, FreeSessions, SESSION_TYPE, WORD, conversations};
use crate::query::days::Span;
use crate::query::meta::{
    self, BY_CONVERSATION_CATEGORY, BY_CONVERSATION_DIRECTION, BY_CONVERSATION_TYPE, BY_COUNTRY,
    BY_PHONE, Points,
};
use crate::query::prelude::*;
use crate::query::{Envelope, money};

/// See the [module](self) for the question it answers.
#[derive(Clone, Debug)]
pub struct ConversationAnalytics;

/// What may be chosen.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    points: Points<ConversationAnalytics>,
    #[command(flatten)]
    free_sessions: FreeSessions,
}

impl meta::Field for ConversationAnalytics {
    const NAME: &'static str = "conversation_analytics";
    const FILTERS: &'static [meta::Filter] = &[
        BY_PHONE,
        BY_COUNTRY,
        BY_CONVERSATION_CATEGORY,
        BY_CONVERSATION_TYPE,
        BY_CONVERSATION_DIRECTION,
    ];
    const DIMENSIONS: &'static [&'static str] = &[
        "COUNTRY",
        "PHONE",
        "CONVERSATION_CATEGORY",
        "CONVERSATION_TYPE",
        "CONVERSATION_DIRECTION",
    ];
    const MEASURES: &'static [OutputColumn] =
        &[OutputColumn::count(CONVERSATION), OutputColumn::money(COST)];
}

impl Query for ConversationAnalytics {
    type Params = Params;

    const META_FIELD: Option<&'static str> = Some(<Self as meta::Field>::NAME);

    const SPEC: Spec = Spec {
        name: "conversation-analytics",
        title: "Conversations and what they cost, as Meta counts them",
        question: "How many conversations were there, and what did they cost? Meta's conversation \
                   analytics, worked out: each conversation in the bucket of its first message that \
                   did not fail; start and end are seconds since 1970. With --source meta, what \
                   Meta itself said.",
        reads: &[&messages::TABLE, &rates::TABLE, &meta_points::TABLE],
        range: Range::History,
        columns: <Self as meta::Field>::MEASURES,
        key: &[],
        order: &[],
        example: "--fields conversation_analytics.start(1748736000).end(1751328000)\
                  .granularity(MONTHLY).dimensions([COUNTRY,CONVERSATION_TYPE])",
        sql: include_str!("twin.sql"),
    };

    fn by(params: &Params) -> Vec<OutputColumn> {
        params.points.by()
    }

    fn columns(params: &Params) -> Vec<OutputColumn> {
        params.points.columns()
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let Params { points, free_sessions } = params;
        points.plan(tables, || units(tables, points.span(), *free_sessions))
    }

    fn envelope(tables: &Tables, params: &Params) -> PolarsResult<Option<Envelope>> {
        let Params { points, free_sessions } = params;
        points.envelope(tables, || units(tables, points.span(), *free_sessions)).map(Some)
    }

    fn bind(params: &Params) -> Bindings {
        params.free_sessions.bind(params.points.bind(Bindings::new()))
    }
}

/// The conversations that began in a stretch of time, in Meta's words: with `created_at`, a
/// `waba_id`, the columns of all dimensions, one `conversation` each, and those of
/// [`money::charged`].
///
/// # Errors
/// Those of building a plan.
pub(crate) fn units(tables: &Tables, span: Span, free: FreeSessions) -> PolarsResult<LazyFrame> {
    let is = |session_type: &'static str| col(SESSION_TYPE).eq(lit(session_type));
    let category = when(col(WORD).is_not_null())
        .then(col(WORD).str().to_uppercase())
        .when(is("user_initiated").or(is("referral")))
        .then(lit("SERVICE"))
        .otherwise(lit("UNKNOWN"));
    let of_type = when(is("referral"))
        .then(lit("FREE_ENTRY_POINT"))
        .when(col(FREE_TIER))
        .then(lit("FREE_TIER"))
        .otherwise(lit("REGULAR"));
    let direction = when(is("business_initiated").or(is("user_initiated")))
        .then(col(SESSION_TYPE).str().to_uppercase())
        .otherwise(lit("UNKNOWN"));
    let mut what = vec![
        col(CREATED_AT),
        col(WABA_ID),
        col(LINE).alias(PHONE_NUMBER),
        col(COUNTRY),
        category.alias(CONVERSATION_CATEGORY),
        of_type.alias(CONVERSATION_TYPE),
        direction.alias(CONVERSATION_DIRECTION),
        lit(1_i64).alias(CONVERSATION),
    ];
    what.extend(money::CHARGES.map(col));
    Ok(conversations(tables, span, free)?.select(what))
}
