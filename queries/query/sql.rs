//! Filling in a twin: its named parameters as typed literals, its slots as text.
//!
//! ```text
//! WHERE country = :country        →  WHERE country = 'CO'
//! SELECT {by}, count(*)           →  SELECT country AS country, count(*)
//! ```
//!
//! The result can be pasted into Spark or Sail.

use std::collections::BTreeMap;
use std::fmt::Write;

use chrono::{DateTime, NaiveDate};
use clap::ValueEnum;

/// What the parameters and slots of a twin stand for.
#[derive(Clone, Debug, Default)]
pub struct Bindings {
    parameters: BTreeMap<&'static str, String>,
    slots: BTreeMap<&'static str, String>,
}

impl Bindings {
    /// Nothing bound.
    pub fn new() -> Self {
        Self::default()
    }

    /// Binds a parameter to a literal.
    fn parameter(mut self, name: &'static str, literal: String) -> Self {
        self.parameters.insert(name, literal);
        self
    }

    /// Binds a text.
    #[must_use]
    pub fn text(self, name: &'static str, value: &str) -> Self {
        self.parameter(name, value.literal())
    }

    /// Binds a bigint.
    #[must_use]
    pub fn integer(self, name: &'static str, value: i64) -> Self {
        self.parameter(name, value.literal())
    }

    /// Binds a boolean.
    #[must_use]
    pub fn boolean(self, name: &'static str, value: bool) -> Self {
        self.parameter(name, value.to_string())
    }

    /// Binds a timestamp from microseconds, or its null.
    #[must_use]
    pub fn instant(self, name: &'static str, micros: Option<i64>) -> Self {
        let at = micros.and_then(DateTime::from_timestamp_micros);
        let literal = at.map_or_else(
            || "CAST(NULL AS TIMESTAMP)".to_owned(),
            |at| format!("TIMESTAMP '{}'", at.format("%Y-%m-%d %H:%M:%S%.6fZ")),
        );
        self.parameter(name, literal)
    }

    /// Binds a date, or its null.
    #[must_use]
    pub fn date(self, name: &'static str, date: Option<NaiveDate>) -> Self {
        let literal =
            date.map_or_else(|| "CAST(NULL AS DATE)".to_owned(), |date| format!("DATE '{date}'"));
        self.parameter(name, literal)
    }

    /// Binds a choice by its name on the command line.
    #[must_use]
    pub fn word(self, name: &'static str, choice: impl ValueEnum) -> Self {
        let word = choice.to_possible_value();
        self.text(name, word.as_ref().map_or("", |word| word.get_name()))
    }

    /// Binds an array.
    #[must_use]
    pub fn list<T: SqlLiteral>(self, name: &'static str, values: &[T]) -> Self {
        let values: Vec<String> = values.iter().map(SqlLiteral::literal).collect();
        let literal = if values.is_empty() {
            format!("CAST(array() AS ARRAY<{}>)", T::SQL_TYPE)
        } else {
            format!("array({})", values.join(", "))
        };
        self.parameter(name, literal)
    }

    /// Fills a slot.
    #[must_use]
    pub fn slot(mut self, name: &'static str, text: String) -> Self {
        self.slots.insert(name, text);
        self
    }

    /// A twin with its slots filled and then its parameters. What is not bound stays as it is.
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
        let slotted = self
            .slots
            .iter()
            .fold(twin.to_owned(), |twin, (name, text)| twin.replace(&format!("{{{name}}}"), text));
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
            let literal = taken.strip_prefix(':').and_then(|name| self.parameters.get(name));
            filled.push_str(literal.map_or(taken, String::as_str));
            rest = after;
        }
        filled + rest
    }

    /// The names of the parameters that are bound.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.parameters.keys().copied()
    }
}

fn name_length(text: &str) -> usize {
    text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len())
}

/// A value that a twin's parameter can be bound to.
pub trait SqlLiteral {
    /// Its type in the dialect of the twins.
    const SQL_TYPE: &'static str;

    /// The value as it stands in a statement.
    fn literal(&self) -> String;
}

impl SqlLiteral for str {
    const SQL_TYPE: &'static str = "STRING";

    /// Engines differ in what a quote or a backslash within quotes means, so neither occurs.
    fn literal(&self) -> String {
        if !self.contains(['\'', '\\']) {
            return format!("'{self}'");
        }
        let mut parts = String::new();
        for part in self.split_inclusive(['\'', '\\']) {
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
}

impl SqlLiteral for String {
    const SQL_TYPE: &'static str = str::SQL_TYPE;

    fn literal(&self) -> String {
        self.as_str().literal()
    }
}

impl SqlLiteral for i64 {
    const SQL_TYPE: &'static str = "BIGINT";

    fn literal(&self) -> String {
        format!("CAST({self} AS BIGINT)")
    }
}

impl SqlLiteral for i32 {
    const SQL_TYPE: &'static str = "INT";

    fn literal(&self) -> String {
        format!("CAST({self} AS INT)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_hold_no_quote_or_backslash() {
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
    fn only_whole_names_outside_quotes_and_comments_are_filled() {
        let bindings =
            Bindings::new().integer("day", 1).integer("days", 2).slot("by", ":day".into());
        assert_eq!(
            bindings.fill("{by} :days - 1 -- :day\n':day' :other"),
            "CAST(1 AS BIGINT) CAST(2 AS BIGINT) - 1 -- :day\n':day' :other",
        );
    }
}
