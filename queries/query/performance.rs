//! How templates and campaigns did: what became of their messages, and which were answered.
//!
//! A message is answered by the person's first incoming message on the same line at or after the
//! moment it arrived, and not later than the window allows. Only what was delivered can be answered;
//! one reply may answer several messages. Messages without a line are on one of their own.
//!
//! ```text
//! arrived         delivered_at, else sent_at, else created_at
//! stretches       ├───── 72 h ─────┼───── 72 h ─────┤
//! message               ●──────────────►|
//! its reply is in this stretch, or in the next: no other is compared
//! ```

use clap::Args;
use polars::prelude::{
    DataType, Expr, JoinArgs, JoinType, LazyFrame, PolarsResult, UnionArgs, col, concat, lit,
};
use wabalake_data::tables::messages::{self, CREATED_AT, DELIVERED_AT, LINE, SENT_AT};
use wabalake_data::tables::{MESSAGE_KEY, USER_KEY};

use super::measures::{
    message_delivered, message_failed, message_read, message_sent, outgoing, quantile_seconds,
    rows, rows_where, share_pct,
};
use super::{Bindings, DayRange, OutputColumn, Tables};

const HOUR: i64 = 3_600_000_000;
const ARRIVED: &str = "arrived";
const WRITTEN: &str = "written";
const STRETCH: &str = "stretch";
const TOOK: &str = "took";

/// `--reply-window-hours`: how long after it arrived a message is answered at the latest.
#[derive(Args, Clone, Copy, Debug)]
pub struct ReplyWindow {
    /// How many hours after a message arrived a reply to it comes at most
    #[arg(
        long,
        value_name = "HOURS",
        default_value_t = 72,
        value_parser = clap::value_parser!(i64).range(0..=876_000)
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

/// The columns of the answer, the first of which names what is asked about.
pub const fn columns(of: &'static str) -> [OutputColumn; 11] {
    [
        OutputColumn::text(of),
        OutputColumn::count("created"),
        OutputColumn::count("failed"),
        OutputColumn::count("sent"),
        OutputColumn::count("delivered"),
        OutputColumn::count("read"),
        OutputColumn::pct("delivered_pct"),
        OutputColumn::pct("read_pct"),
        OutputColumn::count("replied"),
        OutputColumn::pct("reply_pct"),
        OutputColumn::seconds("median_reply_seconds"),
    ]
}

/// The outgoing messages of the range that `counts` lets pass, by a column of theirs.
///
/// # Errors
/// Those of building a plan.
pub fn plan(
    tables: &Tables,
    days: &DayRange,
    counts: Expr,
    of: &'static str,
    window: ReplyWindow,
) -> PolarsResult<LazyFrame> {
    let asked = days.scan(tables, &messages::TABLE).filter(counts);
    let counted = asked.clone().group_by([col(of)]).agg([
        rows().alias("created"),
        rows_where(message_failed()).alias("failed"),
        rows_where(message_sent()).alias("sent"),
        rows_where(message_delivered()).alias("delivered"),
        rows_where(message_read()).alias("read"),
    ]);
    let answered = first_replies(asked, tables, of, window)?
        .group_by([col(of)])
        .agg([rows().alias("replied"), quantile_seconds(TOOK, 0.5).alias("median_reply_seconds")]);

    let known = JoinArgs { nulls_equal: true, ..JoinArgs::new(JoinType::Left) };
    let all = counted
        .join(answered, [col(of)], [col(of)], known)
        .with_column(col("replied").fill_null(lit(0)));
    Ok(all.with_columns([
        share_pct(col("delivered"), col("created")).alias("delivered_pct"),
        share_pct(col("read"), col("delivered")).alias("read_pct"),
        share_pct(col("replied"), col("delivered")).alias("reply_pct"),
    ]))
}

/// The delivered messages that were answered, with how many microseconds the first reply took.
///
/// A reply within the window lies in the stretch of the window's length in which its message
/// arrived, or in the next one, so a person's messages of years do not all meet each other.
fn first_replies(
    asked: LazyFrame,
    tables: &Tables,
    of: &'static str,
    window: ReplyWindow,
) -> PolarsResult<LazyFrame> {
    let known_person = || col(USER_KEY).is_not_null();
    let stretch = |at: &str| col(at).floor_div(lit(window.micros().max(1)));
    let arrived = col(DELIVERED_AT).fill_null(col(SENT_AT)).fill_null(col(CREATED_AT));
    let delivered = asked
        .filter(message_delivered().and(known_person()))
        .select([
            col(of),
            col(MESSAGE_KEY),
            col(USER_KEY),
            col(LINE),
            arrived.cast(DataType::Int64).alias(ARRIVED),
        ])
        .with_column(stretch(ARRIVED).alias(STRETCH));
    let in_next = delivered.clone().with_column(col(STRETCH) + lit(1_i64));
    let awaiting = concat([delivered, in_next], UnionArgs::default())?;
    let written = tables
        .scan(&messages::TABLE)
        .filter(outgoing().not().and(known_person()))
        .select([col(USER_KEY), col(LINE), col(CREATED_AT).cast(DataType::Int64).alias(WRITTEN)])
        .with_column(stretch(WRITTEN).alias(STRETCH));

    let on = [col(USER_KEY), col(LINE), col(STRETCH)];
    let same_line = JoinArgs { nulls_equal: true, ..JoinArgs::new(JoinType::Inner) };
    let took = col(WRITTEN) - col(ARRIVED);
    Ok(awaiting
        .join(written, &on, &on, same_line)
        .select([col(of), col(MESSAGE_KEY), took.alias(TOOK)])
        .filter(col(TOOK).gt_eq(lit(0_i64)).and(col(TOOK).lt_eq(lit(window.micros()))))
        .group_by([col(of), col(MESSAGE_KEY)])
        .agg([col(TOOK).min()]))
}
