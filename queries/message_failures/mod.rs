//! Why do messages fail?
//!
//! One row per failure reason, error code and template of the failed outgoing messages; each may be
//! null. A message that was delivered or seen after a failure did not fail. Incoming messages never fail.
//! State and advice are those of deployments, by Meta's error code; a code that is not listed, or none,
//! is `other_failure`.

use wabalake_data::tables::messages::{self, ERROR_CODE, REASON_FOR_FAILURE, TEMPLATE_NAME};

use crate::query::failures;
use crate::query::prelude::*;

/// See the [module](self) for the question it answers.
pub struct MessageFailures;

/// The query's options.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    days: DayRange,
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
                   them.",
        reads: &[&messages::TABLE],
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

    fn resolve(params: &mut Params, defaults: &Defaults) -> Result<Timeframe, UsageError> {
        params.days.resolve(defaults)
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let failed =
            params.days.scan(tables, &messages::TABLE).filter(outgoing().and(message_failed()));
        let reasons = failed
            .group_by([REASON_FOR_FAILURE, ERROR_CODE, TEMPLATE_NAME].map(col))
            .agg([rows().alias(MESSAGES), users().alias(USERS)]);
        let share = share_pct(col(MESSAGES), col(MESSAGES).sum());
        Ok(reasons
            .with_columns([
                share.alias(SHARE_PCT),
                failures::state_of_code(ERROR_CODE).alias(STATE),
            ])
            .with_column(failures::advice(STATE).alias(ADVICE)))
    }

    fn bind(params: &Params) -> Bindings {
        params
            .days
            .bind(Bindings::new())
            .slot("codes", failures::codes_sql())
            .slot("advice", failures::advice_sql())
    }
}
