//! Treble's closings: one row for each event that says that a session was closed.
//!
//! From the events `session.close` and conversation-closed that Treble sends to a webhook, as the
//! business kept them: JSON lines, or an array. Events of other kinds are left out.
//!
//! ```json
//! {"event_id": "e1", "event_type": "session.close", "timestamp": "2026-05-04T23:03:09.195065Z",
//!  "session": {"external_id": "s1", "closed_at": "2026-05-04T23:03:08Z"},
//!  "user": {"country_code": "+52", "cellphone": "5550000001"}, "hsm": {"name": "welcome"}}
//! ```

use super::{
    BLANK, CLOSURE_KEY, Cell, Column, Fate, Kind, Row, SESSION_KEY, Table, USER_KEY, sessions,
};

pub use super::USER_PHONE;

/// Its name in the catalog.
pub const NAME: &str = "closures";

columns! {
    /// The event's id.
    EVENT_ID = "event_id",
    /// What the event says.
    EVENT_TYPE = "event_type",
    /// The session that was closed.
    SESSION_ID = "session_id",
    /// When it was closed.
    CLOSED_AT = "closed_at",
    /// The person's country, ISO 3166-1 alpha-2.
    COUNTRY = "country",
    /// The template that began the session.
    HSM_NAME = "hsm_name",
    /// When the business got the event.
    RECEIVED_AT = "received_at",
    /// What names the event: its id, else the session and when it was closed.
    CLOSURE_ID = "closure_id",
    /// When the event was sent; stands in for when the session was closed.
    TIMESTAMP = "timestamp",
}

/// Events of Treble's webhooks that close nothing.
const OTHER_EVENTS: [&str; 2] = ["hsm.status", "deployment.failure"];

/// The table.
pub static TABLE: Table = Table {
    name: NAME,
    source: "Treble webhook events: session.close, conversation closed",
    columns: &[
        Column::new(EVENT_ID, Kind::Word),
        Column::new(EVENT_TYPE, Kind::Word).term().or(&["event", "type"]),
        Column::new(SESSION_ID, Kind::Word).expected().or(&["session.external_id", "session.id"]),
        Column::new(CLOSED_AT, Kind::Stamp)
            .required()
            .else_from(TIMESTAMP)
            .or(&["session.closed_at"]),
        Column::derived(USER_PHONE).person(),
        Column::derived(COUNTRY).country(),
        Column::new(HSM_NAME, Kind::Text).or(&["hsm.name"]),
        Column::new(RECEIVED_AT, Kind::Stamp),
    ],
    beside: &[Column::derived(CLOSURE_ID)],
    inputs: &[
        Column::new(TIMESTAMP, Kind::Stamp),
        Column::new(sessions::USER_COUNTRY_CODE, Kind::Phone)
            .term()
            .or(&["user.country_code", "country_code"]),
        Column::new(sessions::USER_CELLPHONE, Kind::FullPhone).or(&[
            "user.cellphone",
            "cellphone",
            "user.phone",
            "phone",
        ]),
    ],
    key: &[CLOSURE_ID],
    day_of: CLOSED_AT,
    sort: &[CLOSED_AT, CLOSURE_ID],
    hashes: &[(CLOSURE_KEY, CLOSURE_ID), (SESSION_KEY, SESSION_ID), (USER_KEY, USER_PHONE)],
    statistics: &[CLOSED_AT],
    derive,
    left_out: ["event of another kind", "events of other kinds"],
    ..BLANK
};

fn derive(row: &mut Row<'_, '_>) {
    places! {
        EVENT_PLACE = EVENT_ID,
        TYPE_PLACE = EVENT_TYPE,
        SESSION_PLACE = SESSION_ID,
        CLOSED_PLACE = CLOSED_AT,
        PERSON_PLACE = USER_PHONE,
        COUNTRY_PLACE = COUNTRY,
        CLOSURE_PLACE = CLOSURE_ID,
        SENT_PLACE = TIMESTAMP,
        CODE_PLACE = sessions::USER_COUNTRY_CODE,
        NUMBER_PLACE = sessions::USER_CELLPHONE,
    }
    if row.cells[TYPE_PLACE].text().is_some_and(|event| OTHER_EVENTS.contains(&event)) {
        row.fate = Fate::LeftOut;
    }
    row.stand_in(CLOSED_PLACE, SENT_PLACE);
    row.place_person_at_home([PERSON_PLACE, COUNTRY_PLACE], CODE_PLACE, NUMBER_PLACE);
    row.cells[CLOSURE_PLACE] = match (row.cells[EVENT_PLACE].text(), &row.cells[CLOSED_PLACE]) {
        (Some(event), _) => Cell::Owned(event.to_owned()),
        (None, Cell::Stamp(closed)) => {
            let session = row.cells[SESSION_PLACE].text().unwrap_or_default();
            Cell::Owned(format!("{session} {closed}"))
        }
        (None, _) => Cell::Null,
    };
}
