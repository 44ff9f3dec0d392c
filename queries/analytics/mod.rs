//! How many messages were sent and delivered?
//!
//! Meta's `analytics`, computed from the messages: one row per time bucket that has messages. A
//! message counts once, in the bucket of its creation, whenever it was delivered. Incoming messages
//! count only if `--product-types` includes 100, and then as sent and as delivered.

use chrono_tz::Tz;
use wabalake_data::Table;
use wabalake_data::tables::{messages, meta_points};

use crate::query::meta::{BY_PRODUCT, Field, MetaShape, Points, units};
use crate::query::prelude::*;

/// See the [module](self) for the question it answers.
pub struct Analytics;

/// The query's options.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    points: Points<units::Analytics>,
}

impl Params {
    fn units(&self, tables: &Tables) -> LazyFrame {
        units::messages(tables, self.points.span(), self.points.allowed(&BY_PRODUCT))
    }
}

impl Query for Analytics {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "analytics",
        title: "Messages sent and delivered, as Meta counts them",
        question: "How many messages were sent and delivered? Meta's analytics, computed from the \
                   lake: each message counts in the bucket of its creation; start and end are \
                   seconds since 1970. With --source meta, the points that Meta reported.",
        reads: &[&messages::TABLE, &meta_points::TABLE],
        range: Range::Rows(&messages::TABLE),
        columns: units::Analytics::MEASURES,
        key: &[],
        order: &[],
        example: &["--fields", "analytics.start(1748736000).end(1751328000).granularity(DAY)"],
        sql: include_str!("twin.sql"),
    };

    const META: Option<MetaShape<Self>> = Some(MetaShape {
        field: units::Analytics::NAME,
        columns: |params| params.points.columns(),
        envelope: |tables, params| params.points.envelope(tables, || Ok(params.units(tables))),
    });

    fn resolve(params: &mut Params, defaults: &Defaults) -> Result<Timeframe, UsageError> {
        params.points.resolve(defaults)
    }

    fn invalidation(params: &Params, table: &Table) -> Vec<Invalidation> {
        params.points.invalidation(table, || vec![Invalidation::OWN_BUCKET])
    }

    fn buckets(params: &Params, _zone: Tz) -> Option<AnswerBuckets> {
        params.points.buckets()
    }

    fn by(params: &Params) -> Vec<OutputColumn> {
        params.points.by()
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        params.points.plan(tables, || Ok(params.units(tables)))
    }

    fn bind(params: &Params) -> Bindings {
        params.points.bind_lists(params.points.bind(Bindings::new()))
    }
}
