//! Joins that take as long as there are rows, however unevenly these are spread.
//!
//! Some ids are missing from every row, and some people have very many: a placeholder phone, a test
//! line. A join of equals that is filtered afterwards brings all rows of such a person together with
//! each other, so what comes before or after something is found in one pass over rows in order:
//!
//! ```text
//! at        what                  change   total
//! 09:00     somebody is sent to   +1       1
//! 10:00     a moment                       1       how many were there by then
//! 11:00     they answer           -1       0
//! 12:00     a moment                       0
//! ```

use polars::prelude::{
    AsOfOptions, AsofStrategy, DataType, Expr, JoinArgs, JoinType, LazyFrame, PolarsResult, Scalar,
    SortMultipleOptions, UnionArgs, by_name, col, concat_lf_diagonal, lit,
};
use wabalake_data::tables::text_key;

/// Left join by the key of something that a row names, such as a `session_key`. A row that names
/// nothing finds nothing.
///
/// Polars hands rows without a key on one by one, which takes it a hundred times as long. So they
/// share the key of the empty text, which no id is.
pub fn look_up(rows: LazyFrame, known: LazyFrame, key: &str) -> LazyFrame {
    const LOOKED_UP: &str = "looked_up";
    rows.with_column(key_or_none(col(key)).alias(LOOKED_UP))
        .join(known, [col(LOOKED_UP)], [col(key)], JoinArgs::new(JoinType::Left))
        .drop(by_name([LOOKED_UP], true, false))
}

/// A key to join by, which is never null: see [`look_up`].
pub fn key_or_none(key: Expr) -> Expr {
    key.fill_null(lit(text_key("")))
}

/// Which event of the same person a moment is set beside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nearest {
    /// The last at or before it.
    LastBefore,
    /// The first at or after it.
    FirstAfter,
}

/// Join of moments with the nearest event of the same person, line or the like, by columns of both
/// (`of`) that hold no nulls: a left join, at most one event each, and none that is more than
/// `within` away.
///
/// Moments and events each have their time in a column of their own, as whole numbers; which of
/// several events at one time is found is not said.
pub fn nearest(
    which: Nearest,
    (moments, at): (LazyFrame, &str),
    (events, happened): (LazyFrame, &str),
    of: &[&str],
    within: i64,
) -> LazyFrame {
    let of: Vec<_> = of.iter().map(|column| (*column).into()).collect();
    let options = AsOfOptions {
        strategy: match which {
            Nearest::LastBefore => AsofStrategy::Backward,
            Nearest::FirstAfter => AsofStrategy::Forward,
        },
        tolerance: Some(Scalar::new(DataType::Int64, within.into())),
        tolerance_str: None,
        left_by: Some(of.clone()),
        right_by: Some(of),
        allow_eq: true,
        check_sortedness: false,
    };
    let in_order = |rows: LazyFrame, by: &str| rows.sort([by], SortMultipleOptions::default());
    let how = JoinArgs::new(JoinType::AsOf(Box::new(options)));
    in_order(moments, at).join(in_order(events, happened), [col(at)], [col(happened)], how)
}

/// How much something has changed; the column of the changes that [`totals`] adds up.
pub const CHANGE: &str = "change";

/// Running totals at moments: each with the sum of all [`CHANGE`]s at or before it, in the column
/// [`TOTAL`]. Both have a person and a time in the same two columns.
///
/// People are passed one after another without starting anew. So a total means something where the
/// changes of each person add up to nothing, and the difference of two totals of one person always.
///
/// # Errors
/// Those of building a plan.
pub fn totals(
    moments: LazyFrame,
    changes: LazyFrame,
    person: &str,
    at: &str,
) -> PolarsResult<LazyFrame> {
    const IS_MOMENT: &str = "is_moment";
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
    use polars::prelude::{DataFrame, IntoLazy, df};
    use proptest::prelude::*;

    use super::*;

    const PERSON: &str = "person";

    /// Whose a thing is and when it is.
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
        fn nearest_is_the_nearest(moments in things(), events in things(), within in 0..6_i64) {
            for which in [Nearest::LastBefore, Nearest::FirstAfter] {
                let rows = frame(&moments, "at").lazy().with_row_index("row", None);
                let found = nearest(
                    which,
                    (rows, "at"),
                    (frame(&events, "happened").lazy(), "happened"),
                    &[PERSON],
                    within,
                );
                let expected: Vec<Option<i64>> = moments
                    .iter()
                    .map(|(person, at)| {
                        let own = events.iter().filter(|event| event.0 == *person);
                        let own = own.map(|event| event.1);
                        match which {
                            Nearest::LastBefore => own.filter(|e| (at - within..=*at).contains(e)).max(),
                            Nearest::FirstAfter => own.filter(|e| (*at..=at + within).contains(e)).min(),
                        }
                    })
                    .collect();
                prop_assert_eq!(numbers(found, "row", "happened"), expected);
            }
        }

        /// Of things that last from one time to another: how many there are.
        #[test]
        fn totals_count_what_is_there(moments in things(), lasting in things(), long in 0..5_i64) {
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

        /// Some rows name nothing, some what nobody knows, and many may name the same.
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
