//! Chats with agents at Treble: one row for each person and start.
//!
//! Loaded from Treble's agent report. A later report has a newer state of a chat, so precedence is: finished,
//! later finished; then the later last message; then the later assignment.
//!
//! Reports differ in `agent_first_message` and `last_message`: some have the time of a message, others its
//! text. All cells of a file decide: a column in which no cell is a date and time has texts, and is null. A
//! number such as 1748772000 is a time only if no cell of the column is a text. Otherwise a cell that is no
//! date and time rejects its row. If a file has `last_message_at` too, `last_message` is not read.
//!
//! ```text
//! phone          created_at        agent_first_message  last_message       stored
//! +573005550101  2025-06-01 10:00  2025-06-01 10:02     Thanks, bye        10:02 · null
//! +573005550102  2025-06-01 11:00  -                    3005550102         null  · null
//! ```

use polars::prelude::*;

use crate::cells::Enumeration;
use crate::table::{
    BLANK, CellKind, Column, OWN_PERSON, PersonCells, Row, Table, USER_KEY, columns, positions,
};

pub use crate::table::{USER_ID, USER_PHONE};

/// The table's name.
pub const NAME: &str = "agent_chats";

columns! {
    /// The person's country, ISO 3166-1 alpha-2.
    COUNTRY = "country",
    /// The agent's name.
    AGENT = "agent",
    /// When the chat was handed over to the agents.
    CREATED_AT = "created_at",
    /// When it was assigned to the agent.
    ASSIGNED_AT = "assigned_at",
    /// When it was finished; null while it is open.
    FINISHED_AT = "finished_at",
    /// The agent who last transferred it.
    LAST_TRANSFER_FROM = "last_transfer_from",
    /// When the agent first wrote.
    AGENT_FIRST_MESSAGE_AT = "agent_first_message_at",
    /// When the last message was written.
    LAST_MESSAGE_AT = "last_message_at",
    /// Who wrote it: `AGENT`, `USER` or `BOT`.
    LAST_MESSAGE_SENDER = "last_message_sender",
    /// The person's rating.
    RATING = "rating",
    /// The state of the chat.
    STATUS = "status",
    /// `AUTO` or `MANUAL`: whether it was finished without an agent or by one.
    FINISH_TYPE = "finish_type",
    /// The chat's tag.
    TAG = "tag",
    /// The chat's labels, sorted and separated by commas.
    LABELS = "labels",
    /// The person's name.
    CONTACT = "contact",
    /// How long the chat took, as the report states it.
    DURATION = "duration",
}

/// Who wrote a message. Treble's bot is also called `IA`.
pub static SENDERS: Enumeration =
    Enumeration::new(&[("AGENT", &[]), ("USER", &[]), ("BOT", &["IA"])]);

/// Whether a chat was finished without an agent or by one.
pub static FINISH_TYPES: Enumeration = Enumeration::new(&[("AUTO", &[]), ("MANUAL", &[])]);

/// The table's description.
pub static TABLE: Table = Table {
    name: NAME,
    source: "Treble agent report",
    columns: &[
        Column::new(USER_PHONE, CellKind::FullPhone).required().or_from(USER_ID).or(&["phone"]),
        Column::user_id(),
        Column::derived(COUNTRY).country(),
        Column::new(AGENT, CellKind::Dashed).expected(),
        Column::new(CREATED_AT, CellKind::Stamp).required(),
        Column::new(ASSIGNED_AT, CellKind::Stamp),
        Column::new(FINISHED_AT, CellKind::Stamp),
        Column::new(LAST_TRANSFER_FROM, CellKind::Dashed),
        Column::new(AGENT_FIRST_MESSAGE_AT, CellKind::StampOrText).or(&["agent_first_message"]),
        Column::new(LAST_MESSAGE_AT, CellKind::StampOrText).or(&["last_message"]),
        Column::new(LAST_MESSAGE_SENDER, CellKind::Enumeration(&SENDERS)),
        Column::new(RATING, CellKind::Decimal),
        Column::new(STATUS, CellKind::Word).term(),
        Column::new(FINISH_TYPE, CellKind::Enumeration(&FINISH_TYPES)),
        Column::new(TAG, CellKind::Word).term(),
        Column::new(LABELS, CellKind::List(&[','])).term(),
    ],
    inputs: &[Column::new(CONTACT, CellKind::Text), Column::new(DURATION, CellKind::Text)],
    key: &[OWN_PERSON, CREATED_AT],
    day_of: CREATED_AT,
    // Nulls are last, so a finished chat comes before an open one.
    precedence: || vec![col(FINISHED_AT), col(LAST_MESSAGE_AT), col(ASSIGNED_AT)],
    precedence_sql: &[FINISHED_AT, LAST_MESSAGE_AT, ASSIGNED_AT],
    sort: &[CREATED_AT, USER_PHONE, USER_ID],
    hashes: &[(USER_KEY, OWN_PERSON)],
    statistics: &[CREATED_AT],
    derive,
    ..BLANK
};

fn derive(row: &mut Row<'_, '_>) {
    positions! {
        PERSON_CELL = USER_PHONE,
        ID_CELL = USER_ID,
        COUNTRY_CELL = COUNTRY,
    }
    let person = PersonCells { user_phone: PERSON_CELL, user_id: ID_CELL, country: COUNTRY_CELL };
    row.set_person_or_national(person, None, PERSON_CELL);
}
