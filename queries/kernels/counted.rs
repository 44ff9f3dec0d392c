//! Counts of the rows that name another row by its key.
//!
//! ```text
//! key   parent   children
//! a              2
//! b     a        0
//! c     a        0
//! d     x        0: nothing has the key x
//! ```

use polars::prelude::{
    Column, DataFrame, DataType, Field, IntoColumn, LazyFrame, PolarsResult, UInt32Chunked,
};

use super::adding;
use super::parts::{Parts, pack, unpack};

/// Adds to each row a `UInt32` column for each pair of `counts`, a column of keys and a name: how many rows have
/// the row's own `key` in that column.
///
/// All keys are 64-bit integers. A row without a key of its own has counts of zero. Rows keep their order.
pub fn counted<const N: usize>(
    rows: LazyFrame,
    key: &'static str,
    counts: [(&'static str, &'static str); N],
) -> LazyFrame {
    let added = counts.iter().map(|(_, named)| Field::new((*named).into(), DataType::UInt32));
    let name = format!("rows that name a key: {key} {counts:?}");
    adding(rows, name, added.collect(), move |mut rows| {
        for column in columns(&rows, key, &counts)? {
            rows.with_column(column)?;
        }
        Ok(rows)
    })
}

fn columns<const N: usize>(
    rows: &DataFrame,
    key: &str,
    counts: &[(&str, &str); N],
) -> PolarsResult<Vec<Column>> {
    // A key's own row follows the rows that name it.
    let columns: Vec<&str> = counts.iter().map(|(names, _)| *names).chain([key]).collect();
    let parts = Parts::of(rows, |rows, places, parts| {
        for (kind, column) in (0_i64..).zip(&columns) {
            let keys = rows.column(column)?.i64()?.iter().zip(places.clone());
            parts.extend(keys.filter_map(|(key, place)| {
                Some((key?, pack(key?, (kind << u32::BITS) | i64::from(place))))
            }));
        }
        Ok(())
    })?;
    let parts = parts.map(of_part::<N>);
    let mut sums = vec![vec![0_u32; rows.height()]; N];
    for (place, of_row) in parts.into_iter().flatten() {
        for (sums, count) in sums.iter_mut().zip(of_row) {
            sums[place as usize] = count;
        }
    }
    let named = counts.iter().zip(sums);
    Ok(named
        .map(|((_, named), sums)| UInt32Chunked::from_vec((*named).into(), sums).into_column())
        .collect())
}

/// The place and the counts of each row of a part that others name.
fn of_part<const N: usize>(mut entries: Vec<u128>) -> Vec<(u32, [u32; N])> {
    entries.sort_unstable();
    let mut found = Vec::new();
    let (mut at, mut counts) = (None, [0; N]);
    for entry in entries {
        let (key, tag) = unpack(entry);
        if at != Some(key) {
            (at, counts) = (Some(key), [0; N]);
        }
        let kind = usize::try_from(tag >> u32::BITS).unwrap_or(N);
        if let Some(count) = counts.get_mut(kind) {
            *count += 1;
        } else if counts != [0; N] {
            found.push((u32::try_from(tag & i64::from(u32::MAX)).unwrap_or_default(), counts));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use polars::prelude::{Engine, IntoLazy, df};
    use proptest::prelude::*;

    use super::*;

    /// Key, parent and friend.
    type Given = (Option<i64>, Option<i64>, Option<i64>);

    fn key() -> impl Strategy<Value = Option<i64>> {
        prop::option::of(prop_oneof![4 => -2..3_i64, 1 => any::<i64>()])
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn rows_that_name_a_key_are_counted(
            given in prop::collection::vec((key(), key(), key()), 0..60),
        ) {
            let frame = df![
                "key" => given.iter().map(|row| row.0).collect::<Vec<_>>(),
                "parent" => given.iter().map(|row| row.1).collect::<Vec<_>>(),
                "friend" => given.iter().map(|row| row.2).collect::<Vec<_>>(),
            ];
            let counts = [("parent", "children"), ("friend", "friends")];
            let answer = counted(frame.unwrap().lazy(), "key", counts);
            let answer = answer.collect_with_engine(Engine::Streaming).unwrap().unwrap_single();
            let column = |name: &str| -> Vec<u32> {
                answer.column(name).unwrap().u32().unwrap().iter().flatten().collect()
            };
            let expected = |named: fn(&Given) -> Option<i64>| {
                let count = |key: Option<i64>| given.iter().filter(|row| named(row) == key).count();
                let count = |key: Option<i64>| key.map_or(0, |_| count(key));
                given.iter().map(|row| u32::try_from(count(row.0)).unwrap()).collect::<Vec<_>>()
            };
            prop_assert_eq!(column("children"), expected(|row| row.1));
            prop_assert_eq!(column("friends"), expected(|row| row.2));
        }
    }
}
