//! The catalog: every named query, and nothing else.

use query::Room;

pub mod drop_off;
pub mod query;

/// Every query, by name.
pub const CATALOG: &[Room] = &[Room::of::<drop_off::DropOff>()];
