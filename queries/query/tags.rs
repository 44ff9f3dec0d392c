//! The tags of people, and the intervals in which they hold.
//!
//! A person with several tags counts under each, a person without any under null. A tag holds from its
//! `since` on, so the intervals of a person leave no gap:
//!
//! ```text
//! vip since 10 May, lead since 2 June        null  …10 May┤
//!                                            vip          ├10 May…
//!                                            lead                  ├2 June…
//! ```

use polars::prelude::{DataType, Expr, LazyFrame, Null, PolarsResult, UnionArgs, col, concat, lit};
use wabalake_data::Table;
use wabalake_data::tables::USER_KEY;
use wabalake_data::tables::audience_tags::{self, SINCE, TAG};

use super::joins::look_up;
use super::tables::Tables;

const FROM: &str = "tagged_from";
const UNTIL: &str = "tagged_until";

/// Adds the column `tag` to rows of a table: a row for each tag of the person that holds at the row's
/// own timestamp, or one with null.
///
/// # Errors
/// Those of building a plan.
pub fn tagged(rows: LazyFrame, table: &Table, tables: &Tables) -> PolarsResult<LazyFrame> {
    let at = col(table.day_of).cast(DataType::Int64);
    let holds = col(FROM).lt_eq(at.clone()).and(at.lt(col(UNTIL)));
    let at_any_time = look_up(rows, intervals(tables)?, USER_KEY);
    Ok(at_any_time.filter(col(FROM).is_null().or(holds)))
}

/// The intervals of all people with tags, in microseconds.
fn intervals(tables: &Tables) -> PolarsResult<LazyFrame> {
    let tags = tables.scan(&audience_tags::TABLE);
    let since = || col(SINCE).cast(DataType::Int64).fill_null(lit(i64::MIN));
    let interval = |tag: Expr, from: Expr, until: Expr| {
        [col(USER_KEY), tag.cast(DataType::String).alias(TAG), from.alias(FROM), until.alias(UNTIL)]
    };
    let under_a_tag = tags.clone().select(interval(col(TAG), since(), lit(i64::MAX)));
    let before_any = tags
        .group_by([col(USER_KEY)])
        .agg([since().min().alias(UNTIL)])
        .select(interval(lit(Null {}), lit(i64::MIN), col(UNTIL)));
    concat([under_a_tag, before_any], UnionArgs::default())
}

/// [`tagged`] as an SQL join, to follow the table in a `FROM` clause.
pub(super) fn tagged_sql(table: &Table) -> String {
    let at = table.day_of;
    format!(
        "LEFT JOIN (
        SELECT user_phone AS tagged_phone, tag, since FROM audience_tags
    ) AS tags ON tagged_phone = user_phone AND (since IS NULL OR since <= {at})"
    )
}
