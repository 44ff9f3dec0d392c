//! Prices by whole months, with a part of the messages in memory at a time.
//!
//! Free tiers and the tiers of rates begin anew each month, so months can be priced one by one. What is
//! counted of each is a small table, which is all that remains of it.
//!
//! | module | what is priced |
//! |---|---|
//! | [`conversations`] | conversations of 24 hours |
//! | [`deliveries`] | delivered messages |

mod conversations;
mod deliveries;

pub use conversations::{count_conversations, count_conversations_with};
pub use deliveries::{count_by_month, count_deliveries};
