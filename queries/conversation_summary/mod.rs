//! How does a conversation perform?
//!
//! One row per version of a conversation that has deployments. All counts but the users are of
//! deployments, so a person with two deployments counts twice. Responses count for deployments that
//! were sent or delivered. A deployment of unknown status counts only in the users.
//!
//! The vendor's own rate is one of people: of those with a deployment that was sent or delivered, how
//! many answered one.

use wabalake_data::tables::deployments::{self, CONVERSATION_ID, CONVERSATION_VERSION};

use crate::kernels::groups::Groups;
use crate::query::prelude::*;

/// See the [module](self) for the question it answers.
pub struct ConversationSummary;

/// The query's options.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    days: DayRange,
    #[command(flatten)]
    conversation_id: Only<filters::ConversationId>,
    #[command(flatten)]
    conversation_version: Only<filters::ConversationVersion>,
    /// Only each conversation's greatest version among the rows in range
    #[arg(long)]
    latest_version: bool,
}

/// People with a deployment.
pub const TOTAL_USERS: &str = "total_users";
/// Deployments that were sent, delivered ones included.
pub const MESSAGES_SENT: &str = "messages_sent";
/// Deployments that are not sent yet.
pub const IN_PROCESS: &str = "in_process";
/// Deployments that failed.
pub const SEND_FAILURE: &str = "send_failure";
/// Deployments that were delivered.
pub const DELIVERED: &str = "delivered";
/// Deployments that were sent and answered.
pub const RESPONSES: &str = "responses";
/// Share of the sent deployments that were answered.
pub const RESPONSE_RATE_PCT: &str = "response_rate_pct";
/// People with a deployment that was sent.
pub const USERS_SENT: &str = "users_sent";
/// People who answered a deployment that was sent.
pub const USERS_RESPONDED: &str = "users_responded";
/// Share of the people with a sent deployment who answered one.
pub const USER_RESPONSE_RATE_PCT: &str = "user_response_rate_pct";

impl Query for ConversationSummary {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "conversation-summary",
        title: "How a conversation performs",
        question: "How does a conversation perform? Deployments by their delivery status, and the \
                   responses among those that were sent or delivered, of deployments and of people.",
        reads: &[&deployments::TABLE],
        range: Range::Rows(&deployments::TABLE),
        columns: &[
            OutputColumn::term(CONVERSATION_ID),
            OutputColumn::version(CONVERSATION_VERSION),
            OutputColumn::count(TOTAL_USERS),
            OutputColumn::count(MESSAGES_SENT),
            OutputColumn::count(IN_PROCESS),
            OutputColumn::count(SEND_FAILURE),
            OutputColumn::count(DELIVERED),
            OutputColumn::count(RESPONSES),
            OutputColumn::pct(RESPONSE_RATE_PCT),
            OutputColumn::count(USERS_SENT),
            OutputColumn::count(USERS_RESPONDED),
            OutputColumn::pct(USER_RESPONSE_RATE_PCT),
        ],
        key: &[CONVERSATION_ID, CONVERSATION_VERSION],
        order: &[],
        example: &["--from", "2025-06-01", "--to", "2025-06-30", "--latest-version"],
        sql: include_str!("twin.sql"),
    };

    fn resolve(params: &mut Params, defaults: &Defaults) -> Result<Timeframe, UsageError> {
        params.days.resolve(defaults)
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let deployments = params.days.scan(tables, &deployments::TABLE);
        let deployments = params.conversation_id.of(deployments);

        let sent = || delivery_is("Sent").or(delivery_is("Delivered"));
        let versions = Groups::of(deployments, [CONVERSATION_ID, CONVERSATION_VERSION].map(col))
            .users(TOTAL_USERS)
            .users_where(USERS_SENT, sent())
            .users_where(USERS_RESPONDED, sent().and(answered()))
            .agg([
                rows_where(sent()).alias(MESSAGES_SENT),
                rows_where(delivery_is("In Process")).alias(IN_PROCESS),
                rows_where(delivery_is("Failed")).alias(SEND_FAILURE),
                rows_where(delivery_is("Delivered")).alias(DELIVERED),
                rows_where(sent().and(answered())).alias(RESPONSES),
            ]);

        let versions = if params.latest_version {
            let latest = col(CONVERSATION_VERSION).max().over([col(CONVERSATION_ID)])?;
            versions.filter(col(CONVERSATION_VERSION).eq_missing(latest))
        } else {
            versions
        };
        Ok(params.conversation_version.of(versions).with_columns([
            share_pct(col(RESPONSES), col(MESSAGES_SENT)).alias(RESPONSE_RATE_PCT),
            share_pct(col(USERS_RESPONDED), col(USERS_SENT)).alias(USER_RESPONSE_RATE_PCT),
        ]))
    }

    fn bind(params: &Params) -> Bindings {
        let bindings = params.days.bind(Bindings::new());
        let bindings = params.conversation_id.bind(bindings);
        params.conversation_version.bind(bindings).boolean("latest_version", params.latest_version)
    }
}
