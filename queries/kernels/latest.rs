//! The latest rows of each key, found before their other columns are read.

use polars::prelude::{
    BooleanChunked, Column, DataType, Expr, Field, IntoColumn, NewChunkedArray, PolarsResult,
};

use super::dictionary::Numbers;

/// Predicate: a row is the latest of its key among the rows that are read together.
///
/// It keeps all rows at the greatest `at` of a key, and some earlier ones, which differ from run to run: a
/// file or a part of one is read at a time. So it goes before a plan that finds the latest row, which then
/// has few rows to sort or to join. A scan evaluates it before it reads the remaining columns. A row whose
/// `at` is null is never the latest.
///
/// A key is a text, an integer, a date, a timestamp or a boolean; `at` is an integer, a date or a timestamp.
pub fn may_be_latest(key: Expr, at: Expr) -> Expr {
    let boolean =
        |_: &_, fields: &[Field]| Ok(Field::new(fields[0].name().clone(), DataType::Boolean));
    key.map_many(|columns| in_batch(&columns[0], &columns[1]), &[at], boolean)
}

fn in_batch(key: &Column, at: &Column) -> PolarsResult<Column> {
    let keys = Numbers::of(1).column(0, key)?;
    let at = at.as_materialized_series().to_physical_repr().cast(&DataType::Int64)?;
    let at = at.i64()?;
    let mut latest: Vec<Option<i64>> = Vec::new();
    for (key, at) in keys.iter().zip(at.iter()) {
        let key = *key as usize;
        if key >= latest.len() {
            latest.resize(key + 1, None);
        }
        latest[key] = latest[key].max(at);
    }
    let is_latest = keys.iter().zip(at.iter());
    let is_latest = is_latest.map(|(key, at)| at.is_some() && at == latest[*key as usize]);
    Ok(BooleanChunked::from_iter_values(key.name().clone(), is_latest).into_column())
}

#[cfg(test)]
mod tests {
    use polars::prelude::*;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn all_latest_rows_are_kept(
            given in prop::collection::vec((prop::option::of("(a|b|)"), prop::option::of(0..5_i64)), 0..40),
            cut in 0..40_usize,
        ) {
            let rows = df![
                "key" => given.iter().map(|row| row.0.clone()).collect::<Vec<_>>(),
                "at" => given.iter().map(|row| row.1).collect::<Vec<_>>(),
            ];
            let rows = rows.unwrap().lazy().with_row_index("row", None).collect().unwrap();
            let cut = cut.min(rows.height());
            let (before, after) = rows.split_at(i64::try_from(cut).unwrap());
            let is_latest = col("at").eq(col("at").max().over([col("key")]).unwrap());
            let latest = |rows: LazyFrame| {
                let rows = rows.filter(is_latest.clone()).sort(["row"], SortMultipleOptions::default());
                rows.collect().unwrap()
            };
            let kept = [before, after].map(|part| {
                part.lazy().filter(may_be_latest(col("key"), col("at"))).collect().unwrap().lazy()
            });
            let kept = concat(kept, UnionArgs::default()).unwrap();
            prop_assert!(latest(kept).equals_missing(&latest(rows.clone().lazy())));
            let mask = in_batch(rows.column("key").unwrap(), rows.column("at").unwrap()).unwrap();
            let at_once = rows.filter(mask.bool().unwrap()).unwrap();
            prop_assert!(at_once.equals_missing(&latest(rows.lazy())));
        }
    }
}
