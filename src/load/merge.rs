//! Merges rows by key: of several rows with one key, the newest state stays.
//!
//! ```text
//! origin  session_id  finished   status
//! lake    a1          null       BOT       ┐ a1 was open, file 1 has its end:
//! file 1  a1          10:05      AGENTS    ┘ updated, file 1's row stays
//! file 1  a2          null       BOT         new
//! file 2  a2          null       BOT         equal to the row that stays: unchanged
//! file 2  a2          null       null        ┐ replaced by another row of their own file: superseded
//! file 2  a2          null       BOT         ┘
//! ```
//!
//! The order of rows does not matter: the table's precedence, then the values of all columns,
//! decide. Any order of loads gives the same table. Rows of tables that fold are [merged by
//! column](super::fold).

use std::collections::BTreeMap;

use polars::prelude::*;
use wabalake_data::Table;
use wabalake_data::tables::{Aggregate, OWN_PERSON, key_part};

use super::buckets::stack;
use super::fold::fold;
use super::staged_columns::ORIGIN;
use crate::error::{Error, Result};

/// The origin of rows that the lake already has.
pub(crate) const LAKE: i32 = 0;

/// Counts by origin.
pub(crate) type ByFile = BTreeMap<i32, u64>;

/// Counts of rows by their outcome; rows in none of these are unchanged.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    /// Keys that the lake did not have, by the file of the row that stays.
    pub(crate) new: ByFile,
    /// Keys whose row in the lake is replaced, by the file of the new row.
    pub(crate) updated: ByFile,
    /// Rows that another row of their own file with the same key replaces, even if it is equal.
    pub(crate) superseded: ByFile,
    /// Rows that were added to another row of their own file.
    pub(crate) added_up: ByFile,
    /// Rows that were folded into another row of the load.
    pub(crate) folded: ByFile,
}

impl Counts {
    pub(crate) fn absorb(&mut self, other: Self) {
        let Self { new, updated, superseded, added_up, folded } = other;
        for (sums, more) in [
            (&mut self.new, new),
            (&mut self.updated, updated),
            (&mut self.superseded, superseded),
            (&mut self.added_up, added_up),
            (&mut self.folded, folded),
        ] {
            for (origin, rows) in more {
                *sums.entry(origin).or_default() += rows;
            }
        }
    }
}

/// The result of a merge.
#[derive(Debug, Default)]
pub(crate) struct Merged {
    /// One row per key, with [`ORIGIN`], unordered.
    pub(crate) rows: DataFrame,
    pub(crate) counts: Counts,
    /// `true` if a row of the lake stays, with other values in [`Table::aggregates`].
    aggregates_changed: bool,
}

impl Merged {
    /// Returns `true` if the lake's rows stay as they are.
    pub(crate) fn is_unchanged(&self) -> bool {
        self.counts.new.is_empty() && self.counts.updated.is_empty() && !self.aggregates_changed
    }
}

/// Merges frames with the columns of [`Table::stored`] and [`ORIGIN`].
///
/// # Errors
///
/// Two ids with the same hash: queries join on the hash, so answers would be wrong.
pub(crate) fn merge(table: &'static Table, frames: Vec<DataFrame>) -> Result<Merged> {
    let all = stack(frames)?;
    if all.height() == 0 {
        return Ok(Merged::default());
    }
    let has_own_person = table.key.contains(&OWN_PERSON);
    let all = match has_own_person {
        true => all.lazy().with_column(key_part(OWN_PERSON)).collect()?,
        false => all,
    };
    let twice = key_is_shared(table, &all, None)?;
    let mut merged = Merged::default();
    let some_twice = twice.any();
    let alone = if some_twice { all.filter(&!&twice)? } else { all.clone() };
    for (origin, keys) in count(&alone)? {
        if origin != LAKE {
            merged.counts.new.insert(origin, keys);
        }
    }
    let rows = if some_twice {
        let several = all.filter(&twice)?;
        check_hash(table, &several)?;
        let (winners, aggregates_changed) = if table.folds() {
            merged.counts.folded = folded(table, &several)?;
            (fold(table, &several)?, false)
        } else {
            merged.counts.superseded = superseded(table, &several)?;
            settle(table, several.clone())?
        };
        merged.aggregates_changed = aggregates_changed;
        let known = several.lazy().filter(col(ORIGIN).eq(lit(LAKE))).select(keys(table));
        // Null equals null in a key.
        let same = JoinArgs { nulls_equal: true, ..JoinArgs::new(JoinType::Semi) };
        let replaced = winners
            .clone()
            .lazy()
            .filter(col(ORIGIN).neq(lit(LAKE)))
            .join(known, keys(table), keys(table), same)
            .select([col(ORIGIN)])
            .collect()?;
        merged.counts.updated = count(&replaced)?;
        for (origin, keys) in count(&winners)? {
            let new = keys - merged.counts.updated.get(&origin).copied().unwrap_or(0);
            if origin != LAKE && new > 0 {
                *merged.counts.new.entry(origin).or_default() += new;
            }
        }
        stack(vec![alone, winners])?
    } else {
        all
    };
    merged.rows = if has_own_person { rows.drop(OWN_PERSON)? } else { rows };
    Ok(merged)
}

/// Returns for each row whether another row has the same key, and the same value of column `and`.
/// Rows are compared by a hash of the key or of a part of it, and by the key only if hashes are
/// equal.
fn key_is_shared(
    table: &Table,
    rows: &DataFrame,
    and: Option<&str>,
) -> PolarsResult<BooleanChunked> {
    let key = || table.key.iter().copied().chain(and);
    let of_a_part = || table.hashes.iter().find(|(_, of)| table.key.contains(of));
    let hash = table.key_hash().or_else(|| of_a_part().map(|(hash, _)| *hash));
    let Some(hash) = hash else {
        return rows.select(key())?.is_duplicated();
    };
    let candidates = rows.select([hash].into_iter().chain(and))?.is_duplicated()?;
    if table.key_hash().is_some() || !candidates.any() {
        return Ok(candidates);
    }
    let shared = rows.filter(&candidates)?.select(key())?.is_duplicated()?;
    let mut shared = shared.iter();
    let of_row = |candidate: Option<bool>| match candidate {
        Some(true) => shared.next().flatten(),
        other => other,
    };
    Ok(candidates.iter().map(of_row).collect())
}

/// Sorts rows as in the table's files.
pub(crate) fn sorted(table: &Table, rows: DataFrame) -> PolarsResult<DataFrame> {
    let ascending = SortMultipleOptions::default().with_nulls_last(true);
    rows.sort(table.sort.iter().copied(), ascending)
}

/// The key's columns, or what stands for them.
pub(super) fn keys(table: &Table) -> Vec<Expr> {
    table.key.iter().map(|name| col(*name)).collect()
}

/// Picks the row that stays for each key. The flag says whether a row of the lake stays with other
/// values in [`Table::aggregates`].
fn settle(table: &Table, rows: DataFrame) -> PolarsResult<(DataFrame, bool)> {
    let further = (table.precedence)();
    let values = table.columns.iter().map(|column| col(column.name));
    let ranks = keys(table).into_iter().chain(further.iter().cloned()).chain(values);
    let ranks: Vec<Expr> = ranks.chain([col(ORIGIN)]).collect();
    // Descending, except for the origin: of equal rows, the lake's stays.
    let mut descending = vec![true; ranks.len()];
    *descending.last_mut().unwrap_or(&mut false) = false;
    let order = SortMultipleOptions::default()
        .with_order_descending_multi(descending)
        .with_nulls_last(true);
    let ranked = rows.lazy().sort_by_exprs(ranks, order).collect()?;
    if !table.aggregates.is_empty() {
        return first_with_aggregates(table, ranked);
    }
    let names: Vec<String> = table.key.iter().map(|name| (*name).to_owned()).collect();
    Ok((ranked.unique_stable(Some(&names), UniqueKeepStrategy::First, None)?, false))
}

/// Takes the first of the ranked rows of each key, with the aggregates of [`Table::aggregates`]
/// over all of them. The flag says whether that changes a row of the lake in columns that answers do not
/// show. A change that they show is one of the file that brought it.
fn first_with_aggregates(table: &Table, ranked: DataFrame) -> PolarsResult<(DataFrame, bool)> {
    const AGGREGATES_CHANGED: &str = "__aggregates_changed";
    const SETTLED_ORIGIN: &str = "__settled_origin";
    let names = ranked.get_column_names_owned();
    let of_every_row = |name: &str| table.aggregates.iter().find(|(column, _)| *column == name);
    let others = names.iter().filter(|name| !table.key.contains(&name.as_str()));
    let stays = others.map(|name| match of_every_row(name) {
        Some((_, all)) => all().alias(name.clone()),
        None => col(name.clone()).first(),
    });
    let is_shown = |name: &str| table.columns.iter().any(|column| column.name == name);
    let (shown, hidden): (Vec<&Aggregate>, Vec<&Aggregate>) =
        table.aggregates.iter().partition(|(name, _)| is_shown(name));
    let differs = |aggregates: &[&Aggregate]| {
        let differs = aggregates.iter().map(|(name, all)| all().neq_missing(col(*name).first()));
        differs.reduce(Expr::or).unwrap_or(lit(false))
    };
    let is_the_lakes = col(ORIGIN).first().eq(lit(LAKE));
    let aggregates_changed = differs(&hidden).and(is_the_lakes.clone()).alias(AGGREGATES_CHANGED);
    let brought = col(ORIGIN).filter(col(ORIGIN).neq(lit(LAKE))).min();
    // Equal to the lake's row, it stays the lake's, though another row ranks first.
    let of_lake = |name: &PlSmallStr, all: Expr| {
        all.eq_missing(col(name.clone()).filter(col(ORIGIN).eq(lit(LAKE))).first())
    };
    let is_as_in_lake = names
        .iter()
        .filter(|name| **name != ORIGIN && !table.key.contains(&name.as_str()))
        .map(|name| match of_every_row(name) {
            Some((_, all)) => of_lake(name, all()),
            None => of_lake(name, col(name.clone()).first()),
        })
        .fold(col(ORIGIN).eq(lit(LAKE)).any(true), Expr::and);
    let origin = when(is_as_in_lake)
        .then(lit(LAKE))
        .when(is_the_lakes.and(differs(&shown)))
        .then(brought)
        .otherwise(col(ORIGIN).first())
        .alias(SETTLED_ORIGIN);
    let stay = ranked
        .lazy()
        .group_by_stable(keys(table))
        .agg(stays.chain([aggregates_changed, origin]).collect::<Vec<_>>())
        .with_column(col(SETTLED_ORIGIN).alias(ORIGIN));
    let stay = stay.collect()?;
    let aggregates_changed = stay.column(AGGREGATES_CHANGED)?.bool()?.any();
    Ok((stay.select(names)?, aggregates_changed))
}

/// Counts, for each file, the rows replaced by another row of that file with the same key. Where rows fold,
/// equal rows do not count.
fn superseded(table: &Table, rows: &DataFrame) -> PolarsResult<ByFile> {
    let is_staged = rows.column(ORIGIN)?.i32()?.not_equal(LAKE);
    let staged = rows.filter(&is_staged)?;
    let in_one_file = key_is_shared(table, &staged, Some(ORIGIN))?;
    if !in_one_file.any() {
        return Ok(ByFile::new());
    }
    let staged = staged.filter(&in_one_file)?;
    let distinct = |names: Vec<String>| {
        count(&staged.unique_stable(Some(&names), UniqueKeepStrategy::Any, None)?)
    };
    let owned = |name: &PlSmallStr| name.to_string();
    let mut replaced = if table.folds() {
        distinct(staged.get_column_names().into_iter().map(owned).collect())?
    } else {
        count(&staged)?
    };
    let key = table.key.iter().copied().chain([ORIGIN]).map(str::to_owned);
    for (origin, stay) in distinct(key.collect())? {
        *replaced.entry(origin).or_default() -= stay;
    }
    replaced.retain(|_, rows| *rows > 0);
    Ok(replaced)
}

/// Counts, for each file, the rows for which another row of the load stands: of rows with one key, all
/// but one of the first file that has it.
fn folded(table: &Table, rows: &DataFrame) -> PolarsResult<ByFile> {
    let staged = rows.clone().lazy().filter(col(ORIGIN).neq(lit(LAKE)));
    let mut folded = count(&staged.clone().select([col(ORIGIN)]).collect()?)?;
    let stand = staged.group_by(keys(table)).agg([col(ORIGIN).min()]);
    for (origin, stand) in count(&stand.collect()?)? {
        *folded.entry(origin).or_default() -= stand;
    }
    folded.retain(|_, rows| *rows > 0);
    Ok(folded)
}

/// Counts rows by origin.
fn count(rows: &DataFrame) -> PolarsResult<ByFile> {
    let mut counts = ByFile::new();
    for origin in rows.column(ORIGIN)?.i32()?.iter().flatten() {
        *counts.entry(origin).or_default() += 1;
    }
    Ok(counts)
}

/// Fails if one hash stands for two ids: queries join on the hash alone.
fn check_hash(table: &Table, several: &DataFrame) -> Result<()> {
    let Some(hash) = table.key_hash() else { return Ok(()) };
    let ids = several.select(table.key.iter().copied())?;
    let ids = match ids.columns() {
        [id] => id.n_unique()?,
        _ => ids.unique_stable(None, UniqueKeepStrategy::Any, None)?.height(),
    };
    if several.column(hash)?.n_unique()? == ids {
        return Ok(());
    }
    Err(Error::bug(format!("two ids of {} have one {hash}", table.name))
        .hint("nothing was loaded; please report this with the two ids"))
}

#[cfg(test)]
mod tests {
    use wabalake_data::tables::{ad_spend, deployments, sessions};

    use super::*;

    fn frame(table: &Table, rows: &[(i32, &[(&str, &str)])]) -> DataFrame {
        let text = |name: &str| -> Vec<Option<String>> {
            let cell = |cells: &[(&str, &str)]| {
                cells.iter().find(|(column, _)| *column == name).map(|(_, v)| (*v).to_owned())
            };
            rows.iter().map(|(_, cells)| cell(cells)).collect()
        };
        let mut columns = Vec::new();
        for (name, kind) in table.stored().iter() {
            let hashed = table.hashes.iter().find(|(hash, _)| hash == name);
            let column = match hashed {
                Some((_, of)) => {
                    let key = |t: Option<String>| t.map(|t| wabalake_data::tables::text_key(&t));
                    let keys: Vec<Option<i64>> = text(of).into_iter().map(key).collect();
                    Column::new(name.clone(), keys)
                }
                None if matches!(kind, DataType::Datetime(..)) => {
                    let micros = |t: Option<String>| t.map(|t| t.parse::<i64>().unwrap());
                    let stamps: Vec<Option<i64>> = text(name).into_iter().map(micros).collect();
                    Column::new(name.clone(), stamps).cast(kind).unwrap()
                }
                None if *kind == DataType::Boolean => {
                    Column::full_null(name.clone(), rows.len(), kind)
                }
                None => Column::new(name.clone(), text(name)).cast(kind).unwrap(),
            };
            columns.push(column);
        }
        let origins: Vec<i32> = rows.iter().map(|(origin, _)| *origin).collect();
        columns.push(Column::new(ORIGIN.into(), origins));
        DataFrame::new(rows.len(), columns).unwrap()
    }

    #[test]
    fn example_of_the_module_docs() {
        let start = ("session_started_timestamp", "1");
        let frame = frame(
            &sessions::TABLE,
            &[
                (0, &[("session_id", "a1"), start, ("session_status", "BOT")]),
                (
                    1,
                    &[
                        ("session_id", "a1"),
                        start,
                        ("session_finished_timestamp", "9"),
                        ("session_status", "AGENTS"),
                    ],
                ),
                (1, &[("session_id", "a2"), start, ("session_status", "BOT")]),
                (2, &[("session_id", "a2"), start, ("session_status", "BOT")]),
            ],
        );
        let merged = merge(&sessions::TABLE, vec![frame]).unwrap();
        assert_eq!(merged.rows.height(), 2);
        assert_eq!(merged.counts.updated, [(1, 1)].into());
        assert_eq!(merged.counts.new, [(1, 1)].into());
    }

    /// Origin; amount; the row's period and the shortest; the smallest amount and the largest.
    type Spent = (i32, i64, [Option<i32>; 2], [Option<i64>; 2]);

    /// Rows of spend for one ad, day and currency.
    fn spent(rows: &[Spent]) -> DataFrame {
        let of = |of: fn(&Spent) -> Option<i64>| rows.iter().map(of).collect::<Vec<_>>();
        let filled = |name: &str| match name {
            ad_spend::SPEND => of(|row| Some(row.1)),
            ad_spend::PERIOD_DAYS => of(|row| row.2[0].map(i64::from)),
            ad_spend::SHORTEST_PERIOD_DAYS => of(|row| row.2[1].map(i64::from)),
            ad_spend::SPEND_LEAST => of(|row| row.3[0]),
            ad_spend::SPEND_GREATEST => of(|row| row.3[1]),
            _ => vec![None; rows.len()],
        };
        let stored = ad_spend::TABLE.stored();
        let columns = stored.iter().map(|(name, kind)| match name.as_str() {
            ad_spend::AD_ID => Column::new(name.clone(), vec!["7"; rows.len()]),
            _ => Column::new(name.clone(), filled(name)).cast(kind).unwrap(),
        });
        let origins: Vec<i32> = rows.iter().map(|row| row.0).collect();
        let columns = columns.chain([Column::new(ORIGIN.into(), origins)]).collect();
        DataFrame::new(rows.len(), columns).unwrap()
    }

    /// The stored amount, period, shortest period, smallest and largest amount of the only row.
    fn stored(rows: &DataFrame) -> [Option<i64>; 5] {
        assert_eq!(rows.height(), 1);
        [
            ad_spend::SPEND,
            ad_spend::PERIOD_DAYS,
            ad_spend::SHORTEST_PERIOD_DAYS,
            ad_spend::SPEND_LEAST,
            ad_spend::SPEND_GREATEST,
        ]
        .map(|name| {
            rows.column(name).unwrap().cast(&DataType::Int64).unwrap().i64().unwrap().get(0)
        })
    }

    #[test]
    fn a_row_without_a_period_loses_and_does_not_count_as_restated() {
        let before = (0, 100, [None, None], [None, None]);
        let day = |origin, spend| (origin, spend, [Some(1), Some(1)], [Some(spend), Some(spend)]);
        let merged = merge(&ad_spend::TABLE, vec![spent(&[before, day(1, 80)])]).unwrap();
        assert_eq!(merged.counts.updated, [(1, 1)].into());
        assert_eq!(stored(&merged.rows), [80, 1, 1, 80, 80].map(Some));
        // Alone it keeps its amount.
        let alone = merge(&ad_spend::TABLE, vec![spent(&[before])]).unwrap();
        assert!(alone.is_unchanged());
        assert_eq!(stored(&alone.rows), [Some(100), None, None, None, None]);
    }

    #[test]
    fn a_replaced_row_widens_the_range_of_the_row_that_stays() {
        let day = |origin, spend| (origin, spend, [Some(1), Some(1)], [Some(spend), Some(spend)]);
        let merged = merge(&ad_spend::TABLE, vec![spent(&[day(0, 100), day(1, 80)])]).unwrap();
        assert!(!merged.is_unchanged() && merged.counts.updated.is_empty());
        assert_eq!(stored(&merged.rows), [100, 1, 1, 80, 100].map(Some));
        // Loaded again, it changes nothing.
        let widened = (0, 100, [Some(1), Some(1)], [Some(80), Some(100)]);
        for spend in [80, 90, 100] {
            let again = merge(&ad_spend::TABLE, vec![spent(&[widened, day(1, spend)])]).unwrap();
            assert!(again.is_unchanged());
            assert_eq!(stored(&again.rows), [100, 1, 1, 80, 100].map(Some));
        }
    }

    #[test]
    fn nulls_in_a_key_are_equal() {
        let row: &[(&str, &str)] = &[
            ("user_phone", "573005550101"),
            ("deployment_timestamp", "5"),
            ("delivery_status", "Sent"),
        ];
        let later: &[(&str, &str)] = &[
            ("user_phone", "573005550101"),
            ("deployment_timestamp", "5"),
            ("delivery_status", "Failed"),
        ];
        let table = &deployments::TABLE;
        let merged = merge(table, vec![frame(table, &[(0, row), (1, later)])]).unwrap();
        assert_eq!(merged.rows.height(), 1);
        assert_eq!(merged.counts.updated, [(1, 1)].into());
        assert!(merged.counts.new.is_empty());
        let again = merge(table, vec![frame(table, &[(0, later), (1, row)])]).unwrap();
        assert!(again.is_unchanged());
    }
}
