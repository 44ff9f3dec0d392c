//! Stamps: timestamp cells, parsed to instants.
//!
//! ```text
//! "2025-06-01T10:00:00.250Z"   with an offset: converted to UTC
//! "2025-06-01 10:00:00"        without one: local time in the source time zone
//! "2025/6/1 9:05"              the same, from a spreadsheet
//! "1/6/2025 10:00:00 PM"       day first or month first, in the order of the whole column
//! "1748772000"                 seconds since 1970, ten digits; milliseconds have thirteen
//! "2025-03-30 02:30:00"        in Europe/Madrid, in the DST gap: invalid
//! "2025-10-26 02:30:00"        in Europe/Madrid, ambiguous at the end of DST: the earlier instant
//! "1970-01-01 00:00:00"        a sentinel, which means never
//! "2025-06-01"                 a date without a time: invalid
//! ```

use chrono::{DateTime, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone};
use chrono_tz::Tz;

use super::DateOrder;
use super::clock::{Offset, clock, micros, offset, two};
use super::date;
use super::number::without_float_tail;

/// A parsed stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stamp {
    /// An instant, in microseconds since 1970 in UTC.
    At(i64),
    /// A stamp that some systems write for "never": midnight of 1970-01-01 or 2000-01-01.
    Sentinel,
    /// A local time that the time zone skips, in a DST gap.
    Skipped,
    /// Not a stamp.
    Bad,
}

/// Parses a trimmed stamp in ISO 8601 that is no null word. Without an offset, it is local time in
/// `zone`.
///
/// ```
/// use chrono_tz::Tz;
/// use wabalake_data::cells::stamp::{Stamp, read};
/// assert_eq!(read("1970-01-01 00:00:01.5", Tz::UTC), Stamp::At(1_500_000));
/// assert_eq!(read("2000-01-01T00:00:00.000Z", Tz::UTC), Stamp::Sentinel);
/// assert_eq!(read("31/05/2025 10:00", Tz::UTC), Stamp::Bad);
/// ```
pub fn read(word: &str, zone: Tz) -> Stamp {
    iso(word.as_bytes()).map_or(Stamp::Bad, |stamp| in_zone(stamp, zone))
}

/// Parses a stamp in any format of exports: those of [`read`], Unix seconds or milliseconds, and
/// those of spreadsheets. Without a date order, only a stamp that is the same in every order is
/// parsed.
///
/// ```
/// use chrono_tz::Tz;
/// use wabalake_data::cells::DateOrder;
/// use wabalake_data::cells::stamp::{Stamp, read_as};
/// let at = Stamp::At(90_000_000_000);
/// assert_eq!(read_as("1970-01-02 01:00:00", Tz::UTC, None), at);
/// assert_eq!(read_as("2/1/1970 1:00 AM", Tz::UTC, Some(DateOrder::DayFirst)), at);
/// assert_eq!(read_as("2/1/1970 1:00 AM", Tz::UTC, None), Stamp::Bad);
/// assert_eq!(read_as("1748772000", Tz::UTC, None), Stamp::At(1_748_772_000_000_000));
/// ```
pub fn read_as(word: &str, zone: Tz, order: Option<DateOrder>) -> Stamp {
    local(word, order).map_or(Stamp::Bad, |stamp| in_zone(stamp, zone))
}

/// The form of a cell in a column of stamps or of texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StampForm {
    /// A date and time in some date order: no text of a message.
    Written,
    /// Unix seconds or milliseconds. A text may be such a number, for example a phone number.
    Number,
    /// Not a stamp.
    Text,
}

/// Returns the form of a trimmed cell that is no null word.
///
/// ```
/// use wabalake_data::cells::stamp::{StampForm, form};
/// assert_eq!(form("31/05/2025 10:00"), StampForm::Written);
/// assert_eq!(form("3005550101"), StampForm::Number);
/// assert_eq!(form("2025-05-31"), StampForm::Text);
/// ```
pub fn form(word: &str) -> StampForm {
    let in_order = |order| local(word, Some(order)).is_some();
    if unix(word).is_some() {
        StampForm::Number
    } else if in_order(DateOrder::DayFirst) || in_order(DateOrder::MonthFirst) {
        StampForm::Written
    } else {
        StampForm::Text
    }
}

/// Parses a stamp to its local time and offset.
pub(super) fn local(word: &str, order: Option<DateOrder>) -> Option<(NaiveDateTime, Offset)> {
    iso(word.as_bytes()).or_else(|| {
        let (date, time) = date::split(word);
        if time.is_empty() {
            return Some((unix(date)?, Offset::Seconds(0)));
        }
        let (time, offset) = clock(time)?;
        Some((date::calendar(date, order)?.and_time(time), offset))
    })
}

fn in_zone((local, offset): (NaiveDateTime, Offset), zone: Tz) -> Stamp {
    let local_micros = local.and_utc().timestamp_micros();
    if SENTINELS.contains(&local_micros) {
        return Stamp::Sentinel;
    }
    match offset {
        Offset::Seconds(east) => Stamp::At(local_micros - east * 1_000_000),
        Offset::Missing if zone == Tz::UTC => Stamp::At(local_micros),
        Offset::Missing => match zone.from_local_datetime(&local) {
            LocalResult::Single(at) => Stamp::At(at.timestamp_micros()),
            LocalResult::Ambiguous(earlier, later) => {
                Stamp::At(earlier.timestamp_micros().min(later.timestamp_micros()))
            }
            LocalResult::None => Stamp::Skipped,
        },
    }
}

/// Midnight of 1970-01-01 and of 2000-01-01, in microseconds since 1970.
const SENTINELS: [i64; 2] = [0, 946_684_800_000_000];

/// The DST gap around a stamp: the first local time that the time zone skips, and the first that it
/// has again.
///
/// ```
/// use chrono_tz::Europe::Madrid;
/// use wabalake_data::cells::stamp::gap;
/// let hours = gap("2025-03-30 02:30:00", Madrid, None).map(|[from, to]| (from.to_string(), to.to_string()));
/// assert_eq!(hours, Some(("02:00:00".to_owned(), "03:00:00".to_owned())));
/// ```
pub fn gap(word: &str, zone: Tz, order: Option<DateOrder>) -> Option<[NaiveTime; 2]> {
    const LONGEST: i64 = 25 * 60;
    let (local, _) = local(word, order)?;
    let minute = local.date().and_hms_opt(
        chrono::Timelike::hour(&local),
        chrono::Timelike::minute(&local),
        0,
    )?;
    let is_there = |local: &NaiveDateTime| zone.from_local_datetime(local).earliest().is_some();
    let find = |step: i64| {
        let minutes =
            (0..LONGEST).filter_map(|n| minute.checked_add_signed(TimeDelta::minutes(step * n)));
        minutes.into_iter().find(is_there)
    };
    let (before, after) = (find(-1)?, find(1)?);
    Some([(before + TimeDelta::minutes(1)).time(), after.time()])
}

/// Parses `1748772000` and `1748772000123`, also as floats with zero decimals. 0 is a sentinel.
fn unix(word: &str) -> Option<NaiveDateTime> {
    let digits = without_float_tail(word);
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let millis = match digits.len() {
        1 if digits == "0" => 0,
        10 => digits.parse::<i64>().ok()? * 1_000,
        13 => digits.parse().ok()?,
        _ => return None,
    };
    Some(DateTime::from_timestamp_millis(millis)?.naive_utc())
}

/// Parses `2025-06-01T10:00:00.25-03:00` to its local time and offset.
fn iso(word: &[u8]) -> Option<(NaiveDateTime, Offset)> {
    let (date, rest) = word.split_at_checked(10)?;
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = *date else { return None };
    let year = two(y1, y2)? * 100 + two(y3, y4)?;
    let date = NaiveDate::from_ymd_opt(year.try_into().ok()?, two(m1, m2)?, two(d1, d2)?)?;

    let [b'T' | b't' | b' ', h1, h2, b':', n1, n2, rest @ ..] = rest else { return None };
    let (hour, minute) = (two(*h1, *h2)?, two(*n1, *n2)?);
    let (second, micros, zone) = match rest {
        [b':', s1, s2, b'.' | b',', fraction @ ..] => {
            let digits = fraction.iter().take_while(|b| b.is_ascii_digit()).count();
            if digits == 0 {
                return None;
            }
            (two(*s1, *s2)?, micros(&fraction[..digits.min(6)]), &fraction[digits..])
        }
        [b':', s1, s2, zone @ ..] => (two(*s1, *s2)?, 0, zone),
        zone => (0, 0, zone),
    };
    let time = NaiveTime::from_hms_micro_opt(hour, minute, second, micros)?;
    Some((date.and_time(time), offset(zone)?))
}

#[cfg(test)]
mod tests {
    use chrono_tz::{America, Europe};

    use super::*;

    fn at(rfc3339: &str) -> Stamp {
        Stamp::At(DateTime::parse_from_rfc3339(rfc3339).unwrap().timestamp_micros())
    }

    #[test]
    fn iso_stamps_are_parsed() {
        let spellings = [
            "2025-06-01 10:00:00.25",
            "2025-06-01T10:00:00.250000Z",
            "2025-06-01t10:00:00.2500009z",
            "2025-06-01 10:00:00.250 UTC",
            "2025-06-01T12:00:00.25+02:00",
            "2025-06-01T04:30:00.25-0530",
            "2025-06-01T07:00:00.25-03",
        ];
        for spelling in spellings {
            assert_eq!(read(spelling, Tz::UTC), at("2025-06-01T10:00:00.250Z"), "{spelling}");
        }
        assert_eq!(read("2025-06-01 10:00", Tz::UTC), at("2025-06-01T10:00:00Z"));
    }

    #[test]
    fn invalid_stamps() {
        let words = [
            "2025-06-01",
            "2025-02-29 10:00:00",
            "31/05/2025 10:00",
            "soon",
            "2025-06-01 24:00:00",
            "2025-06-01 10:00:60",
            "2025-06-01 10:00:00.",
            "2025-06-01 13:00:00 PM",
            "2025-06-01 0:30 AM",
            "2025-06-01 10:0",
            "2025-06-01 10:5:00",
            "2025-06-0110:00",
            "174877200",
            "17487720000",
            "1748772000.5",
            "01:00",
            "",
            "2025-06-01 10:00:00+25:00",
            "20250601T100000Z",
            "2025-06-01 1é:00:00",
        ];
        for word in words {
            assert_eq!(read(word, Tz::UTC), Stamp::Bad, "{word}");
            assert_eq!(read_as(word, Tz::UTC, None), Stamp::Bad, "{word}");
        }
    }

    #[test]
    fn stamps_of_spreadsheets_and_programs_are_parsed() {
        let [day_first, month_first] = [DateOrder::DayFirst, DateOrder::MonthFirst].map(Some);
        let cases = [
            ("2025-6-1 22:00", None),
            ("2025/06/01 22:00", None),
            ("2025/6/1 10:00:00 PM", None),
            ("2025-06-01 10:00:00 PM", None),
            ("Jun 1, 2025 10:00 pm", None),
            ("1748815200", None),
            ("1748815200.0", None),
            ("1748815200000", None),
            ("1/6/2025 22:00", day_first),
            ("01.06.2025 22:00", day_first),
            ("01/06/2025, 22:00:00", day_first),
            ("1/6/2025 10:00:00 p. m.", day_first),
            ("1/6/2025 10:00 p.\u{a0}m.", day_first),
            ("6/1/2025 10:00:00 PM", month_first),
            ("6/1/2025, 10:00:00\u{202f}PM", month_first),
            ("6/1/2025 10:00:00.000 PM", month_first),
            ("6/1/2025 10:00 PM +00:00", month_first),
            ("06-01-2025T22:00:00Z", month_first),
        ];
        for (word, order) in cases {
            assert_eq!(read_as(word, Tz::UTC, order), at("2025-06-01T22:00:00Z"), "{word}");
            if order.is_some() {
                assert_eq!(read_as(word, Tz::UTC, None), Stamp::Bad, "{word}");
            }
        }
        let midnight = at("2025-06-01T00:00:00Z");
        assert_eq!(read_as("6/1/2025 12:00 AM", Tz::UTC, month_first), midnight);
        assert_eq!(read_as("6/1/2025 0:00", Tz::UTC, month_first), midnight);
        // Unix time is in UTC whatever the source time zone is.
        assert_eq!(read_as("1748815200", America::Bogota, None), at("2025-06-01T22:00:00Z"));
        assert_eq!(
            read_as("1/6/2025 17:00", America::Bogota, day_first),
            at("2025-06-01T22:00:00Z")
        );
    }

    #[test]
    fn sentinels_are_recognised_in_every_format() {
        let order = Some(DateOrder::DayFirst);
        for word in ["1/1/1970 0:00", "01/01/2000 12:00:00 AM", "0", "0000000000", "1970/1/1 0:00"]
        {
            assert_eq!(read_as(word, America::Bogota, order), Stamp::Sentinel, "{word}");
        }
    }

    #[test]
    fn gap_is_the_range_of_skipped_local_times() {
        let hours = |word, zone| {
            let [from, to] = gap(word, zone, None).unwrap();
            (from.format("%H:%M").to_string(), to.format("%H:%M").to_string())
        };
        let hour = |from: &str, to: &str| (from.to_owned(), to.to_owned());
        assert_eq!(hours("2025-03-30 02:59:59.5", Europe::Madrid), hour("02:00", "03:00"));
        assert_eq!(hours("2025-09-07 00:30", America::Santiago), hour("00:00", "01:00"));
        assert_eq!(hours("2025-09-07 00:00", America::Santiago), hour("00:00", "01:00"));
        assert_eq!(hours("2011-12-30 12:00", chrono_tz::Pacific::Apia), hour("00:00", "00:00"));
        assert_eq!(read("2025-09-07 00:30", America::Santiago), Stamp::Skipped);
    }

    #[test]
    fn local_times_on_days_with_dst_transitions() {
        let madrid = Europe::Madrid;
        assert_eq!(read("2025-03-30 02:30:00", madrid), Stamp::Skipped);
        assert_eq!(read("2025-10-26 02:30:00", madrid), at("2025-10-26T00:30:00Z"));
        assert_eq!(read("2025-06-01 12:00:00", madrid), at("2025-06-01T10:00:00Z"));
        assert_eq!(read("2025-06-01 12:00:00Z", madrid), at("2025-06-01T12:00:00Z"));
    }

    #[test]
    fn sentinels_are_compared_before_the_offset_is_applied() {
        let sentinels = [
            "1970-01-01 00:00:00",
            "2000-01-01T00:00:00Z",
            "2000-01-01T00:00:00.000",
            "1970-01-01 00:00:00-05:00",
        ];
        for word in sentinels {
            assert_eq!(read(word, America::Bogota), Stamp::Sentinel, "{word}");
        }
        assert_eq!(read("1999-12-31 19:00:00", America::Bogota), at("2000-01-01T00:00:00Z"));
    }
}
