//! Messages: one row for each message that was submitted or received.
//!
//! Loaded from Kaleyra's tabular report, 24 columns, from Meta's webhooks, in which each state of a message
//! is a record, or from a business's own log of what it sent, which needs `whatsapp_id`, `created_at` and
//! `message_direction` and may have any other column, also those that Kaleyra leaves out. The creation time
//! assigns a message to a day.
//!
//! Sources know different things of a message, and no row of one replaces another: rows with the same
//! `whatsapp_id` are folded column by column. A value is null only if no row has one.
//!
//! ```text
//! columns                                                stays
//! created_at, sent_at, delivered_at, seen_at, failed_at  the earliest; the row moves to its new day
//! message_direction                                      outgoing over incoming
//! format                                                 template over any other, then the greater text
//! pricing_type                                           regular over free_entry_point over
//!                                                        free_customer_service, then the greater text
//! error_code                                             the smaller
//! every other column of an export                        the greater text, by UTF-8 bytes
//! line, user_phone, country, message_type                computed again from the folded row
//! ```
//!
//! So the order of loads does not matter:
//!
//! ```text
//! log of sends  created 10:00:00   template_name promo
//! status        created 10:00:01   sent_at 10:00:01
//! status        created 10:03:00   seen_at 10:03:00     pricing_type regular
//! the message   created 10:00:00   sent_at 10:00:01, seen_at 10:03:00, promo, regular, a template
//! ```

use polars::prelude::*;

use crate::cells::Enumeration;
use crate::table::{
    BLANK, Cell, CellKind, Column, MESSAGE_KEY, OWN_PERSON, PersonCells, Row, Table, USER_KEY,
    columns, positions,
};

pub use crate::table::{USER_ID, USER_PHONE};

/// The table's name.
pub const NAME: &str = "messages";

columns! {
    /// The WhatsApp Business account.
    WABA_ID = "waba_id",
    /// The id of the message. Meta's begins with `wamid.` and spells the person's number.
    WHATSAPP_ID = "whatsapp_id",
    /// The sender: digits. A user id here is moved to `user_id`.
    FROM = "from",
    /// The recipient: digits. A user id here is moved to `user_id`.
    TO = "to",
    /// `incoming` or `outgoing`.
    MESSAGE_DIRECTION = "message_direction",
    /// `api`, `campaign`, `webhook` or `app`.
    SOURCE = "source",
    /// `template`, `text`, `image`, `media`, `contact`, `location`, `reaction` or `order`.
    FORMAT = "format",
    /// The reason of a failure, a sentence.
    REASON_FOR_FAILURE = "reason_for_failure",
    /// The person's country as the export spells it.
    COUNTRY_NAME = "country_name",
    /// The name of the template that was used.
    TEMPLATE_NAME = "template_name",
    /// The text.
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
    /// Who started the conversation, or its category: see [`CONVERSATION_TYPES`].
    CONVERSATION_TYPE = "conversation_type",
    /// The 24-hour conversation that it belongs to.
    CONVERSATION_ID = "conversation_id",
    /// `conversation_start` or `in_conversation`.
    CONVERSATION_MSG_TYPE = "conversation_msg_type",
    /// The id of the campaign.
    CAMPAIGN_ID = "campaign_id",
    /// The API caller's reference.
    REF = "ref",
    /// The API caller's second reference.
    REF1 = "ref1",
    /// The API caller's third reference.
    REF2 = "ref2",
    /// The phone number of the line: digits.
    LINE = "line",
    /// The person's country, ISO 3166-1 alpha-2.
    COUNTRY = "country",
    /// `incoming`, `outgoing` or `template`.
    MESSAGE_TYPE = "message_type",
    /// Meta's code of the failure, if a source reports it.
    ERROR_CODE = "error_code",
    /// How Meta charged the message, if a source reports it: see [`PRICING_TYPES`].
    PRICING_TYPE = "pricing_type",
    /// The category by which Meta priced the message, if a source reports it: see
    /// [`PRICING_CATEGORIES`].
    PRICING_CATEGORY = "pricing_category",
    /// `ad` or `post`: where the person began to write, if a source reports it.
    REFERRAL_TYPE = "referral_type",
    /// The id of the ad or post.
    REFERRAL_ID = "referral_id",
    /// The headline of the ad or post.
    REFERRAL_HEADLINE = "referral_headline",
    /// Meta's id of the click on the ad.
    CTWA_CLID = "ctwa_clid",
    /// The id of the message that this one answers or reacts to. Like an id of a message it may spell
    /// the person's number.
    CONTEXT_ID = "context_id",
    /// The payload of the button or list entry that was chosen.
    BUTTON_PAYLOAD = "button_payload",
    /// The emoji of a reaction.
    REACTION = "reaction",
}

/// The direction of a message. The report writes `true` for incoming.
pub static DIRECTIONS: Enumeration =
    Enumeration::new(&[("incoming", &["true", "1", "yes"]), ("outgoing", &["false", "0", "no"])]);

/// The channel through which a message was submitted.
pub static SOURCES: Enumeration =
    Enumeration::new(&[("api", &[]), ("campaign", &[]), ("webhook", &[]), ("app", &[])]);

/// The format of a message.
pub static FORMATS: Enumeration = Enumeration::new(&[
    ("template", &[]),
    ("text", &[]),
    ("image", &[]),
    ("media", &[]),
    ("contact", &[]),
    ("location", &[]),
    (REACTION_FORMAT, &[]),
    ("order", &[]),
]);

/// The format of a reaction: an emoji on another message, which is no message of its own in most counts.
pub const REACTION_FORMAT: &str = "reaction";

/// What a person came from.
pub static REFERRAL_TYPES: Enumeration = Enumeration::new(&[("ad", &[]), ("post", &[])]);

/// The service that carried a message.
pub static PARENT_SERVICE_TYPES: Enumeration =
    Enumeration::new(&[("session_incoming", &[]), ("session_outgoing", &[]), ("template", &[])]);

/// Who started a conversation; since June 2023, its category.
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

/// The position of a message in its conversation: the first or a later one.
pub static CONVERSATION_MSG_TYPES: Enumeration =
    Enumeration::new(&[("conversation_start", &[]), ("in_conversation", &[])]);

/// How Meta charges a message.
pub static PRICING_TYPES: Enumeration = Enumeration::new(&[
    ("regular", &[]),
    ("free_entry_point", &[]),
    ("free_customer_service", &[]),
]);

/// The categories by which Meta prices messages: those of templates, then others.
pub static PRICING_CATEGORIES: Enumeration = Enumeration::new(&[
    ("marketing", &[]),
    ("marketing_lite", &[]),
    ("utility", &[]),
    ("authentication", &[]),
    ("authentication_international", &[]),
    ("service", &[]),
    ("referral_conversion", &[]),
]);

/// The pricing categories that only a template has.
pub const TEMPLATE_CATEGORIES: [&str; 5] =
    ["marketing", "marketing_lite", "utility", "authentication", "authentication_international"];

/// Declares [`Table::aggregates`]: after each function the columns that it aggregates.
macro_rules! folded {
    ($($how:ident: $($column:ident),+;)+) => { &[$($(($column, || $how($column))),+),+] };
}

fn least(column: &str) -> Expr {
    col(column).min()
}

/// The greatest value; of texts, by their UTF-8 bytes.
fn greatest(column: &str) -> Expr {
    col(column).max()
}

fn template_first(column: &str) -> Expr {
    first_of(column, &["template"])
}

/// The pricing type that costs most: a charge is never missed.
fn dearest(column: &str) -> Expr {
    first_of(column, &["regular", "free_entry_point", "free_customer_service"])
}

/// The first of some words that any row has, else the greatest text.
fn first_of(column: &str, words: &[&'static str]) -> Expr {
    words.iter().rev().fold(greatest(column), |other, word| {
        when(col(column).eq(lit(*word)).any(true)).then(lit(*word)).otherwise(other)
    })
}

/// The table's description.
pub static TABLE: Table = Table {
    name: NAME,
    source: "Kaleyra tabular report, webhooks, a log of sends",
    columns: &[
        Column::new(WABA_ID, CellKind::Word),
        Column::new(WHATSAPP_ID, CellKind::Word).person().required(),
        Column::new(FROM, CellKind::Phone),
        Column::new(TO, CellKind::Phone),
        Column::new(MESSAGE_DIRECTION, CellKind::Closed(&DIRECTIONS)).word().required(),
        Column::new(SOURCE, CellKind::Enumeration(&SOURCES)),
        Column::new(FORMAT, CellKind::Enumeration(&FORMATS)),
        Column::new(REASON_FOR_FAILURE, CellKind::Word).term(),
        Column::new(COUNTRY_NAME, CellKind::Word).term().or(&["COUNTRY"]),
        Column::new(TEMPLATE_NAME, CellKind::Word).term(),
        Column::new(MESSAGE, CellKind::Text).or(&["text"]),
        Column::new(CREATED_AT, CellKind::Stamp).required(),
        Column::new(FAILED_AT, CellKind::Stamp),
        Column::new(SENT_AT, CellKind::Stamp),
        Column::new(DELIVERED_AT, CellKind::Stamp),
        Column::new(SEEN_AT, CellKind::Stamp),
        Column::new(PARENT_SERVICE_TYPE, CellKind::Enumeration(&PARENT_SERVICE_TYPES)),
        Column::new(CONVERSATION_TYPE, CellKind::Enumeration(&CONVERSATION_TYPES)).word(),
        Column::new(CONVERSATION_ID, CellKind::Word),
        Column::new(CONVERSATION_MSG_TYPE, CellKind::Enumeration(&CONVERSATION_MSG_TYPES)),
        Column::new(CAMPAIGN_ID, CellKind::Word),
        Column::new(REF, CellKind::Word).term(),
        Column::new(REF1, CellKind::Word).term(),
        Column::new(REF2, CellKind::Word).term(),
        Column::derived(LINE).line(),
        Column::derived(USER_PHONE).person(),
        Column::derived(COUNTRY).country(),
        Column::derived(MESSAGE_TYPE).word(),
        Column::user_id(),
        Column::new(ERROR_CODE, CellKind::Integer),
        Column::new(PRICING_TYPE, CellKind::Enumeration(&PRICING_TYPES)).word(),
        Column::new(PRICING_CATEGORY, CellKind::Enumeration(&PRICING_CATEGORIES)).word(),
        Column::new(REFERRAL_TYPE, CellKind::Enumeration(&REFERRAL_TYPES)).word(),
        Column::new(REFERRAL_ID, CellKind::Word),
        Column::new(REFERRAL_HEADLINE, CellKind::Text),
        Column::new(CTWA_CLID, CellKind::Word).term(),
        Column::new(CONTEXT_ID, CellKind::Word).person(),
        Column::new(BUTTON_PAYLOAD, CellKind::Text),
        Column::new(REACTION, CellKind::Text),
    ],
    key: &[WHATSAPP_ID],
    day_of: CREATED_AT,
    aggregates: folded! {
        least: CREATED_AT, FAILED_AT, SENT_AT, DELIVERED_AT, SEEN_AT, ERROR_CODE;
        // `outgoing` is greater than `incoming`.
        greatest: WABA_ID, FROM, TO, MESSAGE_DIRECTION, SOURCE, REASON_FOR_FAILURE, COUNTRY_NAME,
            TEMPLATE_NAME, MESSAGE, PARENT_SERVICE_TYPE, CONVERSATION_TYPE, CONVERSATION_ID,
            CONVERSATION_MSG_TYPE, CAMPAIGN_ID, REF, REF1, REF2, USER_ID, PRICING_CATEGORY,
            REFERRAL_TYPE, REFERRAL_ID, REFERRAL_HEADLINE, CTWA_CLID, CONTEXT_ID, BUTTON_PAYLOAD,
            REACTION;
        template_first: FORMAT;
        dearest: PRICING_TYPE;
    },
    sort: &[CONVERSATION_ID, CREATED_AT, WHATSAPP_ID],
    hashes: &[(MESSAGE_KEY, WHATSAPP_ID), (USER_KEY, OWN_PERSON)],
    statistics: &[CREATED_AT],
    derive,
    stamps_are_utc: true,
    ..BLANK
};

fn derive(row: &mut Row<'_, '_>) {
    positions! {
        SENDER_CELL = FROM,
        RECEIVER_CELL = TO,
        DIRECTION_CELL = MESSAGE_DIRECTION,
        FORMAT_CELL = FORMAT,
        COUNTRY_NAME_CELL = COUNTRY_NAME,
        TEMPLATE_CELL = TEMPLATE_NAME,
        SERVICE_CELL = PARENT_SERVICE_TYPE,
        LINE_CELL = LINE,
        PERSON_CELL = USER_PHONE,
        COUNTRY_CELL = COUNTRY,
        TYPE_CELL = MESSAGE_TYPE,
        PRICING_CATEGORY_CELL = PRICING_CATEGORY,
        ID_CELL = USER_ID,
    }
    let incoming = row.cells[DIRECTION_CELL].text() == Some("incoming");
    let (line, number) =
        if incoming { (RECEIVER_CELL, SENDER_CELL) } else { (SENDER_CELL, RECEIVER_CELL) };
    row.clear_user_id(line);
    row.cells[LINE_CELL] = row.cells[line].clone();
    let person = PersonCells { user_phone: PERSON_CELL, user_id: ID_CELL, country: COUNTRY_CELL };
    row.set_person(person, None, number, Some(COUNTRY_NAME_CELL));

    let says_template = |at: usize| row.cells[at].text() == Some("template");
    let category = row.cells[PRICING_CATEGORY_CELL].text();
    let is_priced_as_template = category.is_some_and(|word| TEMPLATE_CATEGORIES.contains(&word));
    let message_type = if incoming {
        "incoming"
    } else if says_template(SERVICE_CELL)
        || says_template(FORMAT_CELL)
        || row.cells[TEMPLATE_CELL].text().is_some()
        || is_priced_as_template
    {
        "template"
    } else {
        "outgoing"
    };
    row.cells[TYPE_CELL] = Cell::Text(message_type);
}
