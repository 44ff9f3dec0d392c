//! Kernels: operators of our own, each a node of a lazy plan.
//!
//! A plan that asks for the rows of each person in the order of time, or for distinct people, can say so
//! with joins and sorts of Polars, which hash and copy all rows several times. A kernel does it in one pass
//! over narrow, packed integers. It declares its schema, `explain` shows it by its name, and a test holds it
//! equal to the plain plan on generated rows.
//!
//! The costly steps over many rows run on all cores: [`parts`] splits rows by key and processes the parts side by
//! side, and `taken` gathers columns. Polars itself has one core inside a node, unless [`on_all_cores`] calls it.
//!
//! The streaming engine collects the columns that a kernel reads before it runs. So a plan filters and
//! selects before it calls one: 16 bytes a row are 80 MB for five million rows.

use std::ops::Range;
use std::sync::{Arc, LazyLock};

use polars::lazy::frame::OptFlags;
use polars::prelude::{
    DataFrame, DslBuilder, Field, IdxCa, IdxSize, LazyFrame, NewChunkedArray, PlSmallStr,
    PolarsResult, Schema, SchemaRef,
};
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::query::ENGINE;

pub mod alike;
pub mod beyond;
pub mod bloom;
pub mod counted;
pub mod dictionary;
pub mod distinct;
pub mod episodes;
pub mod first_visits;
pub mod firsts;
pub mod gaps;
pub mod groups;
pub mod in_force;
pub mod keys;
mod known;
pub mod latest;
pub mod matched;
pub mod mutual;
pub mod nearest;
pub mod open;
pub mod ordinals;
pub mod others;
pub mod partners;
pub mod parts;
pub mod quantiles;
pub mod retries;
pub mod sequels;
pub mod sorted;
pub mod visits;
pub mod waiting;
pub mod windows;

pub use first_visits::first_visits;
pub use firsts::firsts;
pub use keys::{key_of, key_of_text};

/// The threads that kernels share: as many as `RAYON_NUM_THREADS`, else one for each core, whatever
/// `POLARS_MAX_THREADS` says.
static CORES: LazyLock<Option<ThreadPool>> = LazyLock::new(|| {
    let builder = ThreadPoolBuilder::new().thread_name(|thread| format!("kernel-{thread}"));
    builder.build().ok()
});

/// Runs the part of a kernel that calls rayon. It may not collect a plan.
///
/// Polars calls a node on a thread that it makes the only worker of a pool as soon as one of its own operators
/// runs there. From then on, everything that rayon runs on that thread is sequential. A plan, though, waits for
/// its kernels without letting go of the core: if it were collected here, all cores could wait for one another.
pub(crate) fn on_all_cores<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    match &*CORES {
        Some(cores) => cores.install(work),
        None => work(),
    }
}

/// The rows of a plan that a kernel needs whole.
///
/// # Errors
/// Those of running the plan.
pub fn collected(plan: LazyFrame) -> PolarsResult<DataFrame> {
    Ok(plan.collect_with_engine(ENGINE)?.unwrap_single())
}

/// The place of a number in a list, which grows with default values as far as that.
pub(crate) fn grown<T: Clone + Default>(values: &mut Vec<T>, number: u32) -> &mut T {
    let number = number as usize;
    if number >= values.len() {
        values.resize(number + 1, T::default());
    }
    &mut values[number]
}

/// Rows of a frame, taken on all cores: a row with the columns of the one at a `place`, or with nulls, for each of
/// `height` rows.
pub(crate) fn taken(
    mut rows: DataFrame,
    height: usize,
    place: impl Fn(usize) -> Option<IdxSize> + Sync,
) -> PolarsResult<DataFrame> {
    on_all_cores(|| rows.rechunk_mut_par());
    let of_slice = |slice: Range<usize>| {
        let places = IdxCa::from_iter_options(PlSmallStr::EMPTY, slice.map(&place));
        let columns = rows.columns().iter().map(|column| column.take(&places));
        DataFrame::new(places.len(), columns.collect::<PolarsResult<_>>()?)
    };
    stacked(parts::by_slices(height, of_slice))
}

/// The rows of all frames, one below the other.
pub(crate) fn stacked(frames: Vec<PolarsResult<DataFrame>>) -> PolarsResult<DataFrame> {
    let mut all = DataFrame::empty();
    for frame in frames {
        all.vstack_mut_owned(frame?)?;
    }
    Ok(all)
}

/// A node of a lazy plan that passes all rows of `input` to `kernel`, which returns rows of `schema`.
///
/// `explain` shows `name`. No predicate or projection passes the node, so select the columns before it.
/// The optimiser runs nodes of one name over one input only once, so the name states all parameters.
pub fn node<F>(input: LazyFrame, name: String, schema: Schema, kernel: F) -> LazyFrame
where
    F: Fn(DataFrame) -> PolarsResult<DataFrame> + Send + Sync + 'static,
{
    let schema = Arc::new(schema);
    named(input, name, move |_| schema.clone(), kernel)
}

/// A [`node`] whose kernel returns the rows and columns of `input`, with the columns `added` after them.
pub fn adding<F>(input: LazyFrame, name: String, added: Vec<Field>, kernel: F) -> LazyFrame
where
    F: Fn(DataFrame) -> PolarsResult<DataFrame> + Send + Sync + 'static,
{
    let declared = move |given: &Schema| {
        let mut schema = given.clone();
        for field in &added {
            schema.with_column(field.name().clone(), field.dtype().clone());
        }
        Arc::new(schema)
    };
    named(input, name, declared, kernel)
}

/// [`LazyFrame::map`] takes static names only.
///
/// Polars trusts the declared schema: a column of another type panics in whatever reads it, far from here. So
/// debug builds compare it with the columns that the kernel returns.
fn named<F, S>(input: LazyFrame, name: String, declared: S, kernel: F) -> LazyFrame
where
    F: Fn(DataFrame) -> PolarsResult<DataFrame> + Send + Sync + 'static,
    S: Fn(&Schema) -> SchemaRef + Send + Sync + 'static,
{
    let declared = Arc::new(declared);
    let (of_node, what) = (declared.clone(), name.clone());
    let of_plan = move |given: &Schema| -> PolarsResult<SchemaRef> { Ok(declared(given)) };
    let checked = move |rows: DataFrame| -> PolarsResult<DataFrame> {
        let given = rows.schema().clone();
        let found = kernel(rows)?;
        debug_assert_eq!(**found.schema(), *of_node(&given), "columns of the node `{what}`");
        Ok(found)
    };
    // A plan that forbids an optimisation still does above the node.
    let optimizations = input.get_current_optimizations();
    let plan = DslBuilder::from(input.logical_plan)
        .map(checked, OptFlags::empty(), Some(Arc::new(of_plan)), name.into())
        .build();
    LazyFrame::from(plan).with_optimizations(optimizations)
}

/// Rows that several branches of a plan read and filter, computed once.
///
/// Without it, the optimiser moves the filters of the branches into the scan, and then reads the rows once for
/// each branch. With [`LazyFrame::cache`], it shares nothing else in the plan and moves no filter below the cache.
///
/// The optimiser does not share what lies below something shared: rows that two branches of a shared plan read
/// are computed again for that plan. So branch once, for example by [`Groups::measured`](groups::Groups::measured),
/// or collect the inner rows in a [`node`] and plan over the frame.
pub fn once(rows: LazyFrame) -> LazyFrame {
    let same = |given: &Schema| -> PolarsResult<SchemaRef> { Ok(Arc::new(given.clone())) };
    let passes = OptFlags::STREAMING | OptFlags::PROJECTION_PUSHDOWN;
    rows.map(Ok, passes, Some(Arc::new(same)), Some("rows read once"))
}

/// The place of each of the first 2³² rows; Polars numbers rows by 32 bits.
fn places() -> impl Iterator<Item = u32> {
    0..=u32::MAX
}

#[cfg(test)]
mod tests {
    use polars::prelude::{BooleanChunked, DataType, Engine, IntoLazy, NewChunkedArray, df};

    use super::*;

    #[test]
    fn a_kernel_has_all_threads_after_an_operator_of_polars() {
        let threads = |_: DataFrame| {
            let threads = u32::try_from(on_all_cores(rayon::current_num_threads)).unwrap();
            let first = BooleanChunked::from_iter_values("first".into(), [true, false].into_iter());
            df!["threads" => [threads; 2]]?.filter(&first)
        };
        let schema = || Schema::from_iter([Field::new("threads".into(), DataType::UInt32)]);
        let rows = df!["row" => [1_i64]].unwrap().lazy();
        let one = node(rows, "one kernel".to_owned(), schema(), threads);
        let another = node(one, "another kernel".to_owned(), schema(), threads);
        let found = another.collect_with_engine(Engine::Streaming).unwrap().unwrap_single();
        let elsewhere = std::thread::spawn(rayon::current_num_threads).join().unwrap();
        let found = found.column("threads").unwrap().u32().unwrap().get(0);
        assert_eq!(found, u32::try_from(elsewhere).ok());
    }
}
