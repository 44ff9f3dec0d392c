//! Why do messages fail?
//!
//! One row per failure reason, error code and template of the failed outgoing messages; each may be
//! null. A message that was delivered or seen after a failure did not fail. Incoming messages never fail.
//! State and advice are those of deployments, by Meta's error code; a code that is not listed, or none,
//! is `other_failure`. With `--by`, shares are of the group; by template, the template comes first.

use wabalake_data::Table;
use wabalake_data::tables::audience_tags;
use wabalake_data::tables::messages::{
    self, ERROR_CODE, REASON_FOR_FAILURE, TEMPLATE_NAME, WHATSAPP_ID,
};

use crate::query::failures;
use crate::query::prelude::*;

/// See the [module](self) for the question it answers.
#[derive(Debug)]
pub struct MessageFailures;

impl Filtered for MessageFailures {
    const TABLE: &'static Table = &messages::TABLE;
    const FILTERS: &'static [Filter] = Filter::OF_MESSAGES;
}

impl Grouped for MessageFailures {
    const TIMES: &'static [Dimension] = Dimension::TIMES;
    const TAKES: &'static [Dimension] = &[
        Dimension::Country,
        Dimension::Line,
        Dimension::Tag,
        Dimension::Waba,
        Dimension::Template,
        Dimension::Campaign,
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
    filters: Filters<MessageFailures>,
    #[command(flatten)]
    by: Dimensions<MessageFailures>,
}

/// Failed messages.
pub const MESSAGES: &str = "messages";
/// People they were meant for.
pub const USERS: &str = "users";
/// Share of all failed messages.
pub const SHARE_PCT: &str = "share_pct";
/// The state that the error code stands for.
pub const STATE: &str = "state";
/// What can be done about it.
pub const ADVICE: &str = "advice";

impl Query for MessageFailures {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "message-failures",
        title: "Why messages fail",
        question: "Why do messages fail? Outgoing messages that failed and were not delivered later, \
                   by reason, error code and template, and what can be done; shares are of all of \
                   them, within the dimensions of `--by`.",
        reads: &[&messages::TABLE, &audience_tags::TABLE],
        range: Range::Rows(&messages::TABLE),
        columns: &[
            OutputColumn::term(REASON_FOR_FAILURE),
            OutputColumn::term(TEMPLATE_NAME),
            OutputColumn::count(MESSAGES),
            OutputColumn::count(USERS),
            OutputColumn::pct(SHARE_PCT),
            OutputColumn::code(ERROR_CODE),
            OutputColumn::word(STATE),
            OutputColumn::term(ADVICE),
        ],
        key: &[REASON_FOR_FAILURE, ERROR_CODE, TEMPLATE_NAME],
        order: &[Order::Descending(MESSAGES)],
        example: &["--from", "2025-06-01", "--to", "2025-06-30"],
        sql: include_str!("twin.sql"),
    };

    const BEHIND: Option<Behind<Self>> = Some(Behind {
        table: &messages::TABLE,
        cells: &[REASON_FOR_FAILURE, ERROR_CODE, TEMPLATE_NAME],
        counts: &[MESSAGES],
        id: &[WHATSAPP_ID],
        rows: |tables, params| {
            let split = params.by.split(failed(tables, params), tables, params.days.timezone());
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

    fn by(params: &Params) -> Vec<OutputColumn> {
        params.by.columns()
    }

    fn invalidation(params: &Params, table: &Table) -> Vec<Invalidation> {
        if *table == messages::TABLE {
            return vec![Invalidation::OWN_BUCKET];
        }
        [params.by.invalidation_by_tags(), params.filters.invalidation_by_tags()].concat()
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let reasons = params
            .by
            .group_with(
                failed(tables, params),
                &[REASON_FOR_FAILURE, ERROR_CODE, TEMPLATE_NAME],
                tables,
                params.days.timezone(),
            )
            .users(USERS)
            .agg([rows().alias(MESSAGES)]);
        let all = match params.by.names() {
            none if none.is_empty() => col(MESSAGES).sum(),
            split => col(MESSAGES).sum().over(split)?,
        };
        let share = share_pct(col(MESSAGES), all);
        Ok(reasons
            .with_columns([
                share.alias(SHARE_PCT),
                failures::state_of_code(ERROR_CODE).alias(STATE),
            ])
            .with_column(failures::advice(STATE).alias(ADVICE)))
    }

    fn bind(params: &Params) -> Bindings {
        // By template its column is one of the dimensions.
        let is_by_template = params.by.columns().iter().any(|column| column.name == TEMPLATE_NAME);
        let template = if is_by_template { "" } else { "template_name,\n    " };
        params
            .filters
            .bind(params.by.bind(params.days.bind(Bindings::new())))
            .slot("template_then", template.to_owned())
            .slot("codes", failures::codes_sql())
            .slot("advice", failures::advice_sql())
    }
}

/// The messages that count.
fn failed(tables: &Tables, params: &Params) -> LazyFrame {
    let messages = params.days.scan(tables, &messages::TABLE);
    params.filters.of(messages, tables).filter(outgoing().and(message_failed()))
}
