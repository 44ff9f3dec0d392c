//! How long are sessions, over time?
//!
//! One row per group of `--by`, by default a day, with sessions that started in it. Every session
//! counts. Sessions that are open, or finished before they started, have no duration and are left out
//! of the seconds. By tag, a session counts once under each tag of its person.

use wabalake_data::Table;
use wabalake_data::tables::audience_tags;
use wabalake_data::tables::sessions::{self, SESSION_FINISHED_TIMESTAMP, SESSION_ID};

use crate::query::prelude::*;

/// See the [module](self) for the question it answers.
#[derive(Debug)]
pub struct SessionDuration;

impl Filtered for SessionDuration {
    const TABLE: &'static Table = &sessions::TABLE;
    const FILTERS: &'static [Filter] = Filter::OF_SESSIONS;
}

impl Grouped for SessionDuration {
    const TAKES: &'static [Dimension] = &[
        Dimension::Day,
        Dimension::HalfHour,
        Dimension::Hour,
        Dimension::Week,
        Dimension::Month,
        Dimension::Conversation,
        Dimension::Country,
        Dimension::Line,
        Dimension::SessionType,
        Dimension::SessionStatus,
        Dimension::Channel,
        Dimension::Tag,
    ];
    const DEFAULT: &'static [Dimension] = &[Dimension::Day];
}

/// The query's options.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    days: DayRange,
    #[command(flatten)]
    filters: Filters<SessionDuration>,
    #[command(flatten)]
    by: Dimensions<SessionDuration>,
}

/// Sessions that started.
pub const SESSIONS: &str = "sessions";
/// Sessions with a finish among them.
pub const FINISHED_SESSIONS: &str = "finished_sessions";
/// Average duration.
pub const AVG_DURATION_SECONDS: &str = "avg_duration_seconds";
/// Median duration.
pub const MEDIAN_DURATION_SECONDS: &str = "median_duration_seconds";
/// 90th percentile of the duration.
pub const P90_DURATION_SECONDS: &str = "p90_duration_seconds";
/// Longest duration.
pub const MAX_DURATION_SECONDS: &str = "max_duration_seconds";

const DURATION: &str = "duration";

impl Query for SessionDuration {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "session-duration",
        title: "How long sessions last, over time",
        question: "How long are sessions, over time? Durations are of the sessions that finished after \
                   they started; `finished_sessions` counts every session with a finish.",
        reads: &[&sessions::TABLE, &audience_tags::TABLE],
        range: Range::Rows(&sessions::TABLE),
        columns: &[
            OutputColumn::count(SESSIONS),
            OutputColumn::count(FINISHED_SESSIONS),
            OutputColumn::seconds(AVG_DURATION_SECONDS),
            OutputColumn::seconds(MEDIAN_DURATION_SECONDS),
            OutputColumn::seconds(P90_DURATION_SECONDS),
            OutputColumn::seconds("p95_duration_seconds"),
            OutputColumn::seconds(MAX_DURATION_SECONDS),
        ],
        key: &[],
        order: &[],
        example: &["--by", "week,country", "--from", "2025-06-01", "--to", "2025-06-30"],
        sql: include_str!("twin.sql"),
    };

    const BEHIND: Option<Behind<Self>> = Some(Behind {
        table: &sessions::TABLE,
        cells: &[],
        counts: &[SESSIONS, FINISHED_SESSIONS],
        id: &[SESSION_ID],
        rows: |tables, params| {
            let split = params.by.split(in_range(tables, params), tables, params.days.timezone());
            let is_finished = col(SESSION_FINISHED_TIMESTAMP).is_not_null();
            Ok(split
                .with_columns([lit(true).alias(SESSIONS), is_finished.alias(FINISHED_SESSIONS)]))
        },
        sql: include_str!("people.sql"),
    });

    fn resolve(params: &mut Params, defaults: &Defaults) -> Result<Timeframe, UsageError> {
        params.days.resolve(defaults)
    }

    fn reads(params: &Params) -> Vec<&'static Table> {
        Self::SPEC.reads_for(&[&params.filters, &params.by])
    }

    fn invalidation(params: &Params, table: &Table) -> Vec<Invalidation> {
        if *table == sessions::TABLE {
            return vec![Invalidation::OWN_BUCKET];
        }
        [params.by.invalidation_by_tags(), params.filters.invalidation_by_tags()].concat()
    }

    fn by(params: &Params) -> Vec<OutputColumn> {
        params.by.columns()
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let sessions = in_range(tables, params).with_column(session_duration().alias(DURATION));
        let groups = params.by.group(sessions, tables, params.days.timezone()).quantiles_seconds(
            DURATION,
            [
                (MEDIAN_DURATION_SECONDS, 0.5),
                (P90_DURATION_SECONDS, 0.9),
                ("p95_duration_seconds", 0.95),
                (MAX_DURATION_SECONDS, 1.0),
            ],
        );
        Ok(groups.agg([
            rows().alias(SESSIONS),
            col(SESSION_FINISHED_TIMESTAMP).count().alias(FINISHED_SESSIONS),
            average_seconds(DURATION).alias(AVG_DURATION_SECONDS),
        ]))
    }

    fn bind(params: &Params) -> Bindings {
        params.filters.bind(params.by.bind(params.days.bind(Bindings::new())))
    }
}

/// The sessions that count.
fn in_range(tables: &Tables, params: &Params) -> LazyFrame {
    params.filters.of(params.days.scan(tables, &sessions::TABLE), tables)
}
