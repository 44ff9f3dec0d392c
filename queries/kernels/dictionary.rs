//! Numbers of groups: each combination of keys becomes a small integer, once.
//!
//! A hash table of texts hashes and compares their bytes for every row and every measure. Numbers are
//! found once a row, and the keys of a row are mostly those of the row before or of one shortly before.

use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use polars::prelude::{
    Column, DataType, Expr, Field, IntoColumn, NewChunkedArray, PlHashMap, PlSmallStr, PolarsError,
    PolarsResult, StringChunked, UInt32Chunked, lit,
};

/// Expression: the number of the group of a row, `UInt32`. Rows have the same number if all keys are equal,
/// where a null equals a null.
///
/// Numbers are given in the order in which groups are met, which differs from run to run. The dictionary
/// belongs to the expression: all clones of a plan have the same numbers.
///
/// Keys are texts, integers, dates, timestamps or booleans. Running the plan fails for keys of other types.
pub fn number(keys: &[Expr]) -> Expr {
    number_by(&Arc::new(Numbers::of(keys.len())), keys)
}

/// [`number`] by dictionaries that [`text_of`] reads later.
pub(super) fn number_by(numbers: &Arc<Numbers>, keys: &[Expr]) -> Expr {
    let Some((first, others)) = keys.split_first() else {
        // Polars takes a literal of any integer type for an Int32.
        return lit(0).cast(DataType::UInt32);
    };
    let numbers = numbers.clone();
    let uint32 = |_: &_, keys: &[Field]| {
        let name = keys.first().map_or(PlSmallStr::EMPTY, |key| key.name().clone());
        Ok(Field::new(name, DataType::UInt32))
    };
    first.clone().map_many(move |keys| numbers.rows(keys), others, uint32)
}

/// Expression: the text of a key, which is the one at a place among the keys, by the number of the group.
pub(super) fn text_of(numbers: &Arc<Numbers>, at: usize, group: Expr) -> Expr {
    let numbers = numbers.clone();
    let string = |_: &_, group: &Field| Ok(Field::new(group.name().clone(), DataType::String));
    group.map(move |groups: Column| numbers.texts_of(at, &groups), string)
}

/// The dictionaries of one expression.
pub(super) struct Numbers {
    texts: Vec<Dictionary<Option<PlSmallStr>>>,
    integers: Vec<Dictionary<Option<i64>>>,
    /// Pairs of the number of the keys so far and that of the next key.
    pairs: Vec<Dictionary<u64>>,
}

impl Numbers {
    pub(super) fn of(keys: usize) -> Self {
        fn empty<K>(keys: usize) -> Vec<Dictionary<K>> {
            (0..keys).map(|_| Dictionary(Mutex::default())).collect()
        }
        Self { texts: empty(keys), integers: empty(keys), pairs: empty(keys) }
    }

    pub(super) fn rows(&self, keys: &[Column]) -> PolarsResult<Column> {
        let mut found: Vec<u32> = Vec::new();
        for (at, key) in keys.iter().enumerate() {
            let numbers = self.column(at, key)?;
            found = if at == 0 { numbers } else { self.paired(at, &found, &numbers)? };
        }
        let name = keys.first().map_or(PlSmallStr::EMPTY, |key| key.name().clone());
        Ok(UInt32Chunked::from_vec(name, found).into_column())
    }

    /// The text of each number of the key `at`.
    pub(super) fn texts(&self, at: usize) -> Vec<Option<PlSmallStr>> {
        self.texts[at].values()
    }

    /// The text of the key `at` of each group.
    fn texts_of(&self, at: usize, groups: &Column) -> PolarsResult<Column> {
        let halves = |pair: &u64| {
            let half = |bits: u64| u32::try_from(bits & u64::from(u32::MAX)).unwrap_or_default();
            (half(pair >> u32::BITS), half(*pair))
        };
        let texts = self.texts(at);
        let own = (at > 0).then(|| self.pairs[at].values());
        let later = (at + 1..self.pairs.len()).rev().map(|later| self.pairs[later].values());
        let later: Vec<Vec<u64>> = later.collect();
        let text = |group: u32| {
            // The number of the keys up to this one.
            let until = later.iter().try_fold(group, |group, pairs| {
                let (before, _) = halves(pairs.get(group as usize)?);
                Some(before)
            })?;
            let key = match &own {
                Some(pairs) => halves(pairs.get(until as usize)?).1,
                None => until,
            };
            texts.get(key as usize)?.as_deref()
        };
        let found = groups.u32()?.iter().map(|group| text(group?));
        let found = StringChunked::from_iter_options(groups.name().clone(), found);
        Ok(found.into_column())
    }

    /// The number of each pair of the number of the keys so far and that of the next key.
    fn paired(&self, at: usize, before: &[u32], numbers: &[u32]) -> PolarsResult<Vec<u32>> {
        let packed = |(before, number): (&u32, &u32)| u64::from(*before) << 32 | u64::from(*number);
        let size = |numbers: &[u32]| numbers.iter().max().map_or(0, |last| *last as usize + 1);
        let pairs = before.iter().zip(numbers);
        let (height, width) = (size(before), size(numbers));
        if height.saturating_mul(width) > numbers.len() {
            let pairs = pairs.map(packed);
            return looked_up(pairs.map(|pair| (pair, pair)), |pair| self.pairs[at].number(pair));
        }
        // A table finds few pairs without hashing them.
        let mut known: Vec<Option<u32>> = vec![None; height * width];
        let mut found = Vec::with_capacity(numbers.len());
        for pair in pairs {
            let known = &mut known[*pair.0 as usize * width + *pair.1 as usize];
            found.push(match *known {
                Some(found) => found,
                None => *known.insert(self.pairs[at].number(packed(pair))?),
            });
        }
        Ok(found)
    }

    /// The number of each value of a column of keys.
    pub(super) fn column(&self, at: usize, key: &Column) -> PolarsResult<Vec<u32>> {
        let of = key.dtype();
        if !of.is_string() {
            if !(of.is_integer() || of.is_temporal() || of.is_bool()) {
                return Err(PolarsError::InvalidOperation(format!("keys of type {of}").into()));
            }
            let values = key.to_physical_repr().cast(&DataType::Int64)?;
            let values = values.i64()?.iter().map(|value| (value, value));
            return looked_up(values, |value| self.integers[at].number(value));
        }
        let texts = key.str()?;
        let mut numbers = Vec::with_capacity(key.len());
        for (texts, are_set) in texts.downcast_iter().zip(texts.iter_validities()) {
            // Equal views of one array are equal texts, so few texts are read and compared.
            let views = texts.views().iter().map(|view| view.as_u128()).zip(0..);
            let number = |place| self.texts[at].number(texts.get(place).map(PlSmallStr::from_str));
            numbers.extend(match are_set {
                None => looked_up(views, number)?,
                Some(are_set) => {
                    let views = views.zip(are_set.iter());
                    let views =
                        views.map(|((view, place), is_set)| (is_set.then_some(view), place));
                    looked_up(views, number)?
                }
            });
        }
        Ok(numbers)
    }
}

/// Numbers of distinct values, shared by all threads.
struct Dictionary<K>(Mutex<PlHashMap<K, u32>>);

impl<K: Eq + Hash> Dictionary<K> {
    fn number(&self, value: K) -> PolarsResult<u32> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let next = u32::try_from(known.len())
            .map_err(|_| PolarsError::ComputeError("too many groups".into()))?;
        Ok(*known.entry(value).or_insert(next))
    }
}

/// A short key of a value.
trait Key: Copy + Eq + Hash {
    /// Bits in which most keys differ.
    fn bits(self) -> u64;
}

impl Key for u64 {
    fn bits(self) -> u64 {
        self
    }
}

impl Key for Option<i64> {
    fn bits(self) -> u64 {
        self.map_or(0, i64::cast_unsigned)
    }
}

/// The view of a text.
impl Key for u128 {
    #[expect(clippy::cast_possible_truncation, reason = "each half of 128 bits has 64")]
    fn bits(self) -> u64 {
        (self >> 64) as u64 ^ self as u64
    }
}

impl Key for Option<u128> {
    fn bits(self) -> u64 {
        self.map_or(0, Key::bits)
    }
}

/// The keys that were looked up last are kept in 2⁶ places.
const RECENT_BITS: u32 = 6;

/// The place of a key among the recent ones: one multiplication, where a hash table takes several and a search.
fn place_of(key: impl Key) -> usize {
    let spread = key.bits().wrapping_mul(0x9e37_79b9_7f4a_7c15);
    usize::try_from(spread >> (u64::BITS - RECENT_BITS)).unwrap_or_default()
}

impl<K: Clone> Dictionary<K> {
    /// The value of each number.
    fn values(&self) -> Vec<K> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut values: Vec<(u32, K)> =
            known.iter().map(|(value, number)| (*number, value.clone())).collect();
        values.sort_unstable_by_key(|(number, _)| *number);
        values.into_iter().map(|(_, value)| value).collect()
    }
}

/// The number of each of many values, which are given with a short key. `number` is called once for each
/// distinct key.
fn looked_up<K: Key, V>(
    mut values: impl Iterator<Item = (K, V)>,
    number: impl Fn(V) -> PolarsResult<u32>,
) -> PolarsResult<Vec<u32>> {
    let mut numbers = Vec::with_capacity(values.size_hint().0);
    let Some((first, value)) = values.next() else { return Ok(numbers) };
    numbers.push(number(value)?);
    let mut known: PlHashMap<K, u32> = PlHashMap::default();
    known.insert(first, numbers[0]);
    // A key is compared with what its place has, so any known key may be there.
    let mut recent = [(first, numbers[0]); 1 << RECENT_BITS];
    for (key, value) in values {
        let recent = &mut recent[place_of(key)];
        if recent.0 != key {
            let found = match known.get(&key) {
                Some(found) => *found,
                None => *known.entry(key).or_insert(number(value)?),
            };
            *recent = (key, found);
        }
        numbers.push(recent.1);
    }
    Ok(numbers)
}
