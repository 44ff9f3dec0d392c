//! Messages of Meta's webhooks: received ones, statuses of sent ones, and those sent from the app.

use std::borrow::Cow;

use wabalake_data::cells::phone::is_user_id;
use wabalake_data::cells::{number, word, yes_or_no};

use super::rows::{FedRows, MessageRow};
use super::value::Object;

/// Types of messages that are none: changes of a message, and messages of the system.
const NO_MESSAGES: [&str; 4] = ["system", "edit", "revoke", "request_welcome"];

/// Formats with a name of their own, by the type of the message. Other types are media.
const FORMATS: [(&str, &str); 8] = [
    ("text", "text"),
    ("button", "text"),
    ("interactive", "text"),
    ("image", "image"),
    ("contacts", "contact"),
    ("location", "location"),
    ("reaction", "reaction"),
    ("order", "order"),
];

/// What the messages of one value share.
#[derive(Clone, Copy)]
pub(super) struct Around<'v> {
    pub(super) waba_id: &'v str,
    pub(super) line: &'v str,
    /// The contacts of the value.
    pub(super) value: &'v Object<'v>,
}

impl<'v> Around<'v> {
    /// The user id of the only contact; empty if there are none or several.
    fn only_user_id(&self) -> Cow<'v, str> {
        let mut contacts = self.value.objects("contacts");
        match (contacts.next(), contacts.next()) {
            (Some(contact), None) => contact.text("user_id"),
            _ => Cow::Borrowed(""),
        }
    }

    /// The user id of a person: that of its key, else the one in the cell of the number, else that of the
    /// contact.
    pub(super) fn person_of(&self, object: &'v Object<'_>, id: &str, number: &str) -> Cow<'v, str> {
        let number = object.text(number);
        or(shown_id(object, id, &number), || self.user_id_of(&number))
    }

    /// The user id of the contact with a number, else of the only contact.
    fn user_id_of(&self, number: &str) -> Cow<'v, str> {
        let mut contacts = self.value.objects("contacts");
        let same = contacts.find(|contact| !number.is_empty() && contact.text("wa_id") == number);
        let user_id = same.map(|contact| contact.text("user_id")).unwrap_or_default();
        if user_id.is_empty() { self.only_user_id() } else { user_id }
    }
}

/// Returns a text, or the other one if it is empty.
pub(super) fn or<'v>(text: Cow<'v, str>, other: impl FnOnce() -> Cow<'v, str>) -> Cow<'v, str> {
    if text.is_empty() { other() } else { text }
}

/// The user id below a key, else the number's cell if it holds a user id.
fn shown_id<'v>(object: &'v Object<'_>, id: &str, number: &Cow<'v, str>) -> Cow<'v, str> {
    or(object.text(id), || match is_user_id(number) {
        true => number.clone(),
        false => Cow::Borrowed(""),
    })
}

/// Returns `true` for a message of a group, or the status of one.
pub(super) fn is_of_group(message: &Object<'_>) -> bool {
    message.has("group_id") || message.text("recipient_type") == "group"
}

/// The type of a message; without one, that of the content it has.
pub(super) fn type_of<'v>(message: &'v Object<'_>) -> Cow<'v, str> {
    or(message.text("type"), || {
        let has = |(kind, _): &&(&str, &str)| message.has(kind);
        FORMATS.iter().find(has).map_or("", |(kind, _)| *kind).into()
    })
}

/// The content of a message, with its sender and recipient left open.
fn content<'v>(message: &'v Object<'_>, kind: &str) -> MessageRow<'v> {
    let part = message.inner(kind);
    let text = |key: &str| part.map(|part| part.text(key)).unwrap_or_default();
    let reply =
        part.and_then(|part| part.inner("button_reply").or_else(|| part.inner("list_reply")));
    let of_reply = |key: &str| reply.map(|reply| reply.text(key)).unwrap_or_default();
    let (shown, payload) = match kind {
        "text" => (text("body"), Cow::Borrowed("")),
        "button" => (text("text"), text("payload")),
        "interactive" => (of_reply("title"), of_reply("id")),
        "order" => (text("text"), Cow::Borrowed("")),
        _ => (text("caption"), Cow::Borrowed("")),
    };
    let format = FORMATS.iter().find(|(of, _)| *of == kind).map_or("media", |(_, format)| *format);
    let is_reaction = kind == "reaction";
    let of_reaction = |key: &str| if is_reaction { text(key) } else { Cow::Borrowed("") };
    MessageRow {
        whatsapp_id: message.text("id"),
        created_at: message.text("timestamp"),
        format: format.into(),
        message: shown,
        context_id: or(message.text_at(&["context", "id"]), || of_reaction("message_id")),
        reaction: of_reaction("emoji"),
        button_payload: payload,
        referral_type: message.text_at(&["referral", "source_type"]),
        referral_id: message.text_at(&["referral", "source_id"]),
        referral_headline: message.text_at(&["referral", "headline"]),
        ctwa_clid: message.text_at(&["referral", "ctwa_clid"]),
        ..MessageRow::default()
    }
}

/// Returns `true` if a message is none, and counts it unless other tables read it.
fn is_none(message: &Object<'_>, kind: &str, rows: &mut FedRows) -> bool {
    if is_of_group(message) {
        rows.leave_out("messages of groups", "");
        return true;
    }
    let is_none = NO_MESSAGES.contains(&kind);
    if is_none && kind != "system" {
        rows.leave_out("messages of type", kind);
    }
    is_none
}

/// Writes a message that a person sent.
pub(super) fn received(message: &Object<'_>, around: Around<'_>, rows: &mut FedRows) {
    let kind = type_of(message);
    if is_none(message, &kind, rows) {
        return;
    }
    rows.push(&MessageRow {
        waba_id: around.waba_id.into(),
        direction: "incoming".into(),
        source: "webhook".into(),
        from: message.text("from"),
        user_id: around.person_of(message, "from_user_id", "from"),
        to: around.line.into(),
        ..content(message, &kind)
    });
}

/// Writes a message that the business sent from its app.
pub(super) fn sent_from_app(message: &Object<'_>, around: Around<'_>, rows: &mut FedRows) {
    let kind = type_of(message);
    if is_none(message, &kind, rows) {
        return;
    }
    rows.push(&MessageRow {
        waba_id: around.waba_id.into(),
        direction: "outgoing".into(),
        source: "app".into(),
        from: or(around.line.into(), || message.text("from")),
        to: message.text("to"),
        user_id: shown_id(message, "to_user_id", &message.text("to")),
        sent_at: message.text("timestamp"),
        ..content(message, &kind)
    });
}

/// Writes the status of a message that the business sent.
pub(super) fn status(status: &Object<'_>, around: Around<'_>, rows: &mut FedRows) {
    if is_of_group(status) {
        rows.leave_out("statuses of groups", "");
        return;
    }
    let at = || status.text("timestamp");
    let word = status.text("status");
    let (mut sent_at, mut delivered_at, mut seen_at, mut failed_at) = Default::default();
    match word.as_ref() {
        "sent" => sent_at = at(),
        "delivered" => delivered_at = at(),
        "read" | "played" => seen_at = at(),
        "failed" => failed_at = at(),
        other => {
            rows.leave_out(
                if other.is_empty() { "statuses without a word" } else { "statuses" },
                other,
            );
            return;
        }
    }
    // A code out of range is unknown.
    let code = |error: &Object<'_>| number::integer(error.text("code").trim());
    let error = status
        .objects("errors")
        .min_by_key(|error| code(error).map_or((true, 0), |number| (false, number)));
    let is_per_message =
        |pricing: &&Object<'_>| pricing.text("pricing_model").trim().eq_ignore_ascii_case("PMP");
    let pricing = status.inner("pricing").filter(is_per_message);
    let recipient = status.text("recipient_id");
    rows.push(&MessageRow {
        waba_id: around.waba_id.into(),
        whatsapp_id: status.text("id"),
        direction: "outgoing".into(),
        from: around.line.into(),
        user_id: or(shown_id(status, "recipient_user_id", &recipient), || around.only_user_id()),
        to: recipient,
        created_at: at(),
        sent_at,
        delivered_at,
        seen_at,
        failed_at,
        conversation_id: status.text_at(&["conversation", "id"]),
        conversation_type: status.text_at(&["conversation", "origin", "type"]),
        reference: status.text("biz_opaque_callback_data"),
        error_code: error.and_then(code).map(|code| code.to_string()).unwrap_or_default().into(),
        reason: error.map(|error| error.text("title")).unwrap_or_default(),
        pricing_type: pricing.map(pricing_type).unwrap_or_default(),
        pricing_category: pricing.map(category).unwrap_or_default(),
        ..MessageRow::default()
    });
}

/// The category of a price, in the words of the table.
fn category(pricing: &Object<'_>) -> Cow<'static, str> {
    let category = pricing.text("category");
    word(&category).unwrap_or_default().to_lowercase().replace('-', "_").into()
}

/// The type of a price; without one, what it is by its category if it is free.
fn pricing_type<'v>(pricing: &'v Object<'_>) -> Cow<'v, str> {
    or(pricing.text("type"), || {
        let is_billable = yes_or_no(pricing.text("billable").trim()) == Some(true);
        match category(pricing).as_ref() {
            _ if is_billable => "regular".into(),
            "service" | "utility" => "free_customer_service".into(),
            "referral_conversion" => "free_entry_point".into(),
            _ => "".into(),
        }
    })
}
