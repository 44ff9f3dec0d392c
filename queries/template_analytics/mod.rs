//! How do templates do, day by day?
//!
//! Meta's `template_analytics`, worked out from the messages: one row for each day and template of
//! which any message was sent. A template is known here by its name. A message counts once, on the
//! day on which it was created. Kaleyra tells of no clicks, so they are null; costs are those of
//! [`pricing-analytics`](crate::pricing_analytics).

use polars::prelude::{UnionArgs, concat};
use wabalake_data::tables::messages::{
    self, COUNTRY, CREATED_AT, LINE, MESSAGE_TYPE, TEMPLATE_NAME, WABA_ID,
};
use wabalake_data::tables::meta_points::{
    self, CLICKED, COST, DELIVERED, PHONE_NUMBER, READ, SENT, TEMPLATE_ID,
};
use wabalake_data::tables::rates;

use crate::query::days::Span;
use crate::query::meta::{self, BY_TEMPLATE, Points, Source};
use crate::query::prelude::*;
use crate::query::pricing::deliveries;
use crate::query::{Envelope, money};

/// See the [module](self) for the question it answers.
#[derive(Clone, Debug)]
pub struct TemplateAnalytics;

/// What may be chosen.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    points: Points<TemplateAnalytics>,
}

impl meta::Field for TemplateAnalytics {
    const NAME: &'static str = "template_analytics";
    const FILTERS: &'static [meta::Filter] = &[BY_TEMPLATE];
    const ALWAYS: &'static [OutputColumn] = &[OutputColumn::term(TEMPLATE_ID)];
    const MEASURES: &'static [OutputColumn] = &[
        OutputColumn::count(SENT),
        OutputColumn::count(DELIVERED),
        OutputColumn::count(READ),
        OutputColumn::count(CLICKED),
        OutputColumn::money(COST),
    ];
    const DAYS_ONLY: bool = true;
}

impl Query for TemplateAnalytics {
    type Params = Params;

    const META_FIELD: Option<&'static str> = Some(<Self as meta::Field>::NAME);

    const SPEC: Spec = Spec {
        name: "template-analytics",
        title: "How templates do day by day, as Meta counts them",
        question: "How do templates do, day by day? Meta's template analytics, worked out: each \
                   message on the day on which it was created; start and end are seconds since \
                   1970. With --source meta, what Meta itself said.",
        reads: &[&messages::TABLE, &rates::TABLE, &meta_points::TABLE],
        range: Range::History,
        columns: <Self as meta::Field>::MEASURES,
        key: &[],
        order: &[],
        example: "--fields template_analytics.start(2025-06-01).end(2025-07-01).granularity(DAILY)",
        sql: include_str!("twin.sql"),
    };

    fn by(params: &Params) -> Vec<OutputColumn> {
        params.points.by()
    }

    fn columns(params: &Params) -> Vec<OutputColumn> {
        params.points.columns()
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let Params { points } = params;
        let answer = points.plan(tables, || units(tables, points.span()))?;
        Ok(match points.source() {
            Source::Meta => answer,
            // Nobody tells of clicks; and of what did not arrive there is nothing to pay.
            Source::Lake => answer.with_columns([
                lit(Null {}).cast(DataType::Int64).alias(CLICKED),
                when(col(DELIVERED).gt(lit(0))).then(col(COST)).otherwise(lit(Null {})).alias(COST),
            ]),
        })
    }

    fn envelope(tables: &Tables, params: &Params) -> PolarsResult<Option<Envelope>> {
        params.points.envelope(tables, || units(tables, params.points.span())).map(Some)
    }

    fn bind(params: &Params) -> Bindings {
        params.points.bind(Bindings::new())
    }
}

/// What is counted of each template message, and beside it what each delivered one cost.
fn units(tables: &Tables, span: Span) -> PolarsResult<LazyFrame> {
    let is_template = || col(MESSAGE_TYPE).eq(lit("template"));
    let count = |state: Expr| state.cast(DataType::Int64);
    let unit = |counts: [Expr; 3]| {
        let [sent, delivered, read] = counts;
        let mut what = vec![
            col(CREATED_AT),
            col(WABA_ID),
            col(LINE).alias(PHONE_NUMBER),
            col(COUNTRY),
            col(TEMPLATE_NAME).alias(TEMPLATE_ID),
            count(sent).alias(SENT),
            count(delivered).alias(DELIVERED),
            count(read).alias(READ),
            lit(0_i64).alias(CLICKED),
        ];
        what.extend(money::CHARGES.map(col));
        what
    };
    let messages = span
        .scan(tables, &messages::TABLE)
        .filter(is_template())
        .with_columns(money::uncharged())
        .select(unit([message_sent(), message_delivered(), message_read()]));
    let charged =
        deliveries(tables, span)?.filter(is_template()).select(unit([lit(0), lit(0), lit(0)]));
    concat([messages, charged], UnionArgs::default())
}
