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

use wabalake_data::tables::messages::{self, CREATED_AT, LINE, WHATSAPP_ID};
use wabalake_data::tables::{MESSAGE_KEY, USER_KEY};

use super::checks::{Check, of_a_message};
use crate::kernels;
use crate::kernels::others::{Others, others};
use crate::query::prelude::*;

/// The longest time between two rows of one message, in microseconds.
const NEAR: i64 = 5_000_000;

const IS_WAMID: &str = "is_wamid";
const IS_NEAR: &str = "is_near";

/// Predicate: the id of a message is Meta's.
pub(super) fn is_wamid() -> Expr {
    col(WHATSAPP_ID).str().starts_with(lit("wamid."))
}

/// The check of the rows of [`with_near`].
pub(super) fn check() -> Check {
    let fails = col(IS_NEAR).is_not_null();
    of_a_message("same-message-twice", col(LINE).is_not_null(), fails)
}

fn at() -> Expr {
    col(CREATED_AT).cast(DataType::Int64)
}

/// Messages of the range with a person and a line; [`IS_NEAR`] is `true` if a message whose id is of the other
/// kind is near, otherwise null.
pub(super) fn with_near(tables: &Tables, days: &DayRange) -> LazyFrame {
    const KEY: &str = "key";
    const AT: &str = "at";
    const WITHIN: [&str; 2] = ["from", "until"];
    let is_known = col(USER_KEY).is_not_null().and(col(LINE).is_not_null());
    let all = tables.scan(&messages::TABLE).filter(is_known.clone());
    let kind = || is_wamid().cast(DataType::Int64).alias(IS_WAMID);
    // Most lakes have ids of one kind only, or of both for few people.
    let with_both = all
        .clone()
        .group_by([col(USER_KEY)])
        .agg([kind().min().alias("least"), kind().max().alias("most")])
        .filter(col("least").neq(col("most")))
        .select([col(USER_KEY)]);
    let person = [col(USER_KEY)];
    let of_both = all.join(with_both, &person, &person, JoinArgs::new(JoinType::Semi)).select([
        col(MESSAGE_KEY),
        kernels::key_of(&[col(USER_KEY), col(LINE), outgoing()]).alias(KEY),
        kind(),
        at().alias(AT),
        (at() - lit(NEAR)).alias(WITHIN[0]),
        (at() + lit(NEAR)).alias(WITHIN[1]),
    ]);
    let of = Others { key: KEY, id: IS_WAMID, at: AT, within: WITHIN };
    let near =
        others(of_both, of, IS_NEAR).filter(col(IS_NEAR)).select([MESSAGE_KEY, IS_NEAR].map(col));
    let message = [col(MESSAGE_KEY)];
    let left = JoinArgs::new(JoinType::Left);
    days.scan(tables, &messages::TABLE).filter(is_known).join(near, &message, &message, left)
}
