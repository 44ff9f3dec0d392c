//! Messages that two sources report under two ids: one of Meta's, one of another vendor's.
//!
//! Two ids are two rows, so such a message counts twice. Its rows have one person, line and direction, and
//! were created within five seconds.
//!
//! ```text
//! id       created       of the same person, line and direction
//! wamid.A  10:00:04  ┐
//! 7001     10:00:06  ┘ two seconds apart: each fails
//! 7002     10:00:07    also fails; both ids of 7001 and 7002 are the other vendor's, but wamid.A is near
//! 7003     10:00:30    passes
//! ```

use std::iter::once;

use polars::prelude::{BooleanChunked, DataFrame, Field, NewChunkedArray, PlHashMap, df};
use wabalake_data::tables::messages::{self, CREATED_AT, LINE, WHATSAPP_ID};
use wabalake_data::tables::{MESSAGE_KEY, USER_KEY};

use super::{CHECK, EXAMPLE, FAILING, ROWS, TABLE};
use crate::kernels;
use crate::kernels::others::{Others, others};
use crate::query::prelude::*;

/// The longest time between two rows of one message, in microseconds.
const NEAR: i64 = 5_000_000;

/// The hash of the person, the line and the direction of a message.
const KEY: &str = "key";
/// The time of a message in microseconds, and the first and the last time that are near it.
const AT: &str = "at";
const WITHIN: [&str; 2] = ["from", "until"];
const IS_WAMID: &str = "is_wamid";
const IS_NEAR: &str = "is_near";
const IN_RANGE: &str = "in_range";

/// Predicate: the id of a message is Meta's.
pub(super) fn is_wamid() -> Expr {
    col(WHATSAPP_ID).str().starts_with(lit("wamid."))
}

/// The name of the check.
pub(super) const NAME: &str = "same-message-twice";

/// The check of messages with a person and a line: a message of the range fails if one whose id is of the other
/// kind is near.
pub(super) fn tally(tables: &Tables, days: &DayRange) -> LazyFrame {
    let known = col(USER_KEY).is_not_null().and(col(LINE).is_not_null());
    let in_range = days.holds_instant(&col(CREATED_AT)).unwrap_or(lit(true));
    let all = tables.scan(&messages::TABLE).filter(known).select([
        col(MESSAGE_KEY),
        kernels::key_of(&[col(USER_KEY), col(LINE), outgoing()]).alias(KEY),
        is_wamid().alias(IS_WAMID),
        col(CREATED_AT).cast(DataType::Int64).alias(AT),
        in_range.alias(IN_RANGE),
    ]);
    let fields = [ROWS, FAILING, MESSAGE_KEY].map(|name| Field::new(name.into(), DataType::Int64));
    let schema = fields.into_iter().collect();
    let found = kernels::node(all, "messages with two ids".to_owned(), schema, counted);
    // An id of Meta is no example.
    let examples = tables
        .scan(&messages::TABLE)
        .filter(is_wamid().not())
        .select([col(MESSAGE_KEY), col(WHATSAPP_ID).alias(EXAMPLE)]);
    let message = [col(MESSAGE_KEY)];
    let counts = found.join(examples, &message, &message, JoinArgs::new(JoinType::Left));
    counts.select([
        lit(NAME).alias(CHECK),
        lit(messages::TABLE.name).alias(TABLE),
        col(ROWS).sum(),
        col(FAILING).sum(),
        col(EXAMPLE).min(),
    ])
}

/// A row without a key, which counts the messages of the range, and a row for each of them that fails.
fn counted(messages: DataFrame) -> PolarsResult<DataFrame> {
    let all = i64::from(messages.column(IN_RANGE)?.bool()?.sum().unwrap_or_default());
    let near = near(messages)?;
    let of_range = near.filter(near.column(IN_RANGE)?.bool()?)?;
    let failing = of_range.column(MESSAGE_KEY)?.i64()?;
    let rows: Vec<i64> = once(all).chain(failing.iter().map(|_| 0)).collect();
    let fails: Vec<i64> = once(0).chain(failing.iter().map(|_| 1)).collect();
    let keys: Vec<Option<i64>> = once(None).chain(failing.iter()).collect();
    df![ROWS => rows, FAILING => fails, MESSAGE_KEY => keys]
}

/// The messages that are near one whose id is of the other kind.
fn near(messages: DataFrame) -> PolarsResult<DataFrame> {
    let (keys, kinds) = (messages.column(KEY)?.i64()?, messages.column(IS_WAMID)?.bool()?);
    let mut met: PlHashMap<Option<i64>, u8> = PlHashMap::default();
    for (key, is_wamid) in keys.iter().zip(kinds.iter()) {
        *met.entry(key).or_default() |= if is_wamid == Some(true) { 0b10 } else { 0b01 };
    }
    // Most lakes have ids of one kind only, or of both for few people.
    let has_both = keys.iter().map(|key| met.get(&key) == Some(&0b11));
    let of_both = messages.filter(&BooleanChunked::from_iter_values(KEY.into(), has_both))?;
    let of_both = of_both.lazy().with_columns([
        col(IS_WAMID).cast(DataType::Int64),
        (col(AT) - lit(NEAR)).alias(WITHIN[0]),
        (col(AT) + lit(NEAR)).alias(WITHIN[1]),
    ]);
    let of = Others { key: KEY, id: IS_WAMID, at: AT, within: WITHIN };
    let near = others(of_both, of, IS_NEAR).filter(col(IS_NEAR));
    near.select([MESSAGE_KEY, IN_RANGE].map(col)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// Messages as (person, Meta's id or not, second).
        #[test]
        fn near_messages_have_another_kind_of_id_within_five_seconds(
            given in prop::collection::vec((0..3_i64, any::<bool>(), 0..30_i64), 0..30),
        ) {
            const SECOND: i64 = NEAR / 5;
            let messages = df![
                MESSAGE_KEY => (0..).take(given.len()).collect::<Vec<i64>>(),
                KEY => given.iter().map(|message| message.0).collect::<Vec<_>>(),
                IS_WAMID => given.iter().map(|message| message.1).collect::<Vec<_>>(),
                AT => given.iter().map(|message| message.2 * SECOND).collect::<Vec<_>>(),
                IN_RANGE => vec![true; given.len()],
            ];
            let found = near(messages.unwrap()).unwrap();
            let found = found.column(MESSAGE_KEY).unwrap().i64().unwrap().clone();
            let mut found: Vec<i64> = found.iter().flatten().collect();
            found.sort_unstable();
            let is_near = |(person, kind, at): &(i64, bool, i64)| {
                given.iter().any(|other| {
                    other.0 == *person && other.1 != *kind && other.2.abs_diff(*at) <= 5
                })
            };
            let expected = (0..).zip(&given).filter(|(_, message)| is_near(message));
            prop_assert_eq!(found, expected.map(|(key, _)| key).collect::<Vec<i64>>());
        }
    }
}
