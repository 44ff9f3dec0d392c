//! What conversations and messages cost.
//!
//! | module | what it holds |
//! |---|---|
//! | [`conversations`] | Kaleyra's sessions: WhatsApp conversations of 24 hours, and their price |
//! | [`pricing`] | delivered messages and their price |
//! | [`service`] | service messages, and the price that they have in common |
//! | [`rules`] | Meta's rules of prices by date, and their options |
//! | [`entry_windows`] | the hours after the answer to a click on an ad, in which messages are free |
//! | [`prices`] | the join of units with the rate card |
//! | [`sends`] | `--cost`: what deployments and messages cost, beside what followed them |
//! | [`money`] | sums of amounts in several currencies |

pub mod conversations;
pub mod entry_windows;
pub mod money;
pub mod prices;
pub mod pricing;
pub mod rules;
pub mod sends;
pub mod service;
