//! Rejects: records that cannot be loaded, and their way back.
//!
//! ```text
//! load a.csv                       record 7: `session_started_timestamp`: not a date and time   → table rejects
//! rejects --export fixed.csv       the record under its header, with a column that names the reject
//! load fixed.csv                   once its rows are committed, the reject is resolved
//! ```
//!
//! The same rejects are open in whatever order and in how many loads files are loaded: new rejects
//! are compared with the lake's rows, and new rows with the open rejects.
//!
//! Rejects are committed before the rows of their load, and count only once that load is committed
//! (`crate::lake::rejects`). So a load that dies in between leaves nothing visible, and its retry
//! writes them again. Rejects of a file without a valid record count by themselves, since no load
//! of it will be committed.

mod export;
mod resolve;
mod store;

use std::collections::HashMap;

use polars::prelude::*;
use wabalake_data::Table;
use wabalake_data::tables::{Cell, text_key};

pub use self::export::{ExportedRejects, export};
pub(super) use self::store::{commit, keep, settle};
use super::day::{NO_DAY, day_of};
use crate::lake::rejects;

/// A rejected record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reject {
    /// Record number in the file; the first after the header is 1.
    pub(crate) record: u64,
    /// Line on which it begins; the first is 1.
    pub(crate) line: u64,
    /// The column at fault, if it is one column.
    pub(crate) column: Option<&'static str>,
    /// What is wrong, without content of the record.
    pub(crate) reason: String,
    /// The record as it stands in the file.
    pub(crate) raw: String,
    /// The hash of its natural key, if that could be read.
    pub(crate) key: Option<i64>,
    /// Its session, if the keep-out list is in use and its person is unknown.
    pub(crate) session: Option<String>,
    /// Where a row with that key would be in the lake.
    pub(crate) place: Option<KeyPlace>,
}

/// Where a row with some key would be in the lake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyPlace {
    /// Its value in the hash column that stands for the key, if the table has one.
    pub(crate) hash: Option<i64>,
    /// Its UTC day, or [`NO_DAY`].
    pub(crate) day: i32,
}

impl KeyPlace {
    const HASH: &'static str = "__hash";
    const DAY: &'static str = "__day";
    const COLUMNS: [&'static str; 3] = [rejects::ROW_KEY, Self::HASH, Self::DAY];

    /// Reads the places of rejects by key.
    pub(super) fn read(rejects: &DataFrame) -> PolarsResult<HashMap<i64, Self>> {
        let [keys, hashes] = [rejects::ROW_KEY, Self::HASH].map(|name| rejects.column(name));
        let days = rejects.column(Self::DAY)?.i32()?;
        let each = keys?.i64()?.iter().zip(hashes?.i64()?.iter()).zip(days.iter());
        let places = each.filter_map(|((key, hash), day)| Some((key?, Self { hash, day: day? })));
        Ok(places.collect())
    }
}

/// The column of a reject's session, until it is committed.
pub(crate) const SESSION: &str = "__session";

/// Converts rejects to a frame.
pub(crate) fn frame(rejects: Vec<Reject>) -> PolarsResult<DataFrame> {
    let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let height = rejects.len();
    let records: Vec<i64> = rejects.iter().map(|reject| number(reject.record)).collect();
    let lines: Vec<i64> = rejects.iter().map(|reject| number(reject.line)).collect();
    let columns: Vec<Option<&str>> = rejects.iter().map(|reject| reject.column).collect();
    let reasons: Vec<&str> = rejects.iter().map(|reject| reject.reason.as_str()).collect();
    let raws: Vec<&str> = rejects.iter().map(|reject| reject.raw.as_str()).collect();
    let sessions: Vec<Option<&str>> =
        rejects.iter().map(|reject| reject.session.as_deref()).collect();
    let keys: Vec<Option<i64>> = rejects.iter().map(|reject| reject.key).collect();
    let places = || rejects.iter().map(|reject| reject.place);
    let hashes: Vec<Option<i64>> = places().map(|place| place?.hash).collect();
    let days: Vec<Option<i32>> = places().map(|place| place.map(|place| place.day)).collect();
    DataFrame::new(
        height,
        vec![
            Column::new(rejects::RECORD.into(), records),
            Column::new(rejects::LINE.into(), lines),
            Column::new(rejects::COLUMN.into(), columns),
            Column::new(rejects::REASON.into(), reasons),
            Column::new(rejects::RAW.into(), raws),
            Column::new(rejects::ROW_KEY.into(), keys),
            Column::new(SESSION.into(), sessions),
            Column::new(KeyPlace::HASH.into(), hashes),
            Column::new(KeyPlace::DAY.into(), days),
        ],
    )
}

impl KeyPlace {
    /// Returns where a row would be, by its cells and the hash of its key.
    pub(super) fn of(table: &Table, cells: &[Cell<'_>], key: i64) -> Self {
        let only = match table.key {
            [only] => table.position(only).and_then(|at| cells[at].text()),
            _ => None,
        };
        let hash = table.key_hash().map(|_| only.map_or(key, text_key));
        let day = table.position(table.day_of).map_or(NO_DAY, |at| day_of(&cells[at]));
        Self { hash, day }
    }
}
