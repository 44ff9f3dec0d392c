//! A row on its way into the lake, between parsing and writing.

use crate::cells::phone::{Person, Phones, is_user_id};
use crate::reference::countries;

/// The hash of a text that key columns such as `user_key` store: xxh3, 64 bits.
pub fn text_key(text: &str) -> i64 {
    xxhash_rust::xxh3::xxh3_64(text.as_bytes()).cast_signed()
}

/// One value of a row.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Cell<'a> {
    /// No value.
    #[default]
    Null,
    /// A text, borrowed from the file.
    Text(&'a str),
    /// A text that was built.
    Owned(String),
    /// An instant, in microseconds since 1970 in UTC.
    Stamp(i64),
    /// A date, in days since 1970.
    Date(i32),
    /// A whole number of 32 bits.
    Integer(i32),
    /// A whole number of 64 bits.
    Count(i64),
    /// An amount of money, in millionths.
    Money(i64),
    /// A number with or without decimals.
    Number(f64),
    /// Yes or no.
    Boolean(bool),
}

impl Cell<'_> {
    /// The text, if the cell holds one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Owned(text) => Some(text),
            _ => None,
        }
    }

    /// Returns `true` if there is no value.
    pub fn is_null(&self) -> bool {
        *self == Self::Null
    }
}

impl<'a> From<Option<&'a str>> for Cell<'a> {
    fn from(text: Option<&'a str>) -> Self {
        text.map_or(Cell::Null, Cell::Text)
    }
}

/// What happens to a record.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Fate {
    /// It becomes a row.
    #[default]
    Row,
    /// It is skipped without being an error: a row of totals, an event of another type.
    Skipped,
    /// It becomes one row per day, each with a share of the amounts.
    Spread(Spread),
    /// It is rejected.
    Rejected {
        /// The column with the error.
        column: &'static str,
        /// What is wrong, without the cell's content.
        reason: &'static str,
    },
}

/// Amounts and counts that are split over several days.
#[derive(Clone, Debug, PartialEq)]
pub struct Spread {
    /// For each day, ascending, the cells that differ from the record's, with their positions: the date, and
    /// the day's shares.
    pub days: Vec<Vec<(usize, Cell<'static>)>>,
}

impl Spread {
    /// A row for each of some days. `day` is the position of the date's cell.
    pub(crate) fn over(day: usize, days: std::ops::RangeInclusive<i32>) -> Self {
        Self { days: days.map(|date| vec![(day, Cell::Date(date))]).collect() }
    }

    /// Adds the shares of the cell at a position, one for each day.
    pub(crate) fn share(&mut self, at: usize, shares: impl IntoIterator<Item = Cell<'static>>) {
        for (cells, share) in self.days.iter_mut().zip(shares) {
            cells.push((at, share));
        }
    }
}

/// The positions of the cells of a person.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PersonCells {
    pub(crate) user_phone: usize,
    pub(crate) user_id: usize,
    pub(crate) country: usize,
}

/// A row whose exported columns are parsed and whose derived columns are still null.
pub struct Row<'a, 'p> {
    /// One cell for each of [`Table::cells`](super::Table::cells).
    pub cells: &'p mut [Cell<'a>],
    /// What happens to the record.
    pub fate: Fate,
    /// `true` if `user_phone` is a valid number; `None` without a number.
    pub user_phone_valid: Option<bool>,
    /// Normalises phone numbers, with a cache.
    pub phones: &'p Phones,
}

impl Row<'_, '_> {
    /// Copies the cell at `fallback` into the cell at `column` if that is null.
    pub(crate) fn fill_from(&mut self, column: usize, fallback: usize) {
        if self.cells[column].is_null() {
            self.cells[column] = self.cells[fallback].clone();
        }
    }

    /// Normalises the number at `user_phone`, which may be a national one of the load's default
    /// country. A user id there moves to `user_id`.
    pub(crate) fn normalise_phone(&mut self, user_phone: usize, user_id: usize) {
        self.move_user_id(user_phone, user_id);
        let number = self.cells[user_phone].text();
        let person = number.and_then(|number| self.phones.full_or_national(number));
        self.set_phone(user_phone, person);
    }

    /// Fills the person from a number and its dialling code. If neither the number nor the user id has
    /// a country, `country_name`, as the export spells it, supplies it.
    pub(crate) fn set_person(
        &mut self,
        cells: PersonCells,
        code: Option<usize>,
        number: usize,
        country_name: Option<usize>,
    ) {
        self.move_user_id(number, cells.user_id);
        let number = self.cells[number].text();
        let code = code.and_then(|at| self.cells[at].text());
        let person = self.phones.person(code, number);
        self.set(cells, person, country_name);
    }

    /// Fills the person like [`Row::set_person`]. A number without a dialling code may be a national
    /// one of the load's default country.
    pub(crate) fn set_person_or_national(
        &mut self,
        cells: PersonCells,
        code: Option<usize>,
        number: usize,
    ) {
        self.move_user_id(number, cells.user_id);
        let code = code.and_then(|at| self.cells[at].text());
        let number = self.cells[number].text();
        let person = number.and_then(|number| match code {
            Some(_) => self.phones.person(code, Some(number.trim_start_matches('+'))),
            None => self.phones.full_or_national(number),
        });
        self.set(cells, person, None);
    }

    /// Moves a user id from the cell of a number to `user_id`, if that is null. The number is null then.
    fn move_user_id(&mut self, number: usize, user_id: usize) {
        if self.cells[number].text().is_some_and(is_user_id) {
            self.fill_from(user_id, number);
            self.cells[number] = Cell::Null;
        }
    }

    /// Clears the cell of a line if it has a user id: no line has one.
    pub(crate) fn clear_user_id(&mut self, line: usize) {
        if self.cells[line].text().is_some_and(is_user_id) {
            self.cells[line] = Cell::Null;
        }
    }

    fn set(&mut self, cells: PersonCells, person: Option<Person>, country_name: Option<usize>) {
        let named =
            || country_name.and_then(|at| self.cells[at].text()).and_then(countries::by_name);
        let country = match (&person, self.cells[cells.user_id].text()) {
            (None, Some(user_id)) => Cell::Owned(user_id.chars().take(2).collect()),
            _ => person.as_ref().and_then(|person| person.country).or_else(named).into(),
        };
        self.set_phone(cells.user_phone, person);
        self.cells[cells.country] = country;
    }

    fn set_phone(&mut self, user_phone: usize, person: Option<Person>) {
        self.user_phone_valid = person.as_ref().map(|person| person.valid);
        self.cells[user_phone] =
            person.map_or(Cell::Null, |person| Cell::Owned(person.into_phone()));
    }
}
