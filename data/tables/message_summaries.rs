//! Kaleyra's counts of messages: one row for each day, line, country, type and campaign.
//!
//! Loaded from the summary report for messages, with its old or new columns. A later report has
//! counted more, so the larger counts win.

use polars::prelude::*;

use crate::cells::Enumeration;
use crate::table::{BLANK, CellKind, Column, Table, columns};

/// The table's name.
pub const NAME: &str = "message_summaries";

columns! {
    /// The day, as the report prints it.
    DATE = "date",
    /// The WhatsApp Business account.
    WABA_ID = "waba_id",
    /// The phone number of the line: digits.
    WA_PHONE_NUMBER = "wa_phone_number",
    /// The display name of the line.
    DISPLAY_NAME = "display_name",
    /// The campaign, in newer reports.
    CAMPAIGN_NAME = "campaign_name",
    /// The person's country, ISO 3166-1 alpha-2.
    COUNTRY = "country",
    /// `incoming`, `outgoing` or `template`.
    MESSAGE_TYPE = "message_type",
    /// Messages that were submitted.
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

/// The direction of messages; templates apart.
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

/// The table's description.
pub static TABLE: Table = Table {
    name: NAME,
    source: "Kaleyra summary report, messages",
    columns: &[
        Column::new(DATE, CellKind::Date).required(),
        Column::new(WABA_ID, CellKind::Word),
        Column::new(WA_PHONE_NUMBER, CellKind::Phone).line().or(&["WA PHONE"]),
        Column::new(DISPLAY_NAME, CellKind::Dashed),
        Column::new(CAMPAIGN_NAME, CellKind::Dashed),
        Column::new(COUNTRY, CellKind::Country).or(&["DESTINATION"]),
        Column::new(MESSAGE_TYPE, CellKind::Enumeration(&MESSAGE_TYPES)).word().required(),
        Column::new(CREATED, CellKind::Count),
        Column::new(FAILED, CellKind::Count),
        Column::new(SENT, CellKind::Count),
        Column::new(DELIVERED, CellKind::Count),
        Column::new(READ, CellKind::Count),
        Column::new(RECEIVED, CellKind::Count),
    ],
    key: &[DATE, WABA_ID, WA_PHONE_NUMBER, COUNTRY, MESSAGE_TYPE, CAMPAIGN_NAME],
    day_of: DATE,
    precedence: || vec![col(CREATED), col(RECEIVED)],
    sort: &[WABA_ID, WA_PHONE_NUMBER, COUNTRY, MESSAGE_TYPE, CAMPAIGN_NAME],
    decimal_mark: |title| TABLE.english_mark(title),
    ..BLANK
};
