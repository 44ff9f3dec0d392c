//! How many replies would find their session closed for inactivity?
//!
//! One row per value of `--minutes`: the incoming messages that came more than that long after the
//! previous message. The previous message is the person's last one on the same line, incoming or
//! outgoing, anywhere in the lake; failed messages and people's reactions are ignored. Messages without a person are left out;
//! messages without a line form a line of their own. A person's first message on a line is no reply.

use polars::prelude::df;
use wabalake_data::tables::USER_KEY;
use wabalake_data::tables::messages::{self, CREATED_AT, LINE, WHATSAPP_ID};

use crate::kernels::gaps::{self, GAP, LONGEST_BEFORE};
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
const ASKED: &str = "asked";
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
        let mut counted = vec![rows().alias(REPLIES)];
        for n in &minutes {
            let limit = || lit(n * MINUTE);
            let is_longer = col(GAP).gt(limit());
            // A person counts once, with the first gap that is so long.
            let is_first = is_longer.clone().and(col(LONGEST_BEFORE).lt_eq(limit()));
            counted.push(rows_where(is_longer).alias(format!("replies_after_{n}")));
            counted.push(rows_where(is_first).alias(format!("users_{n}")));
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

/// Incoming messages of the range that follow another message, with the gap before them.
fn replies(tables: &Tables, params: &Params) -> LazyFrame {
    const BY: gaps::By = gaps::By { person: USER_KEY, line: LINE, at: CREATED_AT, id: WHATSAPP_ID };
    let counts = incoming_message().or(outgoing().and(message_failed().not()));
    let asked = match params.range.holds_instant(&col(CREATED_AT)) {
        Some(in_range) => outgoing().not().and(in_range),
        None => outgoing().not(),
    };
    let messages = tables
        .scan(&messages::TABLE)
        .filter(col(USER_KEY).is_not_null().and(counts))
        .select([col(USER_KEY), col(LINE), col(CREATED_AT), col(WHATSAPP_ID), asked.alias(ASKED)]);
    gaps::before(messages, BY, ASKED)
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
