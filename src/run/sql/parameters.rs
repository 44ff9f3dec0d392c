//! Parameters: values for the placeholders `:name` in a statement.
//!
//! ```text
//! --param since=2025-06-01     of the type that it is compared with, else that it looks like
//! --param code:text=57         of the given type
//! --param country=CO --param country=MX     IN (:country)
//! ```

use chrono_tz::Tz;
use polars::prelude::DataType;
use sqlparser::ast::{Expr, Value};
use wabalake_data::Invalid;
use wabalake_data::words::suggestion_and;
use wabalake_queries::query::time::read_date;

use super::ast::{date_literal, expression, instant_literal, quoted};
use super::functions::read;

/// The type of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParameterType {
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
    /// `2025-06-01T10:00:00Z`, `2025-06-01 10:00` in the reporting time zone, or a date for its
    /// first moment.
    Timestamp,
}

impl ParameterType {
    const ALL: [(&'static str, Self); 6] = [
        ("text", Self::Text),
        ("integer", Self::Integer),
        ("number", Self::Number),
        ("boolean", Self::Boolean),
        ("date", Self::Date),
        ("timestamp", Self::Timestamp),
    ];

    /// Returns the type of parameters that are compared with a column type.
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

    /// Describes the type, for `… is not a date`.
    pub(super) fn description(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Integer => "a whole number",
            Self::Number => "a number",
            Self::Boolean => "true or false",
            Self::Date => "a date, such as 2025-06-01",
            Self::Timestamp => "a timestamp, such as 2025-06-01 or 2025-06-01T10:00:00Z",
        }
    }
}

/// A value for `:name`. A name with several values has several parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    pub(super) name: String,
    /// The given type, if any.
    pub(super) of: Option<ParameterType>,
    pub(super) text: String,
}

impl Parameter {
    /// Parses `name=value` or `name:type=value`.
    ///
    /// ```
    /// use wabalake::run::sql::Parameter;
    /// assert!(Parameter::read("since=2025-06-01").is_ok());
    /// assert!(Parameter::read("code:text=57").is_ok());
    /// let error = Parameter::read("code:txt=57").unwrap_err();
    /// assert!(error.hint.unwrap().contains("did you mean `text`?"));
    /// ```
    ///
    /// # Errors
    /// The name or `=` is missing, or the type is unknown.
    pub fn read(argument: &str) -> Result<Self, Invalid> {
        let named = argument.split_once('=').filter(|(name, _)| !name.is_empty());
        let (name, text) = named.ok_or_else(|| {
            Invalid::new("has no value").hint("write it as NAME=VALUE, such as since=2025-06-01")
        })?;
        let (name, of) = match name.split_once(':') {
            None => (name, None),
            Some((name, of)) => {
                let known = ParameterType::ALL.iter().find(|(known, _)| *known == of);
                let (_, of) = known.ok_or_else(|| {
                    let types = || ParameterType::ALL.iter().map(|(name, _)| *name);
                    let all = format!("it takes {}", types().collect::<Vec<_>>().join(", "));
                    Invalid::new("no such type").hint(suggestion_and(of, types(), &all))
                })?;
                (name, Some(*of))
            }
        };
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        let name = name.trim_start_matches(':');
        if name.is_empty() || !name.chars().all(is_name) {
            let error = Invalid::new("the name has other characters than letters, digits and _");
            return Err(error.hint("such as since=2025-06-01"));
        }
        Ok(Self { name: name.to_owned(), of, text: text.to_owned() })
    }

    /// Returns the type that the value looks like.
    fn guess(&self) -> ParameterType {
        let text = self.text.as_str();
        let digits = text.strip_prefix('-').unwrap_or(text);
        let is_number = |digits: &str| {
            !digits.is_empty()
                && digits.chars().all(|c| c.is_ascii_digit())
                && (digits == "0" || !digits.starts_with('0'))
        };
        let decimal = digits.split_once('.');
        if matches!(text, "true" | "false") {
            ParameterType::Boolean
        } else if is_number(digits) && text.parse::<i64>().is_ok() {
            ParameterType::Integer
        } else if decimal.is_some_and(|(whole, fraction)| {
            is_number(whole) && !fraction.is_empty() && fraction.chars().all(|c| c.is_ascii_digit())
        }) {
            ParameterType::Number
        } else if read_date(text).is_ok() {
            ParameterType::Date
        } else if text.contains(':') && read(text, Tz::UTC).is_some() {
            ParameterType::Timestamp
        } else {
            ParameterType::Text
        }
    }

    /// Returns the literal that replaces the placeholder: of the given type, else of the wanted one,
    /// else of the one that the value looks like.
    ///
    /// # Errors
    /// The type, if the value cannot be parsed as it.
    pub(super) fn literal(
        &self,
        wanted: Option<ParameterType>,
        zone: Tz,
    ) -> Result<Expr, ParameterType> {
        let of = match (self.of, wanted) {
            // A date that is compared with a timestamp is its first moment.
            (Some(ParameterType::Date), Some(ParameterType::Timestamp)) => ParameterType::Timestamp,
            (given, wanted) => given.or(wanted).unwrap_or_else(|| self.guess()),
        };
        let text = self.text.trim();
        let made = match of {
            ParameterType::Text => Some(Expr::Value(quoted(&self.text).into())),
            ParameterType::Integer => {
                text.parse::<i64>().ok().and_then(|number| expression(&number.to_string()))
            }
            ParameterType::Number => {
                let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
                number.and_then(|number| expression(&format!("{number:?}")))
            }
            ParameterType::Boolean => text
                .to_lowercase()
                .parse()
                .ok()
                .map(|truth| Expr::Value(Value::Boolean(truth).into())),
            ParameterType::Date => read_date(text).ok().and_then(date_literal),
            ParameterType::Timestamp => read(text, zone).and_then(instant_literal),
        };
        made.ok_or(of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_take_the_type_they_are_compared_with_else_the_type_they_look_like() {
        let literal = |argument: &str, wanted: Option<ParameterType>| {
            let parameter = Parameter::read(argument).unwrap();
            parameter.literal(wanted, Tz::America__Bogota).map(|expr| expr.to_string())
        };
        for (argument, wanted, made) in [
            ("n=417", None, "417"),
            ("n=417", Some(ParameterType::Text), "'417'"),
            ("n:text=417", None, "'417'"),
            ("n=007", None, "'007'"),
            ("n=-2.50", None, "-2.5"),
            ("n=true", None, "true"),
            ("n=CO", None, "'CO'"),
            ("n=it's", None, "$q0$it's$q0$"),
            ("n=2025-06-01", None, "local_date(20240)"),
            ("n=2025-06-01", Some(ParameterType::Timestamp), "instant(1748754000000000)"),
            ("n:date=2025-06-01", Some(ParameterType::Timestamp), "instant(1748754000000000)"),
            ("n=2025-06-01 10:00", None, "instant(1748790000000000)"),
            ("n=a=b", None, "'a=b'"),
        ] {
            assert_eq!(literal(argument, wanted).as_deref(), Ok(made), "{argument}");
        }
        assert_eq!(literal("n=many", Some(ParameterType::Integer)), Err(ParameterType::Integer));
        assert_eq!(literal("n:date=soon", None), Err(ParameterType::Date));
    }

    #[test]
    fn a_parameter_has_a_name_and_a_value() {
        for argument in ["since", "=1", ":text=1", "a b=1"] {
            assert!(Parameter::read(argument).is_err(), "{argument}");
        }
    }
}
