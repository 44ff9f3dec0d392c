//! Kaleyra's count of messages: one row for each day, line, country, type and campaign.
//!
//! From the summary report for messages, in its old columns and its new ones. A later report has
//! counted more, so the larger counts win.

use polars::prelude::*;

use super::{BLANK, Column, Kind, Table, english};
use crate::cells::Enumeration;

/// Its name in the catalog.
pub const NAME: &str = "message_summaries";

columns! {
    /// The day, as printed.
    DATE = "date",
    /// The WhatsApp Business account.
    WABA_ID = "waba_id",
    /// The business's line: digits.
    WA_PHONE_NUMBER = "wa_phone_number",
    /// The line's name as people see it.
    DISPLAY_NAME = "display_name",
    /// The campaign, in newer reports.
    CAMPAIGN_NAME = "campaign_name",
    /// The person's country, ISO 3166-1 alpha-2.
    COUNTRY = "country",
    /// incoming, outgoing or template.
    MESSAGE_TYPE = "message_type",
    /// Messages that were to be sent.
    CREATED = "created",
    /// Of them, those that failed.
    FAILED = "failed",
    /// Of them, those that were sent.
    SENT = "sent",
    /// Of them, those that were delivered.
    DELIVERED = "delivered",
    /// Of them, those that were read.
    READ = "read",
    /// Messages that people sent.
    RECEIVED = "received",
}

/// Which way messages went, and whether a template was used.
pub static MESSAGE_TYPES: Enumeration = Enumeration::new(&[
    (
        "incoming",
        &["Incoming session message", "Incoming conversation message", "Incoming message"],
    ),
    (
        "outgoing",
        &["Outgoing session message", "Outgoing conversation message", "Outgoing message"],
    ),
    ("template", &["Template message"]),
]);

/// The table.
pub static TABLE: Table = Table {
    name: NAME,
    source: "Kaleyra summary report, messages",
    columns: &[
        Column::new(DATE, Kind::Date).required(),
        Column::new(WABA_ID, Kind::Word),
        Column::new(WA_PHONE_NUMBER, Kind::Phone).line().or(&["WA PHONE"]),
        Column::new(DISPLAY_NAME, Kind::Dashed),
        Column::new(CAMPAIGN_NAME, Kind::Dashed),
        Column::new(COUNTRY, Kind::Country).or(&["DESTINATION"]),
        Column::new(MESSAGE_TYPE, Kind::Enumeration(&MESSAGE_TYPES)).word().required(),
        Column::new(CREATED, Kind::Count),
        Column::new(FAILED, Kind::Count),
        Column::new(SENT, Kind::Count),
        Column::new(DELIVERED, Kind::Count),
        Column::new(READ, Kind::Count),
        Column::new(RECEIVED, Kind::Count),
    ],
    key: &[DATE, WABA_ID, WA_PHONE_NUMBER, COUNTRY, MESSAGE_TYPE, CAMPAIGN_NAME],
    day_of: DATE,
    precedence: || vec![col(CREATED), col(RECEIVED)],
    sort: &[WABA_ID, WA_PHONE_NUMBER, COUNTRY, MESSAGE_TYPE, CAMPAIGN_NAME],
    language: |title| english(&TABLE, title),
    ..BLANK
};
