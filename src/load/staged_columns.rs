//! Columns that staged rows have in addition to those of their table. They are never stored.

/// The number of the file in its load that a row came from, from 1; 0 is the lake.
pub(crate) const ORIGIN: &str = "__origin";

/// A hash of all fields of the record. Only tables whose amounts are added up have it.
pub(crate) const RECORD: &str = "__record";
