//! Numbers of rows in the order of time: of all rows, and of those of each group.
//!
//! ```text
//! line  at     id   counted   place   until it, of its line
//! A     10:00  m2   true      1       1
//! B     10:05  m3   true      2       1
//! A     09:00  m1   false     0       0
//! A     11:00  m4   true      3       2
//! ```
//!
//! Polars would sort all columns of the rows for it, and then sum up in each group by a hash of its keys. Here, no
//! row is moved. Both expressions need all rows at once, and so run outside of streaming, as a window does.

use std::cmp::Ordering;

use polars::prelude::{
    Column, DataType, Expr, Field, Int64Chunked, IntoColumn, PolarsResult, StringChunked,
    UInt32Chunked,
};
use rayon::prelude::*;

use super::{grown, on_all_cores, places};

/// The column of the [place](place_in_time) of a row in the order of time, `UInt32`.
pub const PLACE: &str = "place_in_time";

/// Expression: the place of each row in the order of time, from 0, `UInt32`.
///
/// `at` is a timestamp or an integer. Rows of one time are in the order of `ties`, which are texts or integers; those
/// that are equal in them, too, in any order. Nulls come last.
pub fn place_in_time(at: Expr, ties: &[Expr]) -> Expr {
    at.apply_many(|columns| places_of(columns), ties, |_, fields| Ok(uint32(&fields[0])))
}

/// Expression: how many rows of the group of a row are `counted` until its [place](place_in_time), itself included,
/// `Int64`.
///
/// Groups are [numbers](super::dictionary::number).
pub fn count_until(place: Expr, group: Expr, counted: Expr) -> Expr {
    let int64 = |_: &_, fields: &[Field]| Ok(Field::new(fields[0].name().clone(), DataType::Int64));
    place.apply_many(|columns| counts(columns), &[group, counted], int64)
}

fn uint32(field: &Field) -> Field {
    Field::new(field.name().clone(), DataType::UInt32)
}

/// What decides between rows of one time.
enum Tie {
    Texts(StringChunked),
    Integers(Int64Chunked),
}

impl Tie {
    fn of(column: &Column) -> PolarsResult<Self> {
        let values = column.as_materialized_series().to_physical_repr();
        Ok(match values.str() {
            Ok(texts) => Self::Texts(texts.rechunk().into_owned()),
            Err(_) => {
                let integers = values.cast(&DataType::Int64)?;
                Self::Integers(integers.i64()?.rechunk().into_owned())
            }
        })
    }

    fn compare(&self, one: u32, other: u32) -> Ordering {
        let (one, other) = (one as usize, other as usize);
        match self {
            Self::Texts(texts) => nulls_last(texts.get(one), texts.get(other)),
            Self::Integers(integers) => nulls_last(integers.get(one), integers.get(other)),
        }
    }
}

fn nulls_last<T: Ord>(one: Option<T>, other: Option<T>) -> Ordering {
    one.is_none().cmp(&other.is_none()).then_with(|| one.cmp(&other))
}

fn places_of(columns: &[Column]) -> PolarsResult<Column> {
    let (at, others) = (&columns[0], &columns[1..]);
    let instants = at.as_materialized_series().to_physical_repr().cast(&DataType::Int64)?;
    let instants = instants.i64()?;
    let ties = others.iter().map(Tie::of).collect::<PolarsResult<Vec<_>>>()?;
    let mut rows: Vec<(i64, bool, u32)> = instants
        .iter()
        .zip(places())
        .map(|(at, row)| (at.unwrap_or(i64::MAX), at.is_none(), row))
        .collect();
    on_all_cores(|| {
        rows.par_sort_unstable();
        let at_once = rows.par_chunk_by_mut(|one, other| (one.0, one.1) == (other.0, other.1));
        at_once.for_each(|rows| {
            rows.sort_by(|one, other| {
                let ties = ties.iter().map(|tie| tie.compare(one.2, other.2));
                ties.fold(Ordering::Equal, Ordering::then)
            });
        });
    });
    let mut found = vec![0; rows.len()];
    for ((.., row), place) in rows.into_iter().zip(places()) {
        found[row as usize] = place;
    }
    Ok(UInt32Chunked::from_vec(at.name().clone(), found).into_column())
}

fn counts(columns: &[Column]) -> PolarsResult<Column> {
    let (place, group) = (columns[0].u32()?, columns[1].u32()?);
    let counted = columns[2].bool()?;
    let mut in_order = vec![(0, 0, false); place.len()];
    let rows = place.iter().zip(group.iter()).zip(counted.iter()).zip(places());
    for (((place, group), counted), row) in rows {
        in_order[place.unwrap_or_default() as usize] =
            (row, group.unwrap_or_default(), counted == Some(true));
    }
    let mut of_group: Vec<i64> = Vec::new();
    let mut found = vec![0; in_order.len()];
    for (row, group, counted) in in_order {
        let count = grown(&mut of_group, group);
        *count += i64::from(counted);
        found[row as usize] = *count;
    }
    Ok(Int64Chunked::from_vec(columns[0].name().clone(), found).into_column())
}

#[cfg(test)]
mod tests {
    use polars::prelude::*;
    use proptest::prelude::*;

    use super::*;
    use crate::kernels::dictionary::number;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn counts_are_those_of_a_sum_over_sorted_rows(
            given in prop::collection::vec(
                (prop::option::of("(|a|b)"), prop::option::of(0..6_i64), prop::option::of(0..4_i32), any::<Option<bool>>()),
                0..60,
            ),
            repeated in prop_oneof![4 => Just(1), 1 => Just(400)],
        ) {
            let given: Vec<_> = std::iter::repeat_n(given, repeated).flatten().collect();
            let rows = df![
                "line" => given.iter().map(|row| row.0.clone()).collect::<Vec<_>>(),
                "at" => given.iter().map(|row| row.1).collect::<Vec<_>>(),
                "version" => given.iter().map(|row| row.2).collect::<Vec<_>>(),
                "counted" => given.iter().map(|row| row.3).collect::<Vec<_>>(),
            ];
            let rows = rows.unwrap().lazy().with_row_index("row", None);
            let rows = rows.with_column(col("row").cast(DataType::String).alias("id"));
            let by = ["at", "version", "id"].map(col);
            let in_order = SortMultipleOptions::default().with_nulls_last(true);
            let is_counted = col("counted").fill_null(lit(false));
            let count = is_counted.cast(DataType::Int64).cum_sum(false).over(["line"]).unwrap();
            let plain = rows.clone().sort_by_exprs(&by, in_order).with_column(count.alias("count"));
            let plain = plain.drop(by_name(["id"], true, false)).with_row_index("place", None);
            let count = count_until(col("place"), number(&[col("line")]), col("counted"));
            let found = rows
                .with_column(place_in_time(col("at"), &by[1..]).alias("place"))
                .with_column(count.alias("count"));
            let sorted = |rows: LazyFrame, engine| {
                let rows = rows.select(["row", "place", "count"].map(col));
                let rows = rows.sort(["row"], SortMultipleOptions::default());
                rows.collect_with_engine(engine).unwrap().unwrap_single()
            };
            let plain = sorted(plain, Engine::InMemory);
            for engine in [Engine::InMemory, Engine::Streaming] {
                let found = sorted(found.clone(), engine);
                prop_assert!(found.equals_missing(&plain), "{found}\n{plain}");
            }
        }
    }
}
