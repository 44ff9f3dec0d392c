//! How many messages were sent and delivered?
//!
//! Meta's `analytics`, worked out from the messages: one row for each bucket of time in which
//! there were any. A message counts once, in the bucket in which it was created, whenever it
//! arrived. Incoming ones count only where they are asked for, and then as sent and delivered.

use wabalake_data::tables::messages::{self, COUNTRY, CREATED_AT, LINE, MESSAGE_TYPE, WABA_ID};
use wabalake_data::tables::meta_points::{self, DELIVERED, PHONE_NUMBER, SENT};

use crate::query::days::Span;
use crate::query::meta::{self, BY_COUNTRY, BY_PHONE, BY_PRODUCT, PRODUCT_TYPE};
use crate::query::prelude::*;
use crate::query::{Envelope, meta::Points};

/// See the [module](self) for the question it answers.
#[derive(Clone, Debug)]
pub struct Analytics;

/// What may be chosen.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    points: Points<Analytics>,
}

impl meta::Field for Analytics {
    const NAME: &'static str = "analytics";
    const FILTERS: &'static [meta::Filter] = &[BY_PHONE, BY_COUNTRY, BY_PRODUCT];
    const MEASURES: &'static [OutputColumn] =
        &[OutputColumn::count(SENT), OutputColumn::count(DELIVERED)];
    const CHOOSES: bool = false;
}

impl Query for Analytics {
    type Params = Params;

    const META_FIELD: Option<&'static str> = Some(<Self as meta::Field>::NAME);

    const SPEC: Spec = Spec {
        name: "analytics",
        title: "Messages sent and delivered, as Meta counts them",
        question: "How many messages were sent and delivered? Meta's analytics, worked out: each \
                   message in the bucket in which it was created; start and end are seconds since \
                   1970. With --source meta, what Meta itself said.",
        reads: &[&messages::TABLE, &meta_points::TABLE],
        range: Range::Rows,
        columns: <Self as meta::Field>::MEASURES,
        key: &[],
        order: &[],
        example: "--fields analytics.start(1748736000).end(1751328000).granularity(DAY)",
        sql: include_str!("twin.sql"),
    };

    fn by(params: &Params) -> Vec<OutputColumn> {
        params.points.by()
    }

    fn columns(params: &Params) -> Vec<OutputColumn> {
        params.points.columns()
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        params.points.plan(tables, || Ok(units(tables, params.points.span())))
    }

    fn envelope(tables: &Tables, params: &Params) -> PolarsResult<Option<Envelope>> {
        params.points.envelope(tables, || Ok(units(tables, params.points.span()))).map(Some)
    }

    fn bind(params: &Params) -> Bindings {
        params.points.bind_lists(params.points.bind(Bindings::new()))
    }
}

/// The messages of a stretch of time, with what of each counts as sent and as delivered: with
/// `created_at`, a `waba_id` and the columns of all filters.
pub(crate) fn units(tables: &Tables, span: Span) -> LazyFrame {
    let product = when(outgoing().not())
        .then(lit("100"))
        .when(col(MESSAGE_TYPE).eq(lit("template")))
        .then(lit("0"))
        .otherwise(lit("2"));
    let count = |state: Expr| outgoing().not().or(state).cast(DataType::Int64);
    span.scan(tables, &messages::TABLE).select([
        col(CREATED_AT),
        col(WABA_ID),
        col(LINE).alias(PHONE_NUMBER),
        col(COUNTRY),
        product.alias(PRODUCT_TYPE),
        count(message_sent()).alias(SENT),
        count(message_delivered()).alias(DELIVERED),
    ])
}
