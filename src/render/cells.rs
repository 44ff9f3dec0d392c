//! The cells of an answer by column, and their exact text.
//!
//! Text formats only differ in quotes and separators around it.

use std::fmt::Write as _;

use chrono::{DateTime, NaiveDate, NaiveDateTime};
use chrono_tz::Tz;
use polars::prelude::*;
use wabalake_data::tables::instant;
use wabalake_queries::query::time::write_instant;

/// A column of an answer.
pub(crate) enum Cells {
    Nothing,
    Text(StringChunked),
    Boolean(BooleanChunked),
    Integer(Int64Chunked),
    Float(Float64Chunked),
    Decimal(Int128Chunked, usize),
    Date(Int32Chunked),
    Instant(Int64Chunked, Tz),
}

/// A cell.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value<'a> {
    Null,
    Text(&'a str),
    Boolean(bool),
    Integer(i64),
    Float(f64),
    /// An unscaled value and its scale.
    Decimal(i128, usize),
    Date(NaiveDate),
    Instant(NaiveDateTime, Tz),
}

impl Cells {
    /// Converts a column; instants are shown in the time zone.
    pub(crate) fn of(column: &Column, zone: Tz) -> PolarsResult<Self> {
        let cells = column.as_materialized_series().rechunk();
        Ok(match cells.dtype() {
            DataType::Null => Self::Nothing,
            DataType::String => Self::Text(cells.str()?.clone()),
            DataType::Boolean => Self::Boolean(cells.bool()?.clone()),
            DataType::Decimal(_, scale) => {
                Self::Decimal(cells.decimal()?.physical().clone(), *scale)
            }
            DataType::Date => Self::Date(cells.date()?.physical().clone()),
            DataType::Datetime(..) => {
                Self::Instant(cells.cast(&instant())?.datetime()?.physical().clone(), zone)
            }
            number if number.is_float() => {
                Self::Float(cells.cast(&DataType::Float64)?.f64()?.clone())
            }
            number if number.is_integer() => {
                Self::Integer(cells.strict_cast(&DataType::Int64)?.i64()?.clone())
            }
            other => {
                polars_bail!(InvalidOperation: "an answer cannot have a column of type {other}")
            }
        })
    }

    /// The cell of a row. NaN and infinity are null.
    pub(crate) fn get(&self, row: usize) -> Value<'_> {
        match self {
            Self::Nothing => None,
            Self::Text(cells) => cells.get(row).map(Value::Text),
            Self::Boolean(cells) => cells.get(row).map(Value::Boolean),
            Self::Integer(cells) => cells.get(row).map(Value::Integer),
            Self::Float(cells) => cells.get(row).filter(|n| n.is_finite()).map(Value::Float),
            Self::Decimal(cells, scale) => cells.get(row).map(|n| Value::Decimal(n, *scale)),
            Self::Date(cells) => cells.get(row).and_then(date).map(Value::Date),
            Self::Instant(cells, zone) => cells
                .get(row)
                .and_then(DateTime::from_timestamp_micros)
                .map(|stamp| Value::Instant(stamp.naive_utc(), *zone)),
        }
        .unwrap_or(Value::Null)
    }

    /// Returns `true` if the column is aligned to the right.
    pub(crate) fn is_number(&self) -> bool {
        matches!(self, Self::Integer(_) | Self::Float(_) | Self::Decimal(..))
    }

    /// Returns `true` for a column of texts, which may be truncated to fit a screen.
    pub(crate) fn is_text(&self) -> bool {
        matches!(self, Self::Text(_))
    }
}

fn date(days: i32) -> Option<NaiveDate> {
    NaiveDate::from_epoch_days(days)
}

impl Value<'_> {
    /// Writes the exact value, and nothing for null.
    pub(crate) fn write(self, out: &mut String) {
        // Writing to a String does not fail.
        let _ = match self {
            Self::Null => Ok(()),
            Self::Text(text) => out.write_str(text),
            Self::Boolean(yes) => write!(out, "{yes}"),
            Self::Integer(number) => write!(out, "{number}"),
            // The shortest digits that parse to the same number.
            Self::Float(number) => write!(out, "{:?}", if number == 0.0 { 0.0 } else { number }),
            Self::Decimal(units, scale) => {
                write_decimal(units, scale, 0, out);
                Ok(())
            }
            Self::Date(date) => write!(out, "{date}"),
            Self::Instant(utc, zone) => {
                write_instant(utc, zone, out);
                Ok(())
            }
        };
    }
}

/// The key of a row as text: `name=value` of each column, with `; ` between and nothing for null.
pub(crate) fn key_text(columns: &[(&str, Cells)], row: usize) -> String {
    let mut text = String::new();
    for (place, (name, cells)) in columns.iter().enumerate() {
        if place > 0 {
            text.push_str("; ");
        }
        text.push_str(name);
        text.push('=');
        cells.get(row).write(&mut text);
    }
    text
}

/// Writes a decimal without trailing zeros, but with at least `least` decimals.
pub(crate) fn write_decimal(units: i128, scale: usize, least: usize, out: &mut String) {
    if units < 0 {
        out.push('-');
    }
    let digits = format!("{:0>width$}", units.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    out.push_str(whole);
    let fraction = fraction.trim_end_matches('0');
    if fraction.len().max(least) > 0 {
        let _ = write!(out, ".{fraction:0<least$}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: Value<'_>) -> String {
        let mut out = String::new();
        value.write(&mut out);
        out
    }

    #[test]
    fn floats_round_trip() {
        for (number, text) in [
            (0.1 + 0.2, "0.30000000000000004"),
            (50.0, "50.0"),
            (100.0 / 3.0, "33.333333333333336"),
            (-0.0, "0.0"),
            (1e21, "1e21"),
            (1.5e-9, "1.5e-9"),
            (f64::MAX, "1.7976931348623157e308"),
            (5e-324, "5e-324"),
        ] {
            assert_eq!(written(Value::Float(number)), text);
            assert_eq!(text.parse::<f64>().unwrap(), number);
        }
    }

    #[test]
    fn decimals_have_no_trailing_zeros() {
        for (units, text) in [
            (0, "0"),
            (1, "0.000001"),
            (-1, "-0.000001"),
            (12_500_000, "12.5"),
            (12_000_000, "12"),
            (-1_234_567_890_123, "-1234567.890123"),
            (10_000_000, "10"),
        ] {
            assert_eq!(written(Value::Decimal(units, 6)), text);
        }
        assert_eq!(written(Value::Decimal(70, 0)), "70");
    }

    #[test]
    fn instants_are_in_the_reporting_zone() {
        let at = |text: &str, zone: &str| {
            let utc = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").unwrap();
            written(Value::Instant(utc, zone.parse().unwrap()))
        };
        assert_eq!(at("2025-06-01 12:00:00", "UTC"), "2025-06-01T12:00:00Z");
        assert_eq!(at("2025-06-01 12:00:00.25", "Etc/UTC"), "2025-06-01T12:00:00.250000Z");
        assert_eq!(at("2025-06-01 02:00:00", "America/Bogota"), "2025-05-31T21:00:00-05:00");
        assert_eq!(at("2025-06-01 12:00:00", "Asia/Kathmandu"), "2025-06-01T17:45:00+05:45");
        assert_eq!(at("2025-01-01 12:00:00", "Europe/London"), "2025-01-01T12:00:00+00:00");
        // The same local hour twice, at the end of DST.
        assert_eq!(at("2024-10-27 00:30:00", "Europe/Madrid"), "2024-10-27T02:30:00+02:00");
        assert_eq!(at("2024-10-27 01:30:00", "Europe/Madrid"), "2024-10-27T02:30:00+01:00");
        // Local mean time in Madrid was 14 minutes and 44 seconds behind UTC; offsets have whole
        // minutes.
        assert_eq!(at("1890-01-01 12:00:00", "Europe/Madrid"), "1890-01-01T12:00:00+00:00");
        // Microseconds before 1970 are negative.
        assert_eq!(at("1969-12-31 23:59:59.999999", "UTC"), "1969-12-31T23:59:59.999999Z");
    }

    #[test]
    fn nan_and_infinity_are_null() {
        let column = Column::new("n".into(), [f64::NAN, f64::INFINITY, 1.0]);
        let cells = Cells::of(&column, Tz::UTC).unwrap();
        assert!(matches!(cells.get(0), Value::Null));
        assert!(matches!(cells.get(1), Value::Null));
        assert!(matches!(cells.get(2), Value::Float(1.0)));
    }
}
