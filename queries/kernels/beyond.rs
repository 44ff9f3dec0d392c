//! Rows that an allowance of each month and line does not cover: those beyond the first ones, by time.
//!
//! ```text
//! month   line   at      left   beyond the first   beyond the first of those that are left
//! June    A      09:00
//! June    A      09:10   yes    yes
//! June    A      10:00   yes    yes                yes
//! June    B      09:30   yes
//!         A      10:10   yes                                    of no month: not counted
//! ```

use polars::prelude::{BooleanChunked, DataType, Field, IntoColumn, LazyFrame, NewChunkedArray};

use super::adding;
use super::gaps::{By, Message, sort, split, truths};

/// Adds two columns: `true` for a row beyond the first `free` ones of its month and line, and for one beyond the
/// first `free` ones that are `left`. Rows keep their order.
///
/// The month is [`By::person`], an Int64; rows without one are not counted. `left` is a column of booleans.
pub fn beyond(
    rows: LazyFrame,
    by: By,
    free: i64,
    left: &'static str,
    named: [&'static str; 2],
) -> LazyFrame {
    let added = named.map(|named| Field::new(named.into(), DataType::Boolean)).to_vec();
    let name =
        format!("rows beyond the first {free} of each month and line: {by:?} {left} {named:?}");
    // More rows than memory can hold are no limit.
    let free = usize::try_from(free).unwrap_or(usize::MAX);
    adding(rows, name, added, move |mut rows| {
        let ids = rows.column(by.id)?.str()?.clone();
        let is_left = truths(&rows, left)?;
        let parts = split(&rows, by)?.map(|mut rows| {
            sort(&mut rows, &ids);
            rows_beyond(&rows, free, &is_left)
        });
        let mut beyond = named.map(|_| vec![false; rows.height()]);
        for found in parts {
            for (beyond, found) in beyond.iter_mut().zip(found) {
                for row in found {
                    beyond[row as usize] = true;
                }
            }
        }
        for (named, beyond) in named.into_iter().zip(beyond) {
            let beyond = BooleanChunked::from_iter_values(named.into(), beyond.into_iter());
            rows.with_column(beyond.into_column())?;
        }
        Ok(rows)
    })
}

/// Of sorted rows, those beyond the first of their month and line, and those beyond the first that are left.
fn rows_beyond(rows: &[Message], free: usize, is_left: &[bool]) -> [Vec<u32>; 2] {
    let mut beyond = [Vec::new(), Vec::new()];
    for of_line in rows.chunk_by(|one, next| (one.person, one.line) == (next.person, next.line)) {
        let places = of_line.iter().map(|message| message.row);
        let left = places.clone().filter(|place| is_left[*place as usize]);
        beyond[0].extend(places.skip(free));
        beyond[1].extend(left.skip(free));
    }
    beyond
}

#[cfg(test)]
mod tests {
    use polars::prelude::{DataFrame, Engine, Expr, IntoLazy, SortMultipleOptions, col, df, lit};
    use proptest::prelude::*;
    use wabalake_data::tables::instant;

    use super::*;

    const BY: By = By { person: "month", line: "line", at: "at", id: "id" };

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn rows_beyond_the_first_have_greater_numbers(
            given in prop::collection::vec(
                (
                    prop::option::weighted(0.8, 20_000..20_002_i64),
                    prop::option::of(prop::sample::select(vec!["12025550140", "12025550141"])),
                    0..6_i64,
                    any::<bool>(),
                ),
                0..50,
            ),
            free in prop_oneof![0..4_i64, Just(i64::MAX)],
        ) {
            let id = |row: usize| format!("wamid.{:03}", row * 7_919 % 1_009);
            let rows = df![
                "month" => given.iter().map(|row| row.0).collect::<Vec<_>>(),
                "line" => given.iter().map(|row| row.1).collect::<Vec<_>>(),
                "at" => given.iter().map(|row| row.2).collect::<Vec<_>>(),
                "left" => given.iter().map(|row| row.3).collect::<Vec<_>>(),
                "id" => (0..given.len()).map(id).collect::<Vec<_>>(),
            ];
            let rows = rows.unwrap().lazy().with_column(col("at").cast(instant()));
            let number = |counted: Expr| {
                let number = counted.clone().cast(DataType::Int64).cum_sum(false);
                let number = number.over([col("month"), col("line")]).unwrap();
                counted.and(number.gt(lit(free)))
            };
            let is_counted = || col("month").is_not_null();
            let expected = rows
                .clone()
                .sort(["at", "id"], SortMultipleOptions::default())
                .with_columns([
                    number(is_counted()).alias("all"),
                    number(is_counted().and(col("left"))).alias("of_left"),
                ]);
            let found = beyond(rows, BY, free, "left", ["all", "of_left"]);
            let collected = |rows: LazyFrame| -> DataFrame {
                let rows = rows.sort(["id"], SortMultipleOptions::default());
                rows.collect_with_engine(Engine::Streaming).unwrap().unwrap_single()
            };
            prop_assert!(collected(found).equals_missing(&collected(expected)));
        }
    }
}
