//! A plan for the distinct combinations of a few columns, whose answer all rows of a combination share.
//!
//! ```text
//! rows: country  date      distinct: country  date        plan: market      rows: market
//!       MX       1 June              MX       1 June            Mexico            Mexico
//!       MX       1 June              BR       1 June            Brazil            Mexico
//!       BR       1 June                                                           Brazil
//! ```
//!
//! A year of messages has a few thousand pairs of country and date. A join of all rows hashes and copies texts for
//! each of them. The expressions need all rows at once, and so run outside of streaming, as a window does.

use polars::prelude::{
    Column, DataFrame, DataType, Expr, Field, IdxCa, IdxSize, IntoColumn, IntoLazy, IntoSeries,
    LazyFrame, PolarsResult, UInt32Chunked, by_name, col,
};

use super::dictionary::Numbers;
use super::{collected, grown, taken};

/// The column of the number of a combination, `UInt32`.
pub const ALIKE: &str = "number_of_combination";

/// Adds to rows the columns `added`, which a plan gives to each distinct combination of the columns `keys`: texts,
/// integers, dates, timestamps or booleans. A null equals a null.
///
/// The plan gets the keys and [`ALIKE`], and returns a row for each number, or none: then they are null.
pub fn with_alike<F>(
    rows: LazyFrame,
    keys: &'static [&'static str],
    added: Vec<Field>,
    plan: F,
) -> LazyFrame
where
    F: Fn(LazyFrame) -> PolarsResult<LazyFrame> + Send + Sync + 'static,
{
    let own = added.clone();
    let shared = move |columns: &mut [Column]| -> PolarsResult<Column> {
        let (numbers, found) = of_alike(columns, keys, &plan)?;
        let mut places: Vec<Option<IdxSize>> = Vec::new();
        for (number, place) in found.column(ALIKE)?.u32()?.iter().zip(0..) {
            *grown(&mut places, number.unwrap_or_default()) = Some(place);
        }
        let place = numbers.iter().map(|number| *places.get(number? as usize)?);
        brought(&found, &place.collect::<Vec<_>>(), &own)
    };
    with_struct(rows, keys.iter().map(|key| col(*key)), added, shared)
}

/// The number of the combination of each row, and what a plan gives to the combinations, by [`ALIKE`].
///
/// # Errors
/// Those of the plan.
pub fn of_alike(
    columns: &[Column],
    keys: &[&str],
    plan: impl Fn(LazyFrame) -> PolarsResult<LazyFrame>,
) -> PolarsResult<(UInt32Chunked, DataFrame)> {
    let numbers = Numbers::of(keys.len()).rows(columns)?;
    let numbers = numbers.u32()?.clone();
    // Numbers are given in the order of the rows.
    let (mut first, mut known) = (Vec::new(), Vec::new());
    for (number, row) in numbers.iter().flatten().zip(0..) {
        if number as usize == known.len() {
            first.push(row);
            known.push(number);
        }
    }
    let first = IdxCa::from_vec(ALIKE.into(), first);
    let own = columns.iter().zip(keys);
    let own = own.map(|(column, key)| Ok(column.take(&first)?.with_name((*key).into())));
    let mut distinct = own.collect::<PolarsResult<Vec<_>>>()?;
    distinct.push(Column::new(ALIKE.into(), known));
    let distinct = DataFrame::new(first.len(), distinct)?.lazy();
    let found = collected(plan(distinct)?)?;
    Ok((numbers, found))
}

/// Adds the fields of a struct that a function makes of whole columns.
pub fn with_struct<F>(
    rows: LazyFrame,
    of: impl IntoIterator<Item = Expr>,
    fields: Vec<Field>,
    function: F,
) -> LazyFrame
where
    F: Fn(&mut [Column]) -> PolarsResult<Column> + Send + Sync + 'static,
{
    const BROUGHT: &str = "brought";
    let mut of = of.into_iter();
    let Some(first) = of.next() else { return rows };
    let own = fields.iter().map(|field| col(BROUGHT).struct_().field_by_name(field.name()));
    let own: Vec<Expr> = own.collect();
    let declared =
        move |_: &_, _: &[Field]| Ok(Field::new(BROUGHT.into(), DataType::Struct(fields.clone())));
    let found = first.apply_many(function, &of.collect::<Vec<_>>(), declared);
    rows.with_column(found.alias(BROUGHT)).with_columns(own).drop(by_name([BROUGHT], true, false))
}

/// The columns of a frame at a place for each row, as a struct.
pub fn brought(
    found: &DataFrame,
    places: &[Option<IdxSize>],
    fields: &[Field],
) -> PolarsResult<Column> {
    let columns = found.select(fields.iter().map(Field::name).cloned())?;
    let columns = taken(columns, places.len(), |row| places[row])?;
    Ok(columns.into_struct(ALIKE.into()).into_series().into_column())
}

#[cfg(test)]
mod tests {
    use polars::prelude::{Engine, JoinArgs, JoinType, SortMultipleOptions, df};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn columns_are_those_of_a_join(
            given in prop::collection::vec((prop::option::of("(|a|b)"), prop::option::of(0..4_i64)), 0..60),
            known in prop::collection::btree_map(("(|a|c)", 0..3_i64), "[x-z]", 0..9),
            repeated in prop_oneof![4 => Just(1), 1 => Just(400)],
        ) {
            let given: Vec<_> = std::iter::repeat_n(given, repeated).flatten().collect();
            let rows = df![
                "text" => given.iter().map(|row| row.0.clone()).collect::<Vec<_>>(),
                "number" => given.iter().map(|row| row.1).collect::<Vec<_>>(),
            ];
            let rows = rows.unwrap().lazy().with_row_index("row", None);
            let known = df![
                "text" => known.keys().map(|key| key.0.clone()).collect::<Vec<_>>(),
                "number" => known.keys().map(|key| key.1).collect::<Vec<_>>(),
                "named" => known.values().cloned().collect::<Vec<_>>(),
            ];
            let known = known.unwrap().lazy();
            let of = ["text", "number"].map(col);
            let plain = rows.clone().join(known.clone(), &of, &of, JoinArgs::new(JoinType::Left));
            let inner = move |distinct: LazyFrame| {
                let of = ["text", "number"].map(col);
                Ok(distinct.join(known.clone(), &of, &of, JoinArgs::new(JoinType::Inner)))
            };
            let found = with_alike(rows, &["text", "number"], vec![Field::new("named".into(), DataType::String)], inner);
            let sorted = |rows: LazyFrame, engine| {
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
