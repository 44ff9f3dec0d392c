//! Kaleyra's sessions, which are WhatsApp's conversations of 24 hours, and what each costs.
//!
//! ```text
//! message            created  failed   conversation  the conversation
//! wamid.03           09:59    yes      c02           –
//! wamid.04           11:00    no       c02           begins here: its account, line, country, type
//! wamid.05           12:00    no       c02           –
//! ```
//!
//! The first thousand of an account's month are free, but for those that came from an ad, which
//! are free beside them. The others cost what the rate card says. One of which every message
//! failed never was.

use clap::Args;
use polars::prelude::{
    DataType, Expr, JoinArgs, JoinType, LazyFrame, Null, PolarsResult, SortMultipleOptions, col,
    lit, when,
};
use wabalake_data::tables::messages::{
    self, CONVERSATION_ID, CONVERSATION_TYPE, COUNTRY, CREATED_AT, LINE, WABA_ID, WHATSAPP_ID,
};
use wabalake_data::tables::rates::CATEGORY;

use super::days::Span;
use super::measures::{message_failed, outgoing};
use super::money;
use super::numbers::whole;
use super::prices::{self, DATED, NUMBER};
use super::sql::Bindings;
use super::tables::Tables;
use super::zone::Clock;

/// Who began a conversation: referral, `business_initiated`, `user_initiated` or an unknown word.
pub const SESSION_TYPE: &str = "session_type";

/// Whether it is one of those that are free by their number.
pub const FREE_TIER: &str = "free_tier";

/// The word for what it is about, where its type is one.
pub const WORD: &str = "category_word";

/// Whether its first message went out.
const BY_US: &str = "begun_by_us";

const MONTH: &str = "month_of_start";

/// `--free-sessions`.
#[derive(Args, Clone, Copy, Debug)]
pub struct FreeSessions {
    /// How many conversations of an account and calendar month are free; 0 for none
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 1000,
        value_parser = whole::<i64>(0..=i64::MAX)
    )]
    free_sessions: i64,
}

impl FreeSessions {
    /// Binds the parameter of the SQL fragment `{conversations}`.
    pub fn bind(self, bindings: Bindings) -> Bindings {
        bindings.integer("free_sessions", self.free_sessions)
    }
}

/// One row for each conversation that began within a stretch of time: its `conversation_id`, when
/// it began in `created_at` and [`DATED`], its account, line, country, [`SESSION_TYPE`],
/// [`WORD`] and [`FREE_TIER`], and of its cost the columns of [`money::charged`].
///
/// # Errors
/// Those of building a plan.
pub fn conversations(tables: &Tables, within: Span, free: FreeSessions) -> PolarsResult<LazyFrame> {
    let zone = within.timezone;
    // What was written later changes nothing of what began before.
    let until = Span { from: None, ..within };
    let begun = first_messages(until.scan(tables, &messages::TABLE)).with_columns([
        session_type().alias(SESSION_TYPE),
        category_word().alias(WORD),
        Clock::Day.start(col(CREATED_AT), zone).alias(DATED),
        Clock::Month.start(col(CREATED_AT), zone).alias(MONTH),
    ]);

    let by_start = [CREATED_AT, CONVERSATION_ID];
    let counted = |of: Expr| of.cast(DataType::Int64).cum_sum(false);
    let is_referral = || col(SESSION_TYPE).eq(lit("referral"));
    let place = counted(is_referral().not()).over([col(WABA_ID), col(MONTH)])?;
    let is_free = is_referral().not().and(place.lt_eq(lit(free.free_sessions)));
    let chargeable = || is_referral().or(col(FREE_TIER)).not();
    let number = counted(chargeable()).over([col(COUNTRY), col(CATEGORY), col(MONTH)])?;
    // One that is free is priced as the first would be, to know in what.
    let number = when(chargeable()).then(number).otherwise(lit(1_i64));
    let numbered = begun
        .sort(by_start, SortMultipleOptions::default())
        .with_columns([
            is_free.alias(FREE_TIER),
            col(WORD).fill_null(col(SESSION_TYPE)).str().to_lowercase().alias(CATEGORY),
        ])
        .with_column(number.alias(NUMBER));

    let priced = prices::priced(numbered, dates(tables, until), tables)?;
    let priced = priced.with_columns(money::charged(chargeable()));
    Ok(match within.holds(&col(CREATED_AT)) {
        Some(began_within) => priced.filter(began_within),
        None => priced,
    })
}

/// The first message of each conversation that did not fail; of two at one instant the lesser id.
fn first_messages(messages: LazyFrame) -> LazyFrame {
    let went_well = outgoing().not().or(message_failed().not());
    let what =
        [CONVERSATION_ID, CREATED_AT, WHATSAPP_ID, WABA_ID, LINE, COUNTRY, CONVERSATION_TYPE];
    let mut what = what.map(col).to_vec();
    what.push(outgoing().alias(BY_US));
    let messages = messages.filter(col(CONVERSATION_ID).is_not_null().and(went_well)).select(what);
    let starts = messages.clone().group_by([col(CONVERSATION_ID)]).agg([col(CREATED_AT).min()]);
    let on = [col(CONVERSATION_ID), col(CREATED_AT)];
    let first = |column: &str| col(column).min_by(col(WHATSAPP_ID));
    messages.join(starts, &on, &on, JoinArgs::new(JoinType::Inner)).group_by(&on).agg([
        first(WABA_ID),
        first(LINE),
        first(COUNTRY),
        first(CONVERSATION_TYPE),
        first(BY_US),
    ])
}

/// The dates of messages, which are those of all that is priced.
pub(super) fn dates(tables: &Tables, within: Span) -> LazyFrame {
    let at = col(CREATED_AT);
    let dated = Clock::Day.start(at, within.timezone).alias(DATED);
    within.scan(tables, &messages::TABLE).select([dated])
}

/// Who began a conversation, by its type or else by its first message.
fn session_type() -> Expr {
    let by_direction =
        when(col(BY_US)).then(lit("business_initiated")).otherwise(lit("user_initiated"));
    begun_by(col(CONVERSATION_TYPE)).fill_null(by_direction)
}

/// Who began a conversation of that type, where categories stand for who uses them. Unknown words
/// stay, and null does.
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

/// The type of a conversation or message where it is the word of a category; else null.
pub fn category_word() -> Expr {
    let of = col(CONVERSATION_TYPE);
    when(is_one_of(&of, &CATEGORIES)).then(of).otherwise(lit(Null {}))
}

/// Whether a message belongs to a conversation that an ad led to.
pub(super) fn is_referral() -> Expr {
    is_one_of(&col(CONVERSATION_TYPE), &REFERRAL)
}

/// Types of a conversation that an ad led to.
const REFERRAL: [&str; 2] = ["referral", "referral_conversion"];

/// The words of categories; a business begins those of all but the last.
const CATEGORIES: [&str; 5] =
    ["marketing", "utility", "authentication", "authentication_international", "service"];

/// Whether a text is one of some words; of none that is not there.
fn is_one_of(text: &Expr, words: &[&str]) -> Expr {
    let is = words.iter().map(|word| text.clone().eq(lit(*word)));
    is.reduce(Expr::or).unwrap_or(lit(false)).fill_null(lit(false))
}
