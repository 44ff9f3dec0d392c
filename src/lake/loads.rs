//! Which files are loaded, as a table for queries: what the commits of loads tell.

use std::collections::HashSet;

use polars::prelude::*;
use serde_json::Value;
use wabalake_data::tables::loads::{
    FILE_ID, KIND, LOADED_AT, RECORDS, REJECTED, TABLE, WITH_SENTINEL,
};
use wabalake_data::tables::{UTC_DAY, instant};
use wabalake_data::{TABLES, Table};

use super::Lake;
use super::history::{LOAD_ID, UNDOES, purpose};
use super::log::{commit_info, commit_time};
use crate::error::Result;

/// One file in one table.
struct Loaded {
    file_id: String,
    kind: &'static str,
    at: i64,
    /// Records, those that were rejected, those with a sentinel.
    figures: [i64; 3],
}

impl Lake {
    /// The rows of the table [`loads`](wabalake_data::tables::loads), in the columns of its schema.
    ///
    /// # Errors
    ///
    /// A log that cannot be read.
    pub fn loads(&self) -> Result<DataFrame> {
        let mut loaded = Vec::new();
        for table in TABLES {
            self.add_loads_of(table, &mut loaded)?;
        }
        let at = Column::new(LOADED_AT.into(), column(&loaded, |file| file.at)).cast(&instant())?;
        let figures = [RECORDS, REJECTED, WITH_SENTINEL].into_iter().enumerate();
        let mut columns = vec![
            Column::new(FILE_ID.into(), column(&loaded, |file| file.file_id.as_str())),
            Column::new(KIND.into(), column(&loaded, |file| file.kind)),
            at.clone(),
        ];
        columns.extend(figures.map(|(place, name)| {
            Column::new(name.into(), column(&loaded, |file| file.figures[place]))
        }));
        columns.push(at.cast(&DataType::Date)?.with_name(UTC_DAY.into()));
        let rows = DataFrame::new(loaded.len(), columns)?;
        debug_assert_eq!(rows.schema().as_ref(), &TABLE.schema());
        Ok(rows)
    }

    /// Goes back from the newest commit: what was taken back is told before its load.
    fn add_loads_of(&self, table: &'static Table, loaded: &mut Vec<Loaded>) -> Result<()> {
        let log = self.log(table);
        let (mut undone, mut met) = (HashSet::new(), HashSet::new());
        for version in log.versions()?.into_iter().rev() {
            let actions = log.actions(version)?;
            let info = commit_info(&actions);
            let told = |name: &str| info?.info.get(name);
            let word = |name: &str| told(name)?.as_str().map(str::to_owned);
            match purpose(&actions) {
                "undo" => undone.extend(word(UNDOES)),
                "load" if !word(LOAD_ID).is_some_and(|id| undone.contains(&id)) => {
                    let files = told("files").and_then(Value::as_array).into_iter().flatten();
                    for file in files {
                        let file_id = file["file_id"].as_str().unwrap_or_default().to_owned();
                        let figure = |name| file[name].as_i64().unwrap_or(0);
                        if met.insert(file_id.clone()) {
                            loaded.push(Loaded {
                                file_id,
                                kind: table.name,
                                at: commit_time(info).timestamp_micros(),
                                figures: ["rows_read", "rows_rejected", "rows_with_sentinel"]
                                    .map(figure),
                            });
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn column<'a, T>(loaded: &'a [Loaded], of: impl Fn(&'a Loaded) -> T) -> Vec<T> {
    loaded.iter().map(of).collect()
}
