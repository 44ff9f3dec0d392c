//! Tests of the whole, one module a subject.
#![expect(clippy::unwrap_used, reason = "a failed setup should fail the test")]

mod cli;
mod coverage;
mod damage;
mod erase;
mod files;
mod kinds;
mod loads;
mod nightly;
mod quality;
mod sheets;
mod sql;
