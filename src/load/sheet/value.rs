//! Converts spreadsheet cells to the text of a CSV file.

use calamine::{DataRef, ExcelDateTime};
use polars::prelude::DataType;
use wabalake_data::cells::{DecimalMark, number};

/// The value of a cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CellValue {
    Text(String),
    /// A number in digits, with a decimal point.
    Number(String),
    /// A date and a time, without the time at midnight.
    Moment(String, Option<String>),
    /// What the cell shows, and why it is not its value.
    Unreliable(String, &'static str),
}

impl CellValue {
    pub(super) fn of(cell: &DataRef<'_>) -> Self {
        match cell {
            DataRef::Empty => Self::Text(String::new()),
            DataRef::String(text) | DataRef::DurationIso(text) => Self::Text(text.clone()),
            DataRef::SharedString(text) => Self::Text((*text).to_owned()),
            DataRef::Bool(yes) => Self::Text(yes.to_string()),
            DataRef::Int(number) => Self::number(*number as f64),
            DataRef::Float(number) => Self::number(*number),
            DataRef::DateTime(at) if at.is_datetime() => Self::moment(at),
            DataRef::DateTime(length) => Self::number(length.as_f64()),
            DataRef::DateTimeIso(text) => match text.split_once('T') {
                Some((date, time)) => Self::Moment(date.to_owned(), Some(time.to_owned())),
                None => Self::Moment(text.clone(), None),
            },
            DataRef::Error(error) => Self::Unreliable(error.to_string(), "shows an error"),
        }
    }

    /// Rounds a number to 15 digits, as Excel shows it.
    pub(super) fn number(number: f64) -> Self {
        const EXACT: f64 = 1e15;
        if number.abs() >= EXACT || !number.is_finite() {
            let why = "is a number of more than 15 digits, which a spreadsheet does not keep";
            return Self::Unreliable(number.to_string(), why);
        }
        let shown = format!("{number:.14e}").parse::<f64>().unwrap_or(number);
        // Adding zero removes a minus zero.
        Self::Number((shown + 0.0).to_string())
    }

    fn moment(at: &ExcelDateTime) -> Self {
        let (year, month, day, hour, minute, second, milli) = at.to_ymd_hms_milli();
        let date = format!("{year:04}-{month:02}-{day:02}");
        let time = match (hour, minute, second, milli) {
            (0, 0, 0, 0) => None,
            (_, _, _, 0) => Some(format!("{hour:02}:{minute:02}:{second:02}")),
            _ => Some(format!("{hour:02}:{minute:02}:{second:02}.{milli:03}")),
        };
        Self::Moment(date, time)
    }

    pub(super) fn is_empty(&self) -> bool {
        *self == Self::Text(String::new())
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Text(text) | Self::Number(text) | Self::Unreliable(text, _) => text.len() + 1,
            Self::Moment(..) => 24,
        }
    }

    /// Returns the text for a column of some type: dates without midnight, amounts and counts
    /// without thousands separators.
    pub(super) fn text(self, of: Option<&DataType>) -> String {
        match self {
            Self::Number(text) if matches!(of, Some(DataType::Decimal(..))) => {
                let amount = number::money(&text, Some(DecimalMark::Point));
                amount.map_or(text, number::money_text)
            }
            Self::Number(text) if of == Some(&DataType::Int64) => number::never_thousands(text),
            Self::Text(text) | Self::Number(text) | Self::Unreliable(text, _) => text,
            Self::Moment(date, None) if of == Some(&DataType::Date) => date,
            Self::Moment(date, time) => {
                format!("{date} {}", time.as_deref().unwrap_or("00:00:00"))
            }
        }
    }
}
