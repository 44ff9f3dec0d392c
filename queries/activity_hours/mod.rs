//! When do users write?
//!
//! One row per hour of the local week, always 168. Sessions that start in the range count in the hour
//! of their start, and in the hours of the user's first and last message, even if such a message is
//! outside the range. A session in which the user wrote nothing has no message to count.

use polars::prelude::df;
use wabalake_data::tables::sessions::{
    self, FIRST_MESSAGE_TIMESTAMP, LAST_MESSAGE_TIMESTAMP, SESSION_STARTED_TIMESTAMP,
};

use crate::query::prelude::*;
use crate::query::time::hour_of_week;

/// See the [module](self) for the question it answers.
pub struct ActivityHours;

/// The query's options.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    days: DayRange,
}

/// 1 is Monday, 7 is Sunday.
pub const WEEKDAY: &str = "weekday";
/// Hour of the day, 0 to 23.
pub const HOUR: &str = "hour";
/// Sessions that started in the hour.
pub const SESSIONS: &str = "sessions";
/// Sessions whose first message was in the hour.
pub const FIRST_MESSAGES: &str = "first_messages";

/// The counts, each with the timestamp that decides its hour.
const COUNTED: [(&str, &str); 3] = [
    (SESSIONS, SESSION_STARTED_TIMESTAMP),
    (FIRST_MESSAGES, FIRST_MESSAGE_TIMESTAMP),
    ("last_messages", LAST_MESSAGE_TIMESTAMP),
];

/// Hours since Monday 00:00.
const HOUR_OF_WEEK: &str = "hour_of_week";

impl Query for ActivityHours {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "activity-hours",
        title: "When users write, by weekday and hour",
        question: "When do users write? Sessions that start in the range, counted in the hour of \
                   their start, first message and last message; weekday 1 is Monday.",
        reads: &[&sessions::TABLE],
        range: Range::Rows(&sessions::TABLE),
        columns: &[
            OutputColumn::count(WEEKDAY),
            OutputColumn::count(HOUR),
            OutputColumn::count(SESSIONS),
            OutputColumn::count(FIRST_MESSAGES),
            OutputColumn::count("last_messages"),
        ],
        key: &[WEEKDAY, HOUR],
        order: &[],
        example: &["--from", "2025-06-01", "--to", "2025-06-30", "--timezone", "America/Bogota"],
        sql: include_str!("twin.sql"),
    };

    fn resolve(params: &mut Params, defaults: &Defaults) -> Result<Timeframe, UsageError> {
        params.days.resolve(defaults)
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let hour = |stamp| hour_of_week(col(stamp), params.days.timezone());
        let hours = params
            .days
            .scan(tables, &sessions::TABLE)
            .select(COUNTED.map(|(count, stamp)| hour(stamp).alias(count)));

        let week = df![HOUR_OF_WEEK => (0..7 * 24).collect::<Vec<i32>>()]?.lazy();
        let counted = COUNTED.into_iter().fold(week, |week, (count, _)| {
            let counts =
                hours.clone().group_by([col(count).alias(HOUR_OF_WEEK)]).agg([rows().alias(count)]);
            week.left_join(counts, col(HOUR_OF_WEEK), col(HOUR_OF_WEEK))
                .with_column(col(count).fill_null(lit(0)))
        });
        Ok(counted.with_columns([
            (col(HOUR_OF_WEEK).floor_div(lit(24)) + lit(1)).alias(WEEKDAY),
            (col(HOUR_OF_WEEK) % lit(24)).alias(HOUR),
        ]))
    }

    fn bind(params: &Params) -> Bindings {
        params.days.bind(Bindings::new())
    }
}
