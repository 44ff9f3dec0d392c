//! What came next for each person, and the number of a row among the person's rows.
//!
//! ```text
//! person  at     id   counts   next        number
//! 1       09:00  a    yes      b at 10:00  1
//! 1       10:00  b    no       c at 12:00  1
//! 1       10:00  c    yes      c at 12:00  2      rows of one instant do not follow one another
//! 1       12:00  c    yes      –           3
//! ```

use std::sync::Arc;

use polars::prelude::{
    Column, DataFrame, DataType, Int32Chunked, IntoColumn, LazyFrame, PolarsResult, Schema,
    StringChunked, UInt32Chunked,
};

use super::parts::Parts;
use super::{named, taken};

/// The columns and the limit of [`sequels`].
#[derive(Clone, Copy, Debug)]
pub struct Sequels {
    /// The person, an Int64 hash. A row without one has no next row, is none, and has no number.
    pub key: &'static str,
    /// The instant, or Int64.
    pub at: &'static str,
    /// A text and an Int32. Rows of one instant are in the order of both, nulls last.
    pub id: [&'static str; 2],
    /// How much later the next row may be, in microseconds.
    pub within: i64,
    /// A column that is `true` for the rows that are numbered.
    pub counts: &'static str,
    /// A column of the next row, and its name beside the row before. It is null without a next row.
    pub next: (&'static str, &'static str),
    /// The name of the number, `UInt32`: how many rows of the person count up to this one.
    pub number: &'static str,
}

/// Adds to each row a column of the next row of its person, which is later, and its number. Rows
/// keep their order.
pub fn sequels(rows: LazyFrame, of: Sequels) -> LazyFrame {
    let declared = move |given: &Schema| {
        let mut schema = given.clone();
        let next = given.get(of.next.0).cloned().unwrap_or(DataType::Null);
        schema.with_column(of.next.1.into(), next);
        schema.with_column(of.number.into(), DataType::UInt32);
        Arc::new(schema)
    };
    named(rows, format!("sequels: {of:?}"), declared, move |mut rows| {
        for column in columns(&rows, of)? {
            rows.with_column(column)?;
        }
        Ok(rows)
    })
}

/// A row as person, instant and place.
type Row = (i64, i64, u32);

fn columns(rows: &DataFrame, of: Sequels) -> PolarsResult<[Column; 2]> {
    let parts = Parts::of(rows, |rows, places, parts| {
        let instants = rows.column(of.at)?.to_physical_repr();
        let keyed = rows.column(of.key)?.i64()?.iter().zip(instants.i64()?.iter()).zip(places);
        parts.extend(keyed.filter_map(|((key, at), place)| Some((key?, (key?, at?, place)))));
        Ok(())
    })?;
    let ids = Ids {
        texts: rows.column(of.id[0])?.str()?.rechunk().into_owned(),
        numbers: rows.column(of.id[1])?.i32()?.rechunk().into_owned(),
    };
    let counts = rows.column(of.counts)?.bool()?.iter();
    let counts: Vec<bool> = counts.map(|counts| counts == Some(true)).collect();
    let found = parts.map(|part| of_part(part, &ids, &counts, of.within));
    let mut next = vec![None; rows.height()];
    let mut numbers = vec![0; rows.height()];
    for Found { place, next_place, number } in found.into_iter().flatten() {
        next[place as usize] = next_place;
        numbers[place as usize] = number;
    }
    let brought = taken(rows.select([of.next.0])?, next.len(), |row| next[row])?;
    let brought = brought.column(of.next.0)?.clone().with_name(of.next.1.into());
    Ok([brought, UInt32Chunked::from_vec(of.number.into(), numbers).into_column()])
}

/// What orders the rows of one instant.
struct Ids {
    texts: StringChunked,
    numbers: Int32Chunked,
}

impl Ids {
    /// The id of a row, with nulls after all others.
    fn at(&self, place: u32) -> (bool, Option<&str>, bool, Option<i32>) {
        let (text, number) = (self.texts.get(place as usize), self.numbers.get(place as usize));
        (text.is_none(), text, number.is_none(), number)
    }
}

/// What is found of a row.
struct Found {
    place: u32,
    next_place: Option<u32>,
    number: u32,
}

fn of_part(mut rows: Vec<Row>, ids: &Ids, counts: &[bool], within: i64) -> Vec<Found> {
    rows.sort_unstable();
    let at_once = rows.chunk_by_mut(|one, other| (one.0, one.1) == (other.0, other.1));
    for rows in at_once.filter(|rows| rows.len() > 1) {
        rows.sort_by_key(|row| ids.at(row.2));
    }
    let mut found = Vec::with_capacity(rows.len());
    for of_person in rows.chunk_by(|one, other| one.0 == other.0) {
        let mut later = of_person;
        let mut number = 0;
        for at_once in of_person.chunk_by(|one, other| one.1 == other.1) {
            later = &later[at_once.len()..];
            let is_near = |next: &&Row| next.1.saturating_sub(at_once[0].1) <= within;
            let next = later.first().filter(is_near).map(|next| next.2);
            for (.., place) in at_once {
                number += u32::from(counts[*place as usize]);
                found.push(Found { place: *place, next_place: next, number });
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use polars::prelude::{Engine, IntoLazy, col, df};
    use proptest::prelude::*;
    use wabalake_data::tables::instant;

    use super::*;

    /// Person, instant, id, and if the row counts.
    type Given = (Option<i64>, i64, (Option<&'static str>, Option<i32>), bool);

    fn rows() -> impl Strategy<Value = Vec<Given>> {
        // One person has most rows, and many of them are at one instant.
        let person = prop_oneof![4 => Just(Some(7)), 1 => prop::option::of(any::<i64>())];
        let text = prop::option::weighted(0.8, prop::sample::select(vec!["", "a", "b"]));
        let id = (text, prop::option::weighted(0.8, -1..3_i32));
        prop::collection::vec((person, 0..9_i64, id, any::<bool>()), 0..40)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn the_next_row_is_the_first_later_one(given in rows(), within in 0..6_i64) {
            let places: Vec<i64> = (0..).take(given.len()).collect();
            let frame = df![
                "person" => given.iter().map(|row| row.0).collect::<Vec<_>>(),
                "at" => given.iter().map(|row| row.1).collect::<Vec<_>>(),
                "text" => given.iter().map(|row| row.2.0).collect::<Vec<_>>(),
                "version" => given.iter().map(|row| row.2.1).collect::<Vec<_>>(),
                "counts" => given.iter().map(|row| row.3).collect::<Vec<_>>(),
                "place" => &places,
            ];
            let frame = frame.unwrap().lazy().with_column(col("at").cast(instant()));
            let of = Sequels {
                key: "person",
                at: "at",
                id: ["text", "version"],
                within,
                counts: "counts",
                next: ("place", "next"),
                number: "number",
            };
            let answer = sequels(frame, of).collect_with_engine(Engine::Streaming);
            let answer = answer.unwrap().unwrap_single();
            let found = answer.column("next").unwrap().i64().unwrap().iter();
            let numbers = answer.column("number").unwrap().u32().unwrap().iter();

            let id = |row: &Given| {
                let (text, version) = row.2;
                (row.1, text.is_none(), text, version.is_none(), version)
            };
            let of_person = |row: &Given| -> Vec<usize> {
                let is_own = |place: &usize| row.0.is_some() && given[*place].0 == row.0;
                (0..given.len()).filter(is_own).collect()
            };
            for ((row, found), number) in given.iter().zip(found).zip(numbers) {
                let own = of_person(row);
                let is_later = |place: &&usize| (1..=within).contains(&(given[**place].1 - row.1));
                let next = own.iter().filter(is_later).min_by_key(|place| id(&given[**place]));
                // Of several with one id, any.
                let next = next.map(|place| id(&given[*place]));
                let found = found.map(|place| id(&given[usize::try_from(place).unwrap()]));
                prop_assert_eq!(found, next);
                let until = |at_most: bool| {
                    let is_before = |place: &&usize| {
                        let other = &given[**place];
                        other.3 && (id(other) < id(row) || at_most && id(other) == id(row))
                    };
                    u32::try_from(own.iter().filter(is_before).count()).unwrap()
                };
                prop_assert!((until(false)..=until(true)).contains(&number.unwrap()));
            }
        }
    }
}
