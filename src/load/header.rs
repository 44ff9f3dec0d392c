//! What a file's first record says: the delimiter, the table, and which column is where.
//!
//! ```text
//! ﻿Session ID;Session Started Timestamp;Flow      `;`, sessions, 0 → session_id, 1 → …, Flow unknown
//! ```

use wabalake_data::cells::{DecimalMark, Spelling};
use wabalake_data::tables::{CURRENCY, Kind, Origin, fold_header};
use wabalake_data::{Column, TABLES, Table};
use wabalake_queries::query::nearest;

use super::limits;
use super::records::Fields;
use crate::error::{Error, Result};
use crate::render::{GUARD, unguarded};

/// A column that `rejects --export` adds, so that a mended row finds its reject again.
pub(crate) const MENDED: &str = "wabalake_reject";

/// Which column is where in a file.
#[derive(Clone, Debug)]
pub(crate) struct Header {
    pub(crate) table: &'static Table,
    pub(crate) delimiter: u8,
    /// The table's cells.
    pub(crate) cells: Vec<&'static Column>,
    /// For each of them, its place in a record.
    pub(crate) places: Vec<Option<usize>>,
    /// Where a mended row names its reject.
    pub(crate) mended: Option<usize>,
    /// How many fields a record has.
    pub(crate) fields: usize,
    /// The file's columns that belong to no column of the table.
    pub(crate) unknown: Vec<String>,
    /// The header with renames applied, as one comma-separated record.
    pub(crate) written: String,
    /// How each of the cells is written, as far as it is known.
    pub(crate) spellings: Vec<Spelling>,
    /// The decimal mark of the language that the titles are in, where they tell one.
    pub(crate) language: Option<DecimalMark>,
    /// The place of the cell that says what amounts are in, and what they are in where it does
    /// not: `Amount spent (COP)`.
    pub(crate) currency: Option<(usize, String)>,
}

/// The delimiters that exports use.
const DELIMITERS: [u8; 3] = [b',', b';', b'\t'];

/// Refuses a header that is far too wide to be one, before it is taken apart.
pub(crate) fn check_width(file: &str, header: &str) -> Result<()> {
    let separators = DELIMITERS.map(|delimiter| header.bytes().filter(|b| *b == delimiter).count());
    if separators.into_iter().any(|number| number >= limits::COLUMNS) {
        return Err(Error::data(format!("`{file}` has more than {} columns", limits::COLUMNS))
            .hint("no export has: is its first line a header?")
            .no_export());
    }
    Ok(())
}

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
    /// Takes the guards away from a record of a guarded export of rejects: its reject's name has one.
    pub(crate) fn unguard(&self, fields: &mut [&str]) {
        let name = self.mended.and_then(|at| fields.get(at));
        if name.is_some_and(|name| name.starts_with(GUARD)) {
            for field in fields {
                *field = unguarded(field);
            }
        }
    }

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
        if let Some(column) = lacking(table, &places) {
            let error = missing(file, table, column, &cells);
            // Among other files, one without any column of the table is none of its exports.
            let strange = places.iter().flatten().count() < 2;
            return Err(if strange { error.no_export() } else { error });
        }
        let named = |at: usize| places.contains(&Some(at));
        let mended = cells.iter().position(|cell| cell == MENDED);
        let mut unknown = Vec::new();
        let strange = |at: usize| !named(at) && mended != Some(at);
        for (_, cell) in cells.iter().enumerate().filter(|(at, _)| strange(*at)) {
            let twin = table.exported().find(|column| names(column, cell));
            if let Some(column) = twin {
                return Err(Error::data(format!("`{file}` has two columns `{}`", column.name))
                    .hint("remove one, or give it another name in the file"));
            }
            unknown.push(cell.clone());
        }
        let written: Vec<_> = cells.iter().map(|cell| super::rejects::quoted(cell)).collect();
        Ok(Self {
            currency: currency(table, &places, &cells),
            table,
            cells: table.cells().collect(),
            delimiter,
            places,
            mended,
            fields: cells.len(),
            unknown,
            written: written.join(","),
            spellings: vec![Spelling::default(); table.cells().count()],
            language: language(table, &cells),
        })
    }
}

fn cells(header: &str, delimiter: u8, renames: &[(String, String)]) -> Vec<String> {
    let mut fields = Fields::new(delimiter);
    let mut cells = Vec::new();
    fields.read(header, header.contains('"'), delimiter, &mut cells);
    if cells.contains(&MENDED) {
        for cell in &mut cells {
            *cell = unguarded(cell);
        }
    }
    let rename = |cell: &str| {
        let cell = cell.trim();
        let new = renames.iter().find(|(from, _)| fold_header(from) == fold_header(cell));
        new.map_or(cell, |(_, to)| to.as_str()).to_owned()
    };
    cells.into_iter().map(rename).collect()
}

/// Whether a header cell names a column. That of an amount may say what the amount is in.
pub(crate) fn names(column: &Column, cell: &str) -> bool {
    column.is_named(cell)
        || matches!(column.kind, Kind::Money)
            && in_currency(cell).is_some_and(|(name, _)| column.is_named(name))
}

fn places(table: &Table, cells: &[String]) -> Vec<Option<usize>> {
    let place = |column: &Column| {
        let exported = column.origin == Origin::Export;
        exported.then(|| cells.iter().position(|cell| names(column, cell))).flatten()
    };
    table.cells().map(place).collect()
}

/// `Amount spent (COP)` as the title and the currency.
fn in_currency(cell: &str) -> Option<(&str, &str)> {
    let (name, unit) = cell.trim().strip_suffix(')')?.rsplit_once('(')?;
    let currency = match unit.trim() {
        "$" | "US$" => "USD",
        "€" => "EUR",
        "£" => "GBP",
        "R$" => "BRL",
        code if code.len() == 3 && code.bytes().all(|b| b.is_ascii_uppercase()) => code,
        _ => return None,
    };
    Some((name, currency))
}

/// What a file's amounts are in where its cells do not say it.
fn currency(table: &Table, places: &[Option<usize>], cells: &[String]) -> Option<(usize, String)> {
    let at = table.position(CURRENCY)?;
    let amounts = table.cells().zip(places).filter(|(c, _)| matches!(c.kind, Kind::Money));
    let mut said = amounts.filter_map(|(_, place)| in_currency(&cells[(*place)?]));
    let currency = said.next().map(|(_, currency)| currency).or(table.currency)?;
    Some((at, currency.to_owned()))
}

/// The decimal mark of the language that titles are in; none where they are in several.
fn language(table: &Table, cells: &[String]) -> Option<DecimalMark> {
    let mut told = cells.iter().filter_map(|cell| (table.language)(cell));
    let first = told.next()?;
    told.all(|mark| mark == first).then_some(first)
}

/// The first column that a file must have and has not.
fn lacking(table: &Table, places: &[Option<usize>]) -> Option<&'static str> {
    let is_there = |name: &str| table.position(name).is_some_and(|at| places[at].is_some());
    let stands_in = |column: &Column| column.stand_in.is_some_and(is_there);
    let mut cells = table.cells();
    let lacks = |column: &&Column| column.expected && !is_there(column.name) && !stands_in(column);
    cells.find(lacks).map(|column| column.name)
}

/// The table whose required columns are all there and that knows the most of the header.
pub(crate) fn sniff(file: &str, cells: &[String]) -> Result<&'static Table> {
    let found = TABLES.iter().map(|table| (*table, places(table, cells)));
    let count = |places: &[Option<usize>]| places.iter().flatten().count();
    let whole = found.clone().filter(|(table, places)| lacking(table, places).is_none());
    if let Some((table, _)) = whole.max_by_key(|(_, places)| count(places)) {
        return Ok(table);
    }
    match found.max_by_key(|(_, places)| count(places)).filter(|(_, places)| count(places) > 1) {
        Some((table, places)) => {
            Err(missing(file, table, lacking(table, &places).unwrap_or_default(), cells))
        }
        None => {
            let kinds: Vec<_> =
                TABLES.iter().map(|table| format!("{} ({})", table.name, table.source)).collect();
            Err(Error::data(format!("`{file}` is no export that is known"))
                .found(shortened(cells))
                .hint(format!(
                    "its first line should name the columns of one of: {}",
                    kinds.join(", ")
                ))
                .no_export())
        }
    }
}

fn missing(file: &str, table: &Table, column: &str, cells: &[String]) -> Error {
    // What is known is what it says it is, and of two columns neither can be told.
    let strange = |cell: &&str| {
        let known = *cell == MENDED || table.exported().any(|column| names(column, cell));
        let title = fold_header(cell);
        let once = cells.iter().filter(|other| fold_header(other) == title).count() == 1;
        !known && once && !title.is_empty()
    };
    let candidate = likest(column, cells.iter().map(String::as_str).filter(strange));
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
            let all: Vec<_> = table.exported().map(|column| column.name).collect();
            // One that the file has under its own title is not the one that was meant.
            let free = table.exported().filter(|column| {
                before
                    .iter()
                    .all(|cell| fold_header(cell) == fold_header(from) || !names(column, cell))
            });
            let hint = nearest(to, free.map(|column| column.name)).map_or_else(
                || format!("they have {}", all.join(", ")),
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::{Index, select, subsequence};

    use super::*;

    /// The names in `--rename 'FROM=TO'` or `did you mean …` of an error.
    fn suggested(error: &Error) -> (Option<String>, Option<String>) {
        let lines = error.lines();
        let cut = |from: &str, to: &str| {
            let rest = &lines[lines.find(from)? + from.len()..];
            Some(rest[..rest.find(to)?].to_owned())
        };
        (cut("--rename '", "'"), cut("did you mean `", "`"))
    }

    /// A title as an export may write it: a column's own, in another spelling, or nearly.
    fn title(table: &'static Table) -> impl Strategy<Value = String> {
        let columns: Vec<&Column> = table.exported().collect();
        let known = (select(columns), any::<Index>()).prop_map(|(column, at)| {
            let names = [&[column.name], column.aliases].concat();
            names[at.index(names.len())].to_owned()
        });
        prop_oneof![
            3 => known.clone(),
            1 => known.clone().prop_map(|name| name.to_uppercase().replace('_', " ")),
            2 => known.clone().prop_map(|name| format!("{name}_2")),
            1 => known.prop_map(|name| name.chars().skip(1).collect()),
            1 => select(vec!["", " ", MENDED, "flow", "id"]).prop_map(str::to_owned),
        ]
    }

    fn header() -> impl Strategy<Value = (&'static Table, Vec<String>)> {
        select(TABLES.to_vec()).prop_flat_map(|table| {
            let some = table.exported().map(|column| column.name.to_owned()).collect::<Vec<_>>();
            let some = subsequence(some.clone(), 0..=some.len());
            let others = prop::collection::vec(title(table), 0..4);
            (Just(table), some, others)
                .prop_map(|(table, some, others)| (table, [some, others].concat()))
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

        /// A hint names a column that no table's column is named by, for one that is not there; to
        /// follow it is to come nearer.
        #[test]
        fn a_hint_renames_no_column_that_is_known((table, cells) in header(), is_named in any::<bool>()) {
            let line = cells.join(",");
            let kind = is_named.then_some(table);
            let Err(error) = Header::read("a.csv", &line, b',', kind, &[]) else { return Ok(()) };
            let (Some(rename), _) = suggested(&error) else { return Ok(()) };
            let (from, to) = rename.rsplit_once('=').unwrap();
            // Of another table it may be the name of a column.
            let table = TABLES.iter().find(|table| error.lines().contains(&format!("{} need", table.name)));
            let table = table.unwrap();
            prop_assert!(!cells.iter().any(|cell| table.exported().any(|c| c.name == to && names(c, cell))));
            if from == "ITS NAME" {
                return Ok(());
            }
            prop_assert!(!table.exported().any(|column| names(column, from)), "{line}: {rename}");
            let renames = [(from.to_owned(), to.to_owned())];
            if let Err(next) = Header::read("a.csv", &line, b',', Some(table), &renames) {
                prop_assert!(next.lines() != error.lines(), "{line}: {rename}");
                prop_assert!(!next.lines().contains(&format!("two columns `{to}`")), "{line}: {rename}");
            }
        }

        /// Nor is a rename mended towards a column that the file has.
        #[test]
        fn a_rename_is_mended_towards_what_is_missing((table, cells) in header(), at in any::<Index>()) {
            let columns: Vec<&Column> = table.exported().collect();
            let meant = columns[at.index(columns.len())].name;
            let renames = [("its own".to_owned(), format!("{meant}s"))];
            let line = [&cells[..], &["its own".to_owned()]].concat().join(",");
            let Err(error) = Header::read("a.csv", &line, b',', Some(table), &renames) else { return Ok(()) };
            if let (_, Some(near)) = suggested(&error) {
                let near = table.exported().find(|column| column.name == near).unwrap();
                prop_assert!(!cells.iter().any(|cell| names(near, cell)), "{line}: {}", near.name);
            }
        }
    }
}
