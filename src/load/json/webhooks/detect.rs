//! Detects webhooks by their content.

use serde::de::IgnoredAny;

use super::value::{Json, Object};
use super::{Nesting, Walk, events};
use crate::error::{Error, Result};
use crate::load::json::scanner::Scanner;
use crate::load::json::surrogates::without_lone_surrogates;
use crate::load::source::{Source, Survey};
use crate::load::text::{DecodedText, HEAD};

/// The lists of a value that feed tables.
pub(super) const PARTS: [&str; 5] =
    ["messages", "statuses", "message_echoes", "user_preferences", "user_id_update"];

/// Words of which every webhook has one, except for Treble's events of other types.
const WORDS: [&[u8]; 9] = [
    b"messaging_product",
    b"whatsapp_business_account",
    b"display_phone_number",
    b"\"changes",
    b"\"field",
    b"volume_tier_info",
    b"hsm.status",
    b"deployment.failure",
    b"user_session_keys",
];

/// Returns `true` if the first bytes of a file are those of webhooks, even if these are cut off.
pub(in crate::load) fn begin(head: &[u8]) -> bool {
    let has = |word: &[u8]| memchr::memmem::find(head, word).is_some();
    has(b"messaging_product") && has(b"metadata") || has(b"whatsapp_business_account")
}

/// Returns `true` if the objects of a file are webhooks, not only closed sessions.
///
/// The first 64 KiB decide, except for a file that begins with closed sessions: it is searched to its end
/// for webhooks of other tables.
pub(in crate::load) fn are_in(source: &Source, survey: &Survey) -> Result<bool> {
    let mut scanner = Scanner::new(DecodedText::open(source, survey)?);
    let mut walk = Walk::default();
    let mut read = 0;
    while read < HEAD || walk.all_closures > 0 {
        let Some(found) = scanner.next().map_err(|e| source.read_error(&e))? else { break };
        let has = |word: &&[u8]| memchr::memmem::find(&found.bytes, word).is_some();
        if read >= HEAD && !WORDS.iter().any(has) {
            continue;
        }
        read += found.bytes.len();
        if let Ok(value) = Json::read(&without_lone_surrogates(&found.bytes)) {
            walk.value(&value, &[], Nesting::default());
            if walk.rows.is_known {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// The error for a file that is named as webhooks and is none: a workbook (`survey` is `None`), or a text
/// without objects.
pub(in crate::load) fn not_webhooks(source: &Source, survey: Option<&Survey>) -> Error {
    let why = match survey.is_some_and(|survey| is_value_alone(source, survey)) {
        true => "it is JSON without an object",
        false => "it is not JSON",
    };
    Error::data(format!("`{}` has no webhooks: {why}", source.name))
        .hint("it should contain the bodies of webhooks, one per line or in an array")
        .no_export()
}

/// Returns `true` if the first line of a file is a JSON value.
fn is_value_alone(source: &Source, survey: &Survey) -> bool {
    let Ok(mut text) = DecodedText::open(source, survey) else { return false };
    let Ok(head) = text.head() else { return false };
    let first = head.trim_ascii().split(|byte| *byte == b'\n').next().unwrap_or_default();
    serde_json::from_slice::<IgnoredAny>(first).is_ok()
}

/// Returns `true` if an object is a change.
pub(super) fn is_change(object: &Object<'_>) -> bool {
    object.has("field") && object.inner("value").is_some()
}

/// Returns `true` if an object is the value of a change.
pub(super) fn is_value(object: &Object<'_>) -> bool {
    let is_of_meta = object.has("messaging_product") && object.has("metadata");
    is_of_meta
        || PARTS
            .iter()
            .any(|part| matches!(object.get(part), Some(Json::List(_))) && object.has("metadata"))
        || !events::field_of(object).is_empty()
}
