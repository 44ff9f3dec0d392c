//! Running numbers: the place of a row among those of its group, in the order of time.
//!
//! ```text
//! group  time    id   counted   number
//! MX     10:00   b    yes       2
//! MX     10:00   a    yes       1
//! CO     11:00   c    yes       1
//! MX     12:00   d    no        2
//! ```

use polars::prelude::{
    Column, DataFrame, DataType, Field, InitHashMaps, Int64Chunked, IntoColumn, LazyFrame,
    PlHashMap, PolarsResult,
};
use rayon::prelude::*;

use super::{adding, places};

/// One of the numbers that [`numbered`] adds.
#[derive(Clone, Copy, Debug)]
pub struct Numbering {
    /// The column of the group, Int64. Rows with a null are a group, too.
    pub group: &'static str,
    /// The column that is `true` for rows that are counted.
    pub counted: &'static str,
    /// The new column, Int64: how many counted rows of the group there are up to the row itself.
    pub named: &'static str,
}

/// Adds running numbers to rows, which keep their order. Time is a column of integers or instants; at one time,
/// rows are counted in the order of their `id`, a text.
pub fn numbered(
    rows: LazyFrame,
    [time, id]: [&'static str; 2],
    numberings: Vec<Numbering>,
) -> LazyFrame {
    let added = numberings.iter().map(|of| Field::new(of.named.into(), DataType::Int64));
    adding(rows, "running numbers", added.collect(), move |mut rows| {
        let order = in_order(&rows, time, id)?;
        for of in &numberings {
            let numbers = numbers(&rows, &order, *of)?;
            rows.with_column(numbers)?;
        }
        Ok(rows)
    })
}

/// The places of the rows in the order of time and id.
fn in_order(rows: &DataFrame, time: &str, id: &str) -> PolarsResult<Vec<u32>> {
    let times = rows.column(time)?.to_physical_repr();
    let times = times.i64()?.iter();
    let ids = rows.column(id)?.str()?.rechunk().into_owned();
    let mut order: Vec<(Option<i64>, u32)> = times.zip(places()).collect();
    let id = |place: u32| ids.get(place as usize);
    order.par_sort_unstable_by(|one, other| {
        let by_id = || id(one.1).cmp(&id(other.1)).then(one.1.cmp(&other.1));
        one.0.cmp(&other.0).then_with(by_id)
    });
    Ok(order.into_iter().map(|(_, place)| place).collect())
}

fn numbers(rows: &DataFrame, order: &[u32], of: Numbering) -> PolarsResult<Column> {
    let groups: Vec<Option<i64>> = rows.column(of.group)?.i64()?.iter().collect();
    let counted: Vec<bool> =
        rows.column(of.counted)?.bool()?.iter().map(|is| is == Some(true)).collect();
    let mut numbers = vec![0_i64; groups.len()];
    let mut counts = PlHashMap::<Option<i64>, i64>::new();
    for place in order {
        let place = *place as usize;
        let count = counts.entry(groups[place]).or_default();
        *count += i64::from(counted[place]);
        numbers[place] = *count;
    }
    Ok(Int64Chunked::from_vec(of.named.into(), numbers).into_column())
}

#[cfg(test)]
mod tests {
    use polars::prelude::{Engine, IntoLazy, SortMultipleOptions, col, df};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn numbers_are_running_sums_over_sorted_rows(
            given in prop::collection::vec(
                (prop::option::of(0..3_i64), 0..6_i64, prop::option::of(any::<bool>())),
                0..40,
            ),
        ) {
            let ids = (0..given.len()).map(|place| format!("{}{place:02}", place % 3));
            let rows = df![
                "group" => given.iter().map(|row| row.0).collect::<Vec<_>>(),
                "time" => given.iter().map(|row| row.1).collect::<Vec<_>>(),
                "id" => ids.collect::<Vec<_>>(),
                "counted" => given.iter().map(|row| row.2).collect::<Vec<_>>(),
            ];
            let rows = rows.unwrap().lazy();
            let of = Numbering { group: "group", counted: "counted", named: "number" };
            let answer = numbered(rows.clone(), ["time", "id"], vec![of]);
            let counted = col("counted").fill_null(polars::prelude::lit(false));
            let counted = counted.cast(DataType::Int64).cum_sum(false).over([col("group")]).unwrap();
            let expected = rows
                .sort(["time", "id"], SortMultipleOptions::default())
                .with_column(counted.alias("number"));
            let collected = |rows: LazyFrame| {
                let rows = rows.sort(["id"], SortMultipleOptions::default());
                rows.collect_with_engine(Engine::Streaming).unwrap().unwrap_single()
            };
            prop_assert!(collected(answer).equals_missing(&collected(expected)));
        }
    }
}
