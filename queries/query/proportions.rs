//! Statistics of proportions: confidence intervals and significance of a difference.

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

/// A bound of the 95 % confidence interval of a proportion, in percent, by Wilson's score; null if the
/// whole is 0.
pub fn wilson_pct(part: Expr, whole: Expr, bound: Bound) -> Expr {
    of_counts(part, [whole], move |part, [whole]| wilson(part, whole, bound).map(|p| p * 100.0))
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
/// use wabalake_queries::query::proportions::{Bound, wilson};
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

/// The p-value of two proportions, each given by a part and a whole.
///
/// ```
/// use wabalake_queries::query::proportions::z_test;
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

/// The complementary error function, for numbers from 0 on.
///
/// ```
/// use wabalake_queries::query::proportions::erfc;
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
