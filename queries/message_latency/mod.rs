//! How long do messages take to be sent, delivered and seen?
//!
//! One row per group of `--by`, by default a day, with outgoing messages, failed ones included. A step
//! is measured if both of its timestamps are set and in order; its seconds are null if no message has
//! both.
//!
//! ```text
//! created_at ─ sent_… ─► sent_at ─ delivered_… ─► delivered_at ─ seen_… ─► seen_at
//! ```

use wabalake_data::Table;
use wabalake_data::tables::audience_tags;
use wabalake_data::tables::messages::{
    self, CREATED_AT, DELIVERED_AT, SEEN_AT, SENT_AT, WHATSAPP_ID,
};

use crate::query::prelude::*;

/// See the [module](self) for the question it answers.
#[derive(Debug)]
pub struct MessageLatency;

impl Filtered for MessageLatency {
    const TABLE: &'static Table = &messages::TABLE;
    const FILTERS: &'static [Filter] = Filter::OF_MESSAGES;
}

impl Grouped for MessageLatency {
    const TAKES: &'static [Dimension] = &[
        Dimension::Day,
        Dimension::Country,
        Dimension::Template,
        Dimension::Line,
        Dimension::HalfHour,
        Dimension::Hour,
        Dimension::Week,
        Dimension::Month,
        Dimension::Tag,
        Dimension::Waba,
        Dimension::Campaign,
        Dimension::Ref,
        Dimension::MessageSource,
        Dimension::Format,
    ];
    const DEFAULT: &'static [Dimension] = &[Dimension::Day];
}

/// The query's options.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    days: DayRange,
    #[command(flatten)]
    filters: Filters<MessageLatency>,
    #[command(flatten)]
    by: Dimensions<MessageLatency>,
}

const MESSAGES: &str = "messages";
const TO_SENT: &str = "to_sent";
const TO_DELIVERED: &str = "to_delivered";
const TO_SEEN: &str = "to_seen";

impl Query for MessageLatency {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "message-latency",
        title: "How long messages take",
        question: "How long do messages take to be sent, delivered and seen? Outgoing messages by \
                   their creation, failed ones included; each step where both of its timestamps \
                   are set.",
        reads: &[&messages::TABLE, &audience_tags::TABLE],
        range: Range::Rows(&messages::TABLE),
        columns: &[
            OutputColumn::count(MESSAGES),
            OutputColumn::seconds("sent_p50_seconds"),
            OutputColumn::seconds("sent_p90_seconds"),
            OutputColumn::seconds("sent_p99_seconds"),
            OutputColumn::seconds("delivered_p50_seconds"),
            OutputColumn::seconds("delivered_p90_seconds"),
            OutputColumn::seconds("delivered_p99_seconds"),
            OutputColumn::seconds("seen_p50_seconds"),
            OutputColumn::seconds("seen_p90_seconds"),
            OutputColumn::seconds("seen_p99_seconds"),
        ],
        key: &[],
        order: &[],
        example: &["--by", "day,template", "--from", "2025-06-01", "--to", "2025-06-30"],
        sql: include_str!("twin.sql"),
    };

    const BEHIND: Option<Behind<Self>> = Some(Behind {
        table: &messages::TABLE,
        cells: &[],
        counts: &[MESSAGES],
        id: &[WHATSAPP_ID],
        rows: |tables, params| {
            let split = params.by.split(in_range(tables, params), tables, params.days.timezone());
            Ok(split.with_column(lit(true).alias(MESSAGES)))
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
        if *table == messages::TABLE {
            return vec![Invalidation::OWN_BUCKET];
        }
        [params.by.invalidation_by_tags(), params.filters.invalidation_by_tags()].concat()
    }

    fn by(params: &Params) -> Vec<OutputColumn> {
        params.by.columns()
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let sent = in_range(tables, params).with_columns([
            elapsed(CREATED_AT, SENT_AT).alias(TO_SENT),
            elapsed(SENT_AT, DELIVERED_AT).alias(TO_DELIVERED),
            elapsed(DELIVERED_AT, SEEN_AT).alias(TO_SEEN),
        ]);
        let groups = params.by.group(sent, tables, params.days.timezone());
        let steps = [
            (TO_SENT, ["sent_p50_seconds", "sent_p90_seconds", "sent_p99_seconds"]),
            (
                TO_DELIVERED,
                ["delivered_p50_seconds", "delivered_p90_seconds", "delivered_p99_seconds"],
            ),
            (TO_SEEN, ["seen_p50_seconds", "seen_p90_seconds", "seen_p99_seconds"]),
        ];
        let groups = steps.into_iter().fold(groups, |groups, (step, [p50, p90, p99])| {
            groups.quantiles_seconds(step, [(p50, 0.5), (p90, 0.9), (p99, 0.99)])
        });
        Ok(groups.agg([rows().alias(MESSAGES)]))
    }

    fn bind(params: &Params) -> Bindings {
        params.filters.bind(params.by.bind(params.days.bind(Bindings::new())))
    }
}

/// The messages that count.
fn in_range(tables: &Tables, params: &Params) -> LazyFrame {
    let messages = params.days.scan(tables, &messages::TABLE);
    params.filters.of(messages, tables).filter(outgoing())
}
