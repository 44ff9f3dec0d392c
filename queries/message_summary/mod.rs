//! What became of the messages of a day?
//!
//! The vendor's own summary, worked out from the messages: one row for each local date, account,
//! line, country and type. A message counts once, on the day it was created, whenever it arrived.
//! Incoming messages are only received; the others never are. A line is shown under the name it had
//! last, in whatever session of the lake that was.

use wabalake_data::Table;
pub use wabalake_data::tables::message_summaries::RECEIVED;
use wabalake_data::tables::messages::{self, COUNTRY, CREATED_AT, LINE, MESSAGE_TYPE, WABA_ID};
use wabalake_data::tables::sessions;

use crate::query::lines;
use crate::query::prelude::*;
use crate::query::zone::Clock;

/// See the [module](self) for the question it answers.
pub struct MessageSummary;

/// What may be chosen.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    days: DayRange,
}

const DATE: &str = "date";
const WA_PHONE_NUMBER: &str = "wa_phone_number";

impl Query for MessageSummary {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "message-summary",
        title: "What became of the messages of a day",
        question: "What became of the messages of a day? Kaleyra's summary, worked out: each \
                   message on the day it was created, incoming ones as received only.",
        reads: &[&messages::TABLE, &sessions::TABLE],
        range: Range::Rows,
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
        example: "--from 2025-06-01 --to 2025-06-30 --timezone America/Bogota",
        sql: include_str!("twin.sql"),
    };

    const INVALIDATION: &'static [(&'static Table, Invalidation)] =
        &[(&messages::TABLE, Invalidation::Bucket)];

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let messages = params.days.scan(tables, &messages::TABLE);
        let days = messages
            .group_by([
                Clock::Day.start(col(CREATED_AT), params.days.timezone()).alias(DATE),
                col(WABA_ID),
                col(LINE).alias(WA_PHONE_NUMBER),
                col(COUNTRY),
                col(MESSAGE_TYPE),
            ])
            .agg(message_counts());

        Ok(lines::named(days, WA_PHONE_NUMBER, "display_name", tables))
    }

    fn bind(params: &Params) -> Bindings {
        params.days.bind(Bindings::new())
    }
}
