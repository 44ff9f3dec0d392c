//! Left join by a key of 64 bits, split into parts that fit into the processor's cache.
//!
//! ```text
//! rows: key  at       known: key  begun       answer: key  at     begun
//!       a    09:00           a    08:00               a    09:00  08:00
//!       a    09:10           b    08:30               a    09:10  08:00
//!       c    09:20                                    c    09:20
//!            09:30                                           09:30
//! ```
//!
//! A hash join of Polars has one table of all known keys for each thread. With millions of keys, almost every
//! search in it reads memory outside of the cache.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use polars::prelude::{DataFrame, Expr, IdxSize, LazyFrame, PlHashMap, PolarsResult, col};

use super::known::with_known;
use super::parts::Parts;
use super::taken;

/// Adds to each row the columns `brought` of the known row with the same `key`; null without one.
///
/// The key is an Int64 of both, a hash such as `session_key`, and at most one known row has it. A row without
/// a key matches nothing. Rows have no column of the name of one that is brought. They keep their order.
///
/// The node reads all columns of the rows, so select them before.
///
/// # Errors
/// Those of building a plan.
pub fn matched(
    rows: LazyFrame,
    known: LazyFrame,
    key: &'static str,
    brought: &'static [&'static str],
) -> PolarsResult<LazyFrame> {
    let own: Vec<Expr> = [&[key][..], brought].concat().into_iter().map(col).collect();
    let name = format!("known rows of a key: {key} {brought:?}");
    with_known(rows, known.select(own), name, move |known, rows| joined(&known, rows, key, brought))
}

fn joined(
    known: &DataFrame,
    mut rows: DataFrame,
    key: &str,
    brought: &[&str],
) -> PolarsResult<DataFrame> {
    let places = places_of(known, &rows, key)?;
    let place = |row: usize| Some(places[row].load(Relaxed)).filter(|place| *place != NOWHERE);
    let known = known.select(brought.iter().copied())?;
    for column in taken(known, rows.height(), place)?.into_columns() {
        rows.with_column(column)?;
    }
    Ok(rows)
}

/// The place of the known row of a row that has none.
const NOWHERE: IdxSize = IdxSize::MAX;

/// The place of the known row of each row. Each part fills in those of its rows.
fn places_of(known: &DataFrame, rows: &DataFrame, key: &str) -> PolarsResult<Vec<AtomicU32>> {
    let split = |of: &DataFrame| {
        Parts::bounded(of, known.height() + rows.height(), |rows, places, parts| {
            let keyed = rows.column(key)?.i64()?.iter().zip(places);
            parts.extend(keyed.filter_map(|(key, place)| Some((key?, (key?, place)))));
            Ok(())
        })
    };
    let places: Vec<AtomicU32> =
        std::iter::repeat_with(|| AtomicU32::new(NOWHERE)).take(rows.height()).collect();
    split(known)?.map_with(split(rows)?, |known, asked: Vec<(i64, u32)>| {
        let known: PlHashMap<i64, u32> = known.into_iter().collect();
        for (key, row) in asked {
            if let Some(place) = known.get(&key) {
                places[row as usize].store(*place, Relaxed);
            }
        }
    });
    Ok(places)
}

#[cfg(test)]
mod tests {
    use polars::prelude::{Engine, IntoLazy, JoinArgs, JoinType, SortMultipleOptions, df};
    use proptest::prelude::*;

    use super::*;

    /// Few keys, of which one may have most rows; or any keys.
    fn key() -> impl Strategy<Value = i64> {
        prop_oneof![2 => Just(7), 3 => -2..4_i64, 1 => any::<i64>()]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn rows_are_those_of_a_left_join(
            keys in prop::collection::vec(prop::option::of(key()), 0..60),
            known in prop::collection::btree_map(key(), (prop::option::of(0..9_i64), any::<bool>()), 0..9),
            repeated in prop_oneof![4 => Just(1), 1 => Just(400)],
        ) {
            let rows = df!["key" => keys.repeat(repeated)].unwrap().lazy().with_row_index("row", None);
            let known = df![
                "key" => known.keys().copied().collect::<Vec<_>>(),
                "number" => known.values().map(|values| values.0).collect::<Vec<_>>(),
                "is_marked" => known.values().map(|values| values.1).collect::<Vec<_>>(),
            ];
            let known = known.unwrap().lazy();
            let left = JoinArgs::new(JoinType::Left);
            let plain = rows.clone().join(known.clone(), [col("key")], [col("key")], left);
            let answer = matched(rows, known, "key", &["number", "is_marked"]).unwrap();
            let collected = |rows: LazyFrame| {
                let rows = rows.select(["row", "key", "number", "is_marked"].map(col));
                let rows = rows.sort(["row"], SortMultipleOptions::default());
                rows.collect_with_engine(Engine::Streaming).unwrap().unwrap_single()
            };
            let (answer, plain) = (collected(answer), collected(plain));
            prop_assert!(answer.equals_missing(&plain), "{answer}\n{plain}");
        }
    }
}
