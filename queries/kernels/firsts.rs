//! The first time of each key: a group-by with a minimum, over packed pairs.

use polars::prelude::{
    DataFrame, DataType, Field, Int64Chunked, IntoColumn, LazyFrame, PolarsResult, Schema, col,
};

use super::node;
use super::parts::Parts;

/// A row for each key with its smallest time, in the order of the keys.
///
/// Both columns are Int64. Keys are hashes, such as [`key_of_text`](super::key_of_text) returns. Rows without a key or a time
/// do not count.
pub fn firsts(rows: LazyFrame, key: &'static str, at: &'static str) -> LazyFrame {
    let pairs = [key, at].map(|column| Field::new(column.into(), DataType::Int64));
    node(
        rows.select([col(key), col(at)]),
        format!("first {at} of each {key}"),
        Schema::from_iter(pairs),
        move |rows| first_of_each(rows, [key, at]),
    )
}

fn first_of_each(rows: DataFrame, [key, at]: [&str; 2]) -> PolarsResult<DataFrame> {
    let parts = Parts::of(&rows, |rows, _, parts| {
        let pairs = rows.column(key)?.i64()?.iter().zip(rows.column(at)?.i64()?.iter());
        parts.extend(pairs.filter_map(|(key, at)| Some((key?, (key?, at?)))));
        Ok(())
    })?;
    drop(rows);
    let firsts = parts.map(|mut part| {
        part.sort_unstable();
        part.dedup_by_key(|pair| pair.0);
        part
    });
    let columns =
        |of: fn(&(i64, i64)) -> i64| -> Vec<i64> { firsts.iter().flatten().map(of).collect() };
    let columns = [(key, columns(|pair| pair.0)), (at, columns(|pair| pair.1))];
    let height = columns[0].1.len();
    let columns =
        columns.map(|(name, values)| Int64Chunked::from_vec(name.into(), values).into_column());
    DataFrame::new(height, columns.into())
}

#[cfg(test)]
mod tests {
    use polars::prelude::{Engine, IntoLazy, SortMultipleOptions, df};
    use proptest::prelude::*;

    use super::*;

    /// Few keys, so that times are equal and one key may have most rows; or any keys.
    fn pairs() -> impl Strategy<Value = Vec<(Option<i64>, Option<i64>)>> {
        let key = prop_oneof![Just(Some(7)), prop::option::of(any::<i64>())];
        prop::collection::vec((key, prop::option::of(-3..3_i64)), 0..60)
    }

    proptest! {
        #[test]
        fn firsts_are_the_minima_of_a_group_by(pairs in pairs(), repeated in 1..400_usize) {
            let pairs = pairs.repeat(repeated);
            let (keys, times): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
            let rows = df!["key" => keys, "at" => times].unwrap().lazy();
            let collected = |rows: LazyFrame| {
                let rows = rows.sort(["key"], SortMultipleOptions::default());
                rows.collect_with_engine(Engine::Streaming).unwrap().unwrap_single()
            };
            let known = rows.clone().drop_nulls(None);
            let plain = known.group_by([col("key")]).agg([col("at").min()]);
            prop_assert_eq!(collected(firsts(rows, "key", "at")), collected(plain));
        }
    }
}
