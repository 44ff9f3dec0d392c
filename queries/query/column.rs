//! The columns of an answer and their types.

use polars::prelude::DataType;
use wabalake_data::tables::instant;
use wabalake_data::{Column, Meaning, TABLES};

use crate::CATALOG;

/// A column of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputColumn {
    /// Its name.
    pub name: &'static str,
    /// The type of its values.
    pub of: Type,
    /// The unit of a number: `s`, `min` or `%`.
    pub unit: Option<&'static str>,
    /// What its texts mean. Every text column of an answer states it.
    pub meaning: Option<Meaning>,
}

impl OutputColumn {
    const fn new(name: &'static str, of: Type, unit: Option<&'static str>) -> Self {
        Self { name, of, unit, meaning: None }
    }

    /// A text column without a meaning, which no query of the catalog may have.
    pub const fn text(name: &'static str) -> Self {
        Self::new(name, Type::Text, None)
    }

    const fn means(self, meaning: Meaning) -> Self {
        Self { meaning: Some(meaning), ..self }
    }

    /// An identifier of a person, such as a phone number. A mart has no such column unless the
    /// lake's settings allow it.
    pub const fn person(name: &'static str) -> Self {
        Self::text(name).means(Meaning::Person)
    }

    /// A phone line of the business.
    pub const fn line(name: &'static str) -> Self {
        Self::text(name).means(Meaning::Line)
    }

    /// Free text that somebody wrote.
    pub const fn written(name: &'static str) -> Self {
        Self::text(name).means(Meaning::Written)
    }

    /// A value of an enumeration.
    pub const fn word(name: &'static str) -> Self {
        Self::text(name).means(Meaning::Word)
    }

    /// A country code.
    pub const fn country(name: &'static str) -> Self {
        Self::text(name).means(Meaning::Country)
    }

    /// An id, a code or a term that identifies no person.
    pub const fn term(name: &'static str) -> Self {
        Self::text(name).means(Meaning::Term)
    }

    /// Copies the meaning of the table or answer column of the same name.
    #[must_use]
    pub fn as_named(self) -> Self {
        let stored = TABLES.iter().flat_map(|table| table.columns);
        let stored = stored.filter(|column| column.name == self.name).find_map(Column::meaning);
        let answered = || {
            let mut columns = CATALOG.iter().flat_map(|entry| entry.spec.columns);
            columns.find(|column| column.name == self.name)?.meaning
        };
        Self { meaning: stored.or_else(answered), ..self }
    }

    /// A count.
    pub const fn count(name: &'static str) -> Self {
        Self::new(name, Type::Integer, None)
    }

    /// The version of a conversation flow.
    pub const fn version(name: &'static str) -> Self {
        Self::new(name, Type::Version, None)
    }

    /// A numeric code.
    pub const fn code(name: &'static str) -> Self {
        Self::new(name, Type::Version, None)
    }

    /// A duration in seconds.
    pub const fn seconds(name: &'static str) -> Self {
        Self::new(name, Type::Float, Some("s"))
    }

    /// A percentage.
    pub const fn pct(name: &'static str) -> Self {
        Self::new(name, Type::Float, Some("%"))
    }

    /// A floating-point number without a unit.
    pub const fn number(name: &'static str) -> Self {
        Self::new(name, Type::Float, None)
    }

    /// A duration in minutes.
    pub const fn minutes(name: &'static str) -> Self {
        Self::new(name, Type::Float, Some("min"))
    }

    /// A local date.
    pub const fn date(name: &'static str) -> Self {
        Self::new(name, Type::Date, None)
    }

    /// An instant.
    pub const fn instant(name: &'static str) -> Self {
        Self::new(name, Type::Instant, None)
    }

    /// A boolean.
    pub const fn boolean(name: &'static str) -> Self {
        Self::new(name, Type::Boolean, None)
    }

    /// An amount of money. Its currency is in another column.
    pub const fn money(name: &'static str) -> Self {
        Self::new(name, Type::Money, None)
    }

    /// Returns `true` if its texts tell who a person is, or what somebody wrote.
    pub fn tells_of_people(&self) -> bool {
        self.meaning.is_some_and(|meaning| meaning.is_personal(self.name))
    }

    /// Returns `true` if its values identify people.
    pub fn names_people(&self) -> bool {
        self.meaning == Some(Meaning::Person)
    }
}

/// The data type of an answer's column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// UTF-8.
    Text,
    /// 64 bits.
    Integer,
    /// 32 bits.
    Version,
    /// 64 bits.
    Float,
    /// `true` or `false`.
    Boolean,
    /// A date without a time zone.
    Date,
    /// Microseconds since 1970, UTC.
    Instant,
    /// A decimal of 38 digits, six of them after the point. Stored amounts have 18 digits, so no
    /// sum overflows.
    Money,
}

impl Type {
    /// The Polars data type.
    pub fn data_type(self) -> DataType {
        match self {
            Self::Text => DataType::String,
            Self::Integer => DataType::Int64,
            Self::Version => DataType::Int32,
            Self::Float => DataType::Float64,
            Self::Boolean => DataType::Boolean,
            Self::Date => DataType::Date,
            Self::Instant => instant(),
            Self::Money => DataType::Decimal(38, 6),
        }
    }

    /// The Spark SQL type.
    pub const fn sql(self) -> &'static str {
        match self {
            Self::Text => "STRING",
            Self::Integer => "BIGINT",
            Self::Version => "INT",
            Self::Float => "DOUBLE",
            Self::Boolean => "BOOLEAN",
            Self::Date => "DATE",
            Self::Instant => "TIMESTAMP",
            Self::Money => "DECIMAL(38, 6)",
        }
    }

    /// The type's name in help texts and goldens.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Integer => "int64",
            Self::Version => "int32",
            Self::Float => "float64",
            Self::Boolean => "boolean",
            Self::Date => "date",
            Self::Instant => "timestamp",
            Self::Money => "decimal(38,6)",
        }
    }
}
