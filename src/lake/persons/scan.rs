//! Scans of tables as queries see them: with the person in place of a missing number.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, OnceLock};

use chrono_tz::Tz;
use polars::prelude::*;
use wabalake_data::Table;
use wabalake_data::cells::phone::is_user_id;
use wabalake_data::tables::identities;
use wabalake_data::tables::{OWN_PERSON, USER_ID, USER_KEY, USER_PHONE, UTC_DAY, key_part};

use super::Persons;
use crate::error::Result;
use crate::lake::scans::union;
use crate::lake::{DataFile, Lake, Snapshot};

/// Computes the persons on first use.
pub type ReadPersons<'p> = dyn Fn() -> Result<Arc<Persons>> + 'p;

/// The persons in a cell, which are computed on first use.
///
/// # Errors
///
/// Those of `compute`.
pub fn computed_once(
    known: &OnceLock<Arc<Persons>>,
    compute: impl FnOnce() -> Result<Persons>,
) -> Result<Arc<Persons>> {
    match known.get() {
        Some(persons) => Ok(Arc::clone(persons)),
        None => {
            let persons = Arc::new(compute()?);
            Ok(Arc::clone(known.get_or_init(|| persons)))
        }
    }
}

impl Lake {
    /// The persons by the newest version of `identities`.
    ///
    /// # Errors
    ///
    /// As [`Persons::of`].
    pub fn persons(&self) -> Result<Persons> {
        Persons::of(&self.snapshot(&identities::TABLE)?)
    }
}

impl Snapshot {
    /// Returns `true` if some of the files need [`Snapshot::scan_people_of`]: they may have rows without a
    /// number.
    ///
    /// # Errors
    ///
    /// Those of reading the persons.
    pub fn has_persons_to_see(
        &self,
        table: &Table,
        files: &[&DataFile],
        persons: &ReadPersons<'_>,
    ) -> Result<bool> {
        Ok(!nameless(table, files, persons)?.is_empty())
    }

    /// Scans the files that may have rows without a number: the own person of each row as `user_id`, and its
    /// day. `None` if there are no such files.
    ///
    /// # Errors
    ///
    /// As [`Snapshot::scan_files`].
    pub(crate) fn scan_own_user_ids(&self, table: &Table) -> Result<Option<LazyFrame>> {
        let files: Vec<_> = self.files.iter().filter(|file| !has_only_numbers(file)).collect();
        if files.is_empty() || !table.has_people() {
            return Ok(None);
        }
        let own = key_part(OWN_PERSON).alias(USER_ID);
        Ok(Some(self.scan_files(&files)?.select([own, col(UTC_DAY)])))
    }

    /// Scans all rows as queries see them, with instants in a time zone if one is given.
    ///
    /// # Errors
    ///
    /// As [`Snapshot::scan_files`]; the persons cannot be read.
    pub fn scan_people(
        &self,
        table: &Table,
        zone: Option<Tz>,
        persons: &ReadPersons<'_>,
    ) -> Result<LazyFrame> {
        self.scan_people_of(table, &self.files.iter().collect::<Vec<_>>(), zone, persons)
    }

    /// Scans the rows of some files as queries see them: see the [module](super).
    ///
    /// Rows of a table whose key has the person may become rows with one key. Of these, the one with the
    /// newer state is scanned.
    ///
    /// # Errors
    ///
    /// As [`Snapshot::scan_people`].
    pub fn scan_people_of(
        &self,
        table: &Table,
        files: &[&DataFile],
        zone: Option<Tz>,
        persons: &ReadPersons<'_>,
    ) -> Result<LazyFrame> {
        let scan = |files: &[&DataFile]| self.scan_files_in(files, zone);
        let nameless = nameless(table, files, persons)?;
        if nameless.is_empty() {
            return scan(files);
        }
        let persons = persons()?;
        let are_merged = !persons.is_empty() && table.requires_person();
        let days: BTreeSet<_> = nameless.iter().map(|file| file.day).collect();
        let paths: HashSet<&str> = nameless.iter().map(|file| file.path.as_str()).collect();
        let has_day = table.key.contains(&table.day_of);
        let (apart, together): (Vec<&DataFile>, Vec<&DataFile>) =
            files.iter().partition(|file| match are_merged {
                true => has_day && !days.contains(&file.day),
                false => !paths.contains(file.path.as_str()),
            });
        let mut parts = Vec::new();
        if !apart.is_empty() {
            parts.push(scan(&apart)?);
        }
        if !together.is_empty() {
            let rows = seen(scan(&together)?, &persons);
            match are_merged {
                true => {
                    let without_number = seen(scan(&nameless)?.filter(is_of_user_id()), &persons);
                    parts.extend(one_row_each(table, rows, without_number));
                }
                false => parts.push(rows),
            }
        }
        union(parts)
    }
}

/// The files that may have rows without a number. The persons are read only if there may be one.
fn nameless<'f>(
    table: &Table,
    files: &[&'f DataFile],
    persons: &ReadPersons<'_>,
) -> Result<Vec<&'f DataFile>> {
    if !table.has_people() {
        return Ok(Vec::new());
    }
    let is_nameless = |file: &&&DataFile| !has_only_numbers(file);
    let mut nameless: Vec<&DataFile> = files.iter().filter(is_nameless).copied().collect();
    // A user id that an older version stored as a number is shown as it is, if it is linked to nothing.
    if !nameless.iter().all(|file| is_counted(file)) && persons()?.is_empty() {
        nameless.retain(|file| is_counted(file));
    }
    Ok(nameless)
}

/// Returns `true` if every row of a file that names a person has a number, by the log.
fn has_only_numbers(file: &DataFile) -> bool {
    let nulls = |column| file.statistics.bounds().null_count.get(column)?.as_u64();
    match (nulls(USER_PHONE), nulls(USER_ID)) {
        (Some(phones), Some(user_ids)) => phones == 0 || user_ids == file.rows,
        _ => false,
    }
}

/// Returns `true` if the log tells for a file which rows have a number. An older version may have stored
/// user ids as numbers in others.
fn is_counted(file: &DataFile) -> bool {
    file.statistics.bounds().null_count.contains_key(USER_ID)
}

/// Replaces the row's own person by the person that `identities` gives.
///
/// The key of the person is found by that of the own one, so a plan that needs no more reads no texts.
fn seen(rows: LazyFrame, persons: &Arc<Persons>) -> LazyFrame {
    let [people, keyed] = [persons, persons].map(Arc::clone);
    let person = key_part(OWN_PERSON).map(
        move |own| Ok(people.seen(own.str()?).with_name(own.name().clone()).into_column()),
        |_, field| Ok(field.clone()),
    );
    let person = person.alias(USER_PHONE);
    if persons.is_empty() {
        return rows.with_column(person);
    }
    let key = col(USER_KEY).map(
        move |own| {
            let keys = keyed.keys();
            let seen = |own: i64| keys.get(&own).copied().unwrap_or(own);
            Ok(own.i64()?.apply_values(seen).into_column())
        },
        |_, field| Ok(field.clone()),
    );
    rows.with_columns([person, key])
}

/// Predicate: the row's own person is a user id.
fn is_of_user_id() -> Expr {
    key_part(OWN_PERSON).map(
        |own| {
            let is_user_id = own.str()?.iter().map(|own| own.map(is_user_id));
            let is_user_id: BooleanChunked = is_user_id.collect();
            Ok(is_user_id.with_name(own.name().clone()).into_column())
        },
        |_, field| Ok(Field::new(field.name().clone(), DataType::Boolean)),
    )
}

/// Rows of which each has a key of its own: those with a key that no row without a number has, and of
/// the others the one with the newer state.
fn one_row_each(table: &Table, rows: LazyFrame, without_number: LazyFrame) -> [LazyFrame; 2] {
    let key = || {
        let name = |name: &&'static str| if *name == OWN_PERSON { USER_PHONE } else { *name };
        table.key.iter().map(name).map(col).collect::<Vec<_>>()
    };
    let shared = without_number.select(key()).unique(None, UniqueKeepStrategy::Any);
    let same = |how| JoinArgs { nulls_equal: true, ..JoinArgs::new(how) };
    let others = rows.clone().join(shared.clone(), key(), key(), same(JoinType::Anti));
    let several = rows.join(shared, key(), key(), same(JoinType::Semi));
    let values = table.columns.iter().map(|column| col(column.name));
    let ranks: Vec<Expr> = (table.precedence)().into_iter().chain(values).collect();
    let descending = SortMultipleOptions::default().with_order_descending(true);
    let ranked = several.sort_by_exprs(ranks, descending.with_nulls_last(true));
    [others, ranked.unique_stable_generic(Some(key()), UniqueKeepStrategy::First)]
}
