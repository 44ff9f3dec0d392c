//! How long are sessions, over time?
//!
//! One row for each day, or for whatever `--by` asks, in which a session started. Every session
//! counts as one; those that are open, or finished before they started, have no duration and are
//! left out of the seconds. A session of no time at all lasted 0 seconds.

use wabalake_data::Table;
use wabalake_data::tables::sessions::{self, SESSION_FINISHED_TIMESTAMP};

use crate::query::prelude::*;

/// See the [module](self) for the question it answers.
#[derive(Debug)]
pub struct SessionDuration;

impl Grouped for SessionDuration {
    const TABLE: &'static Table = &sessions::TABLE;
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
    ];
    const DEFAULT: &'static [Dimension] = &[Dimension::Day];
}

/// What may be chosen.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    days: DayRange,
    #[command(flatten)]
    by: Dimensions<SessionDuration>,
}

/// Sessions that began.
pub const SESSIONS: &str = "sessions";
/// Of them, those that ended.
pub const FINISHED_SESSIONS: &str = "finished_sessions";
/// How long those last that ended, on average.
pub const AVG_DURATION_SECONDS: &str = "avg_duration_seconds";
/// What half of them last at most.
pub const MEDIAN_DURATION_SECONDS: &str = "median_duration_seconds";
/// What 9 in 10 of them last at most.
pub const P90_DURATION_SECONDS: &str = "p90_duration_seconds";
/// How long the longest lasts.
pub const MAX_DURATION_SECONDS: &str = "max_duration_seconds";

const DURATION: &str = "duration";

impl Query for SessionDuration {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "session-duration",
        title: "How long sessions last, over time",
        question: "How long are sessions, over time? Seconds are of the sessions that have a \
                   finish, not before their start; `finished_sessions` counts every one that has \
                   a finish.",
        reads: &[&sessions::TABLE],
        range: Range::Rows,
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
        example: "--by week,country --from 2025-06-01 --to 2025-06-30",
        sql: include_str!("twin.sql"),
    };

    const INVALIDATION: &'static [(&'static Table, Invalidation)] =
        &[(&sessions::TABLE, Invalidation::Bucket)];

    fn by(params: &Params) -> Vec<OutputColumn> {
        params.by.columns()
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let mut described = params.by.expressions(params.days.timezone());
        described.extend([session_duration().alias(DURATION), col(SESSION_FINISHED_TIMESTAMP)]);
        let sessions = params.days.scan(tables, &sessions::TABLE).select(described);

        Ok(sessions.group_by(params.by.names()).agg([
            rows().alias(SESSIONS),
            col(SESSION_FINISHED_TIMESTAMP).count().alias(FINISHED_SESSIONS),
            average_seconds(DURATION).alias(AVG_DURATION_SECONDS),
            quantile_seconds(DURATION, 0.5).alias(MEDIAN_DURATION_SECONDS),
            quantile_seconds(DURATION, 0.9).alias(P90_DURATION_SECONDS),
            quantile_seconds(DURATION, 0.95).alias("p95_duration_seconds"),
            max_seconds(DURATION).alias(MAX_DURATION_SECONDS),
        ]))
    }

    fn bind(params: &Params) -> Bindings {
        params.by.bind(params.days.bind(Bindings::new()))
    }
}
