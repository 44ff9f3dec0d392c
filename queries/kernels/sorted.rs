//! Sort of wide rows, one column after the other.

use polars::prelude::{
    Column, DataFrame, Expr, IntoLazy, LazyFrame, PolarsResult, SortMultipleOptions, arg_sort_by,
};
use rayon::prelude::*;

use super::adding;

/// Sorts rows as [`LazyFrame::sort_by_exprs`] does, in the memory of the rows and of a few columns.
///
/// Polars keeps all rows until all of their columns are copied. A limit does not pass this node, so the first
/// rows of an order are found by a sort of Polars and a limit.
pub fn sorted(rows: LazyFrame, keys: Vec<Expr>, options: SortMultipleOptions) -> LazyFrame {
    let name = format!("rows sorted by {keys:?} {options:?}");
    adding(rows, name, Vec::new(), move |rows| in_order(rows, &keys, &options))
}

fn in_order(
    rows: DataFrame,
    keys: &[Expr],
    options: &SortMultipleOptions,
) -> PolarsResult<DataFrame> {
    let places = rows.clone().lazy().select([arg_sort_by(keys, options.clone()).alias("place")]);
    let places = places.collect()?;
    let places = places.column("place")?.idx()?;
    let height = rows.height();
    // Each column is dropped as soon as it is copied.
    let columns = rows.into_columns().into_par_iter().map(|column| column.take(places));
    DataFrame::new(height, columns.collect::<PolarsResult<Vec<Column>>>()?)
}

#[cfg(test)]
mod tests {
    use polars::prelude::{Engine, UnionArgs, col, concat, df, lit};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// The rows come in several chunks, and equal keys in any order.
        #[test]
        fn order_is_that_of_a_plain_sort(
            given in prop::collection::vec((prop::option::of(0..5_i64), prop::option::of("[ab]{0,2}")), 0..40),
            descending: bool,
        ) {
            let rows = df![
                "number" => given.iter().map(|row| row.0).collect::<Vec<_>>(),
                "text" => given.iter().map(|row| row.1.clone()).collect::<Vec<_>>(),
            ];
            let rows = rows.unwrap().lazy();
            let more = rows.clone().with_column(col("number") + lit(1));
            let rows = concat([rows, more], UnionArgs::default()).unwrap();
            let keys = vec![lit(0) - col("number"), col("text")];
            let options = SortMultipleOptions::default()
                .with_order_descending_multi([descending, false])
                .with_nulls_last(true);
            let collected = |rows: LazyFrame| {
                rows.collect_with_engine(Engine::Streaming).unwrap().unwrap_single()
            };
            let plain = collected(rows.clone().sort_by_exprs(keys.clone(), options.clone()));
            prop_assert!(collected(sorted(rows, keys, options)).equals_missing(&plain));
        }
    }
}
