//! Reference lists: countries, deployment states, Meta's markets, renumbered countries.

pub mod countries;
pub mod deployment_states;
pub mod markets;
pub mod renumbered;
