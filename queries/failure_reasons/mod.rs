//! Why do deployments fail?
//!
//! One row per state and status detail of the failed deployments. Details of deployments that did not
//! fail are no reasons, and are left out. With `--by`, shares are of the group.

use wabalake_data::Table;
use wabalake_data::tables::audience_tags;
use wabalake_data::tables::deployments::{self, STATE, STATUS_DETAIL};

use crate::query::behind::{DEPLOYMENT_ID, deployment_id};
use crate::query::failures;
use crate::query::prelude::*;

/// See the [module](self) for the question it answers.
#[derive(Debug)]
pub struct FailureReasons;

impl Filtered for FailureReasons {
    const TABLE: &'static Table = &deployments::TABLE;
    const FILTERS: &'static [Filter] = Filter::OF_DEPLOYMENTS;
}

impl Grouped for FailureReasons {
    const TIMES: &'static [Dimension] = Dimension::TIMES;
    const TAKES: &'static [Dimension] =
        &[Dimension::Conversation, Dimension::Country, Dimension::Tag];
}

/// The query's options.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    days: DayRange,
    #[command(flatten)]
    filters: Filters<FailureReasons>,
    #[command(flatten)]
    by: Dimensions<FailureReasons>,
}

/// Failed deployments.
pub const DEPLOYMENTS: &str = "deployments";
/// People they were meant for.
pub const USERS: &str = "users";
/// Share of the failed deployments.
pub const SHARE_OF_FAILURES_PCT: &str = "share_of_failures_pct";
/// Share of all deployments.
pub const SHARE_OF_DEPLOYMENTS_PCT: &str = "share_of_deployments_pct";
/// What can be done about it.
pub const ADVICE: &str = "advice";

impl Query for FailureReasons {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "failure-reasons",
        title: "Why deployments fail",
        question: "Why do deployments fail, and what can be done? Failed deployments by state and \
                   detail; shares are of the failed ones, and of all, within the dimensions of `--by`.",
        reads: &[&deployments::TABLE, &audience_tags::TABLE],
        range: Range::Rows(&deployments::TABLE),
        columns: &[
            OutputColumn::word(STATE),
            OutputColumn::term(STATUS_DETAIL),
            OutputColumn::count(DEPLOYMENTS),
            OutputColumn::count(USERS),
            OutputColumn::pct(SHARE_OF_FAILURES_PCT),
            OutputColumn::pct(SHARE_OF_DEPLOYMENTS_PCT),
            OutputColumn::term(ADVICE),
        ],
        key: &[STATE, STATUS_DETAIL],
        order: &[Order::Descending(DEPLOYMENTS)],
        example: &["--from", "2025-06-01", "--to", "2025-06-30"],
        sql: include_str!("twin.sql"),
    };

    const BEHIND: Option<Behind<Self>> = Some(Behind {
        table: &deployments::TABLE,
        cells: &[STATE, STATUS_DETAIL],
        counts: &[DEPLOYMENTS],
        id: DEPLOYMENT_ID,
        rows: |tables, params| {
            let failed = in_range(tables, params).filter(delivery_is("Failed"));
            let split = params.by.split(failed, tables, params.days.timezone());
            Ok(split.with_columns(deployment_id()).with_column(lit(true).alias(DEPLOYMENTS)))
        },
        sql: include_str!("people.sql"),
    });

    fn resolve(params: &mut Params, defaults: &Defaults) -> Result<Timeframe, UsageError> {
        params.days.resolve(defaults)
    }

    fn reads(params: &Params) -> Vec<&'static Table> {
        Self::SPEC.reads_for(&[&params.filters, &params.by])
    }

    fn by(params: &Params) -> Vec<OutputColumn> {
        params.by.columns()
    }

    fn invalidation(params: &Params, table: &Table) -> Vec<Invalidation> {
        if *table == deployments::TABLE {
            return vec![Invalidation::OWN_BUCKET];
        }
        [params.by.invalidation_by_tags(), params.filters.invalidation_by_tags()].concat()
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        const FAILED: &str = "failed";
        let failed = || delivery_is("Failed");
        // Deployments that did not fail make one group more of each split, for the share of all.
        let of_failed = |column: &str| when(failed()).then(col(column)).otherwise(lit(Null {}));
        let deployments = in_range(tables, params).with_columns([
            failed().fill_null(lit(false)).alias(FAILED),
            of_failed(STATE).alias(STATE),
            of_failed(STATUS_DETAIL).alias(STATUS_DETAIL),
        ]);
        let split = || params.by.names_with(&[]);
        let of_split = |sum: Expr| match split() {
            none if none.is_empty() => Ok(sum),
            split => sum.over(split),
        };
        let reasons = params
            .by
            .group_with(
                deployments,
                &[FAILED, STATE, STATUS_DETAIL],
                tables,
                params.days.timezone(),
            )
            .users_where(USERS, col(FAILED))
            .agg([rows().alias(DEPLOYMENTS)]);
        let failures = when(col(FAILED)).then(col(DEPLOYMENTS)).otherwise(lit(0)).sum();
        Ok(reasons
            .with_columns([
                of_split(col(DEPLOYMENTS).sum())?.alias("all"),
                of_split(failures)?.alias("failures"),
            ])
            .filter(col(FAILED))
            .with_columns([
                share_pct(col(DEPLOYMENTS), col("failures")).alias(SHARE_OF_FAILURES_PCT),
                share_pct(col(DEPLOYMENTS), col("all")).alias(SHARE_OF_DEPLOYMENTS_PCT),
                failures::advice(STATE).alias(ADVICE),
            ]))
    }

    fn bind(params: &Params) -> Bindings {
        let bindings = params.by.bind(params.days.bind(Bindings::new()));
        params.filters.bind(bindings).slot("advice", failures::advice_sql())
    }
}

/// The deployments that count.
fn in_range(tables: &Tables, params: &Params) -> LazyFrame {
    params.filters.of(params.days.scan(tables, &deployments::TABLE), tables)
}
