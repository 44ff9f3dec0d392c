//! Detects how each column of a file is spelled, from all its cells: the order of dates, the
//! decimal mark.
//!
//! ```text
//! day         spend                                       first reading
//! 2025-06-01  12         unambiguous                  ──► parsed at once
//! 05/06/2025  1.234      ambiguous                    ──► counted; waits
//! 13/06/2025  1.012,50   day first; decimal comma     ──► counted; waits
//!                        end of file: dmy, comma      ──► waiting records are parsed
//! ```
//!
//! A column of stamps or texts, such as `last_message` of an agent report, has texts if no cell of it is
//! written as a date and time, and some cell is a text.
//!
//! Records with an ambiguous cell wait until all cells are counted, on disk if they are many
//! ([`pending`](super::pending)). Counts do not depend on the order of records, so neither does the
//! result.

use wabalake_data::cells::ballot::{Ballot, Verdict};
use wabalake_data::cells::stamp::{StampForm, form};
use wabalake_data::cells::{DateOrder, DecimalMark, Spelling, number, word};
use wabalake_data::tables::{CellKind, Column};

use super::cell::is_typed;
use super::header::Header;
use crate::error::{Error, Result};

/// Returns `true` for kinds that may be dates in digits.
fn has_order(kind: CellKind) -> bool {
    matches!(kind, CellKind::Date | CellKind::Moment | CellKind::Stamp | CellKind::StampOrText)
}

/// Returns `true` for kinds that may have a decimal mark.
fn has_mark(kind: CellKind) -> bool {
    matches!(kind, CellKind::Money | CellKind::Decimal | CellKind::Number | CellKind::Count)
}

/// Returns `true` for a column of stamps or texts until all of its cells are counted.
fn is_undecided(column: &Column, spelling: Spelling) -> bool {
    matches!(column.kind, CellKind::StampOrText) && spelling.has_stamps.is_none()
}

/// The cells of a column of stamps or texts.
#[derive(Clone, Copy, Debug, Default)]
struct Forms {
    has_written_stamps: bool,
    has_texts: bool,
}

impl Forms {
    fn count(&mut self, word: &str) {
        match form(word) {
            StampForm::Written => self.has_written_stamps = true,
            StampForm::Text => self.has_texts = true,
            StampForm::Number => {}
        }
    }

    fn add(&mut self, other: Self) {
        self.has_written_stamps |= other.has_written_stamps;
        self.has_texts |= other.has_texts;
    }

    fn has_stamps(self) -> bool {
        self.has_written_stamps || !self.has_texts
    }
}

impl Header {
    /// Sets the given spelling on all columns.
    pub(crate) fn spell(&mut self, order: Option<DateOrder>, mark: Option<DecimalMark>) {
        for spelling in &mut self.spellings {
            spelling.order = order.or(spelling.order);
            spelling.mark = mark.or(spelling.mark);
        }
    }

    /// Marks the file as one whose cells may be numbers, not only text.
    pub(crate) fn with_numbers(&mut self) {
        self.spellings.iter_mut().for_each(|spelling| spelling.has_numbers = true);
    }

    /// Returns `true` if the spelling of all columns with several spellings is known.
    pub(crate) fn is_spelled(&self) -> bool {
        let mut columns = self.cells.iter().zip(&self.places).zip(&self.spellings);
        columns.all(|((column, place), spelling)| {
            place.is_none()
                || (spelling.order.is_some() || !has_order(column.kind))
                    && (spelling.mark.is_some() || !has_mark(column.kind))
                    && !is_undecided(column, *spelling)
        })
    }

    /// The indices of the columns of which it is not known yet whether they have stamps or texts.
    pub(crate) fn undecided(&self) -> Vec<usize> {
        let columns = self.cells.iter().zip(&self.places).zip(&self.spellings);
        let undecided = columns.enumerate().filter(|(_, ((column, place), spelling))| {
            place.is_some() && is_undecided(column, **spelling)
        });
        undecided.map(|(at, _)| at).collect()
    }
}

/// Evidence for the spelling of each cell's column.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ballots {
    formats: Vec<Ballot>,
    forms: Vec<Forms>,
}

impl Ballots {
    /// Counts the cells of a record that is not parsed yet.
    pub(crate) fn count(&mut self, header: &Header, fields: &[&str]) {
        self.formats.resize(header.cells.len(), Ballot::default());
        let columns = header.cells.iter().zip(&header.places).zip(&header.spellings);
        for (((column, place), spelling), ballot) in columns.zip(&mut self.formats) {
            let field = place.and_then(|place| fields.get(place)).copied().unwrap_or_default();
            let Some(word) = word(field) else { continue };
            match column.kind {
                CellKind::Money | CellKind::Decimal
                    if spelling.has_numbers && number::exact(word).is_some() => {}
                CellKind::Number if is_typed(word, spelling.has_numbers) => {}
                CellKind::Money | CellKind::Decimal | CellKind::Number => ballot.count_amount(word),
                CellKind::Count => ballot.count_number(word),
                // A date alone is a text there.
                CellKind::StampOrText if form(word) == StampForm::Text => {}
                kind if has_order(kind) => ballot.count_date(word),
                _ => {}
            }
        }
    }

    /// Counts the cells of a record, parsed or not, in columns of stamps or texts. `undecided` are their
    /// indices.
    pub(crate) fn count_forms(&mut self, header: &Header, fields: &[&str], undecided: &[usize]) {
        for at in undecided {
            self.forms.resize(header.cells.len(), Forms::default());
            let field = header.places[*at].and_then(|place| fields.get(place));
            if let Some(word) = field.and_then(|field| word(field)) {
                self.forms[*at].count(word);
            }
        }
    }

    /// Adds the counts of other records.
    pub(crate) fn add(&mut self, other: &Self) {
        let Self { formats, forms } = other;
        self.formats.resize(self.formats.len().max(formats.len()), Ballot::default());
        for (ballot, other) in self.formats.iter_mut().zip(formats) {
            ballot.add(*other);
        }
        self.forms.resize(self.forms.len().max(forms.len()), Forms::default());
        for (counted, other) in self.forms.iter_mut().zip(forms) {
            counted.add(*other);
        }
    }

    /// Decides the spelling of all columns, once all records are counted.
    ///
    /// # Errors
    ///
    /// A column that remains ambiguous.
    pub(crate) fn settle(&self, file: &str, header: &Header) -> Result<Vec<Spelling>> {
        let mut spellings = header.spellings.clone();
        let mut orders = Unsettled::default();
        let mut marks = Unsettled::default();
        for at in header.undecided() {
            spellings[at].has_stamps =
                Some(self.forms.get(at).is_none_or(|forms| forms.has_stamps()));
        }
        let ballots = self.formats.iter().copied().chain(std::iter::repeat(Ballot::default()));
        for ((column, spelling), ballot) in header.cells.iter().zip(&mut spellings).zip(ballots) {
            if has_order(column.kind) && spelling.order.is_none() {
                spelling.order = Some(match ballot.order() {
                    Verdict::Detected(order) => orders.known(order),
                    Verdict::Same if ballot.has_order() => DateOrder::DayFirst,
                    Verdict::Same => DateOrder::YearFirst,
                    verdict => orders.note(column.name, verdict, DateOrder::YearFirst),
                });
            }
            if has_mark(column.kind) && spelling.mark.is_none() {
                spelling.mark = Some(match (ballot.mark(), header.language) {
                    (Verdict::Detected(mark), _) => marks.known(mark),
                    (Verdict::Same, language) => language.unwrap_or(DecimalMark::Point),
                    // The minority against the titles' language is a slip.
                    (Verdict::Ambiguous | Verdict::Conflicting, Some(mark)) => mark,
                    (verdict, _) => marks.note(column.name, verdict, DecimalMark::Point),
                });
            }
        }
        orders.settle(file, &ORDERS)?;
        marks.settle(file, &MARKS)?;
        Ok(spellings)
    }
}

/// Words and options for one kind of spelling.
struct Ways<T: 'static> {
    /// What the columns contain.
    what: &'static str,
    option: &'static str,
    names: &'static [(&'static str, T)],
    /// The two readings of an ambiguous column.
    readings: [&'static str; 2],
    /// Examples of the option.
    examples: &'static str,
}

const ORDERS: Ways<DateOrder> = Ways {
    what: "the dates",
    option: "--date-order",
    names: &DateOrder::NAMES,
    readings: ["day first", "month first"],
    examples: "`--date-order dmy` reads 31/12/2025, `--date-order mdy` 12/31/2025",
};

const MARKS: Ways<DecimalMark> = Ways {
    what: "the numbers",
    option: "--decimal",
    names: &DecimalMark::NAMES,
    readings: ["with a decimal point", "with a decimal comma"],
    examples: "`--decimal comma` reads 1.234,50, `--decimal point` 1,234.50",
};

/// The ambiguous columns of one kind, and the spelling of the others.
struct Unsettled<T> {
    open: Vec<&'static str>,
    divided: Vec<&'static str>,
    others: Vec<T>,
}

impl<T> Default for Unsettled<T> {
    fn default() -> Self {
        Self { open: Vec::new(), divided: Vec::new(), others: Vec::new() }
    }
}

impl<T: Copy + PartialEq> Unsettled<T> {
    fn known(&mut self, way: T) -> T {
        self.others.push(way);
        way
    }

    fn note(&mut self, column: &'static str, verdict: Verdict<T>, meanwhile: T) -> T {
        match verdict {
            Verdict::Conflicting => self.divided.push(column),
            _ => self.open.push(column),
        }
        meanwhile
    }

    fn settle(self, file: &str, ways: &Ways<T>) -> Result<()> {
        let Ways { what, option, names, readings: [one, other], examples } = ways;
        let ticked = |columns: &[&str]| {
            columns.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
        };
        let fault = match (self.open.as_slice(), self.divided.as_slice()) {
            ([], []) => return Ok(()),
            ([], divided) => format!(
                "{what} in {} are mixed: as many can only be read {one} as {other}",
                ticked(divided)
            ),
            (open, _) => format!("{what} in {} are ambiguous: {one} or {other}", ticked(open)),
        };
        let hint = format!("say how they are written: {examples}");
        // The other columns of a file are most likely written in the same way.
        let first = self.others.first().filter(|way| self.others.iter().all(|other| other == *way));
        let first = first.and_then(|way| names.iter().find(|(_, known)| known == way));
        Err(Error::data(format!("`{file}`: {fault}")).hint(match first {
            Some((name, _)) => format!("{hint}; other columns of the file are `{option} {name}`"),
            None => hint,
        }))
    }
}
