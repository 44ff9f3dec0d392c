//! Tests of the whole, one module a subject.
#![expect(clippy::unwrap_used, reason = "a failed setup should fail the test")]

mod cells;
mod cli;
mod coverage;
mod damage;
mod erase;
mod erase_law;
mod files;
mod keep_out;
mod kinds;
mod links;
mod loads;
mod modes;
mod money;
mod nightly;
mod nothing;
mod page;
mod quality;
mod sheets;
mod sources;
mod spend;
mod sql;
mod support;
mod terminals;
mod titles;
mod ways;
mod wrapped;
