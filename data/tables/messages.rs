//! Kaleyra's messages: one row for each message submitted or received.
//!
//! From the tabular report, 24 columns. A message is placed once, at the moment it was created. A
//! later export has seen more of its way: seen wins over delivered, delivered over sent or failed.

use polars::prelude::*;

use super::{BLANK, Cell, Column, Kind, MESSAGE_KEY, Row, Table, USER_KEY};
use crate::cells::Enumeration;

pub use super::USER_PHONE;

/// Its name in the catalog.
pub const NAME: &str = "messages";

columns! {
    /// The WhatsApp Business account.
    WABA_ID = "waba_id",
    /// A message's id.
    WHATSAPP_ID = "whatsapp_id",
    /// Who sent it: digits.
    FROM = "from",
    /// Who got it: digits.
    TO = "to",
    /// incoming or outgoing.
    MESSAGE_DIRECTION = "message_direction",
    /// api, campaign or webhook.
    SOURCE = "source",
    /// template, text, image, media, contact or location.
    FORMAT = "format",
    /// Why it failed, in words.
    REASON_FOR_FAILURE = "reason_for_failure",
    /// The person's country as the export names it.
    COUNTRY_NAME = "country_name",
    /// The template that was used.
    TEMPLATE_NAME = "template_name",
    /// Its text.
    MESSAGE = "message",
    /// When it was submitted or received.
    CREATED_AT = "created_at",
    /// When it failed.
    FAILED_AT = "failed_at",
    /// When it was sent.
    SENT_AT = "sent_at",
    /// When it was delivered.
    DELIVERED_AT = "delivered_at",
    /// When it was read.
    SEEN_AT = "seen_at",
    /// `session_incoming`, `session_outgoing` or `template`.
    PARENT_SERVICE_TYPE = "parent_service_type",
    /// Who began the conversation, or its category.
    CONVERSATION_TYPE = "conversation_type",
    /// The conversation of 24 hours that it belongs to.
    CONVERSATION_ID = "conversation_id",
    /// `conversation_start` or `in_conversation`.
    CONVERSATION_MSG_TYPE = "conversation_msg_type",
    /// The campaign.
    CAMPAIGN_ID = "campaign_id",
    /// The caller's own reference.
    REF = "ref",
    /// The caller's second reference.
    REF1 = "ref1",
    /// The caller's third reference.
    REF2 = "ref2",
    /// The business's line: digits.
    LINE = "line",
    /// The person's country, ISO 3166-1 alpha-2.
    COUNTRY = "country",
    /// incoming, outgoing or template.
    MESSAGE_TYPE = "message_type",
}

/// Which way a message went. The report says `true` for incoming.
pub static DIRECTIONS: Enumeration =
    Enumeration::new(&[("incoming", &["true", "1", "yes"]), ("outgoing", &["false", "0", "no"])]);

/// What submitted a message.
pub static SOURCES: Enumeration =
    Enumeration::new(&[("api", &[]), ("campaign", &[]), ("webhook", &[])]);

/// What a message is made of.
pub static FORMATS: Enumeration = Enumeration::new(&[
    ("template", &[]),
    ("text", &[]),
    ("image", &[]),
    ("media", &[]),
    ("contact", &[]),
    ("location", &[]),
]);

/// Which service carried a message.
pub static PARENT_SERVICE_TYPES: Enumeration =
    Enumeration::new(&[("session_incoming", &[]), ("session_outgoing", &[]), ("template", &[])]);

/// Who began a conversation; since June 2023 its category.
pub static CONVERSATION_TYPES: Enumeration = Enumeration::new(&[
    ("business_initiated", &[]),
    ("user_initiated", &[]),
    ("referral_conversion", &[]),
    ("referral", &[]),
    ("marketing", &[]),
    ("utility", &[]),
    ("authentication", &[]),
    ("authentication_international", &[]),
    ("service", &[]),
]);

/// Whether a message began its conversation.
pub static CONVERSATION_MSG_TYPES: Enumeration =
    Enumeration::new(&[("conversation_start", &[]), ("in_conversation", &[])]);

/// The table.
pub static TABLE: Table = Table {
    name: NAME,
    source: "Kaleyra tabular report",
    columns: &[
        Column::new(WABA_ID, Kind::Word),
        Column::new(WHATSAPP_ID, Kind::Word).required(),
        Column::new(FROM, Kind::Phone),
        Column::new(TO, Kind::Phone),
        Column::new(MESSAGE_DIRECTION, Kind::Closed(&DIRECTIONS)).word().required(),
        Column::new(SOURCE, Kind::Enumeration(&SOURCES)),
        Column::new(FORMAT, Kind::Enumeration(&FORMATS)),
        Column::new(REASON_FOR_FAILURE, Kind::Word).term(),
        Column::new(COUNTRY_NAME, Kind::Word).term().or(&["COUNTRY"]),
        Column::new(TEMPLATE_NAME, Kind::Word).term(),
        Column::new(MESSAGE, Kind::Text),
        Column::new(CREATED_AT, Kind::Stamp).required(),
        Column::new(FAILED_AT, Kind::Stamp),
        Column::new(SENT_AT, Kind::Stamp),
        Column::new(DELIVERED_AT, Kind::Stamp),
        Column::new(SEEN_AT, Kind::Stamp),
        Column::new(PARENT_SERVICE_TYPE, Kind::Enumeration(&PARENT_SERVICE_TYPES)),
        Column::new(CONVERSATION_TYPE, Kind::Enumeration(&CONVERSATION_TYPES)).word(),
        Column::new(CONVERSATION_ID, Kind::Word),
        Column::new(CONVERSATION_MSG_TYPE, Kind::Enumeration(&CONVERSATION_MSG_TYPES)),
        Column::new(CAMPAIGN_ID, Kind::Word),
        Column::new(REF, Kind::Word).term(),
        Column::new(REF1, Kind::Word).term(),
        Column::new(REF2, Kind::Word).term(),
        Column::derived(LINE).line(),
        Column::derived(USER_PHONE).person(),
        Column::derived(COUNTRY).country(),
        Column::derived(MESSAGE_TYPE).word(),
    ],
    key: &[WHATSAPP_ID],
    day_of: CREATED_AT,
    precedence: || {
        vec![
            col(SEEN_AT).is_not_null(),
            col(DELIVERED_AT).is_not_null(),
            col(SENT_AT).is_not_null().or(col(FAILED_AT).is_not_null()),
        ]
    },
    sort: &[CONVERSATION_ID, CREATED_AT, WHATSAPP_ID],
    hashes: &[(MESSAGE_KEY, WHATSAPP_ID), (USER_KEY, USER_PHONE)],
    statistics: &[CREATED_AT],
    derive,
    stamps_are_utc: true,
    ..BLANK
};

fn derive(row: &mut Row<'_, '_>) {
    places! {
        SENDER_PLACE = FROM,
        RECEIVER_PLACE = TO,
        DIRECTION_PLACE = MESSAGE_DIRECTION,
        FORMAT_PLACE = FORMAT,
        COUNTRY_NAME_PLACE = COUNTRY_NAME,
        TEMPLATE_PLACE = TEMPLATE_NAME,
        SERVICE_PLACE = PARENT_SERVICE_TYPE,
        LINE_PLACE = LINE,
        PERSON_PLACE = USER_PHONE,
        COUNTRY_PLACE = COUNTRY,
        TYPE_PLACE = MESSAGE_TYPE,
    }
    let incoming = row.cells[DIRECTION_PLACE].text() == Some("incoming");
    let (line, person) =
        if incoming { (RECEIVER_PLACE, SENDER_PLACE) } else { (SENDER_PLACE, RECEIVER_PLACE) };
    row.cells[LINE_PLACE] = row.cells[line].clone();
    row.place_person([PERSON_PLACE, COUNTRY_PLACE], None, person, Some(COUNTRY_NAME_PLACE));

    let says_template = |at: usize| row.cells[at].text() == Some("template");
    let message_type = if incoming {
        "incoming"
    } else if says_template(SERVICE_PLACE)
        || says_template(FORMAT_PLACE)
        || row.cells[TEMPLATE_PLACE].text().is_some()
    {
        "template"
    } else {
        "outgoing"
    };
    row.cells[TYPE_PLACE] = Cell::Text(message_type);
}
