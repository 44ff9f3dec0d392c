//! Instants.
//!
//! ```text
//! "2025-06-01T10:00:00.250Z"   has a zone: converted
//! "2025-06-01 10:00:00"        has none: read in the source time zone
//! "2025-03-30 02:30:00"        in Europe/Madrid there is no such time: bad
//! "2025-10-26 02:30:00"        in Europe/Madrid there are two: the earlier one
//! "1970-01-01 00:00:00"        a sentinel: never
//! "2025-06-01"                 a date is no instant: bad
//! ```

use chrono::{LocalResult, NaiveDate, NaiveDateTime, NaiveTime, TimeZone};
use chrono_tz::Tz;

/// Whether a stamp says how far it is from UTC.
#[derive(Clone, Copy)]
enum Offset {
    Unsaid,
    Seconds(i64),
}

/// What a stamp says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stamp {
    /// Microseconds since 1970 in UTC.
    At(i64),
    /// One of the stamps that some systems write for "never".
    Sentinel,
    /// No instant at all.
    Bad,
}

/// Reads a trimmed stamp that is no null word. One without an offset is read in `zone`.
///
/// ```
/// use chrono_tz::Tz;
/// use wabalake_data::cells::stamp::{Stamp, read};
/// assert_eq!(read("1970-01-01 00:00:01.5", Tz::UTC), Stamp::At(1_500_000));
/// assert_eq!(read("2000-01-01T00:00:00.000Z", Tz::UTC), Stamp::Sentinel);
/// assert_eq!(read("31/05/2025 10:00", Tz::UTC), Stamp::Bad);
/// ```
pub fn read(word: &str, zone: Tz) -> Stamp {
    let Some((local, offset)) = split(word.as_bytes()) else { return Stamp::Bad };
    if is_sentinel(local) {
        return Stamp::Sentinel;
    }
    let utc = match offset {
        Offset::Seconds(east) => Some(local.and_utc().timestamp_micros() - east * 1_000_000),
        Offset::Unsaid if zone == Tz::UTC => Some(local.and_utc().timestamp_micros()),
        Offset::Unsaid => match zone.from_local_datetime(&local) {
            LocalResult::Single(at) => Some(at.timestamp_micros()),
            LocalResult::Ambiguous(earlier, later) => {
                Some(earlier.timestamp_micros().min(later.timestamp_micros()))
            }
            LocalResult::None => None,
        },
    };
    utc.map_or(Stamp::Bad, Stamp::At)
}

fn is_sentinel(local: NaiveDateTime) -> bool {
    let midnight_of =
        |year| NaiveDate::from_ymd_opt(year, 1, 1).map(|d| d.and_time(NaiveTime::MIN));
    [1970, 2000].into_iter().any(|year| midnight_of(year) == Some(local))
}

/// Splits `2025-06-01T10:00:00.25-03:00` into the local time and the offset.
fn split(word: &[u8]) -> Option<(NaiveDateTime, Offset)> {
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

/// What follows the local time; `None` where it is no offset.
fn offset(zone: &[u8]) -> Option<Offset> {
    let (sign, digits) = match zone.trim_ascii_start() {
        [] => return Some(Offset::Unsaid),
        [b'Z' | b'z'] | b"UTC" | b"GMT" => return Some(Offset::Seconds(0)),
        [b'+', digits @ ..] => (1, digits),
        [b'-', digits @ ..] => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match *digits {
        [h1, h2] => (two(h1, h2)?, 0),
        [h1, h2, m1, m2] | [h1, h2, b':', m1, m2] => (two(h1, h2)?, two(m1, m2)?),
        _ => return None,
    };
    let east = sign * i64::from(hours * 3600 + minutes * 60);
    (hours < 24 && minutes < 60).then_some(Offset::Seconds(east))
}

fn two(tens: u8, ones: u8) -> Option<u32> {
    let digit = |b: u8| b.is_ascii_digit().then(|| u32::from(b - b'0'));
    Some(digit(tens)? * 10 + digit(ones)?)
}

fn micros(fraction: &[u8]) -> u32 {
    let padded = fraction.iter().copied().chain(std::iter::repeat(b'0')).take(6);
    padded.fold(0, |micros, b| micros * 10 + u32::from(b - b'0'))
}

#[cfg(test)]
mod tests {
    use chrono_tz::{America, Europe};

    use super::*;

    fn at(rfc3339: &str) -> Stamp {
        Stamp::At(chrono::DateTime::parse_from_rfc3339(rfc3339).unwrap().timestamp_micros())
    }

    #[test]
    fn spellings_of_one_instant() {
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
    fn no_instants() {
        let words = [
            "2025-06-01",
            "2025-02-29 10:00:00",
            "31/05/2025 10:00",
            "soon",
            "2025-06-01 24:00:00",
            "2025-06-01 10:00:60",
            "2025-06-01 10:00:00.",
            "2025-06-01 10:00:00 PM",
            "",
            "2025-06-01 10:00:00+25:00",
            "20250601T100000Z",
            "2025-06-01 1é:00:00",
        ];
        for word in words {
            assert_eq!(read(word, Tz::UTC), Stamp::Bad, "{word}");
        }
    }

    #[test]
    fn local_times_of_transition_days() {
        let madrid = Europe::Madrid;
        assert_eq!(read("2025-03-30 02:30:00", madrid), Stamp::Bad);
        assert_eq!(read("2025-10-26 02:30:00", madrid), at("2025-10-26T00:30:00Z"));
        assert_eq!(read("2025-06-01 12:00:00", madrid), at("2025-06-01T10:00:00Z"));
        assert_eq!(read("2025-06-01 12:00:00Z", madrid), at("2025-06-01T12:00:00Z"));
    }

    #[test]
    fn sentinels_are_compared_as_written() {
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
