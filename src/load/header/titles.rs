//! The titles of a header: which table they belong to, and what is missing.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use wabalake_data::cells::normalise_header;
use wabalake_data::tables::{ad_spend, rates};
use wabalake_data::words::{plural, suggestion};
use wabalake_data::{Column, TABLES, Table};

use super::REJECT_NAME;
use super::names::{in_currency, is_meant, is_replacing, lacking, likest, names, renamed};
use crate::error::{Error, Result};
use crate::load::fields::Fields;
use crate::load::redact;
use crate::render::unguarded;

/// The titles of a file.
pub(super) struct Titles {
    /// As printed, with the blanks around them.
    pub(super) printed: Vec<String>,
    /// As they stand in the file.
    pub(super) own: Vec<String>,
    /// After renames.
    pub(super) cells: Vec<String>,
    /// Indices of the titles that some table knows.
    pub(super) known: Vec<usize>,
}

/// The normalised titles that any table knows.
static KNOWN: LazyLock<HashSet<String>> = LazyLock::new(|| {
    let columns = TABLES.iter().flat_map(|table| table.exported());
    let names = columns.flat_map(|column| column.aliases.iter().chain([&column.name]));
    names.map(|name| normalise_header(name)).collect()
});

/// Words for messages about titles: cells of a line, or keys of objects.
pub(super) struct TitleWords {
    pub(super) titles: &'static str,
    should: &'static str,
}

impl TitleWords {
    pub(super) const LINE: Self = Self { titles: "cell", should: "its first line should name" };
    const OBJECTS: Self = Self { titles: "name", should: "its objects should name" };
}

impl Titles {
    pub(super) fn read(header: &str, delimiter: u8, renames: &[(String, String)]) -> Self {
        let mut fields = Fields::new(delimiter);
        let mut cells = Vec::new();
        fields.read(header, header.contains('"'), delimiter, &mut cells);
        if cells.contains(&REJECT_NAME) {
            for cell in &mut cells {
                *cell = unguarded(cell);
            }
        }
        let own = cells.iter().map(|cell| redact::without_marks(cell.trim()).trim());
        let titles = Self::of(own.map(str::to_owned).collect(), renames);
        let printed = cells.into_iter().zip(&titles.own).zip(&titles.cells);
        let printed = printed.map(|((cell, own), title)| {
            // A title that was renamed has none.
            let cell = redact::without_marks(cell);
            if own == title { cell.to_owned() } else { title.clone() }
        });
        Self { printed: printed.collect(), ..titles }
    }

    fn of(own: Vec<String>, renames: &[(String, String)]) -> Self {
        let cells = renamed(&own, renames);
        let is_known = |cell: &str| {
            KNOWN.contains(&normalise_header(cell))
                || in_currency(cell)
                    .is_some_and(|(name, _)| KNOWN.contains(&normalise_header(name)))
        };
        let known = (0..cells.len()).filter(|at| is_known(&cells[*at])).collect();
        Self { printed: own.clone(), own, cells, known }
    }

    /// Returns the index of the title of each of a table's cells.
    pub(super) fn places(&self, table: &Table) -> Vec<Option<usize>> {
        let place = |column: &Column| {
            let exported = !column.is_derived;
            let find = |is_meant: &dyn Fn(&str) -> bool| {
                self.known.iter().copied().find(|at| is_meant(&self.cells[*at]))
            };
            let exact = || find(&|cell| is_replacing(column, cell));
            exported.then(|| exact().or_else(|| find(&|cell| names(column, cell)))).flatten()
        };
        table.cells().map(place).collect()
    }

    /// Counts the titles that a table knows.
    pub(super) fn known_to(&self, table: &Table) -> usize {
        self.places(table).iter().flatten().count()
    }

    /// Detects the table: it has all required columns and the most known titles.
    pub(super) fn sniff(&self, file: &str, words: &TitleWords) -> Result<&'static Table> {
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
                Err(self.missing(file, table, column, words))
            }
            None => {
                let kinds: Vec<_> = TABLES
                    .iter()
                    .map(|table| format!("{} ({})", table.name, table.source))
                    .collect();
                Err(Error::data(format!("`{file}` is not a recognised export"))
                    .found(self.found(None, words))
                    .hint(format!("{} the columns of one of: {}", words.should, kinds.join(", ")))
                    .no_export())
            }
        }
    }

    pub(super) fn missing(
        &self,
        file: &str,
        table: &Table,
        column: &str,
        words: &TitleWords,
    ) -> Error {
        if *table == rates::TABLE && self.is_published_card() {
            return published_card(file);
        }
        let error =
            Error::data(format!("`{file}` has no column `{column}`, which `{}` needs", table.name))
                .found(self.found(Some(table), words));
        if *table == ad_spend::TABLE && column == ad_spend::AD_ID {
            let has = |name: &str| {
                let column = table.exported().find(|column| column.name == name);
                column.is_some_and(|column| {
                    self.known.iter().any(|at| names(column, &self.cells[*at]))
                })
            };
            let has_ads = has(ad_spend::AD_NAME);
            let level = if has(ad_spend::AD_SET_NAME) || has(ad_spend::AD_SET_ID) {
                "ad set"
            } else if has(ad_spend::CAMPAIGN_NAME) || has(ad_spend::CAMPAIGN_ID) {
                "campaign"
            } else {
                "account"
            };
            let is_by_level = has_ads || level != "account";
            if is_by_level && self.candidate(table, column).is_none() {
                if has_ads {
                    return error.hint(
                        "export it again with the column Ad ID, which Ads Manager has under Customize \
                         columns",
                    );
                }
                return Error::data(format!(
                    "`{file}` is a report by {level}: it has no column `{column}`, and spend is stored \
                     by ad"
                ))
                .found(self.found(Some(table), words))
                .hint("export it by ad: the breakdown level Ad in Ads Manager, with the column Ad ID");
            }
        }
        let from = self.candidate(table, column).filter(|_| self.are_titles(Some(table)));
        error.hint(match from {
            Some(from) => format!("name it with `--rename '{from}={column}'`"),
            None => format!(
                "if it has another title, name it with `--rename 'ITS TITLE={column}'`; otherwise \
                 export it again with that column"
            ),
        })
    }

    /// Returns a title that may be another name of a column, if it may be printed.
    fn candidate(&self, table: &Table, column: &str) -> Option<String> {
        let folded: Vec<String> = self.cells.iter().map(|cell| normalise_header(cell)).collect();
        let mut times = HashMap::<&str, usize>::new();
        for title in &folded {
            *times.entry(title).or_default() += 1;
        }
        // Known titles mean something else, and duplicate titles are ambiguous.
        let strange = |at: &usize| {
            let cell = &self.cells[*at];
            let known = *cell == REJECT_NAME
                || (self.known.contains(at) && table.exported().any(|column| names(column, cell)));
            !known && times[folded[*at].as_str()] == 1 && !folded[*at].is_empty()
        };
        // Not what a shell would change, and not what belongs to another thing.
        let is_plain = |title: &str| redact::shown(title) == title && !title.contains(['\'', '=']);
        let of_another = |title: &str| {
            let title = title.to_lowercase();
            let mut words = title.split(|c: char| !c.is_alphanumeric());
            words.any(|word| OTHER_THINGS.contains(&word) && !column.contains(word))
        };
        let places = (0..self.cells.len()).filter(strange).map(|at| self.cells[at].as_str());
        likest(column, places.filter(|title| is_plain(title) && !of_another(title)))
    }

    /// Returns `true` if the line is a header, by the titles known to one table or to any.
    fn are_titles(&self, table: Option<&Table>) -> bool {
        let known = match table {
            Some(table) => self.known_to(table),
            None => self.known.len(),
        };
        redact::are_titles(self.own.iter().map(String::as_str), known)
    }

    /// Describes the titles for an error: all of them, redacted, if the line is a header; otherwise
    /// the number of cells and the known titles among them.
    pub(super) fn found(&self, table: Option<&Table>, words: &TitleWords) -> String {
        const MOST: usize = 30;
        if table.is_some() && self.are_titles(table) {
            let title = |at: usize| {
                let known = self.known.contains(&at) || self.cells[at] == REJECT_NAME;
                if known { redact::clipped(&self.own[at]) } else { redact::shown(&self.own[at]) }
            };
            let mut shown: Vec<_> = (0..self.own.len()).take(MOST).map(title).collect();
            if self.own.len() > MOST {
                shown.push(format!("and {} more", self.own.len() - MOST));
            }
            return shown.join(", ");
        }
        let number = self.own.len();
        let all = format!("{number} {}{}", words.titles, plural(number as u64, "", "s"));
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
            0 => format!("{all}, none of them a known title"),
            1 => format!("{all}, one of them a known title: {}", ticked[0]),
            _ => format!("{all}, among them the known titles {}", ticked.join(", ")),
        }
    }

    /// Returns `true` for the titles of a rate card as Meta publishes it: a column per category, a
    /// row per market.
    pub(super) fn is_published_card(&self) -> bool {
        const CATEGORIES: [&str; 5] =
            ["marketing", "utility", "authentication", "authenticationinternational", "service"];
        let has = |title: &str| self.cells.iter().any(|cell| normalise_header(cell) == title);
        has("market") && CATEGORIES.iter().filter(|category| has(category)).count() >= 2
    }

    pub(super) fn check_renames(&self, table: &Table, renames: &[(String, String)]) -> Result<()> {
        let before = &self.own;
        for (from, to) in renames {
            if !table.exported().any(|column| names(column, to)) {
                let all: Vec<_> = table.exported().map(|column| column.name).collect();
                // The file has the other columns under their own titles.
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
                    .found(self.found(Some(table), &TitleWords::LINE)));
            }
        }
        Ok(())
    }
}

/// Words in titles that belong to something else, for columns without these words.
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

/// The error for a rate card as Meta publishes it that is not in a CSV file.
fn published_card(file: &str) -> Error {
    Error::data(format!("`{file}` is a rate card as Meta publishes it, but not in a CSV file"))
        .hint("save its sheet as csv, and load that")
        .no_export()
}

/// Detects the table of objects by their keys.
pub(crate) fn sniff(file: &str, names: &[String]) -> Result<&'static Table> {
    Titles::of(names.to_vec(), &[]).sniff(file, &TitleWords::OBJECTS)
}
