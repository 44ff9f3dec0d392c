//! Which campaigns are delivered, read and answered?
//!
//! One row per campaign with outgoing messages created in the range, of any type. Messages without a
//! campaign are left out. A reply may come after the range; [`performance`] defines replies.

use wabalake_data::tables::messages::{self, CAMPAIGN_ID};

use crate::query::performance::{self, ReplyWindow};
use crate::query::prelude::*;

/// See the [module](self) for the question it answers.
pub struct CampaignPerformance;

/// The query's options.
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
        question: "Which campaigns are delivered, read and answered? Outgoing messages of campaigns, \
                   by their creation; the reply is the person's first message on the same line \
                   within the window.",
        reads: &[&messages::TABLE],
        // A reply may come on any later day.
        range: Range::History,
        columns: &performance::columns(CAMPAIGN_ID),
        key: &[CAMPAIGN_ID],
        order: &[Order::Descending(performance::CREATED)],
        example: &["--from", "2025-06-01", "--to", "2025-06-30", "--reply-window-hours", "24"],
        sql: include_str!("twin.sql"),
    };

    fn resolve(params: &mut Params, defaults: &Defaults) -> Result<Timeframe, UsageError> {
        params.days.resolve(defaults)
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let counts = outgoing().and(col(CAMPAIGN_ID).is_not_null());
        performance::plan(tables, &params.days, counts, CAMPAIGN_ID, params.window)
    }

    fn bind(params: &Params) -> Bindings {
        params.window.bind(params.days.bind(Bindings::new()))
    }
}
