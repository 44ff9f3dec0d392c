//! What delivered messages cost under Meta's rules of 1 July 2025, whatever their date.
//!
//! | message | category | type |
//! |---|---|---|
//! | of a conversation that an ad led to | as below | `FREE_ENTRY_POINT` |
//! | no template | SERVICE | `FREE_CUSTOMER_SERVICE` |
//! | a utility template within 24 hours of the person's last message to the line | UTILITY | `FREE_CUSTOMER_SERVICE` |
//! | any other template | its word, else UNKNOWN | REGULAR |
//!
//! Only what is REGULAR is priced, each message by its number in the month of its country and
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
use super::days::Span;
use super::measures::{message_delivered, outgoing};
use super::money;
use super::prices::{self, DATED, NUMBER, TIER};
use super::tables::Tables;
use super::zone::Clock;

/// Microseconds in 24 hours.
const DAY: i64 = 24 * 3_600_000_000;

const REGULAR: &str = "REGULAR";
const FREE_CUSTOMER_SERVICE: &str = "FREE_CUSTOMER_SERVICE";

/// One row for each outgoing message of a stretch of time that was delivered: when it was created,
/// its account, line, country, type and template, its [`PRICING_CATEGORY`], [`PRICING_TYPE`] and
/// [`TIER`], and the columns of [`money::charged`].
///
/// # Errors
/// Those of building a plan.
pub fn deliveries(tables: &Tables, within: Span) -> PolarsResult<LazyFrame> {
    let delivered = || outgoing().and(message_delivered());
    let may_cost = || is_template().and(is_referral().not());
    let key = [CREATED_AT, WABA_ID, LINE, COUNTRY, MESSAGE_TYPE, TEMPLATE_NAME];
    let key = [&key[..], &[PRICING_CATEGORY, PRICING_TYPE, TIER]].concat();
    let mut what: Vec<Expr> = key.into_iter().map(col).collect();
    what.extend(money::CHARGES.map(col));

    let for_free =
        when(is_referral()).then(lit("FREE_ENTRY_POINT")).otherwise(lit(FREE_CUSTOMER_SERVICE));
    let free = within
        .scan(tables, &messages::TABLE)
        .filter(delivered().and(may_cost().not()))
        .with_columns([
            category().alias(PRICING_CATEGORY),
            for_free.alias(PRICING_TYPE),
            lit(Null {}).cast(DataType::String).alias(TIER),
        ])
        .with_columns(money::uncharged())
        .select(&what);

    // Those of the month before count for the number.
    let month = within.from.map(|from| Clock::Month.floor(within.timezone, from));
    let of_the_month = Span { from: month, ..within };
    let is_utility = || col(PRICING_CATEGORY).eq(lit("UTILITY"));
    let may_cost = of_the_month
        .scan(tables, &messages::TABLE)
        .filter(delivered().and(may_cost()))
        .with_column(category().alias(PRICING_CATEGORY));
    let may_cost = after_a_message(may_cost, tables, of_the_month);
    let pricing_type = when(is_utility().and(col(ANSWERS))).then(lit(FREE_CUSTOMER_SERVICE));

    let is_regular = || col(PRICING_TYPE).eq(lit(REGULAR));
    let month = Clock::Month.start(col(CREATED_AT), within.timezone);
    let number = is_regular().cast(DataType::Int64).cum_sum(false);
    let number = number.over([col(COUNTRY), col(CATEGORY), month])?;
    let numbered = may_cost
        .with_columns([
            pricing_type.otherwise(lit(REGULAR)).alias(PRICING_TYPE),
            col(PRICING_CATEGORY).str().to_lowercase().alias(CATEGORY),
            Clock::Day.start(col(CREATED_AT), within.timezone).alias(DATED),
        ])
        .sort([CREATED_AT, WHATSAPP_ID], SortMultipleOptions::default())
        .with_column(number.alias(NUMBER));
    let priced = prices::priced(numbered, dates(tables, of_the_month), tables)?
        .with_columns(money::charged(is_regular()))
        .with_column(when(is_regular()).then(col(TIER)).otherwise(lit(Null {})).alias(TIER));
    let priced = match within.holds(&col(CREATED_AT)) {
        Some(created_within) => priced.filter(created_within),
        None => priced,
    };
    concat([free, priced.select(&what)], UnionArgs::default())
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

/// Whether the person had written to the line within 24 hours; a column of [`after_a_message`].
const ANSWERS: &str = "answers";

/// Messages with [`ANSWERS`].
///
/// The last message before is not looked for. On the same day of UTC any that came before will do,
/// so the first of that day; of the day before the last is the only one that can be near enough.
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
    // A line that is not known is taken for one line; a person who is not known is nobody.
    let left = || JoinArgs { nulls_equal: true, ..JoinArgs::new(JoinType::Left) };
    let answers = col(FIRST).lt_eq(at()).fill_null(lit(false));
    let answers = answers.or(col(LAST).gt(at() - lit(DAY)).fill_null(lit(false)));
    messages
        .with_column(day().alias(ON))
        .join(same, &key, &key, left())
        .join(before, &key, &key, left())
        .with_column(answers.alias(ANSWERS))
}
