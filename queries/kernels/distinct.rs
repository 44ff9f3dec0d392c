//! Distinct people of groups, counted over sorted pairs of group and person.

use polars::prelude::{
    ChunkAgg, Column, DataFrame, DataType, Expr, Field, LazyFrame, PolarsResult, Schema, col, lit,
};

use super::node;
use super::parts::{Parts, ordered};

/// The number of counts that one node takes.
const COUNTS: usize = 8;

/// The number of distinct values of a column of hashes, such as `user_key`, in each group.
///
/// `group` is a column of [numbers](super::dictionary::number). Each count has a name and a predicate; it counts the
/// values of rows for which that is true. At most eight counts. Nulls do not count. The answer has a row
/// for each number up to the last that counts a row, with the counts as `UInt32`.
pub fn distinct(
    rows: LazyFrame,
    group: &'static str,
    of: &'static str,
    counts: &[(&'static str, Expr)],
) -> LazyFrame {
    debug_assert!(counts.len() <= COUNTS);
    let names: Vec<&'static str> = counts.iter().map(|(name, _)| *name).collect();
    let marks = counts.iter().map(|(name, predicate)| predicate.clone().alias(*name));
    let read: Vec<Expr> = [col(group), col(of)].into_iter().chain(marks).collect();
    let fields = names.iter().map(|name| Field::new((*name).into(), DataType::UInt32));
    let schema =
        [Field::new(group.into(), DataType::UInt32)].into_iter().chain(fields).collect::<Schema>();
    let is_counted = counts.iter().map(|(_, predicate)| predicate.clone()).reduce(Expr::or);
    let is_counted = col(of).is_not_null().and(is_counted.unwrap_or(lit(false)));
    let pairs = rows.filter(is_counted).select(read);
    let name = format!("distinct values of groups: {group} {of} {names:?}");
    node(pairs, name, schema, move |pairs| count(pairs, group, of, &names))
}

fn count(
    pairs: DataFrame,
    group: &'static str,
    of: &'static str,
    names: &[&'static str],
) -> PolarsResult<DataFrame> {
    let until = pairs.column(group)?.u32()?.max().map_or(0, |last| last as usize + 1);
    let parts = Parts::of(&pairs, |pairs, _, parts| {
        let mut marks = vec![0_u8; pairs.height()];
        for (at, name) in names.iter().enumerate() {
            for (marks, is_marked) in marks.iter_mut().zip(pairs.column(name)?.bool()?.iter()) {
                *marks |= u8::from(is_marked == Some(true)) << at;
            }
        }
        let rows = pairs.column(group)?.u32()?.iter().zip(pairs.column(of)?.i64()?.iter());
        parts.extend(rows.zip(marks).filter_map(|((group, value), marks)| {
            let value = value?;
            Some((value, packed(group?, value, marks)))
        }));
        Ok(())
    })?;
    drop(pairs);

    let mut totals = vec![[0_u32; COUNTS]; until];
    for (group, counts) in parts.map(count_part).into_iter().flatten() {
        for (total, count) in totals[group as usize].iter_mut().zip(counts) {
            *total += count;
        }
    }
    let last = u32::try_from(until).unwrap_or(u32::MAX);
    let mut columns = vec![Column::new(group.into(), (0..last).collect::<Vec<u32>>())];
    columns.extend(names.iter().enumerate().map(|(at, name)| {
        let counts: Vec<u32> = totals.iter().map(|counts| counts[at]).collect();
        Column::new((*name).into(), counts)
    }));
    DataFrame::new(until, columns)
}

/// Group, value and marks in one integer, in this order.
fn packed(group: u32, value: i64, marks: u8) -> u128 {
    u128::from(group) << 72 | u128::from(ordered(value)) << 8 | u128::from(marks)
}

/// The counts of the groups that occur in a part.
#[expect(clippy::cast_possible_truncation, reason = "each field is cut out of the packed integer")]
fn count_part(mut part: Vec<u128>) -> Vec<(u32, [u32; COUNTS])> {
    part.sort_unstable();
    let mut found: Vec<(u32, [u32; COUNTS])> = Vec::new();
    for rows in part.chunk_by(|one, other| one >> 8 == other >> 8) {
        let marks = rows.iter().fold(0, |marks, row| marks | *row as u8);
        let group = (rows[0] >> 72) as u32;
        if found.last().is_none_or(|(last, _)| *last != group) {
            found.push((group, [0; COUNTS]));
        }
        if let Some((_, counts)) = found.last_mut() {
            for (at, count) in counts.iter_mut().enumerate() {
                *count += u32::from(marks >> at & 1);
            }
        }
    }
    found
}
