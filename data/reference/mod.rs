//! Reference lists: countries, deployment states, Meta's markets, error codes of messages, renumbered
//! countries.

pub mod countries;
pub mod deployment_states;
pub mod markets;
pub mod message_errors;
pub mod renumbered;
