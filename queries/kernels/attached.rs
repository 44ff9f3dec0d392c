//! Left join of wide rows with few rows, by a hash.
//!
//! A join of Polars copies each column of the rows that it joins. Here the rows stay where they are, and get
//! one column more:
//!
//! ```text
//! found ─┐
//! rows ──┴► found first, in one frame ─► places of found rows by key ─► rows, with the column brought
//! ```

use polars::prelude::{
    DataFrame, IdxCa, LazyFrame, PlHashMap, PolarsResult, UnionArgs, by_name, concat_lf_diagonal,
    lit,
};

use super::adding;

/// Adds the column `brought` of the row of `found` that has the same key; null without one.
///
/// The key is a hash (Int64). Keys of `found` are distinct, and a null matches nothing. `found` has no other
/// columns. Select the columns of the rows before: no projection passes this node.
///
/// # Errors
/// Those of building a plan.
pub fn attached(
    rows: LazyFrame,
    key: &'static str,
    found: LazyFrame,
    brought: &'static str,
) -> PolarsResult<LazyFrame> {
    let [found, rows] = [(found, true), (rows, false)]
        .map(|(rows, is_found)| rows.with_column(lit(is_found).alias(IS_FOUND)));
    // The order of the two is kept.
    let together = concat_lf_diagonal([found, rows], UnionArgs::default())?;
    let name = format!("`{brought}` attached by `{key}`");
    let attached = adding(together, name, Vec::new(), move |rows| attach(&rows, key, brought));
    Ok(attached.drop(by_name([IS_FOUND], true, false)))
}

/// Tells found rows from the others.
const IS_FOUND: &str = "is_found";

fn attach(rows: &DataFrame, key: &str, brought: &str) -> PolarsResult<DataFrame> {
    let found = rows.column(IS_FOUND)?.bool()?.sum().unwrap_or_default();
    let (found, mut rows) = rows.split_at(i64::from(found));
    debug_assert!(!rows.column(IS_FOUND)?.bool()?.any(), "found rows come first");
    if found.height() == 0 {
        return Ok(rows);
    }
    let keys = super::places().zip(found.column(key)?.i64()?.iter());
    let places: PlHashMap<i64, u32> = keys.filter_map(|(place, key)| Some((key?, place))).collect();
    let places: IdxCa =
        rows.column(key)?.i64()?.iter().map(|key| places.get(&key?).copied()).collect();
    let attached = found.column(brought)?.take(&places)?;
    rows.with_column(attached)?;
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use polars::prelude::{
        Engine, IntoLazy, JoinArgs, JoinType, SortMultipleOptions, col, concat, df,
    };
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// The rows come in several chunks.
        #[test]
        fn rows_are_those_of_a_plain_left_join(
            keys in prop::collection::vec(prop::option::of(0..6_i64), 0..40),
            known in prop::collection::btree_map(0..6_i64, prop::option::of("[ab]{0,20}"), 0..6),
        ) {
            let rows = df![
                "row" => (0..).zip(&keys).map(|(row, _)| row).collect::<Vec<i64>>(),
                "key" => keys,
            ];
            let rows = rows.unwrap().lazy();
            let more = rows.clone().with_column(col("row") + lit(100));
            let rows = concat([rows, more], UnionArgs::default()).unwrap();
            let (keys, values): (Vec<i64>, Vec<Option<String>>) = known.into_iter().unzip();
            let found = df!["key" => keys, "value" => values].unwrap().lazy();
            let columns = ["row", "key", "value"].map(col);
            let in_order = |rows: LazyFrame, engine| {
                let rows = rows.select(columns.clone()).sort(["row"], SortMultipleOptions::default());
                rows.collect_with_engine(engine).unwrap().unwrap_single()
            };
            let left = JoinArgs::new(JoinType::Left);
            let on = [col("key")];
            let plain = in_order(rows.clone().join(found.clone(), &on, &on, left), Engine::InMemory);
            for engine in [Engine::InMemory, Engine::Streaming] {
                let attached = attached(rows.clone(), "key", found.clone(), "value").unwrap();
                prop_assert!(in_order(attached, engine).equals_missing(&plain));
            }
        }
    }
}
