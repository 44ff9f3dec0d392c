//! Events of Treble's webhooks: template states, failed deployments, closed sessions, and the variables
//! of a session.

use std::borrow::Cow;

use wabalake_data::cells::list;
use wabalake_data::cells::phone::{Person, Phones, digits, is_user_id, read_with_plus};
use wabalake_data::tables::closures::closes;
use wabalake_data::tables::events as table;

use super::events::push;
use super::messages::or;
use super::rows::{EventRow, FedRows, VariableRow};
use super::value::{Json, Object};

/// What one of Treble's objects is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The status of a template.
    TemplateStatus,
    /// A deployment that could not be sent.
    DeploymentFailure,
    /// The end of a session, read like a file of closures.
    Closure,
    /// The body of a request on delivery or timeout, with the variables of the session.
    Variables,
    /// An event of another type.
    Other,
}

/// The kind of left-out bodies of requests on delivery or timeout in which nothing was answered.
pub(super) const WITHOUT_VARIABLES: &str = "bodies without variables";

/// The keys of an event's type.
const TYPES: [&str; 3] = ["event_type", "event", "type"];

/// Returns `true` for an event in the form that Treble gives its events, of whatever type.
pub(super) fn is_event(object: &Object<'_>) -> bool {
    let session = object.inner("session");
    let is_of_session =
        || session.is_some_and(|session| session.has("external_id") || session.has("id"));
    let is_identified = object.has("event_id") && object.has("timestamp");
    match object.text("event_type") {
        kind if kind.contains('.') => is_identified || is_of_session(),
        kind => !kind.is_empty() && is_of_session(),
    }
}

/// The kind of an object; `None` if it is none of Treble's.
pub(super) fn kind_of(object: &Object<'_>) -> Option<Kind> {
    let event = object.first_text(&TYPES);
    let has_session = object.has("session_id")
        || object
            .inner("session")
            .is_some_and(|session| session.has("external_id") || session.has("id"));
    match event.as_ref() {
        "hsm.status" => Some(Kind::TemplateStatus),
        "deployment.failure" => Some(Kind::DeploymentFailure),
        event if object.has("user_session_keys") && !closes(event) => Some(Kind::Variables),
        "" if has_session => {
            let is_closed =
                object.has("closed_at") || object.at(&["session", "closed_at"]).is_some();
            is_closed.then_some(Kind::Closure)
        }
        "" => None,
        event if closes(event) => Some(Kind::Closure),
        _ if object.has("event_id") && object.has("timestamp") || is_event(object) => {
            Some(Kind::Other)
        }
        _ => None,
    }
}

/// Writes the rows of an object. Closures are written from the whole object that holds them.
pub(super) fn read(object: &Object<'_>, kind: &Kind, rows: &mut FedRows) {
    match kind {
        Kind::TemplateStatus => template_status(object, rows),
        Kind::DeploymentFailure => deployment_failure(object, rows),
        Kind::Variables => variables(object, rows),
        Kind::Closure => {}
        Kind::Other => rows.leave_out("events", &object.first_text(&TYPES)),
    }
}

fn template_status(object: &Object<'_>, rows: &mut FedRows) {
    let ids = match object.get("affected_conversation_ids") {
        Some(Json::List(ids)) => ids.iter().map(Json::text).collect(),
        Some(id) => vec![id.text()],
        None => Vec::new(),
    };
    let row = EventRow {
        source: table::TREBLE.into(),
        event: table::TEMPLATE_STATUS.into(),
        at: object.text("timestamp"),
        template_name: or(object.text("name"), || object.text_at(&["hsm", "name"])),
        new_value: object.text("status"),
        reason: object.text("reason"),
        conversation_ids: list::sorted(ids.iter().map(Cow::as_ref)).unwrap_or_default().into(),
        event_id: object.text("event_id"),
        ..EventRow::default()
    };
    push(&row, rows);
}

fn deployment_failure(object: &Object<'_>, rows: &mut FedRows) {
    let (user_phone, user_id) = person(object, &rows.phones);
    let row = EventRow {
        source: table::TREBLE.into(),
        event: table::DEPLOYMENT_FAILURE.into(),
        at: object.first_text(&["failed_at", "timestamp"]),
        user_phone,
        user_id,
        template_name: object.text_at(&["hsm", "name"]),
        reason: object.text("failure_reason"),
        event_id: object.text("event_id"),
        ..EventRow::default()
    };
    push(&row, rows);
}

fn variables(object: &Object<'_>, rows: &mut FedRows) {
    let (user_phone, user_id) = person(object, &rows.phones);
    let mut is_empty = true;
    for variable in object.objects("user_session_keys") {
        is_empty = false;
        rows.push(&VariableRow {
            session_id: object.text("session_id"),
            user_phone: user_phone.as_ref().into(),
            user_id: user_id.as_ref().into(),
            conversation_id: object.text("conversation_id"),
            name: variable.text("key"),
            value: variable.text("value"),
            at: object.first_text(&["timeout_at", "delivered_at", "sent_at"]),
        });
    }
    if is_empty {
        rows.leave_out(WITHOUT_VARIABLES, "");
    }
}

/// The number and the user id of an event's person.
fn person<'v>(object: &'v Object<'_>, phones: &Phones) -> (Cow<'v, str>, Cow<'v, str>) {
    let user = object.inner("user").unwrap_or(object);
    let number = user.first_text(&["cellphone", "phone", "user_cellphone"]);
    let user_id = user.first_text(&["user_id", "bsuid"]);
    if is_user_id(number.trim()) {
        return (Cow::Borrowed(""), or(user_id, || number));
    }
    let code = user.first_text(&["country_code", "user_country_code"]);
    let Some(code) = digits(&code) else { return (number, user_id) };
    // A number that lost its digits stays, and is rejected.
    let Ok(read) = read_with_plus(&number) else { return (number.clone(), user_id) };
    let digits = read.as_deref().map(|number| number.trim_start_matches('+'));
    let person = phones.person(Some(&code), digits).map(Person::into_phone);
    // With a plus it is no national number.
    let number = person.filter(|phone| !phone.is_empty()).map(|phone| format!("+{phone}"));
    (number.unwrap_or_default().into(), user_id)
}
