//! What the data of a lake is.
//!
//! | module | what it says |
//! |---|---|
//! | [`tables`] | the tables: columns, types, header spellings, keys, days, precedence |
//! | [`cells`] | how one cell of an export becomes a value: stamps, phones, enumerations, numbers |
//! | [`mod@reference`] | closed lists of the field: countries, deployment states |
//! | [`Invalid`] | the error of a value parser: what is wrong, and what to write instead |
//! | [`words`] | words of messages: suggestions, numbers, plurals, sizes, durations |
//!
//! Nothing here reads a file or knows where a lake is.

pub mod cells;
mod invalid;
pub mod reference;
pub mod tables;
pub mod words;

pub use invalid::Invalid;
pub use tables::{Column, Meaning, TABLES, Table, table};
