//! Reference lists: countries, deployment states, error codes of messages, renumbered countries.

pub mod countries;
pub mod deployment_states;
pub mod message_errors;
pub mod renumbered;
