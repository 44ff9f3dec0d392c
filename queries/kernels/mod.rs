//! Kernels: operators of our own, each a node of a lazy plan.
//!
//! A plan that asks for the rows of each person in the order of time, or for distinct people, can say so
//! with joins and sorts of Polars, which hash and copy all rows several times. A kernel does it in one pass
//! over narrow, packed integers. It declares its schema, `explain` shows it by its name, and a test holds it
//! equal to the plain plan on generated rows.
//!
//! The streaming engine collects the columns that a kernel reads before it runs. So a plan filters and
//! selects before it calls one: 16 bytes a row are 80 MB for five million rows.

use std::sync::Arc;

use polars::lazy::frame::OptFlags;
use polars::prelude::{DataFrame, LazyFrame, PolarsResult, Schema, SchemaRef};

pub mod dictionary;
pub mod distinct;
pub mod groups;
pub mod latest;
pub mod parts;
pub mod quantiles;

/// A node of a lazy plan that passes all rows of `input` to `kernel`, which returns rows of `schema`.
///
/// `explain` shows `name`. No predicate or projection passes the node, so select the columns before it.
pub fn node<F>(input: LazyFrame, name: &'static str, schema: Schema, kernel: F) -> LazyFrame
where
    F: Fn(DataFrame) -> PolarsResult<DataFrame> + Send + Sync + 'static,
{
    let schema = Arc::new(schema);
    let declared = move |_: &Schema| -> PolarsResult<SchemaRef> { Ok(schema.clone()) };
    input.map(kernel, OptFlags::empty(), Some(Arc::new(declared)), Some(name))
}
