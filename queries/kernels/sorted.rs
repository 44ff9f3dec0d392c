//! Sort of wide rows, one column after the other.

use polars::prelude::{
    Column, DataFrame, DataType, Expr, IdxCa, IdxSize, IntoLazy, LazyFrame, PolarsResult,
    SortMultipleOptions, arg_sort_by, col,
};
use rayon::prelude::*;

use super::parts::ordered;
use super::{adding, on_all_cores};

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
    let places = places_in_order(&rows, keys, options)?;
    let height = rows.height();
    // Each column is dropped as soon as it is copied.
    let columns: PolarsResult<Vec<Column>> = on_all_cores(|| {
        rows.into_columns().into_par_iter().map(|column| column.take(&places)).collect()
    });
    DataFrame::new(height, columns?)
}

/// The places of the rows in their order.
///
/// If the first key is a number or an instant, the rows are sorted by it alone, packed in integers. The
/// other keys decide between the few rows that are equal in it.
fn places_in_order(
    rows: &DataFrame,
    keys: &[Expr],
    options: &SortMultipleOptions,
) -> PolarsResult<IdxCa> {
    let place = |rows: DataFrame, keys: Vec<Expr>| -> PolarsResult<IdxCa> {
        let places = rows.lazy().select([arg_sort_by(keys, options.clone()).alias(PLACE)]);
        Ok(places.collect()?.column(PLACE)?.idx()?.clone())
    };
    let names: Vec<String> = (0..keys.len()).map(|key| format!("key_{key}")).collect();
    let aliased = keys.iter().zip(&names).map(|(key, name)| key.clone().alias(name.as_str()));
    let sorted_by = rows.clone().lazy().select(aliased.collect::<Vec<_>>()).collect()?;
    let by_names = || -> Vec<Expr> { names.iter().map(|name| col(name.as_str())).collect() };
    let nulls_are_last = options.nulls_last.iter().all(|is_last| *is_last);
    let first = sorted_by.columns().first().filter(|first| nulls_are_last && is_packed(first));
    let Some(first) = first.map(Column::to_physical_repr) else {
        return place(sorted_by, by_names());
    };

    let descends = options.descending.first().is_some_and(|descends| *descends);
    let first = first.cast(&DataType::Int64)?;
    let mut packed: Vec<u128> = super::places()
        .zip(first.i64()?.iter())
        .map(|(place, key)| packed(key, descends) | u128::from(place))
        .collect();
    on_all_cores(|| packed.par_sort_unstable());
    let is_tie = |one: &u128, other: &u128| one >> PLACE_BITS == other >> PLACE_BITS;
    let mut places: Vec<IdxSize> = packed.iter().map(|row| place_of(*row)).collect();
    let mut tied: Vec<usize> = Vec::new();
    let mut start = 0;
    for equal in packed.chunk_by(is_tie) {
        if equal.len() > 1 {
            tied.extend(start..start + equal.len());
        }
        start += equal.len();
    }
    if !tied.is_empty() {
        // Rows that are equal in the first key stay in the same positions as a whole.
        let of_tied: Vec<IdxSize> = tied.iter().map(|position| places[*position]).collect();
        let rows = sorted_by.take(&IdxCa::from_vec(PLACE.into(), of_tied.clone()))?;
        let order = place(rows, by_names())?;
        for (position, row) in tied.iter().zip(order.iter().flatten()) {
            places[*position] = of_tied[row as usize];
        }
    }
    Ok(IdxCa::from_vec(PLACE.into(), places))
}

/// The place of a row before the sort.
const PLACE: &str = "place";
/// The last bits of a packed row, which are its place.
const PLACE_BITS: u32 = 32;

/// Returns `true` if the order of a key is that of its integers of 64 bits.
fn is_packed(key: &Column) -> bool {
    use DataType::{Date, Datetime, Int32, Int64};
    matches!(key.dtype(), Int32 | Int64 | Date | Datetime(..))
}

/// A key in an integer whose order is that of the key, without a place. Null is the last.
fn packed(key: Option<i64>, descends: bool) -> u128 {
    let Some(key) = key else { return 1 << (u64::BITS + PLACE_BITS) };
    let key = if descends { !ordered(key) } else { ordered(key) };
    u128::from(key) << PLACE_BITS
}

/// The place of a packed row.
#[expect(clippy::cast_possible_truncation, reason = "a place has 32 bits")]
const fn place_of(row: u128) -> IdxSize {
    row as IdxSize
}

#[cfg(test)]
mod tests {
    use polars::prelude::{Engine, UnionArgs, concat, df, lit};
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
