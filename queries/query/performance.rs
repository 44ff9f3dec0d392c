//! Performance of templates and campaigns: delivery, reads and replies of their messages, and their cost.
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

use std::fmt::Debug;

use clap::{Args, Error};
use polars::prelude::{DataType, Expr, JoinArgs, JoinType, LazyFrame, PolarsResult, col, lit};
use wabalake_data::Table;
use wabalake_data::tables::messages::{self, CREATED_AT, DELIVERED_AT, LINE, SENT_AT, WHATSAPP_ID};
use wabalake_data::tables::{USER_KEY, audience_tags, markets, rates, sessions};

use super::billing::sends::{COST_PER_REPLY, CostSql, MessageCosts, Per};
use super::joins::{self, Nearest};
use super::measures::{
    incoming_message, message_delivered, message_failed, message_read, message_sent,
    quantile_seconds, rows, rows_where, share_pct,
};
use super::numbers::whole;
use super::time::HOUR;
use super::{
    Behind, Bindings, DayRange, Defaults, Dimensions, Filters, Grouped, Invalidation, Order,
    OutputColumn, Query, Range, Shape, Spec, Tables, Timeframe,
};
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
const COSTS_PER: &[Per] = &[(COST_PER_REPLY, REPLIED)];

/// The columns that count messages.
const COUNTS: &[&str] = &[CREATED, FAILED, SENT, DELIVERED, READ, REPLIED];

const ARRIVED: &str = "arrived";
const WRITTEN: &str = "written";
const TOOK: &str = "took";

/// A query about the performance of what a column of messages names. It states which messages count; the rest
/// of the [`Query`] is the same for all.
pub trait Performance: Grouped + Clone + Debug {
    /// [`Spec::name`].
    const NAME: &'static str;
    /// [`Spec::title`].
    const TITLE: &'static str;
    /// [`Spec::question`].
    const QUESTION: &'static str;
    /// [`Spec::sql`].
    const SQL: &'static str;
    /// The column of messages.
    const OF: &'static str;
    /// [`Performance::counts`] in SQL.
    const COUNTS_SQL: &'static str;

    /// Predicate: a message counts.
    fn counts() -> Expr;
}

/// The query's options.
#[derive(Args, Debug)]
pub struct Params<Q: Performance> {
    #[command(flatten)]
    days: DayRange,
    #[command(flatten)]
    filters: Filters<Q>,
    #[command(flatten)]
    by: Dimensions<Q>,
    #[command(flatten)]
    window: ReplyWindow,
    #[command(flatten)]
    costs: MessageCosts,
}

/// `--reply-window-hours`: the longest time from the arrival of a message to its reply.
#[derive(Args, Clone, Copy, Debug)]
struct ReplyWindow {
    /// Most hours from the arrival of a message to its reply
    #[arg(
        long,
        value_name = "HOURS",
        default_value_t = 72,
        value_parser = whole::<i64>(0..=876_000)
    )]
    reply_window_hours: i64,
}

/// The messages that count and were delivered, with their cost.
const UNITS: &str = "SELECT {by_then}{of}, cost, charged_in
FROM {messages}
{tagged}
INNER JOIN (
    SELECT whatsapp_id AS priced_id, cost, charged_in
    FROM deliveries
) AS priced ON priced_id = whatsapp_id
WHERE {counts}";

impl<Q: Performance> Query for Q {
    type Params = Params<Q>;

    const SPEC: Spec = Spec {
        name: Q::NAME,
        title: Q::TITLE,
        question: Q::QUESTION,
        reads: &[
            &messages::TABLE,
            &audience_tags::TABLE,
            &rates::TABLE,
            &markets::TABLE,
            &sessions::TABLE,
        ],
        // A reply may come on any later day.
        range: Range::History,
        columns: &[
            OutputColumn::term(Q::OF),
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
        ],
        key: &[Q::OF],
        order: &[Order::Descending(CREATED)],
        example: &["--from", "2025-06-01", "--to", "2025-06-30", "--reply-window-hours", "24"],
        sql: Q::SQL,
    };

    const BEHIND: Option<Behind<Self>> = Some(Behind {
        table: &messages::TABLE,
        cells: &[Q::OF],
        counts: COUNTS,
        id: &[WHATSAPP_ID],
        rows: counted,
        sql: include_str!("sql/performance_people.sql"),
    });

    fn resolve(params: &mut Params<Q>, defaults: &Defaults) -> Result<Timeframe, Error> {
        params.costs.resolve(defaults)?;
        params.days.resolve(defaults)
    }

    fn reads(params: &Params<Q>) -> Vec<&'static Table> {
        Self::SPEC.reads_for(&[&params.filters, &params.by, &params.costs])
    }

    fn shape(params: &Params<Q>) -> Shape {
        let costs = CostSql::of(&params.by.columns(), &[Q::OF], UNITS, COSTS_PER);
        params.costs.shape(Shape::of(&Self::SPEC), &costs)
    }

    fn invalidation(params: &Params<Q>, table: &Table) -> Vec<Invalidation> {
        params.costs.invalidation(table)
    }

    fn by(params: &Params<Q>) -> Vec<OutputColumn> {
        params.by.columns()
    }

    fn plan(tables: &Tables, params: &Params<Q>) -> PolarsResult<LazyFrame> {
        let (zone, group) = (params.days.timezone(), params.by.names_with(&[Q::OF]));
        let answer = grouped(tables, params, &group)?;
        let (filters, by) = (params.filters.clone(), params.by.clone());
        let priced = move |tables: &Tables| {
            let messages = filters.of(tables.scan(&messages::TABLE), tables).filter(Q::counts());
            by.split(messages, tables, zone)
        };
        params.costs.added_to(answer, group, COSTS_PER, priced, &params.days, tables)
    }

    fn bind(params: &Params<Q>) -> Bindings {
        let bindings = params.by.bind(params.days.bind(Bindings::new()));
        let bindings = params.costs.bind(params.filters.bind(bindings));
        bindings
            .integer("reply_window_hours", params.window.reply_window_hours)
            .slot("of", Q::OF.to_owned())
            .slot("counts", Q::COUNTS_SQL.to_owned())
    }
}

/// The messages that count.
fn asked<Q: Performance>(tables: &Tables, params: &Params<Q>) -> LazyFrame {
    let messages = params.days.scan(tables, &messages::TABLE);
    params.filters.of(messages, tables).filter(Q::counts())
}

/// Groups the messages that count.
fn grouped<Q: Performance>(
    tables: &Tables,
    params: &Params<Q>,
    group: &[Expr],
) -> PolarsResult<LazyFrame> {
    let asked = params.by.split(asked(tables, params), tables, params.days.timezone());
    let counted = asked.clone().group_by(group).agg([
        rows().alias(CREATED),
        rows_where(message_failed()).alias(FAILED),
        rows_where(message_sent()).alias(SENT),
        rows_where(message_delivered()).alias(DELIVERED),
        rows_where(message_read()).alias(READ),
    ]);
    let answered = first_replies(asked, tables, group, params.window)?
        .group_by(group)
        .agg([rows().alias(REPLIED), quantile_seconds(TOOK, 0.5).alias(MEDIAN_REPLY_SECONDS)]);

    let known = JoinArgs { nulls_equal: true, ..JoinArgs::new(JoinType::Left) };
    let all =
        counted.join(answered, group, group, known).with_column(col(REPLIED).fill_null(lit(0)));
    Ok(all.with_columns([
        share_pct(col(DELIVERED), col(CREATED)).alias(DELIVERED_PCT),
        share_pct(col(READ), col(DELIVERED)).alias(READ_PCT),
        share_pct(col(REPLIED), col(DELIVERED)).alias(REPLY_PCT),
    ]))
}

/// The messages that count, with dimensions, and for each of [`COUNTS`] a column that is true if it counts the
/// message.
fn counted<Q: Performance>(tables: &Tables, params: &Params<Q>) -> PolarsResult<LazyFrame> {
    let asked = once(asked(tables, params));
    let id = [col(WHATSAPP_ID)];
    let answered = first_replies(asked.clone(), tables, &id, params.window)?
        .select([col(WHATSAPP_ID), lit(true).alias(REPLIED)]);
    let messages = asked.join(answered, &id, &id, JoinArgs::new(JoinType::Left));
    Ok(params.by.split(messages, tables, params.days.timezone()).with_columns([
        lit(true).alias(CREATED),
        message_failed().alias(FAILED),
        message_sent().alias(SENT),
        message_delivered().alias(DELIVERED),
        message_read().alias(READ),
    ]))
}

/// The answered messages, with columns of theirs and the microseconds from their arrival to the reply.
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
        window.reply_window_hours * HOUR,
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
