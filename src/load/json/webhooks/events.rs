//! Events of Meta's webhooks about accounts, lines, templates and people.

use std::borrow::Cow;

use wabalake_data::tables::events as table;

use super::messages::{Around, or};
use super::rows::{EventRow, FedRows};
use super::value::Object;

/// The fields of changes that are events, each with a key that only its values have.
const FIELDS: [(&str, &str); 6] = [
    ("message_template_quality_update", "new_quality_score"),
    ("template_category_update", "new_category"),
    ("message_template_status_update", "message_template_id"),
    ("phone_number_quality_update", "current_limit"),
    ("business_capability_update", "max_daily_conversation_per_phone"),
    ("account_update", "volume_tier_info"),
];

/// The key of limits that Meta reports for the whole business.
const PER_BUSINESS: &str = "max_daily_conversations_per_business";

/// Other fields of changes.
const OTHER_FIELDS: [&str; 17] = [
    "messages",
    "smb_message_echoes",
    "user_preferences",
    "user_id_update",
    "account_alerts",
    "account_review_update",
    "account_settings_update",
    "business_status_update",
    "calls",
    "flows",
    "history",
    "message_template_components_update",
    "messaging_handovers",
    "phone_number_name_update",
    "security",
    "smb_app_state_sync",
    "template_correct_category_detection",
];

/// Returns `true` for the name of a field that only changes of Meta's have.
pub(super) fn is_field(field: &str) -> bool {
    is_event(field) || OTHER_FIELDS.contains(&field)
}

/// Returns `true` if the values of a field are events.
pub(super) fn is_event(field: &str) -> bool {
    FIELDS.iter().any(|(name, _)| *name == field)
}

/// The field of a value that stands alone; empty if its keys do not tell.
pub(super) fn field_of(value: &Object<'_>) -> &'static str {
    match FIELDS.iter().find(|(_, key)| value.has(key)) {
        Some((field, _)) => field,
        None if !value.has(PER_BUSINESS) => "",
        None if value.has("display_phone_number") => "phone_number_quality_update",
        None => "business_capability_update",
    }
}

/// Writes an event, unless its time is unknown.
pub(super) fn push(row: &EventRow<'_>, rows: &mut FedRows) {
    if row.at.is_empty() {
        rows.leave_out("events without a time", &row.event);
    } else {
        rows.push(row);
    }
}

/// Writes the event that a value is.
pub(super) fn of_field(
    field: &str,
    value: &Object<'_>,
    time: &str,
    around: Around<'_>,
    rows: &mut FedRows,
) {
    let text = |key: &str| value.text(key);
    let template = |event: &'static str| EventRow {
        event: event.into(),
        template_id: text("message_template_id"),
        template_name: text("message_template_name"),
        template_language: text("message_template_language"),
        ..EventRow::default()
    };
    let mut row = match field {
        "message_template_status_update" => EventRow {
            new_value: or(text("event"), || text("status")),
            reason: text("reason"),
            ..template(table::TEMPLATE_STATUS)
        },
        "message_template_quality_update" => EventRow {
            old_value: text("previous_quality_score"),
            new_value: text("new_quality_score"),
            ..template(table::TEMPLATE_QUALITY)
        },
        "template_category_update" => match text("correct_category") {
            announced if announced.is_empty() => EventRow {
                old_value: text("previous_category"),
                new_value: text("new_category"),
                ..template(table::TEMPLATE_CATEGORY)
            },
            // The category changes later: the new one is still the present one.
            announced => EventRow {
                old_value: text("new_category"),
                reason: announced,
                ..template(table::TEMPLATE_CATEGORY)
            },
        },
        "phone_number_quality_update" => EventRow {
            event: table::LINE_LIMIT.into(),
            old_value: text("old_limit"),
            new_value: value.first_text(&[PER_BUSINESS, "current_limit"]),
            reason: text("event"),
            ..EventRow::default()
        },
        "business_capability_update" => EventRow {
            event: table::ACCOUNT_LIMIT.into(),
            new_value: value.first_text(&[PER_BUSINESS, "max_daily_conversation_per_phone"]),
            ..EventRow::default()
        },
        _ => of_account(value),
    };
    row.source = table::META.into();
    row.at = or(row.at, || time.into());
    row.waba_id = around.waba_id.into();
    row.line = around.line.into();
    push(&row, rows);
}

/// The event of an account: it reached a volume tier, or another one.
fn of_account<'v>(value: &'v Object<'_>) -> EventRow<'v> {
    let Some(tier) = value.inner("volume_tier_info") else {
        return EventRow {
            event: table::ACCOUNT.into(),
            new_value: value.text("event"),
            ..EventRow::default()
        };
    };
    let parts = ["region", "pricing_category", "effective_month"].map(|key| tier.text(key));
    let parts = parts.iter().map(Cow::as_ref).filter(|part| !part.is_empty());
    EventRow {
        event: table::VOLUME_TIER.into(),
        at: tier.text("tier_update_time"),
        new_value: tier.text("tier"),
        reason: parts.collect::<Vec<_>>().join(" ").into(),
        ..EventRow::default()
    }
}

/// Writes a person's preference about marketing messages.
pub(super) fn preference(
    preference: &Object<'_>,
    time: &str,
    around: Around<'_>,
    rows: &mut FedRows,
) {
    let category = preference.text("category");
    if !matches!(category.as_ref(), "" | "marketing_messages") {
        rows.leave_out("preferences about", &category);
        return;
    }
    let user_phone = preference.text("wa_id");
    let user_id = around.person_of(preference, "user_id", "wa_id");
    let row = EventRow {
        source: table::META.into(),
        event: table::MARKETING_PREFERENCE.into(),
        at: or(preference.text("timestamp"), || time.into()),
        waba_id: around.waba_id.into(),
        line: around.line.into(),
        user_phone,
        user_id,
        new_value: preference.text("value").to_lowercase().into(),
        ..EventRow::default()
    };
    push(&row, rows);
}

/// Writes the event of a system message: a person has another number. Other system messages are
/// counted, unless they only link user ids.
pub(super) fn of_system(message: &Object<'_>, time: &str, around: Around<'_>, rows: &mut FedRows) {
    let kind = message.text_at(&["system", "type"]);
    match kind.as_ref() {
        "user_changed_number" => {}
        "user_changed_user_id" => return,
        other => {
            rows.leave_out("system messages", other);
            return;
        }
    }
    let user_phone = message.text("from");
    let user_id = around.person_of(message, "from_user_id", "from");
    let row = EventRow {
        source: table::META.into(),
        event: table::NUMBER_CHANGED.into(),
        at: or(message.text("timestamp"), || time.into()),
        waba_id: around.waba_id.into(),
        line: around.line.into(),
        user_phone,
        user_id,
        ..EventRow::default()
    };
    push(&row, rows);
}
