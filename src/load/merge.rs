//! One row per key: of several, the one that is further along.
//!
//! ```text
//! origin  session_id  finished   status
//! lake    a1          null       BOT       ┐ a1 was open; file 1 knows how it ended:
//! file 1  a1          10:05      AGENTS    ┘ updated, file 1's row stays
//! file 1  a2          null       BOT         new
//! file 2  a2          null       BOT         the same again: unchanged
//! file 2  a2          null       null        gives way to another row of its own file: superseded
//! ```
//!
//! The order of the rows does not matter: precedence, then the values of all columns, settle every
//! tie, so any order of loads gives one table.

use std::collections::BTreeMap;

use polars::prelude::*;
use wabalake_data::Table;
use wabalake_data::tables::Aggregate;

use super::buckets::stack;
use super::typing::ORIGIN;
use crate::error::{Error, Result};

/// The origin of rows that are in the lake already.
pub(crate) const LAKE: i32 = 0;

/// Numbers by the origin of a file.
pub(crate) type ByFile = BTreeMap<i32, u64>;

/// What became of the rows of each file; those that are in none of these add nothing.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Keys that were not in the lake, by the file whose row stays.
    pub(crate) new: ByFile,
    /// Keys whose row in the lake gave way, by the file whose row stays.
    pub(crate) updated: ByFile,
    /// Rows that gave way to another of their own file, from which they differ.
    pub(crate) superseded: ByFile,
    /// Rows that were added to another of their own file.
    pub(crate) added_up: ByFile,
}

impl Counts {
    pub(crate) fn absorb(&mut self, other: Self) {
        let Self { new, updated, superseded, added_up } = other;
        for (sums, more) in [
            (&mut self.new, new),
            (&mut self.updated, updated),
            (&mut self.superseded, superseded),
            (&mut self.added_up, added_up),
        ] {
            for (origin, rows) in more {
                *sums.entry(origin).or_default() += rows;
            }
        }
    }
}

/// What a merge came to.
#[derive(Debug, Default)]
pub(crate) struct Merged {
    /// One row per key, with [`ORIGIN`], in no order.
    pub(crate) rows: DataFrame,
    pub(crate) counts: Counts,
    /// Whether a row of the lake stays, but for what is told beside it of every row with its key.
    tells_more: bool,
}

impl Merged {
    /// Whether the lake's rows stay as they are.
    pub(crate) fn is_unchanged(&self) -> bool {
        self.counts.new.is_empty() && self.counts.updated.is_empty() && !self.tells_more
    }
}

/// Merges frames of [`Table::stored`] and [`ORIGIN`].
///
/// # Errors
///
/// A hash of two different ids, which no answer could be trusted after.
pub(crate) fn merge(table: &Table, frames: Vec<DataFrame>) -> Result<Merged> {
    let all = stack(frames)?;
    if all.height() == 0 {
        return Ok(Merged::default());
    }
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
        merged.counts.superseded = superseded(table, &several)?;
        let (winners, tells_more) = settle(table, several.clone())?;
        merged.tells_more = tells_more;
        let known = several.lazy().filter(col(ORIGIN).eq(lit(LAKE))).select(keys(table));
        // Null keys are keys like any other.
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
    merged.rows = rows;
    Ok(merged)
}

/// Whether a row's key is another row's too, which `and` must agree with it in as well. Hashes of
/// the key, or of a part of it, settle that for nearly all rows; the key itself is compared only
/// where they are equal.
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

/// Rows in the order of the table's files.
pub(crate) fn sorted(table: &Table, rows: DataFrame) -> PolarsResult<DataFrame> {
    let ascending = SortMultipleOptions::default().with_nulls_last(true);
    rows.sort(table.sort.iter().copied(), ascending)
}

fn keys(table: &Table) -> Vec<Expr> {
    table.key.iter().map(|name| col(*name)).collect()
}

/// Of rows that share keys, the winners; and whether one of the lake's has something else told
/// beside it now.
fn settle(table: &Table, rows: DataFrame) -> PolarsResult<(DataFrame, bool)> {
    let further = (table.precedence)();
    let values = table.columns.iter().map(|column| col(column.name));
    let ranks = keys(table).into_iter().chain(further.iter().cloned()).chain(values);
    let ranks: Vec<Expr> = ranks.chain([col(ORIGIN)]).collect();
    // Greater first; only the last rank, the origin, rises, so that of equal rows the lake's stays.
    let mut descending = vec![true; ranks.len()];
    *descending.last_mut().unwrap_or(&mut false) = false;
    let order = SortMultipleOptions::default()
        .with_order_descending_multi(descending)
        .with_nulls_last(true);
    let ranked = rows.lazy().sort_by_exprs(ranks, order).collect()?;
    if !table.aggregates.is_empty() {
        return first_and_what_all_tell(table, ranked);
    }
    let names: Vec<String> = table.key.iter().map(|name| (*name).to_owned()).collect();
    Ok((ranked.unique_stable(Some(&names), UniqueKeepStrategy::First, None)?, false))
}

/// Of ranked rows the first with each key, with what all rows with that key tell; and whether that
/// is something else than one of the lake's told.
fn first_and_what_all_tell(table: &Table, ranked: DataFrame) -> PolarsResult<(DataFrame, bool)> {
    const TELLS_MORE: &str = "__tells_more";
    let names = ranked.get_column_names_owned();
    let of_every_row = |name: &str| table.aggregates.iter().find(|(column, _)| *column == name);
    let others = names.iter().filter(|name| !table.key.contains(&name.as_str()));
    let stays = others.map(|name| match of_every_row(name) {
        Some((_, all)) => all().alias(name.clone()),
        None => col(name.clone()).first(),
    });
    let differs = |(name, all): &Aggregate| all().neq_missing(col(*name).first());
    let differs = table.aggregates.iter().map(differs).reduce(Expr::or);
    let is_the_lakes = col(ORIGIN).first().eq(lit(LAKE));
    let tells_more = differs.unwrap_or(lit(false)).and(is_the_lakes).alias(TELLS_MORE);
    let stay = ranked
        .lazy()
        .group_by_stable(keys(table))
        .agg(stays.chain([tells_more]).collect::<Vec<_>>());
    let stay = stay.collect()?;
    let tells_more = stay.column(TELLS_MORE)?.bool()?.any();
    Ok((stay.select(names)?, tells_more))
}

/// How many rows of each file give way to another row of that file with their key. One that is the
/// same again does not.
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
    let mut differing = distinct(staged.get_column_names().into_iter().map(owned).collect())?;
    let key = table.key.iter().copied().chain([ORIGIN]).map(str::to_owned);
    for (origin, stay) in distinct(key.collect())? {
        *differing.entry(origin).or_default() -= stay;
    }
    differing.retain(|_, rows| *rows > 0);
    Ok(differing)
}

/// Rows by origin.
fn count(rows: &DataFrame) -> PolarsResult<ByFile> {
    let mut counts = ByFile::new();
    for origin in rows.column(ORIGIN)?.i32()?.iter().flatten() {
        *counts.entry(origin).or_default() += 1;
    }
    Ok(counts)
}

/// Queries join on a hash alone, so one that stands for two ids must never get into a lake.
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
        .hint("nothing was loaded; please report it with the two ids"))
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
    fn the_drawing_above() {
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

    /// Origin and amount; the row's period and the shortest; the least amount and the greatest.
    type Spent = (i32, i64, [Option<i32>; 2], [Option<i64>; 2]);

    /// Spend of one ad, day and currency.
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

    /// What is stored of the one key: the amount, the periods, the least and the greatest.
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
    fn a_row_of_before_periods_were_kept_loses_and_restates_nothing() {
        let before = (0, 100, [None, None], [None, None]);
        let day = |origin, spend| (origin, spend, [Some(1), Some(1)], [Some(spend), Some(spend)]);
        let merged = merge(&ad_spend::TABLE, vec![spent(&[before, day(1, 80)])]).unwrap();
        assert_eq!(merged.counts.updated, [(1, 1)].into());
        assert_eq!(stored(&merged.rows), [80, 1, 1, 80, 80].map(Some));
        // Alone it stands for its own amount, and is left as it is.
        let alone = merge(&ad_spend::TABLE, vec![spent(&[before])]).unwrap();
        assert!(alone.is_unchanged());
        assert_eq!(stored(&alone.rows), [Some(100), None, None, None, None]);
    }

    #[test]
    fn a_row_that_gives_way_is_told_of_beside_the_one_that_stays() {
        let day = |origin, spend| (origin, spend, [Some(1), Some(1)], [Some(spend), Some(spend)]);
        let merged = merge(&ad_spend::TABLE, vec![spent(&[day(0, 100), day(1, 80)])]).unwrap();
        assert!(!merged.is_unchanged() && merged.counts.updated.is_empty());
        assert_eq!(stored(&merged.rows), [100, 1, 1, 80, 100].map(Some));
        // Once told, it changes nothing.
        let told = (0, 100, [Some(1), Some(1)], [Some(80), Some(100)]);
        for spend in [80, 90, 100] {
            let again = merge(&ad_spend::TABLE, vec![spent(&[told, day(1, spend)])]).unwrap();
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
