//! Kaleyra's counts of sessions, which are 24-hour conversations: one row for each day, line,
//! country, type, campaign and free tier.
//!
//! Loaded from the summary report for sessions, or from its successor, the summary of conversations,
//! which has categories instead of types. A later report has counted more, so the larger count
//! wins.

use polars::prelude::*;

use crate::table::{BLANK, CURRENCY, CellKind, Column, Table, columns};

use super::messages;

/// The table's name.
pub const NAME: &str = "session_summaries";

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
    /// Who started the sessions; in newer reports, their category.
    SESSION_TYPE = "session_type",
    /// `true` if they were free of charge.
    FREE_TIER = "free_tier",
    /// The number of sessions.
    NUMBER_OF_SESSIONS = "number_of_sessions",
    /// Their cost.
    AMOUNT = "amount",
}

/// The table's description.
pub static TABLE: Table = Table {
    name: NAME,
    source: "Kaleyra summary report, sessions or conversations",
    columns: &[
        Column::new(DATE, CellKind::Date).required(),
        Column::new(WABA_ID, CellKind::Word),
        Column::new(WA_PHONE_NUMBER, CellKind::Phone).line().or(&["WA PHONE"]),
        Column::new(DISPLAY_NAME, CellKind::Dashed),
        Column::new(CAMPAIGN_NAME, CellKind::Dashed),
        Column::new(COUNTRY, CellKind::Country).or(&["DESTINATION"]),
        Column::new(SESSION_TYPE, CellKind::Enumeration(&messages::CONVERSATION_TYPES))
            .word()
            .or(&["CONVERSATION CATEGORY"]),
        Column::new(FREE_TIER, CellKind::Boolean),
        Column::new(NUMBER_OF_SESSIONS, CellKind::Count).required(),
        Column::new(AMOUNT, CellKind::Money),
        Column::new(CURRENCY, CellKind::Word).term(),
    ],
    key: &[DATE, WABA_ID, WA_PHONE_NUMBER, COUNTRY, SESSION_TYPE, FREE_TIER, CAMPAIGN_NAME],
    day_of: DATE,
    precedence: || vec![col(NUMBER_OF_SESSIONS)],
    sort: &[WABA_ID, WA_PHONE_NUMBER, COUNTRY, SESSION_TYPE, FREE_TIER, CAMPAIGN_NAME],
    currency: Some("USD"),
    decimal_mark: |title| TABLE.english_mark(title),
    ..BLANK
};
