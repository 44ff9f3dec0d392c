//! Events of accounts, lines, templates and people: one row for each that a webhook of Meta or Treble
//! reports.
//!
//! Loaded from files of webhooks, or from a file of the business's own with these columns. An event that
//! is delivered again is one row.
//!
//! | event | old value | new value | reason |
//! |---|---|---|---|
//! | `template-status` | | the status: `APPROVED`, `PAUSED`, `DISABLED`, `REJECTED`, … | why |
//! | `template-quality` | the score before | the score | |
//! | `template-category` | the category before | the category; null if a change is only announced | the category that is announced |
//! | `line-limit` | the limit before | the limit of people per day | `UPGRADE`, `DOWNGRADE`, … |
//! | `account-limit` | | the limit of people per day | |
//! | `volume-tier` | | the tier, such as `25000001:50000000` | region, category and month |
//! | `account` | | Meta's name of the event | |
//! | `marketing-preference` | | `stop` or `resume` | |
//! | `number-changed` | | | |
//! | `deployment-failure` | | | the deployment state at Treble |

use crate::cells::{Enumeration, list};
use crate::table::{
    BLANK, CellKind, Column, OWN_PERSON, PersonCells, Row, Table, USER_KEY, columns, positions,
};

pub use crate::table::{USER_ID, USER_PHONE};

/// The table's name.
pub const NAME: &str = "events";

columns! {
    /// `meta` or `treble`: who reported it.
    SOURCE = "source",
    /// The type of the event: see [`EVENTS`].
    EVENT = "event",
    /// When it happened, or when it was reported.
    AT = "at",
    /// The WhatsApp Business account.
    WABA_ID = "waba_id",
    /// The phone number of the line: digits.
    LINE = "line",
    /// The person's country, ISO 3166-1 alpha-2.
    COUNTRY = "country",
    /// The id of the template.
    TEMPLATE_ID = "template_id",
    /// The name of the template.
    TEMPLATE_NAME = "template_name",
    /// The language of the template, such as `pt_BR`.
    TEMPLATE_LANGUAGE = "template_language",
    /// The value before the event.
    OLD_VALUE = "old_value",
    /// The value after the event.
    NEW_VALUE = "new_value",
    /// The reason, or a detail.
    REASON = "reason",
    /// The flows that the event affects.
    CONVERSATION_IDS = "conversation_ids",
    /// The id of the event, if its source has one.
    EVENT_ID = "event_id",
}

/// Who reports events.
pub static SOURCES: Enumeration = Enumeration::new(&[(META, &[]), (TREBLE, &[])]);

/// Reported by Meta.
pub const META: &str = "meta";

/// Reported by Treble.
pub const TREBLE: &str = "treble";

/// The types of events.
pub static EVENTS: Enumeration = Enumeration::new(&[
    (TEMPLATE_STATUS, &[]),
    (TEMPLATE_QUALITY, &[]),
    (TEMPLATE_CATEGORY, &[]),
    (LINE_LIMIT, &[]),
    (ACCOUNT_LIMIT, &[]),
    (VOLUME_TIER, &[]),
    (ACCOUNT, &[]),
    (MARKETING_PREFERENCE, &[]),
    (NUMBER_CHANGED, &[]),
    (DEPLOYMENT_FAILURE, &[]),
]);

/// A template was approved, paused, disabled, rejected, ….
pub const TEMPLATE_STATUS: &str = "template-status";

/// The quality score of a template changed.
pub const TEMPLATE_QUALITY: &str = "template-quality";

/// The category of a template changed, or will change.
pub const TEMPLATE_CATEGORY: &str = "template-category";

/// The messaging limit of a line changed.
pub const LINE_LIMIT: &str = "line-limit";

/// The messaging limit of an account changed.
pub const ACCOUNT_LIMIT: &str = "account-limit";

/// An account reached a volume tier of prices.
pub const VOLUME_TIER: &str = "volume-tier";

/// Another change of an account.
pub const ACCOUNT: &str = "account";

/// A person stopped or resumed marketing messages.
pub const MARKETING_PREFERENCE: &str = "marketing-preference";

/// A person has another phone number.
pub const NUMBER_CHANGED: &str = "number-changed";

/// Treble could not send a deployment.
pub const DEPLOYMENT_FAILURE: &str = "deployment-failure";

/// The table's description.
pub static TABLE: Table = Table {
    name: NAME,
    source: "events of Meta's and Treble's webhooks",
    columns: &[
        Column::new(SOURCE, CellKind::Enumeration(&SOURCES)).word().required(),
        Column::new(EVENT, CellKind::Enumeration(&EVENTS)).word().required(),
        Column::new(AT, CellKind::Stamp).required(),
        Column::new(WABA_ID, CellKind::Word),
        Column::new(LINE, CellKind::Phone).line(),
        Column::new(USER_PHONE, CellKind::Phone).person(),
        Column::user_id(),
        Column::derived(COUNTRY).country(),
        Column::new(TEMPLATE_ID, CellKind::Word),
        Column::new(TEMPLATE_NAME, CellKind::Word).term(),
        Column::new(TEMPLATE_LANGUAGE, CellKind::Word).term(),
        Column::new(OLD_VALUE, CellKind::Word).term(),
        Column::new(NEW_VALUE, CellKind::Word).term(),
        Column::new(REASON, CellKind::Word).term(),
        Column::new(CONVERSATION_IDS, CellKind::List(&list::SEPARATORS)).term(),
        Column::new(EVENT_ID, CellKind::Word),
    ],
    key: &[
        SOURCE,
        EVENT,
        AT,
        WABA_ID,
        LINE,
        USER_PHONE,
        USER_ID,
        TEMPLATE_ID,
        TEMPLATE_NAME,
        TEMPLATE_LANGUAGE,
        OLD_VALUE,
        NEW_VALUE,
        REASON,
        CONVERSATION_IDS,
        EVENT_ID,
    ],
    day_of: AT,
    sort: &[EVENT, AT, WABA_ID, TEMPLATE_ID],
    hashes: &[(USER_KEY, OWN_PERSON)],
    statistics: &[AT],
    derive,
    ..BLANK
};

fn derive(row: &mut Row<'_, '_>) {
    positions!(PERSON_CELL = USER_PHONE, ID_CELL = USER_ID, COUNTRY_CELL = COUNTRY);
    let person = PersonCells { user_phone: PERSON_CELL, user_id: ID_CELL, country: COUNTRY_CELL };
    row.set_person(person, None, PERSON_CELL, None);
}
