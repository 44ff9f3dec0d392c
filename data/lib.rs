//! The data of a lake: tables and their columns, parsers of cells, reference lists.
//!
//! | module | contents |
//! |---|---|
//! | [`tables`] | the tables: columns, types, header spellings, keys, partition days, precedence |
//! | [`cells`] | parsers of cells: timestamps, phone numbers, enumerations, numbers |
//! | [`mod@reference`] | closed lists: countries, deployment states, error codes of messages, renumbered countries |
//! | [`Invalid`] | the error of a value parser, with a hint |
//! | [`words`] | texts for people: suggestions, numbers, plurals, sizes, durations |
//! | [`at_once()`] | a function on several things at once |
//!
//! Nothing here reads a file or knows where a lake is.

mod at_once;
pub mod cells;
mod invalid;
pub mod reference;
mod table;
pub mod tables;
pub mod words;

pub use at_once::at_once;
pub use invalid::Invalid;
pub use tables::{Column, Meaning, TABLES, Table, table};
