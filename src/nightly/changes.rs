//! What changed in tables since a mart was computed.
//!
//! ```text
//! sessions, before    06-01/a  06-02/b            its files when the mart was computed
//! sessions, now       06-01/a  06-02/c  06-03/d
//! changed             06-02/b, 06-02/c, 06-03/d   and each file with a row that got another person
//! ```
//!
//! A row has changed only if it is in one of these files. What is found for one mart is kept for others that
//! were computed from the same versions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::NaiveDate;
use polars::prelude::*;
use wabalake_data::Table;
use wabalake_data::tables::persons::PERSON;
use wabalake_data::tables::{USER_ID, USER_KEY, UTC_DAY, identities, text_key};
use wabalake_queries::query::{ENGINE, Tables};

use crate::error::Result;
use crate::lake::persons::Persons;
use crate::lake::{DataFile, Snapshot};
use crate::load::day::date;
use crate::marts::{Fingerprint, PinnedTables, Provenance};

/// UTC days; `None` stands for rows without a time.
pub(super) type Days = BTreeSet<Option<NaiveDate>>;

/// The changes of tables up to the pinned versions.
pub(super) struct Changes<'t> {
    tables: &'t PinnedTables<'t>,
    relinked: Known<Option<Arc<Relinked>>>,
    days: Known<Option<Days>>,
    altered: Known<Option<bool>>,
}

/// User ids that got another person.
struct Relinked {
    before: Arc<Persons>,
    /// In a column `user_id`.
    user_ids: DataFrame,
    /// The hashes of their persons, before and now, in a column `user_key`.
    persons: DataFrame,
}

/// The change of one table.
pub(super) struct TableChange {
    pub(super) table: &'static Table,
    before: Fingerprint,
    identities: Fingerprint,
    has_other_identities: bool,
    /// The days whose files changed; `None` if that cannot be told.
    pub(super) days: Option<Days>,
    /// The days with rows that got another person; `None` if that cannot be told.
    pub(super) relinked: Option<Days>,
}

impl TableChange {
    /// The days on which rows may have changed; `None` if that cannot be told.
    pub(super) fn all_days(&self) -> Option<Days> {
        Some(self.days.as_ref()? | self.relinked.as_ref()?)
    }

    fn since(&self) -> (&'static str, String, String) {
        (self.table.name, self.before.hash().to_owned(), self.identities.hash().to_owned())
    }
}

impl<'t> Changes<'t> {
    pub(super) fn up_to(tables: &'t PinnedTables<'t>) -> Self {
        let (relinked, days, altered) = (Known::new(), Known::new(), Known::new());
        Self { tables, relinked, days, altered }
    }

    /// The change of a table since a mart was computed; `None` if no row of it changed.
    pub(super) fn of(
        &self,
        table: &'static Table,
        before: &Provenance,
        now: &Provenance,
    ) -> Result<Option<TableChange>> {
        let of = |provenance: &Provenance, name: &str| {
            provenance.tables.get(name).cloned().unwrap_or_default()
        };
        let (known, current) = (of(before, table.name), of(now, table.name));
        let identities = of(before, identities::NAME);
        let is_same = current.matches(&known);
        let has_same_persons = !table.has_people() || now.has_same_identities(before);
        if is_same && has_same_persons {
            return Ok(None);
        }
        let days = if is_same { Some(Days::new()) } else { current.changed_since(&known) };
        let relinked = match has_same_persons {
            true => Some(Days::new()),
            false => self.relinked_days(table, &identities)?,
        };
        Ok(Some(TableChange {
            table,
            before: known,
            identities,
            has_other_identities: !has_same_persons,
            days,
            relinked,
        }))
    }

    /// The days on which a table now has rows with a person other than by older identities.
    fn relinked_days(
        &self,
        table: &'static Table,
        identities: &Fingerprint,
    ) -> Result<Option<Days>> {
        let Some(relinked) = self.relinked(identities)? else { return Ok(None) };
        if relinked.user_ids.height() == 0 {
            return Ok(Some(Days::new()));
        }
        let key = format!("persons of {} since {}", table.name, identities.hash());
        self.days.get(key, || {
            let source = self.tables.table(table)?;
            let Some(rows) = source.snapshot.scan_own_user_ids(table)? else {
                return Ok(Some(Days::new()));
            };
            Ok(Some(days_of(rows, relinked.user_ids.clone().lazy(), USER_ID)?))
        })
    }

    /// The user ids that have another person than by older identities; `None` if these are gone.
    fn relinked(&self, identities: &Fingerprint) -> Result<Option<Arc<Relinked>>> {
        self.relinked.get(identities.hash().to_owned(), || {
            let Some(before) = self.tables.before(&identities::TABLE, identities) else {
                return Ok(None);
            };
            let Ok(before) = Persons::of(&before) else { return Ok(None) };
            Ok(Some(Arc::new(Relinked::of(before, &*self.tables.persons()?)?)))
        })
    }

    /// The days of the rows of a table that have the value of a changed row in a column; `None` if that
    /// cannot be told.
    pub(super) fn days_with_same(
        &self,
        key: &'static str,
        change: &TableChange,
        of: &'static Table,
    ) -> Result<Option<Days>> {
        let since = format!("{key} of {} since {:?}", of.name, change.since());
        self.days.get(since, || {
            let Some(keys) = self.changed_keys(key, change)? else { return Ok(None) };
            let source = self.tables.table(of)?;
            let files: Vec<_> = source.snapshot.files.iter().collect();
            let rows = keys_of(key, of, (&source.snapshot, &files), &self.tables.persons()?)?;
            Ok(Some(days_of(rows, keys.lazy(), key)?))
        })
    }

    /// The values that changed rows have in a column, before and now; `None` if files of before are gone.
    fn changed_keys(&self, key: &'static str, change: &TableChange) -> Result<Option<DataFrame>> {
        let table = change.table;
        let Some(before) = self.tables.before(table, &change.before) else { return Ok(None) };
        let Some(relinked) = &change.relinked else { return Ok(None) };
        let source = self.tables.table(table)?;
        let now = &source.snapshot;
        let removed = not_in(&before, now);
        if before.check_files(&removed, false).is_err() {
            return Ok(None);
        }
        let added: Vec<_> = not_in(now, &before);
        let linked = now.files.iter().filter(|file| relinked.contains(&file.day));
        let linked = linked.filter(|file| before.files.iter().any(|old| old.path == file.path));
        let added: Vec<_> = added.into_iter().chain(linked).collect();
        let persons = self.tables.persons()?;
        let mut keys = vec![keys_of(key, table, (now, &added), &persons)?];
        match self.relinked(&change.identities)?.filter(|_| change.has_other_identities) {
            Some(linked) => {
                keys.push(keys_of(key, table, (&before, &removed), &linked.before)?);
                if key == USER_KEY {
                    keys.push(linked.persons.clone().lazy());
                }
            }
            None => keys.push(keys_of(key, table, (&before, &removed), &persons)?),
        }
        let keys: Vec<_> = keys.into_iter().map(|keys| keys.select([col(key)])).collect();
        let all = concat(keys, UnionArgs::default())?.filter(col(key).is_not_null());
        let all = all.unique(None, UniqueKeepStrategy::Any);
        // Files of before may be missing on a store, which is seen only now.
        Ok(collected(all).ok())
    }

    /// Returns `true` if a small plan over tables has other rows now; `None` if that cannot be told.
    pub(super) fn alter(
        &self,
        plan: fn(&Tables) -> PolarsResult<LazyFrame>,
        tables: &[&'static Table],
        before: &Provenance,
    ) -> Result<Option<bool>> {
        let known = |table: &Table| before.tables.get(table.name).cloned().unwrap_or_default();
        let since: Vec<_> = tables.iter().map(|table| known(table).hash().to_owned()).collect();
        self.altered.get(format!("{plan:?} since {since:?}"), || {
            let (mut old, mut new) = (Tables::new(), Tables::new());
            for table in tables {
                let Some(before) = self.tables.before(table, &known(table)) else {
                    return Ok(None);
                };
                let source = self.tables.table(table)?;
                let removed = not_in(&before, &source.snapshot);
                if before.check_files(&removed, false).is_err() {
                    return Ok(None);
                }
                old = old.with(table, before.scan()?);
                new = new.with(table, source.snapshot.scan()?);
            }
            let rows = |tables: &Tables| -> Result<DataFrame> {
                let rows = collected(plan(tables)?)?;
                let columns: Vec<_> = rows.get_column_names_owned();
                Ok(rows.sort(columns, SortMultipleOptions::default())?)
            };
            let Ok(old) = rows(&old) else { return Ok(None) };
            Ok(Some(!rows(&new)?.equals_missing(&old)))
        })
    }
}

impl Relinked {
    fn of(before: Persons, now: &Persons) -> Result<Self> {
        const BEFORE: &str = "before";
        let persons = |persons: &Persons, name: &str| {
            persons.rows().lazy().select([col(USER_ID), col(PERSON).alias(name)])
        };
        let on = [col(USER_ID)];
        let full =
            JoinArgs { coalesce: JoinCoalesce::CoalesceColumns, ..JoinArgs::new(JoinType::Full) };
        let changed = persons(&before, BEFORE)
            .join(persons(now, PERSON), &on, &on, full)
            .filter(col(BEFORE).neq_missing(col(PERSON)));
        let changed = collected(changed)?;
        let mut keys = BTreeSet::new();
        for column in [USER_ID, BEFORE, PERSON] {
            keys.extend(changed.column(column)?.str()?.iter().flatten().map(text_key));
        }
        let keys = Column::new(USER_KEY.into(), keys.into_iter().collect::<Vec<_>>());
        let persons = DataFrame::new_infer_height(vec![keys])?;
        let user_ids = changed.select([USER_ID])?;
        Ok(Self { before: Arc::new(before), user_ids, persons })
    }
}

/// A column of some files, and the day of each row. A person's key is that of the person.
fn keys_of(
    key: &'static str,
    table: &'static Table,
    (snapshot, files): (&Snapshot, &[&DataFile]),
    persons: &Arc<Persons>,
) -> Result<LazyFrame> {
    if files.is_empty() {
        return Ok(DataFrame::empty_with_schema(&table.schema()).lazy().select([col(key)]));
    }
    let rows = match key == USER_KEY {
        true => snapshot.scan_people_of(table, files, None, &|| Ok(Arc::clone(persons)))?,
        false => snapshot.scan_files(files)?,
    };
    Ok(rows.select([col(key), col(UTC_DAY)]))
}

/// The files of a snapshot that another one does not have.
fn not_in<'s>(snapshot: &'s Snapshot, other: &Snapshot) -> Vec<&'s DataFile> {
    let there: BTreeSet<&str> = other.files.iter().map(|file| file.path.as_str()).collect();
    snapshot.files.iter().filter(|file| !there.contains(file.path.as_str())).collect()
}

/// The days of the rows that have one of the keys.
fn days_of(rows: LazyFrame, keys: LazyFrame, key: &str) -> Result<Days> {
    let rows = rows.join(keys, [col(key)], [col(key)], JoinArgs::new(JoinType::Semi));
    let day = col(UTC_DAY).cast(DataType::Int32);
    let days = collected(rows.select([day]).unique(None, UniqueKeepStrategy::Any))?;
    Ok(days.column(UTC_DAY)?.i32()?.iter().map(|day| day.and_then(date)).collect())
}

fn collected(plan: LazyFrame) -> Result<DataFrame> {
    Ok(plan.collect_with_engine(ENGINE)?.unwrap_single())
}

/// What was found, by its name.
struct Known<T>(Mutex<BTreeMap<String, T>>);

impl<T: Clone> Known<T> {
    fn new() -> Self {
        Self(Mutex::default())
    }

    fn get(&self, name: String, find: impl FnOnce() -> Result<T>) -> Result<T> {
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known().get(&name) {
            return Ok(found.clone());
        }
        let found = find()?;
        known().insert(name, found.clone());
        Ok(found)
    }
}
