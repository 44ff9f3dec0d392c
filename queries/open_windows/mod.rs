//! Whose 24-hour service window is open?
//!
//! One row for each person and line of the business on which the person wrote in the 24 hours before
//! an instant, `--at`. People write in a session's first and last message and in incoming messages;
//! what the business sends opens no window. A message after the instant does not count, nor does one
//! of a person who is not known. Unless asked otherwise the instant is that of the latest message
//! that anybody wrote.

use chrono_tz::Tz;
use clap::error::ErrorKind;
use clap::{ArgMatches, Command, Error, FromArgMatches};
use polars::lazy::dsl::max_horizontal;
use polars::prelude::{Duration, Scalar, TimeUnit, TimeZone, UnionArgs, concat};
use wabalake_data::cells::stamp::{self, Stamp};
use wabalake_data::tables::messages::{self, CREATED_AT, LINE};
use wabalake_data::tables::sessions::{
    self, FIRST_MESSAGE_TIMESTAMP, LAST_MESSAGE_TIMESTAMP, LINE_WHATSAPP_NUMBER, USER_PHONE,
};

use crate::query::prelude::*;

/// See the [module](self) for the question it answers.
pub struct OpenWindows;

/// What may be chosen: the instant, in microseconds.
#[derive(Debug)]
pub struct Params {
    at: Option<i64>,
}

#[derive(Args)]
struct Options {
    /// The instant, such as 2025-06-01T10:00:00Z; without an offset it is of the time zone
    /// [default: that of the latest message of a user]
    #[arg(long, value_name = "INSTANT")]
    at: Option<String>,

    #[command(flatten)]
    zone: Timezone,
}

impl Args for Params {
    fn augment_args(command: Command) -> Command {
        Options::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Options::augment_args_for_update(command)
    }
}

impl FromArgMatches for Params {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let Options { at, zone } = Options::from_arg_matches(matches)?;
        let read = |word: String| read_instant(word.trim(), zone.zone());
        Ok(Self { at: at.map(read).transpose()? })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn read_instant(word: &str, zone: Tz) -> Result<i64, Error> {
    match stamp::read(word, zone) {
        Stamp::At(at) => Ok(at),
        Stamp::Sentinel | Stamp::Skipped | Stamp::Bad => {
            let message = format!(
                "`--at {word}` is no instant in {zone}\n  hint: write it as \
                 2025-06-01T10:00:00, which is of that zone, or 2025-06-01T10:00:00Z"
            );
            Err(Error::raw(ErrorKind::ValueValidation, message))
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
        question: "Whose 24-hour service window is open? People who wrote to a line in the 24 \
                   hours before an instant, and how long they can still be answered.",
        reads: &[&sessions::TABLE, &messages::TABLE],
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
        example: "--at 2025-06-01T10:30:00 --timezone America/Bogota",
        sql: include_str!("twin.sql"),
    };

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let given = params
            .at
            .map(|at| lit(Scalar::new_datetime(at, TimeUnit::Microseconds, Some(TimeZone::UTC))));
        let by_then = |stamp: &str| match &given {
            Some(at) => when(col(stamp).lt_eq(at.clone())).then(col(stamp)).otherwise(lit(Null {})),
            None => col(stamp),
        };
        let in_sessions = tables.scan(&sessions::TABLE).select([
            col(USER_PHONE),
            col(LINE_WHATSAPP_NUMBER),
            max_horizontal([by_then(FIRST_MESSAGE_TIMESTAMP), by_then(LAST_MESSAGE_TIMESTAMP)])?
                .alias(WROTE_AT),
        ]);
        let alone = tables.scan(&messages::TABLE).filter(outgoing().not()).select([
            col(USER_PHONE),
            col(LINE).alias(LINE_WHATSAPP_NUMBER),
            col(CREATED_AT).alias(WROTE_AT),
        ]);
        let wrote = concat([in_sessions, alone], UnionArgs::default())?;

        let (wrote, asked_at) = match given {
            // Compared with a literal, so that files without messages near it need not be opened.
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
        Ok(wrote
            .with_column(asked_at.alias(ASKED_AT))
            // Not that one is after the other: two instants compared would make of the cross join
            // one by inequality, which the streaming engine does not have.
            .filter(col(USER_PHONE).is_not_null().and(left().gt(lit(0))))
            .group_by([col(USER_PHONE), col(LINE_WHATSAPP_NUMBER)])
            .agg([col(WROTE_AT).max(), col(ASKED_AT).max()])
            .with_columns([closes_at().alias(CLOSES_AT), minutes(left()).alias("minutes_left")]))
    }

    fn bind(params: &Params) -> Bindings {
        Bindings::new().instant("at", params.at)
    }
}
