//! Point-in-time join: the values of a row's key that are in force at the row's own time.
//!
//! ```text
//! key   value   from             rows   key   at           value
//! ana   vip     10 May                  ana   3 May        null
//! ana   lead    2 June                  ana   20 May       vip
//!                                       ana   5 June       vip
//!                                       ana   5 June       lead
//!                                       bob   5 June       null
//! ```
//!
//! A hash join finds the key of a row by several reads at random in memory, and then each column of each
//! value by one more, where a year of rows has a million keys. Here, values are packed by ranges of their keys:
//!
//! ```text
//! values ─► 4096 ranges, each packed in a binary ─┐
//! rows ─► range of the key ───────────────────────┴► left join ─► codes of values ─► explode ─► values
//!
//! packed:   where each of 256 slots starts | key, from, code | key, from, code | …
//! ```
//!
//! The ranges are few enough for the processor's cache, and a row finds its values by two reads, which do not wait
//! for those of other rows. The join passes references to the binaries, not their bytes.

use std::hint::black_box;

use polars::prelude::{
    BinaryChunked, BinaryChunkedBuilder, ChunkFull, ChunkTake, Column, CompatLevel, DataFrame,
    DataType, ExplodeOptions, Expr, Field, IntoColumn, IntoSeries, JoinArgs, JoinType,
    LargeListArray, LazyFrame, ListChunked, NewChunkedArray, PlSmallStr, PolarsResult,
    StringChunked, UInt32Chunked, by_name, col,
};

use super::dictionary::Numbers;
use super::parts::{Parts, ordered};
use super::{node, stacked};

/// The columns of values.
#[derive(Clone, Copy, Debug)]
pub struct Names {
    /// A hash (Int64). A value with a null key is in force for no row.
    pub key: &'static str,
    /// A text.
    pub value: &'static str,
    /// The time from which the value is in force (Int64); null for always.
    pub from: &'static str,
}

/// Adds the column of values to rows, which have the column of keys: a row for each value that is in force
/// at the time `at` (Int64), or one with null if there is none.
///
/// A row without a key has no value. At a time that is null, values that are always in force are.
pub fn in_force(rows: LazyFrame, at: Expr, values: LazyFrame, names: Names) -> LazyFrame {
    let fields = [(RANGE, DataType::UInt32), (PACKED, DataType::Binary), (TEXTS, DataType::Binary)];
    let schema = fields.map(|(name, of)| Field::new(name.into(), of)).into_iter().collect();
    let values = values.select([names.key, names.value, names.from].map(col));
    let packed =
        node(values, format!("packed values in force: {names:?}"), schema, move |values| {
            packed(&values, names)
        });
    let range = col(names.key)
        .map(ranges, |_, key| Ok(Field::new(key.name().clone(), DataType::UInt32)))
        .alias(RANGE);
    let lists = |_: &_, fields: &[Field]| {
        let codes = DataType::List(Box::new(DataType::UInt32));
        Ok(Field::new(fields[0].name().clone(), codes))
    };
    let codes = col(names.key).map_many(|columns| codes(columns), &[at, col(PACKED)], lists);
    let strings =
        |_: &_, fields: &[Field]| Ok(Field::new(fields[0].name().clone(), DataType::String));
    let texts = col(CODES).map_many(|columns| texts(columns), &[col(TEXTS)], strings);
    // No list of codes is null or empty.
    let as_they_are = ExplodeOptions { empty_as_null: false, keep_nulls: false };
    rows.with_column(range)
        .join(packed, [col(RANGE)], [col(RANGE)], JoinArgs::new(JoinType::Left))
        .with_column(codes.alias(CODES))
        .explode(by_name([CODES], true, false), as_they_are)
        .with_column(texts.alias(names.value))
        .drop(by_name([RANGE, PACKED, TEXTS, CODES], true, false))
}

/// The range of a row's key.
const RANGE: &str = "range_of_keys";
/// The packed values of a range.
const PACKED: &str = "packed_values";
/// All distinct texts, in the order of their codes.
const TEXTS: &str = "texts_of_values";
/// The codes of the values of a row.
const CODES: &str = "codes_of_values";

/// Ranges of keys by their first bits.
const RANGE_BITS: u32 = 12;
/// Slots of a range by the bits after them.
const SLOT_BITS: u32 = 8;
const SLOTS: usize = 1 << SLOT_BITS;
/// The bytes of the starts of slots, 4 each. The last start is the end.
const STARTS: usize = 4 * (SLOTS + 1);
/// The bytes of an [`Entry`].
const ENTRY: usize = 20;
/// The code of null, and that of no value.
const NONE: u32 = 0;
/// The rows that are looked up at a time: their entries fit into the processor's fastest cache.
const BLOCK: usize = 128;
/// Ends a text. No text has this byte, because UTF-8 has not.
const SEPARATOR: u8 = 0xff;

/// The key, the time from which the value is in force, and the code of the value.
type Entry = (i64, i64, u32);

fn range_of(key: i64) -> u32 {
    u32::try_from(ordered(key) >> (u64::BITS - RANGE_BITS)).unwrap_or_default()
}

fn slot_of(key: i64) -> usize {
    let bits = ordered(key) >> (u64::BITS - RANGE_BITS - SLOT_BITS);
    usize::try_from(bits).unwrap_or_default() % SLOTS
}

/// The range of each key. Rows without a key have one as well, where they find no value.
fn ranges(keys: Column) -> PolarsResult<Column> {
    let ranges = keys.i64()?.iter().map(|key| key.map_or(0, range_of)).collect();
    Ok(UInt32Chunked::from_vec(keys.name().clone(), ranges).into_column())
}

/// A row for each range that has values.
fn packed(values: &DataFrame, names: Names) -> PolarsResult<DataFrame> {
    let numbers = Numbers::of(1);
    let parts = Parts::of(values, |values, _, parts| {
        let (keys, from) = (values.column(names.key)?.i64()?, values.column(names.from)?.i64()?);
        let texts = values.column(names.value)?;
        let codes = texts.str()?.iter().zip(numbers.column(0, texts)?);
        let codes = codes.map(|(text, number)| text.map_or(NONE, |_| number + 1));
        let rows = keys.iter().zip(from.iter()).zip(codes);
        parts.extend(rows.filter_map(|((key, from), code)| {
            let key = key?;
            Some((key, (key, from.unwrap_or(i64::MIN), code)))
        }));
        Ok(())
    })?;
    let mut packed = stacked(parts.map(|entries| packed_part(&entries)))?;
    let known = numbers.texts(0);
    let known = known.iter().map(|text| text.as_deref().unwrap_or_default().as_bytes());
    let texts = known.collect::<Vec<_>>().join(&SEPARATOR);
    let texts = BinaryChunked::full(TEXTS.into(), texts.as_slice(), packed.height());
    packed.with_column(texts.into_column())?;
    Ok(packed)
}

/// The ranges of a part and their packed values.
fn packed_part(entries: &[Entry]) -> PolarsResult<DataFrame> {
    let ranges = || entries.iter().map(|(key, ..)| range_of(*key));
    let (first, last) = (ranges().min().unwrap_or_default(), ranges().max().unwrap_or_default());
    let group = |key| (range_of(key) - first) as usize;
    let starts = starts(entries, (last - first) as usize + 1, group);
    let mut by_range = vec![Entry::default(); entries.len()];
    let mut next = starts.clone();
    for entry in entries {
        let place = &mut next[group(entry.0)];
        by_range[*place as usize] = *entry;
        *place += 1;
    }
    let bounds = (first..).zip(starts.windows(2));
    let own =
        bounds.map(|(range, bounds)| (range, &by_range[bounds[0] as usize..bounds[1] as usize]));
    let mut bytes = Vec::new();
    let mut ranges = Vec::new();
    let mut packed = BinaryChunkedBuilder::new(PACKED.into(), starts.len());
    for (range, own) in own.filter(|(_, own)| !own.is_empty()) {
        pack_range(own, &mut bytes);
        ranges.push(range);
        packed.append_value(&bytes);
    }
    let columns = vec![Column::new(RANGE.into(), ranges), packed.finish().into_column()];
    DataFrame::new_infer_height(columns)
}

/// Puts the entries of a range into bytes, in place of what was there.
fn pack_range(entries: &[Entry], packed: &mut Vec<u8>) {
    packed.resize(STARTS + ENTRY * entries.len(), 0);
    let (of_starts, of_entries) = packed.split_at_mut(STARTS);
    let mut next = starts(entries, SLOTS, slot_of);
    for (bytes, start) in of_starts.as_chunks_mut().0.iter_mut().zip(&next) {
        *bytes = start.to_le_bytes();
    }
    let (of_entries, _) = of_entries.as_chunks_mut::<ENTRY>();
    for (key, from, code) in entries {
        let place = &mut next[slot_of(*key)];
        let (bytes, rest) = of_entries[*place as usize].split_at_mut(8);
        bytes.copy_from_slice(&key.to_le_bytes());
        rest[..8].copy_from_slice(&from.to_le_bytes());
        rest[8..].copy_from_slice(&code.to_le_bytes());
        *place += 1;
    }
}

/// Where each group of entries starts if they are in order, and where the last one ends.
fn starts(entries: &[Entry], groups: usize, group: impl Fn(i64) -> usize) -> Vec<u32> {
    let mut starts = vec![0; groups + 1];
    for (key, ..) in entries {
        starts[group(*key) + 1] += 1;
    }
    for at in 0..groups {
        starts[at + 1] += starts[at];
    }
    starts
}

/// The entries of a key, and of others in its slot, out of the packed values of its range.
fn entries_of(packed: &[u8], key: i64) -> &[[u8; ENTRY]] {
    let (starts, entries) = packed.split_at_checked(STARTS).unwrap_or_default();
    let (starts, _) = starts.as_chunks::<4>();
    let (entries, _) = entries.as_chunks::<ENTRY>();
    let start =
        |slot: usize| starts.get(slot).map_or(0, |start| u32::from_le_bytes(*start) as usize);
    let slot = slot_of(key);
    entries.get(start(slot)..start(slot + 1)).unwrap_or_default()
}

/// A row that asks for values: its key, its time, and the entries that may be those of the key.
struct Asking<'a> {
    key: i64,
    at: i64,
    entries: &'a [[u8; ENTRY]],
}

impl Asking<'_> {
    /// The codes of the values that are in force.
    fn codes(&self) -> impl Iterator<Item = u32> {
        self.entries.iter().filter_map(move |entry| {
            let (of, from, code) = unpacked(entry)?;
            (of == self.key && from <= self.at).then_some(code)
        })
    }
}

fn unpacked(entry: &[u8; ENTRY]) -> Option<Entry> {
    let (key, rest) = entry.split_first_chunk()?;
    let (from, code) = rest.split_first_chunk()?;
    let code = code.first_chunk()?;
    Some((i64::from_le_bytes(*key), i64::from_le_bytes(*from), u32::from_le_bytes(*code)))
}

/// The codes of the values in force for each row, given its key, its time and the packed values.
fn codes(columns: &[Column]) -> PolarsResult<Column> {
    let (keys, times, packed) = (columns[0].i64()?, columns[1].i64()?, columns[2].binary()?);
    let rows = keys.len();
    let mut codes = Vec::with_capacity(rows + rows / 4);
    let mut offsets = Vec::with_capacity(rows + 1);
    offsets.push(0);
    let mut asking = keys.iter().zip(times.iter()).zip(packed.iter()).map(|((key, at), packed)| {
        let entries = key.zip(packed).map_or(&[][..], |(key, packed)| entries_of(packed, key));
        Asking { key: key.unwrap_or_default(), at: at.unwrap_or(i64::MIN), entries }
    });
    let mut block = Vec::with_capacity(BLOCK);
    loop {
        block.clear();
        block.extend(asking.by_ref().take(BLOCK));
        if block.is_empty() {
            break;
        }
        // Nothing waits for what is read here, so the processor reads the entries of many rows at once.
        let first = |row: &Asking<'_>| row.entries.first().map_or(0, |entry| entry[0]);
        black_box(block.iter().map(first).fold(0, |read, byte| read ^ byte));
        for row in &block {
            let start = codes.len();
            codes.extend(row.codes());
            if codes.len() == start {
                codes.push(NONE);
            }
            offsets.push(i64::try_from(codes.len()).unwrap_or(i64::MAX));
        }
    }
    let codes = UInt32Chunked::from_vec(PlSmallStr::EMPTY, codes).into_series();
    let codes = codes.to_arrow(0, CompatLevel::newest());
    let of = LargeListArray::default_datatype(codes.dtype().clone());
    let lists = LargeListArray::new(of, offsets.try_into()?, codes, None);
    let mut lists = ListChunked::with_chunk(keys.name().clone(), lists);
    // No list is empty.
    lists.set_fast_explode();
    Ok(lists.into_column())
}

/// The text of each code, given the codes and the texts.
fn texts(columns: &[Column]) -> PolarsResult<Column> {
    let (codes, texts) = (columns[0].u32()?, columns[1].binary()?);
    // Rows have the same texts, or null if their range has no value.
    let texts = texts.iter().flatten().next().unwrap_or_default();
    let texts = texts.split(|byte| *byte == SEPARATOR).map(|text| std::str::from_utf8(text).ok());
    let known = std::iter::once(None).chain(texts);
    // Rows of one value refer to one text, whose bytes are compared once.
    let known = StringChunked::from_iter_options(codes.name().clone(), known);
    Ok(known.take(codes)?.into_column())
}

#[cfg(test)]
mod tests {
    use polars::prelude::{Engine, IntoLazy, PlSmallStr, df};
    use proptest::prelude::*;

    use super::*;

    const NAMES: Names = Names { key: "key", value: "tag", from: "since" };

    /// Keys that share a slot, keys on both sides of a range's end, and keys anywhere.
    fn key() -> impl Strategy<Value = Option<i64>> {
        prop::option::of(prop_oneof![4 => -2..3_i64, 1 => any::<i64>()])
    }

    fn time() -> impl Strategy<Value = Option<i64>> {
        prop::option::of(0..6_i64)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn rows_occur_once_for_each_value_in_force(
            moments in prop::collection::vec((key(), time()), 0..40),
            given in prop::collection::vec(
                (key(), prop::option::of("(|vip|lead|a text of more than 12 bytes)"), time()),
                0..30,
            ),
        ) {
            let rows = df![
                "row" => (0..).zip(&moments).map(|(row, _)| row).collect::<Vec<i64>>(),
                "key" => moments.iter().map(|moment| moment.0).collect::<Vec<_>>(),
                "at" => moments.iter().map(|moment| moment.1).collect::<Vec<_>>(),
            ];
            let values = df![
                "key" => given.iter().map(|value| value.0).collect::<Vec<_>>(),
                "tag" => given.iter().map(|value| value.1.clone()).collect::<Vec<_>>(),
                "since" => given.iter().map(|value| value.2).collect::<Vec<_>>(),
            ];
            let mut expected: Vec<(i64, Option<String>)> = Vec::new();
            for (row, (key, at)) in (0..).zip(&moments) {
                let own = given.iter().filter(|(of, _, since)| {
                    key.is_some() && of == key && (since.is_none() || since <= at)
                });
                let own: Vec<_> = own.map(|(_, tag, _)| (row, tag.clone())).collect();
                let has_none = own.is_empty();
                expected.extend(own);
                expected.extend(has_none.then_some((row, None)));
            }
            expected.sort();
            let tagged = in_force(rows.unwrap().lazy(), col("at"), values.unwrap().lazy(), NAMES);
            for engine in [Engine::InMemory, Engine::Streaming] {
                let found = tagged.clone().collect_with_engine(engine).unwrap().unwrap_single();
                let names: Vec<&str> =
                    found.get_column_names().into_iter().map(PlSmallStr::as_str).collect();
                prop_assert_eq!(names, ["row", "key", "at", "tag"]);
                let (rows, tags) = (found.column("row").unwrap(), found.column("tag").unwrap());
                let found = rows.i64().unwrap().iter().zip(tags.str().unwrap().iter());
                let found = found.map(|(row, tag)| (row.unwrap(), tag.map(str::to_owned)));
                let mut found: Vec<(i64, Option<String>)> = found.collect();
                found.sort();
                prop_assert_eq!(&found, &expected);
            }
        }
    }
}
