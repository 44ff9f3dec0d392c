//! Tests of the whole program, a folder for each part of it.
#![expect(clippy::unwrap_used, reason = "a failed setup should fail the test")]

mod cli;
mod erase;
mod lake;
mod load;
mod nightly;
mod support;
