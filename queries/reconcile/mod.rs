//! Do the numbers that vendors report agree with those computed from the lake?
//!
//! One row per number that a vendor reported, or that is computed from the lake for the same date and
//! account (Kaleyra's summaries) or the same bucket (Meta's points). A number that one side lacks is
//! null, and counts as 0.
//!
//! ```text
//! what              bucket      key                              metric   computed  reported
//! message-summary   2025-06-01  waba_id=1001; …; country=CO; …   sent     4         5
//! analytics         2025-06-01  waba_id=1001; granularity=DAY    sent     4         4
//! ```
//!
//! Numbers are compared as whole millionths, so that a difference of exactly the tolerance is within it.

mod points;
mod summaries;

use polars::prelude::{
    Field, JoinCoalesce, Schema, UnionArgs, UnpivotArgsDSL, by_name, concat, concat_lf_diagonal,
    concat_str,
};
use wabalake_data::tables::{
    instant, markets, message_summaries, messages, meta_points, rates, session_summaries, sessions,
};
use wabalake_data::{Invalid, Table};

use crate::kernels::{collected, node};
use crate::query::Type;
use crate::query::billing::conversations::FreeSessions;
use crate::query::billing::money::{self, millionths};
use crate::query::billing::rules::PricingOptions;
use crate::query::measures::from_millionths;
use crate::query::monthly;
use crate::query::prelude::*;

/// See the [module](self) for the question it answers.
pub struct Reconcile;

/// The query's options.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    days: DayRange,
    #[command(flatten)]
    waba: Only<filters::Waba>,
    #[command(flatten)]
    free_sessions: FreeSessions,
    #[command(flatten)]
    pricing: PricingOptions,
    /// Tolerated difference between the computed and the reported number, in percent of the latter
    #[arg(
        long,
        value_name = "PERCENT",
        default_value = "1",
        value_parser = read_tolerance,
        allow_negative_numbers = true
    )]
    tolerance_pct: f64,
}

fn read_tolerance(text: &str) -> Result<f64, Invalid> {
    let read = text.trim().parse::<f64>().ok();
    let read = read.filter(|percent| percent.is_finite() && *percent >= 0.0);
    read.ok_or_else(|| {
        Invalid::new("not a share").hint("write it as a number of percent, such as 1")
    })
}

const WHAT: &str = "what";
const BUCKET: &str = "bucket";
const KEY: &str = "key";
const METRIC: &str = "metric";
const COMPUTED: &str = "computed";
const REPORTED: &str = "reported";
const DIFFERENCE: &str = "difference";
const DIFFERENCE_PCT: &str = "difference_pct";
const WITHIN_TOLERANCE: &str = "within_tolerance";

impl Query for Reconcile {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "reconcile",
        title: "Numbers that vendors report, compared with the lake's",
        question: "Do the numbers that vendors report agree with those computed from the lake? \
                   Kaleyra's summaries and Meta's points, compared with the messages of the same \
                   days, accounts and buckets. A number that one side lacks counts as 0.",
        reads: &[
            &messages::TABLE,
            &message_summaries::TABLE,
            &session_summaries::TABLE,
            &meta_points::TABLE,
            &rates::TABLE,
            &markets::TABLE,
            &sessions::TABLE,
        ],
        range: Range::History,
        columns: &[
            OutputColumn::term(WHAT),
            OutputColumn::instant(BUCKET),
            OutputColumn::term(KEY),
            OutputColumn::term(METRIC),
            OutputColumn::number(COMPUTED),
            OutputColumn::number(REPORTED),
            OutputColumn::number(DIFFERENCE),
            OutputColumn::pct(DIFFERENCE_PCT),
            OutputColumn::boolean(WITHIN_TOLERANCE),
        ],
        key: &[WHAT, BUCKET, KEY, METRIC],
        order: &[],
        example: &[
            "--tolerance-pct",
            "5",
            "--from",
            "2025-06-01",
            "--to",
            "2025-06-30",
            "--timezone",
            "America/Bogota",
        ],
        sql: include_str!("twin.sql"),
    };

    fn resolve(params: &mut Params, defaults: &Defaults) -> Result<Timeframe, UsageError> {
        params.pricing.resolve(defaults)?;
        params.days.resolve(defaults)
    }

    fn reads(params: &Params) -> Vec<&'static Table> {
        Self::SPEC.reads_for(&[&params.pricing])
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let compared = concat(
            [
                summaries::messages(tables, params),
                conversations(tables, params)?,
                points::analytics(tables, params),
                points::pricing_analytics(tables, params)?,
            ],
            UnionArgs::default(),
        )?;
        let nothing = || lit(0).cast(Type::Money.data_type());
        let or_nothing = |side: &str| col(side).fill_null(nothing());
        let difference = || or_nothing(COMPUTED) - or_nothing(REPORTED);
        let size = |figure: Expr| millionths(figure).abs();
        let allowed = size(or_nothing(REPORTED)) * lit(params.tolerance_pct);
        Ok(compared
            .filter(col(COMPUTED).is_not_null().or(col(REPORTED).is_not_null()))
            .with_columns([
                from_millionths(millionths(col(COMPUTED))).alias(COMPUTED),
                from_millionths(millionths(col(REPORTED))).alias(REPORTED),
                from_millionths(millionths(difference())).alias(DIFFERENCE),
                share_pct(millionths(difference()), millionths(col(REPORTED)))
                    .alias(DIFFERENCE_PCT),
                (size(difference()) * lit(100.0)).lt_eq(allowed).alias(WITHIN_TOLERANCE),
            ])
            // A scan that reports share keeps all messages for those that begin later.
            .with_comm_subplan_elim(false))
    }

    fn bind(params: &Params) -> Bindings {
        let bindings = params.days.bind_dates(Bindings::new());
        let bindings = params.free_sessions.bind(params.waba.bind(bindings));
        let bindings = params.pricing.bind(bindings);
        bindings
            // All conversations and deliveries, because a bucket may extend beyond the range.
            .instant("from_at", None)
            .instant("until_at", None)
            .slot("tolerance", format!("CAST('{:?}' AS DOUBLE)", params.tolerance_pct))
    }
}

/// `session-summary` and `conversation-analytics`, for which conversations are priced once.
fn conversations(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
    const COUNTED_FOR: &str = "counted_for";
    const SESSIONS: &str = "sessions";
    const POINTS: &str = "points";
    let sessions = summaries::Sessions::of(tables, params);
    let points = points::ConversationPoints::of(tables, params);
    let of_part = (sessions.clone(), points.clone());
    let counts = monthly::count_conversations(
        tables,
        points::ever(params),
        params.free_sessions,
        move |conversations, tables| {
            let counted = |counts: LazyFrame, of: &'static str| {
                counts.with_column(lit(of).alias(COUNTED_FOR))
            };
            let both = [
                counted(of_part.0.counted(conversations.clone()), SESSIONS),
                counted(of_part.1.counted(conversations, tables), POINTS),
            ];
            concat_lf_diagonal(both, UnionArgs::default())
        },
    )?;
    // Both compare the same counts, which are few.
    let days = params.days;
    let name = format!("counts of conversations compared: {days:?}");
    Ok(node(counts, name, schema(), move |counts| {
        let of = |what: &'static str| counts.clone().lazy().filter(col(COUNTED_FOR).eq(lit(what)));
        let both = [sessions.compared(of(SESSIONS), days), points.compared(of(POINTS))];
        let both = concat(both, UnionArgs::default())?;
        collected(both)
    }))
}

/// The columns of [`compare`].
fn schema() -> Schema {
    let fields = [
        (WHAT, DataType::String),
        (BUCKET, instant()),
        (KEY, DataType::String),
        (METRIC, DataType::String),
        (COMPUTED, Type::Money.data_type()),
        (REPORTED, Type::Money.data_type()),
    ];
    fields.map(|(name, of)| Field::new(name.into(), of)).into_iter().collect()
}

/// One side of the comparison: a row per bucket, key and metric, with the exact value.
fn side(figures: LazyFrame, metrics: &[&str], value: &str) -> LazyFrame {
    let mut what = vec![col(BUCKET), col(KEY)];
    what.extend(metrics.iter().map(|metric| col(*metric).cast(Type::Money.data_type())));
    figures.select(what).unpivot(UnpivotArgsDSL {
        on: Some(by_name(metrics.iter().copied(), true, false)),
        index: by_name([BUCKET, KEY], true, false),
        variable_name: Some(METRIC.into()),
        value_name: Some(value.into()),
    })
}

/// The full join of both sides.
fn compare(what: &'static str, computed: LazyFrame, reported: LazyFrame) -> LazyFrame {
    let on = [col(BUCKET), col(KEY), col(METRIC)];
    let all = JoinArgs { coalesce: JoinCoalesce::CoalesceColumns, ..JoinArgs::new(JoinType::Full) };
    computed.join(reported, &on, &on, all).select([
        lit(what).alias(WHAT),
        col(BUCKET),
        col(KEY),
        col(METRIC),
        col(COMPUTED),
        col(REPORTED),
    ])
}

/// The texts `name=value` of columns, joined by `; `. A null is an empty value.
fn key_of(columns: &[&str]) -> Expr {
    let parts = columns.iter().enumerate().flat_map(|(at, column)| {
        let parting = if at == 0 { "" } else { "; " };
        [lit(format!("{parting}{column}=")), text_or_nothing(column)]
    });
    concat_str(parts.collect::<Vec<_>>(), "", false)
}

fn text_or_nothing(column: &str) -> Expr {
    col(column).cast(DataType::String).fill_null(lit(""))
}

/// The sum of a column; null if all values are null.
fn sum_or_null(column: &str) -> Expr {
    when(col(column).count().gt(lit(0))).then(money::sum(column)).otherwise(lit(Null {}))
}
