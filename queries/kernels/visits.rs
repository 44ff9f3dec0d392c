//! Visits of each person in order: a window function over one sort.
//!
//! ```text
//! person   at       first    before
//! 1        week 2   week 2   –         the first visit
//! 1        week 3   week 2   week 2
//! 1        week 6   week 2   week 3    after a gap
//! 2        week 3   week 3   –
//! ```

use polars::prelude::{
    ChunkedArray, Column, DataFrame, DataType, Field, Int32Type, Int64Chunked, Int64Type,
    IntoColumn, IntoSeries, LazyFrame, NewChunkedArray, PolarsNumericType, PolarsResult, Schema,
};

use super::node;
use super::parts::{Parts, pack, unpack};

/// Another visit of the same person, whose moment is shown with each visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beside {
    /// The first visit, which may be the visit itself.
    First,
    /// The visit before; the first one has none.
    Before,
}

impl Beside {
    /// The name of the column.
    pub const fn column(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Before => "before",
        }
    }
}

/// Distinct visits, one row for each person and moment, in the order of both.
///
/// A person is an Int64 hash; a moment is a date or an instant, of the type `of`. The result has the
/// moment and those of the visits `beside` it, but no longer the person. Rows without a person or a
/// moment are left out.
pub fn in_order(
    visits: LazyFrame,
    person: &'static str,
    moments: (&'static str, DataType),
    beside: &'static [Beside],
) -> LazyFrame {
    in_turn(visits, person, moments, beside, false)
}

/// [`in_order`] with the person of each visit.
pub fn in_order_of_people(
    visits: LazyFrame,
    person: &'static str,
    moments: (&'static str, DataType),
    beside: &'static [Beside],
) -> LazyFrame {
    in_turn(visits, person, moments, beside, true)
}

fn in_turn(
    visits: LazyFrame,
    person: &'static str,
    (at, of): (&'static str, DataType),
    beside: &'static [Beside],
    with_person: bool,
) -> LazyFrame {
    let shown = if with_person { " and the person" } else { "" };
    let name = format!("visits of each {person} in order of {at}, with {beside:?}{shown}");
    let columns = [at].into_iter().chain(beside.iter().map(|beside| beside.column()));
    let columns = columns.map(|column| Field::new(column.into(), of.clone()));
    let people = with_person.then(|| Field::new(person.into(), DataType::Int64));
    let schema = people.into_iter().chain(columns).collect::<Schema>();
    let kernel = move |visits: DataFrame| {
        let parts = parts(&visits, person, at)?;
        // Frees the input before there is a result.
        drop(visits);
        let person = with_person.then_some(person);
        match &of {
            DataType::Date => in_columns::<Int32Type>(parts, person, at, beside, &of),
            _ => in_columns::<Int64Type>(parts, person, at, beside, &of),
        }
    };
    node(visits, name, schema, kernel)
}

/// Visits as packed pairs of person and moment, split by person.
fn parts(visits: &DataFrame, person: &str, at: &str) -> PolarsResult<Parts<u128>> {
    Parts::of(visits, |visits, _, parts| {
        let (people, moments) =
            (visits.column(person)?.i64()?, visits.column(at)?.to_physical_repr());
        let visit = |(person, at): (Option<i64>, Option<i64>)| Some((person?, pack(person?, at?)));
        match moments.dtype() {
            DataType::Int32 => {
                let days = moments.i32()?.iter().map(|day| day.map(i64::from));
                parts.extend(people.iter().zip(days).filter_map(visit));
            }
            _ => parts.extend(people.iter().zip(moments.i64()?.iter()).filter_map(visit)),
        }
        Ok(())
    })
}

/// Sorts the visits, drops repeated ones, and shows the moments with those `beside` them, behind the
/// `person` if that column has a name.
fn in_columns<T>(
    parts: Parts<u128>,
    person: Option<&str>,
    at: &str,
    beside: &[Beside],
    of: &DataType,
) -> PolarsResult<DataFrame>
where
    T: PolarsNumericType<Native: TryFrom<i64>>,
    ChunkedArray<T>: IntoSeries,
{
    let parts = parts.map(|mut visits| {
        visits.sort_unstable();
        visits.dedup();
        let own = moments::<T>(at, visits.iter().map(|visit| Some(unpack(*visit).1)));
        let others = beside.iter().map(|beside| match beside {
            Beside::First => moments(beside.column(), firsts(&visits)),
            Beside::Before => moments(beside.column(), befores(&visits)),
        });
        let columns = [own].into_iter().chain(others);
        let columns = columns.map(|column| Ok(column.into_series().cast(of)?.into()));
        let people = person.map(|person| PolarsResult::Ok(people(person, &visits)));
        let columns = people.into_iter().chain(columns);
        DataFrame::new(visits.len(), columns.collect::<PolarsResult<_>>()?)
    });
    let mut all = DataFrame::empty();
    for part in parts {
        all.vstack_mut_owned(part?)?;
    }
    Ok(all)
}

/// The person of each of the visits.
fn people(name: &str, visits: &[u128]) -> Column {
    let people = visits.iter().map(|visit| unpack(*visit).0).collect();
    Int64Chunked::from_vec(name.into(), people).into_column()
}

fn moments<T>(name: &str, moments: impl Iterator<Item = Option<i64>>) -> ChunkedArray<T>
where
    T: PolarsNumericType<Native: TryFrom<i64>>,
{
    let narrow = |at: i64| T::Native::try_from(at).unwrap_or_default();
    ChunkedArray::from_iter_options(name.into(), moments.map(|at| at.map(narrow)))
}

/// The moment of the visit before each of the sorted `visits`.
fn befores(visits: &[u128]) -> impl Iterator<Item = Option<i64>> {
    let mut last = None;
    visits.iter().map(move |visit| {
        let (person, at) = unpack(*visit);
        let before = last.replace((person, at)).filter(|(other, _)| *other == person);
        before.map(|(_, at)| at)
    })
}

/// The moment of the first visit for each of the sorted `visits`.
fn firsts(visits: &[u128]) -> impl Iterator<Item = Option<i64>> {
    let mut first = None;
    visits.iter().map(move |visit| {
        let (person, at) = unpack(*visit);
        let same = first.filter(|(other, _)| *other == person);
        first = same.or(Some((person, at)));
        first.map(|(_, at)| at)
    })
}

#[cfg(test)]
mod tests {
    use polars::prelude::{
        Engine, IntoLazy, SortMultipleOptions, UniqueKeepStrategy, WindowMapping, col, df, lit,
    };
    use proptest::prelude::*;

    use super::*;

    const PERSON: &str = "person";
    const AT: &str = "at";

    /// Visits as (person, moment): few people, one of them with most visits, some unknown.
    fn some() -> impl Strategy<Value = Vec<(Option<i64>, Option<i64>)>> {
        let person = prop_oneof![
            4 => Just(Some(i64::MIN)),
            4 => prop::option::of(prop::sample::select(vec![-1, 0, 1, i64::MAX])),
        ];
        prop::collection::vec((person, prop::option::weighted(0.9, -5..15_i64)), 0..40)
    }

    fn collected(rows: LazyFrame) -> DataFrame {
        rows.collect_with_engine(Engine::Streaming).unwrap().unwrap_single()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn visits_in_order_are_a_window_function(
            visits in some(),
            repeated in prop::sample::select(vec![1, 1_000]),
            of in prop::sample::select(vec![DataType::Date, wabalake_data::tables::instant()]),
        ) {
            let all = visits.iter().cycle().take(visits.len() * repeated);
            let (people, moments): (Vec<_>, Vec<_>) = all.copied().unzip();
            let narrow = DataType::Int32;
            let narrow = if of == DataType::Date { col(AT).cast(narrow) } else { col(AT) };
            let rows = df![PERSON => people, AT => moments].unwrap().lazy();
            let rows = rows.with_column(narrow.cast(of.clone()));

            let beside = &[Beside::First, Beside::Before];
            let found = collected(in_order(rows.clone(), PERSON, (AT, of.clone()), beside));

            let over = |of: polars::prelude::Expr| {
                let people = Some([col(PERSON)]);
                of.over_with_options(people, None, WindowMapping::GroupsToRows).unwrap()
            };
            let expected = rows
                .clone()
                .filter(col(PERSON).is_not_null().and(col(AT).is_not_null()))
                .unique_generic(None, UniqueKeepStrategy::Any)
                .sort([PERSON, AT], SortMultipleOptions::default())
                .with_columns([
                    over(col(AT).min()).alias("first"),
                    over(col(AT).shift(lit(1))).alias("before"),
                ])
                .select([col(PERSON), col(AT), col("first"), col("before")]);
            let expected = collected(expected);
            let with_people = expected.clone();
            let expected = expected.drop(PERSON).unwrap();
            prop_assert!(found.equals_missing(&expected), "{found} is not {expected}");
            prop_assert_eq!(found.schema(), expected.schema());
            let alone = in_order(rows.clone(), PERSON, (AT, of.clone()), &[Beside::Before]);
            let alone = collected(alone);
            prop_assert!(alone.equals_missing(&found.drop("first").unwrap()));
            let of_people = collected(in_order_of_people(rows, PERSON, (AT, of), beside));
            prop_assert!(of_people.equals_missing(&with_people));
        }
    }
}
