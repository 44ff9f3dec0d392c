//! Parses the fields of a record into cells.

use std::borrow::Cow;

use chrono::NaiveDate;
use chrono_tz::Tz;
use wabalake_data::Column as TableColumn;
use wabalake_data::cells::stamp::{self, Stamp, StampForm, form};
use wabalake_data::cells::{
    DateOrder, DecimalMark, LostDigits, Spelling, country, date, id, list, number, phone, text,
    word, yes_or_no,
};
use wabalake_data::tables::{Cell, CellKind, USER_ID};

/// Why a record is rejected: the column, if one column is at fault, and the reason.
pub(super) struct RecordFault {
    pub(super) column: Option<&'static str>,
    pub(super) reason: String,
}

impl RecordFault {
    pub(super) fn of(column: &TableColumn, reason: impl Into<String>) -> Self {
        Self { column: Some(column.name), reason: reason.into() }
    }

    pub(super) fn missing(column: &TableColumn) -> Self {
        Self::of(
            column,
            match column.fallback {
                Some(USER_ID) => "a phone number or a user id is missing",
                _ => "a required value is missing",
            },
        )
    }

    pub(super) fn whole(reason: impl Into<String>) -> Self {
        Self { column: None, reason: reason.into() }
    }
}

/// Parses a field by the kind of its column. An invalid field is a [`RecordFault`]; `sentinel` is
/// set for a timestamp that stands for "never".
pub(super) fn read_cell<'a>(
    column: &TableColumn,
    field: &'a str,
    zone: Tz,
    spelling: Spelling,
    sentinel: &mut bool,
) -> Result<Cell<'a>, RecordFault> {
    match column.kind {
        CellKind::Text => return Ok(text(field).into()),
        CellKind::Dashed => return Ok(text(field).filter(|text| text.trim() != "-").into()),
        _ => {}
    }
    let Some(word) = word(field) else { return Ok(Cell::Null) };
    let bad = |reason: String| Err(RecordFault::of(column, reason));
    let Spelling { order, mark, has_stamps, has_numbers } = spelling;
    let is_number = has_numbers && matches!(column.kind, CellKind::Money | CellKind::Decimal);
    let exact = is_number.then(|| number::exact(word)).flatten();
    let no_digits = |_| RecordFault::of(column, LostDigits::REASON);
    let cell = match column.kind {
        CellKind::Word if column.is_id() => id(word).map_err(no_digits)?.into(),
        CellKind::Text | CellKind::Dashed | CellKind::Word => Cell::Text(word),
        CellKind::Phone => phone_cell(phone::read(word).map_err(no_digits)?),
        CellKind::UserId => Some(word).filter(|word| phone::is_user_id(word)).into(),
        CellKind::FullPhone => phone_cell(phone::read_with_plus(word).map_err(no_digits)?),
        CellKind::Enumeration(list) => Cell::Text(list.canonical(word).unwrap_or(word)),
        CellKind::Closed(list) => match list.canonical(word) {
            Some(value) => Cell::Text(value),
            None => {
                let known = list.values().collect::<Vec<_>>().join(", ");
                return bad(format!("not one of the values of this column: {known}"));
            }
        },
        CellKind::Moment if date::read(word, order).is_some() => {
            match date::read(word, order).and_then(|day| midnight(day, zone)) {
                Some(micros) => Cell::Stamp(micros),
                None => return bad(format!("there is no such day in {zone}")),
            }
        }
        CellKind::StampOrText if has_stamps == Some(false) => Cell::Null,
        // It waits for the other cells.
        CellKind::StampOrText if has_stamps.is_none() && form(word) != StampForm::Written => {
            return bad(no_stamp(column.kind, order));
        }
        CellKind::Stamp | CellKind::Moment | CellKind::StampOrText => {
            match stamp::read_as(word, zone, order) {
                Stamp::At(micros) => Cell::Stamp(micros),
                Stamp::Sentinel => {
                    *sentinel = true;
                    Cell::Null
                }
                Stamp::Skipped => return bad(no_such_time(word, zone, order)),
                Stamp::Bad => return bad(no_stamp(column.kind, order)),
            }
        }
        CellKind::Integer => match number::integer(word) {
            Some(number) => Cell::Integer(number),
            None => return bad("not a whole number such as 12".to_owned()),
        },
        CellKind::Count => match number::count(word, mark) {
            Some(number) => Cell::Count(number),
            None => return bad(format!("not a whole number such as 1234 or {}", thousand(mark))),
        },
        CellKind::Seconds => {
            let seconds = number::count(word, Some(DecimalMark::Point));
            match seconds.filter(|s| (0..=LAST_SECOND).contains(s)) {
                Some(seconds) => Cell::Count(seconds),
                None => return bad("not a number of seconds since 1970 such as 1748772000".into()),
            }
        }
        CellKind::Money => match exact.or_else(|| number::money(word, mark)) {
            Some(millionths) => Cell::Money(millionths),
            None => {
                let cents = if mark == Some(DecimalMark::Comma) { ",50" } else { ".50" };
                return bad(format!(
                    "not an amount of money with at most 6 decimals such as {}{cents}",
                    thousand(mark)
                ));
            }
        },
        CellKind::Decimal => match exact.or_else(|| number::money(word, mark)) {
            Some(millionths) => Cell::Money(millionths),
            None => return bad("not a number with at most 6 decimals such as 4.5".to_owned()),
        },
        CellKind::Number => {
            // Programs write a point, whatever the language of the file.
            let mark = if is_typed(word, has_numbers) { Some(DecimalMark::Point) } else { mark };
            match number::float(word, mark) {
                Some(number) => Cell::Number(number),
                None => return bad("not a number such as 12.5".to_owned()),
            }
        }
        CellKind::Date => match date::read(word, order) {
            Some(days) => Cell::Date(days),
            None => return bad(format!("not a date such as 2025-12-31{}", in_order(order))),
        },
        CellKind::Boolean => match yes_or_no(word) {
            Some(yes) => Cell::Boolean(yes),
            None => return bad("neither yes nor no: write true or false".to_owned()),
        },
        CellKind::Country => Cell::Text(country(word)),
        CellKind::List(separators) => list::read(word, separators).map_or(Cell::Null, Cell::Owned),
    };
    Ok(cell)
}

/// Returns `true` if a number of a file that may have numbers, not only text, is one.
pub(super) fn is_typed(word: &str, has_numbers: bool) -> bool {
    has_numbers && !word.contains(',')
}

/// The reason for a field that is not a timestamp, with the accepted formats.
fn no_stamp(kind: CellKind, order: Option<DateOrder>) -> String {
    let what = match kind {
        CellKind::Moment => "not a date such as 2025-12-31, or a date and time",
        _ => "not a date and time",
    };
    let in_order = match order {
        Some(DateOrder::DayFirst) => ", 31/12/2025 10:00 PM",
        Some(DateOrder::MonthFirst) => ", 12/31/2025 10:00 PM",
        Some(DateOrder::YearFirst) | None => "",
    };
    format!("{what} such as 2025-12-31 10:00:00{in_order} or unix seconds")
}

/// Another example of a date, in the order of the column's dates.
fn in_order(order: Option<DateOrder>) -> &'static str {
    match order {
        Some(DateOrder::DayFirst) => " or 31/12/2025",
        Some(DateOrder::MonthFirst) => " or 12/31/2025",
        Some(DateOrder::YearFirst) | None => "",
    }
}

/// Returns an example of a number with a thousands separator.
fn thousand(mark: Option<DecimalMark>) -> &'static str {
    if mark == Some(DecimalMark::Comma) { "1.234" } else { "1,234" }
}

/// The reason for a local time that a zone's clocks skip, as when DST begins.
fn no_such_time(word: &str, zone: Tz, order: Option<DateOrder>) -> String {
    let Some([from, to]) = stamp::gap(word, zone, order) else {
        return format!("this local time does not exist in {zone}");
    };
    // A skipped midnight is 24:00 of the day before.
    let from = if from == chrono::NaiveTime::MIN {
        "24:00".to_owned()
    } else {
        from.format("%H:%M").to_string()
    };
    format!(
        "this local time does not exist in {zone}: clocks skip from {from} to {}; if the file uses \
         another time zone, set it with --source-timezone",
        to.format("%H:%M")
    )
}

fn phone_cell(read: Option<Cow<'_, str>>) -> Cell<'_> {
    match read {
        None => Cell::Null,
        Some(Cow::Borrowed(digits)) => Cell::Text(digits),
        Some(Cow::Owned(digits)) => Cell::Owned(digits),
    }
}

/// The last second of the year 9999. Larger numbers are most likely milliseconds.
const LAST_SECOND: i64 = 253_402_300_799;

/// Returns the first instant of a day in a zone, which is after midnight where clocks skip it.
fn midnight(day: i32, zone: Tz) -> Option<i64> {
    let date = NaiveDate::from_epoch_days(day)?.and_time(chrono::NaiveTime::MIN);
    let begins = |hours| {
        let local = date + chrono::TimeDelta::hours(hours);
        chrono::TimeZone::from_local_datetime(&zone, &local).earliest()
    };
    let at = begins(0).or_else(|| begins(1))?;
    Some(at.timestamp_micros())
}
