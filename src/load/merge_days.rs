//! Merges the rows of days with the lake's: days that change are written anew.
//!
//! ```text
//! staged 06-01, 06-02     lake 06-01, 05-31
//!   │ moved    a9 was on 05-31 in the lake, a later export has it on 06-01: decided first
//!   │ 05-31    rewritten without a9
//!   │ 06-01    parts of amounts added up per file; merged, rewritten
//!   ▼ 06-02    new
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use chrono::NaiveDate;
use polars::prelude::*;
use rayon::prelude::*;
use wabalake_data::Table;

use super::buckets::stack;
use super::day::{NO_DAY, by_day, date, utc_day};
use super::key_days::{KeyFilter, StagedKey};
use super::key_hash::row_key_hashes;
use super::merge::{Counts, LAKE, Merged, merge, sorted};
use super::options::Options;
use super::progress::Progress;
use super::renormalise::{has_person_in_key, renormalise};
use super::staged::StagedTable;
use super::staged_columns::ORIGIN;
use super::sums::{Sums, add_up};
use crate::error::{Error, Result};
use crate::lake::{DataFile, Loaded, Snapshot, StagedFile, Staging};

/// An attempt to merge staged rows with a snapshot.
pub(super) struct MergeAttempt<'a> {
    pub(super) staged: &'a StagedTable,
    pub(super) snapshot: &'a Snapshot,
    /// Origins of the files that are not loaded yet.
    pub(super) live: &'a BTreeSet<i32>,
    /// `None` in a dry run.
    pub(super) staging: Option<&'a Staging>,
    pub(super) options: &'a Options,
}

/// The files to remove and add, and the counts of merged days.
#[derive(Default)]
pub(super) struct MergedDays {
    /// The application transactions of the files that were merged.
    pub(super) transactions: Vec<(String, Loaded)>,
    pub(super) remove: Vec<String>,
    pub(super) add: Vec<StagedFile>,
    pub(super) days: BTreeSet<NaiveDate>,
    pub(super) counts: Counts,
    /// Rows of the lake whose person changed.
    pub(super) renormalised: u64,
    /// Rows of the changed days, before and after.
    pub(super) rows: (u64, u64),
}

impl MergedDays {
    fn absorb(&mut self, other: Self) {
        self.remove.extend(other.remove);
        self.add.extend(other.add);
        self.days.extend(other.days);
        self.counts.absorb(other.counts);
        self.renormalised += other.renormalised;
        self.rows.0 += other.rows.0;
        self.rows.1 += other.rows.1;
    }
}

/// The decision on keys that have rows on several days.
#[derive(Default)]
pub(super) struct MovedKeys {
    keys: PlHashSet<i64>,
    /// The rows that stay, by day.
    winners: BTreeMap<i32, Vec<DataFrame>>,
    /// Days of the lake that lose or change a row.
    changed: BTreeSet<i32>,
    counts: Counts,
}

/// Keys of the lake's rows that change when persons are normalised.
#[derive(Default)]
pub(super) struct RenormalisedKeys {
    /// The new keys, with their days.
    pub(super) changed: Vec<(i64, i32)>,
    /// Paths of the files with such keys.
    pub(super) files: BTreeSet<String>,
}

impl MergeAttempt<'_> {
    fn table(&self) -> &'static Table {
        self.staged.table
    }

    pub(super) fn run(&self) -> Result<MergedDays> {
        self.merge_days(self.staged.rows.days().collect(), &self.settle_moved()?)
    }

    /// Merges days, and those that the decision on moved keys changes.
    pub(super) fn merge_days(
        &self,
        mut days: BTreeSet<i32>,
        moved: &MovedKeys,
    ) -> Result<MergedDays> {
        days.extend(&moved.changed);
        days.extend(moved.winners.keys());
        let progress = Progress::days(self.table().name, days.len() as u64, self.options.quiet);

        let outcome = Mutex::new(Ok(MergedDays::default()));
        let waiting = Mutex::new(days.into_iter());
        std::thread::scope(|scope| {
            for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
                scope.spawn(|| {
                    loop {
                        let day = waiting.lock().ok().and_then(|mut days| days.next());
                        let stop = outcome.lock().map_or(true, |outcome| outcome.is_err());
                        let Some(day) = day.filter(|_| !stop) else { return };
                        let merged = self.merge_day(day, moved);
                        progress.advance(1);
                        let Ok(mut outcome) = outcome.lock() else { return };
                        match (merged, &mut *outcome) {
                            (Ok(day), Ok(outcome)) => outcome.absorb(day),
                            (Err(e), outcome @ Ok(_)) => *outcome = Err(e),
                            (_, Err(_)) => {}
                        }
                    }
                });
            }
        });
        let outcome =
            outcome.into_inner().map_err(|_| Error::bug("a thread of the load failed"))?;
        let mut outcome = outcome?;
        outcome.counts.absorb(moved.counts.clone());
        outcome.add.sort_by_key(StagedFile::day);
        outcome.remove.sort();
        Ok(outcome)
    }

    /// Merges one day and writes its files, or none if its rows stay as they are. A day that
    /// exceeds its share of memory is merged in parts by key, one file each.
    fn merge_day(&self, day: i32, moved: &MovedKeys) -> Result<MergedDays> {
        let date = date(day);
        let lake: Vec<&DataFile> = self.snapshot.files_of(date).collect();
        // Rows take about six times their size on disk.
        let lake_bytes: u64 = lake.iter().map(|file| 6 * file.bytes).sum();
        let bytes = self.staged.rows.bytes(day) + usize::try_from(lake_bytes).unwrap_or(usize::MAX);
        let share = (self.options.memory / 2).max(1);
        let parts = i64::try_from(bytes.div_ceil(share)).unwrap_or(i64::MAX).max(1);

        let mut outcome = MergedDays::default();
        let mut changed = moved.changed.contains(&day);
        let settled = moved.winners.get(&day).cloned().unwrap_or_default();
        changed |= settled.iter().any(has_new);
        for part in 0..parts {
            let own = |frame: DataFrame| -> Result<Option<DataFrame>> {
                let frame = self.part_of(frame, part, parts)?;
                let frame = without(self.table(), frame, &moved.keys)?;
                Ok((frame.height() > 0).then_some(frame))
            };
            let mut staged = Vec::new();
            self.staged.rows.read(day, None, |frame| {
                staged.extend(own(self.live_rows(frame)?)?);
                Ok(())
            })?;
            let mut rows = self.added_up(staged, &mut outcome.counts)?;
            for file in &lake {
                let (frame, renormalised) = self.read_lake(&[file])?;
                if let Some(renormalised) = renormalised {
                    changed = true;
                    outcome.renormalised += u64::from(renormalised.sum().unwrap_or(0));
                }
                rows.extend(own(frame)?);
            }
            let merged = merge(self.table(), rows)?;
            changed |= !merged.is_unchanged();
            let Merged { rows, counts, .. } = merged;
            outcome.counts.absorb(counts);
            let mut rows = vec![rows];
            if part == 0 {
                rows.extend(settled.iter().cloned());
            }
            rows.retain(|frame| frame.height() > 0);
            outcome.rows.1 += rows.iter().map(|frame| frame.height() as u64).sum::<u64>();
            // In a day of one part, nothing changed: no need to write.
            if rows.is_empty() || (parts == 1 && !changed) {
                continue;
            }
            if let Some(staging) = self.staging {
                let rows = sorted(self.table(), stack(rows)?)?.drop(ORIGIN)?;
                outcome.add.push(staging.write(date, rows)?);
            }
        }
        if changed {
            outcome.remove.extend(lake.iter().map(|file| file.path.clone()));
            outcome.days.extend(date);
            outcome.rows.0 = lake.iter().map(|file| file.rows).sum();
            // Each part read all rows.
            outcome.renormalised /= u64::try_from(parts).unwrap_or(1);
        } else {
            if let Some(staging) = self.staging {
                staging.forget(&outcome.add);
            }
            outcome.add.clear();
            outcome.rows = (0, 0);
        }
        Ok(outcome)
    }

    /// Adds up staged rows that are parts of one amount, if the table has such amounts.
    fn added_up(&self, rows: Vec<DataFrame>, counts: &mut Counts) -> Result<Vec<DataFrame>> {
        if self.table().summed.is_empty() {
            return Ok(rows);
        }
        let name = |origin: i32| {
            let file = usize::try_from(origin - 1).ok().and_then(|at| self.staged.files.get(at));
            file.map(|file| file.report.file.clone()).unwrap_or_default()
        };
        let Sums { rows, added_up } = add_up(self.table(), &stack(rows)?, &name)?;
        counts.absorb(Counts { added_up, ..Counts::default() });
        Ok(if rows.height() > 0 { vec![rows] } else { Vec::new() })
    }

    /// Reads rows of the lake, with [`ORIGIN`] and normalised persons, and a mask of the rows that
    /// changed.
    pub(super) fn read_lake(
        &self,
        files: &[&DataFile],
    ) -> Result<(DataFrame, Option<BooleanChunked>)> {
        let stored = self.table().stored();
        let columns: Vec<Expr> = stored.iter_names().map(|name| col(name.clone())).collect();
        let rows = self.snapshot.scan_files(files)?.select(columns).collect()?;
        let (rows, renormalised) = renormalise(self.table(), rows)?;
        let height = rows.height();
        let mut columns = rows.into_columns();
        columns.push(Column::new_scalar(ORIGIN.into(), Scalar::from(LAKE), height));
        Ok((DataFrame::new(height, columns)?, renormalised))
    }

    /// Finds the keys of the lake that change when persons are normalised.
    pub(super) fn renormalised_keys(&self, hash: &str) -> Result<RenormalisedKeys> {
        let mut found = RenormalisedKeys::default();
        for file in self.snapshot.files.iter().filter(|_| has_person_in_key(self.table())) {
            let (rows, renormalised) = self.read_lake(&[file])?;
            let Some(renormalised) = renormalised else { continue };
            let day = file.day.map_or(NO_DAY, |day| day.to_epoch_days());
            let changed = rows.column(hash)?.i64()?.filter(&renormalised)?;
            found.changed.extend(changed.iter().flatten().map(|key| (key, day)));
            found.files.insert(file.path.clone());
        }
        Ok(found)
    }

    /// Drops rows of files that another load has committed meanwhile.
    fn live_rows(&self, rows: DataFrame) -> Result<DataFrame> {
        if self.live.len() == self.staged.files.len() {
            return Ok(rows);
        }
        let origins = rows.column(ORIGIN)?.i32()?;
        let live = origins.iter().map(|origin| origin.is_some_and(|o| self.live.contains(&o)));
        Ok(rows.filter(&live.collect::<BooleanChunked>())?)
    }

    /// Keeps the rows of one part of the keys.
    fn part_of(&self, rows: DataFrame, part: i64, parts: i64) -> Result<DataFrame> {
        if parts == 1 {
            return Ok(rows);
        }
        let table = self.table();
        let hash = table.hashes.iter().find(|(_, of)| table.key.contains(of));
        let hashes = match hash {
            Some((hash, _)) => rows.column(hash)?.i64()?.clone(),
            None => Int64Chunked::full_null("".into(), rows.height()),
        };
        // If a part of the key has a hash, rows of one key all have it or all lack it.
        let whole = match hashes.null_count() {
            0 => Vec::new(),
            _ => row_key_hashes(table, &rows)?,
        };
        let hash = |(row, hash): (usize, Option<i64>)| hash.unwrap_or_else(|| whole[row]);
        let falls = hashes.iter().enumerate().map(|row| hash(row).rem_euclid(parts) == part);
        Ok(rows.filter(&falls.collect::<BooleanChunked>())?)
    }

    /// Finds the keys that have rows on several days, and settles them.
    fn settle_moved(&self) -> Result<MovedKeys> {
        let Some(hash) = self.table().key_hash() else { return Ok(MovedKeys::default()) };
        let (keys, lake_days) = self.find_moved(hash)?;
        self.settle(keys, lake_days)
    }

    /// Decides which rows of keys on several days stay, and on which day.
    pub(super) fn settle(
        &self,
        keys: PlHashSet<i64>,
        mut lake_days: BTreeSet<i32>,
    ) -> Result<MovedKeys> {
        if keys.is_empty() {
            return Ok(MovedKeys::default());
        }
        let mut frames = Vec::new();
        for day in self.staged.rows.days() {
            self.staged.rows.read(day, None, |rows| {
                let rows = self.live_rows(rows)?;
                frames.push(only(self.table(), rows, &keys)?);
                Ok(())
            })?;
            lake_days.insert(day);
        }
        let mut in_lake: BTreeMap<i32, usize> = BTreeMap::new();
        for day in lake_days {
            for file in self.snapshot.files_of(date(day)) {
                let (rows, _) = self.read_lake(&[file])?;
                let rows = only(self.table(), rows, &keys)?;
                *in_lake.entry(day).or_default() += rows.height();
                frames.push(rows);
            }
        }
        frames.retain(|rows| rows.height() > 0);
        let merged = merge(self.table(), frames)?;
        let mut winners: BTreeMap<i32, Vec<DataFrame>> = BTreeMap::new();
        let mut stay: BTreeMap<i32, usize> = BTreeMap::new();
        let stamps = merged.rows.column(self.table().day_of)?.cast(&DataType::Int64)?;
        let days = stamps.i64()?.iter().map(|stamp| stamp.map_or(NO_DAY, utc_day));
        for (day, rows) in by_day(&merged.rows, days)? {
            *stay.entry(day).or_default() +=
                rows.column(ORIGIN)?.i32()?.iter().filter(|o| *o == Some(LAKE)).count();
            winners.entry(day).or_default().push(rows);
        }
        // A day of the lake changes if one of its rows does not stay.
        let changed =
            in_lake.iter().filter(|(day, rows)| stay.get(day).copied().unwrap_or(0) != **rows);
        let changed = changed.map(|(day, _)| *day).collect();
        Ok(MovedKeys { keys, winners, changed, counts: merged.counts })
    }

    /// Returns the keys of staged rows that are also on another day, staged or in the lake, and
    /// these days of the lake. Reads the lake's keys several times if many keys are staged.
    fn find_moved(&self, hash: &str) -> Result<(PlHashSet<i64>, BTreeSet<i32>)> {
        const KEYS_AT_ONCE: u64 = 4_000_000;
        let mut moved = PlHashSet::default();
        let mut lake_days = BTreeSet::new();
        let Some(keys) = &self.staged.keys else { return Ok((moved, lake_days)) };
        let lake = &self.snapshot.files;
        let renormalised = self.renormalised_keys(hash)?;
        let (others, as_written): (Vec<_>, Vec<_>) =
            lake.iter().partition(|file| renormalised.files.contains(&file.path));
        for parts in keys.groups(KEYS_AT_ONCE) {
            let read: Vec<(Vec<i64>, Vec<StagedKey>)> = parts
                .into_par_iter()
                .map(|part| {
                    let mut keys = keys.read(part)?;
                    keys.retain(|key| self.live.contains(&key.origin));
                    let several = keys
                        .windows(2)
                        .filter(|pair| pair[0].hash == pair[1].hash && pair[0].day != pair[1].day);
                    let several = several.map(|pair| pair[0].hash).collect();
                    // Only needed to be looked up in the lake.
                    Ok((several, if lake.is_empty() { Vec::new() } else { keys }))
                })
                .collect::<Result<_>>()?;
            let mut days: PlHashMap<i64, i32> = PlHashMap::default();
            for (several, keys) in read {
                moved.extend(several);
                days.extend(keys.into_iter().map(|key| (key.hash, key.day)));
            }
            for (key, day) in &renormalised.changed {
                days.entry(*key).or_insert(*day);
            }
            // Nearly all keys of the lake are no staged ones: the filter costs less than the map.
            let staged = KeyFilter::of(days.keys().copied());
            let elsewhere = |file: &DataFile, mut keys: Vec<i64>| {
                let date = file.day.map_or(NO_DAY, |day| day.to_epoch_days());
                keys.retain(|key| {
                    staged.may_have(*key) && days.get(key).is_some_and(|day| *day != date)
                });
                Ok((!keys.is_empty()).then_some((date, keys)))
            };
            let mut found = self.snapshot.integers(&as_written, hash, elsewhere)?;
            for file in &others {
                let (rows, _) = self.read_lake(&[file])?;
                let keys = rows.column(hash)?.i64()?.iter().flatten().collect();
                found.push(elsewhere(file, keys)?);
            }
            for (date, keys) in found.into_iter().flatten() {
                moved.extend(keys);
                lake_days.insert(date);
            }
        }
        let changed = renormalised.changed.iter().filter(|(key, _)| moved.contains(key));
        lake_days.extend(changed.map(|(_, day)| *day));
        Ok((moved, lake_days))
    }
}

fn has_new(rows: &DataFrame) -> bool {
    let origins = rows.column(ORIGIN).and_then(|column| Ok(column.i32()?.clone()));
    origins.is_ok_and(|origins| origins.iter().any(|origin| origin != Some(LAKE)))
}

fn held(table: &Table, rows: &DataFrame, keys: &PlHashSet<i64>) -> Result<BooleanChunked> {
    let hash = table.key_hash().unwrap_or_default();
    let hashes = rows.column(hash)?.i64()?;
    Ok(hashes.iter().map(|key| key.is_some_and(|key| keys.contains(&key))).collect())
}

/// The rows with some of the keys.
fn only(table: &Table, rows: DataFrame, keys: &PlHashSet<i64>) -> Result<DataFrame> {
    let few = rows.filter(&held(table, &rows, keys)?)?;
    // Texts of filtered rows are views into the buffers of all rows, which would stay in memory.
    let copied = few.columns().iter().map(|column| match column.str() {
        Ok(texts) => {
            StringChunked::from_iter_options(column.name().clone(), texts.iter()).into_column()
        }
        Err(_) => column.clone(),
    });
    Ok(DataFrame::new(few.height(), copied.collect())?)
}

fn without(table: &Table, rows: DataFrame, keys: &PlHashSet<i64>) -> Result<DataFrame> {
    if keys.is_empty() {
        return Ok(rows);
    }
    Ok(rows.filter(&!&held(table, &rows, keys)?)?)
}
