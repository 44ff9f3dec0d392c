//! Figures that several queries count alike.
//!
//! Lengths of time are Int64 microseconds until the very end: whole numbers add up to the same sum
//! in any order, so two runs print the same bytes.

use polars::prelude::arity::broadcast_binary_elementwise;
use polars::prelude::{
    ChunkApply, Column, DataType, Expr, Field, Float64Chunked, Int64Chunked, IntoColumn,
    NewChunkedArray, Null, PolarsResult, QuantileMethod, col, len, lit, when,
};
use wabalake_data::tables::{
    USER_KEY, deployments, message_summaries, messages, sessions, text_key,
};

/// Microseconds in a second.
const SECOND: f64 = 1e6;

/// Microseconds in a minute.
const MINUTE: f64 = 60.0 * SECOND;

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

/// The mean of a column of whole numbers; null without any.
pub fn average(of: &str) -> Expr {
    ratio(col(of).sum(), col(of).count())
}

/// The mean of a column of microseconds, in seconds; null without any.
pub fn average_seconds(micros: &str) -> Expr {
    ratio(col(micros).sum(), col(micros).count().cast(DataType::Float64) * lit(SECOND))
}

/// The value below which that share (0 to 1) of a column of microseconds lies, in seconds,
/// between two values linearly; null without any.
pub fn quantile_seconds(micros: &str, share: f64) -> Expr {
    seconds(col(micros).quantile(lit(share), QuantileMethod::Linear))
}

/// The greatest of a column of microseconds, in seconds; null without any.
pub fn max_seconds(micros: &str) -> Expr {
    seconds(col(micros).max())
}

/// A part of a whole, 0 to 100; null when the whole is 0.
pub fn share_pct(part: Expr, whole: Expr) -> Expr {
    ratio(part.cast(DataType::Float64) * lit(100.0), whole)
}

/// One number by another; null by 0.
///
/// Polars divides a column by a single number by multiplying it with the inverse, which is off by
/// the last bit: 49 of 49 are then not 100 %, and a tenth of a second prints seventeen digits.
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

/// Microseconds in seconds, to the last bit what dividing gives.
pub fn seconds(micros: Expr) -> Expr {
    in_units(micros, SECOND)
}

/// Microseconds in minutes, to the last bit what dividing gives.
pub fn minutes(micros: Expr) -> Expr {
    in_units(micros, MINUTE)
}

/// Microseconds in units of so many, divided as [`ratio`] does.
fn in_units(micros: Expr, unit: f64) -> Expr {
    let divided = move |column: Column| -> PolarsResult<Column> {
        let micros = column.cast(&DataType::Float64)?;
        Ok(micros.f64()?.apply_values(|micros| micros / unit).into_column())
    };
    micros.map(divided, |_, field| Ok(float64(field)))
}

/// Whole millionths as a number, divided as [`ratio`] does.
pub fn from_millionths(millionths: Expr) -> Expr {
    seconds(millionths)
}

fn float64(field: &Field) -> Field {
    Field::new(field.name().clone(), DataType::Float64)
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

/// Whether a session is a visit: somebody's, and not one to which they were redirected.
pub fn visit() -> Expr {
    col(sessions::PARENT_SESSION_ID).is_null().and(col(USER_KEY).is_not_null())
}

/// The `session_key` of the session that redirected to a session; null without one.
pub fn parent_key() -> Expr {
    let hashed = |ids: Column| -> PolarsResult<Column> {
        let keys = ids.str()?.iter().map(|id| id.map(text_key));
        Ok(Int64Chunked::from_iter_options(ids.name().clone(), keys).into_column())
    };
    let int64 = |_: &_, field: &Field| Ok(Field::new(field.name().clone(), DataType::Int64));
    col(sessions::PARENT_SESSION_ID).map(hashed, int64)
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

/// What became of messages, in the columns of Kaleyra's summary: outgoing ones are created, failed,
/// sent, delivered and read, incoming ones received.
pub fn message_counts() -> [Expr; 6] {
    let outgoing_where = |state: Expr| rows_where(outgoing().and(state));
    [
        rows_where(outgoing()).alias(message_summaries::CREATED),
        outgoing_where(message_failed()).alias(message_summaries::FAILED),
        outgoing_where(message_sent()).alias(message_summaries::SENT),
        outgoing_where(message_delivered()).alias(message_summaries::DELIVERED),
        outgoing_where(message_read()).alias(message_summaries::READ),
        rows_where(outgoing().not()).alias(message_summaries::RECEIVED),
    ]
}

#[cfg(test)]
mod tests {
    use polars::prelude::*;

    use super::*;

    #[test]
    fn division_is_exact_whatever_it_is_by() {
        let parts = df!["part" => [48_i64, 1], "micros" => [7_000_i64, 21_000]].unwrap().lazy();
        let answer = parts
            .select([
                share_pct(lit(49), col("part").sum()).alias("all"),
                share_pct(col("part"), col("part").sum()).sum().alias("of_a_sum"),
                max_seconds("micros").alias("longest"),
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
