//! Parts of rows by key, split, sorted and processed on all cores.

use std::ops::Range;

use polars::prelude::{DataFrame, PolarsResult};
use rayon::prelude::*;

use super::on_all_cores;

/// The number of parts of many rows: small enough for a part to be sorted in the processor's cache.
const PARTS_BITS: u32 = 6;

/// Rows below which splitting costs more than it saves.
pub(super) const FEW: usize = 1 << 14;

/// The rows of the smallest slice. The generated rows of tests have several.
const SLICE: usize = if cfg!(test) { 8 } else { FEW };

/// Rows split by ranges of their key: all rows of a key are in one part, and the parts are in the order of
/// the keys.
///
/// Keys are hashes (`user_key`, `session_key`), which fill their range evenly.
#[derive(Debug)]
pub struct Parts<T> {
    /// The rows of each part, in pieces that were split one by one.
    parts: Vec<Vec<Vec<T>>>,
}

impl<T: Send> Parts<T> {
    /// Splits what `of_slice` adds for each slice of a frame, given the places of the slice's rows. Slices are
    /// split side by side; in a part, their rows have the order of the frame.
    ///
    /// # Errors
    /// Those of `of_slice`.
    pub fn of(
        rows: &DataFrame,
        of_slice: impl Fn(&DataFrame, Range<u32>, &mut Split<T>) -> PolarsResult<()> + Sync,
    ) -> PolarsResult<Self> {
        Self::bounded(rows, rows.height(), of_slice)
    }

    /// [`Parts::of`] rows that are processed together with others: the parts of both have the same bounds if
    /// `len` is the same.
    ///
    /// # Errors
    /// Those of `of_slice`.
    pub fn bounded(
        rows: &DataFrame,
        len: usize,
        of_slice: impl Fn(&DataFrame, Range<u32>, &mut Split<T>) -> PolarsResult<()> + Sync,
    ) -> PolarsResult<Self> {
        let split = |slice: Range<usize>| {
            let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
            let mut parts = Split::new(len, slice.len());
            let offset = i64::try_from(slice.start).unwrap_or(i64::MAX);
            let of_rows = rows.slice(offset, slice.len());
            of_slice(&of_rows, place(slice.start)..place(slice.end), &mut parts)?;
            Ok(parts)
        };
        let slices =
            by_slices(rows.height(), split).into_iter().collect::<PolarsResult<Vec<_>>>()?;
        let of_slices = slices.into_iter().map(Self::from);
        Ok(of_slices.reduce(Self::with).unwrap_or_else(|| Split::new(len, 0).into()))
    }

    /// The rows of both, which have the same bounds.
    #[must_use]
    pub fn with(mut self, other: Self) -> Self {
        for (own, other) in self.parts.iter_mut().zip(other.parts) {
            own.extend(other);
        }
        self
    }

    /// Processes each part on one of the cores and returns the results in the order of the keys.
    pub fn map<R: Send>(self, process: impl Fn(Vec<T>) -> R + Send + Sync) -> Vec<R> {
        on_all_cores(|| self.parts.into_par_iter().map(|pieces| process(in_one(pieces))).collect())
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
            pairs.map(|(part, other)| process(in_one(part), in_one(other))).collect()
        })
    }
}

/// What `of_slice` returns for slices of rows, which cores process side by side: one for each core if there are
/// enough rows.
pub(crate) fn by_slices<R: Send>(
    height: usize,
    of_slice: impl Fn(Range<usize>) -> R + Send + Sync,
) -> Vec<R> {
    on_all_cores(|| {
        let count = rayon::current_num_threads().min(height / SLICE).max(1);
        let end = |slice: usize| height * slice / count;
        (0..count).into_par_iter().map(|slice| of_slice(end(slice)..end(slice + 1))).collect()
    })
}

fn in_one<T>(pieces: Vec<Vec<T>>) -> Vec<T> {
    let mut pieces = pieces.into_iter();
    let mut all = pieces.next().unwrap_or_default();
    all.reserve_exact(pieces.as_slice().iter().map(Vec::len).sum());
    for mut piece in pieces {
        all.append(&mut piece);
    }
    all
}

/// The parts of some of the rows, to which rows are added with their key.
#[derive(Debug)]
pub struct Split<T> {
    bits: u32,
    parts: Vec<Vec<T>>,
}

impl<T> Split<T> {
    /// Parts with the bounds of `len` rows, for `expected` of them.
    fn new(len: usize, expected: usize) -> Self {
        let bits = if len < FEW { 0 } else { PARTS_BITS };
        let expected = (expected >> bits) + (expected >> (bits + 3));
        Self { bits, parts: (0..1 << bits).map(|_| Vec::with_capacity(expected)).collect() }
    }
}

impl<T> From<Split<T>> for Parts<T> {
    fn from(split: Split<T>) -> Self {
        Self { parts: split.parts.into_iter().map(|own| vec![own]).collect() }
    }
}

impl<T> Extend<(i64, T)> for Split<T> {
    fn extend<I: IntoIterator<Item = (i64, T)>>(&mut self, rows: I) {
        let Self { bits, parts } = self;
        rows.into_iter().for_each(|(key, row)| {
            let part = if *bits == 0 { 0 } else { ordered(key) >> (u64::BITS - *bits) };
            parts[usize::try_from(part).unwrap_or_default()].push(row);
        });
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
    use polars::prelude::df;
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
            keys in proptest::collection::vec(any::<i64>(), 0..200),
            len in prop_oneof![Just(0), Just(FEW)],
        ) {
            let rows = df!["key" => &keys].unwrap();
            let parts = Parts::bounded(&rows, len, |rows, places, parts| {
                let keys = rows.column("key")?.i64()?.iter().flatten();
                parts.extend(keys.zip(places).map(|(key, place)| (key, (key, place))));
                Ok(())
            });
            let sorted = parts.unwrap().map(|mut part| { part.sort_unstable(); part }).concat();
            let mut expected: Vec<(i64, u32)> = keys.into_iter().zip(0..).collect();
            expected.sort_unstable();
            prop_assert_eq!(sorted, expected);
        }
    }
}
