//! Runs a named query: on this machine, by Polars, or on a cluster, by Spark. Runs a person's own, in
//! SQL, by Polars.

pub mod polars;
#[cfg(feature = "cluster")]
pub mod spark;
pub mod sql;
