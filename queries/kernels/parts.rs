//! Parts of rows by key, sorted and processed on all cores.

use rayon::prelude::*;

use super::on_all_cores;

/// The number of parts of many rows: small enough for a part to be sorted in the processor's cache.
const PARTS_BITS: u32 = 6;

/// Rows below which splitting costs more than it saves.
pub(super) const FEW: usize = 1 << 14;

/// Rows split by ranges of their key: all rows of a key are in one part, and the parts are in the order of
/// the keys.
///
/// Keys are hashes (`user_key`, `session_key`), which fill their range evenly.
#[derive(Debug)]
pub struct Parts<T> {
    parts: Vec<Vec<T>>,
}

impl<T: Send> Parts<T> {
    /// Splits rows of which about `len` are expected.
    pub fn by_key(rows: impl Iterator<Item = (i64, T)>, len: usize) -> Self {
        let bits = if len < FEW { 0 } else { PARTS_BITS };
        let expected = (len >> bits) + (len >> (bits + 3));
        let mut parts: Vec<Vec<T>> = (0..1 << bits).map(|_| Vec::with_capacity(expected)).collect();
        for (key, row) in rows {
            let part = if bits == 0 { 0 } else { ordered(key) >> (u64::BITS - bits) };
            parts[usize::try_from(part).unwrap_or_default()].push(row);
        }
        Self { parts }
    }

    /// Processes each part on one of the cores and returns the results in the order of the keys.
    pub fn map<R: Send>(self, process: impl Fn(Vec<T>) -> R + Send + Sync) -> Vec<R> {
        on_all_cores(|| self.parts.into_par_iter().map(process).collect())
    }

    /// Processes each part with the part of other rows that has the same keys, as [`Parts::map`] does.
    ///
    /// Both must expect the same number of rows, so that their parts have the same bounds.
    pub fn map_with<U: Send, R: Send>(
        self,
        other: Parts<U>,
        process: impl Fn(Vec<T>, Vec<U>) -> R + Send + Sync,
    ) -> Vec<R> {
        on_all_cores(|| {
            let pairs = self.parts.into_par_iter().zip(other.parts);
            pairs.map(|(part, other)| process(part, other)).collect()
        })
    }
}

/// An integer whose order as an unsigned one is that of the signed `value`.
pub const fn ordered(value: i64) -> u64 {
    value.cast_unsigned() ^ (1 << 63)
}

/// Key and value in one integer whose order is that of the pair.
pub const fn pack(key: i64, value: i64) -> u128 {
    ((ordered(key) as u128) << 64) | ordered(value) as u128
}

/// The key and the value of a packed pair.
#[expect(clippy::cast_possible_truncation, reason = "each half of 128 bits has 64")]
pub const fn unpack(pair: u128) -> (i64, i64) {
    (signed((pair >> 64) as u64), signed(pair as u64))
}

const fn signed(ordered: u64) -> i64 {
    (ordered ^ (1 << 63)).cast_signed()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn packed_pairs_have_the_order_of_pairs(a: (i64, i64), b: (i64, i64)) {
            let pack = |(key, value)| pack(key, value);
            prop_assert_eq!(pack(a).cmp(&pack(b)), a.cmp(&b));
            prop_assert_eq!(unpack(pack(a)), a);
        }

        #[test]
        fn parts_sorted_one_by_one_are_sorted_altogether(
            mut keys in proptest::collection::vec(any::<i64>(), 0..200),
            len in prop_oneof![Just(0), Just(FEW)],
        ) {
            let parts = Parts::by_key(keys.iter().map(|key| (*key, *key)), len);
            let sorted = parts.map(|mut part| { part.sort_unstable(); part }).concat();
            keys.sort_unstable();
            prop_assert_eq!(sorted, keys);
        }
    }
}
