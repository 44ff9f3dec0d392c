//! Do repeated templates hurt?
//!
//! Four rows: deployments to people to whom 0, 1, 2, or 3 and more were sent shortly before and not
//! answered when this one was. Those before are of any conversation and of any day, even before
//! `--from`; one that failed does not count, nor one sent at the very same instant. A deployment
//! without a phone is sent to nobody and left out.
//!
//! ```text
//! sent        09:00      10:00 Failed      12:00                14:00
//! answered                                       13:00
//! before it   0          1                 1                    1, the first: 12:00 is answered
//! ```

use polars::prelude::{UnionArgs, UniqueKeepStrategy, concat, df};
use wabalake_data::tables::USER_KEY;
use wabalake_data::tables::deployments::{
    self, DELIVERY_STATUS, DEPLOYMENT_TIMESTAMP, STATE, USER_RESPONDED_TIMESTAMP,
};

use crate::query::prelude::*;

/// See the [module](self) for the question it answers.
pub struct ContactFrequency;

/// What may be chosen.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    days: DayRange,

    /// How many hours before a deployment an earlier one was sent at most
    #[arg(
        long,
        value_name = "HOURS",
        default_value_t = 24,
        value_parser = clap::value_parser!(i64).range(1..=24 * 36_500)
    )]
    window_hours: i64,
}

const HOUR: i64 = 3_600_000_000;
const UNANSWERED: &str = "unanswered_before";
const SENT: &str = "sent";
const SENT_BEFORE: &str = "sent_before";
const ANSWERED_BEFORE: &str = "answered_before";
const SLOT: &str = "slot";

/// Three stands for more, too.
const MOST: i64 = 3;

impl Query for ContactFrequency {
    type Params = Params;

    const CARD: Card = Card {
        name: "contact-frequency",
        title: "Whether repeated templates hurt",
        question: "Do repeated templates hurt? Deployments by how many others were sent to the \
                   same person shortly before, did not fail and were not answered by then; 3 is \
                   three or more.",
        reads: &[&deployments::TABLE],
        // Those before lie outside the range.
        range: Range::History,
        columns: &[
            OutputColumn::count(UNANSWERED),
            OutputColumn::count("deployments"),
            OutputColumn::count("users"),
            OutputColumn::count("delivered"),
            OutputColumn::pct("delivered_pct"),
            OutputColumn::count("frequency_capped"),
            OutputColumn::pct("frequency_capped_pct"),
            OutputColumn::count("replied"),
            OutputColumn::pct("reply_pct"),
        ],
        key: &[UNANSWERED],
        order: &[],
        chart: Some(Chart::Bars { x: UNANSWERED, y: "delivered_pct" }),
        engine: Engine::Streaming,
        example: "--from 2025-06-01 --to 2025-06-30 --window-hours 72",
        sql: include_str!("twin.sql"),
    };

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let window = params.window_hours * HOUR;
        let micros = |stamp| col(stamp).cast(DataType::Int64);
        let somebody = || col(USER_KEY).is_not_null();
        let deployments = params
            .days
            .scan(tables, &deployments::TABLE)
            .filter(somebody())
            .with_column(micros(DEPLOYMENT_TIMESTAMP).alias(SENT));

        // Time is cut into slots as wide as the window: all that was sent within the window before
        // a moment is in the moment's slot or in the one before, so only those need meet.
        let slot = |at: &str| col(at).floor_div(lit(window));
        let before = params
            .days
            .scan_back(tables, &deployments::TABLE, window)
            .filter(somebody().and(col(DELIVERY_STATUS).neq(lit("Failed"))))
            .select([
                col(USER_KEY),
                micros(DEPLOYMENT_TIMESTAMP).alias(SENT_BEFORE),
                micros(USER_RESPONDED_TIMESTAMP).alias(ANSWERED_BEFORE),
            ])
            .with_column(slot(SENT_BEFORE).alias(SLOT));
        let in_both =
            concat([before.clone(), before.with_column(col(SLOT) + lit(1))], UnionArgs::default())?;

        // How many there were depends on the person and the moment alone.
        let moments = deployments
            .clone()
            .select([col(USER_KEY), col(SENT), slot(SENT).alias(SLOT)])
            .unique(None, UniqueKeepStrategy::Any);
        let earlier =
            col(SENT_BEFORE).lt(col(SENT)).and(col(SENT_BEFORE).gt_eq(col(SENT) - lit(window)));
        let open = col(ANSWERED_BEFORE).is_null().or(col(ANSWERED_BEFORE).gt(col(SENT)));
        let (who_and_slot, moment) = ([col(USER_KEY), col(SLOT)], [col(USER_KEY), col(SENT)]);
        let unanswered = moments
            .join(in_both, &who_and_slot, &who_and_slot, JoinArgs::new(JoinType::Inner))
            .filter(earlier.and(open))
            .group_by(&moment)
            .agg([rows().cast(DataType::Int64).alias(UNANSWERED)]);

        let at_most =
            |count: Expr| when(count.clone().lt(lit(MOST))).then(count).otherwise(lit(MOST));
        let counts = ["deployments", "users", "delivered", "frequency_capped", "replied"];
        let met = deployments
            .join(unanswered, &moment, &moment, JoinArgs::new(JoinType::Left))
            .with_column(at_most(col(UNANSWERED).fill_null(lit(0_i64))).alias(UNANSWERED))
            .group_by([col(UNANSWERED)])
            .agg([
                rows().alias("deployments"),
                users().alias("users"),
                rows_where(delivery_is("Delivered")).alias("delivered"),
                rows_where(col(STATE).eq(lit("frequency_capped"))).alias("frequency_capped"),
                rows_where(delivery_is("Delivered").and(answered())).alias("replied"),
            ]);
        let (on, all) = ([col(UNANSWERED)], df![UNANSWERED => [0, 1, 2, MOST]]?.lazy());
        let all = all
            .join(met, &on, &on, JoinArgs::new(JoinType::Left))
            .with_columns(counts.map(|count| col(count).fill_null(lit(0))));
        Ok(all.with_columns([
            share_pct(col("delivered"), col("deployments")).alias("delivered_pct"),
            share_pct(col("frequency_capped"), col("deployments")).alias("frequency_capped_pct"),
            share_pct(col("replied"), col("delivered")).alias("reply_pct"),
        ]))
    }

    fn bind(params: &Params) -> Bindings {
        params.days.bind(Bindings::new()).integer("window_hours", params.window_hours)
    }
}
