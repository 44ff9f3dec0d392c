//! Joins that stay linear however skewed the join keys are.
//!
//! Some ids are null in every row, and some people have very many rows: a placeholder phone, a test
//! line. An equi-join with a later filter would pair all rows of such a person. Instead, earlier and
//! later rows are found in one pass over sorted rows, by [`nearest`] and by the kernels
//! [`open`](crate::kernels::open) and [`others`](crate::kernels::others).

use polars::prelude::{
    Column, DataType, Expr, Field, Int64Chunked, IntoColumn, IntoLazy, JoinArgs, JoinType,
    LazyFrame, NULL, PolarsResult, Schema, UnionArgs, by_name, col, concat_lf_diagonal, lit, when,
};
use wabalake_data::tables::text_key;

use crate::kernels::bloom::may_be_among;
use crate::kernels::nearest::{self as kernel, Search};
use crate::kernels::{collected, node};

pub use crate::kernels::nearest::{Greatest, Nearest};

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

/// [`look_up`] of few rows among many known ones. The few are collected.
///
/// `what` tells the known ones from all others that these rows look up.
///
/// # Errors
/// Those of building a plan.
pub fn look_up_few(
    rows: LazyFrame,
    known: LazyFrame,
    key: &'static str,
    what: &str,
) -> PolarsResult<LazyFrame> {
    let name = format!("look-up of few rows: {what}");
    of_few(rows, known, key, name, move |rows, known| look_up(rows, known, key))
}

/// Inner join of few rows with those of many that have their `key`. The few are collected.
///
/// A row without a key matches nothing. `what` tells the many from all others that these rows are joined with.
///
/// # Errors
/// Those of building a plan.
pub fn join_few(
    rows: LazyFrame,
    many: LazyFrame,
    key: &'static str,
    what: &str,
) -> PolarsResult<LazyFrame> {
    let name = format!("join of few rows: {what}");
    of_few(rows, many, key, name, move |rows, many| {
        many.join(rows, [col(key)], [col(key)], JoinArgs::new(JoinType::Inner))
    })
}

/// A join of few rows with many, of which only those are joined whose key [may be](may_be_among) that of one.
fn of_few(
    rows: LazyFrame,
    many: LazyFrame,
    key: &'static str,
    name: String,
    joined: impl Fn(LazyFrame, LazyFrame) -> LazyFrame + Send + Sync + 'static,
) -> PolarsResult<LazyFrame> {
    let schema = joined(rows.clone(), many.clone()).collect_schema()?;
    Ok(node(rows, name, Schema::clone(&schema), move |rows| {
        let many = many.clone().filter(may_be_among(col(key), rows.column(key)?)?);
        collected(joined(rows.lazy(), many))
    }))
}

/// A join key without nulls; see [`look_up`].
pub fn key_or_none(key: Expr) -> Expr {
    key.fill_null(lit(text_key("")))
}

/// As-of join: each moment with the nearest event of the same person, line or the like.
///
/// It is a left join by the columns `of`, and matches at most one event, not more than `within` away. Each
/// side has its time in a column of integers. Of several events at one time, any may be matched. An event
/// brings its time and the columns `brought`, which moments do not have. A row with a null in `of`
/// matches nothing.
///
/// # Errors
/// Those of building a plan.
pub fn nearest(
    which: Nearest,
    moments: (LazyFrame, &str),
    events: (LazyFrame, &str, &[&str]),
    of: &[&str],
    within: i64,
) -> PolarsResult<LazyFrame> {
    nearest_of(which, moments, events, of, within, None)
}

/// [`nearest`], where of several events at one time the one with the greatest text counts.
///
/// The events of [`Greatest`] are the same with the text, or more: only those that share their key and time with
/// another are collected.
///
/// # Errors
/// Those of building a plan.
pub fn nearest_of(
    which: Nearest,
    (moments, at): (LazyFrame, &str),
    (events, happened, brought): (LazyFrame, &str, &[&str]),
    of: &[&str],
    within: i64,
    greatest: Option<Greatest>,
) -> PolarsResult<LazyFrame> {
    let is_known = of.iter().map(|column| col(*column).is_not_null()).fold(lit(true), Expr::and);
    let marked = |rows: LazyFrame, is_moment: bool| {
        let rows = rows.with_column(lit(is_moment).alias(IS_MOMENT));
        let key = || when(is_known.clone()).then(one_key(of)).otherwise(lit(NULL)).alias(KEY);
        if of.len() > 1 { rows.with_column(key()) } else { rows }
    };
    let as_rows = |events: LazyFrame| marked(events.with_column(col(happened).alias(at)), false);
    let rows = [as_rows(events), marked(moments, true)];
    let search = Search {
        which,
        key: if let [only] = of { *only } else { KEY }.to_owned(),
        at: at.to_owned(),
        is_moment: IS_MOMENT.to_owned(),
        within,
        found: [&[happened], brought].concat().into_iter().map(str::to_owned).collect(),
    };
    let greatest =
        greatest.map(|Greatest { text, events }| Greatest { text, events: as_rows(events) });
    let rows = concat_lf_diagonal(rows, UnionArgs::default())?;
    let found = kernel::nearest(rows, search, greatest);
    let helpers = [Some(IS_MOMENT), Some(KEY).filter(|_| of.len() > 1)];
    Ok(found.drop(by_name(helpers.into_iter().flatten(), true, false)))
}

/// Several columns of integers and texts as one key of 64 bits. A null is a value of its own.
fn one_key(of: &[&str]) -> Expr {
    const NONE: i64 = 0x6e6f_6e65;
    let mixed = |columns: &mut [Column]| -> PolarsResult<Column> {
        let mut keys = vec![0; columns.first().map_or(0, Column::len)];
        for column in columns {
            let parts = match column.dtype() {
                DataType::String => {
                    column.str()?.iter().map(|text| text.map(text_key)).collect::<Int64Chunked>()
                }
                _ => column.cast(&DataType::Int64)?.i64()?.clone(),
            };
            for (key, part) in keys.iter_mut().zip(parts.iter()) {
                *key = spread(*key ^ part.unwrap_or(NONE));
            }
        }
        Ok(Int64Chunked::from_vec("key".into(), keys).into_column())
    };
    let others: Vec<Expr> = of[1..].iter().map(|column| col(*column)).collect();
    col(of[0]).map_many(mixed, &others, |_, _| Ok(Field::new("key".into(), DataType::Int64)))
}

/// Spreads an integer over all 64 bits (the finaliser of `SplitMix64`); it maps no two to the same.
const fn spread(value: i64) -> i64 {
    let value = value.cast_unsigned().wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (value ^ (value >> 31)).cast_signed()
}

/// Tells moments from events.
const IS_MOMENT: &str = "is_moment";
/// The key of several columns.
const KEY: &str = "key_of_columns";

#[cfg(test)]
mod tests {
    use polars::prelude::{DataFrame, SortMultipleOptions, df};
    use proptest::prelude::*;

    use super::*;

    const PERSON: &str = "person";

    /// Events as (person, line, time). One person has most of them.
    fn things() -> impl Strategy<Value = Vec<(Option<i64>, bool, i64)>> {
        let person = prop_oneof![3 => Just(Some(1)), 1 => prop::option::of(-1..3_i64)];
        prop::collection::vec((person, any::<bool>(), 0..12_i64), 0..40)
    }

    fn frame(things: &[(Option<i64>, bool, i64)], at: &str) -> DataFrame {
        let line = |first: bool| if first { "1" } else { "" };
        df![
            PERSON => things.iter().map(|thing| thing.0).collect::<Vec<_>>(),
            "line" => things.iter().map(|thing| line(thing.1)).collect::<Vec<_>>(),
            at => things.iter().map(|thing| thing.2).collect::<Vec<_>>(),
        ]
        .unwrap()
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
            let cases = [Nearest::LastBefore, Nearest::FirstAfter]
                .map(|which| [(which, &[PERSON][..]), (which, &[PERSON, "line"][..])]);
            for (which, of) in cases.into_iter().flatten() {
                let rows = frame(&moments, "at").lazy().with_row_index("row", None);
                let events = frame(&happenings, "happened").lazy().with_row_index("event", None);
                // At one time, the event with the greatest text counts, which is the last of them.
                let text = (col("event") + lit(100)).cast(DataType::String).alias("text");
                let events = if of.len() > 1 { events } else { events.drop(by_name(["line"], true, false)) };
                let greatest = Greatest { text: "text", events: events.clone().with_column(text) };
                let brought = (events, "happened", &["event"][..]);
                let found = nearest_of(which, (rows, "at"), brought, of, within, Some(greatest));
                let found = found.unwrap();
                let expected = moments.iter().map(|(person, line, at)| {
                    let own = (0..).zip(&happenings).filter(|(_, event)| {
                        person.is_some() && event.0 == *person && (of.len() == 1 || event.1 == *line)
                    });
                    let own = own.map(|(place, event)| (event.2, place));
                    match which {
                        Nearest::LastBefore => {
                            own.filter(|e| (at - within..=*at).contains(&e.0)).max()
                        }
                        Nearest::FirstAfter => {
                            let near = own.filter(|e| (*at..=at + within).contains(&e.0));
                            near.min_by_key(|e| (e.0, -e.1))
                        }
                    }
                });
                let (times, places): (Vec<Option<i64>>, Vec<Option<i64>>) =
                    expected.map(Option::<(i64, i64)>::unzip).unzip();
                prop_assert_eq!(numbers(found.clone(), "row", "event"), places);
                prop_assert_eq!(numbers(found, "row", "happened"), times);
            }
        }

        /// Keys may be null, unknown, or repeated.
        #[test]
        fn look_up_is_a_left_join(
            named in prop::collection::vec(prop::option::of(0..4_i64), 0..40),
            known in prop::collection::btree_map(0..4_i64, 0..9_i64, 0..4),
        ) {
            let rows = df!["key" => named.clone()].unwrap().lazy().with_row_index("row", None);
            let (keys, values): (Vec<i64>, Vec<i64>) = known.clone().into_iter().unzip();
            let values = df!["key" => keys, "value" => values].unwrap().lazy();
            let expected: Vec<Option<i64>> =
                named.iter().map(|key| known.get(key.as_ref()?).copied()).collect();
            let found = look_up(rows.clone(), values.clone(), "key");
            for found in [found, look_up_few(rows, values, "key", "values").unwrap()] {
                prop_assert_eq!(numbers(found.clone(), "row", "value"), &expected[..]);
                prop_assert_eq!(numbers(found, "row", "key"), &named[..]);
            }
        }

        /// Keys may be null, unknown, or repeated on either side.
        #[test]
        fn join_of_few_is_an_inner_join(
            few in prop::collection::vec(prop::option::of(0..9_i64), 0..9),
            many in prop::collection::vec(prop::option::of(0..40_i64), 0..200),
        ) {
            let rows = df!["key" => few.clone()].unwrap().lazy().with_row_index("row", None);
            let events = df!["key" => many.clone()].unwrap().lazy().with_row_index("event", None);
            let found = join_few(rows, events, "key", "events").unwrap();
            let pairs = found.with_column(col("row") * lit(1_000_u32) + col("event"));
            let found = numbers(pairs, "row", "row");
            let places = |keys: &[Option<i64>]| (0..).zip(keys.to_vec()).collect::<Vec<(i64, _)>>();
            let expected: Vec<Option<i64>> = places(&few)
                .into_iter()
                .flat_map(|(row, key)| {
                    let own = places(&many).into_iter().filter(move |event| key.is_some() && event.1 == key);
                    own.map(move |(event, _)| Some(row * 1_000 + event))
                })
                .collect();
            prop_assert_eq!(found, expected);
        }
    }
}
