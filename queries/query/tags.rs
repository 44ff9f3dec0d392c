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

use polars::prelude::{DataType, Field, IntoLazy, LazyFrame, NULL, UnionArgs, col, concat, lit};
use wabalake_data::Table;
use wabalake_data::tables::USER_KEY;
use wabalake_data::tables::audience_tags::{self, SINCE, TAG};

use super::joins::look_up;
use super::tables::Tables;
use crate::kernels::node;

const FROM: &str = "tagged_from";
const UNTIL: &str = "tagged_until";

/// Adds the column `tag` to rows of a table: a row for each tag of the person that holds at the row's
/// own timestamp, or one with null.
pub fn tagged(rows: LazyFrame, table: &Table, tables: &Tables) -> LazyFrame {
    let at = col(table.day_of).cast(DataType::Int64);
    let holds = col(FROM).lt_eq(at.clone()).and(at.lt(col(UNTIL)));
    look_up(rows, intervals(tables), USER_KEY).filter(col(FROM).is_null().or(holds))
}

/// The intervals of all people with tags, in microseconds.
fn intervals(tables: &Tables) -> LazyFrame {
    let since = col(SINCE).cast(DataType::Int64).fill_null(lit(i64::MIN));
    let tags = tables.scan(&audience_tags::TABLE);
    let tags = tags.select([col(USER_KEY), col(TAG), since.alias(FROM)]);
    let fields = [
        (USER_KEY, DataType::Int64),
        (TAG, DataType::String),
        (FROM, DataType::Int64),
        (UNTIL, DataType::Int64),
    ];
    let schema = fields.map(|(name, of)| Field::new(name.into(), of)).into_iter().collect();
    node(tags, "intervals of tags".to_owned(), schema, |tags| {
        let tags = tags.lazy();
        let under_a_tag = tags.clone().with_column(lit(i64::MAX).alias(UNTIL));
        let before_any = tags.group_by([col(USER_KEY)]).agg([col(FROM).min().alias(UNTIL)]);
        let no_tag = [lit(NULL).cast(DataType::String).alias(TAG), lit(i64::MIN).alias(FROM)];
        let before_any =
            before_any.with_columns(no_tag).select([USER_KEY, TAG, FROM, UNTIL].map(col));
        concat([under_a_tag, before_any], UnionArgs::default())?.collect()
    })
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
