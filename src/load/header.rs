//! What a file's first record says: the delimiter, the table, and which column is where.
//!
//! ```text
//! ﻿Session ID;Session Started Timestamp;Flow      `;`, sessions, 0 → session_id, 1 → …, Flow unknown
//! ```
//!
//! Above it may stand other lines, such as a report's name: the header is the first record that is
//! one, among the first few.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use wabalake_data::cells::normalise_header;
use wabalake_data::cells::{DecimalMark, Spelling};
use wabalake_data::tables::{CURRENCY, CellKind, ad_spend, rates};
use wabalake_data::words::{likeness, plural, suggestion};
use wabalake_data::{Column, TABLES, Table};

use super::records::Fields;
use super::{limits, titles};
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
    /// Of them, how many there are up to the last that has a title: a record may lack the others.
    pub(crate) titled: usize,
    /// The file's own titles.
    pub(crate) own: Vec<String>,
    /// The file's columns that belong to no column of the table, as they may be printed.
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
pub(crate) const DELIMITERS: [u8; 3] = [b',', b';', b'\t'];

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
        let titles = Titles::read(header, delimiter, renames);
        let best = TABLES.iter().map(|table| titles.known_to(table)).max();
        (best, titles.cells.len())
    };
    // The first of equals wins.
    DELIMITERS.into_iter().rev().max_by_key(|delimiter| known(*delimiter)).unwrap_or(b',')
}

/// Looks for the header among the first records of a file, or the first rows of a sheet that are
/// not empty.
pub(crate) struct Search<'s> {
    /// How messages call the file.
    file: &'s str,
    kind: Option<&'static Table>,
    renames: &'s [(String, String)],
    looked_at: usize,
    /// What is wrong with the record that holds the most known titles, and how many these are.
    nearest: Option<(usize, Error)>,
}

impl<'s> Search<'s> {
    /// So many records may stand above a header.
    const ABOVE: usize = 20;

    pub(crate) fn new(
        file: &'s str,
        kind: Option<&'static Table>,
        renames: &'s [(String, String)],
    ) -> Self {
        Self { file, kind, renames, looked_at: 0, nearest: None }
    }

    /// The header, if the next record is it.
    pub(crate) fn look(&mut self, record: &str, delimiter: u8) -> Option<Header> {
        self.looked_at += 1;
        let header = check_width(self.file, record)
            .and_then(|()| Header::read(self.file, record, delimiter, self.kind, self.renames));
        let error = match header {
            Ok(header) => return Some(header),
            Err(error) => error,
        };
        let titles = Titles::read(record, delimiter, self.renames);
        let known = match self.kind {
            Some(table) => titles.known_to(table),
            None => TABLES.iter().map(|table| titles.known_to(table)).max().unwrap_or_default(),
        };
        let known = if titles.is_published_card() { known.max(2) } else { known };
        if self.nearest.as_ref().is_none_or(|(most, _)| known > *most) {
            self.nearest = Some((known, error));
        }
        None
    }

    /// Passes a record that cannot be read at all.
    pub(crate) fn pass(&mut self) {
        self.looked_at += 1;
    }

    /// Whether the next record may be it.
    pub(crate) fn goes_on(&self) -> bool {
        self.looked_at <= Self::ABOVE
    }

    /// How many records were above it.
    pub(crate) fn above(&self) -> usize {
        self.looked_at.saturating_sub(1)
    }

    /// What is wrong with the record that looks most like it, and how many known titles that holds;
    /// none where there was no record.
    pub(crate) fn nearest(self) -> Option<(usize, Error)> {
        self.nearest
    }
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

    /// Whether a record is the header again, as in files that were put together.
    pub(crate) fn is_again(&self, fields: &[&str]) -> bool {
        // Nearly every record is told by its first cell.
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

    /// Reads a header; `kind` is the table if the caller names it.
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
            None => titles.sniff(file, &Origins::LINE)?,
        };
        titles.check_renames(table, renames)?;
        let places = titles.places(table);
        if let Some(column) = lacking(table, &places) {
            let error = titles.missing(file, table, column, &Origins::LINE);
            // Among other files, one without any column of the table is none of its exports.
            let strange = places.iter().flatten().count() < 2;
            return Err(if strange { error.no_export() } else { error });
        }
        let Titles { own, cells, known } = titles;
        let named = |at: usize| places.contains(&Some(at));
        let mended = cells.iter().position(|cell| cell == MENDED);
        for at in known.iter().filter(|at| !named(**at)) {
            let twin = table.exported().find(|column| names(column, &cells[*at]));
            if let Some(column) = twin {
                return Err(Error::data(format!("`{file}` has two columns `{}`", column.name))
                    .hint("remove one, or give it another name in the file"));
            }
        }
        let past_last = cells.iter().rposition(|cell| !cell.is_empty()).map_or(0, |last| last + 1);
        let strange = (0..past_last).filter(|at| !named(*at) && mended != Some(*at));
        let written: Vec<_> = cells.iter().map(|cell| super::rejects::quoted(cell)).collect();
        Ok(Self {
            currency: currency(table, &places, &cells),
            table,
            cells: table.cells().collect(),
            delimiter,
            mended,
            fields: cells.len(),
            titled: past_last,
            unknown: titles::list(strange.map(|at| own[at].as_str())),
            places,
            own,
            written: written.join(","),
            spellings: vec![Spelling::default(); table.cells().count()],
            language: language(table, &cells),
        })
    }
}

/// The titles of a file.
struct Titles {
    /// As they stand in the file.
    own: Vec<String>,
    /// With renames applied.
    cells: Vec<String>,
    /// The places of those that some table knows.
    known: Vec<usize>,
}

/// Every title that any table knows, folded.
static KNOWN: LazyLock<HashSet<String>> = LazyLock::new(|| {
    let columns = TABLES.iter().flat_map(|table| table.exported());
    let names = columns.flat_map(|column| column.aliases.iter().chain([&column.name]));
    names.map(|name| normalise_header(name)).collect()
});

/// Where titles stand, for messages.
struct Origins {
    titles: &'static str,
    should: &'static str,
}

impl Origins {
    const LINE: Self = Self { titles: "cell", should: "its first line should name" };
    const OBJECTS: Self = Self { titles: "name", should: "its objects should name" };
}

impl Titles {
    fn read(header: &str, delimiter: u8, renames: &[(String, String)]) -> Self {
        let mut fields = Fields::new(delimiter);
        let mut cells = Vec::new();
        fields.read(header, header.contains('"'), delimiter, &mut cells);
        if cells.contains(&MENDED) {
            for cell in &mut cells {
                *cell = unguarded(cell);
            }
        }
        let own = cells.into_iter().map(|cell| titles::without_marks(cell.trim()).trim());
        Self::of(own.map(str::to_owned).collect(), renames)
    }

    fn of(own: Vec<String>, renames: &[(String, String)]) -> Self {
        let cells = renamed(&own, renames);
        let is_known = |cell: &str| {
            KNOWN.contains(&normalise_header(cell))
                || in_currency(cell)
                    .is_some_and(|(name, _)| KNOWN.contains(&normalise_header(name)))
        };
        let known = (0..cells.len()).filter(|at| is_known(&cells[*at])).collect();
        Self { own, cells, known }
    }

    /// For each cell of a table, its place among the titles.
    fn places(&self, table: &Table) -> Vec<Option<usize>> {
        let place = |column: &Column| {
            let exported = !column.is_derived;
            let mut known = self.known.iter().copied();
            exported.then(|| known.find(|at| names(column, &self.cells[*at]))).flatten()
        };
        table.cells().map(place).collect()
    }

    /// How many of a table's columns there are.
    fn known_to(&self, table: &Table) -> usize {
        self.places(table).iter().flatten().count()
    }

    /// The table whose required columns are all there and that knows the most of the header.
    fn sniff(&self, file: &str, origins: &Origins) -> Result<&'static Table> {
        let found = TABLES.iter().map(|table| (*table, self.places(table)));
        let count = |places: &[Option<usize>]| places.iter().flatten().count();
        let whole = found.clone().filter(|(table, places)| lacking(table, places).is_none());
        if let Some((table, _)) = whole.max_by_key(|(_, places)| count(places)) {
            return Ok(table);
        }
        if self.is_published_card() {
            return Err(published_card(file));
        }
        match found.max_by_key(|(_, places)| count(places)).filter(|(_, places)| count(places) > 1)
        {
            Some((table, places)) => {
                let column = lacking(table, &places).unwrap_or_default();
                Err(self.missing(file, table, column, origins))
            }
            None => {
                let kinds: Vec<_> = TABLES
                    .iter()
                    .map(|table| format!("{} ({})", table.name, table.source))
                    .collect();
                Err(Error::data(format!("`{file}` is no export that is known"))
                    .found(self.found(None, origins))
                    .hint(format!("{} the columns of one of: {}", origins.should, kinds.join(", ")))
                    .no_export())
            }
        }
    }

    fn missing(&self, file: &str, table: &Table, column: &str, origins: &Origins) -> Error {
        if *table == rates::TABLE && self.is_published_card() {
            return published_card(file);
        }
        let error =
            Error::data(format!("`{file}` has no column `{column}`, which {} need", table.name))
                .found(self.found(Some(table), origins));
        if *table == ad_spend::TABLE && column == ad_spend::AD_ID {
            let has = |name: &str| {
                let column = table.exported().find(|column| column.name == name);
                column.is_some_and(|column| {
                    self.known.iter().any(|at| names(column, &self.cells[*at]))
                })
            };
            let is_of = |level: &str| self.own.iter().any(|title| normalise_header(title) == level);
            let has_ads = has(ad_spend::AD_NAME);
            let level = if has(ad_spend::AD_SET_NAME) || is_of("adsetid") {
                "ad set"
            } else if has(ad_spend::CAMPAIGN_NAME) || is_of("campaignid") {
                "campaign"
            } else {
                "account"
            };
            let is_told = has_ads || level != "account";
            if is_told && self.candidate(table, column).is_none() {
                if has_ads {
                    return error.hint(
                        "export it anew with the column Ad ID, which Ads Manager has under Customize \
                         columns",
                    );
                }
                return Error::data(format!(
                    "`{file}` is a report by {level}: it has no column `{column}`, and spend is kept \
                     by ad"
                ))
                .found(self.found(Some(table), origins))
                .hint("export it by ad: the breakdown level Ad in Ads Manager, with the column Ad ID");
            }
        }
        let from = self.candidate(table, column).filter(|_| self.are_titles(Some(table)));
        error.hint(match from {
            Some(from) => format!("name it with `--rename '{from}={column}'`"),
            None => format!(
                "if it is there under another title, name it with `--rename 'ITS TITLE={column}'`; \
                 else export it anew with that column"
            ),
        })
    }

    /// The title that may be a column's under another name, if it may be printed.
    fn candidate(&self, table: &Table, column: &str) -> Option<String> {
        let folded: Vec<String> = self.cells.iter().map(|cell| normalise_header(cell)).collect();
        let mut times = HashMap::<&str, usize>::new();
        for title in &folded {
            *times.entry(title).or_default() += 1;
        }
        // What is known is what it says it is, and of two columns neither can be told.
        let strange = |at: &usize| {
            let cell = &self.cells[*at];
            let known = *cell == MENDED
                || (self.known.contains(at) && table.exported().any(|column| names(column, cell)));
            !known && times[folded[*at].as_str()] == 1 && !folded[*at].is_empty()
        };
        // Nor is what a shell would not give back as it is shown, or what is of something else.
        let is_plain = |title: &str| titles::shown(title) == title && !title.contains(['\'', '=']);
        let of_another = |title: &str| {
            let title = title.to_lowercase();
            let mut words = title.split(|c: char| !c.is_alphanumeric());
            words.any(|word| OTHER_THINGS.contains(&word) && !column.contains(word))
        };
        let places = (0..self.cells.len()).filter(strange).map(|at| self.cells[at].as_str());
        likest(column, places.filter(|title| is_plain(title) && !of_another(title)))
    }

    /// Whether they are titles at all; of one table, or of any.
    fn are_titles(&self, table: Option<&Table>) -> bool {
        let known = match table {
            Some(table) => self.known_to(table),
            None => self.known.len(),
        };
        titles::are_titles(self.own.iter().map(String::as_str), known)
    }

    /// The titles for an error: all of them where they are, else how many cells there are and which
    /// of them are known.
    fn found(&self, table: Option<&Table>, origins: &Origins) -> String {
        const MOST: usize = 30;
        if table.is_some() && self.are_titles(table) {
            let title = |at: usize| {
                let known = self.known.contains(&at) || self.cells[at] == MENDED;
                if known { titles::clipped(&self.own[at]) } else { titles::shown(&self.own[at]) }
            };
            let mut shown: Vec<_> = (0..self.own.len()).take(MOST).map(title).collect();
            if self.own.len() > MOST {
                shown.push(format!("and {} more", self.own.len() - MOST));
            }
            return shown.join(", ");
        }
        let number = self.own.len();
        let all = format!("{number} {}{}", origins.titles, plural(number as u64, "", "s"));
        let tables = TABLES.iter().filter(|one| table.is_none_or(|table| **one == table));
        let columns: Vec<&Column> = tables.flat_map(|table| table.exported()).collect();
        let name = |at: &usize| {
            let cell = &self.cells[*at];
            let own = columns
                .iter()
                .find(|column| normalise_header(column.name) == normalise_header(cell));
            own.or_else(|| columns.iter().find(|column| names(column, cell)))
                .map(|column| column.name)
        };
        let mut known: Vec<&str> = Vec::new();
        for name in self.known.iter().filter_map(name) {
            if !known.contains(&name) && known.len() < MOST {
                known.push(name);
            }
        }
        let ticked: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
        match known.len() {
            0 => format!("{all}, none of them a title that is known"),
            1 => format!("{all}, of which one is a title that is known: {}", ticked[0]),
            _ => format!("{all}, of which these are titles that are known: {}", ticked.join(", ")),
        }
    }

    /// Whether they are those of a rate card as Meta publishes it: a column for each category, a line
    /// for each market.
    fn is_published_card(&self) -> bool {
        const CATEGORIES: [&str; 5] =
            ["marketing", "utility", "authentication", "authenticationinternational", "service"];
        let has = |title: &str| self.cells.iter().any(|cell| normalise_header(cell) == title);
        has("market") && CATEGORIES.iter().filter(|category| has(category)).count() >= 2
    }

    fn check_renames(&self, table: &Table, renames: &[(String, String)]) -> Result<()> {
        let before = &self.own;
        for (from, to) in renames {
            if !table.exported().any(|column| names(column, to)) {
                let all: Vec<_> = table.exported().map(|column| column.name).collect();
                // One that the file has under its own title is not the one that was meant.
                let free = table.exported().filter(|column| {
                    before.iter().all(|cell| is_meant(from, cell) || !names(column, cell))
                });
                let hint = suggestion(to, free.map(|column| column.name))
                    .unwrap_or_else(|| format!("they have {}", all.join(", ")));
                return Err(Error::usage(format!(
                    "{} have no column `{to}` to rename to",
                    table.name
                ))
                .hint(hint));
            }
            let there = before.iter().any(|cell| is_meant(from, cell));
            if !there && !before.iter().any(|cell| normalise_header(cell) == normalise_header(to)) {
                return Err(Error::usage(format!("no column `{from}` to rename"))
                    .found(self.found(Some(table), &Origins::LINE)));
            }
        }
        Ok(())
    }
}

/// Words by which a title says that it is of something else than a column without them.
const OTHER_THINGS: [&str; 12] = [
    "campaign",
    "campaña",
    "campanha",
    "campagne",
    "kampagnen",
    "kampagne",
    "adset",
    "set",
    "conjunto",
    "ensemble",
    "anzeigengruppen",
    "account",
];

/// The error of a rate card as Meta publishes it.
fn published_card(file: &str) -> Error {
    Error::data(format!(
        "`{file}` is a rate card as Meta publishes it, a column for each category, which is not read yet"
    ))
    .hint(
        "write a line for each price, under `effective_from,country,category,tier_from,price,currency`, \
         such as `2025-07-01,CO,marketing,0,0.0125,USD`: the country in two letters, or `*` for any",
    )
    .no_export()
}

/// The table that knows the names that objects have.
pub(crate) fn sniff(file: &str, names: &[String]) -> Result<&'static Table> {
    Titles::of(names.to_vec(), &[]).sniff(file, &Origins::OBJECTS)
}

/// Whether a rename is of a title: `FROM` may leave out what the title says amounts are in.
fn is_meant(from: &str, title: &str) -> bool {
    let from = normalise_header(from);
    from == normalise_header(title)
        || in_currency(title).is_some_and(|(name, _)| normalise_header(name) == from)
}

/// Titles with renames applied. One that says what its amounts are in still does so under its new
/// name.
fn renamed(own: &[String], renames: &[(String, String)]) -> Vec<String> {
    let mut cells = own.to_vec();
    for (from, to) in renames.iter().rev() {
        let is_exact = |title: &String| normalise_header(title) == normalise_header(from);
        let exact = own.iter().any(is_exact);
        for (title, cell) in own.iter().zip(&mut cells) {
            if is_exact(title) || (!exact && is_meant(from, title)) {
                *cell = match in_currency(title) {
                    Some((_, currency)) if in_currency(to).is_none() && is_money(to) => {
                        format!("{to} ({currency})")
                    }
                    _ => to.clone(),
                };
            }
        }
    }
    cells
}

/// Whether a title is that of an amount.
fn is_money(title: &str) -> bool {
    let mut columns = TABLES.iter().flat_map(|table| table.exported());
    columns.any(|column| matches!(column.kind, CellKind::Money) && column.is_named(title))
}

/// Whether a header cell names a column. That of an amount may say what the amount is in.
pub(crate) fn names(column: &Column, cell: &str) -> bool {
    column.is_named(cell)
        || matches!(column.kind, CellKind::Money)
            && in_currency(cell).is_some_and(|(name, _)| column.is_named(name))
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
    let amounts = table.cells().zip(places).filter(|(c, _)| matches!(c.kind, CellKind::Money));
    let mut said = amounts.filter_map(|(_, place)| in_currency(&cells[(*place)?]));
    let currency = said.next().map(|(_, currency)| currency).or(table.currency)?;
    Some((at, currency.to_owned()))
}

/// The decimal mark of the language that titles are in; none where they are in several.
fn language(table: &Table, cells: &[String]) -> Option<DecimalMark> {
    let mut told = cells.iter().filter_map(|cell| (table.decimal_mark)(cell));
    let first = told.next()?;
    told.all(|mark| mark == first).then_some(first)
}

/// The first column that a file must have and has not.
fn lacking(table: &Table, places: &[Option<usize>]) -> Option<&'static str> {
    let is_there = |name: &str| table.position(name).is_some_and(|at| places[at].is_some());
    let stands_in = |column: &Column| column.fallback.is_some_and(is_there);
    let mut cells = table.cells();
    let lacks = |column: &&Column| column.expected && !is_there(column.name) && !stands_in(column);
    cells.find(lacks).map(|column| column.name)
}

/// The header cell that most looks like another name of a column. Such names share words, where a
/// mistyped one shares letters.
fn likest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let score = |candidate: &str| likeness(&normalise_header(name), &normalise_header(candidate));
    let scored = candidates.into_iter().map(|candidate| (score(candidate), candidate));
    let best = scored.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(score, _)| *score > 0.7);
    best.map(|(_, candidate)| candidate.to_owned())
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
