//! Treble's sessions: one row a session, a stretch of talk between a person and a flow.
//!
//! From the sessions export, 27 columns. A later export of the same session knows more of it, so
//! the row that is further along wins: finished over open, then the later finish, then the later
//! last message, then the status nearer the end.

use polars::prelude::*;

use super::{BLANK, Column, Kind, Row, SESSION_KEY, Table, USER_KEY};
use crate::cells::Enumeration;

pub use super::USER_PHONE;

/// Its name in the catalog.
pub const NAME: &str = "sessions";

columns! {
    /// A session's id.
    SESSION_ID = "session_id",
    /// The session that redirected here.
    PARENT_SESSION_ID = "parent_session_id",
    /// When it began.
    SESSION_STARTED_TIMESTAMP = "session_started_timestamp",
    /// When it ended; null while open.
    SESSION_FINISHED_TIMESTAMP = "session_finished_timestamp",
    /// Outbound or Inbound.
    SESSION_TYPE = "session_type",
    /// BOT, AGENTS or RATING.
    SESSION_STATUS = "session_status",
    /// The flow.
    CONVERSATION_ID = "conversation_id",
    /// The flow's version.
    CONVERSATION_VERSION = "conversation_version",
    /// The person's dialling code.
    USER_COUNTRY_CODE = "user_country_code",
    /// The person's number as exported, digits.
    USER_CELLPHONE = "user_cellphone",
    /// The business's line.
    LINE_WHATSAPP_NUMBER = "line_whatsapp_number",
    /// The line's name as people see it.
    LINE_WHATSAPP_DISPLAY_NAME = "line_whatsapp_display_name",
    /// When the person first wrote.
    FIRST_MESSAGE_TIMESTAMP = "first_message_timestamp",
    /// What the person first wrote, if text.
    FIRST_MESSAGE = "first_message",
    /// When the person last wrote.
    LAST_MESSAGE_TIMESTAMP = "last_message_timestamp",
    /// What the person last wrote, if text.
    LAST_MESSAGE = "last_message",
    /// The last node of the flow that was reached.
    LAST_NODE_ID = "last_node_id",
    /// Where the ad or post is.
    META_SOURCE_URL = "meta_source_url",
    /// Ad or Post.
    META_SOURCE_TYPE = "meta_source_type",
    /// The ad's or post's id.
    META_SOURCE_ID = "meta_source_id",
    /// The ad's or post's headline.
    META_SOURCE_HEADLINE = "meta_source_headline",
    /// The ad's or post's text.
    META_SOURCE_BODY = "meta_source_body",
    /// Image or Video.
    META_SOURCE_MEDIA_TYPE = "meta_source_media_type",
    /// Where its media is.
    META_SOURCE_MEDIA_URL = "meta_source_media_url",
    /// Where its thumbnail is.
    META_SOURCE_THUMBNAIL_URL = "meta_source_thumbnail_url",
    /// The campaign of the WhatsApp link that was followed.
    WHATSAPP_LINK_CAMPAIGN_NAME = "whatsapp_link_campaign_name",
    /// The platform of that link.
    WHATSAPP_LINK_CAMPAIGN_SOURCE = "whatsapp_link_campaign_source",
    /// The person's country, ISO 3166-1 alpha-2.
    COUNTRY = "country",
}

/// How a session began.
pub static SESSION_TYPES: Enumeration = Enumeration::new(&[("Outbound", &[]), ("Inbound", &[])]);

/// Who holds a session. Treble's newer exports say `AI` and `HumanHandover`.
pub static SESSION_STATUSES: Enumeration =
    Enumeration::new(&[("BOT", &["AI"]), ("AGENTS", &["HumanHandover"]), ("RATING", &[])]);

/// What on Meta led to a session.
pub static META_SOURCE_TYPES: Enumeration = Enumeration::new(&[("Ad", &[]), ("Post", &[])]);

/// What the ad or post shows.
pub static META_SOURCE_MEDIA_TYPES: Enumeration =
    Enumeration::new(&[("Image", &[]), ("Video", &[])]);

/// The table.
pub static TABLE: Table = Table {
    name: NAME,
    source: "Treble sessions export",
    columns: &[
        Column::new(SESSION_ID, Kind::Word).required(),
        Column::new(PARENT_SESSION_ID, Kind::Word),
        Column::new(SESSION_STARTED_TIMESTAMP, Kind::Stamp).required(),
        Column::new(SESSION_FINISHED_TIMESTAMP, Kind::Stamp),
        Column::new(SESSION_TYPE, Kind::Enumeration(&SESSION_TYPES)).word(),
        Column::new(SESSION_STATUS, Kind::Enumeration(&SESSION_STATUSES)).word(),
        Column::new(CONVERSATION_ID, Kind::Word),
        Column::new(CONVERSATION_VERSION, Kind::Integer),
        Column::new(USER_COUNTRY_CODE, Kind::Phone).term(),
        Column::new(USER_CELLPHONE, Kind::Phone),
        Column::new(LINE_WHATSAPP_NUMBER, Kind::Phone).line(),
        Column::new(LINE_WHATSAPP_DISPLAY_NAME, Kind::Text),
        Column::new(FIRST_MESSAGE_TIMESTAMP, Kind::Stamp),
        Column::new(FIRST_MESSAGE, Kind::Text),
        Column::new(LAST_MESSAGE_TIMESTAMP, Kind::Stamp),
        Column::new(LAST_MESSAGE, Kind::Text),
        Column::new(LAST_NODE_ID, Kind::Word),
        Column::new(META_SOURCE_URL, Kind::Word).term(),
        Column::new(META_SOURCE_TYPE, Kind::Enumeration(&META_SOURCE_TYPES)),
        Column::new(META_SOURCE_ID, Kind::Word),
        Column::new(META_SOURCE_HEADLINE, Kind::Text),
        Column::new(META_SOURCE_BODY, Kind::Text),
        Column::new(META_SOURCE_MEDIA_TYPE, Kind::Enumeration(&META_SOURCE_MEDIA_TYPES)),
        Column::new(META_SOURCE_MEDIA_URL, Kind::Word).term(),
        Column::new(META_SOURCE_THUMBNAIL_URL, Kind::Word).term(),
        Column::new(WHATSAPP_LINK_CAMPAIGN_NAME, Kind::Text),
        Column::new(WHATSAPP_LINK_CAMPAIGN_SOURCE, Kind::Word).term(),
        Column::derived(USER_PHONE).person(),
        Column::derived(COUNTRY).country(),
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
    hashes: &[(SESSION_KEY, SESSION_ID), (USER_KEY, USER_PHONE)],
    statistics: &[SESSION_STARTED_TIMESTAMP, SESSION_FINISHED_TIMESTAMP, CONVERSATION_ID],
    derive,
    ..BLANK
};

fn derive(row: &mut Row<'_, '_>) {
    places! {
        CODE_PLACE = USER_COUNTRY_CODE,
        NUMBER_PLACE = USER_CELLPHONE,
        PERSON_PLACE = USER_PHONE,
        COUNTRY_PLACE = COUNTRY,
    }
    row.place_person([PERSON_PLACE, COUNTRY_PLACE], Some(CODE_PLACE), NUMBER_PLACE, None);
}
