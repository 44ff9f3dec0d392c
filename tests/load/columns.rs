//! Generated columns of dates and amounts are read right, or are refused as ambiguous.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use chrono::NaiveDate;
use proptest::prelude::*;
use proptest::sample::select;
use wabalake::load::Options;
use wabalake_data::cells::{DateOrder, DecimalMark};
use wabalake_data::tables::{ad_spend, conversions};

use super::dates_and_amounts::{load_with, pairs, worth};
use crate::support::Bench;

/// A date in some order, with or without leading zeros.
fn written(date: NaiveDate, order: DateOrder, sign: char, padded: bool) -> String {
    let (day, month, year) = match padded {
        true => (date.format("%d"), date.format("%m"), date.format("%Y")),
        false => (date.format("%-d"), date.format("%-m"), date.format("%Y")),
    };
    match order {
        DateOrder::DayFirst => format!("{day}{sign}{month}{sign}{year}"),
        DateOrder::MonthFirst => format!("{month}{sign}{day}{sign}{year}"),
        DateOrder::YearFirst => format!("{year}{sign}{month}{sign}{day}"),
    }
}

/// Days of the year. In some sets, the day and the month of all dates are equal, so that any order of the two
/// fits.
fn days() -> impl Strategy<Value = BTreeSet<u64>> {
    let first = NaiveDate::from_ymd_opt(2025, 1, 1).unwrap();
    let equal = (1..=12).map(|n| NaiveDate::from_ymd_opt(2025, n, n).unwrap() - first);
    let equal: Vec<u64> = equal.map(|days| days.num_days().unsigned_abs()).collect();
    prop_oneof![
        3 => prop::collection::btree_set(0u64..365, 1..12),
        1 => prop::collection::btree_set(select(equal), 1..5),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20, ..ProptestConfig::default() })]

    /// A column of dates in one order is read right if one of them fits that order only, fails
    /// otherwise, and is read once the order is given.
    #[test]
    fn dates_are_all_right_or_ambiguous(
        days in days(),
        order in select(vec![DateOrder::DayFirst, DateOrder::MonthFirst, DateOrder::YearFirst]),
        sign in select(vec!['/', '.', '-']),
        padded in any::<bool>(),
        shuffle in any::<u64>(),
    ) {
        use chrono::Datelike as _;
        let dates: Vec<NaiveDate> = days
            .iter()
            .map(|day| NaiveDate::from_ymd_opt(2025, 1, 1).unwrap() + chrono::Days::new(*day))
            .collect();
        let mut rows: Vec<String> = dates
            .iter()
            .zip(100..)
            .map(|(date, n)| format!("{},{n},1\n", written(*date, order, sign, padded)))
            .collect();
        let shift = usize::try_from(shuffle % 12).unwrap() % rows.len();
        rows.rotate_left(shift);
        let text = format!("day,ad_id,spend\n{}", rows.concat());
        let expected: Vec<_> =
            dates.iter().zip(100..).map(|(date, n)| (n.to_string(), date.to_string())).collect();
        let is_clear = order == DateOrder::YearFirst
            || dates.iter().any(|date| date.day() > 12)
            || dates.iter().all(|date| date.day() == date.month());

        let bench = Bench::new();
        let read = load_with(&bench, "a.csv", &text, &Options::default());
        prop_assert_eq!(read.is_ok(), is_clear, "{}", text);
        if is_clear {
            prop_assert_eq!(pairs(&bench, &ad_spend::TABLE, ["ad_id", "day"]), expected.clone());
        }
        let bench = Bench::new();
        let said = Options { date_order: Some(order), ..Options::default() };
        load_with(&bench, "a.csv", &text, &said).unwrap();
        prop_assert_eq!(pairs(&bench, &ad_spend::TABLE, ["ad_id", "day"]), expected);
    }

    /// A column of amounts: one that cannot be thousands decides the decimal mark of all.
    #[test]
    fn amounts_are_all_right_or_ambiguous(
        cents in prop::collection::vec(0i64..1_000_000_000, 1..8),
        decimals in 0usize..=3,
        mark in select(vec![DecimalMark::Point, DecimalMark::Comma]),
        grouped in any::<bool>(),
    ) {
        let (sign, between) = if mark == DecimalMark::Point { (".", ",") } else { (",", ".") };
        let scale = 10i64.pow(u32::try_from(decimals).unwrap());
        let amount = |cents: &i64| {
            let (whole, rest) = ((cents / scale).to_string(), cents % scale);
            let mut text = String::new();
            for (at, digit) in whole.chars().enumerate() {
                if grouped && at > 0 && (whole.len() - at).is_multiple_of(3) {
                    text.push_str(between);
                }
                text.push(digit);
            }
            if decimals > 0 {
                let _ = write!(text, "{sign}{rest:0decimals$}");
            }
            text
        };
        let texts: Vec<String> = cents.iter().map(amount).collect();
        // Ambiguous: one mark, three digits after it, one to three before it without a leading
        // zero.
        let is_open = |text: &&String| {
            let mut parts = text.split(['.', ',']);
            let (Some(first), Some(second), None) = (parts.next(), parts.next(), parts.next()) else {
                return false;
            };
            second.len() == 3 && first.len() <= 3 && !first.starts_with('0')
        };
        let says = |text: &&String| text.contains(['.', ',']) && !is_open(text);
        let is_clear = texts.iter().any(|text| says(&text)) || !texts.iter().any(|text| is_open(&text));
        let text = worth(&texts.iter().map(String::as_str).collect::<Vec<_>>());
        let expected: Vec<_> = cents
            .iter()
            .zip(1..)
            .map(|(cents, n)| {
                let millionths = i128::from(*cents) * 1_000_000 / i128::from(scale);
                let (whole, rest) = (millionths / 1_000_000, millionths % 1_000_000);
                (format!("c{n}"), format!("{whole}.{rest:06}"))
            })
            .collect();

        let bench = Bench::new();
        let read = load_with(&bench, "a.csv", &text, &Options::default());
        prop_assert_eq!(read.is_ok(), is_clear, "{}", text);
        if is_clear {
            prop_assert_eq!(pairs(&bench, &conversions::TABLE, ["conversion_id", "value"]), expected.clone());
        }
        let bench = Bench::new();
        let said = Options { decimal: Some(mark), ..Options::default() };
        load_with(&bench, "a.csv", &text, &said).unwrap();
        prop_assert_eq!(pairs(&bench, &conversions::TABLE, ["conversion_id", "value"]), expected);
    }
}
