//! How many deployments reach each step, from the send to a conversion?
//!
//! Five rows per group of `--by`, or five in all without it. A step counts the deployments that passed it
//! and every step before, so counts never rise: a failed deployment counts as deployed only, even if it
//! was answered. A session counts if the deployment names it; its start is known if it is in the lake.
//!
//! ```text
//! step        passed by deployments      at
//! deployed    all                        deployment_timestamp
//! delivered   that are Delivered         deployment_delivered_timestamp
//! session     that name a session        the session's start
//! replied     that were answered         user_responded_timestamp
//! converted   whose session converted    its first conversion
//! ```
//!
//! The duration of a step is known if it and the step before have timestamps in order.

use polars::prelude::df;
use wabalake_data::Table;
use wabalake_data::tables::SESSION_KEY;
use wabalake_data::tables::conversions::{self, CONVERTED_AT};
use wabalake_data::tables::deployments::{
    self, DEPLOYMENT_DELIVERED_TIMESTAMP, DEPLOYMENT_TIMESTAMP, USER_RESPONDED_TIMESTAMP,
};
use wabalake_data::tables::sessions::{self, SESSION_STARTED_TIMESTAMP};

use crate::query::prelude::*;

/// See the [module](self) for the question it answers.
#[derive(Debug)]
pub struct Funnel;

impl Grouped for Funnel {
    const TABLE: &'static Table = &deployments::TABLE;
    const TAKES: &'static [Dimension] = &[Dimension::Conversation, Dimension::Country];
    const DEFAULT: &'static [Dimension] = &[];
}

/// The query's options.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    days: DayRange,
    #[command(flatten)]
    by: Dimensions<Funnel>,
    #[command(flatten)]
    conversions: Conversions,
}

/// The steps, each with its timestamp.
const STEPS: [(&str, &str); 5] = [
    ("deployed", DEPLOYMENT_TIMESTAMP),
    ("delivered", DEPLOYMENT_DELIVERED_TIMESTAMP),
    ("session", SESSION_STARTED_TIMESTAMP),
    ("replied", USER_RESPONDED_TIMESTAMP),
    ("converted", CONVERTED_AT),
];

/// `true` for a deployment that was delivered.
const DELIVERED: &str = "is_delivered";
const STEP: &str = "step";
const DEPLOYMENTS: &str = "deployments";
const MEDIAN: &str = "median_seconds_from_previous";

impl Query for Funnel {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "funnel",
        title: "Deployments by the steps that they reach",
        question: "How many deployments reach each step, from the send to a conversion? Deployments \
                   that were delivered, led to a session, were answered and converted; each step \
                   counts those that passed all steps before.",
        reads: &[&deployments::TABLE, &sessions::TABLE, &conversions::TABLE],
        range: Range::Rows(&deployments::TABLE),
        columns: &[
            OutputColumn::count(STEP),
            OutputColumn::word("step_name"),
            OutputColumn::count(DEPLOYMENTS),
            OutputColumn::pct("pct_of_first"),
            OutputColumn::pct("pct_of_previous"),
            OutputColumn::seconds(MEDIAN),
        ],
        key: &[STEP],
        order: &[],
        example: &["--from", "2025-06-01", "--to", "2025-06-30", "--by", "country"],
        sql: include_str!("twin.sql"),
    };

    fn resolve(params: &mut Params, defaults: &Defaults) -> Result<Timeframe, UsageError> {
        params.days.resolve(defaults)
    }

    fn by(params: &Params) -> Vec<OutputColumn> {
        params.by.columns()
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let names: Vec<&str> = STEPS.iter().map(|(name, _)| *name).collect();
        let steps = df!["place" => [0_i32, 1, 2, 3, 4], "step_name" => names]?.lazy();
        let of_step = |value: &dyn Fn(usize) -> Expr| {
            (0..STEPS.len()).rev().fold(lit(Null {}), |others, step| {
                let is_that = col("place").eq(lit(i32::try_from(step).unwrap_or(i32::MAX)));
                when(is_that).then(value(step)).otherwise(others)
            })
        };
        let count = |step: usize| col(passed_by(step));
        let previous = |step: usize| match step {
            0 => lit(Null {}).cast(DataType::Float64),
            step => share_pct(count(step), count(step - 1)),
        };
        let median = |step: usize| match step {
            0 => lit(Null {}).cast(DataType::Float64),
            step => col(took_by(step)),
        };
        Ok(counted(tables, params)?.cross_join(steps, None).with_columns([
            (col("place") + lit(1)).alias(STEP),
            of_step(&count).alias(DEPLOYMENTS),
            of_step(&|step| share_pct(count(step), count(0))).alias("pct_of_first"),
            of_step(&previous).alias("pct_of_previous"),
            of_step(&median).alias(MEDIAN),
        ]))
    }

    fn bind(params: &Params) -> Bindings {
        let split = !params.by.names().is_empty();
        let bindings = params.by.bind(params.days.bind(Bindings::new()));
        params.conversions.bind(bindings).boolean("split", split)
    }
}

/// One row per group of `--by`: for each step, how many deployments passed it and the median seconds
/// since the step before.
fn counted(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
    let started =
        tables.scan(&sessions::TABLE).select([col(SESSION_KEY), col(SESSION_STARTED_TIMESTAMP)]);
    let converted = params.conversions.by_session(tables)?;
    // A join copies no texts of statuses.
    let delivered = delivery_is("Delivered").alias(DELIVERED);
    let deployments = params.days.scan(tables, &deployments::TABLE).with_column(delivered);
    let deployments = look_up(deployments, started, SESSION_KEY);
    let deployments = look_up(deployments, converted, SESSION_KEY);

    let conditions = [
        lit(true),
        col(DELIVERED),
        col(SESSION_KEY).is_not_null(),
        answered(),
        col(CONVERTED_AT).is_not_null(),
    ];
    let mut columns = params.by.expressions(params.days.timezone());
    let mut counts = Vec::new();
    for step in 0..STEPS.len() {
        let passed = conditions[..=step].iter().cloned().fold(lit(true), Expr::and);
        let before = STEPS[step.saturating_sub(1)].1;
        let took = elapsed(before, STEPS[step].1);
        let took = when(passed.clone()).then(took).otherwise(lit(Null {}));
        columns.extend([passed.alias(passed_by(step)), took.alias(took_by(step))]);
        counts.extend([
            rows_where(col(passed_by(step))).alias(passed_by(step)),
            quantile_seconds(&took_by(step), 0.5).alias(took_by(step)),
        ]);
    }
    let by = params.by.names();
    let passing = deployments.select(columns);
    Ok(if by.is_empty() { passing.select(counts) } else { passing.group_by(by).agg(counts) })
}

fn passed_by(step: usize) -> String {
    format!("passed_{step}")
}

fn took_by(step: usize) -> String {
    format!("took_{step}")
}
