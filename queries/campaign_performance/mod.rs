//! Which campaigns are delivered, read and answered?
//!
//! One row for each campaign whose messages were created in the range, of whatever type they are;
//! those of no campaign, and incoming ones, are left out. A reply may come after the range, and
//! what is a reply says [`performance`].

use wabalake_data::tables::messages::{self, CAMPAIGN_ID};

use crate::query::performance::{self, ReplyWindow};
use crate::query::prelude::*;

/// See the [module](self) for the question it answers.
pub struct CampaignPerformance;

/// What may be chosen.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    days: DayRange,
    #[command(flatten)]
    window: ReplyWindow,
}

impl Query for CampaignPerformance {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "campaign-performance",
        title: "Which campaigns are delivered, read and answered",
        question: "Which campaigns are delivered, read and answered? Outgoing messages that have a \
                   campaign, by when they were created; one is answered by the first message of \
                   its person on its line within the window.",
        reads: &[&messages::TABLE],
        // A reply may lie on any later day.
        range: Range::History,
        columns: &performance::columns(CAMPAIGN_ID),
        key: &[CAMPAIGN_ID],
        order: &[Order::Descending(performance::CREATED)],
        example: "--from 2025-06-01 --to 2025-06-30 --reply-window-hours 24",
        sql: include_str!("twin.sql"),
    };

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let counts = outgoing().and(col(CAMPAIGN_ID).is_not_null());
        performance::plan(tables, &params.days, counts, CAMPAIGN_ID, params.window)
    }

    fn bind(params: &Params) -> Bindings {
        params.window.bind(params.days.bind(Bindings::new()))
    }
}
