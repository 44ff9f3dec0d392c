//! Conversations counted in parts of whole months.
//!
//! ```text
//! starts      key of the conversation, created_at     of all messages that did not fail, 16 bytes each
//! parts       months with many starts                 two at a time
//!   messages  the first of each conversation          with the columns that are priced and counted
//!   counts    their conversations, counted            a small table, which is all that remains
//! ```

use polars::prelude::{
    DataFrame, DataType, Expr, IntoLazy, JoinArgs, JoinType, LazyFrame, PolarsResult, Schema,
    SortMultipleOptions, UnionArgs, UniqueKeepStrategy, col, cols, concat, len, lit,
};
use wabalake_data::tables::UTC_DAY;
use wabalake_data::tables::messages::{
    self, CONVERSATION_ID, CONVERSATION_TYPE, COUNTRY, CREATED_AT, LINE, MESSAGE_DIRECTION,
    PRICING_CATEGORY, WABA_ID, WHATSAPP_ID,
};

use super::counts_of;
use crate::kernels::{self, collected};
use crate::query::billing::conversations::{FreeSessions, conversations};
use crate::query::measures::{message_failed, outgoing};
use crate::query::tables::Tables;
use crate::query::time::{Clock, Span};

/// The number of conversations from which a part ends with its month.
const MANY: u64 = 1 << 18;

/// The columns of messages that conversations are made of.
const READ: [&str; 10] = [
    WHATSAPP_ID,
    CONVERSATION_ID,
    CREATED_AT,
    WABA_ID,
    LINE,
    COUNTRY,
    CONVERSATION_TYPE,
    PRICING_CATEGORY,
    MESSAGE_DIRECTION,
    UTC_DAY,
];

/// The hash of a conversation's id.
const KEY: &str = "conversation_key";
/// The time of a conversation's first message, in microseconds.
const AT: &str = "begun_at";
/// The local month of it.
const MONTH: &str = "month";
const FIRST: &str = "first";
const LAST: &str = "last";
const STARTS: &str = "starts";
const AT_START: &str = "messages_at_start";

/// Counts the [conversations] that began in an interval.
///
/// `count` gets the conversations of a part and the tables, whose messages are those of the part, and
/// returns the counts. The plan returned has those of all parts: a group that spans months has several
/// rows.
///
/// # Errors
/// Those of building a plan.
pub fn count_conversations<F>(
    tables: &Tables,
    within: Span,
    free: FreeSessions,
    count: F,
) -> PolarsResult<LazyFrame>
where
    F: Fn(LazyFrame, &Tables) -> PolarsResult<LazyFrame> + Send + Sync + 'static,
{
    count_conversations_with(&[], tables, within, free, count)
}

/// [`count_conversations`] with other columns of each conversation's first message.
///
/// # Errors
/// Those of building a plan.
pub fn count_conversations_with<F>(
    others: &'static [&'static str],
    tables: &Tables,
    within: Span,
    free: FreeSessions,
    count: F,
) -> PolarsResult<LazyFrame>
where
    F: Fn(LazyFrame, &Tables) -> PolarsResult<LazyFrame> + Send + Sync + 'static,
{
    let count = move |tables: &Tables| count(conversations(tables, within, free, others), tables);
    let schema = Schema::clone(&*count(&Tables::new())?.collect_schema()?);
    let until = Span { from: None, ..within };
    let messages = until.scan(tables, &messages::TABLE).filter(may_begin());
    let starts = kernels::firsts(messages.select([key(), at()]), KEY, AT);
    let (tables, counts) = (tables.clone(), schema.clone());
    let columns: Vec<_> = schema.iter_names().collect();
    let name = format!("conversations by month: {within:?} {free:?} {others:?} {columns:?}");
    Ok(kernels::node(starts, name, schema, move |starts| {
        let instants = col(AT).cast(messages::TABLE.schema().try_get(CREATED_AT)?.clone());
        let month = Clock::Month.start(instants, within.timezone).alias(MONTH);
        let starts = starts.lazy().with_column(month).collect()?;
        let parts = parts(&starts, within)?;
        counts_of(&parts, &counts, |part| {
            let messages = part.first_messages(&starts, &tables, others)?;
            let tables = tables.clone().with(&messages::TABLE, messages.lazy());
            collected(count(&tables)?)
        })
    }))
}

/// Some months in a row.
struct Part {
    /// The first and the last month, as days since 1970.
    months: [i32; 2],
    /// The first and the last start of a conversation, in microseconds.
    starts: [i64; 2],
    conversations: u64,
}

impl Part {
    /// The first message of each of the part's conversations. At equal times the smaller id counts.
    fn first_messages(
        &self,
        starts: &DataFrame,
        tables: &Tables,
        others: &[&str],
    ) -> PolarsResult<DataFrame> {
        let [first, last] = self.months.map(|month| lit(month).cast(DataType::Date));
        let in_months = col(MONTH).gt_eq(first).and(col(MONTH).lt_eq(last));
        let starts = starts.clone().lazy().filter(in_months).select([col(KEY), col(AT)]);
        let [first, last] = self.starts;
        let span =
            Span { from: Some(first), until: last.checked_add(1), timezone: chrono_tz::Tz::UTC };
        let on = [col(KEY), col(AT)];
        let columns: Vec<Expr> = READ.iter().chain(others).map(|name| col(*name)).collect();
        let messages = span
            .scan(tables, &messages::TABLE)
            .filter(may_begin())
            .select([&columns[..], &[key(), at()]].concat())
            .join(starts, &on, &on, JoinArgs::new(JoinType::Semi));
        only_first(collected(messages)?)
    }
}

/// Of the messages of a conversation, all of one time, the one with the smallest id.
fn only_first(messages: DataFrame) -> PolarsResult<DataFrame> {
    let at_start = [len().alias(AT_START)];
    let several = messages.clone().lazy().group_by([col(KEY)]).agg(at_start);
    let several = several.filter(col(AT_START).gt(lit(1))).select([col(KEY)]).collect()?;
    if several.height() == 0 {
        return Ok(messages);
    }
    let (key, messages, several) = ([col(KEY)], messages.lazy(), several.lazy());
    let alone = messages.clone().join(several.clone(), &key, &key, JoinArgs::new(JoinType::Anti));
    let first = messages
        .join(several, &key, &key, JoinArgs::new(JoinType::Semi))
        .sort([WHATSAPP_ID], SortMultipleOptions::default())
        .unique_stable(Some(cols([CONVERSATION_ID])), UniqueKeepStrategy::First);
    concat([alone, first], UnionArgs::default())?.collect()
}

/// The parts of conversations with their month; without months that end before the interval.
fn parts(starts: &DataFrame, within: Span) -> PolarsResult<Vec<Part>> {
    let months = starts.clone().lazy().group_by([col(MONTH)]).agg([
        len().cast(DataType::UInt64).alias(STARTS),
        col(AT).min().alias(FIRST),
        col(AT).max().alias(LAST),
    ]);
    let months = months.sort([MONTH], SortMultipleOptions::default()).collect()?;
    let month = months.column(MONTH)?.cast(&DataType::Int32)?;
    let rows = month
        .i32()?
        .iter()
        .zip(months.column(FIRST)?.i64()?.iter())
        .zip(months.column(LAST)?.i64()?.iter())
        .zip(months.column(STARTS)?.u64()?.iter());
    let mut parts: Vec<Part> = Vec::new();
    for (((month, first), last), conversations) in rows {
        let (Some(month), Some(first), Some(last)) = (month, first, last) else { continue };
        if within.from.is_some_and(|from| last < from) {
            continue;
        }
        let conversations = conversations.unwrap_or_default();
        match parts.last_mut().filter(|part| part.conversations < MANY) {
            Some(part) => {
                part.months[1] = month;
                part.starts = [part.starts[0].min(first), part.starts[1].max(last)];
                part.conversations += conversations;
            }
            None => parts.push(Part { months: [month; 2], starts: [first, last], conversations }),
        }
    }
    Ok(parts)
}

/// Predicate: a message may be the first of a conversation.
fn may_begin() -> Expr {
    col(CONVERSATION_ID).is_not_null().and(outgoing().not().or(message_failed().not()))
}

fn key() -> Expr {
    kernels::key_of_text(col(CONVERSATION_ID)).alias(KEY)
}

fn at() -> Expr {
    col(CREATED_AT).cast(DataType::Int64).alias(AT)
}

#[cfg(test)]
mod tests {
    use polars::prelude::df;

    use super::*;

    #[test]
    fn at_equal_times_the_smallest_id_is_first() {
        let messages = df!(
            KEY => [1_i64, 2, 2, 3, 2],
            CONVERSATION_ID => ["c1", "c2", "c2", "c3", "c2"],
            WHATSAPP_ID => ["w9", "w4", "w2", "w1", "w3"],
        )
        .unwrap();
        let ids = |messages: DataFrame| {
            let sorted = messages
                .lazy()
                .sort([WHATSAPP_ID], SortMultipleOptions::default())
                .collect()
                .unwrap();
            let ids = sorted.column(WHATSAPP_ID).unwrap().str().unwrap().clone();
            ids.iter().flatten().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(ids(only_first(messages.clone()).unwrap()), ["w1", "w2", "w9"]);
        let alone = messages.lazy().filter(col(KEY).neq(lit(2))).collect().unwrap();
        assert_eq!(ids(only_first(alone).unwrap()), ["w1", "w9"]);
    }
}
