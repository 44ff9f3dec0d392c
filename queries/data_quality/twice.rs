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
//!
//! Rows are looked up by slots of five seconds: a near row is in the same slot, or the first of the next
//! slot or the last of the slot before. So a person with very many messages costs no more than others.

use wabalake_data::tables::USER_KEY;
use wabalake_data::tables::messages::{self, CREATED_AT, LINE, MESSAGE_DIRECTION, WHATSAPP_ID};

use super::checks::{Check, of_a_message};
use crate::query::prelude::*;

/// The longest time between two rows of one message, in microseconds; also the length of a slot.
const NEAR: i64 = 5_000_000;

const IS_WAMID: &str = "is_wamid";
const SLOT: &str = "slot";
const IN_SLOT: &str = "in_slot";
const FIRST: &str = "first_of_next";
const LAST: &str = "last_of_previous";

/// Predicate: the id of a message is Meta's.
pub(super) fn is_wamid() -> Expr {
    col(WHATSAPP_ID).str().starts_with(lit("wamid."))
}

/// The check of the rows of [`with_near`].
pub(super) fn check() -> Check {
    let is_near = |distance: Expr| distance.lt_eq(lit(NEAR)).fill_null(lit(false));
    let fails = col(IN_SLOT).is_not_null();
    let fails = fails.or(is_near(col(FIRST) - at())).or(is_near(at() - col(LAST)));
    of_a_message("same-message-twice", col(LINE).is_not_null(), fails)
}

fn at() -> Expr {
    col(CREATED_AT).cast(DataType::Int64)
}

/// Messages of the range with a person and a line, with the near times of messages whose ids are of the
/// other kind.
pub(super) fn with_near(tables: &Tables, days: &DayRange) -> LazyFrame {
    let known = |rows: LazyFrame| {
        let is_known = col(USER_KEY).is_not_null().and(col(LINE).is_not_null());
        let columns = [USER_KEY, LINE, MESSAGE_DIRECTION, CREATED_AT, WHATSAPP_ID].map(col);
        let slot = at().floor_div(lit(NEAR)).alias(SLOT);
        rows.filter(is_known).select(columns).with_columns([is_wamid().alias(IS_WAMID), slot])
    };
    // Most lakes have ids of one kind only, or of both for few people.
    let all = known(tables.scan(&messages::TABLE));
    let with_both = all
        .clone()
        .group_by([col(USER_KEY)])
        .agg([col(IS_WAMID).any(true).alias("any"), col(IS_WAMID).all(true).alias("all")])
        .filter(col("any").and(col("all").not()))
        .select([col(USER_KEY)]);
    let person = [col(USER_KEY)];
    let slots = all
        .join(with_both, &person, &person, JoinArgs::new(JoinType::Semi))
        .group_by([
            col(USER_KEY),
            col(LINE),
            col(MESSAGE_DIRECTION),
            col(IS_WAMID).not().alias(IS_WAMID),
            col(SLOT),
        ])
        .agg([at().min().alias(FIRST), at().max().alias(LAST)]);
    let key = [USER_KEY, LINE, MESSAGE_DIRECTION, IS_WAMID, SLOT].map(col);
    let of_slot = |shift: i64, time: Expr| {
        let [person, line, direction, is_wamid, slot] = key.clone();
        let slot = (slot + lit(shift)).alias(SLOT);
        slots.clone().select([person, line, direction, is_wamid, slot, time])
    };
    let left = || JoinArgs::new(JoinType::Left);
    known(days.scan(tables, &messages::TABLE))
        .join(of_slot(0, lit(true).alias(IN_SLOT)), &key, &key, left())
        .join(of_slot(-1, col(FIRST)), &key, &key, left())
        .join(of_slot(1, col(LAST)), &key, &key, left())
}
