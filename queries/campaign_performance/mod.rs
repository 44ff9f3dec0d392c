//! Which campaigns are delivered, read and answered?
//!
//! One row per campaign with outgoing messages created in the range, of any type. Messages without a
//! campaign are left out. A reply may come after the range; [`performance`] defines replies.
//!
//! `--cost` adds what the delivered messages cost, with the prices of
//! [`pricing-analytics`](crate::pricing_analytics): `cost`, `cost_currency` and `cost_per_reply`. A cost is null
//! if a message has no rate, or if rates are in several currencies.

use wabalake_data::Table;
use wabalake_data::tables::messages::{self, CAMPAIGN_ID};

use crate::query::performance;
use crate::query::prelude::*;

/// See the [module](self) for the question it answers.
#[derive(Clone, Debug)]
pub struct CampaignPerformance;

impl Filtered for CampaignPerformance {
    const TABLE: &'static Table = &messages::TABLE;
    const FILTERS: &'static [Filter] = Filter::OF_MESSAGES;
}

impl Grouped for CampaignPerformance {
    const TIMES: &'static [Dimension] = Dimension::TIMES;
    const TAKES: &'static [Dimension] = &[
        Dimension::Country,
        Dimension::Line,
        Dimension::Tag,
        Dimension::Waba,
        Dimension::Template,
        Dimension::Ref,
        Dimension::MessageSource,
        Dimension::Format,
    ];
}

impl performance::Performance for CampaignPerformance {
    const NAME: &'static str = "campaign-performance";
    const TITLE: &'static str = "Which campaigns are delivered, read and answered";
    const QUESTION: &'static str = "Which campaigns are delivered, read and answered? Outgoing \
                                    messages of campaigns, by their creation; the reply is the \
                                    person's first message on the same line within the window.";
    const SQL: &'static str = include_str!("twin.sql");
    const OF: &'static str = CAMPAIGN_ID;
    const COUNTS_SQL: &'static str = "message_direction = 'outgoing' AND campaign_id IS NOT NULL";

    fn counts() -> Expr {
        outgoing().and(col(CAMPAIGN_ID).is_not_null())
    }
}
