//! Runs a named query: on this machine, by Polars.

pub mod polars;
