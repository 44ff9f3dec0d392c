//! Loads and undos over several tables: their commits become visible at once, or not at all.
//!
//! ```text
//! .wabalake/loads/ID.json      the record: the tables and their versions; written before the first commit
//!   sessions   version 20      committed with this id, hidden: wabalake reads version 19
//!   messages   version 8       committed with this id, hidden
//! .wabalake/loads/ID.decided   `committed`, made once: versions 20 and 8 are visible from now on
//!   the record is deleted
//! ```
//!
//! The process that commits holds the locks of all of its tables. Whoever gets one of these locks and
//! finds the record knows that the process was killed:
//!
//! | killed | the next writer |
//! |---|---|
//! | before the first commit | deletes the record |
//! | a load, in between | decides `taken back`, undoes what is committed, then deletes the record |
//! | an undo, in between | undoes the other tables, then decides `committed` |
//! | after the last commit | decides `committed` |
//!
//! All commits of one load have one time, those that take it back too, so that no instant lies between
//! them. Of the decisions, the last one stays: by a change of the names in the folder a reader notices
//! that another load ended meanwhile. Other programs see the tables one after another.
//!
//! A change of one table needs no record: its commit is atomic.

mod record;
mod recover;
mod view;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::json;
use uuid::Uuid;
use wabalake_data::Table;

use self::record::{Decision, Record};
use super::transact::Base;
use super::{Change, Lake, Layout, Lock, Operation, Snapshot, Staging, Transacted};
use crate::error::{Error, Result};

/// The entry of `commitInfo` with the id that the commits of several tables share.
pub(super) const JOINT: &str = "joint";

/// How often locks are tried again after what was begun with them is settled.
const TRIES: usize = 100;

/// The locks of some tables. What killed processes began there is settled.
#[derive(Debug)]
#[must_use]
pub(crate) struct LockedTables<'l> {
    lake: &'l Lake,
    locks: Vec<Lock>,
}

/// A load or undo that changes tables together.
#[derive(Debug)]
#[must_use]
pub(crate) struct Joint<'l> {
    lake: &'l Lake,
    /// `None` if there is one table only: its commit is atomic.
    record: Option<(String, Record)>,
    _locks: Vec<Lock>,
}

impl Lake {
    /// Waits for the locks of tables, and completes or takes back what killed processes began there.
    pub(crate) fn lock_tables(&self, tables: &[&'static Table]) -> Result<LockedTables<'_>> {
        // First, because who holds the lock of a table may wait for this one.
        let mut locks = vec![self.writing()?];
        let layouts: Vec<Layout> = tables.iter().map(|table| Layout::from(*table)).collect();
        locks.extend(self.lock_settled(&layouts)?);
        Ok(LockedTables { lake: self, locks })
    }

    /// Like [`Lake::lock_tables`], for a caller that holds the write lock.
    pub(super) fn lock_settled(&self, layouts: &[Layout]) -> Result<Vec<Lock>> {
        for _ in 0..TRIES {
            let locks = self.wait_for(layouts)?;
            if layouts.iter().all(|layout| layout.is_mart) {
                // Marts are part of no load.
                return Ok(locks);
            }
            let begun = self.begun(&self.joint_names()?)?;
            let names = |record: &Record| layouts.iter().any(|layout| record.names(layout));
            let Some((id, _)) = begun.into_iter().find(|(_, record)| names(record)) else {
                return Ok(locks);
            };
            // It needs the locks of other tables as well, which are taken in one order.
            drop(locks);
            self.settle(&id)?;
        }
        Err(Error::lake("other loads were killed again and again while this one waited for them")
            .hint("run the same command again"))
    }

    /// Waits for the locks of tables on this machine.
    pub(super) fn wait_for(&self, layouts: &[Layout]) -> Result<Vec<Lock>> {
        let mut layouts: Vec<&Layout> = layouts.iter().collect();
        layouts.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        layouts.into_iter().map(|layout| self.lock_table(layout)).collect()
    }
}

impl<'l> LockedTables<'l> {
    /// Begins to change some of the tables together, by a load or by the undo of one that was
    /// committed at `loaded_at`. The caller finishes it, or takes it back.
    ///
    /// # Errors
    ///
    /// A record that cannot be written.
    pub(crate) fn begin(
        self,
        operation: Operation,
        load_id: &str,
        loaded_at: Option<DateTime<Utc>>,
        tables: &[&'static Table],
    ) -> Result<Joint<'l>> {
        let lake = self.lake;
        let record = match tables {
            [] | [_] => None,
            _ => {
                let mut record = Record::new(operation, load_id, loaded_at);
                let id = Uuid::new_v4().to_string();
                loop {
                    record.lease = lake.lease().map(|lease| lease.name().to_owned());
                    // None of this load's commits has one of these versions or an older one.
                    let versions =
                        lake.each(tables, |table| match lake.read_before(&(*table).into())? {
                            Some(known) => Ok(known.version),
                            None => Ok(lake.log_of(*table).list_folder()?.newest()),
                        })?;
                    let names = tables.iter().map(|table| table.name.to_owned());
                    record.tables = names.zip(versions).collect();
                    lake.write_record(&id, &record)?;
                    if !lake.is_another_begun(&record, &id)? {
                        break;
                    }
                    // Both may have begun at once: neither goes on before it is the only one.
                    lake.delete_record(&id)?;
                    lake.wait_a_moment();
                    let layouts: Vec<Layout> = tables.iter().map(|table| (*table).into()).collect();
                    let _ = lake.wait_for_others(&layouts)?;
                }
                Some((id, record))
            }
        };
        Ok(Joint { lake, record, _locks: self.locks })
    }
}

impl Joint<'_> {
    /// Commits a change of one of the tables, as [`Lake::transact`] does.
    ///
    /// # Errors
    ///
    /// As [`Lake::transact`]; another process that took this one for killed.
    pub(crate) fn transact(
        &self,
        table: impl Into<Layout>,
        compute: impl FnMut(&Snapshot, &Staging) -> Result<Option<Change>>,
    ) -> Result<Transacted> {
        self.transact_from(Base::Known, table.into(), compute)
    }

    /// As [`Joint::transact`], from the newest version only: an undo reads more than its snapshot.
    pub(super) fn transact_newest(
        &self,
        table: impl Into<Layout>,
        compute: impl FnMut(&Snapshot, &Staging) -> Result<Option<Change>>,
    ) -> Result<Transacted> {
        self.transact_from(Base::Newest, table.into(), compute)
    }

    fn transact_from(
        &self,
        base: Base,
        table: Layout,
        mut compute: impl FnMut(&Snapshot, &Staging) -> Result<Option<Change>>,
    ) -> Result<Transacted> {
        let is_joint = self.record.is_some();
        self.lake.transact_locked(&table, base, is_joint, |snapshot, staging| {
            let change = compute(snapshot, staging)?;
            // On a store, nobody takes a load back whose lease holds, which is checked before each commit.
            if let Some((id, _)) = &self.record
                && self.lake.place().as_folder().is_some()
                && self.lake.decision(id)? == Some(Decision::TakenBack)
                && change.as_ref().is_some_and(|change| change.operation == Operation::Load)
            {
                return Err(taken_back());
            }
            Ok(change.map(|change| self.marked(change)))
        })
    }

    /// Marks a change as a part of this one.
    fn marked(&self, mut change: Change) -> Change {
        if let Some((id, record)) = &self.record {
            change.info.insert(JOINT.to_owned(), json!(id));
            change.time = Some(record.at);
        }
        change
    }

    /// Makes all commits visible.
    ///
    /// # Errors
    ///
    /// A decision that cannot be written: the next writer completes what was begun. Another process
    /// that took this one for killed.
    pub(crate) fn finish(self) -> Result<()> {
        let Some((id, _)) = &self.record else { return Ok(()) };
        self.lake.check_lease()?;
        match self.lake.decide(id, Decision::Committed)? {
            Decision::Committed => self.lake.delete_record(id),
            Decision::TakenBack => {
                // A commit may have come after the other process looked.
                self.take_back();
                Err(taken_back())
            }
        }
    }

    /// Makes all commits visible, or takes them back if one of them failed.
    ///
    /// # Errors
    ///
    /// That of the commit that failed; as [`Joint::finish`].
    pub(crate) fn end<T>(self, committed: Result<T>) -> Result<T> {
        match committed {
            Ok(done) => self.finish().map(|()| done),
            Err(error) => {
                self.take_back();
                Err(error)
            }
        }
    }

    /// Takes back what is committed, after an error. What fails now is done by the next writer.
    pub(crate) fn take_back(self) {
        if self.record.is_some() {
            let _ = self.recover();
        }
    }
}

fn taken_back() -> Error {
    Error::lake("another process took this load for killed, and took it back")
        .hint("this machine was asleep, or its disk did not answer: load the same files again")
}

impl Record {
    fn new(operation: Operation, load_id: &str, loaded_at: Option<DateTime<Utc>>) -> Self {
        // The log has milliseconds.
        let now = DateTime::from_timestamp_millis(Utc::now().timestamp_millis());
        let at = now.unwrap_or_default();
        Self {
            operation: operation.name().to_owned(),
            load_id: load_id.to_owned(),
            loaded_at: loaded_at.unwrap_or(at),
            at,
            lease: None,
            tables: BTreeMap::new(),
        }
    }

    fn names(&self, layout: &Layout) -> bool {
        !layout.is_mart && self.tables.contains_key(layout.name.as_str())
    }
}
