//! Hashes of 64 bits as join keys: a join or a group-by of one integer compares and copies no texts.

use polars::prelude::{
    Column, DataType, Expr, Field, Int64Chunked, IntoColumn, NewChunkedArray, PolarsResult,
};
use wabalake_data::tables::text_key;

/// Stands for null among the values that are hashed.
const NULL: u64 = 0x5bd1_e995_9d1b_873d;

/// The hash of each text, as keys of a table are made; null for null.
pub fn key_of_text(text: Expr) -> Expr {
    let hashed = |texts: Column| -> PolarsResult<Column> {
        let keys = texts.str()?.iter().map(|text| text.map(text_key));
        Ok(Int64Chunked::from_iter_options(texts.name().clone(), keys).into_column())
    };
    text.map(hashed, |_, field| Ok(int64(field)))
}

/// The hash of several columns, which are texts or as wide as 64 bits at most. It is never null: nulls are
/// hashed as if they were a value.
pub fn key_of(columns: &[Expr]) -> Expr {
    let hashed = |columns: &mut [Column]| -> PolarsResult<Column> {
        let rows = columns.iter().map(Column::len).max().unwrap_or_default();
        let mut keys = vec![0; rows];
        for column in &*columns {
            let column = column.as_materialized_series();
            if let Ok(texts) = column.str() {
                mix(&mut keys, texts.iter().map(|text| text.map(text_key)));
            } else {
                mix(&mut keys, column.to_physical_repr().cast(&DataType::Int64)?.i64()?.iter());
            }
        }
        let keys = keys.into_iter().map(u64::cast_signed);
        Ok(Int64Chunked::from_iter_values(columns[0].name().clone(), keys).into_column())
    };
    match columns {
        [] => key_of_text(polars::prelude::lit("")),
        [first, others @ ..] => {
            first.clone().map_many(hashed, others, |_, fields| Ok(int64(&fields[0])))
        }
    }
}

/// Adds a value to each hash.
fn mix(keys: &mut [u64], values: impl Iterator<Item = Option<i64>>) {
    for (key, value) in keys.iter_mut().zip(values) {
        let value = value.map_or(NULL, i64::cast_unsigned);
        let mixed = (key.rotate_left(29) ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ (mixed >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        *key = mixed ^ (mixed >> 32);
    }
}

fn int64(field: &Field) -> Field {
    Field::new(field.name().clone(), DataType::Int64)
}

#[cfg(test)]
mod tests {
    use polars::prelude::{IntoLazy, col, df};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Columns may have nulls, and the values of one may be those of another.
        #[test]
        fn keys_are_equal_if_and_only_if_all_values_are(
            rows in prop::collection::vec(
                (prop::option::of(-2..2_i64), prop::option::of(-2..2_i32), prop::option::of("[ab]?")),
                1..40,
            ),
        ) {
            let numbers: Vec<_> = rows.iter().map(|row| row.0).collect();
            let versions: Vec<_> = rows.iter().map(|row| row.1).collect();
            let texts: Vec<_> = rows.iter().map(|row| row.2.clone()).collect();
            let frame = df!["n" => numbers, "version" => versions, "text" => texts].unwrap();
            let key = key_of(&["n", "version", "text"].map(col)).alias("key");
            let keys = frame.lazy().select([key]).collect().unwrap();
            let keys: Vec<_> = keys.column("key").unwrap().i64().unwrap().iter().collect();
            for (row, key) in rows.iter().zip(&keys) {
                prop_assert!(key.is_some());
                for (other, other_key) in rows.iter().zip(&keys) {
                    prop_assert_eq!(row == other, key == other_key);
                }
            }
        }
    }
}
