//! Runs queries: those of the catalog with Polars on this machine or with Spark on a cluster, and users' own
//! SQL with Polars.

pub mod polars;
#[cfg(feature = "cluster")]
pub mod spark;
pub mod spread;
pub mod sql;
