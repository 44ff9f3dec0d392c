//! Completes or takes back what a killed process began.

use std::thread::sleep;

use chrono::{TimeDelta, Utc};
use uuid::Uuid;
use wabalake_data::Table;

use super::Joint;
use super::record::{Decision, Record};
use crate::error::{Context as _, Error, Result};
use crate::lake::undo::{Load, Undone, UndoneTable};
use crate::lake::{Lake, Layout, Lock, Operation, lock};

impl Lake {
    /// Waits for the process that began a load over several tables, and settles it if it was killed.
    /// Returns the tables in which a load was undone; `None` if nothing was committed, or if the
    /// process ended by itself.
    pub(super) fn settle(&self, id: &str) -> Result<Option<Vec<UndoneTable>>> {
        let Some(record) = self.record(id)? else { return Ok(None) };
        let layouts: Vec<Layout> = tables(&record)?.into_iter().map(Layout::from).collect();
        let locks = self.wait_for(&layouts)?;
        self.settle_locked(id, locks)
    }

    /// Settles all that killed processes began, without waiting for those that run. The caller must not
    /// hold the exclusive write lock.
    pub(crate) fn settle_killed(&self) -> Result<()> {
        let begun = self.begun(&self.joint_names()?)?;
        let _writing = if begun.is_empty() { None } else { Some(self.writing()?) };
        for (id, record) in begun {
            if self.place().as_folder().is_none() {
                if self.is_killed(&record, &[])? {
                    self.settle(&id)?;
                }
                continue;
            }
            let mut locks = Vec::new();
            for table in tables(&record)? {
                match lock::take(&self.table_lock(&table.into()))? {
                    Some(lock) => locks.push(lock),
                    None => break,
                }
            }
            if locks.len() == record.tables.len() && self.is_killed(&record, &locks)? {
                self.settle_locked(&id, locks)?;
            }
        }
        Ok(())
    }

    /// Settles all that was begun, for a caller that holds the exclusive write lock: no process writes.
    pub(in crate::lake) fn settle_all(&self) -> Result<()> {
        self.begun(&self.joint_names()?)?.iter().try_for_each(|(id, _)| self.settle(id).map(drop))
    }

    /// Completes an undo that was killed. Waits for one that runs; then there is nothing to complete.
    pub(crate) fn complete_undo(&self) -> Result<Option<Undone>> {
        for (id, record) in self.begun(&self.joint_names()?)? {
            if record.operation != Operation::Undo.name() {
                continue;
            }
            if let Some(undone) = self.settle(&id)? {
                let (time, load_id) = (record.loaded_at, record.load_id);
                let tables = undone.iter().map(|table| table.table).collect();
                return Ok(Some(Undone { load: Load { time, load_id, tables }, tables: undone }));
            }
        }
        Ok(None)
    }

    /// Returns `true` if no process commits to the tables of a record any more, for a process that holds
    /// their locks. Where the file system has no locks, only the age of the record tells; on a store, the
    /// lease of the process that began it.
    fn is_killed(&self, record: &Record, locks: &[Lock]) -> Result<bool> {
        if self.place().as_folder().is_some() {
            let is_old = Utc::now() - record.at > TimeDelta::days(1);
            return Ok(locks.iter().all(Lock::holds) || is_old);
        }
        match (self.lease(), &record.lease) {
            // What this process began is over: it holds the locks of the tables.
            (Some(own), Some(writer)) => Ok(own.name() == writer || !own.is_alive(writer)?),
            // A folder that was copied to the store.
            (_, None) => Ok(true),
            (None, _) => Err(Error::bug("a load is settled without a lease")),
        }
    }

    /// Waits, on a store, until no other process has begun to change one of some tables together with
    /// others; settles what killed ones began. Returns `true` if there was any.
    pub(in crate::lake) fn wait_for_others(&self, layouts: &[Layout]) -> Result<bool> {
        let mut any = false;
        loop {
            let begun = self.begun(&self.joint_names()?)?;
            let names = |record: &Record| layouts.iter().any(|layout| record.names(layout));
            let Some((id, _)) = begun.into_iter().find(|(_, record)| names(record)) else {
                return Ok(any);
            };
            any = true;
            self.settle_locked(&id, Vec::new())?;
        }
    }

    /// Returns `true` if another process on a store has begun to change one of a record's tables.
    pub(super) fn is_another_begun(&self, record: &Record, own: &str) -> Result<bool> {
        if self.place().as_folder().is_some() {
            // The locks of the tables keep others out.
            return Ok(false);
        }
        let mut names = self.joint_names()?;
        names.retain(|name| !name.starts_with(own));
        let shares = |other: &Record| other.tables.keys().any(|of| record.tables.contains_key(of));
        Ok(self.begun(&names)?.iter().any(|(_, other)| shares(other)))
    }

    /// Waits before another look at what others do on a store: not all processes equally long.
    pub(in crate::lake) fn wait_a_moment(&self) {
        let share = f64::from(Uuid::new_v4().as_bytes()[0]) / 255.0;
        sleep(self.times.look.mul_f64(0.5 + share));
    }

    fn settle_locked(&self, id: &str, locks: Vec<Lock>) -> Result<Option<Vec<UndoneTable>>> {
        // The process may have ended while this one waited.
        let Some(record) = self.record(id)? else { return Ok(None) };
        while !self.is_killed(&record, &locks)? {
            if self.place().as_folder().is_none() {
                // It is on another machine.
                self.wait_a_moment();
                if self.record(id)?.is_none() {
                    return Ok(None);
                }
                continue;
            }
            return Err(Error::lake("another process is loading into the lake, or was killed")
                .found("its file system has no locks, which would tell")
                .hint("run the same command again when the other one is done, or after a day"));
        }
        let killed = Joint { lake: self, record: Some((id.to_owned(), record)), _locks: locks };
        killed.recover().context(|| "settling a load or undo that was killed")
    }
}

fn tables(record: &Record) -> Result<Vec<&'static Table>> {
    let table = |name: &String| {
        wabalake_data::table(name).ok_or_else(|| {
            Error::lake(format!("a load into the table `{name}` was begun"))
                .found(format!("wabalake {} does not know it", env!("CARGO_PKG_VERSION")))
                .hint("a newer version wrote it: use that version to change the lake")
        })
    };
    record.tables.keys().map(table).collect()
}

impl Joint<'_> {
    /// Completes a load if all of its tables are committed, else takes it back. Completes an undo.
    /// Returns the tables in which a load was undone; `None` if nothing was committed.
    pub(super) fn recover(self) -> Result<Option<Vec<UndoneTable>>> {
        let (lake, Some((id, record))) = (self.lake, &self.record) else { return Ok(None) };
        let tables = tables(record)?;
        let decision = lake.decision(id)?;
        let mut committed = Vec::new();
        for table in &tables {
            let since = record.tables.get(table.name).copied().flatten();
            if lake.first_commit_of(id, &(*table).into(), since)?.is_some() {
                committed.push(*table);
            }
        }
        let is_whole = committed.len() == tables.len();
        let is_load = record.operation == Operation::Load.name();
        if decision == Some(Decision::Committed) || decision.is_none() && committed.is_empty() {
            lake.delete_record(id)?;
            return Ok((!committed.is_empty()).then(Vec::new));
        }
        let mut undone = Vec::new();
        let wanted = match decision {
            None if is_load && !is_whole => Decision::TakenBack,
            None => Decision::Committed,
            Some(decided) => decided,
        };
        if !is_load {
            for table in &tables {
                undone.extend(lake.undo_in(&self, table, &record.load_id)?);
            }
        }
        if lake.decide(id, wanted)? == Decision::TakenBack {
            for table in committed {
                undone.extend(lake.undo_in(&self, table, &record.load_id)?);
            }
        }
        lake.delete_record(id)?;
        Ok(Some(undone))
    }
}
