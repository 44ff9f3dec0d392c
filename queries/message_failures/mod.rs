//! Why do messages fail?
//!
//! One row per failure reason and template of the failed outgoing messages; either may be null. A
//! message that was delivered or seen after a failure did not fail. Incoming messages never fail.

use wabalake_data::tables::messages::{self, REASON_FOR_FAILURE, TEMPLATE_NAME};

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

impl Query for MessageFailures {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "message-failures",
        title: "Why messages fail",
        question: "Why do messages fail? Outgoing messages that failed and were not delivered later, \
                   by reason and template; shares are of all of them.",
        reads: &[&messages::TABLE],
        range: Range::Rows(&messages::TABLE),
        columns: &[
            OutputColumn::term(REASON_FOR_FAILURE),
            OutputColumn::term(TEMPLATE_NAME),
            OutputColumn::count(MESSAGES),
            OutputColumn::count(USERS),
            OutputColumn::pct(SHARE_PCT),
        ],
        key: &[REASON_FOR_FAILURE, TEMPLATE_NAME],
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
            .group_by([col(REASON_FOR_FAILURE), col(TEMPLATE_NAME)])
            .agg([rows().alias(MESSAGES), users().alias(USERS)]);
        let share = share_pct(col(MESSAGES), col(MESSAGES).sum());
        Ok(reasons.with_column(share.alias(SHARE_PCT)))
    }

    fn bind(params: &Params) -> Bindings {
        params.days.bind(Bindings::new())
    }
}
