//! Performance of templates and campaigns: delivery, reads and replies of their messages.
//!
//! The reply to a message is the person's first incoming message on the same line at or after its
//! arrival, within the window. A reaction is no reply. Only delivered messages have replies; one reply may answer several
//! messages. Messages without a line form a line of their own. Filters and dimensions are of the answered
//! message.
//!
//! ```text
//! arrived         delivered_at, else sent_at, else created_at
//! messages        ●────── 72 h ──────┤   ●────── 72 h ──────┤
//! incoming                  ○                                    ○
//! answered        by the first ○         no: the first ○ after it is too late
//! ```

use chrono_tz::Tz;
use clap::Args;
use polars::prelude::{DataType, Expr, JoinArgs, JoinType, LazyFrame, PolarsResult, col, lit};
use wabalake_data::tables::USER_KEY;
use wabalake_data::tables::messages::{self, CREATED_AT, DELIVERED_AT, LINE, SENT_AT, WHATSAPP_ID};

use super::billing::sends::{COST_PER_REPLY, Per};
use super::joins::{self, Nearest};
use super::measures::{
    incoming_message, message_delivered, message_failed, message_read, message_sent,
    quantile_seconds, rows, rows_where, share_pct,
};
use super::numbers::whole;
use super::time::HOUR;
use super::{Bindings, Dimensions, Grouped, OutputColumn, Tables};
use crate::kernels::once;

/// Messages that were created.
pub const CREATED: &str = "created";
/// Failed messages among them.
pub const FAILED: &str = "failed";
/// Sent messages among them, delivered ones included.
pub const SENT: &str = "sent";
/// Delivered messages among them.
pub const DELIVERED: &str = "delivered";
/// Read messages among them.
pub const READ: &str = "read";
/// Share of the created messages that were delivered.
pub const DELIVERED_PCT: &str = "delivered_pct";
/// Share of the delivered messages that were read.
pub const READ_PCT: &str = "read_pct";
/// Messages with a reply within the window.
pub const REPLIED: &str = "replied";
/// Share of the delivered messages that were answered.
pub const REPLY_PCT: &str = "reply_pct";
/// Median time to the reply.
pub const MEDIAN_REPLY_SECONDS: &str = "median_reply_seconds";

/// The column of cost per something.
pub const COSTS_PER: &[Per] = &[(COST_PER_REPLY, REPLIED)];

/// The columns that count messages.
pub const COUNTS: &[&str] = &[CREATED, FAILED, SENT, DELIVERED, READ, REPLIED];

const ARRIVED: &str = "arrived";
const WRITTEN: &str = "written";
const TOOK: &str = "took";

/// `--reply-window-hours`: the longest time from the arrival of a message to its reply.
#[derive(Args, Clone, Copy, Debug)]
pub struct ReplyWindow {
    /// Most hours from the arrival of a message to its reply
    #[arg(
        long,
        value_name = "HOURS",
        default_value_t = 72,
        value_parser = whole::<i64>(0..=876_000)
    )]
    reply_window_hours: i64,
}

impl ReplyWindow {
    /// Binds `:reply_window_hours`.
    pub fn bind(&self, bindings: Bindings) -> Bindings {
        bindings.integer("reply_window_hours", self.reply_window_hours)
    }

    fn micros(self) -> i64 {
        self.reply_window_hours * HOUR
    }
}

/// The columns of the answer, with the template or campaign first.
pub const fn columns(of: &'static str) -> [OutputColumn; 11] {
    [
        OutputColumn::term(of),
        OutputColumn::count(CREATED),
        OutputColumn::count(FAILED),
        OutputColumn::count(SENT),
        OutputColumn::count(DELIVERED),
        OutputColumn::count(READ),
        OutputColumn::pct(DELIVERED_PCT),
        OutputColumn::pct(READ_PCT),
        OutputColumn::count(REPLIED),
        OutputColumn::pct(REPLY_PCT),
        OutputColumn::seconds(MEDIAN_REPLY_SECONDS),
    ]
}

/// Returns the plan: the messages that are asked about, grouped by dimensions and a column.
///
/// # Errors
/// Those of building a plan.
pub fn plan<Q: Grouped>(
    tables: &Tables,
    asked: LazyFrame,
    by: &Dimensions<Q>,
    zone: Tz,
    of: &'static str,
    window: ReplyWindow,
) -> PolarsResult<LazyFrame> {
    let asked = by.split(asked, tables, zone);
    let group = by.names_with(&[of]);
    let counted = asked.clone().group_by(&group).agg([
        rows().alias(CREATED),
        rows_where(message_failed()).alias(FAILED),
        rows_where(message_sent()).alias(SENT),
        rows_where(message_delivered()).alias(DELIVERED),
        rows_where(message_read()).alias(READ),
    ]);
    let answered = first_replies(asked, tables, &group, window)?
        .group_by(&group)
        .agg([rows().alias(REPLIED), quantile_seconds(TOOK, 0.5).alias(MEDIAN_REPLY_SECONDS)]);

    let known = JoinArgs { nulls_equal: true, ..JoinArgs::new(JoinType::Left) };
    let all =
        counted.join(answered, &group, &group, known).with_column(col(REPLIED).fill_null(lit(0)));
    Ok(all.with_columns([
        share_pct(col(DELIVERED), col(CREATED)).alias(DELIVERED_PCT),
        share_pct(col(READ), col(DELIVERED)).alias(READ_PCT),
        share_pct(col(REPLIED), col(DELIVERED)).alias(REPLY_PCT),
    ]))
}

/// Returns the plan of the messages that are asked about, with dimensions, and for each of [`COUNTS`] a column
/// that is true if it counts the message.
///
/// # Errors
/// Those of building a plan.
pub fn counted<Q: Grouped>(
    tables: &Tables,
    asked: LazyFrame,
    by: &Dimensions<Q>,
    zone: Tz,
    window: ReplyWindow,
) -> PolarsResult<LazyFrame> {
    let asked = once(asked);
    let id = [col(WHATSAPP_ID)];
    let answered = first_replies(asked.clone(), tables, &id, window)?
        .select([col(WHATSAPP_ID), lit(true).alias(REPLIED)]);
    let messages = asked.join(answered, &id, &id, JoinArgs::new(JoinType::Left));
    Ok(by.split(messages, tables, zone).with_columns([
        lit(true).alias(CREATED),
        message_failed().alias(FAILED),
        message_sent().alias(SENT),
        message_delivered().alias(DELIVERED),
        message_read().alias(READ),
    ]))
}

/// The answered messages, with columns of theirs and the microseconds from their arrival to the reply.
///
/// # Errors
/// Those of building a plan.
fn first_replies(
    asked: LazyFrame,
    tables: &Tables,
    columns: &[Expr],
    window: ReplyWindow,
) -> PolarsResult<LazyFrame> {
    let known_person = || col(USER_KEY).is_not_null();
    // Messages without a line share the empty text, which is no number of a line.
    let line = || col(LINE).fill_null(lit(""));
    let micros = |at: Expr| at.cast(DataType::Int64);
    let arrived = col(DELIVERED_AT).fill_null(col(SENT_AT)).fill_null(col(CREATED_AT));
    let of_person = [col(USER_KEY), line(), micros(arrived).alias(ARRIVED)];
    let delivered = asked
        .filter(message_delivered().and(known_person()))
        .select([columns, &of_person].concat());
    let written = tables.scan(&messages::TABLE).filter(incoming_message().and(known_person()));
    let written = written.select([col(USER_KEY), line(), micros(col(CREATED_AT)).alias(WRITTEN)]);
    let answered = joins::nearest(
        Nearest::FirstAfter,
        (delivered, ARRIVED),
        (written, WRITTEN, &[]),
        &[USER_KEY, LINE],
        window.micros(),
    )?;
    Ok(answered
        .select([columns, &[(col(WRITTEN) - col(ARRIVED)).alias(TOOK)]].concat())
        .filter(col(TOOK).is_not_null()))
}

#[cfg(test)]
mod tests {
    use polars::prelude::{Engine, IntoLazy, df};
    use proptest::prelude::*;
    use wabalake_data::tables::instant;

    use super::*;

    /// Messages as (person, one of two lines or none, hour).
    fn messages() -> impl Strategy<Value = Vec<(i64, Option<bool>, i64)>> {
        let line = prop::option::of(any::<bool>());
        prop::collection::vec((0..2_i64, line, 0..12_i64), 0..25)
    }

    fn sent(messages: &[(i64, Option<bool>, i64)], direction: &'static str) -> LazyFrame {
        let at = || messages.iter().map(|message| message.2).collect::<Vec<_>>();
        let line = |line: Option<bool>| line.map(|first| if first { "1" } else { "2" });
        let stamp = |at: &str| (col(at) * lit(HOUR)).cast(instant()).alias(at);
        let rows = df![
            USER_KEY => messages.iter().map(|message| message.0).collect::<Vec<_>>(),
            LINE => messages.iter().map(|message| line(message.1)).collect::<Vec<_>>(),
            CREATED_AT => at(),
            SENT_AT => at(),
            DELIVERED_AT => at(),
        ];
        rows.unwrap().lazy().with_columns([
            stamp(CREATED_AT),
            stamp(SENT_AT),
            stamp(DELIVERED_AT),
            stamp(DELIVERED_AT).alias(messages::SEEN_AT),
            lit(direction).alias(messages::MESSAGE_DIRECTION),
            lit("text").alias(messages::FORMAT),
        ])
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn the_reply_is_the_first_message_within_the_window(
            outgoing in messages(),
            incoming in messages(),
            hours in 0..5_i64,
        ) {
            let tables = Tables::new().with(&messages::TABLE, sent(&incoming, "incoming"));
            let window = ReplyWindow { reply_window_hours: hours };
            let of = [col(messages::MESSAGE_DIRECTION)];
            let found = first_replies(sent(&outgoing, "outgoing"), &tables, &of, window).unwrap();
            let found = found.collect_with_engine(Engine::Streaming).unwrap().unwrap_single();
            let found = found.column(TOOK).unwrap().i64().unwrap().clone();
            let mut found: Vec<i64> = found.iter().flatten().collect();
            found.sort_unstable();
            let took = |(person, line, at): &(i64, Option<bool>, i64)| {
                let replies = incoming.iter().filter(|reply| (reply.0, reply.1) == (*person, *line));
                let hours_after = replies.map(|reply| reply.2 - at);
                hours_after.filter(|after| (0..=hours).contains(after)).min()
            };
            let mut expected: Vec<i64> =
                outgoing.iter().filter_map(took).map(|after| after * HOUR).collect();
            expected.sort_unstable();
            prop_assert_eq!(found, expected);
        }
    }
}
