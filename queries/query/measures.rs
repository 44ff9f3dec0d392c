//! Measures that several queries share.
//!
//! Durations are Int64 microseconds until the last step. Sums of integers do not depend on the order of
//! rows, so answers are reproducible to the byte.

use polars::prelude::arity::broadcast_binary_elementwise;
use polars::prelude::{
    ChunkApply, Column, DataType, Expr, Field, Float64Chunked, IntoColumn, Null, PolarsResult,
    QuantileMethod, col, len, lit, when,
};
use wabalake_data::tables::{USER_KEY, deployments, message_summaries, messages, sessions};

use crate::kernels::key_of_text;

/// Microseconds in a second.
const SECOND: f64 = 1e6;

/// Microseconds in a minute.
const MINUTE: f64 = 60.0 * SECOND;

/// Microseconds from one timestamp to another; null unless both are set and in order.
pub fn elapsed(from: &str, to: &str) -> Expr {
    let micros = |stamp| col(stamp).cast(DataType::Int64);
    let elapsed = micros(to) - micros(from);
    when(elapsed.clone().gt_eq(lit(0_i64))).then(elapsed).otherwise(lit(Null {}))
}

/// The duration of a session in microseconds; null if it is open or finished before it started.
pub fn session_duration() -> Expr {
    elapsed(sessions::SESSION_STARTED_TIMESTAMP, sessions::SESSION_FINISHED_TIMESTAMP)
}

/// The mean of a column of integers; null without any.
pub fn average(of: &str) -> Expr {
    ratio(col(of).sum(), col(of).count())
}

/// The mean of a column of microseconds, in seconds; null without any.
pub fn average_seconds(micros: &str) -> Expr {
    ratio(col(micros).sum(), col(micros).count().cast(DataType::Float64) * lit(SECOND))
}

/// The quantile (0 to 1) of a column of microseconds, in seconds, by linear interpolation; null
/// without any.
pub fn quantile_seconds(micros: &str, share: f64) -> Expr {
    seconds(col(micros).quantile(lit(share), QuantileMethod::Linear))
}

/// A part of a whole in percent; null if the whole is 0.
pub fn share_pct(part: Expr, whole: Expr) -> Expr {
    ratio(part.cast(DataType::Float64) * lit(100.0), whole)
}

/// The exact quotient of two numbers; null for a division by 0.
///
/// Polars divides a column by a scalar by multiplying with the inverse, which is wrong in the last bit:
/// 49 of 49 would not be 100 %.
pub fn ratio(of: Expr, by: Expr) -> Expr {
    let divided = |columns: &mut [Column]| -> PolarsResult<Column> {
        let [of, by] = [columns[0].cast(&DataType::Float64)?, columns[1].cast(&DataType::Float64)?];
        let quotient = |of: Option<f64>, by: Option<f64>| Some(of? / by.filter(|by| *by != 0.0)?);
        let quotients: Float64Chunked =
            broadcast_binary_elementwise(of.f64()?, by.f64()?, quotient);
        Ok(quotients.with_name(of.name().clone()).into_column())
    };
    of.map_many(divided, &[by], |_, fields| Ok(float64(&fields[0])))
}

/// Microseconds as seconds, divided exactly as by [`ratio`].
pub fn seconds(micros: Expr) -> Expr {
    in_units(micros, SECOND)
}

/// Microseconds as minutes, divided exactly as by [`ratio`].
pub fn minutes(micros: Expr) -> Expr {
    in_units(micros, MINUTE)
}

/// Microseconds as a number of units, divided exactly as by [`ratio`].
fn in_units(micros: Expr, unit: f64) -> Expr {
    let divided = move |column: Column| -> PolarsResult<Column> {
        let micros = column.cast(&DataType::Float64)?;
        Ok(micros.f64()?.apply_values(|micros| micros / unit).into_column())
    };
    micros.map(divided, |_, field| Ok(float64(field)))
}

/// Whole millionths as a number, divided exactly as by [`ratio`].
pub fn from_millionths(millionths: Expr) -> Expr {
    seconds(millionths)
}

fn float64(field: &Field) -> Field {
    Field::new(field.name().clone(), DataType::Float64)
}

/// The number of rows.
pub fn rows() -> Expr {
    len()
}

/// The number of rows for which a predicate is true.
pub fn rows_where(predicate: Expr) -> Expr {
    predicate.sum()
}

/// The number of distinct people. Rows without a phone do not count.
pub fn users() -> Expr {
    let people = col(USER_KEY);
    // `n_unique` counts null as a value.
    people.clone().n_unique() - people.is_null().any(true).cast(DataType::UInt32)
}

/// Predicate: a session is a visit, which is one of a known person that was not redirected.
pub fn visit() -> Expr {
    col(sessions::PARENT_SESSION_ID).is_null().and(col(USER_KEY).is_not_null())
}

/// The `session_key` of a session's parent; null without one.
pub fn parent_key() -> Expr {
    key_of_text(col(sessions::PARENT_SESSION_ID))
}

/// The number of sessions with agents.
pub fn agent_sessions() -> Expr {
    rows_where(col(sessions::SESSION_STATUS).eq(lit("AGENTS")))
}

/// Predicate: a deployment has a delivery status.
pub fn delivery_is(status: &'static str) -> Expr {
    col(deployments::DELIVERY_STATUS).eq(lit(status))
}

/// Predicate: a deployment was answered.
pub fn answered() -> Expr {
    col(deployments::USER_RESPONDED_TIMESTAMP).is_not_null()
}

/// Predicate: a message is outgoing. Only outgoing messages are sent, delivered, read or failed.
pub fn outgoing() -> Expr {
    col(messages::MESSAGE_DIRECTION).eq(lit("outgoing"))
}

/// Predicate: a message is one that a person wrote. A reaction to a message is none.
pub fn incoming_message() -> Expr {
    let is_reaction = col(messages::FORMAT).eq_missing(lit(messages::REACTION_FORMAT));
    outgoing().not().and(is_reaction.not())
}

/// Predicate: an outgoing message failed and was not delivered later.
pub fn message_failed() -> Expr {
    let failure = col(messages::FAILED_AT).is_not_null();
    let reason = col(messages::REASON_FOR_FAILURE).is_not_null();
    failure.or(reason).and(message_delivered().not())
}

/// Predicate: an outgoing message was sent. Delivered messages were, even without a timestamp.
pub fn message_sent() -> Expr {
    col(messages::SENT_AT).is_not_null().or(message_delivered())
}

/// Predicate: an outgoing message was delivered. Read messages were.
pub fn message_delivered() -> Expr {
    col(messages::DELIVERED_AT).is_not_null().or(message_read())
}

/// Predicate: an outgoing message was read.
pub fn message_read() -> Expr {
    col(messages::SEEN_AT).is_not_null()
}

/// The counts of Kaleyra's message summary, of messages of one type: outgoing ones that were created,
/// failed, sent, delivered and read, or incoming ones that were received. As in Kaleyra's report, the
/// counts of the other direction are null.
pub fn message_counts() -> [Expr; 6] {
    let is_incoming = || col(messages::MESSAGE_TYPE).eq(lit("incoming")).any(true);
    let of_outgoing = |count: Expr| when(is_incoming()).then(lit(Null {})).otherwise(count);
    [
        of_outgoing(rows()).alias(message_summaries::CREATED),
        of_outgoing(rows_where(message_failed())).alias(message_summaries::FAILED),
        of_outgoing(rows_where(message_sent())).alias(message_summaries::SENT),
        of_outgoing(rows_where(message_delivered())).alias(message_summaries::DELIVERED),
        of_outgoing(rows_where(message_read())).alias(message_summaries::READ),
        when(is_incoming()).then(rows()).otherwise(lit(Null {})).alias(message_summaries::RECEIVED),
    ]
}

#[cfg(test)]
mod tests {
    use polars::prelude::*;

    use super::*;

    #[test]
    fn division_by_a_scalar_is_exact() {
        let parts = df!["part" => [48_i64, 1], "micros" => [7_000_i64, 21_000]].unwrap().lazy();
        let answer = parts
            .select([
                share_pct(lit(49), col("part").sum()).alias("all"),
                share_pct(col("part"), col("part").sum()).sum().alias("of_a_sum"),
                seconds(col("micros").max()).alias("longest"),
                average_seconds("micros").alias("mean"),
                quantile_seconds("micros", 0.0).alias("shortest"),
            ])
            .collect()
            .unwrap();
        let expected = df![
            "all" => [100.0],
            "of_a_sum" => [4_800.0 / 49.0 + 100.0 / 49.0],
            "longest" => [0.021],
            "mean" => [0.014],
            "shortest" => [0.007],
        ];
        assert_eq!(answer, expected.unwrap());
    }
}
