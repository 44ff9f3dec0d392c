//! How many deployments are delivered?
//!
//! One row per group of `--by`, by default a day. Every deployment counts once, at the time of the
//! send. One of unknown status counts only in `deployments`. Sent means handed over to WhatsApp, with
//! no news of its delivery. By tag, a deployment counts under each tag of its person, or under null.

use wabalake_data::Table;
use wabalake_data::tables::{audience_tags, deployments};

use crate::query::behind::{DEPLOYMENT_ID, deployment_id};
use crate::query::prelude::*;

/// See the [module](self) for the question it answers.
#[derive(Debug)]
pub struct DeliveryRate;

impl Filtered for DeliveryRate {
    const TABLE: &'static Table = &deployments::TABLE;
    const FILTERS: &'static [Filter] = Filter::OF_DEPLOYMENTS;
}

impl Grouped for DeliveryRate {
    const TIMES: &'static [Dimension] = Dimension::TIMES;
    const TAKES: &'static [Dimension] =
        &[Dimension::Conversation, Dimension::Country, Dimension::Tag, Dimension::State];
    const DEFAULT: &'static [Dimension] = &[Dimension::Day];
}

/// The query's options.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    days: DayRange,
    #[command(flatten)]
    filters: Filters<DeliveryRate>,
    #[command(flatten)]
    by: Dimensions<DeliveryRate>,
}

/// Deployments.
pub const DEPLOYMENTS: &str = "deployments";
/// People they were sent to.
pub const USERS: &str = "users";
/// Deployments that were delivered.
pub const DELIVERED: &str = "delivered";
/// Deployments that were sent and not delivered so far.
pub const SENT: &str = "sent";
/// Deployments that failed.
pub const FAILED: &str = "failed";
/// Deployments that are not sent yet.
pub const IN_PROCESS: &str = "in_process";
/// Share of all deployments that were delivered.
pub const DELIVERED_PCT: &str = "delivered_pct";
/// Share of the delivered and failed deployments that were delivered.
pub const DELIVERED_OF_SETTLED_PCT: &str = "delivered_of_settled_pct";

impl Query for DeliveryRate {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "delivery-rate",
        title: "How many deployments are delivered",
        question: "How many deployments are delivered? Deployments by their delivery status; one of \
                   unknown status counts in deployments only. delivered_pct is the share of all \
                   deployments, delivered_of_settled_pct of those that were delivered or failed.",
        reads: &[&deployments::TABLE, &audience_tags::TABLE],
        range: Range::Rows(&deployments::TABLE),
        columns: &[
            OutputColumn::count(DEPLOYMENTS),
            OutputColumn::count(USERS),
            OutputColumn::count(DELIVERED),
            OutputColumn::count(SENT),
            OutputColumn::count(FAILED),
            OutputColumn::count(IN_PROCESS),
            OutputColumn::pct(DELIVERED_PCT),
            OutputColumn::pct(DELIVERED_OF_SETTLED_PCT),
        ],
        key: &[],
        order: &[],
        example: &["--from", "2025-06-01", "--to", "2025-06-30", "--by", "week,country"],
        sql: include_str!("twin.sql"),
    };

    const BEHIND: Option<Behind<Self>> = Some(Behind {
        table: &deployments::TABLE,
        cells: &[],
        counts: &[DEPLOYMENTS, DELIVERED, SENT, FAILED, IN_PROCESS],
        id: DEPLOYMENT_ID,
        rows: |tables, params| {
            let split = params.by.split(in_range(tables, params), tables, params.days.timezone());
            Ok(split.with_columns(deployment_id()).with_columns([
                lit(true).alias(DEPLOYMENTS),
                delivery_is("Delivered").alias(DELIVERED),
                delivery_is("Sent").alias(SENT),
                delivery_is("Failed").alias(FAILED),
                delivery_is("In Process").alias(IN_PROCESS),
            ]))
        },
        sql: include_str!("people.sql"),
    });

    fn resolve(params: &mut Params, defaults: &Defaults) -> Result<Timeframe, UsageError> {
        params.days.resolve(defaults)
    }

    fn reads(params: &Params) -> Vec<&'static Table> {
        Self::SPEC.reads_for(&[&params.filters, &params.by])
    }

    fn invalidation(params: &Params, table: &Table) -> Vec<Invalidation> {
        if *table == deployments::TABLE {
            return vec![Invalidation::OWN_BUCKET];
        }
        [params.by.invalidation_by_tags(), params.filters.invalidation_by_tags()].concat()
    }

    fn by(params: &Params) -> Vec<OutputColumn> {
        params.by.columns()
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let deployments = in_range(tables, params);
        let groups =
            params.by.group(deployments, tables, params.days.timezone()).users(USERS).agg([
                rows().alias(DEPLOYMENTS),
                rows_where(delivery_is("Delivered")).alias(DELIVERED),
                rows_where(delivery_is("Sent")).alias(SENT),
                rows_where(delivery_is("Failed")).alias(FAILED),
                rows_where(delivery_is("In Process")).alias(IN_PROCESS),
            ]);

        let settled = col(DELIVERED) + col(FAILED);
        Ok(groups.with_columns([
            share_pct(col(DELIVERED), col(DEPLOYMENTS)).alias(DELIVERED_PCT),
            share_pct(col(DELIVERED), settled).alias(DELIVERED_OF_SETTLED_PCT),
        ]))
    }

    fn bind(params: &Params) -> Bindings {
        params.filters.bind(params.by.bind(params.days.bind(Bindings::new())))
    }
}

/// The deployments that count.
fn in_range(tables: &Tables, params: &Params) -> LazyFrame {
    params.filters.of(params.days.scan(tables, &deployments::TABLE), tables)
}
