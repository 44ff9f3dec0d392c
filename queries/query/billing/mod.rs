//! What conversations and messages cost.
//!
//! | module | what it holds |
//! |---|---|
//! | [`conversations`] | Kaleyra's sessions: WhatsApp conversations of 24 hours, and their price |
//! | [`pricing`] | delivered messages, priced by Meta's rules of 1 July 2025 |
//! | [`prices`] | the join of units with the rate card |
//! | [`money`] | sums of amounts in several currencies |

pub mod conversations;
pub mod money;
pub mod prices;
pub mod pricing;
