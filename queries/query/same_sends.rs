//! Pairs of a deployment and a template message: what two vendors say of one send.
//!
//! A deployment and a template message of one person are a pair if their stamps are at most some
//! seconds apart and each is the other's nearest:
//!
//! ```text
//! deployments   10:00:00                              10:09:00
//! messages            10:00:02   10:01:30                        10:12:00
//! pairs         these two        10:00:02 is nearer   180 seconds are too many
//! ```
//!
//! Of two messages that are as near the earlier counts, then the one with the smaller id. Of two
//! deployments that are as near the earlier counts, then the one with the smaller conversation,
//! then the one with the smaller version; null is last.
//!
//! Pairs are looked for in the whole lake. Whatever is nearer to a row than the other row of its
//! pair is within the tolerance, too. So only rows shortly before and after an interval decide the
//! pairs of its messages, and a lake is paired in parts.

use polars::prelude::{
    DataType, Expr, LazyFrame, PolarsResult, UnionArgs, col, concat_lf_diagonal, lit,
};
use wabalake_data::tables::USER_KEY;
use wabalake_data::tables::deployments::{
    self, CONVERSATION_ID, CONVERSATION_VERSION, DEPLOYMENT_TIMESTAMP,
};
use wabalake_data::tables::messages::{self, CREATED_AT, MESSAGE_TYPE, WHATSAPP_ID};

use super::tables::Tables;
use super::time::{SECOND, Span};
use crate::kernels::key_of;
use crate::kernels::mutual::{Mutual, mutual};

/// Most seconds between the stamps of a pair, if no option says otherwise.
pub const TOLERANCE_SECONDS: i64 = 120;

/// The column that is true for a message of a pair, and null for any other.
pub const PAIRED: &str = "is_paired";

/// The hash of a deployment's key.
pub const SEND_KEY: &str = "send_key";

const AT: &str = "paired_at";
const IS_MESSAGE: &str = "is_message";

/// The [`SEND_KEY`] of a deployment.
pub fn send_key() -> Expr {
    let key = [USER_KEY, DEPLOYMENT_TIMESTAMP, CONVERSATION_ID, CONVERSATION_VERSION].map(col);
    key_of(&key).alias(SEND_KEY)
}

/// The interval in which the other rows of an interval's pairs lie.
pub fn around(within: Span, seconds: i64) -> Span {
    let micros = seconds * SECOND;
    let from = within.from.map(|from| from.saturating_sub(micros));
    let until = within.until.map(|until| until.saturating_add(micros));
    Span { from, until, ..within }
}

/// Scans what decides the pairs of an interval's messages: template messages, and deployments.
pub fn scan(tables: &Tables, within: Span, seconds: i64) -> [LazyFrame; 2] {
    let sent = around(within, seconds);
    let messages = around(sent, seconds).scan(tables, &messages::TABLE);
    let is_template = col(MESSAGE_TYPE).eq(lit("template"));
    [messages.filter(is_template), sent.scan(tables, &deployments::TABLE)]
}

/// Returns the template messages of an interval, each with the columns `told`, its id and
/// [`PAIRED`]; and, from the deployment of its pair, with the conversation, the version and the
/// columns `brought`, null without one.
///
/// `rows` are those of [`scan`], prepared by the caller.
///
/// # Errors
/// Those of building a plan.
pub fn paired(
    rows: [LazyFrame; 2],
    told: &[Expr],
    brought: &[&'static str],
    within: Span,
    seconds: i64,
) -> PolarsResult<LazyFrame> {
    let [messages, deployments] = rows;
    let micros = |stamp: &str| col(stamp).cast(DataType::Int64).alias(AT);
    let of_message =
        [col(USER_KEY), micros(CREATED_AT), lit(true).alias(IS_MESSAGE), col(WHATSAPP_ID)];
    let of_deployment = [
        col(USER_KEY),
        micros(DEPLOYMENT_TIMESTAMP),
        lit(false).alias(IS_MESSAGE),
        lit(true).alias(PAIRED),
        col(CONVERSATION_ID),
        col(CONVERSATION_VERSION),
    ];
    let others: Vec<Expr> = brought.iter().map(|column| col(*column)).collect();
    let rows = [
        messages.select([&of_message[..], told].concat()),
        deployments.select([&of_deployment[..], &others].concat()),
    ];
    let pairs = Mutual {
        key: USER_KEY,
        at: AT,
        stays: IS_MESSAGE,
        within: seconds * SECOND,
        first_by: &[WHATSAPP_ID, CONVERSATION_ID, CONVERSATION_VERSION],
        found: [&[PAIRED, CONVERSATION_ID, CONVERSATION_VERSION], brought].concat(),
    };
    let found = mutual(concat_lf_diagonal(rows, UnionArgs::default())?, pairs);
    let from = within.from.map(|from| col(AT).gt_eq(lit(from)));
    let until = within.until.map(|until| col(AT).lt(lit(until)));
    Ok(match from.into_iter().chain(until).reduce(Expr::and) {
        Some(created_within) => found.filter(created_within),
        None => found,
    })
}

/// Returns the pairs of an interval's messages: the [`SEND_KEY`] of the deployment, the id of the
/// message, and the columns `told` of the message.
///
/// # Errors
/// Those of building a plan.
pub fn pairs(
    tables: &Tables,
    within: Span,
    seconds: i64,
    told: &[Expr],
) -> PolarsResult<LazyFrame> {
    let [messages, deployments] = scan(tables, within, seconds);
    let of_people = |rows: LazyFrame| rows.filter(col(USER_KEY).is_not_null());
    let rows = [of_people(messages), of_people(deployments).with_column(send_key())];
    Ok(paired(rows, told, &[SEND_KEY], within, seconds)?.filter(col(PAIRED)))
}
