//! Reference lists: countries, deployment states, renumbered countries.

pub mod countries;
pub mod deployment_states;
pub mod renumbered;
