//! Treble's deployments: one row for each time a template was sent to a person.
//!
//! From the deployments export, 10 columns. A later export knows how a send ended, so Delivered
//! and Failed win over Sent, Sent over In Process; then a row with a response, then one with a
//! session.

use polars::prelude::*;

use super::{BLANK, Column, Kind, Row, SESSION_KEY, Table, USER_KEY};
use crate::cells::Enumeration;
use crate::reference::deployment_states;

pub use super::USER_PHONE;

/// Its name in the catalog.
pub const NAME: &str = "deployments";

columns! {
    /// The flow that was sent.
    CONVERSATION_ID = "conversation_id",
    /// The flow's version.
    CONVERSATION_VERSION = "conversation_version",
    /// The person's dialling code.
    USER_COUNTRY_CODE = "user_country_code",
    /// The person's number as exported, digits.
    USER_CELLPHONE = "user_cellphone",
    /// When it was sent.
    DEPLOYMENT_TIMESTAMP = "deployment_timestamp",
    /// When the person first answered.
    USER_RESPONDED_TIMESTAMP = "user_responded_timestamp",
    /// In Process, Sent, Delivered or Failed.
    DELIVERY_STATUS = "delivery_status",
    /// Why it failed: a code or a sentence.
    STATUS_DETAIL = "status_detail",
    /// When it was delivered.
    DEPLOYMENT_DELIVERED_TIMESTAMP = "deployment_delivered_timestamp",
    /// The session that its delivery began.
    SESSION_ID = "session_id",
    /// The person's country, ISO 3166-1 alpha-2.
    COUNTRY = "country",
    /// One of the states of [`deployment_states`].
    STATE = "state",
}

/// How far a send came. `SUCCESS` says that it was handed over, not that it arrived.
pub static DELIVERY_STATUSES: Enumeration = Enumeration::new(&[
    ("In Process", &[]),
    ("Sent", &["SUCCESS"]),
    ("Delivered", &[]),
    ("Failed", &[]),
]);

/// The table.
pub static TABLE: Table = Table {
    name: NAME,
    source: "Treble deployments export",
    columns: &[
        Column::new(CONVERSATION_ID, Kind::Word),
        Column::new(CONVERSATION_VERSION, Kind::Integer),
        Column::new(USER_COUNTRY_CODE, Kind::Phone).term(),
        Column::new(USER_CELLPHONE, Kind::Phone).required(),
        Column::new(DEPLOYMENT_TIMESTAMP, Kind::Stamp)
            .required()
            .or(&["Deployment Start Timestamp"]),
        Column::new(USER_RESPONDED_TIMESTAMP, Kind::Stamp).or(&["User response timestamp"]),
        Column::new(DELIVERY_STATUS, Kind::Enumeration(&DELIVERY_STATUSES))
            .word()
            .required()
            .or(&["Deployment Status"]),
        Column::new(STATUS_DETAIL, Kind::Word).term().or(&["Failure Reason"]),
        Column::new(DEPLOYMENT_DELIVERED_TIMESTAMP, Kind::Stamp),
        Column::new(SESSION_ID, Kind::Word),
        Column::derived(USER_PHONE).person(),
        Column::derived(COUNTRY).country(),
        Column::derived(STATE).word(),
    ],
    key: &[USER_PHONE, CONVERSATION_ID, CONVERSATION_VERSION, DEPLOYMENT_TIMESTAMP],
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
    sort: &[CONVERSATION_ID, CONVERSATION_VERSION, DEPLOYMENT_TIMESTAMP, USER_PHONE],
    hashes: &[(SESSION_KEY, SESSION_ID), (USER_KEY, USER_PHONE)],
    statistics: &[DEPLOYMENT_TIMESTAMP, CONVERSATION_ID],
    derive,
    ..BLANK
};

fn failed() -> Expr {
    col(DELIVERY_STATUS).eq(lit("Failed"))
}

fn derive(row: &mut Row<'_, '_>) {
    places! {
        CODE_PLACE = USER_COUNTRY_CODE,
        NUMBER_PLACE = USER_CELLPHONE,
        STATUS_PLACE = DELIVERY_STATUS,
        DETAIL_PLACE = STATUS_DETAIL,
        PERSON_PLACE = USER_PHONE,
        COUNTRY_PLACE = COUNTRY,
        STATE_PLACE = STATE,
    }
    row.place_person([PERSON_PLACE, COUNTRY_PLACE], Some(CODE_PLACE), NUMBER_PLACE, None);

    // An export may put the failure code where the status belongs.
    let unknown = row.cells[STATUS_PLACE].text().filter(|status| !DELIVERY_STATUSES.has(status));
    let code = unknown.and_then(deployment_states::by_failure_code);
    if let Some(state) = code {
        let code = std::mem::replace(&mut row.cells[STATUS_PLACE], super::Cell::Text("Failed"));
        if row.cells[DETAIL_PLACE].text().is_none() {
            row.cells[DETAIL_PLACE] = code;
            row.cells[STATE_PLACE] = super::Cell::Text(state.name);
            return;
        }
    }
    let status = row.cells[STATUS_PLACE].text().unwrap_or_default();
    let detail = row.cells[DETAIL_PLACE].text();
    row.cells[STATE_PLACE] = deployment_states::of(status, detail).map(|state| state.name).into();
}
