//! WhatsApp conversations of 24 hours, which Kaleyra calls sessions, and their cost.
//!
//! ```text
//! message            created  failed   conversation  the conversation
//! wamid.03           09:59    yes      c02           –
//! wamid.04           11:00    no       c02           begins here; account, line, country and type are this message's
//! wamid.05           12:00    no       c02           –
//! ```
//!
//! The first 1000 conversations of an account and calendar month are free. Conversations that an ad led
//! to are always free and do not count towards the 1000. All others are priced by the rate card. A
//! conversation of which every message failed does not exist.

use clap::Args;
use polars::prelude::{Expr, LazyFrame, Null, col, lit, when};
use wabalake_data::tables::messages::{
    self, CONVERSATION_ID, CONVERSATION_TYPE, COUNTRY, CREATED_AT, LINE, PRICING_CATEGORY,
    TEMPLATE_CATEGORIES, WABA_ID,
};
use wabalake_data::tables::rates::CATEGORY;

use super::money;
use super::prices::{self, DATED};
use crate::kernels::dictionary::number;
use crate::kernels::ordinals::{PLACE, count_until, place_in_time};
use crate::query::measures::outgoing;
use crate::query::numbers::whole;
use crate::query::sql::Bindings;
use crate::query::tables::Tables;
use crate::query::time::{Clock, Invalidation, Near, Span};

/// The column of who began a conversation: `referral`, `business_initiated`, `user_initiated` or an
/// unknown word.
pub const SESSION_TYPE: &str = "session_type";

/// The column that is `true` for a conversation of the free tier.
pub const FREE_TIER: &str = "free_tier";

/// The column of the category, if the type is one.
pub const WORD: &str = "category_word";

const MONTH: &str = "month_of_start";

/// The relation of the SQL fragment `{conversations}` that has a row for each conversation, numbered and
/// priced, with the columns of its first message. A slot of that name selects those that count.
pub const OFFERED: &str = "offered";

/// How a changed message affects what conversations are counted and cost.
///
/// The start of its conversation, before and after the change, is among that conversation's messages, and
/// the free tier and tiers of rates number the conversations of a month.
pub fn invalidation() -> Vec<Invalidation> {
    let (of, near) = (&messages::TABLE, Near::ITSELF.in_months());
    vec![Invalidation::Near(near), Invalidation::SameKey { key: CONVERSATION_ID, of, near }]
}

/// `--free-sessions`.
#[derive(Args, Clone, Copy, Debug)]
pub struct FreeSessions {
    /// Number of free conversations per account and calendar month
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 1000,
        value_parser = whole::<i64>(0..=i64::MAX)
    )]
    free_sessions: i64,
}

impl FreeSessions {
    /// Binds the parameter of the SQL fragment `{conversations}`, and fills its slot `{offered}` with all
    /// conversations.
    pub fn bind(self, bindings: Bindings) -> Bindings {
        let bindings = bindings.integer("free_sessions", self.free_sessions);
        prices::bind(bindings).slot(OFFERED, OFFERED.to_owned())
    }
}

/// Returns the plan of the conversations that began in an interval, a row each: `conversation_id`, the
/// start in `created_at` and [`DATED`], account, line, country, [`SESSION_TYPE`], [`WORD`],
/// [`FREE_TIER`], the columns of [`money::charged`], and `others` of the first message.
///
/// The messages of `tables` are the first of each conversation that did not fail.
pub fn conversations(
    tables: &Tables,
    within: Span,
    free: FreeSessions,
    others: &[&str],
) -> LazyFrame {
    let zone = within.timezone;
    // Earlier messages decide the free tier and the number of a conversation; later ones do not.
    let until = Span { from: None, ..within };
    let mut columns = vec![
        col(CONVERSATION_ID),
        col(CREATED_AT),
        col(WABA_ID),
        col(LINE),
        col(COUNTRY),
        category_word().alias(WORD),
        session_type().alias(SESSION_TYPE),
        Clock::Day.start(col(CREATED_AT), zone).alias(DATED),
        Clock::Month.start(col(CREATED_AT), zone).alias(MONTH),
        place_in_time(col(CREATED_AT), &[col(CONVERSATION_ID)]).alias(PLACE),
    ];
    columns.extend(others.iter().map(|other| col(*other)));
    let begun = until.scan(tables, &messages::TABLE).select(columns);

    let is_referral = || col(SESSION_TYPE).eq(lit("referral"));
    let of_account = number(&[col(WABA_ID), col(MONTH)]);
    let place = count_until(col(PLACE), of_account, is_referral().not());
    let is_free = is_referral().not().and(place.lt_eq(lit(free.free_sessions)));
    let chargeable = || is_referral().or(col(FREE_TIER)).not();
    let typed = prices::in_markets(begun, tables).with_columns([
        is_free.alias(FREE_TIER),
        col(WORD).fill_null(col(SESSION_TYPE)).str().to_lowercase().alias(CATEGORY),
    ]);

    // A free conversation is priced as number 1, for its currency.
    let numbered = prices::numbered(typed, chargeable(), 1, MONTH);
    let priced = prices::priced(numbered, tables).with_columns(money::charged(chargeable()));
    match within.holds(&col(CREATED_AT)) {
        Some(began_within) => priced.filter(began_within),
        None => priced,
    }
}

/// Who began a conversation: from its type, or else from the direction of its first message.
fn session_type() -> Expr {
    let by_direction =
        when(outgoing()).then(lit("business_initiated")).otherwise(lit("user_initiated"));
    begun_by(col(CONVERSATION_TYPE)).fill_null(by_direction)
}

/// Who began a conversation, from its type. A category stands for who begins its conversations. Unknown
/// types and null are kept.
pub fn begun_by(conversation_type: Expr) -> Expr {
    let is = |words: &[&str]| is_one_of(&conversation_type, words);
    when(is(&REFERRAL))
        .then(lit("referral"))
        .when(is(&CATEGORIES[..4]))
        .then(lit("business_initiated"))
        .when(is(&CATEGORIES[4..]))
        .then(lit("user_initiated"))
        .otherwise(conversation_type.clone())
}

/// The category of a message's template or conversation: its pricing category if that is one of
/// templates, else its conversation type if that is a category, else null.
pub(super) fn category_word() -> Expr {
    let (of_template, of_conversation) = (col(PRICING_CATEGORY), col(CONVERSATION_TYPE));
    when(outgoing().and(is_one_of(&of_template, &TEMPLATE_CATEGORIES)))
        .then(of_template)
        .when(is_one_of(&of_conversation, &CATEGORIES))
        .then(of_conversation)
        .otherwise(lit(Null {}))
}

/// Predicate: a message belongs to a conversation that an ad led to.
pub(super) fn is_referral() -> Expr {
    is_one_of(&col(CONVERSATION_TYPE), &REFERRAL)
}

/// The types of conversations that an ad led to.
const REFERRAL: [&str; 2] = ["referral", "referral_conversion"];

/// The categories. The business begins conversations of all but the last.
const CATEGORIES: [&str; 5] =
    ["marketing", "utility", "authentication", "authentication_international", "service"];

/// Predicate: a text is one of some words; `false` for null.
fn is_one_of(text: &Expr, words: &[&str]) -> Expr {
    let is = words.iter().map(|word| text.clone().eq(lit(*word)));
    is.reduce(Expr::or).unwrap_or(lit(false)).fill_null(lit(false))
}
