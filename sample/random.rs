//! Pseudo-random numbers (splitmix64) with integer arithmetic only, so that every machine computes
//! the same ones.

/// Mixes 64 bits. It is a bijection, so there are no collisions (the finalizer of splitmix64,
/// Steele, Lea and Flood 2014).
pub(super) const fn mix(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Hashes several numbers to one.
pub(super) fn hash(parts: &[u64]) -> u64 {
    parts.iter().fold(0x9e37_79b9_7f4a_7c15, |state, part| mix(state.rotate_left(5) ^ mix(*part)))
}

/// A random number generator: splitmix64.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number in `0..end`; 0 if `end` is 0.
    pub(super) fn below(&mut self, end: u32) -> u32 {
        let product = (self.number() >> 32) * u64::from(end);
        u32::try_from(product >> 32).unwrap_or(0)
    }

    /// Returns `true` with a probability of `permille` in 1000.
    pub(super) fn chance(&mut self, permille: u32) -> bool {
        self.below(1000) < permille
    }

    /// Microseconds in `low..high`, in steps of a millisecond.
    pub(super) fn between(&mut self, low: i64, high: i64) -> i64 {
        let milliseconds = u32::try_from((high - low) / 1000).unwrap_or(u32::MAX);
        low + i64::from(self.below(milliseconds)) * 1000
    }

    /// An item of a list, which must not be empty.
    pub(super) fn one_of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.index(list.len())]
    }

    /// An index in a list of that length.
    pub(super) fn index(&mut self, length: usize) -> usize {
        self.below(u32::try_from(length).unwrap_or(u32::MAX)) as usize
    }

    /// The index of an item, drawn by weight. The weights sum up to 1000.
    pub(super) fn weighted<T>(&mut self, list: &[T], weight: impl Fn(&T) -> u32) -> usize {
        let mut left = self.below(1000);
        for (index, item) in list.iter().enumerate() {
            match left.checked_sub(weight(item)) {
                Some(rest) => left = rest,
                None => return index,
            }
        }
        0
    }
}
