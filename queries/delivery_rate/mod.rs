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

impl Query for DeliveryRate {
    type Params = Params;

    const CARD: Card = Card {
        name: "delivery-rate",
        title: "How many sends arrive",
        question: "How many sends arrive? Deployments by how far they came; one of an unknown \
                   status counts in deployments only. delivered_pct is of all of them, \
                   delivered_of_settled_pct of those that were delivered or failed.",
        reads: &[&deployments::TABLE, &audience_tags::TABLE],
        range: Range::Rows,
        columns: &[
            OutputColumn::count("deployments"),
            OutputColumn::count("users"),
            OutputColumn::count("delivered"),
            OutputColumn::count("sent"),
            OutputColumn::count("failed"),
            OutputColumn::count("in_process"),
            OutputColumn::pct("delivered_pct"),
            OutputColumn::pct("delivered_of_settled_pct"),
        ],
        key: &[],
        order: &[],
        example: "--from 2025-06-01 --to 2025-06-30 --by week,country",
        sql: include_str!("twin.sql"),
    };

    const REACH: &'static [(&'static Table, Reach)] = &[(&deployments::TABLE, Reach::Bucket)];

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
                rows().alias("deployments"),
                users().alias("users"),
                rows_where(delivery_is("Delivered")).alias("delivered"),
                rows_where(delivery_is("Sent")).alias("sent"),
                rows_where(delivery_is("Failed")).alias("failed"),
                rows_where(delivery_is("In Process")).alias("in_process"),
            ]);

        let settled = col("delivered") + col("failed");
        Ok(groups.with_columns([
            share_pct(col("delivered"), col("deployments")).alias("delivered_pct"),
            share_pct(col("delivered"), settled).alias("delivered_of_settled_pct"),
        ]))
    }

    fn bind(params: &Params) -> Bindings {
        params.by.bind(params.days.bind(Bindings::new()))
    }
}
