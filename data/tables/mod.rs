//! The tables of a lake, one module each, and the one list of them.
//!
//! A table is described once, here: the loader reads exports by its [`Column`]s, the lake lays
//! files out by its `day_of` and `sort`, queries name its columns by the constants of its module.

use polars::prelude::*;

use crate::cells::number::{MONEY_PRECISION, MONEY_SCALE};
use crate::cells::phone::{Person, Phones};
use crate::cells::{DecimalMark, Enumeration};

/// Names of columns, each stated once.
macro_rules! columns {
    ($($(#[$doc:meta])* $constant:ident = $name:literal),* $(,)?) => {
        $($(#[$doc])* pub const $constant: &str = $name;)*
    };
}

/// Places of cells in a row of `TABLE`. A name that no cell has does not compile.
macro_rules! places {
    ($($constant:ident = $name:path),* $(,)?) => {
        $(const $constant: usize = TABLE.position($name).expect("a cell of the table");)*
    };
}

pub mod ad_spend;
pub mod audience_tags;
pub mod closures;
pub mod conversions;
pub mod deployments;
pub mod loads;
pub mod message_summaries;
pub mod messages;
pub mod meta_points;
pub mod rates;
pub mod session_summaries;
pub mod sessions;
pub mod variables;

/// Every table that exports are loaded into, in the order that listings show them.
pub const TABLES: &[&Table] = &[
    &sessions::TABLE,
    &deployments::TABLE,
    &messages::TABLE,
    &message_summaries::TABLE,
    &session_summaries::TABLE,
    &closures::TABLE,
    &meta_points::TABLE,
    &ad_spend::TABLE,
    &conversions::TABLE,
    &audience_tags::TABLE,
    &rates::TABLE,
    &variables::TABLE,
];

/// The table of that name.
pub fn table(name: &str) -> Option<&'static Table> {
    TABLES.iter().copied().find(|table| table.name == name)
}

/// The Date column that partitions every table: the UTC date of its `day_of` column.
pub const UTC_DAY: &str = "utc_day";

/// The person: E.164 digits; the column has this name in every table that has people.
pub const USER_PHONE: &str = "user_phone";

/// Whether a person's number is valid by its country's numbering plan; stored beside `user_phone`.
pub const USER_PHONE_VALID: &str = "user_phone_valid";

/// Fixed 64-bit hash of `user_phone`, for grouping and joining only.
pub const USER_KEY: &str = "user_key";

/// Fixed 64-bit hash of `session_id`, for grouping and joining only.
pub const SESSION_KEY: &str = "session_key";

/// Fixed 64-bit hash of `whatsapp_id`, for merging only.
pub const MESSAGE_KEY: &str = "message_key";

/// Fixed 64-bit hash of what names a closing, for merging only.
pub const CLOSURE_KEY: &str = "closure_key";

/// Fixed 64-bit hash of `conversion_id`, for merging only.
pub const CONVERSION_KEY: &str = "conversion_key";

/// Fixed 64-bit hash of `user_phone` and `tag`, for merging only.
pub const TAG_KEY: &str = "tag_key";

/// What an amount is in, ISO 4217; the column has this name in every table that has amounts.
pub const CURRENCY: &str = "currency";

/// A column, and what it is over some rows.
pub type Aggregate = (&'static str, fn() -> Expr);

/// One table of a lake.
pub struct Table {
    /// Its name in the catalog, a plural noun.
    pub name: &'static str,
    /// The export it comes from, in a person's words.
    pub source: &'static str,
    /// The export's columns in the document's order, then the derived ones.
    pub columns: &'static [Column],
    /// Cells that an export has for [`Table::derive`] alone: they are read and not stored.
    pub inputs: &'static [Column],
    /// What [`Table::derive`] makes, stored beside the columns and shown in no answer.
    pub beside: &'static [Column],
    /// Of these, what a check of `data-quality` looks at: clusters are shown it as well.
    pub checked: &'static [&'static str],
    /// The natural key: two rows that agree here are one row. Null equals null.
    pub key: &'static [&'static str],
    /// What places a row in a day: an instant, a date, or seconds since 1970.
    pub day_of: &'static str,
    /// What makes a row further along than another with its key: compared in order, the greater
    /// value wins, null below every value. What is still equal is settled by [`Table::columns`].
    pub precedence: fn() -> Vec<Expr>,
    /// What is added up over rows of one file that agree in all other stored columns, each record
    /// once. Of a table that has any, the key settles the day.
    pub added_up: &'static [&'static str],
    /// Columns beside the others that tell of every row with a key, not of the one that stays, each
    /// with how it is worked out over some of these rows. Any order, any grouping and any number of
    /// times must come to the same. Of a table that has any, the key settles the day.
    pub of_every_row: &'static [Aggregate],
    /// The order of rows within a file.
    pub sort: &'static [&'static str],
    /// Stored beside the columns and shown in no answer: a hash column and the text it is made of.
    pub hashes: &'static [(&'static str, &'static str)],
    /// Stored and shown in no answer: a hash of the whole key, where it has several columns and
    /// none of them carries the time.
    pub whole_key: Option<&'static str>,
    /// The columns whose smallest and largest values a file's log entry holds. Never a phone, a
    /// name or a message: the log outlives a deletion.
    pub statistics: &'static [&'static str],
    /// Fills the derived columns of a row whose export columns are read.
    pub derive: fn(&mut Row<'_, '_>),
    /// Whether stamps without an offset are UTC, whatever the source time zone is said to be.
    pub stamps_are_utc: bool,
    /// What its amounts are in where an export does not say it.
    pub currency: Option<&'static str>,
    /// What one record is called that is neither a row nor at fault, and several.
    pub left_out: [&'static str; 2],
    /// The decimal mark of the language that a header cell is in. A column's own name is in none:
    /// anybody may have written it.
    pub language: fn(&str) -> Option<DecimalMark>,
}

/// A table without anything, to state the others by what they have.
pub(crate) const BLANK: Table = Table {
    name: "",
    source: "",
    columns: &[],
    inputs: &[],
    beside: &[],
    checked: &[],
    key: &[],
    day_of: "",
    precedence: Vec::new,
    added_up: &[],
    of_every_row: &[],
    sort: &[],
    hashes: &[],
    whole_key: None,
    statistics: &[],
    derive: |_| {},
    stamps_are_utc: false,
    currency: None,
    left_out: [""; 2],
    language: |_| None,
};

impl Table {
    /// The cells of a row: those of the columns, those beside them, those of the inputs.
    pub fn cells(&self) -> impl Iterator<Item = &'static Column> + Clone {
        self.columns.iter().chain(self.beside).chain(self.inputs)
    }

    /// The place of a cell in [`Table::cells`]; the columns come first.
    pub const fn position(&self, name: &str) -> Option<usize> {
        let parts = [self.columns, self.beside, self.inputs];
        let (mut part, mut before) = (0, 0);
        while part < parts.len() {
            let mut at = 0;
            while at < parts[part].len() {
                if is_same(parts[part][at].name.as_bytes(), name.as_bytes()) {
                    return Some(before + at);
                }
                at += 1;
            }
            before += at;
            part += 1;
        }
        None
    }

    /// The hash column that stands for the whole key, when the key does not carry the time: only
    /// then can two exports place one row in two days.
    pub fn key_hash(&self) -> Option<&'static str> {
        match self.key {
            [only] => self.hashes.iter().find(|(_, of)| of == only).map(|(hash, _)| *hash),
            _ => self.whole_key,
        }
    }

    /// Names and types as stored in a file: the columns, what is beside them, `user_phone_valid`
    /// where there is a person, the hashes. The partition column is not in the files.
    pub fn stored(&self) -> Schema {
        let stored = self.columns.iter().chain(self.beside);
        let mut schema: Schema = stored.map(|c| (c.name.into(), c.data_type())).collect();
        if self.position(USER_PHONE).is_some() {
            schema.insert(USER_PHONE_VALID.into(), DataType::Boolean);
        }
        let hashes = self.hashes.iter().map(|(hash, _)| *hash);
        for hash in hashes.chain(self.whole_key) {
            schema.insert(hash.into(), DataType::Int64);
        }
        schema
    }

    /// Names and types as clusters are shown them: the columns, and of what is beside them what no
    /// expression tells: whether the phone is one, and what checks look at.
    pub fn viewed(&self) -> Schema {
        let is_column = |name: &str| self.columns.iter().any(|column| column.name == name);
        let is_viewed = |name: &str| {
            is_column(name) || name == USER_PHONE_VALID || self.checked.contains(&name)
        };
        self.stored().into_iter().filter(|(name, _)| is_viewed(name)).collect()
    }

    /// [`Table::stored`] and the partition column, which is what a scan offers.
    pub fn schema(&self) -> Schema {
        let mut schema = self.stored();
        schema.insert(UTC_DAY.into(), DataType::Date);
        schema
    }

    /// The columns and inputs that come from the export, without the derived ones.
    pub fn exported(&self) -> impl Iterator<Item = &'static Column> + Clone {
        self.cells().filter(|column| column.origin == Origin::Export)
    }
}

/// `==`, which cannot be asked at compile time.
const fn is_same(left: &[u8], right: &[u8]) -> bool {
    match (left, right) {
        ([], []) => true,
        ([first, left @ ..], [other, right @ ..]) => *first == *other && is_same(left, right),
        _ => false,
    }
}

impl PartialEq for Table {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Table").field(&self.name).finish()
    }
}

/// Where a column's value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A cell of the export.
    Export,
    /// Worked out from other cells of the same row, once, at load.
    Derived,
}

/// How a cell is read, and so what type its column has.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// What a person wrote or named: only empty is null, nothing is trimmed.
    Text,
    /// As [`Kind::Text`], but a dash alone is null too.
    Dashed,
    /// Any other text: trimmed, and null words are null.
    Word,
    /// A phone or a line: digits alone, or a user id as it is.
    Phone,
    /// A phone that may be a national one: as [`Kind::Phone`], with the `+` of a full one until
    /// [`Table::derive`] has made the person of it.
    FullPhone,
    /// One of a closed list; an unknown word is kept as it came.
    Enumeration(&'static Enumeration),
    /// As [`Kind::Enumeration`], but an unknown word is a bad value.
    Closed(&'static Enumeration),
    /// An instant: Timestamp(µs, UTC).
    Stamp,
    /// An instant, or a date that stands for its midnight in the source zone.
    Moment,
    /// A date without a time.
    Date,
    /// A whole number that fits 32 bits.
    Integer,
    /// A whole number that fits 64 bits.
    Count,
    /// Seconds since 1970, which fit 64 bits.
    Seconds,
    /// An amount: Decimal(18, 6).
    Money,
    /// Yes or no.
    Boolean,
    /// A country by its code or a name; another word is kept as it came.
    Country,
    /// Words in one cell, stored as one text: sorted, with commas between.
    List,
}

/// What the texts of a column are, beside their type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// What a person is known by: a phone number or a user id.
    Person,
    /// A line of the business: its phone number.
    Line,
    /// Free text: what somebody wrote, which may name anybody.
    Written,
    /// A word of a closed list, which a person reads as a phrase.
    Word,
    /// A country, ISO 3166-1 alpha-2.
    Country,
    /// An id, a code or a term that is read as it stands, and that names nobody.
    Term,
}

/// One column of a table.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// The `snake_case` name, the same in exports, lake and answers.
    pub name: &'static str,
    /// How a cell is read.
    pub kind: Kind,
    /// What its texts are, where neither its kind nor its name tells: [`Column::meaning`].
    marked: Option<Meaning>,
    /// Whether a row without it is rejected, and a file without it refused.
    pub required: bool,
    /// Whether a file without it is refused, though a row may lack it.
    pub expected: bool,
    /// An input that [`Table::derive`] may fill it from where it is missing.
    pub stand_in: Option<&'static str>,
    /// Export or derived.
    pub origin: Origin,
    /// Further header spellings; the `snake_case` name always matches, as does any spelling that
    /// differs by case, spaces and punctuation only.
    pub aliases: &'static [&'static str],
}

impl Column {
    /// An optional column of the export.
    pub const fn new(name: &'static str, kind: Kind) -> Self {
        Self {
            name,
            kind,
            marked: None,
            required: false,
            expected: false,
            stand_in: None,
            origin: Origin::Export,
            aliases: &[],
        }
    }

    /// A word worked out at load.
    pub const fn derived(name: &'static str) -> Self {
        Self::derived_as(name, Kind::Word)
    }

    /// A column of any kind worked out at load.
    pub const fn derived_as(name: &'static str, kind: Kind) -> Self {
        Self { origin: Origin::Derived, ..Self::new(name, kind) }
    }

    /// The same, required.
    #[must_use]
    pub const fn required(self) -> Self {
        Self { required: true, expected: true, ..self }
    }

    /// The same, which a file must have and a row may lack.
    #[must_use]
    pub const fn expected(self) -> Self {
        Self { expected: true, ..self }
    }

    /// The same, which that input may stand in for.
    #[must_use]
    pub const fn else_from(self, input: &'static str) -> Self {
        Self { stand_in: Some(input), ..self }
    }

    /// The same, with further header spellings.
    #[must_use]
    pub const fn or(self, aliases: &'static [&'static str]) -> Self {
        Self { aliases, ..self }
    }

    const fn means(self, meaning: Meaning) -> Self {
        Self { marked: Some(meaning), ..self }
    }

    /// The same, which names people.
    #[must_use]
    pub const fn person(self) -> Self {
        self.means(Meaning::Person)
    }

    /// The same, which names lines of the business.
    #[must_use]
    pub const fn line(self) -> Self {
        self.means(Meaning::Line)
    }

    /// The same, whose words a person reads as phrases.
    #[must_use]
    pub const fn word(self) -> Self {
        self.means(Meaning::Word)
    }

    /// The same, which holds codes of countries.
    #[must_use]
    pub const fn country(self) -> Self {
        self.means(Meaning::Country)
    }

    /// The same, whose ids, codes or terms name nobody.
    #[must_use]
    pub const fn term(self) -> Self {
        self.means(Meaning::Term)
    }

    /// What its texts are; none of a column of another type, or of one that nobody has marked.
    pub fn meaning(&self) -> Option<Meaning> {
        self.marked.or(match self.kind {
            Kind::Text | Kind::Dashed => Some(Meaning::Written),
            Kind::Phone | Kind::FullPhone => Some(Meaning::Person),
            Kind::Enumeration(_) | Kind::Closed(_) => Some(Meaning::Term),
            Kind::Country => Some(Meaning::Country),
            _ if self.is_id() => Some(Meaning::Term),
            _ => None,
        })
    }

    /// The type in the lake.
    pub fn data_type(&self) -> DataType {
        match self.kind {
            Kind::Text
            | Kind::Dashed
            | Kind::Word
            | Kind::Phone
            | Kind::FullPhone
            | Kind::Enumeration(_)
            | Kind::Closed(_)
            | Kind::Country
            | Kind::List => DataType::String,
            Kind::Stamp | Kind::Moment => instant(),
            Kind::Date => DataType::Date,
            Kind::Integer => DataType::Int32,
            Kind::Count | Kind::Seconds => DataType::Int64,
            Kind::Money => DataType::Decimal(MONEY_PRECISION, MONEY_SCALE),
            Kind::Boolean => DataType::Boolean,
        }
    }

    /// Whether its cells are ids that some program gave: a number that lost its digits is none.
    pub fn is_id(&self) -> bool {
        matches!(self.kind, Kind::Word) && self.name.ends_with("_id")
    }

    /// Whether a header cell names this column: compared without case, spaces and punctuation.
    pub fn is_named(&self, header: &str) -> bool {
        let header = fold_header(header);
        fold_header(self.name) == header || self.aliases.iter().any(|a| fold_header(a) == header)
    }
}

/// The decimal mark of a report that comes in English alone, by a title that is written as one: in
/// words.
pub(crate) fn english(table: &Table, title: &str) -> Option<DecimalMark> {
    let is_title = title.trim().contains(' ') && table.exported().any(|c| c.is_named(title));
    is_title.then_some(DecimalMark::Point)
}

/// Timestamp(µs, UTC), the type of every instant in a lake.
pub fn instant() -> DataType {
    DataType::Datetime(TimeUnit::Microseconds, Some(TimeZone::UTC))
}

/// A header cell without case, spaces and punctuation.
///
/// ```
/// use wabalake_data::tables::fold_header;
/// assert_eq!(fold_header("Line/WhatsApp Number"), fold_header("line_whatsapp_number"));
/// ```
pub fn fold_header(header: &str) -> String {
    header.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// The first 8 bytes of the xxh3-64 of a text, as stored in `user_key` and `session_key`.
pub fn text_key(text: &str) -> i64 {
    xxhash_rust::xxh3::xxh3_64(text.as_bytes()).cast_signed()
}

/// One value of a row on its way into the lake.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Cell<'a> {
    /// Nothing was said.
    #[default]
    Null,
    /// A text as it stands in the file.
    Text(&'a str),
    /// A text that had to be made.
    Owned(String),
    /// Microseconds since 1970 in UTC.
    Stamp(i64),
    /// A date, in days since 1970.
    Date(i32),
    /// A whole number.
    Integer(i32),
    /// A whole number of 64 bits.
    Count(i64),
    /// An amount in millionths.
    Money(i64),
    /// Yes or no.
    Boolean(bool),
}

impl Cell<'_> {
    /// The text, if it is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Owned(text) => Some(text),
            _ => None,
        }
    }

    /// Whether nothing was said.
    pub fn is_null(&self) -> bool {
        *self == Self::Null
    }
}

impl<'a> From<Option<&'a str>> for Cell<'a> {
    fn from(text: Option<&'a str>) -> Self {
        text.map_or(Cell::Null, Cell::Text)
    }
}

/// What becomes of a record.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Fate {
    /// It is a row.
    #[default]
    Row,
    /// It is neither a row nor at fault: a total, an event of another kind.
    LeftOut,
    /// Its amounts are spread over several days, a row for each.
    Spread(Spread),
    /// It cannot be taken.
    Refused {
        /// The column at fault.
        column: &'static str,
        /// What is wrong, without what it says.
        reason: &'static str,
    },
}

/// An amount over several days.
#[derive(Clone, Debug, PartialEq)]
pub struct Spread {
    /// The place of the date's cell.
    pub day: usize,
    /// The places of the cells that get each day's share.
    pub amounts: &'static [usize],
    /// The days, ascending, each with its share in millionths.
    pub shares: Vec<(i32, i64)>,
}

/// A row whose export columns are read and whose derived ones are to be filled.
pub struct Row<'a, 'p> {
    /// One cell for each of [`Table::cells`].
    pub cells: &'p mut [Cell<'a>],
    /// What becomes of it.
    pub fate: Fate,
    /// Whether `user_phone` is a valid number; null without one.
    pub user_phone_valid: Option<bool>,
    /// Normalises phone numbers, each distinct one once.
    pub phones: &'p Phones,
}

impl Row<'_, '_> {
    /// Fills a column that is null from the input that stands in for it.
    pub fn stand_in(&mut self, column: usize, input: usize) {
        if self.cells[column].is_null() {
            self.cells[column] = self.cells[input].clone();
        }
    }

    /// Gives a number its normal form: a full international one, or a national one of the load's
    /// own country.
    pub fn normalise_phone(&mut self, user_phone: usize) {
        let number = self.cells[user_phone].text();
        let person = number.and_then(|number| self.phones.full_or_national(number));
        self.user_phone_valid = person.as_ref().map(|person| person.valid);
        self.cells[user_phone] =
            person.map_or(Cell::Null, |person| Cell::Owned(person.into_phone()));
    }

    /// Fills `user_phone` and `country` from a dialling code, a number, and the country's name as
    /// the export has it.
    pub fn place_person(
        &mut self,
        places: [usize; 2],
        code: Option<usize>,
        number: usize,
        country_name: Option<usize>,
    ) {
        let code = code.and_then(|at| self.cells[at].text());
        let person = self.phones.person(code, self.cells[number].text());
        let name = country_name.and_then(|at| self.cells[at].text());
        let of_name = name.and_then(crate::reference::countries::by_name);
        self.place(places, person, of_name);
    }

    /// The same from a number that may be a national one of the load's own country, where it comes
    /// without a dialling code.
    pub fn place_person_at_home(&mut self, places: [usize; 2], code: usize, number: usize) {
        let code = self.cells[code].text();
        let person = self.cells[number].text().and_then(|number| match code {
            Some(_) => self.phones.person(code, Some(number.trim_start_matches('+'))),
            None => self.phones.full_or_national(number),
        });
        self.place(places, person, None);
    }

    fn place(
        &mut self,
        [user_phone, country]: [usize; 2],
        person: Option<Person>,
        of_name: Option<&'static str>,
    ) {
        let of_number = person.as_ref().and_then(|person| person.country);
        self.user_phone_valid = person.as_ref().map(|person| person.valid);
        self.cells[user_phone] =
            person.map_or(Cell::Null, |person| Cell::Owned(person.into_phone()));
        self.cells[country] = of_number.or(of_name).into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_worked_out_over_rows_of_a_key_is_so_within_one_day() {
        for table in TABLES {
            let is_merged_otherwise = !table.added_up.is_empty() || !table.of_every_row.is_empty();
            assert!(!is_merged_otherwise || table.key_hash().is_none(), "{}", table.name);
            let stored = table.stored();
            let of_every_row = table.of_every_row.iter().map(|(name, _)| name);
            for name in table.added_up.iter().chain(table.checked).chain(of_every_row) {
                assert!(stored.contains(name), "{}: {name}", table.name);
            }
        }
    }
}
