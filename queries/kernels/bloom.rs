//! Bloom filter: of many rows those whose key may be among a few.
//!
//! A hash join of Polars searches its table of the few keys once for each of the many rows, mostly in memory
//! outside of the processor's cache, to find nothing. A bit for the hash of each key, of sixteen times as many bits
//! as keys, leaves out most rows in a few instructions.
//!
//! The filter is a part of the scan of the many rows: only their key is read to decide, and the other columns of
//! those that pass.

use polars::prelude::arity::unary_elementwise_values;
use polars::prelude::{BooleanChunked, Column, DataType, Expr, Field, IntoColumn, PolarsResult};

/// Of rows whose key is not among the keys, one in as many passes at most.
const BITS_A_KEY: usize = 16;

/// Predicate: the key of a row may be among `keys`. It is null without a key.
///
/// Keys are an Int64 of both. A join leaves out the few rows that pass for nothing.
///
/// # Errors
/// Keys of another type.
pub fn may_be_among(key: Expr, keys: &Column) -> PolarsResult<Expr> {
    let keys = keys.as_materialized_series().i64()?;
    let bloom = Bloom::of(keys.iter().flatten(), keys.len());
    let passes = move |column: Column| {
        let asked = column.as_materialized_series().i64()?;
        let passes: BooleanChunked = unary_elementwise_values(asked, |key| bloom.may_hold(key));
        Ok(passes.into_column())
    };
    let boolean = |_: &_, field: &Field| Ok(Field::new(field.name().clone(), DataType::Boolean));
    Ok(key.map(passes, boolean))
}

/// A bit for the hash of each key.
struct Bloom {
    words: Vec<u64>,
    /// Leaves as many bits of a hash as number all bits of the words.
    shift: u32,
}

impl Bloom {
    fn of(keys: impl Iterator<Item = i64>, len: usize) -> Self {
        let bits = len.saturating_mul(BITS_A_KEY).next_power_of_two().max(64);
        let shift = u64::BITS - bits.trailing_zeros();
        let mut bloom = Self { words: vec![0; bits / 64], shift };
        for key in keys {
            let (word, bit) = bloom.place(key);
            bloom.words[word] |= bit;
        }
        bloom
    }

    fn may_hold(&self, key: i64) -> bool {
        let (word, bit) = self.place(key);
        self.words[word] & bit != 0
    }

    /// The word of a key, and the bit in it.
    fn place(&self, key: i64) -> (usize, u64) {
        // The golden ratio in 64 bits spreads keys that are not hashes, too.
        let hash = key.cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> self.shift;
        (usize::try_from(hash / 64).unwrap_or_default(), 1 << (hash % 64))
    }
}

#[cfg(test)]
mod tests {
    use polars::prelude::{Engine, IntoLazy, col, df};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// Keys are hashes, or small numbers.
        #[test]
        fn rows_of_the_keys_pass_in_their_order_and_few_others(
            keys in prop::collection::vec(prop::option::of(prop_oneof![-3..9_i64, any::<i64>()]), 0..60),
            others in prop::collection::vec(prop::option::of(prop_oneof![-3..9_i64, any::<i64>()]), 0..60),
            strangers in 0..2_000_i64,
        ) {
            let hash = |key: i64| key.wrapping_mul(0x2545_f491_4f6c_dd1d);
            let asked: Vec<Option<i64>> = others.iter().copied()
                .chain(keys.iter().copied())
                .chain((0..strangers).map(|key| Some(hash(key))))
                .collect();
            let rows = df!["key" => &asked].unwrap().lazy().with_row_index("row", None);
            let known = Column::new("known".into(), &keys);
            let found = rows.filter(may_be_among(col("key"), &known).unwrap());
            let found = found.collect_with_engine(Engine::Streaming).unwrap().unwrap_single();
            let passed: Vec<u32> = found.column("row").unwrap().u32().unwrap().iter().flatten().collect();
            prop_assert!(passed.is_sorted());
            let of_keys: Vec<Option<i64>> = found.column("key").unwrap().i64().unwrap().iter().collect();
            let is_named = |key: &Option<i64>| key.is_some() && keys.contains(key);
            let named = |all: &[Option<i64>]| all.iter().filter(|key| is_named(key)).count();
            prop_assert_eq!(named(&of_keys), named(&asked));
            prop_assert!(of_keys.iter().all(Option::is_some));
            let first_stranger = others.len() + keys.len();
            let passed = passed.iter().filter(|row| **row as usize >= first_stranger).count();
            prop_assert!(passed <= 40 + usize::try_from(strangers).unwrap() / 8, "{passed} of {strangers}");
        }
    }
}
