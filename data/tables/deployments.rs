//! Treble's deployments: one row for each time a template was sent to a person.
//!
//! From the deployments export, 10 columns. A later export knows how a send ended, so Delivered
//! and Failed win over Sent, Sent over In Process; then a row with a response, then one with a
//! session.

use polars::prelude::*;

use super::{BLANK, Column, Kind, Row, SESSION_KEY, Table, USER_KEY};
use crate::cells::Enumeration;
use crate::reference::deployment_states;

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
    /// The person: E.164 digits.
    USER_PHONE = "user_phone",
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
    const CODE: usize = 2;
    const NUMBER: usize = 3;
    const STATUS: usize = 6;
    const DETAIL: usize = 7;
    row.place_person([10, 11], Some(CODE), NUMBER, None);

    // An export may put the failure code where the status belongs.
    let unknown = row.cells[STATUS].text().filter(|status| !DELIVERY_STATUSES.has(status));
    let code = unknown.and_then(deployment_states::by_failure_code);
    if let Some(state) = code {
        let code = std::mem::replace(&mut row.cells[STATUS], super::Cell::Text("Failed"));
        if row.cells[DETAIL].text().is_none() {
            row.cells[DETAIL] = code;
            row.cells[12] = super::Cell::Text(state.name);
            return;
        }
    }
    let status = row.cells[STATUS].text().unwrap_or_default();
    let detail = row.cells[DETAIL].text();
    row.cells[12] = deployment_states::of(status, detail).map(|state| state.name).into();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derive_names_the_right_places() {
        assert_eq!(TABLE.position(USER_COUNTRY_CODE), Some(2));
        assert_eq!(TABLE.position(USER_CELLPHONE), Some(3));
        assert_eq!(TABLE.position(DELIVERY_STATUS), Some(6));
        assert_eq!(TABLE.position(STATUS_DETAIL), Some(7));
        assert_eq!(TABLE.position(USER_PHONE), Some(10));
        assert_eq!(TABLE.position(COUNTRY), Some(11));
        assert_eq!(TABLE.position(STATE), Some(12));
        assert_eq!(TABLE.exported().count(), 10);
    }
}
