//! Statements from twins: named parameters become typed literals, slots become SQL.
//!
//! ```text
//! WHERE country = :country        →  WHERE country = 'CO'
//! SELECT {by}, count(*)           →  SELECT country AS country, count(*)
//! WITH {chains}                   →  WITH up_1 AS (…), …, chains AS (…)
//! ```
//!
//! A query fills its own slots; the SQL that several twins share is in [`FRAGMENTS`]. The statement
//! runs on Spark and Sail as it is. Servers that accept parameters get their [`Value`]s instead of
//! literals.

use std::collections::BTreeMap;
use std::fmt::Write;

use chrono::{DateTime, NaiveDate, Utc};
use clap::ValueEnum;

use super::Type;

/// SQL that several twins share, by the slot that it fills. A fragment may have slots of later ones.
/// A file `NAME.duckdb.sql` beside a fragment replaces it in the benchmark (`benches/peers.py`).
const FRAGMENTS: &[(&str, &str)] = &[
    // Groups of `sent` deployments and `inbound` sessions, with all measures of a breakdown.
    ("breakdown", include_str!("sql/breakdown.sql")),
    // Sessions with the root of their chain (`linked`), and `chains`.
    ("chains", include_str!("sql/chains.sql")),
    // Conversations with their category and cost.
    ("conversations", include_str!("sql/conversations.sql")),
    // Delivered deployments with the cost of the messages that they are paired with (`sends`).
    ("matched_sends", include_str!("sql/matched_sends.sql")),
    // Delivered messages with their pricing category, type, tier and cost.
    ("deliveries", include_str!("sql/deliveries.sql")),
    // The cost of each delivered message, in the range or not.
    ("priced_messages", include_str!("sql/priced_messages.sql")),
    // Pairs of deployments and template messages of one send.
    ("same_sends", include_str!("sql/same_sends.sql")),
    // Delivered deployments as messages of a category, with their cost.
    ("sends", include_str!("sql/sends.sql")),
    // The rates of units, the best of which has `preference = 1`: the end of a select list, and its joins.
    ("rate_of_unit", include_str!("sql/rate_of_unit.sql")),
    // The market of each country, from a date until another.
    ("markets", include_str!("sql/markets.sql")),
    // The latest display name of each line, where `place = 1`.
    ("line_names", include_str!("sql/line_names.sql")),
    // Deliveries, reads and replies of the messages of `asked`, by dimensions and `name`.
    ("performance", include_str!("sql/performance.sql")),
    // Meta's own points, where `preference = 1`.
    ("reported", include_str!("sql/reported.sql")),
    // Conversions with the session that they belong to.
    ("attributed", include_str!("sql/attributed.sql")),
    // The sum of `cost`; null if a cost is unknown or currencies differ.
    ("cost", include_str!("sql/cost.sql")),
    // Counts of messages of one type, by `failed`, `sent`, `delivered` and `read`.
    ("message_counts", include_str!("sql/message_counts.sql")),
    // Whether a message failed, was sent, delivered, read.
    ("outcomes", include_str!("sql/outcomes.sql")),
    // Pairs of stamps of one event in two tables, with the month and the difference of each.
    ("clock_pairs", include_str!("sql/clock_pairs.sql")),
    // The months of `judged` pairs, with their most frequent difference, and if there is one their mode.
    ("clock_months", include_str!("sql/clock_months.sql")),
    // The counts of a data quality check whose example is a text, or an instant.
    ("tally", include_str!("sql/tally.sql")),
    ("tally_at", include_str!("sql/tally_at.sql")),
];

/// The parameters and slots of a twin, with their values.
#[derive(Clone, Debug, Default)]
pub struct Bindings {
    parameters: BTreeMap<&'static str, Value>,
    slots: BTreeMap<&'static str, String>,
}

impl Bindings {
    /// Returns bindings without any parameter or slot.
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

    /// Binds a text or the null of texts.
    #[must_use]
    pub fn text_or_null(self, name: &'static str, value: Option<&str>) -> Self {
        self.parameter(name, value.map_or(Value::Null(Type::Text), SqlLiteral::value))
    }

    /// Binds a bigint or its null.
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

    /// Binds a timestamp, in microseconds since 1970 UTC, or its null.
    #[must_use]
    pub fn instant(self, name: &'static str, micros: Option<i64>) -> Self {
        let at = micros.and_then(DateTime::from_timestamp_micros);
        self.parameter(name, at.map_or(Value::Null(Type::Instant), Value::Instant))
    }

    /// Binds a date or its null.
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

    /// Fills a slot that is not one of [`FRAGMENTS`].
    #[must_use]
    pub fn slot(mut self, name: &'static str, text: String) -> Self {
        self.slots.insert(name, text);
        self
    }

    /// Returns the twin with its slots filled and its parameters still named.
    pub fn fill_slots(&self, twin: &str) -> String {
        let fragments = FRAGMENTS.iter();
        let shared = fragments.fold(twin.to_owned(), |twin, (name, sql)| insert(&twin, name, sql));
        let slots = self.slots.iter();
        slots.fold(shared, |twin, (name, text)| twin.replace(&format!("{{{name}}}"), text))
    }

    /// Returns the statement: the twin with slots, then parameters filled. Unbound names stay.
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

    /// Returns the names of the bound parameters.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.parameters.keys().copied()
    }

    /// Returns the bound parameters with their values.
    pub fn parameters(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.parameters.iter().map(|(name, value)| (*name, value))
    }

    /// Returns the value of a parameter.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.parameters.get(name)
    }
}

/// Fills a slot with a fragment, indented as the line of the slot.
fn insert(twin: &str, name: &str, fragment: &str) -> String {
    let slot = format!("{{{name}}}");
    let mut filled = String::new();
    let mut rest = twin;
    while let Some((before, after)) = rest.split_once(&slot) {
        let line = before.rsplit('\n').next().unwrap_or_default();
        let indent = &line[..line.len() - line.trim_start().len()];
        filled.push_str(before);
        filled.push_str(&fragment.trim_end().replace('\n', &format!("\n{indent}")));
        rest = after;
    }
    filled + rest
}

fn name_length(text: &str) -> usize {
    text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len())
}

/// The typed value of a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// The null of a type.
    Null(Type),
    /// UTF-8.
    Text(String),
    /// A signed integer of 64 bits.
    Integer(i64),
    /// The version of a conversation, 32 bits.
    Version(i32),
    /// A boolean.
    Boolean(bool),
    /// An instant, precise to microseconds.
    Instant(DateTime<Utc>),
    /// A date without a time zone.
    Date(NaiveDate),
    /// Values of one type, perhaps none.
    List(Type, Vec<Self>),
}

impl Value {
    /// Returns the SQL literal.
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

/// Quotes a text. Engines read quotes and backslashes within quotes differently, so neither occurs.
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

/// A Rust type with SQL literals.
pub trait SqlLiteral {
    /// The SQL type.
    const TYPE: Type;

    /// Returns the value that a parameter gets.
    fn value(&self) -> Value;

    /// Returns the SQL literal.
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
    fn literals_have_no_quote_or_backslash_within_quotes() {
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
    fn parameters_are_filled_by_whole_name_outside_quotes_and_comments() {
        let bindings =
            Bindings::new().integer("day", 1).integer("days", 2).slot("by", ":day".into());
        assert_eq!(
            bindings.fill("{by} :days - 1 -- :day\n':day' :other"),
            "CAST(1 AS BIGINT) CAST(2 AS BIGINT) - 1 -- :day\n':day' :other",
        );
    }
}
