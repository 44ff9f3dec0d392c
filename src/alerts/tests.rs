//! Tests of rules over made-up values, and of the settings that define alerts.

use std::collections::BTreeSet;

use chrono::{Datelike as _, Days, Weekday};
use chrono_tz::Tz;

use super::rule::Verdict;
use super::*;

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

/// The settings of an alert about the share of deployments that are delivered.
fn settings(text: &str) -> AlertSettings {
    let text = format!(
        "[[alerts]]\nname = 'a'\nquery = 'delivery-rate'\ncolumn = 'delivered_pct'\n{text}\n"
    );
    Config::read(&text).unwrap().alerts.remove(0)
}

/// The verdict about a bucket of an answer without groups.
fn judged(text: &str, step: Step, values: &[(&str, Option<f64>)], bucket: &str) -> Verdict {
    let rows = values.iter().map(|(day, value)| Row {
        bucket: date(day),
        group: Group::default(),
        value: *value,
        count: None,
    });
    let verdicts = Rule::of(&settings(text), step, true).judge(rows, date(bucket));
    assert_eq!(verdicts.len(), 1);
    verdicts[0].1
}

#[test]
fn limits_are_compared_with_the_value() {
    let state = |text: &str, value: Option<f64>| {
        let verdict = judged(text, Step::Day, &[("2026-11-27", value)], "2026-11-27");
        assert_eq!((verdict.value, verdict.expected), (value, Some(90.0)));
        assert_eq!((verdict.low, verdict.high), (None, None));
        verdict.state
    };
    for (text, value, expected) in [
        ("rule = 'below'\nvalue = 90", Some(89.9), AlertState::Fires),
        ("rule = 'below'\nvalue = 90", Some(90.0), AlertState::Ok),
        ("rule = 'above'\nvalue = 90", Some(90.1), AlertState::Fires),
        ("rule = 'above'\nvalue = 90", Some(90.0), AlertState::Ok),
        ("rule = 'above'\nvalue = 90", None, AlertState::Unknown),
    ] {
        assert_eq!(state(text, value), expected, "{text} {value:?}");
    }
}

#[test]
fn change_is_compared_with_the_bucket_before() {
    let week = |text: &str, before: Option<f64>, value: f64| {
        let values =
            [("2026-11-09", Some(1.0)), ("2026-11-16", before), ("2026-11-23", Some(value))];
        let text = format!("rule = 'change_pct'\nvalue = 10\n{text}");
        let verdict = judged(&text, Step::Week, &values, "2026-11-23");
        assert_eq!(verdict.expected, before);
        verdict.state
    };
    assert_eq!(week("", Some(80.0), 88.0), AlertState::Ok, "10 per cent are not more than 10");
    assert_eq!(week("", Some(80.0), 88.1), AlertState::Fires);
    assert_eq!(week("", Some(80.0), 71.9), AlertState::Fires);
    assert_eq!(week("", Some(-80.0), -71.9), AlertState::Fires);
    assert_eq!(week("direction = 'down'", Some(80.0), 88.1), AlertState::Ok);
    assert_eq!(week("direction = 'up'", Some(80.0), 88.1), AlertState::Fires);
    assert_eq!(week("min_change = 9", Some(80.0), 88.1), AlertState::Ok);
    assert_eq!(week("min_change = 8", Some(80.0), 88.1), AlertState::Fires);
    assert_eq!(week("", Some(0.0), 88.1), AlertState::Unknown);
    assert_eq!(week("", None, 88.1), AlertState::Unknown);
    // The month before, however long it is.
    let months = [("2026-02-01", Some(80.0)), ("2026-03-01", Some(60.0))];
    let month = judged("rule = 'change_pct'\nvalue = 10", Step::Month, &months, "2026-03-01");
    assert_eq!((month.expected, month.state), (Some(80.0), AlertState::Fires));
}

/// Thursdays before 2026-11-26, the latest first.
const THURSDAYS: [&str; 8] = [
    "2026-11-19",
    "2026-11-12",
    "2026-11-05",
    "2026-10-29",
    "2026-10-22",
    "2026-10-15",
    "2026-10-08",
    "2026-10-01",
];

#[test]
fn anomaly_is_far_from_the_median_of_the_same_weekday() {
    let usual = [95.1, 94.8, 95.0, 95.3, 94.9, 95.2, 95.0, 94.7];
    let thursday = |text: &str, value: f64| {
        let before = THURSDAYS.into_iter().zip(usual.map(Some));
        // Other weekdays, and a Thursday before those weeks, do not matter.
        let others = [("2026-11-25", Some(1.0)), ("2026-09-24", Some(1.0))];
        let values = before.chain(others).chain([("2026-11-26", Some(value))]);
        let text = format!("rule = 'anomaly'\nvalue = 4\n{text}");
        judged(&text, Step::Day, &values.collect::<Vec<_>>(), "2026-11-26")
    };
    let fall = thursday("", 62.5);
    assert_eq!((fall.value, fall.expected), (Some(62.5), Some(95.0)));
    assert_eq!(fall.state, AlertState::Fires);
    // 4 × 1.4826 × 0.15 = 0.88956
    let (low, high) = (fall.low.unwrap(), fall.high.unwrap());
    assert!((low - 94.11044).abs() < 1e-9 && (high - 95.88956).abs() < 1e-9, "{fall:?}");
    for (text, value, state) in [
        ("", 94.2, AlertState::Ok),
        ("", 94.0, AlertState::Fires),
        ("", 96.0, AlertState::Fires),
        ("direction = 'down'", 96.0, AlertState::Ok),
        ("direction = 'up'", 94.0, AlertState::Ok),
        ("min_change = 3", 94.0, AlertState::Ok),
        ("min_change = 3", 92.0, AlertState::Fires),
    ] {
        assert_eq!(thursday(text, value).state, state, "{text} {value}");
    }
}

#[test]
fn anomaly_is_unknown_with_too_few_values() {
    let thursday = |text: &str, before: usize, value: f64| {
        let known = |place: usize| if place < before { Some(95.0) } else { None };
        let values = THURSDAYS.into_iter().enumerate().map(|(place, day)| (day, known(place)));
        let values: Vec<_> = values.chain([("2026-11-26", Some(value))]).collect();
        let text = format!("rule = 'anomaly'\nvalue = 4\n{text}");
        judged(&text, Step::Day, &values, "2026-11-26")
    };
    let few = thursday("", 4, 60.0);
    assert_eq!((few.state, few.value), (AlertState::Unknown, Some(60.0)));
    assert_eq!((few.expected, few.low, few.high), (None, None, None));
    assert_eq!(thursday("min_points = 4", 4, 60.0).state, AlertState::Fires);
    assert_eq!(thursday("weeks = 5", 8, 60.0).state, AlertState::Fires);
    // Without any spread, each change fires, but not what floats lose.
    let all = thursday("", 8, 94.5);
    assert_eq!((all.state, all.low, all.high), (AlertState::Fires, Some(95.0), Some(95.0)));
    assert_eq!(thursday("", 8, 95.0).state, AlertState::Ok);
    assert_eq!(thursday("", 8, 95.0 - 1e-12).state, AlertState::Ok);
}

#[test]
fn missing_bucket_has_the_state_of_the_settings() {
    for (missing, state) in [
        ("", AlertState::Ok),
        ("missing = 'ok'", AlertState::Ok),
        ("missing = 'fires'", AlertState::Fires),
        ("missing = 'unknown'", AlertState::Unknown),
    ] {
        let text = format!("rule = 'below'\nvalue = 90\n{missing}");
        let verdict = judged(&text, Step::Day, &[("2026-11-26", Some(1.0))], "2026-11-27");
        assert_eq!((verdict.value, verdict.state), (None, state), "{missing}");
        // A row with a null is no missing row.
        let null = judged(&text, Step::Day, &[("2026-11-27", None)], "2026-11-27");
        assert_eq!(null.state, AlertState::Unknown);
        // Nor are rows needed.
        assert_eq!(judged(&text, Step::Day, &[], "2026-11-27").state, state);
    }
}

/// A row of a country.
fn row(day: NaiveDate, country: &str, value: Option<f64>, count: Option<f64>) -> Row {
    let text = Some(format!("country={country}"));
    let group = Group { text, values: vec![Some(country.to_owned())] };
    Row { bucket: day, group, value, count }
}

#[test]
fn groups_of_the_last_weeks_are_judged_in_the_order_of_their_texts() {
    let days = [
        ("MX", "2026-11-27"),
        ("CO", "2026-11-26"),
        ("AR", "2026-11-13"),
        ("BR", "2026-11-12"),
        ("CL", "2026-11-28"),
    ];
    let rows = days.map(|(country, day)| row(date(day), country, Some(1.0), None));
    let rule = Rule::of(&settings("rule = 'below'\nvalue = 2\nweeks = 2"), Step::Day, false);
    let judged = rule.judge(rows, date("2026-11-27"));
    let texts: Vec<_> = judged.iter().map(|(group, _)| group.text.as_deref().unwrap()).collect();
    assert_eq!(texts, ["country=AR", "country=CO", "country=MX"]);
    assert_eq!(judged[2].1.state, AlertState::Fires);
    assert_eq!(judged[0].1.state, AlertState::Ok, "no row is no value below");
    assert!(rule.judge([], date("2026-11-27")).is_empty());
    // A null and an empty text are two groups.
    let both = [None, Some(String::new())].map(|value| Row {
        group: Group { text: Some("country=".to_owned()), values: vec![value] },
        ..row(date("2026-11-27"), "", Some(1.0), None)
    });
    assert_eq!(rule.judge(both, date("2026-11-27")).len(), 2);
}

#[test]
fn judged_bucket_ended_some_days_ago() {
    let bucket = |text: &str, step: Step, now: &str, zone: Tz| {
        let rule = Rule::of(&settings(&format!("rule = 'below'\nvalue = 90\n{text}")), step, true);
        rule.bucket(now.parse().unwrap(), zone).to_string()
    };
    let night = "2026-11-30T03:15:00Z";
    assert_eq!(bucket("", Step::Day, night, Tz::UTC), "2026-11-27");
    assert_eq!(bucket("", Step::Day, "2026-11-30T00:00:00Z", Tz::UTC), "2026-11-27");
    assert_eq!(bucket("", Step::Day, "2026-11-29T23:59:59Z", Tz::UTC), "2026-11-26");
    assert_eq!(bucket("", Step::Day, night, Tz::America__Bogota), "2026-11-26");
    assert_eq!(bucket("mature_days = 0", Step::Day, night, Tz::UTC), "2026-11-29");
    assert_eq!(bucket("", Step::Week, night, Tz::UTC), "2026-11-16");
    assert_eq!(bucket("mature_days = 0", Step::Week, night, Tz::UTC), "2026-11-23");
    assert_eq!(bucket("", Step::Month, night, Tz::UTC), "2026-10-01");
    // 48 hours, with an hour of the clock skipped between them.
    let spring = |now| bucket("", Step::Day, now, Tz::Europe__Madrid);
    assert_eq!(spring("2026-03-30T23:00:00Z"), "2026-03-28");
    assert_eq!(spring("2026-03-30T22:00:00Z"), "2026-03-27");
}

#[test]
fn dates_reach_back_to_what_is_compared() {
    let dates = |text: &str, step: Step, is_whole: bool, bucket: &str| {
        let rule = Rule::of(&settings(text), step, is_whole);
        let (first, last) = rule.dates(date(bucket));
        format!("{first} {last}")
    };
    let limit = "rule = 'below'\nvalue = 90";
    assert_eq!(dates(limit, Step::Day, true, "2026-11-27"), "2026-11-27 2026-11-27");
    assert_eq!(dates(limit, Step::Day, false, "2026-11-27"), "2026-10-02 2026-11-27");
    assert_eq!(dates(limit, Step::Week, true, "2026-11-23"), "2026-11-23 2026-11-29");
    let change = "rule = 'change_pct'\nvalue = 10\nweeks = 1";
    assert_eq!(dates(change, Step::Month, true, "2026-03-01"), "2026-02-01 2026-03-31");
    let anomaly = "rule = 'anomaly'\nvalue = 4";
    assert_eq!(dates(anomaly, Step::Day, true, "2026-11-27"), "2026-10-02 2026-11-27");
}

/// Pseudo-random numbers: splitmix64.
struct Random(u64);

impl Random {
    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

/// Deployments of a country on a day, and how many of them are delivered in the end.
struct Sends {
    day: NaiveDate,
    country: &'static str,
    sent: u64,
    delivered: u64,
}

const DAYS: usize = 365;

/// Dates of 2025 on which hardly anything is sent, and much of that fails.
const HOLIDAYS: [&str; 10] = [
    "2025-03-24",
    "2025-04-17",
    "2025-04-18",
    "2025-05-01",
    "2025-06-02",
    "2025-07-07",
    "2025-08-18",
    "2025-10-13",
    "2025-11-03",
    "2025-12-25",
];

/// Days on which 30 points fewer are delivered. Three of them follow each other.
const FALLS: [(&str, &str); 7] = [
    ("2025-03-18", "CO"),
    ("2025-04-30", "MX"),
    ("2025-06-05", "CO"),
    ("2025-06-06", "CO"),
    ("2025-06-07", "CO"),
    ("2025-09-09", "MX"),
    ("2025-10-12", "CO"),
];

/// A day on which more is delivered than ever.
const RISE: (&str, &str) = ("2025-05-20", "MX");

/// A day on which nothing is sent.
const SILENT: &str = "2025-08-10";

/// A year of deployments: of two countries, with quiet weekends, and of one with 3 to 22 a day.
fn year() -> Vec<Sends> {
    let mut random = Random(1);
    let mut year = Vec::new();
    for day in date("2025-01-01").iter_days().take(DAYS) {
        let written = day.to_string();
        let is_holiday = HOLIDAYS.contains(&written.as_str());
        let is_weekend = matches!(day.weekday(), Weekday::Sat | Weekday::Sun);
        for (country, on_weekdays, on_weekends, per_mille) in
            [("CO", 1_200, 300, 950), ("MX", 800, 250, 900), ("PA", 3, 3, 920)]
        {
            let is_small = country == "PA";
            let sent = match (is_small, is_holiday, is_weekend) {
                (true, ..) => on_weekdays + random.draw() % 20,
                (_, true, _) => 12 + random.draw() % 30,
                (_, _, true) => on_weekends + random.draw() % 50,
                _ => on_weekdays + random.draw() % 50,
            };
            let place = (written.as_str(), country);
            let per_mille = if FALLS.contains(&place) {
                per_mille - 300
            } else if place == RISE {
                995
            } else if is_holiday {
                600
            } else {
                per_mille
            };
            let delivered = (0..sent).filter(|_| random.draw() % 1_000 < per_mille).count() as u64;
            if written != SILENT {
                year.push(Sends { day, country, sent, delivered });
            }
        }
    }
    year
}

/// What a year of nights judged.
#[derive(Debug, Default)]
struct Nights {
    fires: BTreeSet<(String, String)>,
    ok: usize,
    unknown: usize,
}

/// Judges each day of the year once, in a night that knows what had arrived by then: 60 % of the news of
/// yesterday's deliveries, 90 % of those of the day before, all older ones.
fn nights(year: &[Sends], text: &str) -> Nights {
    let settings = settings(&format!("rule = 'anomaly'\nvalue = 4\n{text}"));
    let rule = Rule::of(&settings, Step::Day, false);
    let mut judged = Nights::default();
    let first = date("2025-01-01") + Days::new(1 + u64::from(settings.mature_days.unwrap_or(2)));
    for night in first.iter_days().take(DAYS) {
        let now = night.and_hms_opt(3, 15, 0).unwrap().and_utc();
        let bucket = rule.bucket(now, Tz::UTC);
        let (from, to) = rule.dates(bucket);
        let rows = year.iter().filter(|sends| (from..=to).contains(&sends.day)).map(|sends| {
            let known = match (night - sends.day).num_days() {
                1 => sends.delivered * 6 / 10,
                2 => sends.delivered * 9 / 10,
                _ => sends.delivered,
            };
            let (known, sent) = (known as f64, sends.sent as f64);
            row(sends.day, sends.country, Some(100.0 * known / sent), Some(sent))
        });
        for (group, verdict) in rule.judge(rows, bucket) {
            let country = group.values[0].clone().unwrap();
            match verdict.state {
                AlertState::Ok => judged.ok += 1,
                AlertState::Unknown => judged.unknown += 1,
                AlertState::Fires => {
                    judged.fires.insert((bucket.to_string(), country));
                }
            }
        }
    }
    judged
}

/// Of 365 days of three countries, 1,095 judgements:
///
/// | days | state |
/// |---|---|
/// | 7 falls | fires |
/// | 364 of the small country, 20 holidays of the others, 2 × 35 days with fewer than five weeks before | unknown |
/// | 3 without deployments | ok: `missing` |
/// | 631 others, the rise among them | ok |
#[test]
fn planted_falls_of_a_year_fire_and_nothing_else_does() {
    let year = year();
    let careful = "direction = 'down'\nmin_change = 8\n\
                   min_count = { column = 'deployments', value = 100 }";
    let owned = |(day, country): (&str, &str)| (day.to_owned(), country.to_owned());
    let falls = BTreeSet::from(FALLS.map(owned));

    let found = nights(&year, careful);
    assert_eq!(found.fires, falls);
    assert_eq!((found.ok, found.unknown), (634, 364 + 20 + 70));

    // Both directions: the rise fires too.
    let both = nights(&year, &careful.replace("'down'", "'any'"));
    let with_rise: BTreeSet<_> = falls.iter().cloned().chain([owned(RISE)]).collect();
    assert_eq!(both.fires, with_rise);

    // Judged before the news has arrived, every day that can be judged is a fall.
    let early = nights(&year, &format!("{careful}\nmature_days = 0"));
    assert_eq!(early.fires.len(), 2 * (365 - 35 - 10 - 1));
    assert_eq!((early.ok, early.unknown), (3, found.unknown));

    // Without a least count, days of few deployments fire by chance, and holidays.
    let small = nights(&year, "direction = 'down'\nmin_change = 8");
    assert!(small.fires.is_superset(&falls) && small.unknown == 3 * 35);
    assert!(small.fires.iter().any(|(_, country)| country == "PA"), "{:?}", small.fires);
    assert!(small.fires.contains(&owned(("2025-12-25", "CO"))), "{:?}", small.fires);

    // Without a least change, what happens once in a hundred days fires.
    let nervous = nights(&year, &careful.replace("min_change = 8", "min_change = 0"));
    assert!(nervous.fires.is_superset(&falls) && nervous.fires.len() > falls.len());
}

/// The alerts of a settings file that defines one.
fn alerts(text: &str) -> Result<Vec<Alert>> {
    Alert::all(&Config::read(&format!("[[alerts]]\n{text}")).unwrap())
}

#[test]
fn settings_that_cannot_be_judged_are_refused() {
    let rate = "name = 'a'\nquery = 'delivery-rate'\ncolumn = 'delivered_pct'\n";
    let below = format!("{rate}rule = 'below'\nvalue = 90\n");
    assert_eq!(alerts(&below).unwrap().len(), 1);
    for (text, reason) in [
        (below.replace("delivery-rate", "delivery-rat"), "did you mean `delivery-rate`?"),
        (below.replace("'a'", "' '"), "alert ` `: it has no name"),
        (format!("{below}[[alerts]]\n{below}"), "there are two alerts `a`"),
        (below.replace("delivered_pct", "deliverd_pct"), "did you mean `delivered_pct`?"),
        (format!("{below}params.bi = 'day'"), "`delivery-rate` has no option `bi`"),
        (format!("{below}params.by = ['country']"), "not by one of day, week and month"),
        (format!("{below}params.by = ['day', 'week']"), "not by one of day, week and month"),
        (format!("{below}params.by = ['day', 'hour']"), "not by one of day, week and month"),
        (
            format!("{}params.by = ['day', 'country']", below.replace("delivered_pct", "country")),
            "its column `country` is no number",
        ),
        (
            format!("{below}min_count = {{ column = 'deployment', value = 5 }}"),
            "did you mean `deployments`?",
        ),
        (format!("{below}direction = 'up'"), "the rule `below` has no `direction`"),
        (format!("{below}min_change = 1"), "the rule `below` has no `min_change`"),
        (format!("{below}min_points = 1"), "the rule `below` has no `min_points`"),
        (
            format!("{rate}rule = 'change_pct'\nvalue = 5\nmin_points = 5"),
            "the rule `change_pct` has no `min_points`",
        ),
        (format!("{rate}rule = 'change_pct'\nvalue = -5"), "the rule `change_pct` is negative"),
        (
            format!("{rate}rule = 'anomaly'\nvalue = 4\nparams.by = ['week']"),
            "the rule `anomaly` compares days",
        ),
        (
            format!("{rate}rule = 'anomaly'\nvalue = 4\nweeks = 4"),
            "there are never 5 points in 4 weeks\n  hint: write min_points = 4, or less, or more weeks",
        ),
        (
            "name = 'a'\nquery = 'conversation-users'\ncolumn = 'x'\nrule = 'below'\nvalue = 1"
                .to_owned(),
            "the column `user_phone` of its answer names people",
        ),
        (
            format!("{below}params.people = true"),
            "names people\n  hint: choose a query, or options, that name nobody",
        ),
    ] {
        let lines = alerts(&text).unwrap_err().lines();
        assert!(lines.contains(reason), "{text}: {lines}");
    }
}
