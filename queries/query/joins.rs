//! Joins that stay linear however skewed the join keys are.
//!
//! Some ids are null in every row, and some people have very many rows: a placeholder phone, a test
//! line. An equi-join with a later filter would pair all rows of such a person. Instead, earlier and
//! later rows are found in one pass over sorted rows:
//!
//! ```text
//! at        row              change   total
//! 09:00     a deployment     +1       1
//! 10:00     a moment                  1       one unanswered deployment
//! 11:00     its response     -1       0
//! 12:00     a moment                  0
//! ```

use polars::prelude::{
    Expr, FillNullStrategy, JoinArgs, JoinType, LazyFrame, NULL, PolarsResult, SortMultipleOptions,
    UnionArgs, by_name, col, concat_lf_diagonal, lit, when,
};
use wabalake_data::tables::text_key;

/// Left join by a nullable key, such as `session_key`. Rows with a null key match nothing.
///
/// Polars processes rows with a null key one by one, a hundred times slower. So nulls are replaced by
/// the hash of the empty text, which is no id.
pub fn look_up(rows: LazyFrame, known: LazyFrame, key: &str) -> LazyFrame {
    const LOOKED_UP: &str = "looked_up";
    rows.with_column(key_or_none(col(key)).alias(LOOKED_UP))
        .join(known, [col(LOOKED_UP)], [col(key)], JoinArgs::new(JoinType::Left))
        .drop(by_name([LOOKED_UP], true, false))
}

/// A join key without nulls; see [`look_up`].
pub fn key_or_none(key: Expr) -> Expr {
    key.fill_null(lit(text_key("")))
}

/// Which event a moment is joined with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nearest {
    /// The last at or before it.
    LastBefore,
    /// The first at or after it.
    FirstAfter,
}

/// As-of join: each moment with the nearest event of the same person, line or the like.
///
/// It is a left join by the columns `of`, and matches at most one event, not more than `within` away. Each
/// side has its time in a column of integers. Of several events at one time, any may be matched. An event
/// brings its time and the columns `brought`, which moments do not have; these and `of` have no nulls.
///
/// Polars' own as-of join by groups is compiled for each pair of types: a fifth of the program.
///
/// # Errors
/// Those of building a plan.
pub fn nearest(
    which: Nearest,
    (moments, at): (LazyFrame, &str),
    (events, happened, brought): (LazyFrame, &str, &[&str]),
    of: &[&str],
    within: i64,
) -> PolarsResult<LazyFrame> {
    // At one time, events come first in the direction of the search.
    let (is_moment, strategy) = match which {
        Nearest::LastBefore => (true, FillNullStrategy::Forward(None)),
        Nearest::FirstAfter => (false, FillNullStrategy::Backward(None)),
    };
    let whose = |column: &&str| format!("event_{column}");
    let copies = of.iter().map(|column| col(*column).alias(whose(column)));
    let events = events
        .with_columns(copies.collect::<Vec<_>>())
        .with_columns([col(happened).alias(at), lit(!is_moment).alias(IS_MOMENT)]);
    let rows = [events, moments.with_column(lit(is_moment).alias(IS_MOMENT))];
    let order = [of, &[at, IS_MOMENT]].concat();

    let found = [&[happened], brought].concat();
    let fill = |column: Expr| column.fill_null_with_strategy(strategy);
    let filled = found.iter().map(|column| fill(col(*column)));
    let filled = filled.chain(of.iter().map(|column| fill(col(whose(column)))));
    let distance = match which {
        Nearest::LastBefore => col(at) - col(happened),
        Nearest::FirstAfter => col(happened) - col(at),
    };
    let is_near = of.iter().fold(distance.lt_eq(lit(within)), |is_near, column| {
        is_near.and(col(whose(column)).eq(col(*column)))
    });
    let only_near = found
        .iter()
        .map(|column| when(is_near.clone()).then(col(*column)).otherwise(lit(NULL)).alias(*column));
    let helpers = of.iter().map(whose).chain([IS_MOMENT.to_owned()]);
    Ok(concat_lf_diagonal(rows, UnionArgs::default())?
        .sort(order, SortMultipleOptions::default())
        .with_columns(filled.collect::<Vec<_>>())
        .filter(col(IS_MOMENT).eq(lit(is_moment)))
        .with_columns(only_near.collect::<Vec<_>>())
        .drop(by_name(helpers, true, false)))
}

/// Tells moments from what they are sorted with.
const IS_MOMENT: &str = "is_moment";

/// The column of changes that [`totals`] sums.
pub const CHANGE: &str = "change";

/// Running totals: adds to each moment the column [`TOTAL`], the sum of all [`CHANGE`]s at or before it.
/// Moments and changes have a person and a time in the same two columns.
///
/// The sum is not reset between people. A total is meaningful if the changes of each person sum to zero;
/// the difference of two totals of one person always is.
///
/// # Errors
/// Those of building a plan.
pub fn totals(
    moments: LazyFrame,
    changes: LazyFrame,
    person: &str,
    at: &str,
) -> PolarsResult<LazyFrame> {
    let marked = |rows: LazyFrame, mark: bool| rows.with_column(lit(mark).alias(IS_MOMENT));
    let rows = [marked(changes, false), marked(moments, true)];
    Ok(concat_lf_diagonal(rows, UnionArgs::default())?
        .sort([person, at, IS_MOMENT], SortMultipleOptions::default())
        .with_column(col(CHANGE).fill_null(lit(0)).cum_sum(false).alias(TOTAL))
        .filter(col(IS_MOMENT)))
}

/// The column that [`totals`] adds.
pub const TOTAL: &str = "total";

#[cfg(test)]
mod tests {
    use polars::prelude::{DataFrame, DataType, IntoLazy, df};
    use proptest::prelude::*;

    use super::*;

    const PERSON: &str = "person";

    /// Events as (person, time).
    fn things() -> impl Strategy<Value = Vec<(i64, i64)>> {
        prop::collection::vec((0..3_i64, 0..12_i64), 0..40)
    }

    fn frame(things: &[(i64, i64)], at: &str) -> DataFrame {
        let (people, times): (Vec<i64>, Vec<i64>) = things.iter().copied().unzip();
        df![PERSON => people, at => times].unwrap()
    }

    fn numbers(rows: LazyFrame, by: &str, column: &str) -> Vec<Option<i64>> {
        let in_order = rows.sort([by], SortMultipleOptions::default());
        let rows = in_order.collect_with_engine(polars::prelude::Engine::Streaming).unwrap();
        let rows = rows.unwrap_single();
        rows.column(column).unwrap().cast(&DataType::Int64).unwrap().i64().unwrap().iter().collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn nearest_matches_the_nearest_event_within_the_limit(
            moments in things(),
            happenings in things(),
            within in 0..6_i64,
        ) {
            for which in [Nearest::LastBefore, Nearest::FirstAfter] {
                let rows = frame(&moments, "at").lazy().with_row_index("row", None);
                let events = frame(&happenings, "happened").lazy();
                let found = nearest(
                    which,
                    (rows, "at"),
                    (events.with_column(col("happened").alias("brought")), "happened", &["brought"]),
                    &[PERSON],
                    within,
                )
                .unwrap();
                let expected: Vec<Option<i64>> = moments
                    .iter()
                    .map(|(person, at)| {
                        let own = happenings.iter().filter(|event| event.0 == *person);
                        let own = own.map(|event| event.1);
                        match which {
                            Nearest::LastBefore => own.filter(|e| (at - within..=*at).contains(e)).max(),
                            Nearest::FirstAfter => own.filter(|e| (*at..=at + within).contains(e)).min(),
                        }
                    })
                    .collect();
                prop_assert_eq!(&numbers(found.clone(), "row", "brought"), &expected);
                prop_assert_eq!(numbers(found, "row", "happened"), expected);
            }
        }

        /// A +1 and a -1 for each interval give the number of open intervals.
        #[test]
        fn totals_count_open_intervals(moments in things(), lasting in things(), long in 0..5_i64) {
            let ends: Vec<(i64, i64)> =
                lasting.iter().map(|(person, at)| (*person, at + long)).collect();
            let change = |things: &[(i64, i64)], by: i8| {
                frame(things, "at").lazy().with_column(lit(by).alias(CHANGE))
            };
            let changes = [change(&lasting, 1), change(&ends, -1)];
            let changes = polars::prelude::concat(changes, UnionArgs::default()).unwrap();
            let rows = frame(&moments, "at").lazy().with_row_index("row", None);
            let found = totals(rows, changes, PERSON, "at").unwrap();
            let expected: Vec<Option<i64>> = moments
                .iter()
                .map(|(person, at)| {
                    let there = |thing: &&(i64, i64)| {
                        thing.0 == *person && (thing.1..thing.1 + long).contains(at)
                    };
                    Some(i64::try_from(lasting.iter().filter(there).count()).unwrap())
                })
                .collect();
            prop_assert_eq!(numbers(found, "row", TOTAL), expected);
        }

        /// Keys may be null, unknown, or repeated.
        #[test]
        fn look_up_is_a_left_join(
            named in prop::collection::vec(prop::option::of(0..4_i64), 0..40),
            known in prop::collection::btree_map(0..4_i64, 0..9_i64, 0..4),
        ) {
            let rows = df!["key" => named.clone()].unwrap().lazy().with_row_index("row", None);
            let (keys, values): (Vec<i64>, Vec<i64>) = known.clone().into_iter().unzip();
            let found = look_up(rows, df!["key" => keys, "value" => values].unwrap().lazy(), "key");
            let expected: Vec<Option<i64>> =
                named.iter().map(|key| known.get(key.as_ref()?).copied()).collect();
            prop_assert_eq!(numbers(found.clone(), "row", "value"), expected);
            prop_assert_eq!(numbers(found, "row", "key"), named);
        }
    }
}
