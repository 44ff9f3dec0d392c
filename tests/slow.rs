//! Tests that take minutes: commands that are killed or run at once, `make demo`, a large log.
#![expect(clippy::unwrap_used, reason = "a failed setup should fail the test")]

mod cdnow;
#[cfg(unix)]
mod crashes;
mod demo;
#[expect(dead_code, reason = "most of it is for the tests in main.rs")]
mod support;
