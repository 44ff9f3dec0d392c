//! The table `rejects`: records of exports that could not be loaded, one row per record and fault.
//!
//! Rejects are committed before the rows of their load. The tables of exports decide which of them
//! count:
//!
//! | reject | counts |
//! |---|---|
//! | of a loaded file | yes |
//! | of a load that was killed or undone | no |
//! | of a file without a valid record | yes: a transaction of this table names it |
//! | marked resolved by a loaded file | as resolved |
//! | marked resolved by a load that was killed or undone | as open |
//!
//! A reject is resolved by a row with its key from any other file, whichever was loaded first. If the
//! lake had the row before, its file is unknown: the reject is then marked resolved by its own file,
//! which is correct because loads are undone from the last to the first.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use polars::prelude::*;
use wabalake_data::tables::instant;

use super::{Lake, Snapshot};
use crate::error::Result;

pub use wabalake_data::tables::rejects::{
    COLUMN, DELIMITER, FILE, FILE_ID, HEADER, KIND, LINE, RAW, REASON, RECORD, REJECTED_AT,
    RESOLVED, RESOLVED_BY, ROW_KEY, TABLE as REJECTS,
};

/// The file of rejects.
#[derive(Clone, Copy, Debug)]
pub struct RejectOrigin<'a> {
    /// The application transaction of the file.
    pub file_id: &'a str,
    /// The name of the file.
    pub file: &'a str,
    /// The table that it was for.
    pub kind: &'a str,
    /// Its header, as a CSV record with commas.
    pub header: &'a str,
    /// Its delimiter.
    pub delimiter: u8,
    /// When they were rejected.
    pub at: DateTime<Utc>,
}

/// Completes a file's rejects (`record`, `line`, `column`, `reason`, `raw`, `row_key`) to rows of
/// the table. They are open, and sorted by record.
pub fn complete(rejects: DataFrame, origin: &RejectOrigin<'_>) -> Result<DataFrame> {
    let said = [
        (FILE_ID, origin.file_id.to_owned()),
        (FILE, origin.file.to_owned()),
        (KIND, origin.kind.to_owned()),
        (HEADER, origin.header.to_owned()),
        (DELIMITER, char::from(origin.delimiter).to_string()),
    ];
    let said = said.into_iter().map(|(name, text)| lit(text).alias(name));
    let rows = rejects
        .lazy()
        .with_columns(said.collect::<Vec<_>>())
        .with_columns([
            lit(origin.at.timestamp_micros()).cast(instant()).alias(REJECTED_AT),
            lit(NULL).cast(instant()).alias(RESOLVED),
            lit(NULL).cast(DataType::String).alias(RESOLVED_BY),
        ])
        .select(REJECTS.stored().iter_names().map(|name| col(name.clone())).collect::<Vec<_>>())
        .sort([RECORD], SortMultipleOptions::default());
    Ok(rows.collect()?)
}

/// The transaction that makes the rejects of a file count although it is not loaded, because no
/// record was valid.
pub(crate) fn kept(kind: &str, file_id: &str) -> String {
    format!("{kind}/{file_id}")
}

/// Which rejects to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Those that are not resolved.
    Open,
    /// All, with the resolved ones.
    All,
}

/// The rejects that count, oldest first. `resolved` and `resolved_by` are null if the resolution
/// does not count.
pub fn read(lake: &Lake, which: Which) -> Result<LazyFrame> {
    read_from(lake, &lake.snapshot(&REJECTS)?, which)
}

/// The row keys of unresolved rejects, by table, including those of files whose loads may be in
/// progress. `tables` are the snapshots of all tables.
pub fn open_keys(rejects: &Snapshot, tables: &[Snapshot]) -> Result<HashMap<String, HashSet<i64>>> {
    let keyed = marked(rejects.scan()?, loaded_files(rejects, tables)?.lazy())
        .filter(col(RESOLVED).is_null().and(col(ROW_KEY).is_not_null()))
        .select([col(KIND), col(ROW_KEY)])
        .collect()?;
    let mut open: HashMap<String, HashSet<i64>> = HashMap::new();
    let kinds = keyed.column(KIND)?.str()?.iter();
    for (kind, key) in kinds.zip(keyed.column(ROW_KEY)?.i64()?.iter()) {
        if let (Some(kind), Some(key)) = (kind, key) {
            open.entry(kind.to_owned()).or_default().insert(key);
        }
    }
    Ok(open)
}

fn read_from(lake: &Lake, rejects: &Snapshot, which: Which) -> Result<LazyFrame> {
    let tables = lake.snapshots(wabalake_data::TABLES.iter().copied())?;
    let loaded = loaded_files(rejects, &tables)?.lazy();
    let counting = rejects.scan()?.join(
        loaded.clone(),
        [col(KIND), col(FILE_ID)],
        [col(KIND), col(FILE_ID)],
        JoinArgs::new(JoinType::Semi),
    );
    let counting = marked(counting, loaded);
    let wanted = match which {
        Which::Open => counting.filter(col(RESOLVED).is_null()),
        Which::All => counting,
    };
    let order = SortMultipleOptions::default().with_maintain_order(true);
    Ok(wanted.sort([REJECTED_AT, FILE, FILE_ID, RECORD], order))
}

/// Clears resolutions that do not count.
fn marked(rejects: LazyFrame, loaded: LazyFrame) -> LazyFrame {
    const RESOLVES: &str = "resolves";
    let marked = rejects.join(
        loaded.with_column(lit(true).alias(RESOLVES)),
        [col(KIND), col(RESOLVED_BY)],
        [col(KIND), col(FILE_ID)],
        JoinArgs::new(JoinType::Left),
    );
    let if_resolved = |name| when(col(RESOLVES)).then(col(name)).otherwise(lit(NULL)).alias(name);
    marked
        .with_columns([if_resolved(RESOLVED), if_resolved(RESOLVED_BY)])
        .select(REJECTS.stored().iter_names().map(|name| col(name.clone())).collect::<Vec<_>>())
}

/// The loaded files and those without a valid record: table and application transaction.
fn loaded_files(rejects: &Snapshot, tables: &[Snapshot]) -> Result<DataFrame> {
    let mut files = HashSet::new();
    for (table, loaded) in wabalake_data::TABLES.iter().zip(tables) {
        files.extend(loaded.loaded().map(|file| (table.name.to_owned(), file.to_owned())));
    }
    let kept = rejects.loaded().filter_map(|name| name.split_once('/'));
    files.extend(kept.map(|(kind, file)| (kind.to_owned(), file.to_owned())));
    let (kinds, files): (Vec<String>, Vec<String>) = files.into_iter().unzip();
    let columns = vec![Column::new(KIND.into(), kinds), Column::new(FILE_ID.into(), files)];
    Ok(DataFrame::new(columns[0].len(), columns)?)
}
