//! How many deployments reach each step, from the send to a conversion?
//!
//! Five rows per group of `--by`, or five in all without it. A step counts the deployments that passed it
//! and every step before, so counts never rise: a failed deployment counts as deployed only, even if it
//! was answered. A session counts if the deployment names it; its start is known if it is in the lake.
//! By tag, a deployment counts under each tag of its person.
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
//!
//! `--cost` adds what the delivered deployments cost, each priced as a message of that category, to the rows
//! of the step deployed: `cost`, `cost_currency`, and `cost_per_reply` and `cost_per_conversion`, which are for
//! each deployment that passed the steps replied and converted. Numbers in the month, on which prices may
//! depend, count deployments of the whole lake, whatever the range and the filters. A cost is null if a
//! deployment has no rate, or if rates are in several currencies.
//! `--cost matched` prices each as the delivered message that [`same-send`](crate::same_send) pairs it
//! with; without one it has no rate.

use polars::prelude::df;
use wabalake_data::Table;
use wabalake_data::tables::conversions::{self, CONVERTED_AT};
use wabalake_data::tables::deployments::{
    self, DEPLOYMENT_DELIVERED_TIMESTAMP, DEPLOYMENT_TIMESTAMP, USER_RESPONDED_TIMESTAMP,
};
use wabalake_data::tables::sessions::{self, SESSION_STARTED_TIMESTAMP};
use wabalake_data::tables::{SESSION_KEY, audience_tags, markets, messages, rates};

use crate::kernels::matched::matched;
use crate::query::behind::{DEPLOYMENT_ID, deployment_id};
use crate::query::billing::money::COST;
use crate::query::billing::sends::{
    COST_CURRENCY, COST_PER_CONVERSION, COST_PER_REPLY, CostSql, SENDS, SendCosts, with_costs,
};
use crate::query::prelude::*;

/// See the [module](self) for the question it answers.
#[derive(Debug)]
pub struct Funnel;

impl Filtered for Funnel {
    const TABLE: &'static Table = &deployments::TABLE;
    const FILTERS: &'static [Filter] = Filter::OF_DEPLOYMENTS;
}

impl Grouped for Funnel {
    const TAKES: &'static [Dimension] = &[
        Dimension::Conversation,
        Dimension::Country,
        Dimension::Day,
        Dimension::Week,
        Dimension::Month,
        Dimension::Tag,
    ];
}

/// The query's options.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    days: DayRange,
    #[command(flatten)]
    filters: Filters<Funnel>,
    #[command(flatten)]
    by: Dimensions<Funnel>,
    #[command(flatten)]
    conversions: Conversions,
    #[command(flatten)]
    costs: SendCosts,
}

/// The steps, each with its timestamp.
const STEPS: [(&str, &str); 5] = [
    ("deployed", DEPLOYMENT_TIMESTAMP),
    ("delivered", DEPLOYMENT_DELIVERED_TIMESTAMP),
    ("session", SESSION_STARTED_TIMESTAMP),
    ("replied", USER_RESPONDED_TIMESTAMP),
    ("converted", CONVERTED_AT),
];

/// The places of the steps that a cost is divided by.
const REPLIED: usize = 3;
const CONVERTED: usize = 4;

/// The names of the steps.
const NAMES: [&str; STEPS.len()] = [STEPS[0].0, STEPS[1].0, STEPS[2].0, STEPS[3].0, STEPS[4].0];

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
        reads: &[
            &deployments::TABLE,
            &sessions::TABLE,
            &conversions::TABLE,
            &audience_tags::TABLE,
            &rates::TABLE,
            &markets::TABLE,
            &messages::TABLE,
        ],
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

    const BEHIND: Option<Behind<Self>> = Some(Behind {
        table: &deployments::TABLE,
        cells: &[],
        counts: &NAMES,
        id: DEPLOYMENT_ID,
        rows: |tables, params| {
            let steps = NAMES.iter().enumerate().map(|(step, name)| passed(step).alias(*name));
            let steps: Vec<Expr> = steps.collect();
            let deployments = with_conversions(in_range(tables, params), tables, params)?;
            Ok(deployments.with_columns(deployment_id()).with_columns(steps))
        },
        sql: include_str!("people.sql"),
    });

    fn resolve(params: &mut Params, defaults: &Defaults) -> Result<Timeframe, UsageError> {
        params.costs.resolve(defaults)?;
        params.days.resolve(defaults)
    }

    fn reads(params: &Params) -> Vec<&'static Table> {
        Self::SPEC.reads_for(&[&params.filters, &params.by, &params.costs])
    }

    fn by(params: &Params) -> Vec<OutputColumn> {
        params.by.columns()
    }

    fn shape(params: &Params) -> Shape {
        let by: Vec<&'static str> = params.by.columns().iter().map(|column| column.name).collect();
        let of_group: Vec<String> = by.iter().map(|name| format!("here.{name}")).collect();
        let of_group = of_group.join(", ");
        let partition =
            if by.is_empty() { String::new() } else { format!("PARTITION BY {of_group}") };
        let of_step = |step: usize| {
            let is_that = format!("here.step = {}", step + 1);
            format!("max(CASE WHEN {is_that} THEN here.deployments END) OVER ({partition})")
        };
        let (replied, converted) = (of_step(REPLIED), of_step(CONVERTED));
        let per = vec![(COST_PER_REPLY, replied), (COST_PER_CONVERSION, converted)];
        let costs = CostSql { by, units: SENDS, rows: "here.step = 1", per };
        params.costs.shape(Shape::of(&Self::SPEC), &costs)
    }

    fn range(params: &Params) -> Range {
        params.costs.range(Self::SPEC.range)
    }

    fn invalidation(params: &Params, table: &Table) -> Vec<Invalidation> {
        params.costs.invalidation(table)
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let steps = df!["place" => [0_i32, 1, 2, 3, 4], "step_name" => NAMES]?.lazy();
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
        let mut columns = vec![
            (col("place") + lit(1)).alias(STEP),
            of_step(&count).alias(DEPLOYMENTS),
            of_step(&|step| share_pct(count(step), count(0))).alias("pct_of_first"),
            of_step(&previous).alias("pct_of_previous"),
            of_step(&median).alias(MEDIAN),
        ];
        if params.costs.are_asked() {
            let is_first = || col("place").eq(lit(0));
            columns.extend(
                [COST, COST_CURRENCY, COST_PER_REPLY, COST_PER_CONVERSION].map(|name| {
                    when(is_first()).then(col(name)).otherwise(lit(Null {})).alias(name)
                }),
            );
        }
        let groups = with_costs_asked(counted(tables, params)?, tables, params)?;
        Ok(groups.cross_join(steps, None).with_columns(columns))
    }

    fn bind(params: &Params) -> Bindings {
        let split = !params.by.names().is_empty();
        let bindings = params.by.bind(params.days.bind(Bindings::new()));
        let bindings = params.filters.bind(params.conversions.bind(bindings));
        params.costs.bind(bindings.boolean("split", split), &params.filters)
    }
}

/// One row per group of `--by`: for each step, how many deployments passed it and the median seconds
/// since the step before.
fn counted(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
    const OWN: [&str; 5] = [
        DELIVERED,
        SESSION_KEY,
        DEPLOYMENT_TIMESTAMP,
        DEPLOYMENT_DELIVERED_TIMESTAMP,
        USER_RESPONDED_TIMESTAMP,
    ];
    let deployments = params.by.split(in_range(tables, params), tables, params.days.timezone());
    let deployments = deployments.select([params.by.names(), OWN.map(col).to_vec()].concat());
    let started = tables.scan(&sessions::TABLE);
    let deployments = matched(deployments, started, SESSION_KEY, &[SESSION_STARTED_TIMESTAMP])?;
    let converted = params.conversions.by_session(tables)?;
    let deployments = matched(deployments, converted, SESSION_KEY, &[CONVERTED_AT])?;
    let mut columns = params.by.names();
    let mut counts = Vec::new();
    for step in 0..STEPS.len() {
        let before = STEPS[step.saturating_sub(1)].1;
        let took = elapsed(before, STEPS[step].1);
        let took = when(passed(step)).then(took).otherwise(lit(Null {}));
        columns.extend([passed(step).alias(passed_by(step)), took.alias(took_by(step))]);
        counts.extend([
            rows_where(col(passed_by(step))).alias(passed_by(step)),
            quantile_seconds(&took_by(step), 0.5).alias(took_by(step)),
        ]);
    }
    let by = params.by.names();
    let passing = deployments.select(columns);
    Ok(if by.is_empty() { passing.select(counts) } else { passing.group_by(by).agg(counts) })
}

/// Adds to groups what their delivered deployments cost, if that is asked for.
fn with_costs_asked(
    groups: LazyFrame,
    tables: &Tables,
    params: &Params,
) -> PolarsResult<LazyFrame> {
    let Some(sends) = params.costs.sends(tables, &params.days)? else { return Ok(groups) };
    let sends = params.filters.of(sends, tables);
    let sends = params.by.split(sends, tables, params.days.timezone());
    let (replied, converted) = (passed_by(REPLIED), passed_by(CONVERTED));
    let per = [(COST_PER_REPLY, replied.as_str()), (COST_PER_CONVERSION, converted.as_str())];
    Ok(with_costs(groups, sends, &params.by.names(), &per))
}

/// The deployments that count, with the mark [`DELIVERED`]: a join copies no texts of statuses.
fn in_range(tables: &Tables, params: &Params) -> LazyFrame {
    let deployments = params.filters.of(params.days.scan(tables, &deployments::TABLE), tables);
    deployments.with_column(delivery_is("Delivered").alias(DELIVERED))
}

/// Adds the first conversion of the session, and splits the deployments by `--by`.
fn with_conversions(
    deployments: LazyFrame,
    tables: &Tables,
    params: &Params,
) -> PolarsResult<LazyFrame> {
    let converted = params.conversions.by_session(tables)?;
    let deployments = look_up(deployments, converted, SESSION_KEY);
    Ok(params.by.split(deployments, tables, params.days.timezone()))
}

/// Predicate: a deployment passed a step and every step before.
fn passed(step: usize) -> Expr {
    let conditions = [
        lit(true),
        col(DELIVERED),
        col(SESSION_KEY).is_not_null(),
        answered(),
        col(CONVERTED_AT).is_not_null(),
    ];
    conditions.into_iter().take(step + 1).fold(lit(true), Expr::and)
}

fn passed_by(step: usize) -> String {
    format!("passed_{step}")
}

fn took_by(step: usize) -> String {
    format!("took_{step}")
}
