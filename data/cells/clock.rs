//! Times of day and UTC offsets.

use chrono::NaiveTime;

/// The UTC offset of a stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offset {
    /// The stamp has none.
    Missing,
    /// Seconds east of UTC.
    Seconds(i64),
}

/// Parses a time of day and its offset: `9:05`, `10:00:00.250`, `10:00 p. m.`, `10:00:00Z`.
pub(super) fn clock(word: &str) -> Option<(NaiveTime, Offset)> {
    let (hour, rest) = word.split_once(':')?;
    let (minute, rest) = rest.split_at_checked(2)?;
    let (second, rest) = match rest.strip_prefix(':') {
        Some(rest) => rest.split_at_checked(2)?,
        None => ("0", rest),
    };
    let (fraction, rest) = match rest.strip_prefix(['.', ',']) {
        Some(rest) => {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            if digits == 0 {
                return None;
            }
            rest.split_at(digits)
        }
        None => ("", rest),
    };
    let in_digits = |part: &str, longest: usize| {
        let shaped =
            (1..=longest).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        shaped.then(|| part.parse::<u32>().ok()).flatten()
    };
    let hour = in_digits(hour, 2)?;
    let (hour, rest) = match half_of_day(rest) {
        Some((is_afternoon, rest)) if (1..=12).contains(&hour) => {
            (hour % 12 + if is_afternoon { 12 } else { 0 }, rest)
        }
        Some(_) => return None,
        None => (hour, rest),
    };
    let (minute, second) = (in_digits(minute, 2)?, in_digits(second, 2)?);
    let micros = micros(&fraction.as_bytes()[..fraction.len().min(6)]);
    let time = NaiveTime::from_hms_micro_opt(hour, minute, second, micros)?;
    Some((time, offset(rest.as_bytes())?))
}

/// Parses AM or PM after a time, in any spelling (`p. m.`): `true` for PM, and the rest.
fn half_of_day(word: &str) -> Option<(bool, &str)> {
    let word = word.trim_start();
    let is_afternoon = word.starts_with(['p', 'P']);
    let rest = word.strip_prefix(['a', 'A', 'p', 'P'])?;
    let rest = rest.trim_start_matches(|c: char| c == '.' || c.is_whitespace());
    let rest = rest.strip_prefix(['m', 'M'])?;
    Some((is_afternoon, rest.strip_prefix('.').unwrap_or(rest)))
}

/// Parses what follows the local time; `None` if it is not an offset.
pub(super) fn offset(zone: &[u8]) -> Option<Offset> {
    let (sign, digits) = match zone.trim_ascii_start() {
        [] => return Some(Offset::Missing),
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

/// Parses a number of two digits.
pub(super) fn two(tens: u8, ones: u8) -> Option<u32> {
    let digit = |b: u8| b.is_ascii_digit().then(|| u32::from(b - b'0'));
    Some(digit(tens)? * 10 + digit(ones)?)
}

/// Parses up to six digits after the decimal mark of seconds.
pub(super) fn micros(fraction: &[u8]) -> u32 {
    let padded = fraction.iter().copied().chain(std::iter::repeat(b'0')).take(6);
    padded.fold(0, |micros, b| micros * 10 + u32::from(b - b'0'))
}
