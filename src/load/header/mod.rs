//! Reads headers: the delimiter, the table, and the position of each column.
//!
//! ```text
//! ﻿Session ID;Session Started Timestamp;Flow      `;`, sessions, 0 → session_id, 1 → …, Flow unknown
//! ```
//!
//! Other lines may stand above it, such as the name of a report: one of the first records must be a
//! header.

mod names;
#[cfg(test)]
mod tests;
mod titles;
mod wide;

use wabalake_data::cells::normalise_header;
use wabalake_data::cells::{DecimalMark, Spelling};
use wabalake_data::{Column, TABLES, Table};

pub(crate) use self::names::names;
use self::names::{currency, is_replacing, lacking, language};
pub(crate) use self::titles::sniff;
use self::titles::{TitleWords, Titles};
use super::fields::quoted;
use super::limits;
use super::options::Options;
use super::redact;
use crate::error::{Error, Result};
use crate::render::{GUARD, unguarded};

/// The column that `rejects --export` adds: a corrected row names its reject there.
pub(crate) const REJECT_NAME: &str = "wabalake_reject";

/// The header of a file.
#[derive(Clone, Debug)]
pub(crate) struct Header {
    pub(crate) table: &'static Table,
    pub(crate) delimiter: u8,
    /// The cells of the table.
    pub(crate) cells: Vec<&'static Column>,
    /// The index of each cell's field in a record.
    pub(crate) places: Vec<Option<usize>>,
    /// The index of the field that names the reject which a row corrects.
    pub(crate) reject_name: Option<usize>,
    /// Number of fields in a record.
    pub(crate) fields: usize,
    /// Number of fields up to the last with a title: records may lack the rest.
    pub(crate) titled: usize,
    /// The titles in the file.
    pub(crate) own: Vec<String>,
    /// Titles that belong to no column of the table, redacted.
    pub(crate) unknown: Vec<String>,
    /// The header after renames, as a record with commas.
    pub(crate) written: String,
    /// The spelling of each cell, as far as it is known.
    pub(crate) spellings: Vec<Spelling>,
    /// The decimal mark of the titles' language, if they are in one language.
    pub(crate) language: Option<DecimalMark>,
    /// The index of the currency cell, and its value if the cell is empty, from a title such as
    /// `Amount spent (COP)`.
    pub(crate) currency: Option<(usize, String)>,
}

/// Delimiters of exports.
pub(crate) const DELIMITERS: [u8; 3] = [b',', b';', b'\t'];

/// Refuses a line with far too many columns, before it is split.
pub(crate) fn check_width(file: &str, header: &str) -> Result<()> {
    let separators = DELIMITERS.map(|delimiter| header.bytes().filter(|b| *b == delimiter).count());
    if separators.into_iter().any(|number| number >= limits::COLUMNS) {
        return Err(Error::data(format!("`{file}` has more than {} columns", limits::COLUMNS))
            .hint("no export has so many: is its first line a header?")
            .no_export());
    }
    Ok(())
}

/// Returns the delimiter that splits a header into the most known titles.
pub(crate) fn delimiter(header: &str, renames: &[(String, String)]) -> u8 {
    let known = |delimiter: u8| {
        let titles = Titles::read(header, delimiter, renames);
        let best = TABLES.iter().map(|table| titles.known_to(table)).max();
        (best, titles.cells.len())
    };
    // The first of equals wins.
    DELIMITERS.into_iter().rev().max_by_key(|delimiter| known(*delimiter)).unwrap_or(b',')
}

/// Searches for the header among the first records of a file or the first non-empty rows of a
/// sheet.
pub(crate) struct HeaderSearch<'s> {
    /// The file's name in messages.
    file: &'s str,
    options: &'s Options,
    looked_at: usize,
    /// The number of known titles and the error of the record with the most.
    nearest: Option<(usize, Error)>,
}

impl<'s> HeaderSearch<'s> {
    /// The most records above a header.
    const ABOVE: usize = 20;

    pub(crate) fn new(file: &'s str, options: &'s Options) -> Self {
        Self { file, options, looked_at: 0, nearest: None }
    }

    /// Tries a record; returns the header if it is one.
    pub(crate) fn look(&mut self, record: &str, delimiter: u8) -> Option<Header> {
        self.looked_at += 1;
        let header = check_width(self.file, record)
            .and_then(|()| Header::of(self.file, record, delimiter, self.options));
        let error = match header {
            Ok(header) => return Some(header),
            Err(error) => error,
        };
        let titles = Titles::read(record, delimiter, &self.options.renames);
        let known = match self.options.kind {
            _ if self.options.wide.is_some() => wide::known(&titles),
            Some(table) => titles.known_to(table),
            None => TABLES.iter().map(|table| titles.known_to(table)).max().unwrap_or_default(),
        };
        let known = if titles.is_published_card() { known.max(2) } else { known };
        if self.nearest.as_ref().is_none_or(|(most, _)| known > *most) {
            self.nearest = Some((known, error));
        }
        None
    }

    /// Skips an unreadable record.
    pub(crate) fn pass(&mut self) {
        self.looked_at += 1;
    }

    /// Returns `true` while the next record may be the header.
    pub(crate) fn goes_on(&self) -> bool {
        self.looked_at <= Self::ABOVE
    }

    /// Returns the number of records above the header.
    pub(crate) fn above(&self) -> usize {
        self.looked_at.saturating_sub(1)
    }

    /// Returns the number of known titles and the error of the record with the most, if there was a
    /// record.
    pub(crate) fn nearest(self) -> Option<(usize, Error)> {
        self.nearest
    }
}

impl Header {
    /// Removes the spreadsheet guards of a record of exported rejects, if the name of its reject
    /// has one.
    pub(crate) fn unguard(&self, fields: &mut [&str]) {
        let name = self.reject_name.and_then(|at| fields.get(at));
        if name.is_some_and(|name| name.starts_with(GUARD)) {
            for field in fields {
                *field = unguarded(field);
            }
        }
    }

    /// Returns `true` if a record repeats the header, as in concatenated files.
    pub(crate) fn is_again(&self, fields: &[&str]) -> bool {
        // The first field decides nearly always.
        let is_first = match (fields.first(), self.own.first()) {
            (Some(field), Some(title)) => field.trim().eq_ignore_ascii_case(title),
            _ => false,
        };
        is_first
            && fields.len() >= self.titled
            && fields.iter().zip(&self.own).all(|(field, title)| {
                *field == title.as_str() || normalise_header(field) == normalise_header(title)
            })
    }

    /// Parses the header of a file that is loaded with these options.
    pub(crate) fn of(file: &str, header: &str, delimiter: u8, options: &Options) -> Result<Self> {
        match &options.wide {
            Some(wide) => Self::read_wide(file, header, delimiter, wide, &options.renames),
            None => Self::read(file, header, delimiter, options.kind, &options.renames),
        }
    }

    /// Parses a header. `kind` is the table, if it is given.
    pub(crate) fn read(
        file: &str,
        header: &str,
        delimiter: u8,
        kind: Option<&'static Table>,
        renames: &[(String, String)],
    ) -> Result<Self> {
        let titles = Titles::read(header, delimiter, renames);
        let table = match kind {
            Some(table) => table,
            None => titles.sniff(file, &TitleWords::LINE)?,
        };
        titles.check_renames(table, renames)?;
        let places = titles.places(table);
        if let Some(column) = lacking(table, &places) {
            let error = titles.missing(file, table, column, &TitleWords::LINE);
            // With at most one column of the table, the file is not an export.
            let strange = places.iter().flatten().count() < 2;
            return Err(if strange { error.no_export() } else { error });
        }
        let Titles { own, cells, known, .. } = titles;
        let named = |at: usize| places.contains(&Some(at));
        let reject_name = cells.iter().position(|cell| cell == REJECT_NAME);
        for at in known.iter().filter(|at| !named(**at)) {
            let twin = table.exported().find(|column| names(column, &cells[*at]));
            let is_replaced = |column: &&Column| {
                let place = table.position(column.name).and_then(|at| places[at]);
                let is_exact = |at: usize| is_replacing(column, &cells[at]);
                place.is_some_and(is_exact) && !is_exact(*at)
            };
            let twin = twin.filter(|column| !is_replaced(column));
            if let Some(column) = twin {
                return Err(Error::data(format!("`{file}` has two columns `{}`", column.name))
                    .hint("remove one, or give it another name in the file"));
            }
        }
        let past_last = cells.iter().rposition(|cell| !cell.is_empty()).map_or(0, |last| last + 1);
        let strange = (0..past_last).filter(|at| !named(*at) && reject_name != Some(*at));
        let written: Vec<_> = cells.iter().map(|cell| quoted(cell)).collect();
        Ok(Self {
            currency: currency(table, &places, &cells),
            table,
            cells: table.cells().collect(),
            delimiter,
            reject_name,
            fields: cells.len(),
            titled: past_last,
            unknown: redact::list(strange.map(|at| own[at].as_str())),
            places,
            own,
            written: written.join(","),
            spellings: vec![Spelling::default(); table.cells().count()],
            language: language(table, &cells),
        })
    }
}
