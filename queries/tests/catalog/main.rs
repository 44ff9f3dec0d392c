//! The promises that every entry keeps. Each is a loop over the catalog, so a new entry needs no new
//! test: only its golden answer.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot be set up should fail where it stands"
)]

mod amounts;
mod answers;
mod clocks;
mod columns;
mod fixtures;
mod golden;
mod pages;
mod skew;
mod specs;
mod words;
