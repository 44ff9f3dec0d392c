//! The first visit of each person: the row of a group-by, found by sorting packed columns.
//!
//! ```text
//! person   start    session_id
//! 1        10:00    s2
//! 1        09:00    s3
//! 1        09:00    s1            the first visit: of those that start together the smallest id
//! –        08:00    s4            nobody's
//! ```

use polars::prelude::{
    DataFrame, DataType, Field, Int64Chunked, IntoColumn, JoinArgs, JoinType, LazyFrame,
    PolarsResult, Schema, col,
};
use wabalake_data::tables::sessions::{SESSION_ID, SESSION_STARTED_TIMESTAMP};
use wabalake_data::tables::{SESSION_KEY, USER_KEY, text_key};

use super::node;
use super::parts::Parts;

/// Of rows of `sessions`, the first of each person with all its columns. Of several that start together it
/// is the one with the smallest `session_id`. Rows without a person are left out.
pub fn first_visits(visits: LazyFrame) -> LazyFrame {
    let first = node(
        visits.clone().select([USER_KEY, SESSION_STARTED_TIMESTAMP, SESSION_ID].map(col)),
        "first visit of each person".to_owned(),
        Schema::from_iter([Field::new(SESSION_KEY.into(), DataType::Int64)]),
        first_of_each,
    );
    let key = [col(SESSION_KEY)];
    visits.join(first, &key, &key, JoinArgs::new(JoinType::Semi))
}

fn first_of_each(visits: DataFrame) -> PolarsResult<DataFrame> {
    let parts = Parts::of(&visits, |visits, places, parts| {
        let people = visits.column(USER_KEY)?.i64()?.iter();
        let starts = visits.column(SESSION_STARTED_TIMESTAMP)?.to_physical_repr();
        let ids = visits.column(SESSION_ID)?.str()?.iter();
        let rows = people.zip(starts.i64()?.iter()).zip(ids).zip(places);
        parts.extend(rows.filter_map(|(((person, start), id), place)| {
            let (person, start, _) = (person?, start?, id?);
            Some((person, (person, start, place)))
        }));
        Ok(())
    })?;
    let ids = visits.column(SESSION_ID)?.str()?.rechunk();
    let id = |place: u32| ids.get(place as usize);
    let first = parts.map(|mut part| {
        part.sort_unstable();
        let people = part.chunk_by(|one, other| one.0 == other.0);
        let first = people.filter_map(|visits| {
            // Ids are read at random in memory, so only those of the visits that start together are.
            let together = visits.iter().take_while(|visit| visit.1 == visits[0].1);
            together.filter_map(|visit| id(visit.2)).min().map(text_key)
        });
        first.collect::<Vec<i64>>()
    });
    let first = Int64Chunked::from_vec(SESSION_KEY.into(), first.concat());
    DataFrame::new(first.len(), vec![first.into_column()])
}

#[cfg(test)]
mod tests {
    use polars::prelude::{Engine, IntoLazy, SortMultipleOptions, UniqueKeepStrategy, df};
    use proptest::prelude::*;
    use wabalake_data::tables::instant;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// Few people and few starts, so that one person has most visits and many start together.
        #[test]
        fn first_visits_are_those_of_a_sort(
            visits in prop::collection::vec((prop::option::of(0..3_i64), -2..3_i64), 0..60),
            repeated in prop::sample::select(vec![1, 1_000]),
        ) {
            let visits = visits.repeat(repeated);
            let (people, starts): (Vec<Option<i64>>, Vec<i64>) = visits.into_iter().unzip();
            let ids: Vec<String> =
                (0..people.len()).map(|row| format!("s{}", row * 7919 % 100_003)).collect();
            let keys: Vec<i64> = ids.iter().map(|id| text_key(id)).collect();
            let columns = df![
                USER_KEY => people,
                SESSION_STARTED_TIMESTAMP => starts,
                SESSION_ID => ids,
                SESSION_KEY => keys,
            ];
            let start = col(SESSION_STARTED_TIMESTAMP).cast(instant());
            let rows = columns.unwrap().lazy().with_column(start);
            let collected = |rows: LazyFrame| {
                let rows = rows.sort([USER_KEY], SortMultipleOptions::default());
                rows.collect_with_engine(Engine::Streaming).unwrap().unwrap_single()
            };
            let in_order = [SESSION_STARTED_TIMESTAMP, SESSION_ID];
            let plain = rows
                .clone()
                .filter(col(USER_KEY).is_not_null())
                .sort(in_order, SortMultipleOptions::default())
                .unique_stable_generic(Some(vec![col(USER_KEY)]), UniqueKeepStrategy::First);
            prop_assert_eq!(collected(first_visits(rows)), collected(plain));
        }
    }
}
