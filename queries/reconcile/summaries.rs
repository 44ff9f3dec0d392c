//! Kaleyra's summaries, summed over campaigns, with days in the reporting time zone.

use polars::prelude::UniqueKeepStrategy;
use wabalake_data::tables::messages::{self, CREATED_AT, LINE};
use wabalake_data::tables::session_summaries::{
    self, AMOUNT, COUNTRY, DATE, FREE_TIER, NUMBER_OF_SESSIONS, SESSION_TYPE, WA_PHONE_NUMBER,
    WABA_ID,
};
use wabalake_data::tables::{CURRENCY, instant, message_summaries};

use super::{BUCKET, COMPUTED, KEY, Params, REPORTED, compare, key_of, side, sum_or_null};
use crate::query::billing::conversations::begun_by;
use crate::query::billing::money;
use crate::query::billing::prices::DATED;
use crate::query::prelude::*;
use crate::query::time::Clock;

const COUNTS: [&str; 6] = [
    message_summaries::CREATED,
    message_summaries::FAILED,
    message_summaries::SENT,
    message_summaries::DELIVERED,
    message_summaries::READ,
    message_summaries::RECEIVED,
];

/// Stands for an unknown currency.
const UNKNOWN: &str = "?";
const REPORTED_IN: &str = "reported_in";
const REPORTED_IN_TOO: &str = "reported_in_too";

/// `message-summary`
pub(super) fn messages(tables: &Tables, params: &Params) -> LazyFrame {
    let key = [WABA_ID, WA_PHONE_NUMBER, COUNTRY, message_summaries::MESSAGE_TYPE];
    let grouped_by = [&[DATE][..], &key].concat();
    let grouped_by: Vec<Expr> = grouped_by.into_iter().map(col).collect();
    let reported = in_range(params.waba.of(tables.scan(&message_summaries::TABLE)), params);
    let zone = params.days.timezone();
    let messages = params.days.scan(tables, &messages::TABLE).with_columns([
        Clock::Day.start(col(CREATED_AT), zone).alias(DATE),
        col(LINE).alias(WA_PHONE_NUMBER),
    ]);
    let computed = of_reported(messages, &reported).group_by(&grouped_by).agg(message_counts());
    let reported = reported.group_by(&grouped_by).agg(COUNTS.map(|c| sum_or_null(c).alias(c)));
    let [computed, reported] =
        [computed, reported].map(|figures| named(figures, &key, params.days));
    compare("message-summary", side(computed, &COUNTS, COMPUTED), side(reported, &COUNTS, REPORTED))
}

/// The key of a session summary, within its day.
const OF_SESSIONS: [&str; 5] = [WABA_ID, WA_PHONE_NUMBER, COUNTRY, SESSION_TYPE, FREE_TIER];

/// `session-summary`
#[derive(Clone)]
pub(super) struct Sessions {
    reported: LazyFrame,
    in_range: Option<Expr>,
    grouped_by: Vec<Expr>,
}

impl Sessions {
    pub(super) fn of(tables: &Tables, params: &Params) -> Self {
        let reported = in_range(params.waba.of(tables.scan(&session_summaries::TABLE)), params)
            .with_column(begun_by(col(SESSION_TYPE)).alias(SESSION_TYPE));
        Self {
            reported,
            in_range: params.days.holds(&col(DATE)),
            grouped_by: [&[DATE][..], &OF_SESSIONS].concat().into_iter().map(col).collect(),
        }
    }

    /// The counts of conversations by date and key.
    pub(super) fn counted(&self, conversations: LazyFrame) -> LazyFrame {
        let local = [col(DATED).alias(DATE), col(LINE).alias(WA_PHONE_NUMBER)];
        let conversations = conversations.with_columns(local);
        let conversations = match &self.in_range {
            Some(in_range) => conversations.filter(in_range.clone()),
            None => conversations,
        };
        let mut counts = vec![rows().alias(NUMBER_OF_SESSIONS)];
        counts.extend(money::charges());
        of_reported(conversations, &self.reported).group_by(&self.grouped_by).agg(counts)
    }

    /// What [`Self::counted`] returned, beside the reported summaries.
    pub(super) fn compared(&self, counts: LazyFrame, days: DayRange) -> LazyFrame {
        const METRICS: [&str; 2] = [NUMBER_OF_SESSIONS, AMOUNT];
        let computed = counts.with_column(money::cost().alias(AMOUNT));
        let reported = summed_sessions(self.reported.clone(), &self.grouped_by);
        let [computed, reported] = [computed, reported].map(|rows| named(rows, &OF_SESSIONS, days));

        // Amounts in different currencies are not compared.
        let currency = reported.clone().select([col(BUCKET), col(KEY), col(REPORTED_IN)]);
        let on = [col(BUCKET), col(KEY)];
        let is_other = col(REPORTED_IN).neq(money::charged_in()).fill_null(lit(false));
        let computed = computed
            .join(currency, &on, &on, JoinArgs::new(JoinType::Left))
            .with_column(when(is_other).then(lit(Null {})).otherwise(col(AMOUNT)).alias(AMOUNT));
        compare(
            "session-summary",
            side(computed, &METRICS, COMPUTED),
            side(reported, &METRICS, REPORTED),
        )
    }
}

/// Reported sessions and amounts summed by group; an amount in several currencies is null.
fn summed_sessions(reported: LazyFrame, grouped_by: &[Expr]) -> LazyFrame {
    let currency = || {
        let currency = col(CURRENCY).fill_null(lit(UNKNOWN));
        when(col(AMOUNT).is_not_null()).then(currency).otherwise(lit(Null {}))
    };
    let in_one_currency = col(REPORTED_IN).is_null().or(col(REPORTED_IN).eq(col(REPORTED_IN_TOO)));
    reported
        .group_by(grouped_by)
        .agg([
            sum_or_null(NUMBER_OF_SESSIONS).alias(NUMBER_OF_SESSIONS),
            sum_or_null(AMOUNT).alias(AMOUNT),
            currency().min().alias(REPORTED_IN),
            currency().max().alias(REPORTED_IN_TOO),
        ])
        .with_column(when(in_one_currency).then(col(AMOUNT)).otherwise(lit(Null {})).alias(AMOUNT))
}

/// The rows of a summary whose date is in the range.
fn in_range(summary: LazyFrame, params: &Params) -> LazyFrame {
    match params.days.holds(&col(DATE)) {
        Some(in_range) => summary.filter(in_range),
        None => summary,
    }
}

/// The rows of dates and accounts that have a reported row.
fn of_reported(rows: LazyFrame, reported: &LazyFrame) -> LazyFrame {
    let on = [col(DATE), col(WABA_ID)];
    let reported = reported.clone().select(&on).unique(None, UniqueKeepStrategy::Any);
    let known = JoinArgs { nulls_equal: true, ..JoinArgs::new(JoinType::Semi) };
    rows.join(reported, &on, &on, known)
}

/// Adds the midnight of the date and the text of the key.
fn named(figures: LazyFrame, key: &[&str], days: DayRange) -> LazyFrame {
    let [start, _] = Clock::Day.bounds(&col(DATE), days.timezone());
    let midnight = (start * lit(1_000_000_i64)).cast(instant());
    figures.with_columns([midnight.alias(BUCKET), key_of(key).alias(KEY)])
}
