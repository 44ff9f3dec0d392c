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

use polars::prelude::{DataType, Expr, LazyFrame, NULL, NamedFrom, Series, col, lit, when};
use wabalake_data::Table;
use wabalake_data::tables::USER_KEY;
use wabalake_data::tables::audience_tags::{self, SINCE, TAG};

use super::filters::{Choice, Only, Tag};
use super::joins::look_up;
use super::row_filters::RowFilter;
use super::sql::Bindings;
use super::tables::Tables;
use super::{Invalidation, Near};
use crate::kernels::in_force::{Names, in_force};

/// The tables that are read for tags.
pub const TABLES: &[&Table] = &[&audience_tags::TABLE];

/// Adds the column `tag` to rows of a table: a row for each tag of the person that holds at the row's
/// own timestamp, or one with null.
pub fn tagged(rows: LazyFrame, table: &Table, tables: &Tables) -> LazyFrame {
    const TAGS: Names = Names { key: USER_KEY, value: TAG, from: SINCE };
    let tags = tables.scan(&audience_tags::TABLE);
    let tags = tags.select([col(USER_KEY), col(TAG), col(SINCE).cast(DataType::Int64)]);
    in_force(rows, col(table.day_of).cast(DataType::Int64), tags, TAGS)
}

/// [`tagged`] as an SQL join, to follow the table in a `FROM` clause.
pub fn tagged_sql(table: &Table) -> String {
    let at = table.day_of;
    format!(
        "LEFT JOIN (
        SELECT user_phone AS tagged_phone, tag, since FROM audience_tags
    ) AS tags ON tagged_phone = user_phone AND (since IS NULL OR since <= {at})"
    )
}

/// How changed tags affect an answer that counts rows of a table by the tags of their person.
pub(super) fn invalidation(by_tag: bool, of: &'static Table) -> Vec<Invalidation> {
    let rule = Invalidation::SameKey { key: USER_KEY, of, near: Near::ITSELF };
    by_tag.then_some(rule).into_iter().collect()
}

/// `--tag`: the rows whose person has one of some tags at the row's own timestamp; or, with `none`, has no
/// tag.
#[derive(Clone, Debug)]
pub(super) struct OfTags {
    tags: Vec<String>,
    untagged: bool,
}

/// When a person first had one of the tags that are asked for, in microseconds.
const ASKED_SINCE: &str = "asked_tag_since";
/// When a person first had a tag, in microseconds.
const ANY_SINCE: &str = "any_tag_since";

impl OfTags {
    pub(super) fn new(only: &Only<Tag>) -> Self {
        Self { tags: only.allowed().to_vec(), untagged: only.lets_null_pass() }
    }
}

impl RowFilter for OfTags {
    fn is_given(&self) -> bool {
        self.untagged || !self.tags.is_empty()
    }

    fn prepared(&self, rows: LazyFrame, tables: &Tables) -> LazyFrame {
        let since = || col(SINCE).cast(DataType::Int64).fill_null(lit(i64::MIN));
        let asked = lit(Series::new(TAG.into(), &self.tags)).implode(true);
        let is_asked = col(TAG).is_in(asked, false);
        let people = tables
            .scan(&audience_tags::TABLE)
            .select([
                col(USER_KEY),
                since().alias(ANY_SINCE),
                when(is_asked).then(since()).otherwise(lit(NULL)).alias(ASKED_SINCE),
            ])
            .group_by([col(USER_KEY)])
            .agg([col(ANY_SINCE).min(), col(ASKED_SINCE).min()]);
        look_up(rows, people, USER_KEY)
    }

    fn passes(&self, table: &Table) -> Expr {
        let has_since =
            |since| col(since).lt_eq(col(table.day_of).cast(DataType::Int64)).fill_null(lit(false));
        if self.untagged {
            has_since(ASKED_SINCE).or(has_since(ANY_SINCE).not())
        } else {
            has_since(ASKED_SINCE)
        }
    }

    fn join_sql(&self, table: &str) -> String {
        format!(
            "
        LEFT JOIN (
            SELECT
                user_phone AS asked_phone,
                count_if(array_contains(:tag, tag) AND since IS NULL) AS asked_always,
                min(CASE WHEN array_contains(:tag, tag) THEN since END) AS asked_since,
                count_if(since IS NULL) AS any_always,
                min(since) AS any_since
            FROM audience_tags
            GROUP BY user_phone
        ) AS asked_tags ON asked_phone = {table}.user_phone"
        )
    }

    fn passes_sql(&self, table: &Table) -> String {
        let at = table.day_of;
        let has =
            |which: &str| format!("coalesce({which}_always > 0 OR {which}_since <= {at}, FALSE)");
        if self.untagged {
            format!("({} OR NOT {})", has("asked"), has("any"))
        } else {
            has("asked")
        }
    }

    fn bind(&self, bindings: Bindings) -> Bindings {
        bindings.list(Tag::NAME, &self.tags)
    }
}
