//! The versions of tables that readers see: without loads that are not committed in all tables.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::thread::ScopedJoinHandle;

use super::record::{Decision, Record};
use super::{JOINT, TRIES};
use crate::error::{Error, Result};
use crate::lake::layout::TABLES;
use crate::lake::log::{Log, commit_info};
use crate::lake::{AsOf, Lake, Layout, Snapshot};
use crate::place::Key;

/// The loads that are not committed.
#[derive(Debug, Default)]
struct Pending(Vec<(String, Record)>);

impl Lake {
    /// The newest visible versions of tables, all as of one instant: of each load, all or nothing.
    ///
    /// # Errors
    ///
    /// As [`Lake::snapshot`].
    pub fn snapshots<T: Into<Layout>>(
        &self,
        tables: impl IntoIterator<Item = T>,
    ) -> Result<Vec<Snapshot>> {
        let layouts: Vec<Layout> = tables.into_iter().map(Into::into).collect();
        if let Some(pinned) = self.pinned_snapshots(&layouts) {
            return Ok(pinned);
        }
        self.at_one_instant_of(&layouts, |pending| {
            let snapshots = self.each(&layouts, |layout| {
                let log = self.visible(layout, pending)?;
                self.read_snapshot(layout, &log)
            })?;
            let is_missing = |snapshot: &Snapshot| snapshot.version.is_none();
            if self.pinned.is_some() && snapshots.iter().all(is_missing) {
                self.warn_if_empty()?;
            }
            Ok(snapshots)
        })
        .inspect(|snapshots| self.pin(snapshots))
    }

    /// Snapshots that were read before, if each is read once and all of them were.
    fn pinned_snapshots(&self, layouts: &[Layout]) -> Option<Vec<Snapshot>> {
        let pinned = self.pinned.as_ref()?.lock().ok()?;
        layouts.iter().map(|layout| pinned.get(&layout.key()).cloned()).collect()
    }

    /// Keeps snapshots, if each is read once. Those of one call are as of one instant, so they replace
    /// older ones.
    fn pin(&self, snapshots: &[Snapshot]) {
        if let Some(Ok(mut pinned)) = self.pinned.as_ref().map(Mutex::lock) {
            pinned.extend(snapshots.iter().map(|read| (read.layout.key(), read.clone())));
        }
    }

    /// Calls a function for each table; for all at once, if a store has to answer each.
    pub(in crate::lake) fn each<L: Sync, T: Send>(
        &self,
        tables: &[L],
        of: impl Fn(&L) -> Result<T> + Sync,
    ) -> Result<Vec<T>> {
        if self.place().as_folder().is_some() {
            return tables.iter().map(of).collect();
        }
        let of = &of;
        std::thread::scope(|scope| {
            let threads: Vec<_> =
                tables.iter().map(|table| scope.spawn(move || of(table))).collect();
            let failed = |_| Err(Error::bug("a thread failed to read a log"));
            let joined = threads.into_iter().map(ScopedJoinHandle::join);
            joined.map(|read| read.unwrap_or_else(failed)).collect()
        })
    }

    /// Warns if a store has no tables at all: its address may be mistyped, and there is no folder
    /// whose absence would tell.
    fn warn_if_empty(&self) -> Result<()> {
        let is_new = || Ok::<_, Error>(self.place().folders(&Key::root().join(TABLES))?.is_empty());
        if !self.warned_of_nothing.is_completed() && is_new()? {
            self.warned_of_nothing.call_once(|| {
                self.warn(&format!("the lake at `{}` has no tables yet", self.place().shown()));
            });
        }
        Ok(())
    }

    /// The visible versions of tables, by name, all as of one instant; `None` for one that did not
    /// exist. A table whose log cannot be read is left out.
    ///
    /// # Errors
    ///
    /// A record of a load that cannot be read.
    pub fn versions_as_of<'t, T: Into<Layout>>(
        &self,
        tables: impl IntoIterator<Item = (&'t str, T)>,
        as_of: &AsOf,
    ) -> Result<BTreeMap<&'t str, Option<u64>>> {
        let tables: Vec<(&str, Layout)> =
            tables.into_iter().map(|(name, table)| (name, table.into())).collect();
        self.at_one_instant(|pending| {
            let version = |(name, layout): &(&'t str, Layout)| {
                Some((*name, self.version_as_of(layout, as_of, pending).ok()?))
            };
            Ok(tables.iter().filter_map(version).collect())
        })
    }

    /// A table as of a version or an instant. Reading it fails if `vacuum` has deleted files of it.
    ///
    /// # Errors
    ///
    /// As [`Lake::snapshot`]; a version that does not exist, or whose log is gone.
    pub fn snapshot_as_of(&self, table: impl Into<Layout>, as_of: &AsOf) -> Result<Snapshot> {
        let layout = table.into();
        let version = self.at_one_instant(|pending| self.version_as_of(&layout, as_of, pending))?;
        self.snapshot_at(layout, version)
    }

    fn version_as_of(
        &self,
        layout: &Layout,
        as_of: &AsOf,
        pending: &Pending,
    ) -> Result<Option<u64>> {
        let log = self.visible(layout, pending)?;
        match as_of {
            AsOf::Now => Ok(log.list()?.newest()),
            AsOf::Versions(versions) => match versions.get(layout.name.as_str()) {
                Some(version) => Ok(Some(*version)),
                None => Ok(log.list()?.newest()),
            },
            AsOf::Instant(at) => log.version_at(*at),
        }
    }

    /// One visible version of a table; `None` for the time before it existed.
    ///
    /// # Errors
    ///
    /// As [`Lake::snapshot_as_of`].
    pub fn snapshot_at(&self, table: impl Into<Layout>, version: Option<u64>) -> Result<Snapshot> {
        let layout = table.into();
        let key = layout.key();
        let state = match version {
            Some(version) => {
                let log = self.at_one_instant(|pending| self.visible(&layout, pending))?;
                Some(log.state_at(version, self.known(&key))?)
            }
            None => None,
        };
        Snapshot::new(layout, Arc::clone(self.place()), key, state)
    }

    /// The log of a table up to its newest visible version, whatever is committed later. It must not
    /// end before its newest known version.
    pub(in crate::lake) fn log(&self, table: impl Into<Layout>) -> Result<Log> {
        self.logs(&[table.into()])?.pop().ok_or_else(|| Error::bug("a table without a log"))
    }

    /// The logs of tables, all as of one instant. See [`Lake::log`].
    pub(in crate::lake) fn logs(&self, layouts: &[Layout]) -> Result<Vec<Log>> {
        if self.pinned.is_some() {
            let read = self.snapshots(layouts)?;
            let log =
                |read: &Snapshot| self.whole_log(&read.layout).before(Some(end_of(read.version)));
            return Ok(read.iter().map(log).collect());
        }
        self.at_one_instant_of(layouts, |pending| {
            self.each(layouts, |layout| {
                let log = self.visible(layout, pending)?;
                let end = end_of(log.list()?.newest());
                Ok(log.before(Some(end)))
            })
        })
    }

    /// Reads some tables while no load over several tables begins or ends. Marts are part of none.
    fn at_one_instant_of<T>(
        &self,
        layouts: &[Layout],
        read: impl Fn(&Pending) -> Result<T>,
    ) -> Result<T> {
        match layouts.iter().all(|layout| layout.is_mart) {
            true => read(&Pending(Vec::new())),
            false => self.at_one_instant(read),
        }
    }

    /// Reads something while no load over several tables begins or ends.
    ///
    /// The records are listed twice, before and after. Once is not enough: without the list before, a load
    /// that was taken back meanwhile could be read without its undo; without the list after, one that began
    /// meanwhile could be read in some of its tables. So callers read all tables that they need at once.
    ///
    /// The list before may be one of long ago: ids are unique, and each load that ends leaves its decision.
    /// If the list after is the same, no load began or ended in all that time.
    fn at_one_instant<T>(&self, read: impl Fn(&Pending) -> Result<T>) -> Result<T> {
        let mut names = match self.last_joint_names() {
            Some(names) => names,
            None => self.joint_names()?,
        };
        for _ in 0..TRIES {
            let pending = self.pending(&names)?;
            let found = read(&pending);
            let after = self.joint_names()?;
            if after == names {
                return found;
            }
            names = after;
        }
        Err(Error::lake(format!("loads began or ended during {TRIES} attempts to read the lake"))
            .hint("run the same command again"))
    }

    fn pending(&self, names: &BTreeSet<String>) -> Result<Pending> {
        let mut pending = Vec::new();
        for (id, record) in self.begun(names)? {
            if self.decision(&id)? != Some(Decision::Committed) {
                pending.push((id, record));
            }
        }
        Ok(Pending(pending))
    }

    /// The log of a table without the commits of pending loads, and all after them.
    fn visible(&self, layout: &Layout, pending: &Pending) -> Result<Log> {
        let log = self.whole_log(layout);
        let mut end: Option<u64> = None;
        for (id, record) in pending.0.iter().filter(|(_, record)| record.names(layout)) {
            let since = record.tables.get(layout.name.as_str()).copied().flatten();
            // Before the search, so that commits after it are hidden, too.
            let newest = log.list_folder()?.newest();
            let first = self.first_commit_of(id, layout, since)?;
            let hidden = first.unwrap_or_else(|| end_of(newest)).min(end_of(newest));
            end = Some(end.map_or(hidden, |end| end.min(hidden)));
        }
        Ok(log.before(end))
    }

    /// The first commit after a version that has the id of a load over several tables.
    pub(super) fn first_commit_of(
        &self,
        id: &str,
        layout: &Layout,
        since: Option<u64>,
    ) -> Result<Option<u64>> {
        let log = self.log_of(layout);
        let Some(newest) = log.list_folder()?.newest() else { return Ok(None) };
        for version in since.map_or(0, |version| version + 1)..=newest {
            let actions = log.actions(version)?;
            let joint = commit_info(&actions).and_then(|info| info.info.get(JOINT)?.as_str());
            if joint == Some(id) {
                return Ok(Some(version));
            }
        }
        Ok(None)
    }
}

/// The first version after the newest one.
fn end_of(newest: Option<u64>) -> u64 {
    newest.map_or(0, |newest| newest + 1)
}
