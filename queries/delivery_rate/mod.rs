//! How many sends arrive?
//!
//! One row for each group of `--by`, a day unless asked otherwise. Every deployment counts, once,
//! at the moment it was sent; one whose status is not known counts among the deployments and
//! nowhere else. Sent is not delivered: it was handed over, and no more is known. By tag, one whose
//! person has several tags counts under each, and one whose person has none under null.

use wabalake_data::Table;
use wabalake_data::tables::{audience_tags, deployments};

use crate::query::prelude::*;

/// See the [module](self) for the question it answers.
#[derive(Debug)]
pub struct DeliveryRate;

impl Grouped for DeliveryRate {
    const TABLE: &'static Table = &deployments::TABLE;
    const TAKES: &'static [Dimension] = &[
        Dimension::HalfHour,
        Dimension::Hour,
        Dimension::Day,
        Dimension::Week,
        Dimension::Month,
        Dimension::Conversation,
        Dimension::Country,
        Dimension::Tag,
    ];
    const DEFAULT: &'static [Dimension] = &[Dimension::Day];
}

/// What may be chosen.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    days: DayRange,
    #[command(flatten)]
    by: Dimensions<DeliveryRate>,
}

/// Sends.
pub const DEPLOYMENTS: &str = "deployments";
/// The people they went to.
pub const USERS: &str = "users";
/// Sends that arrived.
pub const DELIVERED: &str = "delivered";
/// Sends that left and have not arrived.
pub const SENT: &str = "sent";
/// Sends that failed.
pub const FAILED: &str = "failed";
/// Sends that have not left.
pub const IN_PROCESS: &str = "in_process";
/// Delivered, of all sends.
pub const DELIVERED_PCT: &str = "delivered_pct";
/// Delivered, of the sends that were delivered or failed.
pub const DELIVERED_OF_SETTLED_PCT: &str = "delivered_of_settled_pct";

impl Query for DeliveryRate {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "delivery-rate",
        title: "How many sends arrive",
        question: "How many sends arrive? Deployments by how far they came; one of an unknown \
                   status counts in deployments only. delivered_pct is of all of them, \
                   delivered_of_settled_pct of those that were delivered or failed.",
        reads: &[&deployments::TABLE, &audience_tags::TABLE],
        range: Range::Rows,
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
        example: "--from 2025-06-01 --to 2025-06-30 --by week,country",
        sql: include_str!("twin.sql"),
    };

    const INVALIDATION: &'static [(&'static Table, Invalidation)] =
        &[(&deployments::TABLE, Invalidation::Bucket)];

    fn by(params: &Params) -> Vec<OutputColumn> {
        params.by.columns()
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let deployments = params.days.scan(tables, &deployments::TABLE);
        let groups = params
            .by
            .of(deployments, tables)?
            .with_columns(params.by.expressions(params.days.timezone()))
            .group_by(params.by.names())
            .agg([
                rows().alias(DEPLOYMENTS),
                users().alias(USERS),
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
        params.by.bind(params.days.bind(Bindings::new()))
    }
}
