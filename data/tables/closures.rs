//! Closed sessions: one row for each webhook event of Treble that reports one.
//!
//! Loaded from the events `session.close` and conversation-closed, as the business stored them: JSON
//! lines, or an array. Events of other types are skipped, unless the file is one of webhooks: it is if
//! its first events are of another type, or anything in it feeds another table.
//!
//! ```json
//! {"event_id": "e1", "event_type": "session.close", "timestamp": "2026-05-04T23:03:09.195065Z",
//!  "session": {"external_id": "s1", "closed_at": "2026-05-04T23:03:08Z"},
//!  "user": {"country_code": "+52", "cellphone": "5550000001"}, "hsm": {"name": "welcome"}}
//! ```

use crate::table::{
    BLANK, CLOSURE_KEY, Cell, CellKind, Column, Fate, OWN_PERSON, PersonCells, Row, SESSION_KEY,
    Table, USER_KEY, columns, positions,
};

use super::sessions;

pub use crate::table::{USER_ID, USER_PHONE};

/// The table's name.
pub const NAME: &str = "closures";

columns! {
    /// The id of the event.
    EVENT_ID = "event_id",
    /// The type of the event.
    EVENT_TYPE = "event_type",
    /// The session that was closed.
    SESSION_ID = "session_id",
    /// When it was closed.
    CLOSED_AT = "closed_at",
    /// The person's country, ISO 3166-1 alpha-2.
    COUNTRY = "country",
    /// The template that started the session.
    HSM_NAME = "hsm_name",
    /// When the business received the event.
    RECEIVED_AT = "received_at",
    /// The key of the event: its id, else the session and the closing time.
    CLOSURE_ID = "closure_id",
    /// When the event was sent; the fallback for [`CLOSED_AT`].
    TIMESTAMP = "timestamp",
}

/// Returns `true` for the type of an event that closes a session: `session.close`, `conversation closed`.
pub fn closes(event: &str) -> bool {
    event.to_lowercase().contains("close")
}

/// The table's description.
pub static TABLE: Table = Table {
    name: NAME,
    source: "Treble webhook events: session.close, conversation closed",
    columns: &[
        Column::new(EVENT_ID, CellKind::Word),
        Column::new(EVENT_TYPE, CellKind::Word).term().or(&["event", "type"]),
        Column::new(SESSION_ID, CellKind::Word)
            .expected()
            .or(&["session.external_id", "session.id"]),
        Column::new(CLOSED_AT, CellKind::Stamp)
            .required()
            .or_from(TIMESTAMP)
            .or(&["session.closed_at"]),
        Column::derived(USER_PHONE).person(),
        Column::derived(COUNTRY).country(),
        Column::new(HSM_NAME, CellKind::Text).or(&["hsm.name"]),
        Column::new(RECEIVED_AT, CellKind::Stamp),
        Column::user_id().or(&["bsuid", "user.user_id", "user.bsuid"]),
    ],
    internal: &[Column::derived(CLOSURE_ID)],
    inputs: &[
        Column::new(TIMESTAMP, CellKind::Stamp),
        Column::new(sessions::USER_COUNTRY_CODE, CellKind::Phone)
            .term()
            .or(&["user.country_code", "country_code"]),
        Column::new(sessions::USER_CELLPHONE, CellKind::FullPhone).or(&[
            "user.cellphone",
            "cellphone",
            "user.phone",
            "phone",
        ]),
    ],
    key: &[CLOSURE_ID],
    day_of: CLOSED_AT,
    sort: &[CLOSED_AT, CLOSURE_ID],
    hashes: &[(CLOSURE_KEY, CLOSURE_ID), (SESSION_KEY, SESSION_ID), (USER_KEY, OWN_PERSON)],
    statistics: &[CLOSED_AT],
    derive,
    skipped: ["event of another kind", "events of other kinds"],
    ..BLANK
};

fn derive(row: &mut Row<'_, '_>) {
    positions! {
        EVENT_CELL = EVENT_ID,
        TYPE_CELL = EVENT_TYPE,
        SESSION_CELL = SESSION_ID,
        CLOSED_CELL = CLOSED_AT,
        PERSON_CELL = USER_PHONE,
        COUNTRY_CELL = COUNTRY,
        CLOSURE_CELL = CLOSURE_ID,
        SENT_CELL = TIMESTAMP,
        CODE_CELL = sessions::USER_COUNTRY_CODE,
        NUMBER_CELL = sessions::USER_CELLPHONE,
        ID_CELL = USER_ID,
    }
    if row.cells[TYPE_CELL].text().is_some_and(|event| !closes(event)) {
        row.fate = Fate::Skipped;
    }
    row.fill_from(CLOSED_CELL, SENT_CELL);
    let person = PersonCells { user_phone: PERSON_CELL, user_id: ID_CELL, country: COUNTRY_CELL };
    row.set_person_or_national(person, Some(CODE_CELL), NUMBER_CELL);
    row.cells[CLOSURE_CELL] = match (row.cells[EVENT_CELL].text(), &row.cells[CLOSED_CELL]) {
        (Some(event), _) => Cell::Owned(event.to_owned()),
        (None, Cell::Stamp(closed)) => {
            let session = row.cells[SESSION_CELL].text().unwrap_or_default();
            Cell::Owned(format!("{session} {closed}"))
        }
        (None, _) => Cell::Null,
    };
}
