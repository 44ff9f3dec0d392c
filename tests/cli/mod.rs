//! Commands as they are typed, and all that they print.

mod coverage;
mod data_quality;
mod money;
mod page;
mod query;
mod sql;
mod terminals;
