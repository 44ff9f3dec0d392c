//! Closed lists of the field.

pub mod countries;
pub mod deployment_states;
pub mod renumbered;
