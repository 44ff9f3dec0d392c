//! What a file's first record says: the delimiter, the table, and which column is where.
//!
//! ```text
//! ﻿Session ID;Session Started Timestamp;Flow      `;`, sessions, 0 → session_id, 1 → …, Flow unknown
//! ```

use wabalake_data::tables::fold_header;
use wabalake_data::{TABLES, Table};
use wabalake_queries::query::nearest;

use super::records::Fields;
use crate::error::{Error, Result};

/// A column that `rejects --export` adds, so that a mended row finds its reject again.
pub(crate) const MENDED: &str = "wabalake_reject";

/// Which column is where in a file.
#[derive(Clone, Debug)]
pub(crate) struct Header {
    pub(crate) table: &'static Table,
    pub(crate) delimiter: u8,
    /// For each of the table's columns, its place in a record.
    pub(crate) places: Vec<Option<usize>>,
    /// Where a mended row names its reject.
    pub(crate) mended: Option<usize>,
    /// How many fields a record has.
    pub(crate) fields: usize,
    /// The file's columns that belong to no column of the table.
    pub(crate) unknown: Vec<String>,
    /// The header with renames applied, as one comma-separated record.
    pub(crate) written: String,
}

/// The delimiters that exports use.
const DELIMITERS: [u8; 3] = [b',', b';', b'\t'];

/// The delimiter under which the most cells of a header are column names that some table knows.
pub(crate) fn delimiter(header: &str, renames: &[(String, String)]) -> u8 {
    let known = |delimiter: u8| {
        let cells = cells(header, delimiter, renames);
        let best = TABLES.iter().map(|table| places(table, &cells).iter().flatten().count()).max();
        (best, cells.len())
    };
    // The first of equals wins.
    DELIMITERS.into_iter().rev().max_by_key(|delimiter| known(*delimiter)).unwrap_or(b',')
}

impl Header {
    /// Reads a header; `kind` is the table if the caller names it.
    pub(crate) fn read(
        file: &str,
        header: &str,
        delimiter: u8,
        kind: Option<&'static Table>,
        renames: &[(String, String)],
    ) -> Result<Self> {
        let cells = cells(header, delimiter, renames);
        let table = match kind {
            Some(table) => table,
            None => sniff(file, &cells)?,
        };
        check_renames(header, delimiter, table, renames)?;
        let places = places(table, &cells);
        for (column, place) in table.columns.iter().zip(&places) {
            if column.required && place.is_none() {
                return Err(missing(file, table, column.name, &cells));
            }
        }
        let named = |at: usize| places.contains(&Some(at));
        let mended = cells.iter().position(|cell| cell == MENDED);
        let mut unknown = Vec::new();
        let strange = |at: usize| !named(at) && mended != Some(at);
        for (_, cell) in cells.iter().enumerate().filter(|(at, _)| strange(*at)) {
            let twin = table.exported().find(|column| column.is_named(cell));
            if let Some(column) = twin {
                return Err(Error::data(format!("`{file}` has two columns `{}`", column.name))
                    .hint("remove one, or give it another name in the file"));
            }
            unknown.push(cell.clone());
        }
        let written: Vec<_> = cells.iter().map(|cell| super::rejects::quoted(cell)).collect();
        Ok(Self {
            table,
            delimiter,
            places,
            mended,
            fields: cells.len(),
            unknown,
            written: written.join(","),
        })
    }
}

fn cells(header: &str, delimiter: u8, renames: &[(String, String)]) -> Vec<String> {
    let mut fields = Fields::new(delimiter);
    let mut cells = Vec::new();
    fields.read(header, header.contains('"'), delimiter, &mut cells);
    let rename = |cell: &str| {
        let cell = cell.trim();
        let new = renames.iter().find(|(from, _)| fold_header(from) == fold_header(cell));
        new.map_or(cell, |(_, to)| to.as_str()).to_owned()
    };
    cells.into_iter().map(rename).collect()
}

fn places(table: &Table, cells: &[String]) -> Vec<Option<usize>> {
    let place = |column: &wabalake_data::Column| {
        let exported = column.origin == wabalake_data::tables::Origin::Export;
        exported.then(|| cells.iter().position(|cell| column.is_named(cell))).flatten()
    };
    table.columns.iter().map(place).collect()
}

/// The table whose required columns are all there and that knows the most of the header.
fn sniff(file: &str, cells: &[String]) -> Result<&'static Table> {
    let found = TABLES.iter().map(|table| (*table, places(table, cells)));
    let count = |places: &[Option<usize>]| places.iter().flatten().count();
    let whole = found.clone().filter(|(table, places)| {
        table.columns.iter().zip(places).all(|(column, place)| !column.required || place.is_some())
    });
    if let Some((table, _)) = whole.max_by_key(|(_, places)| count(places)) {
        return Ok(table);
    }
    match found.max_by_key(|(_, places)| count(places)).filter(|(_, places)| count(places) > 1) {
        Some((table, places)) => {
            let lacking = table.columns.iter().zip(&places);
            let mut lacking = lacking.filter(|(column, place)| column.required && place.is_none());
            let column = lacking.next().map_or("", |(column, _)| column.name);
            Err(missing(file, table, column, cells))
        }
        None => {
            let kinds: Vec<_> =
                TABLES.iter().map(|table| format!("{} ({})", table.name, table.source)).collect();
            Err(Error::data(format!("`{file}` is no export that is known"))
                .found(shortened(cells))
                .hint(format!(
                    "its first line should name the columns of one of: {}",
                    kinds.join(", ")
                )))
        }
    }
}

fn missing(file: &str, table: &Table, column: &str, cells: &[String]) -> Error {
    let candidate = likest(column, cells.iter().map(String::as_str));
    let from = candidate.unwrap_or_else(|| "ITS NAME".to_owned());
    Error::data(format!("`{file}` has no column `{column}`, which {} need", table.name))
        .found(shortened(cells))
        .hint(format!("name it with `--rename '{from}={column}'`"))
}

fn check_renames(
    header: &str,
    delimiter: u8,
    table: &Table,
    renames: &[(String, String)],
) -> Result<()> {
    let before = cells(header, delimiter, &[]);
    for (from, to) in renames {
        if !table.exported().any(|column| column.is_named(to)) {
            let names: Vec<_> = table.exported().map(|column| column.name).collect();
            let hint = nearest(to, names.iter().copied()).map_or_else(
                || format!("they have {}", names.join(", ")),
                |near| format!("did you mean `{near}`?"),
            );
            return Err(Error::usage(format!("{} have no column `{to}` to rename to", table.name))
                .hint(hint));
        }
        let there = before.iter().any(|cell| fold_header(cell) == fold_header(from));
        if !there && !before.iter().any(|cell| fold_header(cell) == fold_header(to)) {
            return Err(
                Error::usage(format!("no column `{from}` to rename")).found(shortened(&before))
            );
        }
    }
    Ok(())
}

/// The header cell that most looks like another name of a column. Such names share words, where a
/// mistyped one shares letters.
fn likest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let score = |candidate: &str| strsim::jaro_winkler(&fold_header(name), &fold_header(candidate));
    let scored = candidates.into_iter().map(|candidate| (score(candidate), candidate));
    let best = scored.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(score, _)| *score > 0.7);
    best.map(|(_, candidate)| candidate.to_owned())
}

/// A header for an error: its cells, cut where a file is no table at all.
fn shortened(cells: &[String]) -> String {
    let short = |cell: &String| cell.chars().take(40).collect::<String>();
    let mut shown: Vec<_> = cells.iter().take(30).map(short).collect();
    if cells.len() > shown.len() {
        shown.push(format!("and {} more", cells.len() - shown.len()));
    }
    shown.join(", ")
}
