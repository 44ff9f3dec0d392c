//! Formats numbers, amounts and dates for a reader.

use chrono::NaiveDate;
use wabalake_data::words::{grouped, in_threes, whole_duration};
use wabalake_queries::query::statistics::{self, Bound};

/// Stands for a missing value.
pub(super) const NOTHING: &str = "–";

/// The unit of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// A count.
    Count,
    /// A percentage, 0 to 100.
    Percent,
    /// A duration in seconds.
    Seconds,
    /// A number with two decimals.
    Number,
    /// A difference of percentages, with its sign.
    Points,
    /// A price: two decimals, and up to four of one below 1.
    Price,
}

impl Unit {
    pub(super) fn show(self, figure: Option<f64>) -> String {
        let Some(figure) = figure.filter(|figure| figure.is_finite()) else {
            return NOTHING.to_owned();
        };
        match self {
            Self::Count => count(figure),
            Self::Percent => format!("{figure:.1} %"),
            Self::Seconds => seconds(figure),
            Self::Number => {
                let (sign, size) = (if figure < 0.0 { "-" } else { "" }, figure.abs());
                let hundredths = (size * 100.0).round();
                let whole = (hundredths / 100.0).floor();
                format!("{sign}{}.{:02.0}", count(whole), hundredths - whole * 100.0)
            }
            Self::Points => points(figure),
            Self::Price => price(figure),
        }
    }

    /// Formats the end of an axis, which is a round number.
    pub(super) fn show_end(self, figure: f64) -> String {
        match self {
            Self::Percent => format!("{figure} %"),
            Self::Seconds if figure % 86_400.0 == 0.0 => format!("{} d", figure / 86_400.0),
            Self::Seconds if figure % 3_600.0 == 0.0 => format!("{} h", figure / 3_600.0),
            Self::Seconds if figure % 60.0 == 0.0 => format!("{} min", figure / 60.0),
            unit => unit.show(Some(figure)),
        }
    }

    /// The end of an axis for values up to `most`. Its middle is a round number too.
    pub(super) fn axis(self, most: f64) -> f64 {
        const DAY: f64 = 86_400.0;
        const SECONDS: [f64; 14] = [
            10.0, 20.0, 60.0, 120.0, 240.0, 600.0, 1_200.0, 1_800.0, 3_600.0, 7_200.0, 14_400.0,
            28_800.0, 43_200.0, DAY,
        ];
        let round_in = |unit: f64| {
            let power = unit * 10f64.powf((most / unit).max(1.0).log10().floor());
            let steps = [1.0, 2.0, 4.0, 6.0, 8.0, 10.0];
            steps.into_iter().map(|step| step * power).find(|end| *end >= most).unwrap_or(most)
        };
        let round = || round_in(1.0);
        match self {
            Self::Percent => round().min(100.0),
            Self::Seconds => {
                SECONDS.into_iter().find(|end| *end >= most).unwrap_or_else(|| round_in(DAY))
            }
            Self::Count if most <= 2.0 => 2.0,
            Self::Count | Self::Number | Self::Points | Self::Price => round(),
        }
    }
}

fn count(figure: f64) -> String {
    let sign = if figure <= -0.5 { "-" } else { "" };
    format!("{sign}{}", grouped(whole(figure)))
}

/// The size of a count, as a whole number.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of rows")]
pub(super) fn whole(figure: f64) -> u64 {
    figure.abs().round() as u64
}

fn points(figure: f64) -> String {
    let tenths = (figure * 10.0).round() / 10.0;
    if tenths == 0.0 { "0.0".to_owned() } else { format!("{tenths:+.1}") }
}

fn price(figure: f64) -> String {
    if figure.abs() >= 1.0 {
        return Unit::Number.show(Some(figure));
    }
    let exact = format!("{figure:.4}");
    let needed = exact.trim_end_matches('0').len().max(exact.len() - 2);
    exact[..needed].to_owned()
}

/// A price with its currency, if it is known.
pub(super) fn show_price(price: Option<f64>, currency: Option<&str>) -> String {
    let shown = Unit::Price.show(price);
    match currency.filter(|_| price.is_some()) {
        Some(currency) => format!("{shown} {currency}"),
        None => shown,
    }
}

/// An amount in millionths, rounded to hundredths: `-1234567890000` as `-1,234,567.89`.
pub(super) fn money(millionths: i128) -> String {
    let hundredths = (millionths.unsigned_abs() + 5_000) / 10_000;
    let sign = if millionths < 0 && hundredths > 0 { "-" } else { "" };
    let whole = in_threes(&(hundredths / 100).to_string());
    format!("{sign}{whole}.{:02}", hundredths % 100)
}

/// `7380` as `2h 03m`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "years fit")]
fn seconds(figure: f64) -> String {
    let (sign, whole) = (if figure <= -0.5 { "-" } else { "" }, figure.abs().round() as u64);
    format!("{sign}{}", whole_duration(whole))
}

/// `blocked_or_outdated` as `Blocked or outdated`.
pub(super) fn label(name: &str) -> String {
    let spaced = name.replace(['_', '-'], " ");
    let mut letters = spaced.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => NOTHING.to_owned(),
    }
}

/// `6 May`.
pub(super) fn short(date: NaiveDate) -> String {
    date.format("%-d %b").to_string()
}

/// `6 May 2025`.
pub(super) fn long(date: NaiveDate) -> String {
    date.format("%-d %B %Y").to_string()
}

/// The Wilson 95 % confidence interval of a share, in per cent; `None` if `whole` is 0.
pub(super) fn wilson(part: f64, whole: f64) -> Option<(f64, f64)> {
    let end = |bound| statistics::wilson(part, whole, bound).map(|end| 100.0 * end);
    end(Bound::Low).zip(end(Bound::High))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_formatted_by_unit() {
        for (unit, figure, shown) in [
            (Unit::Count, 1_234_567.0, "1,234,567"),
            (Unit::Count, -12.0, "-12"),
            (Unit::Percent, 100.0 / 3.0, "33.3 %"),
            (Unit::Seconds, 59.4, "59s"),
            (Unit::Seconds, 125.0, "2m 05s"),
            (Unit::Seconds, 7_500.0, "2h 05m"),
            (Unit::Seconds, 90_000.0, "1d 01h"),
            (Unit::Number, 1_234.567, "1,234.57"),
            (Unit::Number, 0.999, "1.00"),
            (Unit::Number, -0.5, "-0.50"),
            (Unit::Number, f64::NAN, "–"),
            (Unit::Points, 2.25, "+2.3"),
            (Unit::Points, -12.5, "-12.5"),
            (Unit::Points, -0.04, "0.0"),
            (Unit::Price, 1_234.5, "1,234.50"),
            (Unit::Price, 0.0432, "0.0432"),
            (Unit::Price, 0.1, "0.10"),
            (Unit::Price, 0.999_99, "1.00"),
            (Unit::Price, 0.0, "0.00"),
        ] {
            assert_eq!(unit.show(Some(figure)), shown);
        }
        assert_eq!(Unit::Count.show(None), "–");
        assert_eq!(label("blocked_or_outdated"), "Blocked or outdated");
    }

    #[test]
    fn amounts_are_exact_to_the_hundredth() {
        for (millionths, shown) in [
            (0, "0.00"),
            (-4_999, "0.00"),
            (-5_000, "-0.01"),
            (1_234_567_890_000, "1,234,567.89"),
            (i128::MIN, "-170,141,183,460,469,231,731,687,303,715,884.11"),
        ] {
            assert_eq!(money(millionths), shown);
        }
    }

    #[test]
    fn axes_end_on_round_numbers() {
        for (unit, most, end) in [
            (Unit::Count, 0.0, 2.0),
            (Unit::Count, 7.0, 8.0),
            (Unit::Count, 1_100.0, 2_000.0),
            (Unit::Percent, 97.0, 100.0),
            (Unit::Percent, 3.0, 4.0),
            (Unit::Seconds, 700.0, 1_200.0),
            (Unit::Seconds, 400_000.0, 518_400.0),
        ] {
            assert_eq!(unit.axis(most), end, "{most}");
        }
    }

    /// Of 10 in 50, computed independently.
    #[test]
    fn wilson_interval() {
        let (low, high) = wilson(10.0, 50.0).unwrap();
        assert!((low - 11.243_750).abs() < 1e-6 && (high - 33.037_106).abs() < 1e-6);
        assert_eq!(wilson(0.0, 0.0), None);
        assert_eq!(wilson(0.0, 5.0).unwrap().0, 0.0);
    }
}
