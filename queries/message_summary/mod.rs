//! How many messages of each day were sent, delivered, read and received?
//!
//! Kaleyra's message summary, computed from the messages: one row per local date, account, line, country
//! and message type. A message counts once, on the day of its creation, whenever it was delivered.
//! Incoming messages count only as received, outgoing ones never do; a count that does not apply is null,
//! as in Kaleyra's report. A line has the display name of its latest session, else of its latest row in
//! Kaleyra's summaries.

use wabalake_data::Table;
pub use wabalake_data::tables::message_summaries::RECEIVED;
use wabalake_data::tables::messages::{self, COUNTRY, CREATED_AT, LINE, MESSAGE_TYPE, WABA_ID};
use wabalake_data::tables::{audience_tags, message_summaries, session_summaries, sessions};

use crate::kernels::groups::Groups;
use crate::query::lines;
use crate::query::prelude::*;
use crate::query::time::Clock;

/// See the [module](self) for the question it answers.
#[derive(Debug)]
pub struct MessageSummary;

impl Filtered for MessageSummary {
    const TABLE: &'static Table = &messages::TABLE;
    const FILTERS: &'static [Filter] = &[Filter::COUNTRY, Filter::LINE, Filter::TAG, Filter::WABA];
}

/// The query's options.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    days: DayRange,
    #[command(flatten)]
    filters: Filters<MessageSummary>,
}

const DATE: &str = "date";
const WA_PHONE_NUMBER: &str = "wa_phone_number";

impl Query for MessageSummary {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "message-summary",
        title: "Messages sent, delivered, read and received by day",
        question: "How many messages of each day were sent, delivered, read and received? Kaleyra's \
                   message summary, computed from the lake: each message counts on the day of its \
                   creation, incoming ones as received only.",
        reads: &[
            &messages::TABLE,
            &sessions::TABLE,
            &message_summaries::TABLE,
            &session_summaries::TABLE,
            &audience_tags::TABLE,
        ],
        range: Range::Rows(&messages::TABLE),
        columns: &[
            OutputColumn::date(DATE),
            OutputColumn::term(WABA_ID),
            OutputColumn::line(WA_PHONE_NUMBER),
            OutputColumn::written("display_name"),
            OutputColumn::country(COUNTRY),
            OutputColumn::word(MESSAGE_TYPE),
            OutputColumn::count("created"),
            OutputColumn::count("failed"),
            OutputColumn::count("sent"),
            OutputColumn::count("delivered"),
            OutputColumn::count("read"),
            OutputColumn::count(RECEIVED),
        ],
        key: &[DATE, WABA_ID, WA_PHONE_NUMBER, COUNTRY, MESSAGE_TYPE],
        order: &[],
        example: &["--from", "2025-06-01", "--to", "2025-06-30", "--timezone", "America/Bogota"],
        sql: include_str!("twin.sql"),
    };

    fn resolve(params: &mut Params, defaults: &Defaults) -> Result<Timeframe, UsageError> {
        params.days.resolve(defaults)
    }

    fn reads(params: &Params) -> Vec<&'static Table> {
        Self::SPEC.reads_for(&[&params.filters])
    }

    fn invalidation(params: &Params, table: &Table) -> Vec<Invalidation> {
        if *table == messages::TABLE {
            return vec![Invalidation::OWN_BUCKET];
        }
        if *table == audience_tags::TABLE {
            return params.filters.invalidation_by_tags();
        }
        vec![Invalidation::LookUp(lines::names)]
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let messages = params.days.scan(tables, &messages::TABLE);
        let messages = params.filters.of(messages, tables);
        let date = Clock::Day.start(col(CREATED_AT), params.days.timezone());
        let messages = messages.with_columns([date.alias(DATE), col(LINE).alias(WA_PHONE_NUMBER)]);
        let by_day = [DATE, WABA_ID, WA_PHONE_NUMBER, COUNTRY, MESSAGE_TYPE].map(col);
        let texts = [WABA_ID, WA_PHONE_NUMBER, COUNTRY, MESSAGE_TYPE];
        let days = Groups::of(messages, by_day).texts(texts).agg(message_counts());
        lines::named(days, WA_PHONE_NUMBER, "display_name", tables)
    }

    fn bind(params: &Params) -> Bindings {
        params.filters.bind(params.days.bind(Bindings::new()))
    }
}
