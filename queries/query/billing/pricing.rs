//! Prices of delivered messages by Meta's rules of 1 July 2025, whatever their date.
//!
//! | message | pricing category | pricing type |
//! |---|---|---|
//! | of a conversation that an ad led to | as below | `FREE_ENTRY_POINT` |
//! | not a template | SERVICE | `FREE_CUSTOMER_SERVICE` |
//! | a utility template within 24 hours of the person's last message to the line | UTILITY | `FREE_CUSTOMER_SERVICE` |
//! | any other template | its category, else UNKNOWN | REGULAR |
//!
//! Only REGULAR messages have a price. It depends on the message's number within the month, country and
//! category.

use polars::prelude::{
    DataType, Expr, JoinArgs, JoinType, LazyFrame, Null, PolarsResult, SortMultipleOptions,
    UnionArgs, col, concat, lit, when,
};
use wabalake_data::tables::USER_KEY;
use wabalake_data::tables::messages::{
    self, COUNTRY, CREATED_AT, LINE, MESSAGE_TYPE, TEMPLATE_NAME, WABA_ID, WHATSAPP_ID,
};
use wabalake_data::tables::meta_points::{PRICING_CATEGORY, PRICING_TYPE};
use wabalake_data::tables::rates::CATEGORY;

use super::conversations::{category_word, dates, is_referral};
use super::money;
use super::prices::{self, DATED, NUMBER, TIER};
use crate::query::measures::{message_delivered, outgoing};
use crate::query::tables::Tables;
use crate::query::time::{Clock, DAY, Span};

const REGULAR: &str = "REGULAR";
const FREE_CUSTOMER_SERVICE: &str = "FREE_CUSTOMER_SERVICE";

/// Returns the plan of the outgoing messages of an interval that were delivered, a row each: creation,
/// account, line, country, type and template, [`PRICING_CATEGORY`], [`PRICING_TYPE`] and [`TIER`], and
/// the columns of [`money::charged`].
///
/// # Errors
/// Those of building a plan.
pub fn deliveries(tables: &Tables, within: Span) -> PolarsResult<LazyFrame> {
    let columns = [CREATED_AT, WABA_ID, LINE, COUNTRY, MESSAGE_TYPE, TEMPLATE_NAME];
    let columns = [&columns[..], &[PRICING_CATEGORY, PRICING_TYPE, TIER]].concat();
    let mut columns: Vec<Expr> = columns.into_iter().map(col).collect();
    columns.extend(money::CHARGES.map(col));
    let free = free(tables, within).select(&columns);

    // Messages since the start of the month count for the number.
    let month = within.from.map(|from| Clock::Month.floor(within.timezone, from));
    let of_the_month = Span { from: month, ..within };
    let priced =
        prices::priced(numbered(tables, of_the_month)?, dates(tables, of_the_month), tables)?
            .with_columns(money::charged(is_regular()))
            .with_column(when(is_regular()).then(col(TIER)).otherwise(lit(Null {})).alias(TIER));
    let priced = match within.holds(&col(CREATED_AT)) {
        Some(created_within) => priced.filter(created_within),
        None => priced,
    };
    concat([free, priced.select(&columns)], UnionArgs::default())
}

/// Delivered messages that are free by their kind.
fn free(tables: &Tables, within: Span) -> LazyFrame {
    let pricing_type =
        when(is_referral()).then(lit("FREE_ENTRY_POINT")).otherwise(lit(FREE_CUSTOMER_SERVICE));
    within
        .scan(tables, &messages::TABLE)
        .filter(delivered().and(may_cost().not()))
        .with_columns([
            category().alias(PRICING_CATEGORY),
            pricing_type.alias(PRICING_TYPE),
            lit(Null {}).cast(DataType::String).alias(TIER),
        ])
        .with_columns(money::uncharged())
}

/// Delivered templates with their pricing type, and their number among the regular ones of the month,
/// country and category.
fn numbered(tables: &Tables, within: Span) -> PolarsResult<LazyFrame> {
    let messages = within
        .scan(tables, &messages::TABLE)
        .filter(delivered().and(may_cost()))
        .with_column(category().alias(PRICING_CATEGORY));
    let is_utility = col(PRICING_CATEGORY).eq(lit("UTILITY"));
    let pricing_type =
        when(is_utility.and(col(ANSWERS))).then(lit(FREE_CUSTOMER_SERVICE)).otherwise(lit(REGULAR));
    let month = Clock::Month.start(col(CREATED_AT), within.timezone);
    let number = is_regular().cast(DataType::Int64).cum_sum(false);
    let number = number.over([col(COUNTRY), col(CATEGORY), month])?;
    Ok(after_a_message(messages, tables, within)
        .with_columns([
            pricing_type.alias(PRICING_TYPE),
            col(PRICING_CATEGORY).str().to_lowercase().alias(CATEGORY),
            Clock::Day.start(col(CREATED_AT), within.timezone).alias(DATED),
        ])
        .sort([CREATED_AT, WHATSAPP_ID], SortMultipleOptions::default())
        .with_column(number.alias(NUMBER)))
}

fn delivered() -> Expr {
    outgoing().and(message_delivered())
}

/// Predicate: a message is a template in a conversation that no ad led to.
fn may_cost() -> Expr {
    is_template().and(is_referral().not())
}

fn is_regular() -> Expr {
    col(PRICING_TYPE).eq(lit(REGULAR))
}

fn is_template() -> Expr {
    col(MESSAGE_TYPE).eq(lit("template"))
}

fn category() -> Expr {
    let word = category_word();
    let of_a_template = when(word.clone().eq(lit("service")).fill_null(lit(true)))
        .then(lit("UNKNOWN"))
        .otherwise(word.str().to_uppercase());
    when(is_template()).then(of_a_template).otherwise(lit("SERVICE"))
}

/// The column that is `true` if the person wrote to the line within 24 hours before a message.
const ANSWERS: &str = "answers";

/// Adds the column [`ANSWERS`] to messages.
///
/// Two joins by UTC day replace a search for the person's last message: the first message of the same
/// day, which is within 24 hours if it came before, and the last message of the day before.
fn after_a_message(messages: LazyFrame, tables: &Tables, within: Span) -> LazyFrame {
    const ON: &str = "written_on";
    const FIRST: &str = "first_of_day";
    const LAST: &str = "last_of_day_before";
    let at = || col(CREATED_AT).cast(DataType::Int64);
    let day = || at().floor_div(lit(DAY));
    let since = within.from.map(|from| from.saturating_sub(2 * DAY));
    let written = Span { from: since, ..within }
        .scan(tables, &messages::TABLE)
        .filter(outgoing().not().and(col(USER_KEY).is_not_null()))
        .group_by([col(USER_KEY), col(LINE), day().alias(ON)])
        .agg([at().min().alias(FIRST), at().max().alias(LAST)]);
    let key = [col(USER_KEY), col(LINE), col(ON)];
    let same = written.clone().select([&key[..], &[col(FIRST)]].concat());
    let before =
        written.select([col(USER_KEY), col(LINE), (col(ON) + lit(1)).alias(ON), col(LAST)]);
    // Messages without a line form a line of their own; messages without a person match nothing.
    let left = || JoinArgs { nulls_equal: true, ..JoinArgs::new(JoinType::Left) };
    let answers = col(FIRST).lt_eq(at()).fill_null(lit(false));
    let answers = answers.or(col(LAST).gt(at() - lit(DAY)).fill_null(lit(false)));
    messages
        .with_column(day().alias(ON))
        .join(same, &key, &key, left())
        .join(before, &key, &key, left())
        .with_column(answers.alias(ANSWERS))
}
