//! The groups of each dimension, and what each of them did to the rate of all.

use std::ops::AddAssign;

use polars::prelude::{Column, DataFrame, PlHashMap, PolarsResult};

use super::{ALL, COUNTS, DIMENSION, MIX_POINTS, RATE_POINTS, TOTAL_POINTS, VALUE};

/// The column of the text of the dimension at a place.
pub(super) fn value_of(place: usize) -> String {
    format!("value_{place}")
}

/// The whole, then the groups of each dimension, in any order. `counts` has the [`COUNTS`] of each combination of
/// values.
///
/// # Errors
/// A column that is missing or of another type.
pub(super) fn groups_of(
    counts: &DataFrame,
    dimensions: &[&'static str],
) -> PolarsResult<DataFrame> {
    let mut rows = vec![Counts::default(); counts.height()];
    for (place, name) in COUNTS.iter().enumerate() {
        for (row, count) in rows.iter_mut().zip(counts.column(name)?.i64()?.iter()) {
            row.0[place] = count.unwrap_or_default();
        }
    }
    let mut all = Counts::default();
    for row in &rows {
        all += *row;
    }
    let mut groups = vec![(ALL, None, all)];
    for (place, dimension) in dimensions.iter().enumerate() {
        let values = counts.column(&value_of(place))?.str()?;
        let mut sums: PlHashMap<Option<&str>, Counts> = PlHashMap::default();
        for (value, row) in values.iter().zip(&rows) {
            *sums.entry(value).or_default() += *row;
        }
        groups.extend(sums.into_iter().map(|(value, sum)| (*dimension, value, sum)));
    }

    let names: Vec<&str> = groups.iter().map(|group| group.0).collect();
    let values: Vec<Option<&str>> = groups.iter().map(|group| group.1).collect();
    let mut columns = vec![Column::new(DIMENSION.into(), names), Column::new(VALUE.into(), values)];
    for (place, name) in COUNTS.iter().enumerate() {
        let counts: Vec<i64> = groups.iter().map(|group| group.2.0[place]).collect();
        columns.push(Column::new((*name).into(), counts));
    }
    let moves: Vec<Moves> =
        groups.iter().map(|(name, _, counts)| counts.moves(&all, *name != ALL)).collect();
    for (place, name) in [MIX_POINTS, RATE_POINTS, TOTAL_POINTS].into_iter().enumerate() {
        let points: Vec<Option<f64>> = moves.iter().map(|moves| moves[place]).collect();
        columns.push(Column::new(name.into(), points));
    }
    DataFrame::new(groups.len(), columns)
}

/// Points of the mix, of the rate, and of both.
type Moves = [Option<f64>; 3];

/// Rows, and those with the outcome, before; then those after.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts([i64; 4]);

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        for (count, more) in self.0.iter_mut().zip(other.0) {
            *count += more;
        }
    }
}

impl Counts {
    /// What the group did to the rate of `all`. The whole itself is not split into mix and rate.
    ///
    /// Differences of shares and of rates are taken of whole numbers: what is equal differs by 0, and not by what
    /// floats lose.
    fn moves(&self, all: &Self, is_split: bool) -> Moves {
        let [b0, a0, b1, a1] = self.0.map(|count| count as f64);
        let [rows_before, happened_before, rows_after, _] = all.0.map(|count| count as f64);
        if rows_before == 0.0 || rows_after == 0.0 {
            return [None; 3];
        }
        // w1 - w0, and r0 of the group - r0, each times its divisors.
        let share = b1 * rows_before - b0 * rows_after;
        let lead = a0 * rows_before - happened_before * b0;
        // w1 r1 - w0 r0 of the group, less what its share alone did at the rate of all.
        let moved = (a1 * rows_before - a0 * rows_after) * rows_before - share * happened_before;
        let total = points(moved, rows_after * rows_before * rows_before);
        if !is_split {
            return [None, None, Some(total)];
        }
        if b0 == 0.0 || b1 == 0.0 {
            return [Some(total), Some(0.0), Some(total)];
        }
        let mix = points(share * lead, rows_after * rows_before * b0 * rows_before);
        let rate = points(a1 * b0 - a0 * b1, rows_after * b0);
        [Some(mix), Some(rate), Some(total)]
    }
}

/// A share in points, without a negative zero.
fn points(part: f64, whole: f64) -> f64 {
    100.0 * part / whole + 0.0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn mix_and_rate_of_a_known_example() {
        let [mx, co] = [Counts([100, 60, 150, 75]), Counts([100, 80, 50, 40])];
        let mut all = mx;
        all += co;
        assert_eq!(all.moves(&all, false), [None, None, Some(-12.5)]);
        assert_eq!(mx.moves(&all, true), [Some(-2.5), Some(-7.5), Some(-10.0)]);
        assert_eq!(co.moves(&all, true), [Some(-2.5), Some(0.0), Some(-2.5)]);
        let nothing_before = Counts([0, 0, 50, 40]);
        assert_eq!(nothing_before.moves(&nothing_before, true), [None; 3]);
    }

    /// Rows and outcomes in a period.
    fn period() -> impl Strategy<Value = (i64, i64)> {
        (0..50_i64).prop_flat_map(|rows| (Just(rows), 0..=rows))
    }

    proptest! {
        #[test]
        fn points_are_those_of_the_definition_and_add_up(
            groups in prop::collection::vec((period(), period()), 1..6),
        ) {
            let groups: Vec<Counts> = groups
                .into_iter()
                .map(|((b0, a0), (b1, a1))| Counts([b0, a0, b1, a1]))
                .filter(|group| group.0[0] + group.0[2] > 0)
                .collect();
            let mut all = Counts::default();
            for group in &groups {
                all += *group;
            }
            let [rows_before, happened_before, rows_after, happened_after] =
                all.0.map(|count| count as f64);
            if rows_before == 0.0 || rows_after == 0.0 {
                return Ok(());
            }
            let of_all = happened_before / rows_before;
            let near = |one: f64, other: f64| (one - other).abs() < 1e-9;
            let mut sum = 0.0;
            for group in groups {
                let [b0, a0, b1, a1] = group.0.map(|count| count as f64);
                let (w0, w1) = (b0 / rows_before, b1 / rows_after);
                let (mix, rate) = match (b0 > 0.0, b1 > 0.0) {
                    (true, true) => {
                        ((w1 - w0) * (a0 / b0 - of_all), w1 * (a1 / b1 - a0 / b0))
                    }
                    (false, _) => (w1 * (a1 / b1 - of_all), 0.0),
                    (true, false) => (-w0 * (a0 / b0 - of_all), 0.0),
                };
                let moves = group.moves(&all, true).map(Option::unwrap);
                prop_assert!(near(moves[0], 100.0 * mix), "{moves:?} {mix}");
                prop_assert!(near(moves[1], 100.0 * rate), "{moves:?} {rate}");
                prop_assert!(near(moves[2], moves[0] + moves[1]), "{moves:?}");
                sum += moves[2];
            }
            prop_assert!(near(sum, 100.0 * (happened_after / rows_after - of_all)), "{sum}");
            let total = all.moves(&all, false)[2].unwrap();
            prop_assert!(near(sum, total), "{sum} {total}");
        }
    }
}
