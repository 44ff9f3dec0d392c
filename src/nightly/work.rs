//! The work that a mart needs: the dates of its answer that changes of tables may affect.
//!
//! ```text
//! sessions changed on UTC day 06-02
//!   │ rule         of deployment-sessions: the buckets of the deployments that name a changed session
//!   │ look         deployments of UTC days 05-31 and 06-02 name one
//!   ▼ compute      05-30 to 06-02, in America/Bogota
//! ```

use std::collections::BTreeSet;

use chrono::{Days, NaiveDate, TimeDelta};
use wabalake_data::Table;
use wabalake_data::tables::identities;
use wabalake_data::words::{counted, listed};
use wabalake_queries::query::time::local_dates;
use wabalake_queries::query::{Invalidation, Near};

use super::changes::{Changes, TableChange};
use super::refresh::{Found, Scope};
use crate::error::Result;
use crate::marts::{Definition, Fingerprint, Mart, Provenance, QueryMart};

/// Date ranges no further apart than this are computed as one.
const NEAR: TimeDelta = TimeDelta::days(2);

/// At most so many date ranges: each is a query of its own. More are merged, the nearest first.
const MOST_RANGES: usize = 12;

/// Of more days than this, a mart is computed as a whole if most of them must be computed.
const FEW_DAYS: usize = 14;

/// The first and the last date, both inclusive.
type Dates = (NaiveDate, NaiveDate);

/// The work that a mart needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// No input has changed.
    Nothing,
    /// All of it must be computed.
    All { why: String },
    /// Some date ranges must be computed, both ends inclusive. Without any, only the mart's provenance is
    /// out of date.
    Some { ranges: Vec<Dates>, why: String },
}

impl Work {
    /// Compares the provenance of a mart with that of the tables as they are now.
    pub(super) fn of(
        mart: &Mart,
        before: Option<&Provenance>,
        now: &Provenance,
        changes: &Changes<'_>,
        full: bool,
    ) -> Result<Self> {
        let all = |why: &str| Ok(Self::All { why: why.to_owned() });
        let Some(before) = before else { return all("not yet computed") };
        if before.fingerprint != now.fingerprint {
            return all("its definition changed");
        }
        if full {
            return all("`--full`");
        }
        if now.matches(before) {
            return Ok(Self::Nothing);
        }
        let mart = match &mart.definition {
            Definition::Query(asked) => asked,
            Definition::Sql(_) => {
                let tables = Vec::from_iter(now.changed_since(before));
                return all(&format!("{} changed", listed(&tables)));
            }
        };
        let mut found = Affected { mart, changes, before, ranges: Vec::new(), reasons: Vec::new() };
        Ok(match found.look(now)? {
            Some(why) => Self::All { why },
            None => found.work(now),
        })
    }

    /// Computes all of a damaged mart.
    pub(super) fn or_rebuild(self, found: Found) -> Self {
        match found {
            Found::Whole => self,
            Found::Damaged => Self::All { why: "it was damaged".to_owned() },
        }
    }

    pub(super) fn scope(&self) -> Scope {
        match self {
            Self::Nothing => Scope::Nothing,
            Self::All { .. } => Scope::All,
            Self::Some { .. } => Scope::Some,
        }
    }
}

/// The dates of a mart that changes affect.
struct Affected<'m> {
    mart: &'m QueryMart,
    changes: &'m Changes<'m>,
    before: &'m Provenance,
    ranges: Vec<Dates>,
    reasons: Vec<String>,
}

impl Affected<'_> {
    /// Finds the dates. Returns the reason if the whole mart is affected.
    fn look(&mut self, now: &Provenance) -> Result<Option<String>> {
        let question = &self.mart.question;
        let mut look_ups: Vec<(fn(&_) -> _, &str)> = Vec::new();
        let mut looked_up = Vec::new();
        for table in question.reads() {
            let rules = question.invalidation(table);
            for rule in &rules {
                if let Invalidation::LookUp(_) = rule {
                    looked_up.push(table);
                }
            }
            let Some(mut change) = self.changes.of(table, self.before, now)? else { continue };
            for days in [&mut change.days, &mut change.relinked].into_iter().flatten() {
                days.retain(|day| self.may_count(table, *day));
            }
            if rules.is_empty() || change.all_days().is_some_and(|days| days.is_empty()) {
                continue;
            }
            let is_judged_by_day = rules.iter().any(Invalidation::is_of_dates);
            for rule in rules {
                let why = match rule {
                    Invalidation::Answer => Some(change.why()),
                    Invalidation::Near(near) => self.add(&change, near),
                    Invalidation::SameKey { key, of, near } => {
                        match self.changes.days_with_same(key, &change, of)? {
                            Some(days) => self.extend(of, &days, near),
                            None => Some(change.why()),
                        }
                    }
                    Invalidation::LookUp(plan) => {
                        look_ups.push((plan, table.name));
                        None
                    }
                };
                if why.is_some() {
                    return Ok(why);
                }
            }
            if is_judged_by_day {
                self.reasons.push(change.told());
            }
        }
        for (plan, table) in look_ups {
            if self.changes.alter(plan, &looked_up, self.before)? != Some(false) {
                return Ok(Some(format!("`{table}` changed")));
            }
        }
        Ok(None)
    }

    /// Returns `true` if rows of a table on a UTC day, or without a time, may count.
    fn may_count(&self, table: &Table, day: Option<NaiveDate>) -> bool {
        let question = &self.mart.question;
        match day {
            Some(day) => question.may_count(table, day),
            None => question.instants(table) == (None, None),
        }
    }

    /// Adds the dates near changed rows.
    fn add(&mut self, change: &TableChange, near: Near) -> Option<String> {
        match change.all_days() {
            Some(days) => self.extend(change.table, &days, near),
            None => Some(change.why()),
        }
    }

    /// Adds the buckets of the dates near rows of a table. Returns the reason if that is the whole answer.
    fn extend(
        &mut self,
        table: &Table,
        days: &BTreeSet<Option<NaiveDate>>,
        near: Near,
    ) -> Option<String> {
        let (question, buckets) = (&self.mart.question, self.mart.buckets()?);
        for day in days {
            let Some(day) = *day else {
                return Some(format!("rows of `{}` without a time changed", table.name));
            };
            let (mut first, mut last) = near.around(local_dates(question.timezone(), day));
            // The same time is at most a date apart.
            if buckets.zone() != question.timezone() {
                (first, last) = (first - Days::new(1), last + Days::new(1));
            }
            self.ranges.push((buckets.around(first).0, buckets.around(last).1));
        }
        None
    }

    fn work(self, now: &Provenance) -> Work {
        let ranges = merged(self.ranges);
        let days: BTreeSet<NaiveDate> = now.tables.values().flat_map(Fingerprint::days).collect();
        let affected = |day: &&NaiveDate| is_within(&ranges, **day);
        let most = days.len() > FEW_DAYS && days.iter().filter(affected).count() * 2 > days.len();
        let why = match self.reasons.is_empty() {
            true => "what changed does not count".to_owned(),
            false => self.reasons.join("; "),
        };
        if most { Work::All { why } } else { Work::Some { ranges, why } }
    }
}

impl TableChange {
    /// The reason to compute a whole mart.
    fn why(&self) -> String {
        let has_changed = self.days.as_ref().is_none_or(|days| !days.is_empty());
        let name = if has_changed { self.table.name } else { identities::NAME };
        format!("`{name}` changed")
    }

    /// The reason to compute some dates.
    fn told(&self) -> String {
        let days = |days: &Option<BTreeSet<_>>| days.as_ref().map_or(0, BTreeSet::len) as u64;
        let table = self.table.name;
        match (days(&self.days), days(&self.relinked)) {
            (changed, 0) => format!("`{table}` changed on {}", counted(changed, "UTC day")),
            (0, linked) => {
                format!("persons of `{table}` changed on {}", counted(linked, "UTC day"))
            }
            (changed, linked) => format!(
                "`{table}` changed on {}, its persons on {}",
                counted(changed, "UTC day"),
                counted(linked, "UTC day")
            ),
        }
    }
}

/// Returns `true` if a date is in one of some ranges.
pub(super) fn is_within(ranges: &[Dates], date: NaiveDate) -> bool {
    ranges.iter().any(|(first, last)| *first <= date && date <= *last)
}

/// Merges date ranges that overlap or are near each other.
fn merged(mut ranges: Vec<Dates>) -> Vec<Dates> {
    ranges.sort_unstable();
    let mut near = NEAR;
    loop {
        let mut merged: Vec<Dates> = Vec::new();
        for (first, last) in &ranges {
            match merged.last_mut() {
                Some(before) if *first - before.1 <= near => before.1 = before.1.max(*last),
                _ => merged.push((*first, *last)),
            }
        }
        if merged.len() <= MOST_RANGES {
            return merged;
        }
        near = near * 2;
        ranges = merged;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(day: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(2025, 1, 1).unwrap() + TimeDelta::days(i64::from(day))
    }

    #[test]
    fn near_date_ranges_are_merged() {
        let of = |days: &[u32]| merged(days.iter().map(|day| (date(*day), date(*day))).collect());
        assert_eq!(of(&[]), []);
        assert_eq!(of(&[2, 1, 4, 9]), [(date(1), date(4)), (date(9), date(9))]);
        let far_apart: Vec<u32> = (0..100).map(|day| day * 4).collect();
        let few = of(&far_apart);
        assert!(few.len() <= MOST_RANGES, "{few:?}");
        assert!(far_apart.iter().all(|day| is_within(&few, date(*day))));
    }
}
