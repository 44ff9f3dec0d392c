//! Do the vendors' figures agree with ours?
//!
//! One row for each figure that a vendor reported, or that is worked out here where the vendor
//! reported others beside it: of Kaleyra's summaries for each date and account with a reported
//! row, of Meta's points for each bucket, as it stands there. What one side does not have is null,
//! and taken for 0.
//!
//! ```text
//! what              bucket      key                              metric   computed  reported
//! message-summary   2025-06-01  waba_id=1001; …; country=CO; …   sent     4         5
//! analytics         2025-06-01  waba_id=1001; granularity=DAY    sent     4         4
//! ```
//!
//! Figures are compared exactly, as whole millionths, so that a difference of exactly the tolerance
//! is within it.

mod points;
mod summaries;

use polars::prelude::{JoinCoalesce, UnionArgs, UnpivotArgsDSL, by_name, concat, concat_str};
use wabalake_data::tables::{message_summaries, messages, meta_points, rates, session_summaries};

use crate::query::Type;
use crate::query::conversations::FreeSessions;
use crate::query::measures::from_millionths;
use crate::query::money::{self, millionths};
use crate::query::prelude::*;

/// See the [module](self) for the question it answers.
pub struct Reconcile;

/// What may be chosen.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    days: DayRange,
    #[command(flatten)]
    waba: Only<filters::Waba>,
    #[command(flatten)]
    free_sessions: FreeSessions,
    /// By how much of the reported figure the computed one may differ, in percent
    #[arg(
        long,
        value_name = "PERCENT",
        default_value = "1",
        value_parser = read_tolerance,
        allow_negative_numbers = true
    )]
    tolerance_pct: f64,
}

fn read_tolerance(text: &str) -> Result<f64, String> {
    let read = text.trim().parse::<f64>().ok();
    let read = read.filter(|percent| percent.is_finite() && *percent >= 0.0);
    read.ok_or_else(|| "not a share\n  hint: write it as a number of percent, such as 1".to_owned())
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
        title: "Whether the vendors' figures agree with those worked out here",
        question: "Do the vendors' figures agree with ours? Kaleyra's summaries and Meta's points \
                   beside the same figures worked out from the messages, for the days, accounts \
                   and buckets that were reported. What one side lacks counts 0.",
        reads: &[
            &messages::TABLE,
            &message_summaries::TABLE,
            &session_summaries::TABLE,
            &meta_points::TABLE,
            &rates::TABLE,
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
        example: "--tolerance-pct 5 --from 2025-06-01 --to 2025-06-30 --timezone America/Bogota",
        sql: include_str!("twin.sql"),
    };

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let compared = concat(
            [
                summaries::messages(tables, params),
                summaries::sessions(tables, params)?,
                points::analytics(tables, params),
                points::conversation_analytics(tables, params)?,
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
            ]))
    }

    fn bind(params: &Params) -> Bindings {
        let bindings = params.days.bind_dates(Bindings::new());
        let bindings = params.free_sessions.bind(params.waba.bind(bindings));
        bindings
            // Conversations and deliveries of any time, since a bucket may reach out of the range.
            .instant("from_at", None)
            .instant("until_at", None)
            .slot("tolerance", format!("CAST('{:?}' AS DOUBLE)", params.tolerance_pct))
    }
}

/// One side: a row for each bucket, key and metric, its value exactly in a column of that name.
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

/// Both sides put together.
fn beside(what: &'static str, computed: LazyFrame, reported: LazyFrame) -> LazyFrame {
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

/// `name=value` of columns, joined; a null is empty.
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

/// A sum of what is told; null where nothing is.
fn told_sum(column: &str) -> Expr {
    when(col(column).count().gt(lit(0))).then(money::sum(column)).otherwise(lit(Null {}))
}
