//! The fields of Meta's API that several queries use, and the units that each counts.

use polars::prelude::{DataType, Expr, LazyFrame, PolarsResult, col, lit, when};
use wabalake_data::tables::messages::{self, COUNTRY, CREATED_AT, LINE, MESSAGE_TYPE, WABA_ID};
use wabalake_data::tables::meta_points::{
    CONVERSATION, CONVERSATION_CATEGORY, CONVERSATION_DIRECTION, CONVERSATION_TYPE, COST,
    DELIVERED, PHONE_NUMBER, PRICING_CATEGORY, PRICING_TYPE, SENT, TIER, VOLUME,
};

use super::{
    BY_CONVERSATION_CATEGORY, BY_CONVERSATION_DIRECTION, BY_CONVERSATION_TYPE, BY_COUNTRY,
    BY_PHONE, BY_PRICING_CATEGORY, BY_PRICING_TYPE, BY_PRODUCT, Field, Filter,
};
use crate::query::OutputColumn;
use crate::query::billing::conversations::{FREE_TIER, FreeSessions, SESSION_TYPE, WORD};
use crate::query::billing::money;
use crate::query::billing::rules::PricingOptions;
use crate::query::measures::{message_delivered, message_sent, outgoing};
use crate::query::monthly;
use crate::query::tables::Tables;
use crate::query::time::Span;

/// The field `analytics`: messages.
#[derive(Clone, Debug)]
pub struct Analytics;

impl Field for Analytics {
    const NAME: &'static str = "analytics";
    const FILTERS: &'static [Filter] = &[BY_PHONE, BY_COUNTRY, BY_PRODUCT];
    const MEASURES: &'static [OutputColumn] =
        &[OutputColumn::count(SENT), OutputColumn::count(DELIVERED)];
    const CHOOSES: bool = false;
}

/// The field `conversation_analytics`: conversations and their cost.
#[derive(Clone, Debug)]
pub struct ConversationAnalytics;

impl Field for ConversationAnalytics {
    const NAME: &'static str = "conversation_analytics";
    const FILTERS: &'static [Filter] = &[
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

/// The field `pricing_analytics`: delivered messages and their cost.
#[derive(Clone, Debug)]
pub struct PricingAnalytics;

impl Field for PricingAnalytics {
    const NAME: &'static str = "pricing_analytics";
    const FILTERS: &'static [Filter] =
        &[BY_PHONE, BY_COUNTRY, BY_PRICING_TYPE, BY_PRICING_CATEGORY];
    const DIMENSIONS: &'static [&'static str] =
        &["COUNTRY", "PHONE", "PRICING_CATEGORY", "PRICING_TYPE", "TIER"];
    const MEASURES: &'static [OutputColumn] =
        &[OutputColumn::count(VOLUME), OutputColumn::money(COST)];
}

/// The units of [`Analytics`]: messages of an interval and of some `products`, with `created_at`, `waba_id`, the
/// columns of the other filters, and 0 or 1 in the columns `sent` and `delivered`. The products are those of
/// [`BY_PRODUCT`]; an empty list lets all messages pass.
pub fn messages(tables: &Tables, span: Span, products: &[impl AsRef<str>]) -> LazyFrame {
    let passes =
        |product: &str| products.is_empty() || products.iter().any(|one| one.as_ref() == product);
    let is_template = || col(MESSAGE_TYPE).eq_missing(lit("template"));
    let of_outgoing = match (passes("0"), passes("2")) {
        (true, true) => None,
        (true, false) => Some(is_template()),
        (false, true) => Some(is_template().not()),
        (false, false) => Some(lit(false)),
    };
    let keep = match (passes("100"), of_outgoing) {
        (true, None) => None,
        (true, Some(of_outgoing)) => Some(outgoing().not().or(of_outgoing)),
        (false, None) => Some(outgoing()),
        (false, Some(of_outgoing)) => Some(outgoing().and(of_outgoing)),
    };
    let messages = span.scan(tables, &messages::TABLE);
    let messages = match keep {
        Some(keep) => messages.filter(keep),
        None => messages,
    };
    let count = |state: Expr| outgoing().not().or(state).cast(DataType::Int64);
    messages.select([
        col(CREATED_AT),
        col(WABA_ID),
        col(LINE).alias(PHONE_NUMBER),
        col(COUNTRY),
        count(message_sent()).alias(SENT),
        count(message_delivered()).alias(DELIVERED),
    ])
}

/// Counts the units of [`ConversationAnalytics`] by [month](monthly::count_conversations): conversations that
/// began in an interval, with the columns of [`of_conversations`].
///
/// # Errors
/// Those of building a plan.
pub fn conversations<F>(
    tables: &Tables,
    span: Span,
    free: FreeSessions,
    count: F,
) -> PolarsResult<LazyFrame>
where
    F: Fn(LazyFrame, &Tables) -> LazyFrame + Send + Sync + 'static,
{
    let columns = of_conversations();
    monthly::count_conversations(tables, span, free, move |conversations, tables| {
        Ok(count(conversations.select(columns.clone()), tables))
    })
}

/// The columns of a unit of [`ConversationAnalytics`], from those of a conversation: `created_at`, `waba_id`,
/// the columns of all dimensions, 1 in the column `conversation`, and the columns of [`money::charged`].
pub fn of_conversations() -> Vec<Expr> {
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
    let mut columns = vec![
        col(CREATED_AT),
        col(WABA_ID),
        col(LINE).alias(PHONE_NUMBER),
        col(COUNTRY),
        category.alias(CONVERSATION_CATEGORY),
        of_type.alias(CONVERSATION_TYPE),
        direction.alias(CONVERSATION_DIRECTION),
        // Polars takes a literal of any integer type for an Int32.
        lit(1).cast(DataType::Int64).alias(CONVERSATION),
    ];
    columns.extend(money::CHARGES.map(col));
    columns
}

/// Counts the units of [`PricingAnalytics`] by [month](monthly::count_deliveries): delivered messages of an
/// interval, with `created_at`, `waba_id`, the columns of all dimensions, 1 in the column `volume`, and the
/// columns of [`money::charged`].
///
/// # Errors
/// Those of building a plan.
pub fn deliveries<F>(
    tables: &Tables,
    span: Span,
    options: PricingOptions,
    count: F,
) -> PolarsResult<LazyFrame>
where
    F: Fn(LazyFrame, &Tables) -> LazyFrame + Send + Sync + 'static,
{
    let mut columns = vec![
        col(CREATED_AT),
        col(WABA_ID),
        col(LINE).alias(PHONE_NUMBER),
        col(COUNTRY),
        col(PRICING_CATEGORY),
        col(PRICING_TYPE),
        col(TIER),
        lit(1).cast(DataType::Int64).alias(VOLUME),
    ];
    columns.extend(money::CHARGES.map(col));
    monthly::count_deliveries(tables, span, options, move |deliveries, tables| {
        Ok(count(deliveries.select(columns.clone()), tables))
    })
}
