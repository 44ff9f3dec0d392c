//! Treble's deployments: one row for each template that was sent to a person.
//!
//! Loaded from the deployments export, 10 columns. A later export has a newer state of a send, so
//! precedence is: Delivered or Failed, Sent, In Process; then a row with a response; then a row
//! with a session.

use polars::prelude::*;

use crate::cells::Enumeration;
use crate::reference::deployment_states;
use crate::table::{
    BLANK, Cell, CellKind, Column, OWN_PERSON, PersonCells, Row, SESSION_KEY, Table, USER_KEY,
    columns, positions,
};

pub use crate::table::{USER_ID, USER_PHONE};

/// The table's name.
pub const NAME: &str = "deployments";

columns! {
    /// The id of the flow that was sent.
    CONVERSATION_ID = "conversation_id",
    /// The flow's version.
    CONVERSATION_VERSION = "conversation_version",
    /// The person's dialling code.
    USER_COUNTRY_CODE = "user_country_code",
    /// The person's number as exported: digits.
    USER_CELLPHONE = "user_cellphone",
    /// When it was sent.
    DEPLOYMENT_TIMESTAMP = "deployment_timestamp",
    /// When the person first replied.
    USER_RESPONDED_TIMESTAMP = "user_responded_timestamp",
    /// `In Process`, `Sent`, `Delivered` or `Failed`.
    DELIVERY_STATUS = "delivery_status",
    /// The reason of a failure: a code or a sentence.
    STATUS_DETAIL = "status_detail",
    /// When it was delivered.
    DEPLOYMENT_DELIVERED_TIMESTAMP = "deployment_delivered_timestamp",
    /// The session that the delivery started.
    SESSION_ID = "session_id",
    /// The person's country, ISO 3166-1 alpha-2.
    COUNTRY = "country",
    /// One of the states of [`deployment_states`].
    STATE = "state",
}

/// The status of a send. `SUCCESS` means handed over, not delivered.
pub static DELIVERY_STATUSES: Enumeration = Enumeration::new(&[
    ("In Process", &[]),
    ("Sent", &["SUCCESS"]),
    ("Delivered", &[]),
    ("Failed", &[]),
]);

/// The table's description.
pub static TABLE: Table = Table {
    name: NAME,
    source: "Treble deployments export",
    columns: &[
        Column::new(CONVERSATION_ID, CellKind::Word),
        Column::new(CONVERSATION_VERSION, CellKind::Integer),
        Column::new(USER_COUNTRY_CODE, CellKind::Phone).term(),
        Column::new(USER_CELLPHONE, CellKind::Phone).required().or_from(USER_ID),
        Column::new(DEPLOYMENT_TIMESTAMP, CellKind::Stamp)
            .required()
            .or(&["Deployment Start Timestamp"]),
        Column::new(USER_RESPONDED_TIMESTAMP, CellKind::Stamp).or(&["User response timestamp"]),
        Column::new(DELIVERY_STATUS, CellKind::Enumeration(&DELIVERY_STATUSES))
            .word()
            .required()
            .or(&["Deployment Status"]),
        Column::new(STATUS_DETAIL, CellKind::Word).term().or(&["Failure Reason"]),
        Column::new(DEPLOYMENT_DELIVERED_TIMESTAMP, CellKind::Stamp),
        Column::new(SESSION_ID, CellKind::Word),
        Column::derived(USER_PHONE).person(),
        Column::derived(COUNTRY).country(),
        Column::derived(STATE).word(),
        Column::user_id(),
    ],
    key: &[OWN_PERSON, CONVERSATION_ID, CONVERSATION_VERSION, DEPLOYMENT_TIMESTAMP],
    day_of: DEPLOYMENT_TIMESTAMP,
    precedence: || {
        let settled = col(DELIVERY_STATUS).eq(lit("Delivered")).or(failed());
        let progress = when(settled)
            .then(lit(2))
            .when(col(DELIVERY_STATUS).eq(lit("Sent")))
            .then(lit(1))
            .when(col(DELIVERY_STATUS).eq(lit("In Process")))
            .then(lit(0))
            .otherwise(lit(-1));
        vec![progress, col(USER_RESPONDED_TIMESTAMP).is_not_null(), col(SESSION_ID).is_not_null()]
    },
    precedence_sql: &[
        "CASE delivery_status WHEN 'Delivered' THEN 2 WHEN 'Failed' THEN 2 WHEN 'Sent' THEN 1 \
         WHEN 'In Process' THEN 0 ELSE -1 END",
        "user_responded_timestamp IS NOT NULL",
        "session_id IS NOT NULL",
    ],
    sort: &[CONVERSATION_ID, CONVERSATION_VERSION, DEPLOYMENT_TIMESTAMP, USER_PHONE],
    hashes: &[(SESSION_KEY, SESSION_ID), (USER_KEY, OWN_PERSON)],
    statistics: &[DEPLOYMENT_TIMESTAMP, CONVERSATION_ID],
    derive,
    ..BLANK
};

fn failed() -> Expr {
    col(DELIVERY_STATUS).eq(lit("Failed"))
}

fn derive(row: &mut Row<'_, '_>) {
    positions! {
        CODE_CELL = USER_COUNTRY_CODE,
        NUMBER_CELL = USER_CELLPHONE,
        STATUS_CELL = DELIVERY_STATUS,
        DETAIL_CELL = STATUS_DETAIL,
        PERSON_CELL = USER_PHONE,
        COUNTRY_CELL = COUNTRY,
        STATE_CELL = STATE,
        ID_CELL = USER_ID,
    }
    let person = PersonCells { user_phone: PERSON_CELL, user_id: ID_CELL, country: COUNTRY_CELL };
    row.set_person(person, Some(CODE_CELL), NUMBER_CELL, None);

    // Some exports have the failure code in the status column.
    let unknown = row.cells[STATUS_CELL].text().filter(|status| !DELIVERY_STATUSES.has(status));
    let code = unknown.and_then(deployment_states::by_failure_code);
    if let Some(state) = code {
        let code = std::mem::replace(&mut row.cells[STATUS_CELL], Cell::Text("Failed"));
        if row.cells[DETAIL_CELL].text().is_none() {
            row.cells[DETAIL_CELL] = code;
            row.cells[STATE_CELL] = Cell::Text(state.name);
            return;
        }
    }
    let status = row.cells[STATUS_CELL].text().unwrap_or_default();
    let detail = row.cells[DETAIL_CELL].text();
    row.cells[STATE_CELL] = deployment_states::of(status, detail).map(|state| state.name).into();
}
