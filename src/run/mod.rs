//! Runs queries: those of the catalog with Polars on this machine or with Spark on a cluster, and users' own
//! SQL with Polars. Compares answers from two versions of the tables.

pub mod compare;
pub mod polars;
#[cfg(feature = "cluster")]
pub mod spark;
pub mod spread;
pub mod sql;
