//! Buckets of local time around transitions of daylight saving time.

use chrono::{DateTime, NaiveDate, NaiveTime, TimeZone as _};
use chrono_tz::Tz;
use chrono_tz::{America, Asia, Australia, Europe, Pacific};
use polars::prelude::*;
use proptest::prelude::*;
use wabalake_data::tables::instant;
use wabalake_queries::query::time::{Clock, day_start, hour_of_week};

use crate::golden;

fn micros(rfc3339: &str) -> i64 {
    DateTime::parse_from_rfc3339(rfc3339).unwrap().timestamp_micros()
}

fn rfc3339_of(micros: i64) -> String {
    DateTime::from_timestamp_micros(micros).unwrap().format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn computed(instants: &[Option<i64>], of: Expr) -> Vec<String> {
    let at = Series::new("at".into(), instants).cast(&instant()).unwrap();
    let frame = DataFrame::new(instants.len(), vec![at.into_column()]).unwrap();
    golden::lines(&frame.lazy().select([of]).collect().unwrap()).split_off(1)
}

fn starts(clock: Clock, zone: Tz, instants: &[&str]) -> Vec<String> {
    let instants: Vec<_> = instants.iter().map(|at| Some(micros(at))).collect();
    computed(&instants, clock.start(col("at"), zone))
}

#[test]
fn days_and_hours_around_a_transition_forward() {
    let madrid = Europe::Madrid;
    let instants = ["2025-03-29T23:00:00Z", "2025-03-30T00:59:59Z", "2025-03-30T01:00:00Z"];
    assert_eq!(starts(Clock::Day, madrid, &instants), ["2025-03-30"; 3]);
    assert_eq!(
        starts(Clock::Hour, madrid, &instants),
        ["2025-03-29T23:00:00Z", "2025-03-30T00:00:00Z", "2025-03-30T01:00:00Z"]
    );
    assert_eq!(starts(Clock::Day, madrid, &["2025-03-30T21:59:59Z"]), ["2025-03-30"]);
    assert_eq!(starts(Clock::Day, madrid, &["2025-03-30T22:00:00Z"]), ["2025-03-31"]);
    assert_eq!(starts(Clock::Week, madrid, &["2025-03-30T21:59:59Z"]), ["2025-03-24"]);
    assert_eq!(starts(Clock::Week, madrid, &["2025-03-30T22:00:00Z"]), ["2025-03-31"]);
    assert_eq!(starts(Clock::Month, madrid, &["2025-03-31T21:59:59Z"]), ["2025-03-01"]);
    assert_eq!(starts(Clock::Month, madrid, &["2025-03-31T22:00:00Z"]), ["2025-04-01"]);
}

#[test]
fn a_repeated_hour_is_two_buckets() {
    let instants = ["2025-10-26T00:30:00Z", "2025-10-26T01:30:00Z"];
    assert_eq!(
        starts(Clock::Hour, Europe::Madrid, &instants),
        ["2025-10-26T00:00:00Z", "2025-10-26T01:00:00Z"]
    );
    let week =
        computed(&instants.map(|at| Some(micros(at))), hour_of_week(col("at"), Europe::Madrid));
    assert_eq!(week, ["146", "146"]); // Sunday 02:00 both times
}

#[test]
fn hours_begin_in_local_time() {
    let at = ["2025-06-01T10:20:00Z"]; // 16:05 in Kathmandu
    assert_eq!(starts(Clock::Hour, Asia::Kathmandu, &at), ["2025-06-01T10:15:00Z"]);
    assert_eq!(starts(Clock::HalfHour, Asia::Kathmandu, &at), ["2025-06-01T10:15:00Z"]);
    // Lord Howe's transition is of half an hour: from 02:00 back to 01:30.
    let at = ["2025-04-05T14:45:00Z", "2025-04-05T15:10:00Z", "2025-04-05T15:40:00Z"];
    assert_eq!(
        starts(Clock::HalfHour, Australia::Lord_Howe, &at),
        ["2025-04-05T14:30:00Z", "2025-04-05T15:00:00Z", "2025-04-05T15:30:00Z"]
    );
    // The hour from 01:00 is whole; half an hour from 01:30 follows, then the hour from 02:00.
    assert_eq!(
        starts(Clock::Hour, Australia::Lord_Howe, &at),
        ["2025-04-05T14:00:00Z", "2025-04-05T15:00:00Z", "2025-04-05T15:30:00Z"]
    );
    // From 02:00 on to 02:30.
    let at = ["2025-10-04T15:29:00Z", "2025-10-04T15:45:00Z", "2025-10-04T16:00:00Z"];
    assert_eq!(
        starts(Clock::Hour, Australia::Lord_Howe, &at),
        ["2025-10-04T14:30:00Z", "2025-10-04T15:30:00Z", "2025-10-04T16:00:00Z"]
    );
    for at in at {
        let start = Clock::Hour.floor(Australia::Lord_Howe, micros(at));
        assert_eq!(starts(Clock::Hour, Australia::Lord_Howe, &[at])[0], rfc3339_of(start));
    }
}

#[test]
fn days_begin_at_their_first_existing_instant() {
    let cases = [
        (America::Sao_Paulo, "2018-11-04", "2018-11-04T03:00:00Z"), // 00:00 is skipped
        (America::Sao_Paulo, "2018-02-18", "2018-02-18T03:00:00Z"), // 23:00 is repeated the day before
        (America::Havana, "2025-11-02", "2025-11-02T04:00:00Z"),    // 00:00 is repeated
        (America::Bogota, "2025-06-01", "2025-06-01T05:00:00Z"),
        (Pacific::Apia, "2011-12-30", "2011-12-30T10:00:00Z"), // the date is skipped
        (Tz::UTC, "2025-06-01", "2025-06-01T00:00:00Z"),
    ];
    for (zone, date, start) in cases {
        let date: NaiveDate = date.parse().unwrap();
        assert_eq!(day_start(zone, date), micros(start), "{zone} {date}");
    }
}

#[test]
fn a_bucket_ends_where_the_next_begins() {
    let bounds = |clock: Clock, zone, at: &str| -> [String; 2] {
        let at = [Some(micros(at))];
        clock.bounds(&clock.start(col("at"), zone), zone).map(|bound| {
            let seconds = computed(&at, (bound * lit(1_000_000)).cast(instant()));
            seconds.into_iter().next().unwrap()
        })
    };
    let cases = [
        // A day of 23 hours without a midnight, and the date before a skipped one.
        (
            Clock::Day,
            America::Sao_Paulo,
            "2018-11-04T12:00:00Z",
            "2018-11-04T03:00:00Z",
            "2018-11-05T02:00:00Z",
        ),
        (
            Clock::Day,
            Pacific::Apia,
            "2011-12-30T09:00:00Z",
            "2011-12-29T10:00:00Z",
            "2011-12-30T10:00:00Z",
        ),
        (
            Clock::Month,
            Europe::Madrid,
            "2025-03-31T21:59:59Z",
            "2025-02-28T23:00:00Z",
            "2025-03-31T22:00:00Z",
        ),
        (
            Clock::HalfHour,
            Asia::Kathmandu,
            "2025-06-01T10:20:00Z",
            "2025-06-01T10:15:00Z",
            "2025-06-01T10:45:00Z",
        ),
    ];
    for (clock, zone, at, start, end) in cases {
        assert_eq!(bounds(clock, zone, at), [start, end], "{zone} {at}");
        assert_eq!(clock.floor(zone, micros(at)), micros(start), "{zone} {at}");
    }
}

#[test]
fn a_null_has_no_bucket() {
    let nothing = [None, Some(0)];
    let on = |clock: Clock| computed(&nothing, clock.start(col("at"), America::Bogota));
    assert_eq!(on(Clock::Hour), ["null", "1970-01-01T00:00:00Z"]);
    assert_eq!(on(Clock::Week), ["null", "1969-12-29"]);
    assert_eq!(computed(&[None], Clock::Day.start(col("at"), Europe::Madrid)), ["null"]);
}

proptest! {
    /// Buckets of a column are those of its instants one by one, far apart and close together.
    #[test]
    fn columns_agree_with_single_instants(
        zone in prop::sample::select(chrono_tz::TZ_VARIANTS.to_vec()),
        year in 1970_i64..2040,
        seconds in prop::collection::vec(0..366 * 86_400_i64, 1..20),
    ) {
        let instants: Vec<i64> =
            seconds.iter().map(|s| ((year - 1970) * 31_556_952 + s) * 1_000_000).collect();
        let local = |at: &i64| {
            zone.from_utc_datetime(&DateTime::from_timestamp_micros(*at).unwrap().naive_utc())
        };
        let column: Vec<_> = instants.iter().copied().map(Some).collect();

        let days: Vec<String> = instants.iter().map(|at| local(at).date_naive().to_string()).collect();
        prop_assert_eq!(computed(&column, Clock::Day.start(col("at"), zone)), days);

        let into_hour = |at: &i64| {
            let local = local(at);
            let hour = NaiveTime::from_hms_opt(chrono::Timelike::hour(&local), 0, 0).unwrap();
            local.time().signed_duration_since(hour).num_microseconds().unwrap()
        };
        let hour = |at: &i64| {
            let start = at - into_hour(at);
            // A transition may have skipped or repeated a part of the hour.
            match into_hour(&start) {
                0 => start,
                shown => start + 3_600_000_000 - shown,
            }
        };
        let hours: Vec<String> = instants.iter().map(|at| rfc3339_of(hour(at))).collect();
        prop_assert_eq!(computed(&column, Clock::Hour.start(col("at"), zone)), hours);
    }
}
