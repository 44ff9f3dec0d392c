//! Columns: how a cell is parsed, which type it gets, what its texts mean.

use polars::prelude::*;

use crate::cells::number::{MONEY_PRECISION, MONEY_SCALE};
use crate::cells::{Enumeration, normalise_header};

/// The parser of a cell, which also decides the column's type.
#[derive(Clone, Copy, Debug)]
pub enum CellKind {
    /// Text that a person wrote, or a name: not trimmed, null only if empty.
    Text,
    /// Like [`CellKind::Text`], but a single dash is null too.
    Dashed,
    /// Any other text: trimmed, and null words such as `-` or `NaN` are null.
    Word,
    /// The phone number of a person or a line: digits only; a user id is kept unchanged.
    Phone,
    /// Meta's id of a person within the business. Any other word is null: a file of a business's own
    /// may have ids of its own in a column of that name.
    UserId,
    /// A phone number that may lack the country code. Like [`CellKind::Phone`], but the `+` of an
    /// international number is kept until [`derive`](super::Table::derive) normalises it.
    FullPhone,
    /// A word of a closed list; an unknown word is kept as it is.
    Enumeration(&'static Enumeration),
    /// Like [`CellKind::Enumeration`], but an unknown word is an invalid value.
    Closed(&'static Enumeration),
    /// An instant: Timestamp(µs, UTC).
    Stamp,
    /// An instant, or a date that stands for its midnight in the source time zone.
    Moment,
    /// An instant, in a column that may have texts instead: then all of its cells are null. The cells of
    /// a whole file decide.
    StampOrText,
    /// A date without a time.
    Date,
    /// A whole number of 32 bits.
    Integer,
    /// A whole number of 64 bits.
    Count,
    /// Seconds since 1970, 64 bits.
    Seconds,
    /// An amount of money: Decimal(18, 6).
    Money,
    /// A number with at most six decimals that is no amount of money: Decimal(18, 6).
    Decimal,
    /// A number with or without decimals: Float64.
    Number,
    /// Yes or no.
    Boolean,
    /// A country code, parsed from a code or a name; another word is kept as it is.
    Country,
    /// A list of words in one cell, separated by any of these characters. It is stored as one text: sorted
    /// and separated by commas.
    List(&'static [char]),
}

/// The meaning of a column's texts, beyond their type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Identifies a person: a phone number or a user id.
    Person,
    /// The phone number of one of the business's lines.
    Line,
    /// Free text that somebody wrote, which may name anybody.
    Written,
    /// A word of a closed list, shown to people as a phrase.
    Word,
    /// A country, ISO 3166-1 alpha-2.
    Country,
    /// An id, a code or a term: shown unchanged, identifies nobody.
    Term,
}

/// The columns of free text that no person writes: the business does, about its own things, or wabalake.
const OF_NOBODY: &[&str] = &[
    "campaign",
    "campaign_name",
    "counts",
    "delimiter",
    "display_name",
    "event",
    "file",
    "header",
    "hsm_name",
    "line_whatsapp_display_name",
    "meta_source_body",
    "meta_source_headline",
    "name",
    "reason",
    "referral_headline",
    "tag",
    "versions",
    "whatsapp_link_campaign_name",
];

impl Meaning {
    /// Returns `true` if the texts of a column of this name tell who a person is, or what somebody wrote.
    ///
    /// ```
    /// use wabalake_data::Meaning;
    /// assert!(Meaning::Person.is_personal("user_phone"));
    /// assert!(Meaning::Written.is_personal("last_message"));
    /// assert!(!Meaning::Written.is_personal("tag"));
    /// assert!(!Meaning::Line.is_personal("line"));
    /// ```
    pub fn is_personal(self, column: &str) -> bool {
        match self {
            Self::Person => true,
            Self::Written => !OF_NOBODY.contains(&column),
            Self::Line | Self::Word | Self::Country | Self::Term => false,
        }
    }
}

/// One column of a table.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// The `snake_case` name, the same in exports, lake and answers.
    pub name: &'static str,
    /// How a cell is parsed.
    pub kind: CellKind,
    /// The meaning, where neither kind nor name implies it: see [`Column::meaning`].
    marked: Option<Meaning>,
    /// `true` rejects a row that lacks a value, and a file that lacks the column.
    pub required: bool,
    /// `true` rejects a file that lacks the column, but no row that lacks a value.
    pub expected: bool,
    /// The column that stands in for this one where it is null: an input from which
    /// [`derive`](super::Table::derive) fills it, or [`USER_ID`](super::USER_ID) for a phone.
    pub fallback: Option<&'static str>,
    /// `true` if [`derive`](super::Table::derive) computes the column at load.
    pub is_derived: bool,
    /// Further header spellings. The `snake_case` name always matches, and so does any spelling
    /// that differs only by case, spaces and punctuation.
    pub aliases: &'static [&'static str],
}

impl Column {
    /// An optional column of the export.
    pub const fn new(name: &'static str, kind: CellKind) -> Self {
        Self {
            name,
            kind,
            marked: None,
            required: false,
            expected: false,
            fallback: None,
            is_derived: false,
            aliases: &[],
        }
    }

    /// A column of words that is computed at load.
    pub const fn derived(name: &'static str) -> Self {
        Self::derived_as(name, CellKind::Word)
    }

    /// A column of any kind that is computed at load.
    pub const fn derived_as(name: &'static str, kind: CellKind) -> Self {
        Self { is_derived: true, ..Self::new(name, kind) }
    }

    /// Makes the column required in rows and files.
    #[must_use]
    pub const fn required(self) -> Self {
        Self { required: true, expected: true, ..self }
    }

    /// Makes the column required in files, but not in rows.
    #[must_use]
    pub const fn expected(self) -> Self {
        Self { expected: true, ..self }
    }

    /// Names the column that stands in where this one is null.
    #[must_use]
    pub const fn or_from(self, input: &'static str) -> Self {
        Self { fallback: Some(input), ..self }
    }

    /// Sets further header spellings.
    #[must_use]
    pub const fn or(self, aliases: &'static [&'static str]) -> Self {
        Self { aliases, ..self }
    }

    const fn means(self, meaning: Meaning) -> Self {
        Self { marked: Some(meaning), ..self }
    }

    /// The column `user_id` of a table with people.
    pub const fn user_id() -> Self {
        Self::new(super::USER_ID, CellKind::UserId).or(&["bsuid"])
    }

    /// Marks the column as [`Meaning::Person`].
    #[must_use]
    pub const fn person(self) -> Self {
        self.means(Meaning::Person)
    }

    /// Marks the column as [`Meaning::Line`].
    #[must_use]
    pub const fn line(self) -> Self {
        self.means(Meaning::Line)
    }

    /// Marks the column as [`Meaning::Word`].
    #[must_use]
    pub const fn word(self) -> Self {
        self.means(Meaning::Word)
    }

    /// Marks the column as [`Meaning::Country`].
    #[must_use]
    pub const fn country(self) -> Self {
        self.means(Meaning::Country)
    }

    /// Marks the column as [`Meaning::Term`].
    #[must_use]
    pub const fn term(self) -> Self {
        self.means(Meaning::Term)
    }

    /// Returns `true` if the texts tell who a person is, or what somebody wrote. Marts of SQL, views and answers
    /// to assistants hold none of these, unless the settings of the lake allow people there.
    ///
    /// ```
    /// use wabalake_data::tables::{audience_tags, sessions};
    /// let of = |columns: &[wabalake_data::Column], name: &str| {
    ///     columns.iter().find(|column| column.name == name).unwrap().tells_of_people()
    /// };
    /// assert!(of(sessions::TABLE.columns, "user_phone") && of(sessions::TABLE.columns, "last_message"));
    /// assert!(!of(sessions::TABLE.columns, "country") && !of(audience_tags::TABLE.columns, "tag"));
    /// ```
    pub fn tells_of_people(&self) -> bool {
        self.meaning().is_some_and(|meaning| meaning.is_personal(self.name))
    }

    /// The meaning of the column's texts. `None` for another type, or if nobody has marked it.
    pub fn meaning(&self) -> Option<Meaning> {
        self.marked.or(match self.kind {
            CellKind::Text | CellKind::Dashed => Some(Meaning::Written),
            CellKind::Phone | CellKind::FullPhone | CellKind::UserId => Some(Meaning::Person),
            CellKind::Enumeration(_) | CellKind::Closed(_) => Some(Meaning::Term),
            CellKind::Country => Some(Meaning::Country),
            _ if self.is_id() => Some(Meaning::Term),
            _ => None,
        })
    }

    /// The type in the lake.
    pub fn data_type(&self) -> DataType {
        match self.kind {
            CellKind::Text
            | CellKind::Dashed
            | CellKind::Word
            | CellKind::Phone
            | CellKind::FullPhone
            | CellKind::UserId
            | CellKind::Enumeration(_)
            | CellKind::Closed(_)
            | CellKind::Country
            | CellKind::List(_) => DataType::String,
            CellKind::Stamp | CellKind::Moment | CellKind::StampOrText => instant(),
            CellKind::Date => DataType::Date,
            CellKind::Integer => DataType::Int32,
            CellKind::Count | CellKind::Seconds => DataType::Int64,
            CellKind::Money | CellKind::Decimal => DataType::Decimal(MONEY_PRECISION, MONEY_SCALE),
            CellKind::Number => DataType::Float64,
            CellKind::Boolean => DataType::Boolean,
        }
    }

    /// Returns `true` if the cells are ids: then a number in scientific notation is invalid,
    /// because it has lost digits.
    pub fn is_id(&self) -> bool {
        matches!(self.kind, CellKind::Word) && self.name.ends_with("_id")
    }

    /// Returns `true` if a header cell names this column, ignoring case, spaces and punctuation.
    pub fn is_named(&self, header: &str) -> bool {
        let header = normalise_header(header);
        let is_same = |name: &str| normalise_header(name) == header;
        is_same(self.name) || self.aliases.iter().any(|alias| is_same(alias))
    }
}

/// Timestamp(µs, UTC), the type of every instant in a lake.
pub fn instant() -> DataType {
    DataType::Datetime(TimeUnit::Microseconds, Some(TimeZone::UTC))
}
