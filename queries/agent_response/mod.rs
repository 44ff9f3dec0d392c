//! How fast do agents answer?
//!
//! One row per agent, or other group of `--by`, with the chats that were handed over to agents in the range. A
//! response is the time from the assignment of a chat, or with `--clock-from created` from the handover, to the
//! agent's first message. A chat that lacks one of both, or in which the message came before, has no response;
//! it counts as answered if it has the message.
//!
//! With `--hours`, or `weekly` in `[hours]` of the settings, only the time counts in which agents work, by the
//! local clock; on `--holidays` nobody works. An hour that the clock shows twice counts twice.
//!
//! ```text
//! --hours 'Mon-Fri 09:00-13:00 14:00-18:00'
//!
//! assigned         first message     response
//! Monday 12:30     Monday 14:15      45 minutes: 30 until 13:00, 15 from 14:00 on
//! Friday 17:50     Monday 09:20      30 minutes
//! Saturday 10:00   Saturday 11:00    0
//! ```
//!
//! Resolutions are from the handover to the end of a chat, at all hours; those that end before they begin are
//! left out. `--tag` and `--by tag` are of the tags that a business gives to people, not of the chat's own.
//! By tag, a chat counts under each tag of its person.

use clap::ValueEnum;
use wabalake_data::Table;
use wabalake_data::tables::agent_chats::{
    self, AGENT, AGENT_FIRST_MESSAGE_AT, ASSIGNED_AT, COUNTRY, CREATED_AT, FINISH_TYPE,
    FINISHED_AT, LAST_TRANSFER_FROM, RATING, USER_PHONE,
};
use wabalake_data::tables::{USER_KEY, audience_tags};

use crate::query::billing::money;
use crate::query::numbers::whole;
use crate::query::prelude::*;
use crate::query::time::SECOND;
use crate::query::time::hours::OpenHours;
use crate::query::words::Word;

/// See the [module](self) for the question it answers.
#[derive(Debug)]
pub struct AgentResponse;

impl Filtered for AgentResponse {
    const TABLE: &'static Table = &agent_chats::TABLE;
    const FILTERS: &'static [Filter] = Filter::OF_CHATS;
}

impl Grouped for AgentResponse {
    const TAKES: &'static [Dimension] = &[
        Dimension::Agent,
        Dimension::HalfHour,
        Dimension::Hour,
        Dimension::Day,
        Dimension::Week,
        Dimension::Month,
        Dimension::Country,
        Dimension::Tag,
    ];
    const DEFAULT: &'static [Dimension] = &[Dimension::Agent];
}

/// The query's options.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    days: DayRange,
    #[command(flatten)]
    filters: Filters<AgentResponse>,
    #[command(flatten)]
    by: Dimensions<AgentResponse>,

    /// What the time of a response begins with
    #[arg(long, value_enum, default_value_t = ClockFrom::Assigned, value_parser = Word::of::<ClockFrom>())]
    clock_from: ClockFrom,

    /// Most seconds of a response that keeps the service level
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 300,
        value_parser = whole::<i64>(1..=i64::from(u32::MAX))
    )]
    sla_seconds: i64,

    #[command(flatten)]
    hours: OpenHours,
}

/// What the time of a response begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ClockFrom {
    /// The assignment of the chat to the agent
    Assigned,
    /// The handover of the chat to the agents
    Created,
}

impl ClockFrom {
    const fn column(self) -> &'static str {
        match self {
            Self::Assigned => ASSIGNED_AT,
            Self::Created => CREATED_AT,
        }
    }
}

/// Chats that were handed over to agents.
pub const CHATS: &str = "chats";
/// Chats in which an agent wrote.
pub const ANSWERED: &str = "answered";
/// Chats in which no agent wrote.
pub const UNANSWERED: &str = "unanswered";
/// Median time until the agent's first message.
pub const RESPONSE_P50_SECONDS: &str = "response_p50_seconds";
/// 90th percentile of the time until the agent's first message.
pub const RESPONSE_P90_SECONDS: &str = "response_p90_seconds";
/// Chats whose response took at most `--sla-seconds`.
pub const WITHIN_SLA: &str = "within_sla";
/// `within_sla` of the chats with a response.
pub const WITHIN_SLA_PCT: &str = "within_sla_pct";
/// Chats that were finished.
pub const FINISHED: &str = "finished";
/// Chats that were finished without an agent.
pub const AUTO_FINISHED: &str = "auto_finished";
/// Median time from the handover to the end of a chat.
pub const RESOLUTION_P50_SECONDS: &str = "resolution_p50_seconds";
/// Chats that an agent transferred to another.
pub const TRANSFERRED: &str = "transferred";
/// Chats that the person rated.
pub const RATED: &str = "rated";
/// Mean of the ratings.
pub const AVG_RATING: &str = "avg_rating";

/// The time of a response in microseconds.
const RESPONSE: &str = "response";
/// The time from the handover to the end in microseconds.
const RESOLUTION: &str = "resolution";

impl Query for AgentResponse {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "agent-response",
        title: "How fast agents answer",
        question: "How fast do agents answer? Chats that were handed over to agents, with the time \
                   until the agent's first message, at all hours or at those at which agents work; \
                   and how chats were finished, transferred and rated.",
        reads: &[&agent_chats::TABLE, &audience_tags::TABLE],
        range: Range::Rows(&agent_chats::TABLE),
        columns: &[
            OutputColumn::count(CHATS),
            OutputColumn::count(ANSWERED),
            OutputColumn::count(UNANSWERED),
            OutputColumn::seconds(RESPONSE_P50_SECONDS),
            OutputColumn::seconds(RESPONSE_P90_SECONDS),
            OutputColumn::count(WITHIN_SLA),
            OutputColumn::pct(WITHIN_SLA_PCT),
            OutputColumn::count(FINISHED),
            OutputColumn::count(AUTO_FINISHED),
            OutputColumn::seconds(RESOLUTION_P50_SECONDS),
            OutputColumn::count(TRANSFERRED),
            OutputColumn::count(RATED),
            OutputColumn::number(AVG_RATING),
        ],
        key: &[],
        order: &[],
        example: &["--by", "week,agent", "--hours", "Mon-Fri 09:00-18:00", "--sla-seconds", "600"],
        sql: include_str!("twin.sql"),
    };

    const BEHIND: Option<Behind<Self>> = Some(Behind {
        table: &agent_chats::TABLE,
        cells: &[],
        counts: &[CHATS, ANSWERED, UNANSWERED, WITHIN_SLA],
        id: &[],
        rows: |tables, params| {
            let split = params.by.split(timed(tables, params), tables, params.days.timezone());
            let is_answered = col(AGENT_FIRST_MESSAGE_AT).is_not_null();
            Ok(split.with_columns([
                lit(true).alias(CHATS),
                is_answered.clone().alias(ANSWERED),
                is_answered.not().alias(UNANSWERED),
                params.is_within_sla().alias(WITHIN_SLA),
            ]))
        },
        sql: include_str!("people.sql"),
    });

    fn resolve(params: &mut Params, defaults: &Defaults) -> Result<Timeframe, UsageError> {
        params.hours.resolve(defaults);
        params.days.resolve(defaults)
    }

    fn reads(params: &Params) -> Vec<&'static Table> {
        Self::SPEC.reads_for(&[&params.filters, &params.by])
    }

    fn invalidation(params: &Params, table: &Table) -> Vec<Invalidation> {
        if *table == agent_chats::TABLE {
            return vec![Invalidation::OWN_BUCKET];
        }
        [params.by.invalidation_by_tags(), params.filters.invalidation_by_tags()].concat()
    }

    fn by(params: &Params) -> Vec<OutputColumn> {
        params.by.columns()
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        const RESPONSES: &str = "responses";
        const RATINGS: &str = "ratings";
        let is_set = |column: &str| rows_where(col(column).is_not_null());
        let groups = params
            .by
            .group(timed(tables, params), tables, params.days.timezone())
            .quantiles_seconds(RESPONSE, [(RESPONSE_P50_SECONDS, 0.5), (RESPONSE_P90_SECONDS, 0.9)])
            .quantiles_seconds(RESOLUTION, [(RESOLUTION_P50_SECONDS, 0.5)])
            .agg([
                rows().alias(CHATS),
                is_set(AGENT_FIRST_MESSAGE_AT).alias(ANSWERED),
                rows_where(col(AGENT_FIRST_MESSAGE_AT).is_null()).alias(UNANSWERED),
                is_set(RESPONSE).alias(RESPONSES),
                rows_where(params.is_within_sla()).alias(WITHIN_SLA),
                is_set(FINISHED_AT).alias(FINISHED),
                rows_where(col(FINISH_TYPE).eq(lit("AUTO"))).alias(AUTO_FINISHED),
                is_set(LAST_TRANSFER_FROM).alias(TRANSFERRED),
                is_set(RATING).alias(RATED),
                money::sum(RATING).alias(RATINGS),
            ]);
        Ok(groups.with_columns([
            share_pct(col(WITHIN_SLA), col(RESPONSES)).alias(WITHIN_SLA_PCT),
            ratio(col(RATINGS), col(RATED)).alias(AVG_RATING),
        ]))
    }

    fn bind(params: &Params) -> Bindings {
        let bindings = params
            .filters
            .bind_relation(Bindings::new(), "timed", &agent_chats::TABLE)
            .word("clock_from", params.clock_from)
            .integer("sla_seconds", params.sla_seconds);
        let bindings = params.by.bind(params.days.bind(bindings));
        let (bindings, timed) = if params.hours.are_always() {
            (bindings, include_str!("always.sql"))
        } else {
            let bindings = bindings
                .list("holidays", &params.hours.days_off())
                .slot("openings", params.hours.rows_sql());
            (bindings, include_str!("hours.sql"))
        };
        let timed = bindings.fill_slots(timed.trim_end());
        let bindings = bindings.slot("with_response", timed);
        let asked = bindings.fill_slots(include_str!("asked.sql").trim_end());
        bindings.slot("asked", asked)
    }
}

impl Params {
    /// Predicate: a chat has a response that keeps the service level.
    fn is_within_sla(&self) -> Expr {
        col(RESPONSE).lt_eq(lit(self.sla_seconds * SECOND))
    }
}

/// The chats that count, without their own tags, with the times of response and resolution.
fn timed(tables: &Tables, params: &Params) -> LazyFrame {
    const READ: [&str; 11] = [
        USER_KEY,
        USER_PHONE,
        COUNTRY,
        AGENT,
        CREATED_AT,
        AGENT_FIRST_MESSAGE_AT,
        FINISHED_AT,
        FINISH_TYPE,
        LAST_TRANSFER_FROM,
        RATING,
        ASSIGNED_AT,
    ];
    let chats = params.days.scan(tables, &agent_chats::TABLE).select(READ.map(col));
    let (from, zone) = (params.clock_from.column(), params.days.timezone());
    params.filters.of(chats, tables).with_columns([
        params.hours.elapsed(from, AGENT_FIRST_MESSAGE_AT, zone).alias(RESPONSE),
        elapsed(CREATED_AT, FINISHED_AT).alias(RESOLUTION),
    ])
}
