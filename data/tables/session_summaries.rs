//! Kaleyra's count of sessions, which are conversations of 24 hours: one row for each day, line,
//! country, type and campaign, free ones apart.
//!
//! From the summary report for sessions, and from the conversation summary that came after it,
//! whose categories stand where the types did. A later report has counted more.

use polars::prelude::*;

use super::{BLANK, CURRENCY, Column, Kind, Table, english, messages};

/// Its name in the catalog.
pub const NAME: &str = "session_summaries";

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
    /// Who began the sessions; in newer reports their category.
    SESSION_TYPE = "session_type",
    /// Whether they were free of charge.
    FREE_TIER = "free_tier",
    /// How many there were.
    NUMBER_OF_SESSIONS = "number_of_sessions",
    /// What they cost.
    AMOUNT = "amount",
}

/// The table.
pub static TABLE: Table = Table {
    name: NAME,
    source: "Kaleyra summary report, sessions or conversations",
    columns: &[
        Column::new(DATE, Kind::Date).required(),
        Column::new(WABA_ID, Kind::Word),
        Column::new(WA_PHONE_NUMBER, Kind::Phone).line().or(&["WA PHONE"]),
        Column::new(DISPLAY_NAME, Kind::Dashed),
        Column::new(CAMPAIGN_NAME, Kind::Dashed),
        Column::new(COUNTRY, Kind::Country).or(&["DESTINATION"]),
        Column::new(SESSION_TYPE, Kind::Enumeration(&messages::CONVERSATION_TYPES))
            .word()
            .or(&["CONVERSATION CATEGORY"]),
        Column::new(FREE_TIER, Kind::Boolean),
        Column::new(NUMBER_OF_SESSIONS, Kind::Count).required(),
        Column::new(AMOUNT, Kind::Money),
        Column::new(CURRENCY, Kind::Word).term(),
    ],
    key: &[DATE, WABA_ID, WA_PHONE_NUMBER, COUNTRY, SESSION_TYPE, FREE_TIER, CAMPAIGN_NAME],
    day_of: DATE,
    precedence: || vec![col(NUMBER_OF_SESSIONS)],
    sort: &[WABA_ID, WA_PHONE_NUMBER, COUNTRY, SESSION_TYPE, FREE_TIER, CAMPAIGN_NAME],
    currency: Some("USD"),
    language: |title| english(&TABLE, title),
    ..BLANK
};
