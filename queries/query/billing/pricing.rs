//! Prices of delivered messages by Meta's [rules](super::rules) of their date.
//!
//! ```text
//! message          pricing_type (reported)   computed type                             type
//! template         regular                                                             REGULAR
//! template         –                         utility, answers a message, June 2025     FREE_CUSTOMER_SERVICE
//! text             –                         1000th of the line in October 2026        FREE_CUSTOMER_SERVICE
//! text             –                         1001st                                    REGULAR
//! ```
//!
//! Only REGULAR messages have a price. That of a template depends on the message's number within the month,
//! country and category; that of a service message does not.

use polars::prelude::{
    DataType, Expr, JoinArgs, JoinType, LazyFrame, Null, PolarsResult, UnionArgs, col, concat, lit,
    when,
};
use wabalake_data::tables::messages::{
    self, COUNTRY, CREATED_AT, LINE, MESSAGE_TYPE, PRICING_CATEGORY, PRICING_TYPE, TEMPLATE_NAME,
    WABA_ID, WHATSAPP_ID,
};
use wabalake_data::tables::rates::CATEGORY;
use wabalake_data::tables::{MESSAGE_KEY, USER_KEY};

use super::conversations::{category_word, is_referral};
use super::money;
use super::prices::{self, DATED, TIER};
use super::rules::PricingOptions;
use crate::kernels::dictionary::number;
use crate::kernels::ordinals::{PLACE, count_until, place_in_time};
use crate::kernels::{key_of, once};
use crate::query::joins::look_up;
use crate::query::measures::{incoming_message, message_delivered, outgoing};
use crate::query::tables::Tables;
use crate::query::time::{Clock, DAY, Invalidation, Near, Span};

const REGULAR: &str = "REGULAR";
const FREE_CUSTOMER_SERVICE: &str = "FREE_CUSTOMER_SERVICE";
const FREE_ENTRY_POINT: &str = "FREE_ENTRY_POINT";

/// The column of the month of creation.
const MONTH: &str = "month_of_creation";

/// How a changed message affects what messages cost.
///
/// An incoming one makes utility templates free for 24 hours, which may end on the second date after it if
/// the date between has 23. An outgoing one may be the answer to a click: with it a window begins at its own
/// time, without it at that of another answer, at most 24 hours later. So it decides what is free for 96 hours,
/// which may end on the fifth date after it. Each message that is charged, or free as a service message, changes
/// the numbers of others in its month.
pub fn invalidation(options: &PricingOptions) -> Vec<Invalidation> {
    let days = if options.has_entry_windows() { 5 } else { 2 };
    vec![Invalidation::Near(Near::and_after(days).in_months())]
}

/// Returns the plan of the outgoing messages of an interval that were delivered, a row each: id, creation,
/// account, line, country, type and template, [`PRICING_CATEGORY`] and [`PRICING_TYPE`] as Meta's
/// analytics spell them, [`TIER`], and the columns of [`money::charged`].
///
/// # Errors
/// Those of building a plan.
pub fn deliveries(
    tables: &Tables,
    within: Span,
    options: &PricingOptions,
) -> PolarsResult<LazyFrame> {
    let columns = [WHATSAPP_ID, CREATED_AT, WABA_ID, LINE, COUNTRY, MESSAGE_TYPE, TEMPLATE_NAME];
    let columns = [&columns[..], &[PRICING_CATEGORY, PRICING_TYPE, TIER]].concat();
    let mut columns: Vec<Expr> = columns.into_iter().map(col).collect();
    columns.extend(money::CHARGES.map(col));
    let of_the_month = since_the_month(within);
    let entered = entered(tables, of_the_month, options);
    let delivered = |within: Span| delivered(tables, within, options, entered.clone());
    let free = delivered(within)
        .filter(is_undecided(within, options).not())
        .with_columns([
            col(PRICING_TYPE).fill_null(lit(FREE_CUSTOMER_SERVICE)),
            lit(Null {}).cast(DataType::String).alias(TIER),
        ])
        .with_columns(money::uncharged())
        .select(&columns);

    let numbered = numbered(delivered(of_the_month), tables, of_the_month, options)?;
    let has_tier = is_regular().and(is_service().not());
    let priced = prices::priced(numbered, tables)
        .with_columns(money::charged(is_regular()))
        .with_column(when(has_tier).then(col(TIER)).otherwise(lit(Null {})).alias(TIER));
    let priced = match within.holds(&col(CREATED_AT)) {
        Some(created_within) => priced.filter(created_within),
        None => priced,
    };
    concat([free, priced.select(&columns)], UnionArgs::default())
}

/// Adds the columns [`money::CHARGES`] to some of the [`deliveries`] of an interval, which have their
/// `message_key`. No other message is priced. A message may occur several times.
///
/// # Errors
/// Those of building a plan.
pub fn with_charges(
    messages: LazyFrame,
    tables: &Tables,
    within: Span,
    options: &PricingOptions,
) -> PolarsResult<LazyFrame> {
    let key = [col(MESSAGE_KEY)];
    let of_the_month = since_the_month(within);
    let entered = entered(tables, of_the_month, options);
    let delivered = delivered(tables, of_the_month, options, entered);
    let numbered = numbered(delivered, tables, of_the_month, options)?;
    let messages = messages.join(numbered, &key, &key, JoinArgs::new(JoinType::Left));
    // Messages without a number are free.
    let is_charged = is_regular().fill_null(lit(false));
    Ok(prices::priced(messages, tables).with_columns(money::charged(is_charged)))
}

/// The interval with the start of its first month: messages since then count for the number.
fn since_the_month(within: Span) -> Span {
    let month = within.from.map(|from| Clock::Month.floor(within.timezone, from));
    Span { from: month, ..within }
}

/// The messages in a window of an entry point, if these are free.
fn entered(tables: &Tables, within: Span, options: &PricingOptions) -> Option<LazyFrame> {
    options.entry_windows().map(|windows| windows.inside(tables, within))
}

/// Delivered messages with their category, and their type unless the rules decide it. `entered` has the keys of
/// those in a window of an entry point, if these are free.
fn delivered(
    tables: &Tables,
    within: Span,
    options: &PricingOptions,
    entered: Option<LazyFrame>,
) -> LazyFrame {
    const ENTERED: &str = "entered";
    let messages =
        within.scan(tables, &messages::TABLE).filter(outgoing().and(message_delivered()));
    let in_window = entered.as_ref().map(|_| col(ENTERED).is_not_null());
    let messages = match entered {
        Some(entered) => {
            let key = [col(MESSAGE_KEY)];
            let entered = entered.select([col(MESSAGE_KEY), lit(true).alias(ENTERED)]);
            messages.join(entered, &key, &key, JoinArgs::new(JoinType::Left))
        }
        None => messages,
    };
    let of_type = options.has_entry_types().then(is_referral);
    let free_entry_point = match of_type.into_iter().chain(in_window).reduce(Expr::or) {
        Some(is_free) => when(is_free).then(lit(FREE_ENTRY_POINT)).otherwise(lit(Null {})),
        None => lit(Null {}).cast(DataType::String),
    };
    let (category, pricing_type) = match options.is_reported() {
        true => (
            col(PRICING_CATEGORY).str().to_uppercase().fill_null(category()),
            col(PRICING_TYPE).str().to_uppercase().fill_null(free_entry_point),
        ),
        false => (category(), free_entry_point),
    };
    messages.with_columns([category.alias(PRICING_CATEGORY), pricing_type.alias(PRICING_TYPE)])
}

/// Predicate: a message may have a price, or counts towards the free service messages of its line.
fn is_undecided(within: Span, options: &PricingOptions) -> Expr {
    let may_cost = col(PRICING_TYPE).eq_missing(lit(REGULAR));
    let may_cost = may_cost.or(col(PRICING_TYPE).is_null().and(is_service().not()));
    may_cost.or(counts_as_service().and(options.charges_answers(within)))
}

/// Predicate: a message counts towards the free service messages of its line.
fn counts_as_service() -> Expr {
    is_service().and(col(PRICING_TYPE).neq_missing(lit(FREE_ENTRY_POINT)))
}

/// Of [delivered] messages, those that are [undecided](is_undecided) with their final type, their
/// market, and their numbers among the regular ones of the month and category; 0 for service messages, whose
/// price has no tiers.
fn numbered(
    delivered: LazyFrame,
    tables: &Tables,
    within: Span,
    options: &PricingOptions,
) -> PolarsResult<LazyFrame> {
    let messages = delivered.filter(is_undecided(within, options)).with_columns([
        col(PRICING_CATEGORY).str().to_lowercase().alias(CATEGORY),
        options.date(within).alias(DATED),
        Clock::Month.start(col(CREATED_AT), within.timezone).alias(MONTH),
        place_in_time(col(CREATED_AT), &[col(WHATSAPP_ID)]).alias(PLACE),
    ]);
    let of_line = number(&[col(LINE), col(MONTH)]);
    let service_number = count_until(col(PLACE), of_line, counts_as_service());
    let is_free = when(is_service())
        .then(service_number.lt_eq(lit(options.free_service_messages())))
        .otherwise(col(ANSWERS));
    let pricing_type = when(is_free).then(lit(FREE_CUSTOMER_SERVICE)).otherwise(lit(REGULAR));
    let messages = prices::in_markets(messages, tables);
    let typed = after_a_message(messages, tables, within, options)?
        .with_column(col(PRICING_TYPE).fill_null(pricing_type));
    Ok(prices::numbered(typed, is_regular().and(is_service().not()), 0, MONTH))
}

fn is_regular() -> Expr {
    col(PRICING_TYPE).eq(lit(REGULAR))
}

fn is_service() -> Expr {
    col(PRICING_CATEGORY).eq(lit("SERVICE"))
}

/// The category of a message that nobody reports.
fn category() -> Expr {
    let word = category_word();
    let of_a_template = when(word.clone().eq(lit("service")).fill_null(lit(true)))
        .then(lit("UNKNOWN"))
        .otherwise(word.str().to_uppercase());
    when(col(MESSAGE_TYPE).eq(lit("template"))).then(of_a_template).otherwise(lit("SERVICE"))
}

/// The column that is `true` for a utility template that is free because it answers a message.
const ANSWERS: &str = "answers";

/// Adds the column [`ANSWERS`]: the person wrote to the line within 24 hours before.
///
/// A join by UTC day replaces a search for the person's last message: the first message of the same
/// day, which is within 24 hours if it came before, and the last message of the day before.
fn after_a_message(
    messages: LazyFrame,
    tables: &Tables,
    within: Span,
    options: &PricingOptions,
) -> PolarsResult<LazyFrame> {
    const ON: &str = "written_on";
    const FIRST: &str = "first_of_day";
    const LAST: &str = "last_of_day";
    const LAST_BEFORE: &str = "last_of_day_before";
    const OF_DAY: &str = "of_day";
    if options.always_charges_answers() {
        return Ok(messages.with_column(lit(false).alias(ANSWERS)));
    }
    let at = || col(CREATED_AT).cast(DataType::Int64);
    let day = || at().floor_div(lit(DAY));
    // Messages without a line form a line of their own.
    let key = |day: Expr| key_of(&[col(USER_KEY), col(LINE), day]);
    let since = within.from.map(|from| from.saturating_sub(2 * DAY));
    let written = Span { from: since, ..within }
        .scan(tables, &messages::TABLE)
        .filter(incoming_message().and(col(USER_KEY).is_not_null()))
        .group_by([key(day()).alias(OF_DAY)])
        .agg([
            col(USER_KEY).first(),
            col(LINE).first(),
            day().first().alias(ON),
            at().min().alias(FIRST),
            at().max().alias(LAST),
        ]);
    let written = once(written);
    let never = || lit(Null {}).cast(DataType::Int64);
    let same = [col(OF_DAY), col(FIRST), never().alias(LAST_BEFORE)];
    let next =
        [key(col(ON) + lit(1)).alias(OF_DAY), never().alias(FIRST), col(LAST).alias(LAST_BEFORE)];
    let of_days = [written.clone().select(same), written.select(next)];
    let of_days = concat(of_days, UnionArgs { maintain_order: false, ..UnionArgs::default() })?
        .group_by([col(OF_DAY)])
        .agg([col(FIRST).min(), col(LAST_BEFORE).max()]);
    let is_utility = col(PRICING_CATEGORY).eq(lit("UTILITY"));
    let may_be_free = is_utility.and(options.charges_answers(within).not());
    let asks = may_be_free.and(col(USER_KEY).is_not_null());
    let messages =
        messages.with_column(when(asks).then(key(day())).otherwise(lit(Null {})).alias(OF_DAY));
    let answers = col(FIRST).lt_eq(at()).fill_null(lit(false));
    let answers = answers.or(col(LAST_BEFORE).gt(at() - lit(DAY)).fill_null(lit(false)));
    Ok(look_up(messages, of_days, OF_DAY).with_column(answers.alias(ANSWERS)))
}
