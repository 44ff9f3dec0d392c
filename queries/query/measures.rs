//! Figures that several queries count alike.
//!
//! Lengths of time are Int64 microseconds until the very end: whole numbers add up to the same sum
//! in any order, so two runs print the same bytes.

use polars::prelude::{DataType, Expr, Null, QuantileMethod, col, len, lit, when};
use wabalake_data::tables::{USER_KEY, deployments, messages, sessions};

/// Microseconds in a second.
const SECOND: f64 = 1e6;

/// Microseconds from one stamp to a later one; null unless both are set and the second is not
/// before the first.
pub fn elapsed(from: &str, to: &str) -> Expr {
    let micros = |stamp| col(stamp).cast(DataType::Int64);
    let elapsed = micros(to) - micros(from);
    when(elapsed.clone().gt_eq(lit(0_i64))).then(elapsed).otherwise(lit(Null {}))
}

/// Microseconds that a session lasted; null while it is open, and when it finished before it
/// started.
pub fn session_duration() -> Expr {
    elapsed(sessions::SESSION_STARTED_TIMESTAMP, sessions::SESSION_FINISHED_TIMESTAMP)
}

/// The mean of a column of microseconds, in seconds; null without any.
pub fn average_seconds(micros: &str) -> Expr {
    mean_seconds(col(micros).sum(), col(micros).count())
}

/// The mean of so many lengths of time from their sum in microseconds, in seconds; null of none.
pub fn mean_seconds(total: Expr, count: Expr) -> Expr {
    ratio(total, count) / lit(SECOND)
}

/// The value below which that share (0 to 1) of a column of microseconds lies, in seconds,
/// between two values linearly; null without any.
pub fn quantile_seconds(micros: &str, share: f64) -> Expr {
    col(micros).quantile(lit(share), QuantileMethod::Linear) / lit(SECOND)
}

/// The greatest of a column of microseconds, in seconds; null without any.
pub fn max_seconds(micros: &str) -> Expr {
    col(micros).max().cast(DataType::Float64) / lit(SECOND)
}

/// A part of a whole, 0 to 100; null when the whole is 0.
pub fn share_pct(part: Expr, whole: Expr) -> Expr {
    ratio(part.cast(DataType::Float64) * lit(100.0), whole)
}

/// One number by another; null by 0.
fn ratio(of: Expr, by: Expr) -> Expr {
    let by = by.cast(DataType::Float64);
    when(by.clone().gt(lit(0.0))).then(of.cast(DataType::Float64) / by).otherwise(lit(Null {}))
}

/// Rows.
pub fn rows() -> Expr {
    len()
}

/// Rows for which something is true.
pub fn rows_where(predicate: Expr) -> Expr {
    predicate.sum()
}

/// Distinct people; a row without a phone is nobody.
pub fn users() -> Expr {
    let people = col(USER_KEY);
    // A null is one more distinct value.
    people.clone().n_unique() - people.is_null().any(true).cast(DataType::UInt32)
}

/// Sessions that are with agents.
pub fn agent_sessions() -> Expr {
    rows_where(col(sessions::SESSION_STATUS).eq(lit("AGENTS")))
}

/// Whether that is a deployment's delivery status.
pub fn delivery_is(status: &'static str) -> Expr {
    col(deployments::DELIVERY_STATUS).eq(lit(status))
}

/// Whether a deployment was answered.
pub fn answered() -> Expr {
    col(deployments::USER_RESPONDED_TIMESTAMP).is_not_null()
}

/// Whether a message went out; all that is said of its way is said of these alone.
pub fn outgoing() -> Expr {
    col(messages::MESSAGE_DIRECTION).eq(lit("outgoing"))
}

/// Whether an outgoing message failed, and did not arrive in the end.
pub fn message_failed() -> Expr {
    let failure = col(messages::FAILED_AT).is_not_null();
    let reason = col(messages::REASON_FOR_FAILURE).is_not_null();
    failure.or(reason).and(message_delivered().not())
}

/// Whether an outgoing message was sent; one that was delivered was sent, whatever its stamps say.
pub fn message_sent() -> Expr {
    col(messages::SENT_AT).is_not_null().or(message_delivered())
}

/// Whether an outgoing message was delivered; one that was read was delivered.
pub fn message_delivered() -> Expr {
    col(messages::DELIVERED_AT).is_not_null().or(message_read())
}

/// Whether an outgoing message was read.
pub fn message_read() -> Expr {
    col(messages::SEEN_AT).is_not_null()
}
