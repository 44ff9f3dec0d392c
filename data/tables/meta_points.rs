//! Meta's own figures: one row for each data point of its analytics API.
//!
//! Loaded from JSON responses to `analytics`, `conversation_analytics`, `pricing_analytics`,
//! `template_analytics`, `template_group_analytics` and `call_analytics`. The key of a point is
//! everything but its measures. A later response has counted more, so the larger counts win.
//!
//! Meta lists the clicks of a template by button, and people who clicked as entries of their own:
//!
//! ```text
//! clicked: url_button "Buy" 5, unique_url_button "Buy" 4, quick_reply_button "Stop" 1
//! → clicked 6, unique_clicked 4, buttons the three entries
//! ```
//!
//! People on several buttons cannot be told apart, so `unique_clicked` is null if there are several
//! such entries.

use polars::prelude::*;

use crate::cells::Enumeration;
use crate::cells::list;
use crate::table::{BLANK, Cell, CellKind, Column, Fate, Row, Table, columns, positions};

/// The table's name.
pub const NAME: &str = "meta_points";

columns! {
    /// The WhatsApp Business account; null if the response does not name it.
    WABA_ID = "waba_id",
    /// The API field: `analytics`, `conversation_analytics`, `pricing_analytics`, `template_analytics`,
    /// `template_group_analytics` or `call_analytics`.
    FIELD = "field",
    /// `HALF_HOUR`, `DAY` or `MONTH`.
    GRANULARITY = "granularity",
    /// The start of the time bucket, in seconds since 1970.
    START = "start",
    /// The end of the time bucket, exclusive.
    END = "end",
    /// The dimensions of the response, a list of Meta's names.
    DIMENSIONS = "dimensions",
    /// The lines that an `analytics` response covers, a list.
    PHONE_NUMBERS = "phone_numbers",
    /// The countries that an `analytics` response covers, a list.
    COUNTRY_CODES = "country_codes",
    /// The phone number of the line.
    PHONE_NUMBER = "phone_number",
    /// The person's country.
    COUNTRY = "country",
    /// `AUTHENTICATION`, `MARKETING`, `SERVICE`, `UTILITY`, …
    CONVERSATION_CATEGORY = "conversation_category",
    /// `REGULAR`, `FREE_TIER`, `FREE_ENTRY_POINT`, …
    CONVERSATION_TYPE = "conversation_type",
    /// `BUSINESS_INITIATED`, `USER_INITIATED`, `UNKNOWN`.
    CONVERSATION_DIRECTION = "conversation_direction",
    /// `AUTHENTICATION`, `MARKETING`, `SERVICE`, `UTILITY`, …
    PRICING_CATEGORY = "pricing_category",
    /// `REGULAR`, `FREE_CUSTOMER_SERVICE`, `FREE_ENTRY_POINT`, …
    PRICING_TYPE = "pricing_type",
    /// `LOWER:UPPER`, where `UPPER` is a number or `MAX`.
    TIER = "tier",
    /// The id of the template.
    TEMPLATE_ID = "template_id",
    /// Messages sent.
    SENT = "sent",
    /// Messages delivered.
    DELIVERED = "delivered",
    /// Messages read.
    READ = "read",
    /// Clicks on buttons, added over the buttons.
    CLICKED = "clicked",
    /// Conversations.
    CONVERSATION = "conversation",
    /// Messages delivered, the unit of per-message pricing.
    VOLUME = "volume",
    /// The cost, in the account's currency.
    COST = "cost",
    /// The API through which messages of a template were sent: `CLOUD_API` or
    /// `MARKETING_MESSAGES_API_FOR_WHATSAPP`.
    PRODUCT_TYPE = "product_type",
    /// The id of the template group.
    TEMPLATE_GROUP_ID = "template_group_id",
    /// Who started a call: `USER_INITIATED`, `BUSINESS_INITIATED`, …
    DIRECTION = "direction",
    /// People who clicked, if Meta counts them for one button only.
    UNIQUE_CLICKED = "unique_clicked",
    /// The clicks by button: a JSON array of objects with `button` (its text), `count` and `type`.
    BUTTONS = "buttons",
    /// Calls.
    COUNT = "count",
    /// The average duration of the calls, in seconds.
    AVERAGE_DURATION = "average_duration",
}

/// The API fields. Queries answer the first four; the points of the others are only stored.
pub const FIELDS: [&str; 6] = [
    "analytics",
    "conversation_analytics",
    "pricing_analytics",
    "template_analytics",
    "template_group_analytics",
    "call_analytics",
];

/// The measures of a point: all columns that are not in the key.
pub const MEASURES: [&str; 11] = [
    SENT,
    DELIVERED,
    READ,
    CLICKED,
    CONVERSATION,
    VOLUME,
    COST,
    UNIQUE_CLICKED,
    BUTTONS,
    COUNT,
    AVERAGE_DURATION,
];

/// The columns that are computed from Meta's list of clicks.
pub const OF_CLICKS: [&str; 3] = [CLICKED, UNIQUE_CLICKED, BUTTONS];

/// The APIs that send templates. Meta renamed the second one.
pub static PRODUCT_TYPES: Enumeration = Enumeration::new(&[
    ("CLOUD_API", &[]),
    ("MARKETING_MESSAGES_API_FOR_WHATSAPP", &["MARKETING_MESSAGES_LITE_API"]),
]);

/// The lengths of a time bucket; some API fields have other words for days and months.
pub static GRANULARITIES: Enumeration =
    Enumeration::new(&[("HALF_HOUR", &[]), ("DAY", &["DAILY"]), ("MONTH", &["MONTHLY"])]);

/// Meta's dimensions, each with its column.
pub const DIMENSION_COLUMNS: [(&str, &str); 9] = [
    ("CONVERSATION_CATEGORY", CONVERSATION_CATEGORY),
    ("CONVERSATION_DIRECTION", CONVERSATION_DIRECTION),
    ("CONVERSATION_TYPE", CONVERSATION_TYPE),
    ("COUNTRY", COUNTRY),
    ("DIRECTION", DIRECTION),
    ("PHONE", PHONE_NUMBER),
    ("PRICING_CATEGORY", PRICING_CATEGORY),
    ("PRICING_TYPE", PRICING_TYPE),
    ("TIER", TIER),
];

/// The table's description.
pub static TABLE: Table = Table {
    name: NAME,
    source: "Meta API responses, JSON",
    columns: &[
        Column::new(WABA_ID, CellKind::Word),
        Column::new(FIELD, CellKind::Word).term().required(),
        Column::new(GRANULARITY, CellKind::Enumeration(&GRANULARITIES)),
        Column::new(START, CellKind::Seconds).required(),
        Column::new(END, CellKind::Seconds).required(),
        Column::new(DIMENSIONS, CellKind::List(&list::SEPARATORS)).term(),
        Column::new(PHONE_NUMBERS, CellKind::List(&list::SEPARATORS)).line(),
        Column::new(COUNTRY_CODES, CellKind::List(&list::SEPARATORS)).term(),
        Column::new(PHONE_NUMBER, CellKind::Phone).line(),
        Column::new(COUNTRY, CellKind::Word).country(),
        Column::new(CONVERSATION_CATEGORY, CellKind::Word).word(),
        Column::new(CONVERSATION_TYPE, CellKind::Word).word(),
        Column::new(CONVERSATION_DIRECTION, CellKind::Word).word(),
        Column::new(PRICING_CATEGORY, CellKind::Word).word(),
        Column::new(PRICING_TYPE, CellKind::Word).word(),
        Column::new(TIER, CellKind::Word).term(),
        Column::new(TEMPLATE_ID, CellKind::Word),
        Column::new(SENT, CellKind::Count),
        Column::new(DELIVERED, CellKind::Count),
        Column::new(READ, CellKind::Count),
        Column::new(CLICKED, CellKind::Count),
        Column::new(CONVERSATION, CellKind::Count),
        Column::new(VOLUME, CellKind::Count),
        Column::new(COST, CellKind::Money),
        Column::new(PRODUCT_TYPE, CellKind::Enumeration(&PRODUCT_TYPES)),
        Column::new(TEMPLATE_GROUP_ID, CellKind::Word),
        Column::new(DIRECTION, CellKind::Word).word(),
        Column::new(UNIQUE_CLICKED, CellKind::Count),
        Column::new(BUTTONS, CellKind::Text).term(),
        Column::new(COUNT, CellKind::Count),
        Column::new(AVERAGE_DURATION, CellKind::Number),
    ],
    key: &[
        WABA_ID,
        FIELD,
        GRANULARITY,
        START,
        END,
        DIMENSIONS,
        PHONE_NUMBERS,
        COUNTRY_CODES,
        PHONE_NUMBER,
        COUNTRY,
        CONVERSATION_CATEGORY,
        CONVERSATION_TYPE,
        CONVERSATION_DIRECTION,
        PRICING_CATEGORY,
        PRICING_TYPE,
        TIER,
        TEMPLATE_ID,
        PRODUCT_TYPE,
        TEMPLATE_GROUP_ID,
        DIRECTION,
    ],
    day_of: START,
    precedence: || [SENT, CONVERSATION, VOLUME, DELIVERED, CLICKED, COUNT].map(col).into(),
    sort: &[FIELD, WABA_ID, GRANULARITY, START, DIMENSIONS, PHONE_NUMBER, COUNTRY],
    statistics: &[FIELD, START],
    derive,
    ..BLANK
};

fn derive(row: &mut Row<'_, '_>) {
    positions! {
        GRANULARITY_CELL = GRANULARITY,
        START_CELL = START,
        END_CELL = END,
    }
    let (&Cell::Count(start), &Cell::Count(end)) = (&row.cells[START_CELL], &row.cells[END_CELL])
    else {
        return;
    };
    if end <= start {
        row.fate = Fate::Rejected { column: END, reason: "a bucket that ends before it starts" };
    }
    if row.cells[GRANULARITY_CELL].is_null() {
        row.cells[GRANULARITY_CELL] = granularity(end.saturating_sub(start)).into();
    }
}

/// The granularity of a time bucket of that length. With DST, a day may have 23 or 25 hours.
fn granularity(seconds: i64) -> Option<&'static str> {
    const HOUR: i64 = 3_600;
    const DAY: i64 = 24 * HOUR;
    match seconds {
        1_800 => Some("HALF_HOUR"),
        _ if (DAY - HOUR..=DAY + HOUR).contains(&seconds) => Some("DAY"),
        _ if (28 * DAY - HOUR..=31 * DAY + HOUR).contains(&seconds) => Some("MONTH"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_is_all_columns_but_the_measures() {
        let others = TABLE.columns.iter().map(|c| c.name).filter(|name| !MEASURES.contains(name));
        assert!(others.eq(TABLE.key.iter().copied()));
    }

    #[test]
    fn granularity_follows_from_the_length_of_a_bucket() {
        // In Los Angeles: June 2023, and November, in which DST ends.
        assert_eq!(granularity(1_688_194_800 - 1_685_602_800), Some("MONTH"));
        assert_eq!(granularity(30 * 86_400 + 3_600), Some("MONTH"));
        assert_eq!(granularity(82_800), Some("DAY"));
        assert_eq!(granularity(1_800), Some("HALF_HOUR"));
        assert_eq!(granularity(7 * 86_400), None);
    }
}
