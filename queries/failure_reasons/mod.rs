//! Why do deployments fail?
//!
//! One row per state and status detail of the failed deployments. Details of deployments that did not
//! fail are no reasons, and are left out.

use wabalake_data::tables::deployments::{self, STATE, STATUS_DETAIL};

use crate::query::failures;
use crate::query::prelude::*;

/// See the [module](self) for the question it answers.
pub struct FailureReasons;

/// The query's options.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    days: DayRange,
    #[command(flatten)]
    conversation_id: Only<filters::ConversationId>,
}

/// Failed deployments.
pub const DEPLOYMENTS: &str = "deployments";
/// People they were meant for.
pub const USERS: &str = "users";
/// Share of the failed deployments.
pub const SHARE_OF_FAILURES_PCT: &str = "share_of_failures_pct";
/// Share of all deployments.
pub const SHARE_OF_DEPLOYMENTS_PCT: &str = "share_of_deployments_pct";
/// What can be done about it.
pub const ADVICE: &str = "advice";

impl Query for FailureReasons {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "failure-reasons",
        title: "Why deployments fail",
        question: "Why do deployments fail, and what can be done? Failed deployments by state and \
                   detail; shares are of the failed ones, and of all that pass the filters.",
        reads: &[&deployments::TABLE],
        range: Range::Rows(&deployments::TABLE),
        columns: &[
            OutputColumn::word(STATE),
            OutputColumn::term(STATUS_DETAIL),
            OutputColumn::count(DEPLOYMENTS),
            OutputColumn::count(USERS),
            OutputColumn::pct(SHARE_OF_FAILURES_PCT),
            OutputColumn::pct(SHARE_OF_DEPLOYMENTS_PCT),
            OutputColumn::term(ADVICE),
        ],
        key: &[STATE, STATUS_DETAIL],
        order: &[Order::Descending(DEPLOYMENTS)],
        example: &["--from", "2025-06-01", "--to", "2025-06-30"],
        sql: include_str!("twin.sql"),
    };

    fn resolve(params: &mut Params, defaults: &Defaults) -> Result<Timeframe, UsageError> {
        params.days.resolve(defaults)
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let deployments = params.days.scan(tables, &deployments::TABLE);
        let deployments = params.conversation_id.of(deployments);

        let all = deployments.clone().select([rows().alias("all")]);
        let reasons = deployments
            .filter(delivery_is("Failed"))
            .group_by([col(STATE), col(STATUS_DETAIL)])
            .agg([rows().alias(DEPLOYMENTS), users().alias(USERS)]);

        let failures = col(DEPLOYMENTS).sum();
        Ok(reasons.cross_join(all, None).with_columns([
            share_pct(col(DEPLOYMENTS), failures).alias(SHARE_OF_FAILURES_PCT),
            share_pct(col(DEPLOYMENTS), col("all")).alias(SHARE_OF_DEPLOYMENTS_PCT),
            failures::advice(STATE).alias(ADVICE),
        ]))
    }

    fn bind(params: &Params) -> Bindings {
        let bindings = params.days.bind(Bindings::new());
        params.conversation_id.bind(bindings).slot("advice", failures::advice_sql())
    }
}
