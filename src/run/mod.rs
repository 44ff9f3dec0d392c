//! Runs a named query: on this machine, by Polars, or on a cluster, by Spark.

pub mod polars;
#[cfg(feature = "cluster")]
pub mod spark;
