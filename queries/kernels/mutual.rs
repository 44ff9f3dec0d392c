//! Pairs of rows of two kinds, such as sends and messages, that are each other's nearest in time.
//!
//! ```text
//! person  sends           messages          pairs
//! 1       10:00, 10:07    10:01             10:00 with 10:01, which is nearest to 10:07, too
//! 2       10:02           10:01, 10:03      10:02 with 10:01: of two that are as near, the earlier
//! 3       10:00, 10:03    10:02, 10:05      10:03 with 10:02; 10:00 and 10:05 are of no pair
//! ```
//!
//! No row lies between those of a pair, so one pass over sorted rows finds all pairs.

use std::cmp::Ordering;

use polars::prelude::{
    Column, DataFrame, DataType, Int64Chunked, LazyFrame, PolarsResult, StringChunked,
};

use super::parts::Parts;
use super::{adding, taken};

/// The columns and the limit of [`mutual`].
#[derive(Clone, Debug)]
pub struct Mutual {
    /// The person or the like, Int64. A row without one is of no pair.
    pub key: &'static str,
    /// The time, Int64. A row without one is of no pair.
    pub at: &'static str,
    /// A column that is `true` for rows that stay and `false` for those that they are paired with.
    pub stays: &'static str,
    /// How far apart the rows of a pair may be.
    pub within: i64,
    /// Columns of texts or integers. Of rows of one key, kind and time, the first in their order
    /// counts; nulls are last.
    pub first_by: &'static [&'static str],
    /// The columns that a row gets from the one that it is paired with; null without one.
    pub found: Vec<&'static str>,
}

/// Returns the rows that stay, in their order and with the same columns, each with what the other
/// row of its pair brings.
pub fn mutual(rows: LazyFrame, of: Mutual) -> LazyFrame {
    let name = format!("rows that are each other's nearest: {of:?}");
    adding(rows, name, Vec::new(), move |rows| joined(&rows, &of))
}

fn joined(rows: &DataFrame, of: &Mutual) -> PolarsResult<DataFrame> {
    let stays = rows.column(of.stays)?.bool()?;
    let others = others(rows, of)?;
    let others = stays.iter().zip(others);
    let others = others.filter_map(|(stays, other)| (stays == Some(true)).then_some(other));
    let others: Vec<Option<u32>> = others.collect();
    let mut staying = rows.filter(stays)?;
    let found = rows.select(of.found.iter().copied())?;
    for column in taken(found, others.len(), |row| others[row])?.into_columns() {
        staying.with_column(column)?;
    }
    Ok(staying)
}

/// A row, in the order in which its fields are compared.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    key: i64,
    at: i64,
    stays: bool,
    place: u32,
}

/// For each row the place of the other one of its pair.
fn others(rows: &DataFrame, of: &Mutual) -> PolarsResult<Vec<Option<u32>>> {
    let pairs = Parts::of(rows, |rows, places, parts| {
        let numbers = |name: &str| rows.column(name)?.i64();
        let keyed = numbers(of.key)?.iter().zip(numbers(of.at)?.iter());
        let keyed = keyed.zip(rows.column(of.stays)?.bool()?.iter()).zip(places);
        parts.extend(keyed.filter_map(|(((key, at), stays), place)| {
            let row = Row { key: key?, at: at?, stays: stays?, place };
            Some((row.key, row))
        }));
        Ok(())
    })?;
    let first_by = of.first_by.iter().map(|name| Cells::of(rows.column(name)?));
    let first_by = first_by.collect::<PolarsResult<Vec<Cells>>>()?;
    let in_order = |one: u32, other: u32| {
        let orders = first_by.iter().map(|cells| cells.compare(one, other));
        orders.fold(Ordering::Equal, Ordering::then)
    };
    let within = u64::try_from(of.within).unwrap_or_default();
    let pairs = pairs.map(|rows| pairs_of_part(rows, within, &in_order));
    let mut others = vec![None; rows.height()];
    for [one, other] in pairs.into_iter().flatten() {
        others[one as usize] = Some(other);
        others[other as usize] = Some(one);
    }
    Ok(others)
}

/// A column of texts or integers.
enum Cells {
    Texts(StringChunked),
    Integers(Int64Chunked),
}

impl Cells {
    fn of(column: &Column) -> PolarsResult<Self> {
        Ok(match column.dtype() {
            DataType::String => Self::Texts(column.str()?.rechunk().into_owned()),
            _ => {
                let integers = column.cast(&DataType::Int64)?;
                Self::Integers(integers.i64()?.rechunk().into_owned())
            }
        })
    }

    fn compare(&self, one: u32, other: u32) -> Ordering {
        let (one, other) = (one as usize, other as usize);
        match self {
            Self::Texts(cells) => nulls_last(cells.get(one), cells.get(other)),
            Self::Integers(cells) => nulls_last(cells.get(one), cells.get(other)),
        }
    }
}

fn nulls_last<T: Ord>(one: Option<T>, other: Option<T>) -> Ordering {
    (one.is_none(), one).cmp(&(other.is_none(), other))
}

/// The pairs of a part, each as the places of its rows.
fn pairs_of_part(
    mut rows: Vec<Row>,
    within: u64,
    in_order: &impl Fn(u32, u32) -> Ordering,
) -> Vec<[u32; 2]> {
    rows.sort_unstable();
    let of_keys = rows.chunk_by(|one, next| one.key == next.key);
    of_keys.flat_map(|rows| pairs_of_key(rows, within, in_order)).collect()
}

/// Two rows of different kinds with none between them, of which neither has a nearer one before.
#[derive(Clone, Copy)]
struct Candidate {
    first: Row,
    second: Row,
}

impl Candidate {
    const fn apart(&self) -> u64 {
        self.second.at.abs_diff(self.first.at)
    }
}

fn pairs_of_key(
    rows: &[Row],
    within: u64,
    in_order: &impl Fn(u32, u32) -> Ordering,
) -> Vec<[u32; 2]> {
    let mut pairs = Vec::new();
    let mut push = |Candidate { first, second }| pairs.push([first.place, second.place]);
    let mut open: Option<Candidate> = None;
    let mut before: Option<Row> = None;
    // When the last row of each kind was, those that do not stay first.
    let mut last_at: [Option<i64>; 2] = [None; 2];
    for at_once in rows.chunk_by(|one, next| (one.at, one.stays) == (next.at, next.stays)) {
        let first_of_all = |one: &&Row, other: &&Row| in_order(one.place, other.place);
        let Some(&row) = at_once.iter().min_by(first_of_all) else { continue };
        // The next row of the first's kind may be nearer to the second than the first is.
        if let Some(candidate) = open.take_if(|open| open.first.stays == row.stays)
            && row.at.abs_diff(candidate.second.at) >= candidate.apart()
        {
            push(candidate);
        }
        if let Some(first) = before.filter(|first| first.stays != row.stays) {
            let candidate = Candidate { first, second: row };
            let earlier = last_at[usize::from(row.stays)];
            let has_earlier = earlier.is_some_and(|at| first.at.abs_diff(at) <= candidate.apart());
            open = (candidate.apart() <= within && !has_earlier).then_some(candidate);
        }
        last_at[usize::from(row.stays)] = Some(row.at);
        before = Some(row);
    }
    if let Some(candidate) = open {
        push(candidate);
    }
    pairs
}

#[cfg(test)]
mod tests {
    use polars::prelude::{Engine, IntoLazy, df};
    use proptest::prelude::*;

    use super::*;

    /// Key and time; `true` if the row stays; a text and a number that ties are broken by.
    type Given = (Option<i64>, Option<i64>, bool, Option<&'static str>, Option<i32>);

    fn rows() -> impl Strategy<Value = Vec<Given>> {
        // One person has most rows, many of them at one time.
        let key = prop_oneof![6 => Just(Some(7)), 1 => prop::option::of(any::<i64>())];
        let text = prop::option::of(prop::sample::select(vec!["", "a", "b"]));
        let at = prop::option::weighted(0.9, 0..14_i64);
        prop::collection::vec((key, at, any::<bool>(), text, prop::option::of(0..3_i32)), 0..30)
    }

    /// The place of the nearest row of the other kind, by brute force.
    fn nearest(given: &[Given], place: usize) -> Option<usize> {
        let (key, at, stays, ..) = given[place];
        let near = given.iter().enumerate().filter_map(|(place, other)| {
            let is_other = key.is_some() && key == other.0 && stays != other.2;
            let apart = at?.abs_diff(other.1?);
            let (text, number) = (other.3, other.4);
            let order = (apart, other.1, text.is_none(), text, number.is_none(), number, place);
            is_other.then_some(order)
        });
        near.min().map(|(.., place)| place)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn pairs_are_those_of_which_each_is_the_others_nearest(
            given in rows(),
            within in 0..9_i64,
            repeated in prop_oneof![8 => Just(1_usize), 1 => Just(700)],
        ) {
            // Many rows are split into parts. Each repetition has people of its own.
            let many: Vec<Given> = (0..repeated)
                .flat_map(|turn| {
                    let own = i64::try_from(turn).unwrap().wrapping_mul(0x1e37_79b9_7f4a_7c15);
                    given.iter().map(move |row| {
                        (row.0.map(|key| key ^ own), row.1, row.2, row.3, row.4)
                    })
                })
                .collect();
            let numbered: Vec<i64> = (0..i64::try_from(many.len()).unwrap()).collect();
            let frame = df![
                "key" => many.iter().map(|row| row.0).collect::<Vec<_>>(),
                "at" => many.iter().map(|row| row.1).collect::<Vec<_>>(),
                "stays" => many.iter().map(|row| row.2).collect::<Vec<_>>(),
                "text" => many.iter().map(|row| row.3).collect::<Vec<_>>(),
                "number" => many.iter().map(|row| row.4).collect::<Vec<_>>(),
                "row" => numbered.clone(),
                "other" => numbered,
            ];
            let of = Mutual {
                key: "key",
                at: "at",
                stays: "stays",
                within,
                first_by: &["text", "number", "row"],
                found: vec!["other"],
            };
            let found = mutual(frame.unwrap().lazy(), of);
            let found = found.collect_with_engine(Engine::Streaming).unwrap().unwrap_single();
            let column = |name: &str| -> Vec<Option<i64>> {
                found.column(name).unwrap().i64().unwrap().iter().collect()
            };
            let of_given = |place: usize| {
                let other = nearest(&given, place)?;
                let is_near = given[place].1?.abs_diff(given[other].1?) <= within.unsigned_abs();
                (is_near && nearest(&given, other) == Some(place)).then_some(other)
            };
            let expected = (0..many.len()).filter(|row| many[*row].2).map(|row| {
                let turn = row / given.len();
                let other = of_given(row % given.len());
                let other = other.map(|other| i64::try_from(turn * given.len() + other).unwrap());
                (Some(i64::try_from(row).unwrap()), other)
            });
            let expected: Vec<_> = expected.collect();
            let found: Vec<_> = column("row").into_iter().zip(column("other")).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
