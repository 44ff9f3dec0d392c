//! Treble's sessions: one row for each conversation of a person with a flow.
//!
//! Loaded from the sessions export, 27 columns. A later export has a newer state of the same
//! session, so precedence is: finished over open, the later finish, the later last message, the
//! later status.

use polars::prelude::*;

use crate::cells::Enumeration;
use crate::table::{
    BLANK, CellKind, Column, OWN_PERSON, PersonCells, Row, SESSION_KEY, Table, USER_KEY, columns,
    positions,
};

pub use crate::table::{USER_ID, USER_PHONE};

/// The table's name.
pub const NAME: &str = "sessions";

columns! {
    /// The id of the session.
    SESSION_ID = "session_id",
    /// The session that redirected the person to this one.
    PARENT_SESSION_ID = "parent_session_id",
    /// When it started.
    SESSION_STARTED_TIMESTAMP = "session_started_timestamp",
    /// When it ended; null while it is open.
    SESSION_FINISHED_TIMESTAMP = "session_finished_timestamp",
    /// `Outbound` or `Inbound`.
    SESSION_TYPE = "session_type",
    /// `BOT`, `AGENTS` or `RATING`.
    SESSION_STATUS = "session_status",
    /// The id of the flow.
    CONVERSATION_ID = "conversation_id",
    /// The flow's version.
    CONVERSATION_VERSION = "conversation_version",
    /// The person's dialling code.
    USER_COUNTRY_CODE = "user_country_code",
    /// The person's number as exported: digits.
    USER_CELLPHONE = "user_cellphone",
    /// The phone number of the line: digits.
    LINE_WHATSAPP_NUMBER = "line_whatsapp_number",
    /// The display name of the line.
    LINE_WHATSAPP_DISPLAY_NAME = "line_whatsapp_display_name",
    /// The person's first message.
    FIRST_MESSAGE_TIMESTAMP = "first_message_timestamp",
    /// The text of that message, if it has one.
    FIRST_MESSAGE = "first_message",
    /// The person's last message.
    LAST_MESSAGE_TIMESTAMP = "last_message_timestamp",
    /// The text of that message, if it has one.
    LAST_MESSAGE = "last_message",
    /// The last node of the flow that the person reached.
    LAST_NODE_ID = "last_node_id",
    /// The URL of the ad or post.
    META_SOURCE_URL = "meta_source_url",
    /// `Ad` or `Post`.
    META_SOURCE_TYPE = "meta_source_type",
    /// The id of the ad or post.
    META_SOURCE_ID = "meta_source_id",
    /// The headline of the ad or post.
    META_SOURCE_HEADLINE = "meta_source_headline",
    /// The text of the ad or post.
    META_SOURCE_BODY = "meta_source_body",
    /// `Image` or `Video`.
    META_SOURCE_MEDIA_TYPE = "meta_source_media_type",
    /// The URL of its image or video.
    META_SOURCE_MEDIA_URL = "meta_source_media_url",
    /// The URL of its thumbnail.
    META_SOURCE_THUMBNAIL_URL = "meta_source_thumbnail_url",
    /// The campaign of the WhatsApp link that the person followed.
    WHATSAPP_LINK_CAMPAIGN_NAME = "whatsapp_link_campaign_name",
    /// The platform of that link.
    WHATSAPP_LINK_CAMPAIGN_SOURCE = "whatsapp_link_campaign_source",
    /// The person's country, ISO 3166-1 alpha-2.
    COUNTRY = "country",
}

/// Who started a session: the business (`Outbound`) or the person (`Inbound`).
pub static SESSION_TYPES: Enumeration = Enumeration::new(&[("Outbound", &[]), ("Inbound", &[])]);

/// Who handles a session, in order. Treble's newer exports say `AI` and `HumanHandover`.
pub static SESSION_STATUSES: Enumeration =
    Enumeration::new(&[("BOT", &["AI"]), ("AGENTS", &["HumanHandover"]), ("RATING", &[])]);

/// The type of Meta content that led to a session.
pub static META_SOURCE_TYPES: Enumeration = Enumeration::new(&[("Ad", &[]), ("Post", &[])]);

/// The media that an ad or post shows.
pub static META_SOURCE_MEDIA_TYPES: Enumeration =
    Enumeration::new(&[("Image", &[]), ("Video", &[])]);

/// The table's description.
pub static TABLE: Table = Table {
    name: NAME,
    source: "Treble sessions export",
    columns: &[
        Column::new(SESSION_ID, CellKind::Word).required(),
        Column::new(PARENT_SESSION_ID, CellKind::Word),
        Column::new(SESSION_STARTED_TIMESTAMP, CellKind::Stamp).required(),
        Column::new(SESSION_FINISHED_TIMESTAMP, CellKind::Stamp),
        Column::new(SESSION_TYPE, CellKind::Enumeration(&SESSION_TYPES)).word(),
        Column::new(SESSION_STATUS, CellKind::Enumeration(&SESSION_STATUSES)).word(),
        Column::new(CONVERSATION_ID, CellKind::Word),
        Column::new(CONVERSATION_VERSION, CellKind::Integer),
        Column::new(USER_COUNTRY_CODE, CellKind::Phone).term(),
        Column::new(USER_CELLPHONE, CellKind::Phone),
        Column::new(LINE_WHATSAPP_NUMBER, CellKind::Phone).line(),
        Column::new(LINE_WHATSAPP_DISPLAY_NAME, CellKind::Text),
        Column::new(FIRST_MESSAGE_TIMESTAMP, CellKind::Stamp),
        Column::new(FIRST_MESSAGE, CellKind::Text),
        Column::new(LAST_MESSAGE_TIMESTAMP, CellKind::Stamp),
        Column::new(LAST_MESSAGE, CellKind::Text),
        Column::new(LAST_NODE_ID, CellKind::Word),
        Column::new(META_SOURCE_URL, CellKind::Word).term(),
        Column::new(META_SOURCE_TYPE, CellKind::Enumeration(&META_SOURCE_TYPES)),
        Column::new(META_SOURCE_ID, CellKind::Word),
        Column::new(META_SOURCE_HEADLINE, CellKind::Text),
        Column::new(META_SOURCE_BODY, CellKind::Text),
        Column::new(META_SOURCE_MEDIA_TYPE, CellKind::Enumeration(&META_SOURCE_MEDIA_TYPES)),
        Column::new(META_SOURCE_MEDIA_URL, CellKind::Word).term(),
        Column::new(META_SOURCE_THUMBNAIL_URL, CellKind::Word).term(),
        Column::new(WHATSAPP_LINK_CAMPAIGN_NAME, CellKind::Text),
        Column::new(WHATSAPP_LINK_CAMPAIGN_SOURCE, CellKind::Word).term(),
        Column::derived(USER_PHONE).person(),
        Column::derived(COUNTRY).country(),
        Column::user_id(),
    ],
    key: &[SESSION_ID],
    day_of: SESSION_STARTED_TIMESTAMP,
    precedence: || {
        vec![
            col(SESSION_FINISHED_TIMESTAMP),
            col(LAST_MESSAGE_TIMESTAMP),
            SESSION_STATUSES.rank(SESSION_STATUS),
        ]
    },
    sort: &[CONVERSATION_ID, CONVERSATION_VERSION, SESSION_STARTED_TIMESTAMP, SESSION_ID],
    hashes: &[(SESSION_KEY, SESSION_ID), (USER_KEY, OWN_PERSON)],
    statistics: &[SESSION_STARTED_TIMESTAMP, SESSION_FINISHED_TIMESTAMP, CONVERSATION_ID],
    derive,
    ..BLANK
};

fn derive(row: &mut Row<'_, '_>) {
    positions! {
        CODE_CELL = USER_COUNTRY_CODE,
        NUMBER_CELL = USER_CELLPHONE,
        PERSON_CELL = USER_PHONE,
        COUNTRY_CELL = COUNTRY,
        ID_CELL = USER_ID,
    }
    let person = PersonCells { user_phone: PERSON_CELL, user_id: ID_CELL, country: COUNTRY_CELL };
    row.set_person(person, Some(CODE_CELL), NUMBER_CELL, None);
}
