//! Which templates are delivered, read and answered?
//!
//! One row per template with messages created in the range; template messages without a name share one
//! row. Other outgoing messages are left out. A reply may come after the range; [`performance`] defines
//! replies.
//!
//! `--cost` adds what the delivered messages cost, with the prices of
//! [`pricing-analytics`](crate::pricing_analytics): `cost`, `cost_currency` and `cost_per_reply`. A cost is null
//! if a message has no rate, or if rates are in several currencies.

use wabalake_data::Table;
use wabalake_data::tables::messages::{self, MESSAGE_TYPE, TEMPLATE_NAME};

use crate::query::performance;
pub use crate::query::performance::{
    CREATED, DELIVERED, DELIVERED_PCT, FAILED, MEDIAN_REPLY_SECONDS, READ_PCT, REPLIED, REPLY_PCT,
};
use crate::query::prelude::*;

/// See the [module](self) for the question it answers.
#[derive(Clone, Debug)]
pub struct TemplatePerformance;

impl Filtered for TemplatePerformance {
    const TABLE: &'static Table = &messages::TABLE;
    const FILTERS: &'static [Filter] = Filter::OF_MESSAGES;
}

impl Grouped for TemplatePerformance {
    const TIMES: &'static [Dimension] = Dimension::TIMES;
    const TAKES: &'static [Dimension] = &[
        Dimension::Country,
        Dimension::Line,
        Dimension::Tag,
        Dimension::Waba,
        Dimension::Campaign,
        Dimension::Ref,
        Dimension::MessageSource,
        Dimension::Format,
    ];
}

impl performance::Performance for TemplatePerformance {
    const NAME: &'static str = "template-performance";
    const TITLE: &'static str = "Which templates are delivered, read and answered";
    const QUESTION: &'static str = "Which templates are delivered, read and answered? Template \
                                    messages by their creation; the reply is the person's first \
                                    message on the same line within the window.";
    const SQL: &'static str = include_str!("twin.sql");
    const OF: &'static str = TEMPLATE_NAME;
    const COUNTS_SQL: &'static str = "message_type = 'template'";

    fn counts() -> Expr {
        col(MESSAGE_TYPE).eq(lit("template"))
    }
}
