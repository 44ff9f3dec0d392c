//! Properties of every query of the catalog. Each test loops over the catalog, so a new query needs only
//! its golden answers.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test whose setup fails should stop there"
)]

mod amounts;
mod answers;
mod behind;
mod clocks;
mod columns;
mod fixtures;
mod golden;
mod pages;
mod people;
mod prices;
mod scans;
mod skew;
mod specs;
mod words;
