//! Which campaigns are delivered, read and answered?
//!
//! One row per campaign with outgoing messages created in the range, of any type. Messages without a
//! campaign are left out. A reply may come after the range; [`performance`] defines replies.
//!
//! `--cost` adds what the delivered messages cost, with the prices of
//! [`pricing-analytics`](crate::pricing_analytics): `cost`, `cost_currency` and `cost_per_reply`. A cost is null
//! if a message has no rate, or if rates are in several currencies.

use wabalake_data::Table;
use wabalake_data::tables::messages::{self, CAMPAIGN_ID, WHATSAPP_ID};
use wabalake_data::tables::{audience_tags, markets, rates, sessions};

use crate::query::billing::sends::{CostSql, MessageCosts};
use crate::query::performance::{self, COSTS_PER, ReplyWindow};
use crate::query::prelude::*;

/// See the [module](self) for the question it answers.
#[derive(Clone, Debug)]
pub struct CampaignPerformance;

impl Filtered for CampaignPerformance {
    const TABLE: &'static Table = &messages::TABLE;
    const FILTERS: &'static [Filter] = Filter::OF_MESSAGES;
}

impl Grouped for CampaignPerformance {
    const TAKES: &'static [Dimension] = &[
        Dimension::HalfHour,
        Dimension::Hour,
        Dimension::Day,
        Dimension::Week,
        Dimension::Month,
        Dimension::Country,
        Dimension::Line,
        Dimension::Tag,
        Dimension::Waba,
        Dimension::Template,
        Dimension::Ref,
        Dimension::MessageSource,
        Dimension::Format,
    ];
}

/// The query's options.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    days: DayRange,
    #[command(flatten)]
    filters: Filters<CampaignPerformance>,
    #[command(flatten)]
    by: Dimensions<CampaignPerformance>,
    #[command(flatten)]
    window: ReplyWindow,
    #[command(flatten)]
    costs: MessageCosts,
}

/// The messages that count and were delivered, with their cost.
const UNITS: &str = "SELECT {by_then}campaign_id, cost, charged_in
FROM {messages}
{tagged}
INNER JOIN (
    SELECT whatsapp_id AS priced_id, cost, charged_in
    FROM deliveries
) AS priced ON priced_id = whatsapp_id
WHERE message_direction = 'outgoing' AND campaign_id IS NOT NULL";

impl Query for CampaignPerformance {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "campaign-performance",
        title: "Which campaigns are delivered, read and answered",
        question: "Which campaigns are delivered, read and answered? Outgoing messages of campaigns, \
                   by their creation; the reply is the person's first message on the same line \
                   within the window.",
        reads: &[
            &messages::TABLE,
            &audience_tags::TABLE,
            &rates::TABLE,
            &markets::TABLE,
            &sessions::TABLE,
        ],
        // A reply may come on any later day.
        range: Range::History,
        columns: &performance::columns(CAMPAIGN_ID),
        key: &[CAMPAIGN_ID],
        order: &[Order::Descending(performance::CREATED)],
        example: &["--from", "2025-06-01", "--to", "2025-06-30", "--reply-window-hours", "24"],
        sql: include_str!("twin.sql"),
    };

    const BEHIND: Option<Behind<Self>> = Some(Behind {
        table: &messages::TABLE,
        cells: &[CAMPAIGN_ID],
        counts: performance::COUNTS,
        id: &[WHATSAPP_ID],
        rows: |tables, params| {
            let (asked, zone) = (asked(tables, params), params.days.timezone());
            performance::counted(tables, asked, &params.by, zone, params.window)
        },
        sql: include_str!("people.sql"),
    });

    fn resolve(params: &mut Params, defaults: &Defaults) -> Result<Timeframe, UsageError> {
        params.costs.resolve(defaults)?;
        params.days.resolve(defaults)
    }

    fn shape(params: &Params) -> Shape {
        let costs = CostSql::of(&params.by.columns(), Self::SPEC.key, UNITS, COSTS_PER);
        params.costs.shape(Shape::of(&Self::SPEC), &costs)
    }

    fn invalidation(params: &Params, table: &Table) -> Vec<Invalidation> {
        params.costs.invalidation(table)
    }

    fn by(params: &Params) -> Vec<OutputColumn> {
        params.by.columns()
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let (asked, zone) = (asked(tables, params), params.days.timezone());
        let (by, window) = (&params.by, params.window);
        let answer = performance::plan(tables, asked, by, zone, CAMPAIGN_ID, window)?;
        let (filters, by) = (params.filters.clone(), by.clone());
        let priced = move |tables: &Tables| {
            let messages = filters.of(tables.scan(&messages::TABLE), tables).filter(counts());
            by.split(messages, tables, zone)
        };
        let group = params.by.names_with(&[CAMPAIGN_ID]);
        params.costs.added_to(answer, group, COSTS_PER, priced, &params.days, tables)
    }

    fn bind(params: &Params) -> Bindings {
        let bindings = params.by.bind(params.days.bind(Bindings::new()));
        params.costs.bind(params.window.bind(params.filters.bind(bindings)))
    }
}

/// The messages that count.
fn asked(tables: &Tables, params: &Params) -> LazyFrame {
    let messages = params.days.scan(tables, &messages::TABLE);
    params.filters.of(messages, tables).filter(counts())
}

/// Predicate: a message counts.
fn counts() -> Expr {
    outgoing().and(col(CAMPAIGN_ID).is_not_null())
}
