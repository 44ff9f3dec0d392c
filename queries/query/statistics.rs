//! Statistics: confidence intervals, significance of a difference, and projections of what is not final.
//!
//! - [`wilson`], the interval of a proportion: E. B. Wilson, *Probable inference, the law of succession, and
//!   statistical inference*, Journal of the American Statistical Association 22 (1927), 209–212.
//! - [`newcombe`], the interval of a difference of proportions: R. G. Newcombe, *Interval estimation for the
//!   difference between independent proportions: comparison of eleven methods*, Statistics in Medicine 17 (1998),
//!   873–890, method 10.
//! - [`z_test`], the significance of a difference: the pooled z test without continuity correction, as in
//!   J. L. Fleiss, *Statistical Methods for Rates and Proportions*.
//! - [`always_valid_p`], the significance of a difference that is looked at again and again: the sequential
//!   probability ratio test with a normal mixture: R. Johari, P. Koomen, L. Pekelis and D. Walsh, *Peeking at A/B
//!   tests: why it matters, and what to do about it*, Proceedings of KDD 2017, 1517–1525.
//! - [`erfc`]: M. Abramowitz and I. A. Stegun, *Handbook of Mathematical Functions*, 7.1.6 and 7.1.14.
//! - [`projected_pct`], what a cohort reaches in the end: the chain ladder of insurers, with one factor from an age
//!   to the end: T. Mack, *Distribution-free calculation of the standard error of chain ladder reserve
//!   estimates*, ASTIN Bulletin 23 (1993), 213–225.
//! - [`median_and_deviation`], a usual value and how far values are from it, whatever a few of them are: the median
//!   and the median absolute deviation: F. R. Hampel, *The influence curve and its role in robust estimation*, Journal
//!   of the American Statistical Association 69 (1974), 383–393.
//!
//! Intervals have 95 % confidence. A statistic is an expression of Polars and, under a name with `_sql`, an
//! expression of SQL that a query fills into a slot of its twin.

use polars::prelude::{
    Column, DataType, Expr, Field, Float64Chunked, IntoColumn, NewChunkedArray, PolarsResult,
};

/// The standard normal distribution has 95 % of its mass within so many standard deviations.
const Z: f64 = 1.959_963_984_540_054;

/// A bound of a confidence interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// The lower bound.
    Low,
    /// The upper bound.
    High,
}

impl Bound {
    /// The other bound.
    const fn opposite(self) -> Self {
        match self {
            Self::Low => Self::High,
            Self::High => Self::Low,
        }
    }

    /// The sign before the half width of an interval.
    const fn sign(self) -> char {
        match self {
            Self::Low => '-',
            Self::High => '+',
        }
    }
}

/// A bound of the 95 % confidence interval of a proportion, in percent, by Wilson's score; null if the
/// whole is 0.
pub fn wilson_pct(part: Expr, whole: Expr, bound: Bound) -> Expr {
    of_counts(part, [whole], move |part, [whole]| wilson(part, whole, bound).map(|p| p * 100.0))
}

/// [`wilson_pct`] in SQL, of columns or other expressions without operators.
pub fn wilson_pct_sql(part: &str, whole: &str, bound: Bound) -> String {
    let end = wilson_sql(part, whole, bound);
    format!("CASE WHEN {whole} > 0 THEN 100E0 * {end} END")
}

/// A bound of the 95 % confidence interval of a difference of proportions, in points, by Newcombe: of `part` of
/// `whole` less `other_part` of `other_whole`. Null if either whole is 0.
pub fn newcombe_points(
    [part, whole]: [Expr; 2],
    [other_part, other_whole]: [Expr; 2],
    bound: Bound,
) -> Expr {
    of_counts(part, [whole, other_part, other_whole], move |part, [whole, other, of]| {
        newcombe([part, whole], [other, of], bound).map(|difference| difference * 100.0)
    })
}

/// [`newcombe_points`] in SQL, of columns or other expressions without operators.
pub fn newcombe_points_sql(
    [part, whole]: [&str; 2],
    [other_part, other_whole]: [&str; 2],
    bound: Bound,
) -> String {
    let share = |part: &str, whole: &str| format!("CAST({part} AS DOUBLE) / nullif({whole}, 0)");
    let (one, other) = (share(part, whole), share(other_part, other_whole));
    let sign = bound.sign();
    let own = wilson_sql(part, whole, bound);
    let opposite = wilson_sql(other_part, other_whole, bound.opposite());
    format!(
        "CASE
        WHEN {whole} > 0 AND {other_whole} > 0
        THEN 100E0 * ({one} - {other} {sign} sqrt(
            power({one} - {own}, 2)
            + power({other} - {opposite}, 2)
        ))
    END"
    )
}

/// The share of a cohort that has an outcome in the end, in percent, by the chain ladder: `[within, starts]` are
/// the outcomes of the cohort up to some age and its size, `[reported, history]` those of earlier cohorts up to
/// that age and in the end. At most 100; null if a divisor is 0.
///
/// ```text
/// history: 4 outcomes, 2 of them up to this age        half are still to come
/// cohort:  3 outcomes of 10 up to this age             6 of 10 in the end
/// ```
pub fn projected_pct([within, starts]: [Expr; 2], [reported, history]: [Expr; 2]) -> Expr {
    of_counts(within, [starts, reported, history], |within, [starts, reported, history]| {
        let divisor = reported * starts;
        (divisor > 0.0).then(|| (100.0 * within * history / divisor).min(100.0))
    })
}

/// A bound of [`projected_pct`]: the projection with the opposite bound of what earlier cohorts had reported.
pub fn projected_bound_pct(
    [within, starts]: [Expr; 2],
    [reported, history]: [Expr; 2],
    bound: Bound,
) -> Expr {
    of_counts(within, [starts, reported, history], move |within, [starts, reported, history]| {
        if starts == 0.0 || reported == 0.0 {
            return None;
        }
        let completeness = wilson(reported, history, bound.opposite())?;
        Some((100.0 * within / (completeness * starts)).min(100.0))
    })
}

/// The p-value of the difference of two proportions: the two-sided pooled z test without continuity
/// correction. Null if either whole is 0, and if none or all of both wholes are in the part.
pub fn difference_p(part: Expr, whole: Expr, other_part: Expr, other_whole: Expr) -> Expr {
    of_counts(part, [whole, other_part, other_whole], |part, [whole, other, of]| {
        z_test([part, whole], [other, of])
    })
}

/// A bound of Wilson's score interval, 0 to 1.
///
/// ```
/// use wabalake_queries::query::statistics::{Bound, wilson};
/// let high = wilson(0.0, 10.0, Bound::High).unwrap();
/// assert_eq!(wilson(0.0, 10.0, Bound::Low), Some(0.0));
/// assert!((high - 0.277_532_799_863).abs() < 1e-12);
/// ```
pub fn wilson(part: f64, whole: f64, bound: Bound) -> Option<f64> {
    if whole == 0.0 {
        return None;
    }
    let (square, rest) = (Z * Z, whole - part);
    let half = Z * (square + 4.0 * part * rest / whole).sqrt();
    let middle = 2.0 * part + square;
    let end = if bound == Bound::Low { middle - half } else { middle + half };
    Some((end / (2.0 * (whole + square))).clamp(0.0, 1.0))
}

/// [`wilson`] in SQL. Where the whole is 0, it is not null.
fn wilson_sql(part: &str, whole: &str, bound: Bound) -> String {
    let (part, whole) =
        (format!("CAST({part} AS DOUBLE)"), format!("CAST(nullif({whole}, 0) AS DOUBLE)"));
    let (square, sign) = (Z * Z, bound.sign());
    format!(
        "greatest(0E0, least(1E0, (2E0 * {part} + {square}E0 {sign} {Z}E0 * sqrt(
                {square}E0 + 4E0 * {part} * ({whole} - {part}) / {whole}
            )) / (2E0 * ({whole} + {square}E0))))"
    )
}

/// A bound of Newcombe's interval of a difference of two proportions, each given by a part and a whole, from
/// -1 to 1. Half of its width joins the distances of both proportions from their own bounds, by [`wilson`].
///
/// ```
/// use wabalake_queries::query::statistics::{Bound, newcombe};
/// let low = newcombe([56.0, 70.0], [48.0, 80.0], Bound::Low).unwrap();
/// assert!((low - 0.052_431_472_402_364_98).abs() < 1e-12);
/// assert_eq!(newcombe([56.0, 70.0], [0.0, 0.0], Bound::Low), None);
/// ```
pub fn newcombe([part, whole]: [f64; 2], [other, of]: [f64; 2], bound: Bound) -> Option<f64> {
    let own = part / whole - wilson(part, whole, bound)?;
    let opposite = other / of - wilson(other, of, bound.opposite())?;
    // Not by `hypot`, whose last bit is not the same on every machine.
    let half = (own * own + opposite * opposite).sqrt();
    let difference = part / whole - other / of;
    Some(if bound == Bound::Low { difference - half } else { difference + half })
}

/// The p-value of two proportions, each given by a part and a whole.
///
/// ```
/// use wabalake_queries::query::statistics::z_test;
/// let p = z_test([15.0, 100.0], [30.0, 100.0]).unwrap();
/// assert!((p - 0.011_085_166_38).abs() < 1e-12);
/// assert_eq!(z_test([0.0, 3.0], [0.0, 5.0]), None);
/// ```
pub fn z_test([part, whole]: [f64; 2], [other, of]: [f64; 2]) -> Option<f64> {
    if whole == 0.0 || of == 0.0 {
        return None;
    }
    let pooled = (part + other) / (whole + of);
    if pooled == 0.0 || pooled == 1.0 {
        return None;
    }
    let deviation = (pooled * (1.0 - pooled) * (1.0 / whole + 1.0 / of)).sqrt();
    let z = (part / whole - other / of).abs() / deviation;
    Some(erfc(z / std::f64::consts::SQRT_2))
}

/// The p-value of a part of a whole against the share that was expected of it, between 0 and 1: the two-sided z
/// test. `None` without a whole.
///
/// ```
/// use wabalake_queries::query::statistics::share_p;
/// let p = share_p([60.0, 100.0], 0.5).unwrap();
/// assert!((p - 0.045_500_263_896_358_41).abs() < 1e-12);
/// assert_eq!(share_p([0.0, 0.0], 0.5), None);
/// ```
pub fn share_p([part, whole]: [f64; 2], share: f64) -> Option<f64> {
    let deviation = (whole * share * (1.0 - share)).sqrt();
    let z = (part - whole * share).abs() / deviation;
    (whole > 0.0).then(|| erfc(z / std::f64::consts::SQRT_2))
}

/// The p-value of two proportions, each given by a part and a whole, that holds however often one looks and
/// whenever one stops: the inverse of a mixture of likelihood ratios, at most 1. The differences of the mixture
/// are normal around 0, with the standard deviation `mixture_sd`, above 0.
///
/// `None` if either whole is 0, or if each proportion is 0 or 1, which have no variance.
///
/// ```
/// use wabalake_queries::query::statistics::always_valid_p;
/// let p = always_valid_p([150.0, 1000.0], [100.0, 1000.0], 0.02).unwrap();
/// assert!((p - 0.040_717_600_722_897).abs() < 1e-12);
/// assert_eq!(always_valid_p([3.0, 3.0], [0.0, 5.0], 0.02), None);
/// ```
pub fn always_valid_p(
    [part, whole]: [f64; 2],
    [other, of]: [f64; 2],
    mixture_sd: f64,
) -> Option<f64> {
    if whole == 0.0 || of == 0.0 {
        return None;
    }
    let (rate, other_rate) = (part / whole, other / of);
    let variance = rate * (1.0 - rate) / whole + other_rate * (1.0 - other_rate) / of;
    if variance == 0.0 {
        return None;
    }
    let (difference, mixed) = (rate - other_rate, mixture_sd * mixture_sd);
    let together = variance + mixed;
    let exponent = mixed * difference * difference / (2.0 * variance * together);
    let ratio = (variance / together).sqrt() * exponent.exp();
    Some((1.0 / ratio).min(1.0))
}

/// A standard deviation is so many median absolute deviations, if values are distributed normally.
const DEVIATIONS: f64 = 1.4826;

/// The median of numbers, of an even count the mean of both in the middle, and the standard deviation by their
/// median absolute deviation. `None` without numbers.
///
/// ```
/// use wabalake_queries::query::statistics::median_and_deviation;
/// // Distances from the median: 0, 1, 1, 2 and 90.
/// let (median, deviation) = median_and_deviation(&[9.0, 10.0, 100.0, 11.0, 8.0]).unwrap();
/// assert_eq!((median, deviation), (10.0, 1.4826));
/// assert_eq!(median_and_deviation(&[1.0, 2.0, 2.0, 4.0]), Some((2.0, 0.7413)));
/// assert_eq!(median_and_deviation(&[]), None);
/// ```
pub fn median_and_deviation(numbers: &[f64]) -> Option<(f64, f64)> {
    let usual = median(numbers)?;
    let distances: Vec<f64> = numbers.iter().map(|number| (number - usual).abs()).collect();
    Some((usual, DEVIATIONS * median(&distances)?))
}

fn median(numbers: &[f64]) -> Option<f64> {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    Some(if sorted.len().is_multiple_of(2) {
        f64::midpoint(sorted[middle - 1], upper)
    } else {
        upper
    })
}

/// The complementary error function, for numbers from 0 on.
///
/// ```
/// use wabalake_queries::query::statistics::erfc;
/// assert_eq!(erfc(0.0), 1.0);
/// assert!((erfc(1.0) / 0.157_299_207_050_285_13 - 1.0).abs() < 1e-14);
/// assert!((erfc(5.0) / 1.537_459_794_428_034_8e-12 - 1.0).abs() < 1e-13);
/// ```
pub fn erfc(x: f64) -> f64 {
    let density = (-x * x).exp() / std::f64::consts::PI.sqrt();
    if x < 2.0 {
        // The series Σ 2ⁿ x²ⁿ⁺¹ / (1 · 3 · … · (2n + 1)), which has no cancellation.
        let (mut term, mut sum, mut n) = (x, x, 1.0);
        while term > sum * f64::EPSILON / 4.0 {
            term *= 2.0 * x * x / (2.0 * n + 1.0);
            sum += term;
            n += 1.0;
        }
        1.0 - 2.0 * density * sum
    } else {
        // The continued fraction 1 / (x + (1/2) / (x + (2/2) / (x + (3/2) / …))), evaluated backward.
        let inside = (1..=200_u8).rev().fold(x, |inside, k| x + f64::from(k) / 2.0 / inside);
        density / inside
    }
}

/// Applies a function to columns of counts, row by row; null if any count is.
fn of_counts<const N: usize>(
    first: Expr,
    others: [Expr; N],
    compute: impl Fn(f64, [f64; N]) -> Option<f64> + Send + Sync + 'static,
) -> Expr {
    let each = move |columns: &mut [Column]| -> PolarsResult<Column> {
        let mut counts = Vec::new();
        for column in columns.iter() {
            counts.push(column.cast(&DataType::Float64)?.f64()?.clone());
        }
        let rows = counts.iter().map(Float64Chunked::len).max().unwrap_or_default();
        let at = |column: usize, row: usize| {
            let counts: &Float64Chunked = &counts[column];
            counts.get(if counts.len() == 1 { 0 } else { row })
        };
        let of_row = |row: usize| {
            let mut rest = [0.0; N];
            for (place, count) in rest.iter_mut().enumerate() {
                *count = at(place + 1, row)?;
            }
            compute(at(0, row)?, rest)
        };
        let name = columns[0].name().clone();
        Ok(Float64Chunked::from_iter_options(name, (0..rows).map(of_row)).into_column())
    };
    let float =
        |_: &_, fields: &[Field]| Ok(Field::new(fields[0].name().clone(), DataType::Float64));
    first.map_many(each, &others, float)
}

#[cfg(test)]
mod tests {
    use polars::prelude::{DataFrame, IntoLazy, col, df};

    use super::*;

    /// The parts and wholes of two proportions, and Newcombe's interval of their difference. The first four are
    /// examples of his.
    ///
    /// Computed by statsmodels 0.15.0, `pip install statsmodels==0.15.0`:
    ///
    /// ```text
    /// from statsmodels.stats.proportion import confint_proportions_2indep as difference
    /// print(difference(56, 70, 48, 80, method="newcomb", compare="diff"))
    /// ```
    const DIFFERENCES: [([f64; 2], [f64; 2], [f64; 2]); 9] = [
        ([56.0, 70.0], [48.0, 80.0], [0.052_431_472_402_364_98, 0.333_872_654_036_906_14]),
        ([9.0, 10.0], [3.0, 10.0], [0.170_522_723_934_502_9, 0.809_017_973_535_488]),
        ([5.0, 56.0], [0.0, 29.0], [-0.038_137_147_903_536_936, 0.192_560_013_855_111_65]),
        ([10.0, 10.0], [0.0, 10.0], [0.607_509_350_430_524_1, 1.0]),
        ([0.0, 10.0], [0.0, 20.0], [-0.161_125_158_052_819_4, 0.277_532_799_862_889_26]),
        ([10.0, 10.0], [20.0, 20.0], [-0.277_532_799_862_889_37, 0.161_125_158_052_819_57]),
        ([1.0, 1.0], [0.0, 1.0], [-0.122_108_720_681_941_78, 1.0]),
        ([115.0, 200.0], [140.0, 200.0], [-0.216_170_513_297_693_93, -0.030_774_514_833_196_445]),
        ([1.0, 1e6], [999_999.0, 1e6], [-0.999_999_164_570_111_8, -0.999_991_402_818_459]),
    ];

    /// A part, a whole, and Wilson's interval.
    ///
    /// Computed by statsmodels 0.15.0:
    ///
    /// ```text
    /// from statsmodels.stats.proportion import proportion_confint
    /// print(proportion_confint(15, 100, method="wilson"))
    /// ```
    const PROPORTIONS: [([f64; 2], [f64; 2]); 5] = [
        ([15.0, 100.0], [0.093_059_852_836_566_29, 0.232_835_595_908_323_67]),
        ([0.0, 10.0], [0.0, 0.277_532_799_862_889_26]),
        ([10.0, 10.0], [0.722_467_200_137_110_6, 1.0]),
        ([2.0, 3.0], [0.207_659_600_802_047_7, 0.938_508_055_279_603_7]),
        ([1.0, 1e6], [1.765_245_767_453_717_6e-7, 5.664_911_804_311_445e-6]),
    ];

    const BOUNDS: [Bound; 2] = [Bound::Low, Bound::High];

    #[test]
    fn intervals_are_those_of_statsmodels() {
        for ([part, whole], interval) in PROPORTIONS {
            for (bound, expected) in BOUNDS.into_iter().zip(interval) {
                let found = wilson(part, whole, bound).unwrap();
                assert!((found - expected).abs() < 1e-12, "{part} of {whole}: {found}, {expected}");
            }
        }
        for (one, other, interval) in DIFFERENCES {
            for (bound, expected) in BOUNDS.into_iter().zip(interval) {
                let found = newcombe(one, other, bound).unwrap();
                assert!((found - expected).abs() < 1e-12, "{one:?} {other:?}: {found}, {expected}");
            }
        }
    }

    /// The ratio is the mean of the likelihood ratios of all differences, each as likely as the mixture says.
    #[test]
    fn an_always_valid_p_value_is_the_inverse_of_a_mixture() {
        for (one, other, sd) in [
            ([2.0, 3.0], [0.0, 2.0], 0.02),
            ([60.0, 1000.0], [40.0, 1000.0], 0.02),
            ([150.0, 1000.0], [100.0, 1000.0], 0.02),
            ([30.0, 40.0], [10.0, 40.0], 0.3),
            ([5.0, 10.0], [5.0, 10.0], 0.5),
        ] {
            let rate = |[part, whole]: [f64; 2]| part / whole;
            let variance = |of: [f64; 2]| rate(of) * (1.0 - rate(of)) / of[1];
            let (difference, variance) = (rate(one) - rate(other), variance(one) + variance(other));
            let steps = 10_000_i32;
            let mixed = (-steps..=steps).map(|step| {
                let effect = 10.0 * sd * f64::from(step) / f64::from(steps);
                let likelihood = effect * (2.0 * difference - effect) / (2.0 * variance);
                (likelihood - effect * effect / (2.0 * sd * sd)).exp()
            });
            let width = 10.0 / f64::from(steps) / (2.0 * std::f64::consts::PI).sqrt();
            let expected = (1.0 / (mixed.sum::<f64>() * width)).min(1.0);
            let found = always_valid_p(one, other, sd).unwrap();
            assert!((found / expected - 1.0).abs() < 1e-9, "{found}, {expected}");
        }
    }

    fn column(answer: &DataFrame, name: &str) -> Vec<Option<f64>> {
        answer.column(name).unwrap().f64().unwrap().iter().collect()
    }

    #[test]
    fn an_interval_of_a_difference_needs_two_wholes() {
        let counts = df![
            "x" => [115_i64, 1, 0],
            "n" => [200_i64, 0, 2],
            "y" => [140_i64, 1, 0],
            "m" => [200_i64, 2, 0],
        ];
        let bound = |bound| newcombe_points(["x", "n"].map(col), ["y", "m"].map(col), bound);
        let bounds = [bound(Bound::Low).alias("low"), bound(Bound::High).alias("high")];
        let answer = counts.unwrap().lazy().select(bounds).collect().unwrap();
        for (name, expected) in [("low", -21.617_051_329_769_39), ("high", -3.077_451_483_319_644)]
        {
            let found = column(&answer, name);
            assert!((found[0].unwrap() - expected).abs() < 1e-9, "{found:?}");
            assert_eq!(found[1..], [None, None]);
        }
    }

    #[test]
    fn a_projection_has_the_outcomes_that_are_still_to_come() {
        // Two of four came up to this age, once of a cohort of which more came; then none did, or none ever.
        let ages = df![
            "within" => [3_i64, 9, 3, 3],
            "starts" => [10_i64, 10, 10, 10],
            "reported" => [2_i64, 2, 0, 0],
            "history" => [4_i64, 4, 4, 0],
        ];
        let of = || (["within", "starts"].map(col), ["reported", "history"].map(col));
        let bound = |bound| projected_bound_pct(of().0, of().1, bound);
        let projections = [
            projected_pct(of().0, of().1).alias("pct"),
            bound(Bound::Low).alias("low"),
            bound(Bound::High).alias("high"),
        ];
        let answer = ages.unwrap().lazy().select(projections).collect().unwrap();
        assert_eq!(column(&answer, "pct"), [Some(60.0), Some(100.0), None, None]);
        assert_eq!(column(&answer, "high"), [Some(100.0), Some(100.0), None, None]);
        let low = column(&answer, "low");
        assert!((low[0].unwrap() - 35.295_736_648_054_58).abs() < 1e-12, "{low:?}");
        assert_eq!(low[1..], [Some(100.0), None, None]);
    }
}
