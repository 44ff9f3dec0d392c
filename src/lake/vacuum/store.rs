//! Deletes what no retained version needs from a store. There are no folders, links and temporary files.
//!
//! Ages are by the clock of the store. A file of no version is kept for a day at least: a writer that was
//! taken for dead may still be on its way, and finds out before it commits.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::{Options, SkipReason, Vacuumed, replaced};
use crate::error::{Error, Result};
use crate::lake::Lake;
use crate::lake::files::{is_data_file, is_day};
use crate::lake::layout::{Layout, TABLES, stored_tables};
use crate::lake::log::{Log, State};
use crate::lake::marts::MART_DAY;
use crate::place::lease::{self, Lease};
use crate::place::{Entry, Key, OWN};

/// How long a file of no version is kept at least.
const ORPHANS_STAY: TimeDelta = TimeDelta::days(1);

impl Lake {
    /// [`Lake::vacuum`] on a store.
    pub(super) fn vacuum_store(&self, options: Options) -> Result<Vacuumed> {
        let busy = || {
            Error::lake("another command is writing to the lake").hint(
                "run `wabalake vacuum` again when it is done; if it was killed, in two minutes",
            )
        };
        let alone = match options.dry_run {
            true if lease::is_written(self.place(), self.times)? => return Err(busy()),
            true => None,
            false => Some(self.alone()?.ok_or_else(busy)?),
        };
        let now = alone.as_ref().map_or_else(Utc::now, |alone| alone.since());
        if alone.is_some() {
            self.settle_all()?;
        }
        let mut sweep = Sweep {
            lake: self,
            until: now - options.retain,
            orphans_until: now - options.retain.max(ORPHANS_STAY),
            alone,
            done: Vacuumed::default(),
        };
        let folders = self.place().folders(&Key::root().join(TABLES))?;
        // An unreadable log fails the whole run: it may need any file.
        for (table, snapshot) in stored_tables().zip(self.snapshots(stored_tables())?) {
            let layout = Layout::from(table);
            if let Some(state) = &snapshot.state {
                sweep.table(&self.log_of(table), layout.partition, state)?;
            } else if folders.contains(&layout.key()) {
                let table = PathBuf::from(layout.key().as_str());
                sweep.done.skipped.push((table, SkipReason::NoLog));
            }
        }
        for mart in self.place().folders(&Key::root().join("marts"))? {
            let log = Log::new(Arc::clone(self.place()), mart);
            // The next nightly run rebuilds a mart that cannot be read.
            if let Ok(Some(state)) = log.state(None) {
                sweep.table(&log, MART_DAY, &state)?;
            }
        }
        let mut left = lease::left_over(self.place(), sweep.orphans_until)?;
        let probes = self.place().list(&Key::root().join(OWN).join("probe"), None)?;
        left.extend(probes.into_iter().filter(|probe| probe.modified < sweep.orphans_until));
        sweep.delete(left)?;
        Ok(sweep.done)
    }
}

/// One pass over a lake.
struct Sweep<'l> {
    lake: &'l Lake,
    until: DateTime<Utc>,
    orphans_until: DateTime<Utc>,
    /// `None` in a dry run.
    alone: Option<Arc<Lease>>,
    done: Vacuumed,
}

impl Sweep<'_> {
    fn table(&mut self, log: &Log, partition: &str, state: &State) -> Result<()> {
        let replaced = replaced(log)?;
        let table = log.table_key();
        let mut unused = Vec::new();
        let mut others = BTreeSet::new();
        for entry in self.lake.place().list(table, None)? {
            let path = entry.key.below(table).unwrap_or_default().to_owned();
            let mut parts = path.split('/');
            let (first, second) = (parts.next().unwrap_or_default(), parts.next());
            if first == "_delta_log" || state.files.contains_key(&path) {
                continue;
            }
            let replaced = replaced.get(&path);
            let is_file = second.is_some_and(is_data_file) && parts.next().is_none();
            if !is_day(first, partition) {
                others.insert(table.join(first));
            } else if replaced.is_none() && !is_file {
                others.insert(table.join(first).join(second.unwrap_or_default()));
            } else if match replaced {
                Some(replaced) => *replaced < self.until,
                None => entry.modified < self.orphans_until,
            } {
                unused.push(entry);
            }
        }
        let skipped =
            others.into_iter().map(|key| (PathBuf::from(key.as_str()), SkipReason::Foreign));
        self.done.skipped.extend(skipped);
        self.delete(unused)
    }

    fn delete(&mut self, files: Vec<Entry>) -> Result<()> {
        let keys: Vec<Key> = files.iter().map(|file| file.key.clone()).collect();
        if self.alone.is_some() {
            self.lake.delete_files(&keys)?;
        }
        self.done.bytes += files.iter().map(|file| file.bytes).sum::<u64>();
        self.done.files.extend(keys.iter().map(|key| PathBuf::from(key.as_str())));
        Ok(())
    }
}
