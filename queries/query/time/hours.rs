//! Opening hours of a week, and the time that is open between two instants.
//!
//! ```text
//! --hours 'Mon-Fri 09:00-13:00 14:00-18:00; Sat 09:00-13:00'
//!
//! Friday      09:00 ████ 13:00   14:00 ████ 18:00     from Friday 17:50 on   10 minutes
//! Saturday    09:00 ████ 13:00                                               4 hours
//! Sunday
//! Monday      09:00 ████ 13:00   14:00 ████ 18:00     until Monday 09:20     20 minutes
//! ```
//!
//! It is open while the local clock shows one of the hours: an hour that the clock shows twice counts twice,
//! and one that it skips does not count. On a holiday nothing is open.

use std::fmt;

use chrono::NaiveDate;
use chrono_tz::Tz;
use clap::Args;
use polars::prelude::{
    Column, DataType, Expr, Field, Int64Chunked, IntoColumn, NewChunkedArray, PolarsResult, col,
};
use wabalake_data::Invalid;

use super::clock::offset;
use super::{DAY, Defaults, SECOND, read_date};
use crate::query::measures;

/// Days from Monday to the weekday of 1970-01-01.
const THURSDAY: i64 = 3;

const MINUTE: i64 = 60 * SECOND;

/// The days of a week as options name them.
const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// The word for hours without an end.
const ALWAYS: &str = "always";

/// A part of a local day, in minutes from midnight. The end is not a part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Opening {
    from: i64,
    until: i64,
}

impl Opening {
    const WHOLE_DAY: Self = Self { from: 0, until: 24 * 60 };
    /// The most bytes of one as text.
    const LONGEST: usize = "00:00-24:00".len();
}

impl fmt::Display for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, until } = self;
        write!(f, "{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, until / 60, until % 60)
    }
}

/// The opening hours of a week, from Monday on. Those of a day are ascending and do not overlap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeeklyHours {
    days: [Vec<Opening>; 7],
}

impl WeeklyHours {
    /// All hours of all days.
    pub fn always() -> Self {
        Self { days: std::array::from_fn(|_| vec![Opening::WHOLE_DAY]) }
    }

    /// Parses opening hours: `always`, or for days the hours that follow them.
    ///
    /// ```
    /// use wabalake_queries::query::time::WeeklyHours;
    /// let read = |text| WeeklyHours::read(text).map(|hours| hours.to_string());
    /// let hours = "Mon-Fri 09:00-13:00 14:00-18:00; Sat+Sun 09:00-24:00";
    /// assert_eq!(read(hours).as_deref(), Ok("Mon-Fri 09:00-13:00 14:00-18:00; Sat-Sun 09:00-24:00"));
    /// assert_eq!(read("tue+thu 9:00-13:00").as_deref(), Ok("Tue+Thu 09:00-13:00"));
    /// assert!(read("Mon-Fri 09:00-13:00; Wed 12:00-14:00").is_err());
    /// ```
    ///
    /// # Errors
    /// Anything else, hours that overlap, and no hours at all.
    pub fn read(text: &str) -> Result<Self, Invalid> {
        if text.trim().eq_ignore_ascii_case(ALWAYS) {
            return Ok(Self::always());
        }
        let mut days: [Vec<Opening>; 7] = std::array::from_fn(|_| Vec::new());
        for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            let mut words = part.split_whitespace();
            let named = read_days(words.next().unwrap_or_default())?;
            let openings = words.map(read_opening).collect::<Result<Vec<_>, _>>()?;
            if openings.is_empty() {
                return Err(invalid(&format!("`{part}` has no hours")));
            }
            for day in named {
                days[day].extend(&openings);
            }
        }
        for (openings, day) in days.iter_mut().zip(DAYS) {
            openings.sort_unstable();
            let overlapping = openings.windows(2).find(|pair| pair[0].until > pair[1].from);
            if let Some([one, next]) = overlapping {
                let overlap = format!("hours overlap: {day} {one} and {next}");
                return Err(Invalid::new(overlap).hint("name each hour of a day once"));
            }
        }
        if days.iter().all(Vec::is_empty) {
            return Err(invalid("no opening hours"));
        }
        Ok(Self { days })
    }

    /// The hours as rows of SQL: the day, 0 for Monday, and both ends in microseconds from midnight.
    fn rows_sql(&self) -> String {
        let rows = self.days.iter().enumerate().flat_map(|(day, openings)| {
            let row = move |opening: &Opening| {
                let [from, until] = [opening.from, opening.until].map(|minutes| minutes * MINUTE);
                format!("({day}, CAST({from} AS BIGINT), CAST({until} AS BIGINT))")
            };
            openings.iter().map(row)
        });
        rows.collect::<Vec<_>>().join(",\n        ")
    }
}

impl fmt::Display for WeeklyHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::always() {
            return f.write_str(ALWAYS);
        }
        let is_first = |day: &usize| !self.days[..*day].contains(&self.days[*day]);
        let parts = (0..7).filter(|day| !self.days[*day].is_empty()).filter(is_first).map(|day| {
            let same = (0..7).filter(|other| self.days[*other] == self.days[day]);
            let same: Vec<usize> = same.collect();
            let ranges = same.chunk_by(|one, next| one + 1 == *next).map(|range| match range {
                [only] => DAYS[*only].to_owned(),
                _ => format!("{}-{}", DAYS[range[0]], DAYS[range[range.len() - 1]]),
            });
            let ranges = ranges.collect::<Vec<_>>().join("+");
            self.days[day].iter().fold(ranges, |part, opening| format!("{part} {opening}"))
        });
        f.write_str(&parts.collect::<Vec<_>>().join("; "))
    }
}

/// Parses days and ranges of days, with `+` between, as places in [`DAYS`]. A range may go over Sunday.
fn read_days(word: &str) -> Result<Vec<usize>, Invalid> {
    let day = |name: &str| {
        let place = DAYS.iter().position(|day| day.eq_ignore_ascii_case(name));
        place.ok_or_else(|| invalid(&format!("{} is no day of a week", shown(name))))
    };
    let mut days = Vec::new();
    for range in word.split('+') {
        let (first, last) = match range.split_once('-') {
            Some((first, last)) => (day(first)?, day(last)?),
            None => (day(range)?, day(range)?),
        };
        let more = (last + 7 - first) % 7;
        days.extend((first..=first + more).map(|day| day % 7));
    }
    Ok(days)
}

/// Parses a part of a day, such as `09:00-13:00`.
fn read_opening(word: &str) -> Result<Opening, Invalid> {
    let ends = word.split_once('-').and_then(|(from, until)| Some((clock(from)?, clock(until)?)));
    let (from, until) =
        ends.ok_or_else(|| invalid(&format!("{} is no part of a day", shown(word))))?;
    if from >= until {
        let fault = Invalid::new(format!("{} ends before it begins", shown(word)));
        return Err(
            fault.hint("write hours over midnight as two: Fri 22:00-24:00; Sat 00:00-06:00")
        );
    }
    Ok(Opening { from, until })
}

/// The minutes from midnight of a time such as `09:00`, up to `24:00`.
fn clock(text: &str) -> Option<i64> {
    let (hours, minutes) = text.split_once(':')?;
    let is_time = |text: &str, digits: std::ops::RangeInclusive<usize>| {
        digits.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    if !is_time(hours, 1..=2) || !is_time(minutes, 2..=2) {
        return None;
    }
    let minutes = minutes.parse::<i64>().ok().filter(|minutes| *minutes < 60)?;
    let time = hours.parse::<i64>().ok()? * 60 + minutes;
    (time <= Opening::WHOLE_DAY.until).then_some(time)
}

/// A word as an error may repeat it: what has as many digits as a phone number may be one.
fn shown(word: &str) -> String {
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    if word.len() <= Opening::LONGEST && digits <= 8 {
        format!("`{word}`")
    } else {
        "a word".to_owned()
    }
}

fn invalid(what: &str) -> Invalid {
    Invalid::new(what).hint("write them as in: Mon-Fri 09:00-13:00 14:00-18:00; Sat 09:00-13:00")
}

/// Dates on which nothing is open, ascending.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holidays(Vec<NaiveDate>);

impl Holidays {
    /// Parses dates with commas between.
    ///
    /// # Errors
    /// A word that is no date.
    pub fn read(text: &str) -> Result<Self, Invalid> {
        let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
        Ok(words.map(read_date).collect::<Result<Vec<_>, _>>()?.into_iter().collect())
    }

    /// The days since 1970.
    fn days(&self) -> Vec<i64> {
        self.0.iter().map(|date| date.to_epoch_days().into()).collect()
    }
}

impl FromIterator<NaiveDate> for Holidays {
    fn from_iter<T: IntoIterator<Item = NaiveDate>>(dates: T) -> Self {
        let mut dates: Vec<NaiveDate> = dates.into_iter().collect();
        dates.sort_unstable();
        dates.dedup();
        Self(dates)
    }
}

impl fmt::Display for Holidays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dates: Vec<String> = self.0.iter().map(NaiveDate::to_string).collect();
        f.write_str(&dates.join(", "))
    }
}

/// The lake's opening hours, for options that were not typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HoursDefaults {
    /// The hours of a week; `None` for always.
    pub weekly: Option<WeeklyHours>,
    /// The dates without any.
    pub holidays: Holidays,
}

/// `--hours` and `--holidays`: when agents work.
#[derive(Args, Clone, Debug)]
#[group(skip)]
pub struct OpenHours {
    /// Hours at which agents work, by the local clock, such as 'Mon-Fri 09:00-13:00 14:00-18:00; Sat
    /// 09:00-13:00'; only these count as time of a response [default: always]
    #[arg(long, value_name = "HOURS", value_parser = WeeklyHours::read)]
    hours: Option<WeeklyHours>,

    /// Local dates on which no agent works, separated by commas [default: none]
    #[arg(long, value_name = "DATES", value_parser = Holidays::read)]
    holidays: Option<Holidays>,
}

impl OpenHours {
    /// Fills in the defaults.
    pub fn resolve(&mut self, defaults: &Defaults) {
        let HoursDefaults { weekly, holidays } = &defaults.hours;
        if self.hours.is_none() {
            self.hours.clone_from(weekly);
        }
        self.holidays.get_or_insert_with(|| holidays.clone());
    }

    /// Returns `true` if nothing ever closes.
    pub fn are_always(&self) -> bool {
        let has_holidays = self.holidays.as_ref().is_some_and(|days| !days.0.is_empty());
        !has_holidays && self.weekly() == WeeklyHours::always()
    }

    /// The open microseconds from one timestamp to another; null unless both are set and in order.
    pub fn elapsed(&self, from: &str, to: &str, zone: Tz) -> Expr {
        if self.are_always() {
            return measures::elapsed(from, to);
        }
        let timetable = Timetable::new(&self.weekly(), &self.holidays());
        let measured = move |columns: &mut [Column]| -> PolarsResult<Column> {
            let instants = |at: usize| -> PolarsResult<Int64Chunked> {
                Ok(columns[at].to_physical_repr().i64()?.clone())
            };
            let (from, to) = (instants(0)?, instants(1)?);
            let spans = from.iter().zip(to.iter());
            let spans = spans.map(|(from, to)| from.zip(to).filter(|(from, to)| from <= to));
            let open = timetable.open_in(&spans.collect::<Vec<_>>(), zone);
            let name = columns[0].name().clone();
            Ok(Int64Chunked::from_iter_options(name, open.into_iter()).into_column())
        };
        let int64 =
            |_: &_, fields: &[Field]| Ok(Field::new(fields[0].name().clone(), DataType::Int64));
        col(from).map_many(measured, &[col(to)], int64)
    }

    /// The hours as rows of SQL: the day, 0 for Monday, and both ends in microseconds from midnight.
    pub fn rows_sql(&self) -> String {
        self.weekly().rows_sql()
    }

    /// The holidays as days since 1970.
    pub fn days_off(&self) -> Vec<i64> {
        self.holidays().days()
    }

    fn weekly(&self) -> WeeklyHours {
        self.hours.clone().unwrap_or_else(WeeklyHours::always)
    }

    fn holidays(&self) -> Holidays {
        self.holidays.clone().unwrap_or_default()
    }
}

/// Opening hours on a local clock that nothing sets forward or back. Times are in microseconds.
struct Timetable {
    /// The parts of each day of the week.
    days: [Vec<(i64, i64)>; 7],
    /// How long is open in the days of a week before each day; of the whole week behind them.
    before: [i64; 8],
    /// The holidays as days since 1970, each with what is missing up to its end.
    missing: Vec<(i64, i64)>,
}

impl Timetable {
    fn new(weekly: &WeeklyHours, holidays: &Holidays) -> Self {
        let in_micros = |of: &Opening| (of.from * MINUTE, of.until * MINUTE);
        let days: [Vec<(i64, i64)>; 7] =
            std::array::from_fn(|day| weekly.days[day].iter().map(in_micros).collect());
        let of_day = |day: usize| days[day].iter().map(|(from, until)| until - from).sum::<i64>();
        let before = std::array::from_fn(|day| (0..day).map(of_day).sum());
        let mut sum = 0;
        let missing = holidays.days().into_iter().map(|day| {
            sum += of_day(weekday(day));
            (day, sum)
        });
        let missing = missing.collect();
        Self { days, before, missing }
    }

    /// How long is open from a certain Monday until a local time.
    fn until(&self, local: i64) -> i64 {
        let (day, time) = (local.div_euclid(DAY), local.rem_euclid(DAY));
        let week = (day + THURSDAY).div_euclid(7);
        let passed = self.missing.partition_point(|(holiday, _)| *holiday < day);
        let missing = passed.checked_sub(1).map_or(0, |last| self.missing[last].1);
        let is_holiday = self.missing.get(passed).is_some_and(|(holiday, _)| *holiday == day);
        let parts = self.days[weekday(day)].iter().filter(|_| !is_holiday);
        let today: i64 = parts.map(|(from, until)| (time.min(*until) - from).max(0)).sum();
        week * self.before[7] + self.before[weekday(day)] - missing + today
    }

    /// How long is open in each span of two instants, from the first to the second.
    fn open_in(&self, spans: &[Option<(i64, i64)>], zone: Tz) -> Vec<Option<i64>> {
        let first = spans.iter().flatten().map(|(from, _)| *from).min();
        let last = spans.iter().flatten().map(|(_, to)| *to).max();
        let Some((first, last)) = first.zip(last) else { return vec![None; spans.len()] };
        // From each start on the clock has one offset until the next: start, offset, open before it.
        let mut stretches: Vec<(i64, i64, i64)> = Vec::new();
        for (start, offset) in offsets(zone, first, last) {
            let before = stretches.last().map_or(0, |(from, offset, before)| {
                before + self.until(start + offset) - self.until(from + offset)
            });
            stretches.push((start, offset, before));
        }
        let until = |at: i64| {
            let place = stretches.partition_point(|(start, ..)| *start <= at);
            let (start, offset, before) = stretches[place.saturating_sub(1)];
            before + self.until(at + offset) - self.until(start + offset)
        };
        spans.iter().map(|span| span.map(|(from, to)| until(to) - until(from))).collect()
    }
}

/// The day of the week of a day since 1970, 0 for Monday.
fn weekday(day: i64) -> usize {
    usize::try_from((day + THURSDAY).rem_euclid(7)).unwrap_or_default()
}

/// The offsets from UTC between two instants, each with the first instant that has it.
fn offsets(zone: Tz, first: i64, last: i64) -> Vec<(i64, i64)> {
    let mut found = vec![(first, offset(zone, first))];
    let mut at = first;
    while at < last {
        let next = last.min(at.saturating_add(DAY));
        let (was, is) = (offset(zone, at), offset(zone, next));
        if was != is {
            let (mut before, mut after) = (at, next);
            while after - before > 1 {
                let middle = i64::midpoint(before, after);
                if offset(zone, middle) == was {
                    before = middle;
                } else {
                    after = middle;
                }
            }
            found.push((after, is));
        }
        at = next;
    }
    found
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Datelike, TimeZone, Timelike};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hours_are_read_and_written() {
        for (text, written) in [
            ("Mon-Fri 09:00-18:00", "Mon-Fri 09:00-18:00"),
            ("MON-WED+fri 9:00-13:00 14:30-18:00", "Mon-Wed+Fri 09:00-13:00 14:30-18:00"),
            ("Sat-Mon 00:00-24:00", "Mon+Sat-Sun 00:00-24:00"),
            ("Sun 14:00-15:00; Sun 9:00-13:00;", "Sun 09:00-13:00 14:00-15:00"),
            ("Mon-Sun 00:00-24:00", "always"),
            (" Always ", "always"),
        ] {
            let read = WeeklyHours::read(text).unwrap();
            assert_eq!(read.to_string(), written, "{text}");
            assert_eq!(WeeklyHours::read(written), Ok(read), "{text}");
        }
        for (text, what) in [
            ("", "no opening hours"),
            ("Mon", "`Mon` has no hours"),
            ("Mo 09:00-18:00", "`Mo` is no day of a week"),
            ("Mon–Fri 09:00-18:00", "`Mon–Fri` is no day of a week"),
            ("573005550101 09:00-18:00", "a word is no day of a week"),
            ("Mon 9-18", "`9-18` is no part of a day"),
            ("Mon 09:00-24:01", "`09:00-24:01` is no part of a day"),
            ("Mon 09:60-18:00", "`09:60-18:00` is no part of a day"),
            ("Mon 22:00-06:00", "`22:00-06:00` ends before it begins"),
            ("Mon-Fri+Fri 09:00-18:00", "hours overlap: Fri 09:00-18:00 and 09:00-18:00"),
            (
                "Mon 09:00-13:00; Mon-Tue 12:59-18:00",
                "hours overlap: Mon 09:00-13:00 and 12:59-18:00",
            ),
        ] {
            assert_eq!(WeeklyHours::read(text).unwrap_err().what, what, "{text}");
        }
    }

    #[test]
    fn holidays_are_read_in_any_order() {
        let read = |text| Holidays::read(text).map(|dates| dates.to_string());
        assert_eq!(
            read("2026-01-01, 2025-12-25,2026-01-01").as_deref(),
            Ok("2025-12-25, 2026-01-01")
        );
        assert_eq!(read("").as_deref(), Ok(""));
        assert!(read("25.12.2025").is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Minutes by the local clock, around transitions of daylight saving time and away from them.
        #[test]
        fn open_minutes_are_those_that_the_clock_shows(
            zone in prop::sample::select(vec![
                Tz::UTC, Tz::Europe__Madrid, Tz::America__Santiago, Tz::Australia__Lord_Howe,
            ]),
            hours in prop::sample::select(vec![
                "Mon-Fri 09:00-13:00 14:00-18:00; Sat 09:00-13:00",
                "Sat-Sun 01:20-02:50 22:00-24:00",
                "always",
            ]),
            holidays in prop::sample::select(vec!["", "2025-04-06,2025-10-05"]),
            start in prop::sample::select(vec![
                "2025-03-29T20:00:00Z", "2025-04-04T20:00:00Z", "2025-09-06T20:00:00Z",
                "2025-10-03T20:00:00Z", "2025-10-25T20:00:00Z",
            ]),
            minutes in prop::collection::vec((0..2_000_i64, 0..3_000_i64), 1..5),
        ) {
            let start = DateTime::parse_from_rfc3339(start).unwrap().timestamp_micros();
            let (weekly, off) = (WeeklyHours::read(hours).unwrap(), Holidays::read(holidays).unwrap());
            let is_open = |at: i64| {
                let local = DateTime::from_timestamp_micros(at).unwrap().naive_utc();
                let local = zone.from_utc_datetime(&local).naive_local();
                let time = i64::from(local.hour() * 60 + local.minute());
                let day = usize::try_from(local.weekday().num_days_from_monday()).unwrap();
                let mut parts = weekly.days[day].iter();
                !off.0.contains(&local.date())
                    && parts.any(|part| (part.from..part.until).contains(&time))
            };
            let spans = minutes.iter().map(|(later, long)| {
                let from = start + later * MINUTE;
                Some((from, from + long * MINUTE))
            });
            let spans: Vec<_> = spans.chain([None]).collect();
            let expected = minutes.iter().map(|(later, long)| {
                let open = (*later..later + long).filter(|at| is_open(start + at * MINUTE));
                Some(i64::try_from(open.count()).unwrap() * MINUTE)
            });
            let expected: Vec<_> = expected.chain([None]).collect();
            let found = Timetable::new(&weekly, &off).open_in(&spans, zone);
            prop_assert_eq!(found, expected);
        }
    }
}
