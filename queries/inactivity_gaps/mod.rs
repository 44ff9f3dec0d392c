//! How many replies would find their session closed for inactivity?
//!
//! One row per value of `--minutes`: the incoming messages that came more than that long after the
//! previous message. The previous message is the person's last one on the same line, incoming or
//! outgoing, anywhere in the lake; failed messages and people's reactions are ignored. Messages without a person are left out;
//! messages without a line form a line of their own. A person's first message on a line is no reply.

use polars::prelude::{SortMultipleOptions, df};
use wabalake_data::tables::USER_KEY;
use wabalake_data::tables::messages::{self, CREATED_AT, LINE, WHATSAPP_ID};

use crate::query::numbers::whole;
use crate::query::prelude::*;

/// See the [module](self) for the question it answers.
pub struct InactivityGaps;

/// The query's options.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    range: DayRange,

    /// Minutes without a message after which a session would be closed, separated by commas
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "30,60,1440",
        value_parser = whole::<i64>(0..=52_560_000)
    )]
    minutes: Vec<i64>,
}

const MINUTE: i64 = 60_000_000;
const MINUTES: &str = "minutes";
const GAP: &str = "gap";
const REPLIES: &str = "replies";

impl Query for InactivityGaps {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "inactivity-gaps",
        title: "Replies that automatic closing would miss",
        question: "How many replies would find their session closed for inactivity? Incoming \
                   messages that came more than so many minutes after the previous message of the \
                   same person on the same line.",
        reads: &[&messages::TABLE],
        // The previous message may be of any earlier day.
        range: Range::History,
        columns: &[
            OutputColumn::count(MINUTES),
            OutputColumn::count("replies_after"),
            OutputColumn::pct("share_pct"),
            OutputColumn::count("users"),
        ],
        key: &[MINUTES],
        order: &[],
        example: &["--minutes", "15,30,60", "--from", "2025-06-01", "--to", "2025-06-30"],
        sql: include_str!("twin.sql"),
    };

    fn resolve(params: &mut Params, defaults: &Defaults) -> Result<Timeframe, UsageError> {
        params.range.resolve(defaults)
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let minutes = params.minutes();
        let replies = replies(tables, params);
        let longer = |minutes: i64| col(GAP).gt(lit(minutes * MINUTE));
        let mut counted = vec![rows().alias(REPLIES)];
        for n in &minutes {
            let people = col(USER_KEY).filter(longer(*n)).n_unique();
            counted.push(rows_where(longer(*n)).alias(format!("replies_after_{n}")));
            counted.push(people.alias(format!("users_{n}")));
        }
        let for_each = |named: &str| {
            let of = |others, n: &i64| {
                when(col(MINUTES).eq(lit(*n))).then(col(format!("{named}_{n}"))).otherwise(others)
            };
            minutes.iter().fold(lit(0), of).alias(named)
        };
        Ok(replies
            .select(counted)
            .cross_join(df![MINUTES => &minutes]?.lazy(), None)
            .with_columns([for_each("replies_after"), for_each("users")])
            .with_column(share_pct(col("replies_after"), col(REPLIES)).alias("share_pct")))
    }

    fn bind(params: &Params) -> Bindings {
        params.range.bind(Bindings::new()).list(MINUTES, &params.minutes())
    }
}

/// Incoming messages of the range that follow another message, with the gap before them in
/// microseconds.
fn replies(tables: &Tables, params: &Params) -> LazyFrame {
    const INCOMING: &str = "incoming";
    let order = [USER_KEY, LINE, CREATED_AT, WHATSAPP_ID];
    let mut columns: Vec<Expr> = order.map(col).to_vec();
    columns.push(outgoing().not().alias(INCOMING));
    let counts = incoming_message().or(outgoing().and(message_failed().not()));
    let sorted = tables
        .scan(&messages::TABLE)
        .filter(col(USER_KEY).is_not_null().and(counts))
        .select(columns)
        .sort(order, SortMultipleOptions::default());

    let before = |column: &str| col(column).shift(lit(1));
    let same_person = col(USER_KEY).eq(before(USER_KEY));
    let same_line = col(LINE).eq_missing(before(LINE));
    let micros = |at: Expr| at.cast(DataType::Int64);
    let gap = micros(col(CREATED_AT)) - micros(before(CREATED_AT));
    let gap = when(same_person.and(same_line)).then(gap).otherwise(lit(Null {}));
    let is_reply = col(INCOMING).and(col(GAP).is_not_null());
    let counts = match params.range.holds_instant(&col(CREATED_AT)) {
        Some(in_range) => is_reply.and(in_range),
        None => is_reply,
    };
    sorted.with_column(gap.alias(GAP)).filter(counts)
}

impl Params {
    /// The values of `--minutes`, sorted and unique.
    fn minutes(&self) -> Vec<i64> {
        let mut minutes = self.minutes.clone();
        minutes.sort_unstable();
        minutes.dedup();
        minutes
    }
}
