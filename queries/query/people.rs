//! The people that `--phone` asks about.
//!
//! A number is the person itself. A user id stands for its person: the table `persons` has it, if a number
//! or another id is linked to the id.

use polars::prelude::{
    IntoLazy, JoinArgs, JoinType, LazyFrame, NamedFrom, PolarsResult, Series, UnionArgs,
    UniqueKeepStrategy, col, concat, df, lit,
};
use wabalake_data::cells::phone::is_user_id;
use wabalake_data::tables::USER_KEY;
use wabalake_data::tables::persons::{self, PERSON};

use super::tables::Tables;
use crate::kernels::key_of_text;

/// Returns `true` if the person of each can be told without the table `persons`.
pub fn are_numbers(people: &[String]) -> bool {
    !people.iter().any(|person| is_user_id(person))
}

/// The plan of the people asked about: their `user_key`, a row each.
///
/// # Errors
/// Those of building a plan.
pub fn asked(people: &[String], tables: &Tables) -> PolarsResult<LazyFrame> {
    let themselves = df![PERSON => people]?.lazy();
    let is_asked =
        col(persons::USER_ID).is_in(lit(Series::new(PERSON.into(), people)).implode(true), false);
    let linked = tables.scan(&persons::TABLE).filter(is_asked).select([col(PERSON)]);
    let people = concat([themselves, linked], UnionArgs::default())?;
    Ok(people
        .select([key_of_text(col(PERSON)).alias(USER_KEY)])
        .unique(None, UniqueKeepStrategy::Any))
}

/// Keeps the rows of the people asked about; `nobody` keeps those without a person too.
///
/// # Errors
/// Those of building a plan.
pub fn rows_of(
    rows: LazyFrame,
    people: &[String],
    nobody: bool,
    tables: &Tables,
) -> PolarsResult<LazyFrame> {
    let key = [col(USER_KEY)];
    let mut asked = asked(people, tables)?;
    if nobody {
        let null = df![USER_KEY => [None::<i64>]]?.lazy();
        asked = concat([asked, null], UnionArgs::default())?;
    }
    let semi = JoinArgs { nulls_equal: nobody, ..JoinArgs::new(JoinType::Semi) };
    Ok(rows.join(asked, &key, &key, semi))
}
