//! How do the countries compare?
//!
//! One row per country of the people in deployments or inbound sessions; null if it is unknown. The
//! session of a delivered deployment is looked up in the whole lake, and counts once for each
//! deployment that names it. Its conversions and revenue count once per country. Inbound sessions are
//! those that started in the range and pass the filters that sessions have, too: country, tag,
//! conversation and version.
//!
//! `--cost` adds what the delivered deployments cost, each priced as a message of that category: `cost`,
//! `cost_currency`, `cost_per_reply` and `cost_per_conversion`. Their numbers in the month, on which prices may
//! depend, count deployments of the whole lake, whatever the range and the filters. A cost is null if a
//! deployment has no rate, or if rates are in several currencies.
//! `--cost matched` prices each as the delivered message that [`same-send`](crate::same_send) pairs it
//! with; without one it has no rate.

use polars::prelude::{NamedFrom, Series};
use wabalake_data::Table;
use wabalake_data::reference::countries;
use wabalake_data::tables::deployments::{self, COUNTRY};
use wabalake_data::tables::{audience_tags, conversions, markets, messages, rates, sessions};

use crate::query::billing::sends::{CostSql, SendCosts};
pub use crate::query::breakdown::{
    AVG_SESSION_SECONDS, CLICK_THROUGH_PCT, CONVERSION_PCT, CONVERTED_SESSIONS, DELIVERED,
    DELIVERED_PCT, DEPLOYMENTS, INBOUND_SESSIONS, REPLIED, REPLY_PCT, REVENUE, REVENUE_CURRENCY,
    SESSIONS_CREATED,
};
use crate::query::breakdown::{COSTS_PER, COUNTS_OF_DEPLOYMENTS, breakdown, counted_deployments};
use crate::query::prelude::*;
use crate::query::sql::SqlLiteral;

/// See the [module](self) for the question it answers.
#[derive(Debug)]
pub struct CountryBreakdown;

impl Filtered for CountryBreakdown {
    const TABLE: &'static Table = &deployments::TABLE;
    const FILTERS: &'static [Filter] = Filter::OF_DEPLOYMENTS;
}

/// The query's options.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    days: DayRange,
    #[command(flatten)]
    filters: Filters<CountryBreakdown>,
    #[command(flatten)]
    conversions: Conversions,
    #[command(flatten)]
    costs: SendCosts,
}

/// English name of the country.
pub const NAME: &str = "country_name";

impl Query for CountryBreakdown {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "country-breakdown",
        title: "How the countries compare",
        question: "How do the countries compare? Deployments by the person's country, the sessions, \
                   replies and conversions that followed, and inbound sessions.",
        reads: &[
            &deployments::TABLE,
            &sessions::TABLE,
            &audience_tags::TABLE,
            &conversions::TABLE,
            &rates::TABLE,
            &markets::TABLE,
            &messages::TABLE,
        ],
        range: Range::Rows(&deployments::TABLE),
        columns: &[
            OutputColumn::country(COUNTRY),
            OutputColumn::term(NAME),
            OutputColumn::count(DEPLOYMENTS),
            OutputColumn::count(DELIVERED),
            OutputColumn::pct(DELIVERED_PCT),
            OutputColumn::count(SESSIONS_CREATED),
            OutputColumn::pct(CLICK_THROUGH_PCT),
            OutputColumn::count(REPLIED),
            OutputColumn::pct(REPLY_PCT),
            OutputColumn::count(INBOUND_SESSIONS),
            OutputColumn::seconds(AVG_SESSION_SECONDS),
            OutputColumn::count(CONVERTED_SESSIONS),
            OutputColumn::pct(CONVERSION_PCT),
            OutputColumn::money(REVENUE),
            OutputColumn::term(REVENUE_CURRENCY),
        ],
        key: &[COUNTRY],
        order: &[Order::Descending(DEPLOYMENTS)],
        example: &["--from", "2025-06-01", "--to", "2025-06-30"],
        sql: include_str!("twin.sql"),
    };

    const BEHIND: Option<Behind<Self>> = Some(Behind {
        table: &deployments::TABLE,
        cells: &[COUNTRY],
        counts: COUNTS_OF_DEPLOYMENTS,
        id: &[deployments::CONVERSATION_ID, deployments::CONVERSATION_VERSION],
        rows: |tables, params| {
            let (days, filters, conversions) = (&params.days, &params.filters, &params.conversions);
            counted_deployments(days, filters, conversions, tables)
        },
        sql: include_str!("people.sql"),
    });

    fn resolve(params: &mut Params, defaults: &Defaults) -> Result<Timeframe, UsageError> {
        params.costs.resolve(defaults)?;
        params.days.resolve(defaults)
    }

    fn reads(params: &Params) -> Vec<&'static Table> {
        Self::SPEC.reads_for(&[&params.filters, &params.costs])
    }

    fn shape(params: &Params) -> Shape {
        let units = "SELECT country, cost, charged_in\nFROM sends";
        let costs = CostSql::of(&[], Self::SPEC.key, units, COSTS_PER);
        params.costs.shape(Shape::of(&Self::SPEC), &costs)
    }

    fn range(params: &Params) -> Range {
        params.costs.range(Self::SPEC.range)
    }

    fn invalidation(params: &Params, table: &Table) -> Vec<Invalidation> {
        params.costs.invalidation(table)
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        // Both tables have the column.
        let by_country = |rows, _: &Table| rows;
        let Params { days, filters, conversions, costs } = params;
        let countries = breakdown(COUNTRY, by_country, days, filters, conversions, costs, tables)?;
        let (codes, names): (Vec<_>, Vec<_>) = countries::all().unzip();
        let name = col(COUNTRY).replace_strict(
            lit(Series::new("code".into(), codes)),
            lit(Series::new(NAME.into(), names)),
            Some(lit(Null {})),
            Some(DataType::String),
        );
        Ok(countries.with_column(name.alias(NAME)))
    }

    fn bind(params: &Params) -> Bindings {
        let names = countries::all()
            .map(|(code, name)| format!("({}, {})", code.literal(), name.literal()))
            .collect::<Vec<_>>();
        let bindings = params.conversions.bind(params.days.bind(Bindings::new()));
        let bindings = params.filters.bind_table(params.filters.bind(bindings), &sessions::TABLE);
        let bindings = params.costs.bind(bindings, &params.filters);
        bindings.slot("countries", names.join(",\n        "))
    }
}
