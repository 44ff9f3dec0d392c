//! How do templates perform, day by day?
//!
//! Meta's `template_analytics`, computed from the messages: one row per day and template with messages.
//! Templates are identified by name. A message counts once, on the day of its creation. As in Meta's
//! answer, days begin in UTC unless `--use-waba-timezone true` asks for the reporting time zone. Kaleyra
//! does not report clicks, so they are null. Costs are those of
//! [`pricing-analytics`](crate::pricing_analytics).
//!
//! With `--source meta`, clicks are added over the buttons of a template. `unique_clicked` counts people
//! instead: it is null if Meta reports it for several buttons or several products, because the same
//! people may be in each. Of a template's points in a day, those of a product type hide those without.

use chrono_tz::Tz;
use polars::prelude::{UnionArgs, concat};
use wabalake_data::Table;
use wabalake_data::tables::messages::{
    self, COUNTRY, CREATED_AT, LINE, MESSAGE_TYPE, TEMPLATE_NAME, WABA_ID,
};
use wabalake_data::tables::meta_points::{
    self, CLICKED, COST, DELIVERED, PHONE_NUMBER, READ, SENT, TEMPLATE_ID, UNIQUE_CLICKED,
};
use wabalake_data::tables::{markets, rates, sessions};

use crate::query::billing::money;
use crate::query::billing::pricing;
use crate::query::billing::rules::PricingOptions;
use crate::query::meta::{
    BY_TEMPLATE, BY_TEMPLATE_PRODUCT, Field, Filter, MetaShape, Points, PointsSource,
};
use crate::query::monthly;
use crate::query::prelude::*;
use crate::query::time::Span;

/// See the [module](self) for the question it answers.
#[derive(Clone, Debug)]
pub struct TemplateAnalytics;

/// The query's options.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    points: Points<TemplateAnalytics>,
    #[command(flatten)]
    pricing: PricingOptions,
}

impl Params {
    /// The sums of points: those of messages, which cost nothing, and the costs of delivered ones.
    fn sums(&self, tables: &Tables) -> PolarsResult<LazyFrame> {
        let points = self.points.clone();
        let costs = monthly::count_deliveries(
            tables,
            self.points.span(),
            self.pricing,
            move |units, _| {
                let templates = units.filter(is_template());
                Ok(points.summed(templates.select(unit([lit(0), lit(0), lit(0)]))))
            },
        )?;
        let sums = [self.points.summed(messages(tables, self.points.span())), costs];
        Ok(self.points.summed_again(concat(sums, UnionArgs::default())?))
    }
}

impl Field for TemplateAnalytics {
    const NAME: &'static str = "template_analytics";
    const FILTERS: &'static [Filter] = &[BY_TEMPLATE, BY_TEMPLATE_PRODUCT];
    const ALWAYS: &'static [OutputColumn] = &[OutputColumn::term(TEMPLATE_ID)];
    const MEASURES: &'static [OutputColumn] = &[
        OutputColumn::count(SENT),
        OutputColumn::count(DELIVERED),
        OutputColumn::count(READ),
        OutputColumn::count(CLICKED),
        OutputColumn::count(UNIQUE_CLICKED),
        OutputColumn::money(COST),
    ];
    const DAYS_ONLY: bool = true;
    const DAYS_IN_UTC: bool = true;
    const REFINED_BY: Option<&'static Filter> = Some(&BY_TEMPLATE_PRODUCT);
}

impl Query for TemplateAnalytics {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "template-analytics",
        title: "How templates perform day by day, as Meta counts them",
        question: "How do templates perform, day by day? Meta's template analytics, computed from \
                   the lake: each message counts on the day of its creation; start and end are \
                   seconds since 1970. With --source meta, the points that Meta reported.",
        reads: &[
            &messages::TABLE,
            &rates::TABLE,
            &markets::TABLE,
            &meta_points::TABLE,
            &sessions::TABLE,
        ],
        range: Range::History,
        columns: <Self as Field>::MEASURES,
        key: &[],
        order: &[],
        example: &[
            "--fields",
            "template_analytics.start(2025-06-01).end(2025-07-01).granularity(DAILY)",
        ],
        sql: include_str!("twin.sql"),
    };

    const META: Option<MetaShape<Self>> = Some(MetaShape {
        field: <Self as Field>::NAME,
        columns: |params| params.points.columns(),
        envelope: |tables, params| {
            params.points.envelope(tables, || Ok(messages(tables, params.points.span())))
        },
    });

    fn resolve(params: &mut Params, defaults: &Defaults) -> Result<Timeframe, UsageError> {
        params.pricing.resolve(defaults)?;
        params.points.resolve(defaults)
    }

    fn reads(params: &Params) -> Vec<&'static Table> {
        Self::SPEC.reads_for(&[&params.pricing])
    }

    fn invalidation(params: &Params, table: &Table) -> Vec<Invalidation> {
        params.points.invalidation(table, || pricing::invalidation(&params.pricing))
    }

    fn buckets(params: &Params, _zone: Tz) -> Option<AnswerBuckets> {
        params.points.buckets()
    }

    fn by(params: &Params) -> Vec<OutputColumn> {
        params.points.by()
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let answer = params.points.plan_of_sums(tables, || params.sums(tables))?;
        Ok(match params.points.source() {
            PointsSource::Meta => answer,
            // Clicks are unknown, and a template of which nothing was delivered has no cost.
            PointsSource::Lake => answer.with_columns([
                lit(Null {}).cast(DataType::Int64).alias(CLICKED),
                lit(Null {}).cast(DataType::Int64).alias(UNIQUE_CLICKED),
                when(col(DELIVERED).gt(lit(0))).then(col(COST)).otherwise(lit(Null {})).alias(COST),
            ]),
        })
    }

    fn bind(params: &Params) -> Bindings {
        params.pricing.bind(params.points.bind(Bindings::new()))
    }
}

/// Each template message with its counts and no cost.
fn messages(tables: &Tables, span: Span) -> LazyFrame {
    span.scan(tables, &messages::TABLE)
        .filter(is_template())
        .with_columns(money::uncharged())
        .select(unit([message_sent(), message_delivered(), message_read()]))
}

fn is_template() -> Expr {
    col(MESSAGE_TYPE).eq(lit("template"))
}

/// The columns of a message that is summed, with what it counts as sent, delivered and read.
fn unit(counts: [Expr; 3]) -> Vec<Expr> {
    let [sent, delivered, read] = counts.map(|count| count.cast(DataType::Int64));
    // Polars takes a literal of any integer type for an Int32.
    let none = || lit(0).cast(DataType::Int64);
    let mut columns = vec![
        col(CREATED_AT),
        col(WABA_ID),
        col(LINE).alias(PHONE_NUMBER),
        col(COUNTRY),
        col(TEMPLATE_NAME).alias(TEMPLATE_ID),
        sent.alias(SENT),
        delivered.alias(DELIVERED),
        read.alias(READ),
        none().alias(CLICKED),
        none().alias(UNIQUE_CLICKED),
    ];
    columns.extend(money::CHARGES.map(col));
    columns
}
