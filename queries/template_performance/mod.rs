//! Which templates are delivered, read and answered?
//!
//! One row per template with messages created in the range; template messages without a name share one
//! row. Other outgoing messages are left out. A reply may come after the range; [`performance`] defines
//! replies.

use wabalake_data::tables::messages::{self, TEMPLATE_NAME};

use crate::query::performance::{self, ReplyWindow};
pub use crate::query::performance::{
    CREATED, DELIVERED, DELIVERED_PCT, FAILED, MEDIAN_REPLY_SECONDS, READ_PCT, REPLIED, REPLY_PCT,
};
use crate::query::prelude::*;

/// See the [module](self) for the question it answers.
pub struct TemplatePerformance;

/// The query's options.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    days: DayRange,
    #[command(flatten)]
    window: ReplyWindow,
}

impl Query for TemplatePerformance {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "template-performance",
        title: "Which templates are delivered, read and answered",
        question: "Which templates are delivered, read and answered? Template messages by their \
                   creation; the reply is the person's first message on the same line within the \
                   window.",
        reads: &[&messages::TABLE],
        // A reply may come on any later day.
        range: Range::History,
        columns: &performance::columns(TEMPLATE_NAME),
        key: &[TEMPLATE_NAME],
        order: &[Order::Descending(CREATED)],
        example: &["--from", "2025-06-01", "--to", "2025-06-30", "--reply-window-hours", "24"],
        sql: include_str!("twin.sql"),
    };

    fn resolve(params: &mut Params, defaults: &Defaults) -> Result<Timeframe, UsageError> {
        params.days.resolve(defaults)
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let counts = col(messages::MESSAGE_TYPE).eq(lit("template"));
        performance::plan(tables, &params.days, counts, TEMPLATE_NAME, params.window)
    }

    fn bind(params: &Params) -> Bindings {
        params.window.bind(params.days.bind(Bindings::new()))
    }
}
