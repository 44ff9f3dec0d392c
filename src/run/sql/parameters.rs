//! Parameters: what stands for `:name` in a statement.
//!
//! ```text
//! --param since=2025-06-01     as what it is compared with, else as what it looks like
//! --param code:text=57         as what is said
//! --param country=CO --param country=MX     IN (:country)
//! ```

use chrono::NaiveDate;
use chrono_tz::Tz;
use polars::prelude::DataType;
use sqlparser::ast::{DollarQuotedString, Expr, Value};
use wabalake_data::words::suggestion_and;
use wabalake_queries::query::time::read_date;

use super::bind::call;
use super::functions::{INSTANT, LOCAL_DATE, read};

/// The type of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// A whole number.
    Integer,
    /// A number with decimals.
    Number,
    /// `true` or `false`.
    Boolean,
    /// `2025-06-01`.
    Date,
    /// `2025-06-01T10:00:00Z`, `2025-06-01 10:00` on the reporting zone's clock, or a date for its
    /// first moment.
    Timestamp,
}

impl Kind {
    const ALL: [(&'static str, Self); 6] = [
        ("text", Self::Text),
        ("integer", Self::Integer),
        ("number", Self::Number),
        ("boolean", Self::Boolean),
        ("date", Self::Date),
        ("timestamp", Self::Timestamp),
    ];

    /// Of values of a type.
    pub(super) fn of(data_type: &DataType) -> Option<Self> {
        Some(match data_type {
            DataType::String => Self::Text,
            DataType::Boolean => Self::Boolean,
            DataType::Date => Self::Date,
            DataType::Datetime(..) => Self::Timestamp,
            DataType::Decimal(..) => Self::Number,
            number if number.is_integer() => Self::Integer,
            number if number.is_float() => Self::Number,
            _ => return None,
        })
    }

    /// In a person's words.
    pub(super) fn article(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Integer => "a whole number",
            Self::Number => "a number",
            Self::Boolean => "true or false",
            Self::Date => "a date, such as 2025-06-01",
            Self::Timestamp => "a stamp, such as 2025-06-01 or 2025-06-01T10:00:00Z",
        }
    }
}

/// A value for `:name`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    pub(super) name: String,
    pub(super) kind: Option<Kind>,
    pub(super) text: String,
}

impl Parameter {
    /// Reads `name=value` or `name:type=value`.
    ///
    /// ```
    /// use wabalake::run::sql::Parameter;
    /// assert!(Parameter::read("since=2025-06-01").is_ok());
    /// assert!(Parameter::read("code:text=57").is_ok());
    /// let error = Parameter::read("code:txt=57").unwrap_err();
    /// assert!(error.contains("did you mean `text`?"));
    /// ```
    ///
    /// # Errors
    /// Without a name or `=`, or of a type that there is not.
    pub fn read(said: &str) -> Result<Self, String> {
        let named = said.split_once('=').filter(|(name, _)| !name.is_empty());
        let (name, text) = named.ok_or_else(|| {
            "has no value\n  hint: write it as NAME=VALUE, such as since=2025-06-01".to_owned()
        })?;
        let (name, kind) = match name.split_once(':') {
            None => (name, None),
            Some((name, word)) => {
                let known = Kind::ALL.iter().find(|(known, _)| *known == word);
                let (_, kind) = known.ok_or_else(|| {
                    let words = || Kind::ALL.iter().map(|(word, _)| *word);
                    let all = format!("it takes {}", words().collect::<Vec<_>>().join(", "));
                    format!("no such type\n  hint: {}", suggestion_and(word, words(), &all))
                })?;
                (name, Some(*kind))
            }
        };
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        let name = name.trim_start_matches(':');
        if name.is_empty() || !name.chars().all(is_name) {
            return Err("a name has letters, digits and _\n  hint: such as since=2025-06-01".into());
        }
        Ok(Self { name: name.to_owned(), kind, text: text.to_owned() })
    }

    /// What it looks like.
    fn guess(&self) -> Kind {
        let text = self.text.as_str();
        let digits = text.strip_prefix('-').unwrap_or(text);
        let is_number = |digits: &str| {
            !digits.is_empty()
                && digits.chars().all(|c| c.is_ascii_digit())
                && (digits == "0" || !digits.starts_with('0'))
        };
        let decimal = digits.split_once('.');
        if matches!(text, "true" | "false") {
            Kind::Boolean
        } else if is_number(digits) && text.parse::<i64>().is_ok() {
            Kind::Integer
        } else if decimal.is_some_and(|(whole, fraction)| {
            is_number(whole) && !fraction.is_empty() && fraction.chars().all(|c| c.is_ascii_digit())
        }) {
            Kind::Number
        } else if read_date(text).is_ok() {
            Kind::Date
        } else if text.contains(':') && read(text, Tz::UTC).is_some() {
            Kind::Timestamp
        } else {
            Kind::Text
        }
    }

    /// What stands for it in a statement: of the type that is said, else of the one that is wanted,
    /// else of the one that it looks like. `None` where it cannot be of that type.
    pub(super) fn literal(&self, wanted: Option<Kind>, zone: Tz) -> Result<Expr, Kind> {
        let kind = match (self.kind, wanted) {
            // What is compared with an instant is one.
            (Some(Kind::Date), Some(Kind::Timestamp)) => Kind::Timestamp,
            (said, wanted) => said.or(wanted).unwrap_or_else(|| self.guess()),
        };
        let text = self.text.trim();
        let made = match kind {
            Kind::Text => Some(Expr::Value(quoted(&self.text).into())),
            Kind::Integer => {
                text.parse::<i64>().ok().and_then(|number| expression(&number.to_string()))
            }
            Kind::Number => {
                let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
                number.and_then(|number| expression(&format!("{number:?}")))
            }
            Kind::Boolean => text
                .to_lowercase()
                .parse()
                .ok()
                .map(|truth| Expr::Value(Value::Boolean(truth).into())),
            Kind::Date => read_date(text).ok().and_then(date_literal),
            Kind::Timestamp => read(text, zone).and_then(instant_literal),
        };
        made.ok_or(kind)
    }
}

/// A text in a statement. One with quotes is put between other marks: printed and read again, two
/// quotes would become one.
pub(super) fn quoted(text: &str) -> Value {
    if !text.contains('\'') {
        return Value::SingleQuotedString(text.to_owned());
    }
    let tag =
        (0..=text.len()).map(|n| format!("q{n}")).find(|tag| !text.contains(&format!("${tag}")));
    Value::DollarQuotedString(DollarQuotedString { value: text.to_owned(), tag })
}

pub(super) fn date_literal(date: NaiveDate) -> Option<Expr> {
    Some(call(LOCAL_DATE, vec![expression(&date.to_epoch_days().to_string())?]))
}

pub(super) fn instant_literal(micros: i64) -> Option<Expr> {
    Some(call(INSTANT, vec![expression(&micros.to_string())?]))
}

/// Reads an expression of ours.
pub(super) fn expression(text: &str) -> Option<Expr> {
    use sqlparser::{dialect::GenericDialect, parser::Parser};
    Parser::new(&GenericDialect).try_with_sql(text).ok()?.parse_expr().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_what_they_are_compared_with_else_what_they_look_like() {
        let literal = |said: &str, wanted: Option<Kind>| {
            let parameter = Parameter::read(said).unwrap();
            parameter.literal(wanted, Tz::America__Bogota).map(|expr| expr.to_string())
        };
        for (said, wanted, made) in [
            ("n=417", None, "417"),
            ("n=417", Some(Kind::Text), "'417'"),
            ("n:text=417", None, "'417'"),
            ("n=007", None, "'007'"),
            ("n=-2.50", None, "-2.5"),
            ("n=true", None, "true"),
            ("n=CO", None, "'CO'"),
            ("n=it's", None, "$q0$it's$q0$"),
            ("n=2025-06-01", None, "local_date(20240)"),
            ("n=2025-06-01", Some(Kind::Timestamp), "instant(1748754000000000)"),
            ("n:date=2025-06-01", Some(Kind::Timestamp), "instant(1748754000000000)"),
            ("n=2025-06-01 10:00", None, "instant(1748790000000000)"),
            ("n=a=b", None, "'a=b'"),
        ] {
            assert_eq!(literal(said, wanted).as_deref(), Ok(made), "{said}");
        }
        assert_eq!(literal("n=many", Some(Kind::Integer)), Err(Kind::Integer));
        assert_eq!(literal("n:date=soon", None), Err(Kind::Date));
    }

    #[test]
    fn a_parameter_has_a_name_and_a_value() {
        for said in ["since", "=1", ":text=1", "a b=1"] {
            assert!(Parameter::read(said).is_err(), "{said}");
        }
    }
}
