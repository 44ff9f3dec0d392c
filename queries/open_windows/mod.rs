//! Which people can still be answered within WhatsApp's 24-hour service window?
//!
//! One row per person and business line on which the person wrote in the 24 hours before an instant,
//! `--at`. A session's first and last message and incoming messages open a window; reactions and
//! outgoing messages do not. Messages after the instant and people without a phone do not count. The default
//! instant is that of the latest message of any person.
//!
//! `--country` and `--line` keep messages by the country and the line of their own row, and `--tag` the people
//! who have one of the tags at the instant. No filter moves the default instant.

use chrono_tz::Tz;
use polars::lazy::dsl::max_horizontal;
use polars::prelude::{Duration, Scalar, TimeUnit, TimeZone, UnionArgs, concat};
use wabalake_data::cells::stamp::{self, Stamp};
use wabalake_data::tables::messages::{self, CREATED_AT, LINE};
use wabalake_data::tables::sessions::{
    self, COUNTRY, FIRST_MESSAGE_TIMESTAMP, LAST_MESSAGE_TIMESTAMP, LINE_WHATSAPP_NUMBER,
    SESSION_STARTED_TIMESTAMP, USER_PHONE,
};
use wabalake_data::tables::{USER_KEY, audience_tags};
use wabalake_data::{Invalid, Table};

use crate::query::prelude::*;
use crate::query::usage::misfit;

/// See the [module](self) for the question it answers.
#[derive(Debug)]
pub struct OpenWindows;

/// Messages are filtered as sessions that start at the instant asked about, so that tags hold then.
impl Filtered for OpenWindows {
    const TABLE: &'static Table = &sessions::TABLE;
    const FILTERS: &'static [Filter] = &[Filter::COUNTRY, Filter::LINE, Filter::TAG];
}

/// The query's options.
#[derive(Args, Debug)]
pub struct Params {
    /// The instant, such as 2025-06-01T10:00:00Z; without an offset it is in the time zone
    /// [default: that of the latest message of a user]
    #[arg(long, value_name = "INSTANT")]
    at: Option<String>,

    #[command(flatten)]
    timezone: Timezone,
    #[command(flatten)]
    filters: Filters<OpenWindows>,

    /// `--at` in microseconds, once the time zone is known.
    #[arg(skip)]
    micros: Option<i64>,
}

fn read_instant(word: &str, zone: Tz) -> Result<i64, UsageError> {
    match stamp::read(word, zone) {
        Stamp::At(at) => Ok(at),
        Stamp::Sentinel | Stamp::Skipped | Stamp::Bad => {
            let invalid = Invalid::new(format!("`--at {word}` is no instant in {zone}"));
            Err(misfit(invalid.hint(
                "write it as 2025-06-01T10:00:00, which is of that zone, or 2025-06-01T10:00:00Z",
            )))
        }
    }
}

const WROTE_AT: &str = "last_user_message_at";
const CLOSES_AT: &str = "closes_at";
const ASKED_AT: &str = "asked_at";

impl Query for OpenWindows {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "open-windows",
        title: "Users whose service window is open",
        question: "Which people can still be answered within the 24-hour service window? People who \
                   wrote to a line in the 24 hours before an instant, and the minutes that are left.",
        reads: &[&sessions::TABLE, &messages::TABLE, &audience_tags::TABLE],
        range: Range::History,
        columns: &[
            OutputColumn::person(USER_PHONE),
            OutputColumn::line(LINE_WHATSAPP_NUMBER),
            OutputColumn::instant(WROTE_AT),
            OutputColumn::instant(CLOSES_AT),
            OutputColumn::minutes("minutes_left"),
        ],
        key: &[USER_PHONE, LINE_WHATSAPP_NUMBER],
        order: &[Order::Ascending(CLOSES_AT)],
        example: &["--at", "2025-06-01T10:30:00", "--timezone", "America/Bogota"],
        sql: include_str!("twin.sql"),
    };

    fn resolve(params: &mut Params, defaults: &Defaults) -> Result<Timeframe, UsageError> {
        let period = params.timezone.resolve(defaults);
        let read = |at: &String| read_instant(at.trim(), params.timezone.zone());
        params.micros = params.at.as_ref().map(read).transpose()?;
        Ok(period)
    }

    fn reads(params: &Params) -> Vec<&'static Table> {
        Self::SPEC.reads_for(&[&params.filters])
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let given = params
            .micros
            .map(|at| lit(Scalar::new_datetime(at, TimeUnit::Microseconds, Some(TimeZone::UTC))));
        let wrote = messages_of_people(tables, given.as_ref())?;
        let (wrote, asked_at) = match given {
            // A comparison with a literal is pushed down to the scan and skips other row groups.
            Some(at) => {
                let near = col(WROTE_AT).gt(at.clone() - lit(Duration::parse("1d")));
                (wrote.filter(col(WROTE_AT).lt_eq(at.clone()).and(near)), at)
            }
            None => {
                let latest = wrote.clone().select([col(WROTE_AT).max().alias(ASKED_AT)]);
                (wrote.cross_join(latest, None), col(ASKED_AT))
            }
        };
        let micros = |at: Expr| at.cast(DataType::Int64);
        let closes_at = || col(WROTE_AT) + lit(Duration::parse("1d"));
        let left = || micros(closes_at()) - micros(col(ASKED_AT));
        let answerable = wrote
            .with_columns([
                asked_at.clone().alias(ASKED_AT),
                asked_at.alias(SESSION_STARTED_TIMESTAMP),
            ])
            // A difference instead of a comparison of two instants: Polars would turn the cross join
            // into an inequality join, which the streaming engine does not support.
            .filter(col(USER_PHONE).is_not_null().and(left().gt(lit(0))));
        Ok(params
            .filters
            .of(answerable, tables)
            .group_by([col(USER_PHONE), col(LINE_WHATSAPP_NUMBER)])
            .agg([col(WROTE_AT).max(), col(ASKED_AT).max()])
            .with_columns([closes_at().alias(CLOSES_AT), minutes(left()).alias("minutes_left")]))
    }

    fn bind(params: &Params) -> Bindings {
        let bindings = Bindings::new().instant("at", params.micros);
        params.filters.bind_relation(bindings, "answerable", Self::TABLE)
    }
}

/// The messages that people wrote: the last one of each session up to an instant, and every incoming
/// message but reactions.
fn messages_of_people(tables: &Tables, until: Option<&Expr>) -> PolarsResult<LazyFrame> {
    let by_then = |stamp: &str| match until {
        Some(at) => when(col(stamp).lt_eq(at.clone())).then(col(stamp)).otherwise(lit(Null {})),
        None => col(stamp),
    };
    let in_sessions = tables.scan(&sessions::TABLE).select([
        col(USER_PHONE),
        col(USER_KEY),
        col(COUNTRY),
        col(LINE_WHATSAPP_NUMBER),
        max_horizontal([by_then(FIRST_MESSAGE_TIMESTAMP), by_then(LAST_MESSAGE_TIMESTAMP)])?
            .alias(WROTE_AT),
    ]);
    let incoming = tables.scan(&messages::TABLE).filter(incoming_message()).select([
        col(USER_PHONE),
        col(USER_KEY),
        col(messages::COUNTRY),
        col(LINE).alias(LINE_WHATSAPP_NUMBER),
        col(CREATED_AT).alias(WROTE_AT),
    ]);
    concat([in_sessions, incoming], UnionArgs::default())
}
