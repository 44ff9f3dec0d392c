//! The persons of user ids, computed from `identities` when a table is read.
//!
//! ```text
//! identities   CO.1 – 573005550101 (phone)     CO.2 – CO.1 (user)
//!   │ groups     CO.1 and CO.2 are one person, with the number that was seen last
//!   ▼
//! Persons      CO.1 → 573005550101     CO.2 → 573005550101
//!   │ scan       of a row without a number, `user_phone` and `user_key` are those of the person
//!   ▼
//! LazyFrame
//! ```
//!
//! Nothing of it is stored in rows, so it does not matter what was loaded first. A file whose rows all
//! have a number, by the number of nulls in the log, is scanned as it is; `identities` is only read for
//! other files.

mod groups;
mod reads;
mod scan;
#[cfg(test)]
mod tests;

use std::sync::{Arc, OnceLock};

use polars::prelude::*;
use wabalake_data::tables::persons::PERSON;
use wabalake_data::tables::{USER_ID, identities, text_key};

use self::groups::Link;
pub use self::reads::Reads;
pub use self::scan::{ReadPersons, computed_once};
use super::Snapshot;
use crate::error::Result;

/// The person of each user id that `identities` names.
#[derive(Debug, Default)]
pub struct Persons {
    of: PlHashMap<Arc<str>, Arc<str>>,
    /// Of [`Persons::keys`].
    keys: OnceLock<PlHashMap<i64, i64>>,
}

impl Persons {
    /// Computes the persons from a version of `identities`.
    ///
    /// # Errors
    ///
    /// A file that cannot be read.
    pub fn of(identities: &Snapshot) -> Result<Self> {
        if identities.files.is_empty() {
            return Ok(Self::default());
        }
        let names = identities::TABLE.columns.iter().map(|column| col(column.name));
        let rows = identities.scan()?.select(names.collect::<Vec<_>>()).collect()?;
        Ok(Self { of: groups::persons(&links(&rows)?), keys: OnceLock::new() })
    }

    /// Returns `true` if no user id is linked to anything.
    pub fn is_empty(&self) -> bool {
        self.of.is_empty()
    }

    /// The person of a user id, if `identities` names it.
    pub fn person(&self, user_id: &str) -> Option<&str> {
        self.of.get(user_id).map(AsRef::as_ref)
    }

    /// The rows of the table `persons`, by user id.
    pub fn rows(&self) -> DataFrame {
        let mut rows: Vec<(&str, &str)> =
            self.of.iter().map(|(user_id, person)| (user_id.as_ref(), person.as_ref())).collect();
        rows.sort_unstable();
        let column = |name: &str, of: fn(&(&str, &str)) -> String| {
            Column::new(name.into(), rows.iter().map(of).collect::<Vec<_>>())
        };
        let columns =
            vec![column(USER_ID, |row| row.0.to_owned()), column(PERSON, |row| row.1.to_owned())];
        DataFrame::new_infer_height(columns).unwrap_or_default()
    }

    /// Numbers and user ids, and the persons of those that are user ids.
    fn persons_of(&self, people: &[String]) -> Vec<String> {
        let persons = people.iter().filter_map(|own| self.person(own)).map(str::to_owned);
        people.iter().cloned().chain(persons).collect()
    }

    /// The hashes by which rows of persons are stored: those of the persons, and of the user ids that are
    /// shown as them.
    fn keys_of(&self, persons: &[String]) -> Vec<i64> {
        let is_theirs =
            |(_, person): &(&Arc<str>, &Arc<str>)| persons.iter().any(|p| **p == ***person);
        let ids = self.of.iter().filter(is_theirs).map(|(id, _)| text_key(id));
        persons.iter().map(|person| text_key(person)).chain(ids).collect()
    }

    /// The persons of texts that are user ids; other texts, such as numbers, stay.
    fn seen(&self, own: &StringChunked) -> StringChunked {
        own.iter().map(|own| own.map(|own| self.person(own).unwrap_or(own))).collect()
    }

    /// The hash of the person of each user id, by the hash of the user id.
    fn keys(&self) -> &PlHashMap<i64, i64> {
        let keyed = || self.of.iter().map(|(id, person)| (text_key(id), text_key(person)));
        self.keys.get_or_init(|| keyed().collect())
    }
}

/// The links in rows of `identities`.
fn links(rows: &DataFrame) -> PolarsResult<Vec<Link<'_>>> {
    let text = |name: &str| rows.column(name)?.str();
    let (user_ids, linked) = (text(USER_ID)?, text(identities::LINKED)?);
    let kinds = text(identities::KIND)?;
    let stamp = |name: &str| rows.column(name)?.cast(&DataType::Int64);
    let (first, last) = (stamp(identities::FIRST_SEEN)?, stamp(identities::LAST_SEEN)?);
    let (first, last) = (first.i64()?, last.i64()?);
    let link = |row: usize| {
        Some(Link {
            user_id: user_ids.get(row)?,
            linked: linked.get(row)?,
            is_phone: kinds.get(row)? == identities::PHONE,
            first_seen: first.get(row),
            last_seen: last.get(row),
        })
    };
    Ok((0..rows.height()).filter_map(link).collect())
}
