//! When do users write?
//!
//! One row for each hour of the week on the local clock, 168 of them whatever the data. Of the
//! sessions that start in the range: each is counted where it started, and where its user first and
//! last wrote, so a message after midnight lies on the next day, even outside the range. A user who
//! did not write has no message to count.

use polars::prelude::df;
use wabalake_data::tables::sessions::{
    self, FIRST_MESSAGE_TIMESTAMP, LAST_MESSAGE_TIMESTAMP, SESSION_STARTED_TIMESTAMP,
};

use crate::query::prelude::*;
use crate::query::zone::hour_of_week;

/// See the [module](self) for the question it answers.
pub struct ActivityHours;

/// What may be chosen.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    days: DayRange,
}

/// What is counted, and the stamp that says in which hour.
const COUNTED: [(&str, &str); 3] = [
    ("sessions", SESSION_STARTED_TIMESTAMP),
    ("first_messages", FIRST_MESSAGE_TIMESTAMP),
    ("last_messages", LAST_MESSAGE_TIMESTAMP),
];

/// The hour of the week from Monday 00:00.
const HOUR: &str = "hour_of_week";

impl Query for ActivityHours {
    type Params = Params;

    const CARD: Card = Card {
        name: "activity-hours",
        title: "When users write, by weekday and hour",
        question: "When do users write? Sessions that start in the range, each count in the hour \
                   of its own stamp; weekday 1 is Monday.",
        reads: &[&sessions::TABLE],
        range: Range::Rows,
        columns: &[
            OutputColumn::count("weekday"),
            OutputColumn::count("hour"),
            OutputColumn::count("sessions"),
            OutputColumn::count("first_messages"),
            OutputColumn::count("last_messages"),
        ],
        key: &["weekday", "hour"],
        order: &[],
        example: "--from 2025-06-01 --to 2025-06-30 --timezone America/Bogota",
        sql: include_str!("twin.sql"),
    };

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let sessions = params.days.scan(tables, &sessions::TABLE);
        let hour = |stamp| hour_of_week(col(stamp), params.days.timezone()).alias(HOUR);

        let week = df![HOUR => (0..7 * 24).collect::<Vec<i32>>()]?.lazy();
        let counted = COUNTED.into_iter().fold(week, |week, (count, stamp)| {
            let hours = sessions
                .clone()
                .filter(col(stamp).is_not_null())
                .select([hour(stamp)])
                .group_by([col(HOUR)])
                .agg([rows().alias(count)]);
            week.left_join(hours, col(HOUR), col(HOUR)).with_column(col(count).fill_null(lit(0)))
        });
        Ok(counted.with_columns([
            (col(HOUR).floor_div(lit(24)) + lit(1)).alias("weekday"),
            (col(HOUR) % lit(24)).alias("hour"),
        ]))
    }

    fn bind(params: &Params) -> Bindings {
        params.days.bind(Bindings::new())
    }
}
