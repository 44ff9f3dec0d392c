//! How many WhatsApp conversations began each day, and what did they cost?
//!
//! Kaleyra's session summary, computed from the messages: one row per local date, account, line,
//! country, session type, free tier and currency. Kaleyra's session is a conversation of 24 hours; it
//! counts on the day of its first message that did not fail, and not at all if all messages failed. The
//! free tier is counted over the whole lake, whatever the range and the filters. Filters apply to a
//! conversation's first message. A line has the display name of its latest session, else of its latest row
//! in Kaleyra's summaries.

use wabalake_data::Table;
use wabalake_data::tables::session_summaries::{
    self, AMOUNT, COUNTRY, DATE, DISPLAY_NAME, FREE_TIER, NUMBER_OF_SESSIONS, SESSION_TYPE,
    WA_PHONE_NUMBER, WABA_ID,
};
use wabalake_data::tables::{
    CURRENCY, USER_KEY, audience_tags, markets, message_summaries, messages, rates, sessions,
};

use crate::query::billing::conversations::{self, FreeSessions};
use crate::query::billing::money;
use crate::query::billing::prices::DATED;
use crate::query::lines;
use crate::query::monthly;
use crate::query::prelude::*;

/// See the [module](self) for the question it answers.
#[derive(Debug)]
pub struct SessionSummary;

impl Filtered for SessionSummary {
    const TABLE: &'static Table = &messages::TABLE;
    const FILTERS: &'static [Filter] = &[Filter::COUNTRY, Filter::LINE, Filter::TAG, Filter::WABA];
}

/// The query's options.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    days: DayRange,
    #[command(flatten)]
    filters: Filters<SessionSummary>,
    #[command(flatten)]
    free_sessions: FreeSessions,
}

const KEY: [&str; 7] = [DATE, WABA_ID, WA_PHONE_NUMBER, COUNTRY, SESSION_TYPE, FREE_TIER, CURRENCY];

impl Query for SessionSummary {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "session-summary",
        title: "WhatsApp conversations by day, and what they cost",
        question: "How many WhatsApp conversations began each day, and what did they cost? Kaleyra's \
                   session summary, computed from the lake: each conversation counts on the day of \
                   its first message that did not fail; the first of a month are free, the others \
                   are priced by the rate card. Filters apply to the first message, after the free \
                   ones are counted. An amount is null if a conversation has no rate.",
        reads: &[
            &messages::TABLE,
            &sessions::TABLE,
            &rates::TABLE,
            &markets::TABLE,
            &message_summaries::TABLE,
            &session_summaries::TABLE,
            &audience_tags::TABLE,
        ],
        range: Range::History,
        columns: &[
            OutputColumn::date(DATE),
            OutputColumn::term(WABA_ID),
            OutputColumn::line(WA_PHONE_NUMBER),
            OutputColumn::written(DISPLAY_NAME),
            OutputColumn::country(COUNTRY),
            OutputColumn::word(SESSION_TYPE),
            OutputColumn::boolean(FREE_TIER),
            OutputColumn::count(NUMBER_OF_SESSIONS),
            OutputColumn::money(AMOUNT),
            OutputColumn::term(CURRENCY),
            OutputColumn::count("unpriced_sessions"),
        ],
        key: &KEY,
        order: &[],
        example: &[
            "--free-sessions",
            "0",
            "--from",
            "2025-06-01",
            "--to",
            "2025-06-30",
            "--timezone",
            "America/Bogota",
        ],
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
            return conversations::invalidation();
        }
        if *table == rates::TABLE || *table == markets::TABLE {
            return vec![Invalidation::Answer];
        }
        if *table == audience_tags::TABLE {
            return params.filters.invalidation_by_tags();
        }
        vec![Invalidation::LookUp(lines::names)]
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let filters = params.filters.clone();
        let others: &'static [&'static str] = if filters.is_by_tag() { &[USER_KEY] } else { &[] };
        let count = move |sessions: LazyFrame, tables: &Tables| {
            let sessions = filters.of(sessions, tables);
            let mut counts = vec![rows().alias(NUMBER_OF_SESSIONS)];
            counts.extend(money::charges());
            let local = [col(DATED).alias(DATE), col(messages::LINE).alias(WA_PHONE_NUMBER)];
            Ok(sessions.with_columns(local).group_by(KEY.map(col)).agg(counts))
        };
        let (within, free) = (params.days.span(), params.free_sessions);
        let days = monthly::count_conversations_with(others, tables, within, free, count)?;
        let days = days.with_columns([
            money::cost().alias(AMOUNT),
            col(money::UNPRICED).alias("unpriced_sessions"),
        ]);
        lines::named(days, WA_PHONE_NUMBER, DISPLAY_NAME, tables)
    }

    fn bind(params: &Params) -> Bindings {
        let bindings = params.free_sessions.bind(params.days.bind(Bindings::new()));
        params.filters.bind_relation(bindings, conversations::OFFERED, &messages::TABLE)
    }
}
