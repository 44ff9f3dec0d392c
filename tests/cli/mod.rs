//! Commands as they are typed, and all that they print.

mod alerts;
mod audience;
mod catalog;
mod compare;
mod compare_properties;
mod coverage;
mod data_quality;
mod demo;
mod lake;
mod load;
mod mcp;
mod money;
mod nightly;
mod page;
mod persons;
mod query;
mod sql;
mod sql_limits;
mod store;
mod terminals;
mod variables;
mod views;
