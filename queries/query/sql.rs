//! Bindings of an SQL twin: named parameters become typed literals, slots become text.
//!
//! ```text
//! WHERE country = :country        →  WHERE country = 'CO'
//! SELECT {by}, count(*)           →  SELECT country AS country, count(*)
//! ```
//!
//! The result can be pasted into Spark or Sail. A server that accepts parameters beside a statement is
//! sent their [`Value`]s instead.

use std::collections::BTreeMap;
use std::fmt::Write;

use chrono::{DateTime, NaiveDate, Utc};
use clap::ValueEnum;

use super::Type;

/// The values of the parameters and slots of a twin.
#[derive(Clone, Debug, Default)]
pub struct Bindings {
    parameters: BTreeMap<&'static str, Value>,
    slots: BTreeMap<&'static str, String>,
}

impl Bindings {
    /// No parameter and no slot.
    pub fn new() -> Self {
        Self::default()
    }

    /// Binds a parameter.
    fn parameter(mut self, name: &'static str, value: Value) -> Self {
        self.parameters.insert(name, value);
        self
    }

    /// Binds a text.
    #[must_use]
    pub fn text(self, name: &'static str, value: &str) -> Self {
        self.parameter(name, value.value())
    }

    /// Binds a text, or null.
    #[must_use]
    pub fn text_or_null(self, name: &'static str, value: Option<&str>) -> Self {
        self.parameter(name, value.map_or(Value::Null(Type::Text), SqlLiteral::value))
    }

    /// Binds a bigint, or null.
    #[must_use]
    pub fn integer(self, name: &'static str, value: impl Into<Option<i64>>) -> Self {
        let value = value.into();
        self.parameter(name, value.map_or(Value::Null(Type::Integer), |value| value.value()))
    }

    /// Binds a boolean.
    #[must_use]
    pub fn boolean(self, name: &'static str, value: bool) -> Self {
        self.parameter(name, Value::Boolean(value))
    }

    /// Binds a timestamp given in microseconds, or null.
    #[must_use]
    pub fn instant(self, name: &'static str, micros: Option<i64>) -> Self {
        let at = micros.and_then(DateTime::from_timestamp_micros);
        self.parameter(name, at.map_or(Value::Null(Type::Instant), Value::Instant))
    }

    /// Binds a date, or null.
    #[must_use]
    pub fn date(self, name: &'static str, date: Option<NaiveDate>) -> Self {
        self.parameter(name, date.map_or(Value::Null(Type::Date), Value::Date))
    }

    /// Binds the name of a clap enumeration's value.
    #[must_use]
    pub fn word(self, name: &'static str, choice: impl ValueEnum) -> Self {
        let word = choice.to_possible_value();
        self.text(name, word.as_ref().map_or("", |word| word.get_name()))
    }

    /// Binds an array.
    #[must_use]
    pub fn list<T: SqlLiteral>(self, name: &'static str, values: &[T]) -> Self {
        self.parameter(name, Value::List(T::TYPE, values.iter().map(T::value).collect()))
    }

    /// Fills a slot.
    #[must_use]
    pub fn slot(mut self, name: &'static str, text: String) -> Self {
        self.slots.insert(name, text);
        self
    }

    /// Fills the slots of a twin, but not its parameters.
    pub fn fill_slots(&self, twin: &str) -> String {
        let slots = self.slots.iter();
        slots.fold(twin.to_owned(), |twin, (name, text)| twin.replace(&format!("{{{name}}}"), text))
    }

    /// Fills the slots and then the parameters of a twin. Unbound parameters stay as they are.
    ///
    /// ```
    /// # use wabalake_queries::query::sql::Bindings;
    /// let bindings = Bindings::new().text("who", "o'clock").integer("n", 3);
    /// assert_eq!(
    ///     bindings.fill("SELECT :n AS n, ':n' AS quoted, :who AS who"),
    ///     "SELECT CAST(3 AS BIGINT) AS n, ':n' AS quoted, concat('o', chr(39), 'clock') AS who",
    /// );
    /// ```
    pub fn fill(&self, twin: &str) -> String {
        let slotted = self.fill_slots(twin);
        let mut filled = String::with_capacity(slotted.len());
        let mut rest = slotted.as_str();
        while let Some(at) = rest.find([':', '\'', '-']) {
            let (before, found) = rest.split_at(at);
            filled.push_str(before);
            let length = match found.as_bytes() {
                [b'\'', ..] => found[1..].find('\'').map_or(found.len(), |end| end + 2),
                [b'-', b'-', ..] => found.find('\n').unwrap_or(found.len()),
                [b':', ..] => 1 + name_length(&found[1..]),
                _ => 1,
            };
            let (taken, after) = found.split_at(length);
            match taken.strip_prefix(':').and_then(|name| self.parameters.get(name)) {
                Some(value) => filled.push_str(&value.literal()),
                None => filled.push_str(taken),
            }
            rest = after;
        }
        filled + rest
    }

    /// The names of the bound parameters.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.parameters.keys().copied()
    }

    /// The bound parameters and their values.
    pub fn parameters(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.parameters.iter().map(|(name, value)| (*name, value))
    }
}

fn name_length(text: &str) -> usize {
    text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len())
}

/// The value of a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// The null of a type.
    Null(Type),
    /// UTF-8.
    Text(String),
    /// 64 bits.
    Integer(i64),
    /// 32 bits.
    Version(i32),
    /// true or false.
    Boolean(bool),
    /// To the microsecond.
    Instant(DateTime<Utc>),
    /// A date without a zone.
    Date(NaiveDate),
    /// Values of one type.
    List(Type, Vec<Self>),
}

impl Value {
    /// The SQL literal.
    pub fn literal(&self) -> String {
        match self {
            Self::Null(of) => format!("CAST(NULL AS {})", of.sql()),
            Self::Text(text) => quoted(text),
            Self::Integer(number) => format!("CAST({number} AS {})", Type::Integer.sql()),
            Self::Version(number) => format!("CAST({number} AS {})", Type::Version.sql()),
            Self::Boolean(truth) => truth.to_string(),
            Self::Instant(at) => format!("TIMESTAMP '{}'", at.format("%Y-%m-%d %H:%M:%S%.6fZ")),
            Self::Date(date) => format!("DATE '{date}'"),
            Self::List(of, values) if values.is_empty() => {
                format!("CAST(array() AS ARRAY<{}>)", of.sql())
            }
            Self::List(_, values) => {
                let values: Vec<String> = values.iter().map(Self::literal).collect();
                format!("array({})", values.join(", "))
            }
        }
    }
}

/// A text literal without quotes or backslashes inside, which engines escape differently.
fn quoted(text: &str) -> String {
    if !text.contains(['\'', '\\']) {
        return format!("'{text}'");
    }
    let mut parts = String::new();
    for part in text.split_inclusive(['\'', '\\']) {
        let plain = part.trim_end_matches(['\'', '\\']);
        if !plain.is_empty() {
            let _ = write!(parts, "'{plain}', ");
        }
        if let Some(special @ ('\'' | '\\')) = part.chars().last() {
            let _ = write!(parts, "chr({}), ", u32::from(special));
        }
    }
    format!("concat({})", parts.trim_end_matches(", "))
}

/// A Rust type with an SQL literal.
pub trait SqlLiteral {
    /// The SQL type.
    const TYPE: Type;

    /// The value for a parameter.
    fn value(&self) -> Value;

    /// The SQL literal.
    fn literal(&self) -> String {
        self.value().literal()
    }
}

impl SqlLiteral for str {
    const TYPE: Type = Type::Text;

    fn value(&self) -> Value {
        Value::Text(self.to_owned())
    }
}

impl SqlLiteral for String {
    const TYPE: Type = Type::Text;

    fn value(&self) -> Value {
        self.as_str().value()
    }
}

impl SqlLiteral for i64 {
    const TYPE: Type = Type::Integer;

    fn value(&self) -> Value {
        Value::Integer(*self)
    }
}

impl SqlLiteral for i32 {
    const TYPE: Type = Type::Version;

    fn value(&self) -> Value {
        Value::Version(*self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_literals_have_no_quote_or_backslash_inside() {
        let cases = [
            ("plain", "'plain'"),
            ("", "''"),
            ("'", "concat(chr(39))"),
            ("a\\b", "concat('a', chr(92), 'b')"),
            ("''x", "concat(chr(39), chr(39), 'x')"),
        ];
        for (text, literal) in cases {
            assert_eq!(text.literal(), literal);
        }
    }

    #[test]
    fn parameters_in_quotes_and_comments_are_not_filled() {
        let bindings =
            Bindings::new().integer("day", 1).integer("days", 2).slot("by", ":day".into());
        assert_eq!(
            bindings.fill("{by} :days - 1 -- :day\n':day' :other"),
            "CAST(1 AS BIGINT) CAST(2 AS BIGINT) - 1 -- :day\n':day' :other",
        );
    }
}
