//! When do users write?
//!
//! One row per hour of the local week, always 168; with `--by`, 168 for each group that occurs. Sessions that
//! start in the range count in the hour of their start, and in the hours of the user's first and last
//! message, even if such a message is outside the range. A session in which the user wrote nothing has no
//! message to count. By tag, a session counts once under each tag of its person.

use polars::prelude::df;
use wabalake_data::Table;
use wabalake_data::tables::audience_tags;
use wabalake_data::tables::sessions::{
    self, FIRST_MESSAGE_TIMESTAMP, LAST_MESSAGE_TIMESTAMP, SESSION_STARTED_TIMESTAMP,
};

use crate::query::prelude::*;
use crate::query::time::hour_of_week;

/// See the [module](self) for the question it answers.
#[derive(Debug)]
pub struct ActivityHours;

impl Filtered for ActivityHours {
    const TABLE: &'static Table = &sessions::TABLE;
    const FILTERS: &'static [Filter] = Filter::OF_SESSIONS;
}

impl Grouped for ActivityHours {
    const TAKES: &'static [Dimension] = &[Dimension::Country, Dimension::Line, Dimension::Tag];
}

/// The query's options.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    days: DayRange,
    #[command(flatten)]
    filters: Filters<ActivityHours>,
    #[command(flatten)]
    by: Dimensions<ActivityHours>,
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
                   their start, first message and last message; weekday 1 is Monday. Each group of \
                   `--by` has all 168 hours.",
        reads: &[&sessions::TABLE, &audience_tags::TABLE],
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

    fn reads(params: &Params) -> Vec<&'static Table> {
        Self::SPEC.reads_for(&[&params.filters, &params.by])
    }

    fn by(params: &Params) -> Vec<OutputColumn> {
        params.by.columns()
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let zone = params.days.timezone();
        let by = params.by.names();
        let sessions = params.filters.of(params.days.scan(tables, &sessions::TABLE), tables);
        let hour = |(count, stamp)| hour_of_week(col(stamp), zone).alias(count);
        let columns = [&by[..], &COUNTED.map(hour)].concat();
        let hours = params.by.split(sessions, tables, zone).select(columns);

        let week = df![HOUR_OF_WEEK => (0..7 * 24).collect::<Vec<i32>>()]?.lazy();
        let weeks = params.by.for_each_group(hours.clone(), week);
        let of_group = [&by[..], &[col(HOUR_OF_WEEK)]].concat();
        let counted = COUNTED.into_iter().fold(weeks, |weeks, (count, _)| {
            let hour = [&by[..], &[col(count).alias(HOUR_OF_WEEK)]].concat();
            let counts = hours.clone().group_by(hour).agg([rows().alias(count)]);
            let nulls_too = JoinArgs { nulls_equal: true, ..JoinArgs::new(JoinType::Left) };
            weeks
                .join(counts, &of_group, &of_group, nulls_too)
                .with_column(col(count).fill_null(lit(0)))
        });
        Ok(counted.with_columns([
            (col(HOUR_OF_WEEK).floor_div(lit(24)) + lit(1)).alias(WEEKDAY),
            (col(HOUR_OF_WEEK) % lit(24)).alias(HOUR),
        ]))
    }

    fn bind(params: &Params) -> Bindings {
        let names: Vec<&str> = params.by.columns().iter().map(|column| column.name).collect();
        let each_group = if names.is_empty() {
            String::new()
        } else {
            let groups = format!("SELECT DISTINCT {} FROM in_range", names.join(", "));
            format!("\n    CROSS JOIN ({groups}) AS each_group")
        };
        let bindings = params.by.bind(params.days.bind(Bindings::new()));
        params.filters.bind(bindings).slot("each_group", each_group)
    }
}
