//! Meta's own figures: one row for each point of a response of its analytics API.
//!
//! From the answers to `analytics`, `conversation_analytics`, `pricing_analytics` and
//! `template_analytics`, in JSON. A point is told apart by everything but its measures; asked again
//! later, Meta has counted more.

use polars::prelude::*;

use super::{BLANK, Cell, Column, Fate, Kind, Row, Table};
use crate::cells::Enumeration;

/// Its name in the catalog.
pub const NAME: &str = "meta_points";

columns! {
    /// The WhatsApp Business account; null where the response does not say it.
    WABA_ID = "waba_id",
    /// Which of the four.
    FIELD = "field",
    /// `HALF_HOUR`, DAY or MONTH.
    GRANULARITY = "granularity",
    /// Where the bucket starts, in seconds since 1970.
    START = "start",
    /// Where the next bucket starts.
    END = "end",
    /// What the response is broken down by: a list of Meta's words.
    DIMENSIONS = "dimensions",
    /// The lines that an `analytics` response names: a list.
    PHONE_NUMBERS = "phone_numbers",
    /// The countries that an `analytics` response names: a list.
    COUNTRY_CODES = "country_codes",
    /// The business's line.
    PHONE_NUMBER = "phone_number",
    /// The person's country.
    COUNTRY = "country",
    /// AUTHENTICATION, MARKETING, SERVICE, UTILITY, …
    CONVERSATION_CATEGORY = "conversation_category",
    /// REGULAR, `FREE_TIER`, `FREE_ENTRY_POINT`, …
    CONVERSATION_TYPE = "conversation_type",
    /// `BUSINESS_INITIATED`, `USER_INITIATED`, UNKNOWN
    CONVERSATION_DIRECTION = "conversation_direction",
    /// AUTHENTICATION, MARKETING, SERVICE, UTILITY, …
    PRICING_CATEGORY = "pricing_category",
    /// REGULAR, `FREE_CUSTOMER_SERVICE`, `FREE_ENTRY_POINT`, …
    PRICING_TYPE = "pricing_type",
    /// `LOWER:UPPER`, UPPER a number or MAX.
    TIER = "tier",
    /// The template.
    TEMPLATE_ID = "template_id",
    /// Messages sent.
    SENT = "sent",
    /// Messages delivered.
    DELIVERED = "delivered",
    /// Messages read.
    READ = "read",
    /// Clicks on buttons.
    CLICKED = "clicked",
    /// Conversations.
    CONVERSATION = "conversation",
    /// Messages delivered, as they are priced.
    VOLUME = "volume",
    /// What they cost, in the account's currency.
    COST = "cost",
}

/// The four that Meta answers, in the catalog's order.
pub const FIELDS: [&str; 4] =
    ["analytics", "conversation_analytics", "pricing_analytics", "template_analytics"];

/// What a point measures, which tells no point from another.
pub const MEASURES: [&str; 7] = [SENT, DELIVERED, READ, CLICKED, CONVERSATION, VOLUME, COST];

/// The lengths of a bucket; some fields call days and months by other words.
pub static GRANULARITIES: Enumeration =
    Enumeration::new(&[("HALF_HOUR", &[]), ("DAY", &["DAILY"]), ("MONTH", &["MONTHLY"])]);

/// Meta's words for what points are broken down by, and the column of each.
pub const DIMENSION_COLUMNS: [(&str, &str); 8] = [
    ("CONVERSATION_CATEGORY", CONVERSATION_CATEGORY),
    ("CONVERSATION_DIRECTION", CONVERSATION_DIRECTION),
    ("CONVERSATION_TYPE", CONVERSATION_TYPE),
    ("COUNTRY", COUNTRY),
    ("PHONE", PHONE_NUMBER),
    ("PRICING_CATEGORY", PRICING_CATEGORY),
    ("PRICING_TYPE", PRICING_TYPE),
    ("TIER", TIER),
];

/// The table.
pub static TABLE: Table = Table {
    name: NAME,
    source: "Meta API responses, JSON",
    columns: &[
        Column::new(WABA_ID, Kind::Word),
        Column::new(FIELD, Kind::Word).term().required(),
        Column::new(GRANULARITY, Kind::Enumeration(&GRANULARITIES)),
        Column::new(START, Kind::Seconds).required(),
        Column::new(END, Kind::Seconds).required(),
        Column::new(DIMENSIONS, Kind::List).term(),
        Column::new(PHONE_NUMBERS, Kind::List).line(),
        Column::new(COUNTRY_CODES, Kind::List).term(),
        Column::new(PHONE_NUMBER, Kind::Phone).line(),
        Column::new(COUNTRY, Kind::Word).country(),
        Column::new(CONVERSATION_CATEGORY, Kind::Word).word(),
        Column::new(CONVERSATION_TYPE, Kind::Word).word(),
        Column::new(CONVERSATION_DIRECTION, Kind::Word).word(),
        Column::new(PRICING_CATEGORY, Kind::Word).word(),
        Column::new(PRICING_TYPE, Kind::Word).word(),
        Column::new(TIER, Kind::Word).term(),
        Column::new(TEMPLATE_ID, Kind::Word),
        Column::new(SENT, Kind::Count),
        Column::new(DELIVERED, Kind::Count),
        Column::new(READ, Kind::Count),
        Column::new(CLICKED, Kind::Count),
        Column::new(CONVERSATION, Kind::Count),
        Column::new(VOLUME, Kind::Count),
        Column::new(COST, Kind::Money),
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
    ],
    day_of: START,
    precedence: || vec![col(SENT), col(CONVERSATION), col(VOLUME), col(DELIVERED)],
    sort: &[FIELD, WABA_ID, GRANULARITY, START, DIMENSIONS, PHONE_NUMBER, COUNTRY],
    statistics: &[FIELD, START],
    derive,
    ..BLANK
};

fn derive(row: &mut Row<'_, '_>) {
    places! {
        GRANULARITY_PLACE = GRANULARITY,
        START_PLACE = START,
        END_PLACE = END,
    }
    let (&Cell::Count(start), &Cell::Count(end)) = (&row.cells[START_PLACE], &row.cells[END_PLACE])
    else {
        return;
    };
    if end <= start {
        row.fate = Fate::Refused { column: END, reason: "a bucket that ends before it starts" };
    }
    if row.cells[GRANULARITY_PLACE].is_null() {
        row.cells[GRANULARITY_PLACE] = granularity(end.saturating_sub(start)).into();
    }
}

/// What a bucket of so many seconds is called; a day may have 23 or 25 hours.
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
    fn the_key_is_all_but_the_measures() {
        let others = TABLE.columns.iter().map(|c| c.name).filter(|name| !MEASURES.contains(name));
        assert!(others.eq(TABLE.key.iter().copied()));
    }

    #[test]
    fn granularities_by_length() {
        // June of 2023, and November, in which clocks go back, in Los Angeles.
        assert_eq!(granularity(1_688_194_800 - 1_685_602_800), Some("MONTH"));
        assert_eq!(granularity(30 * 86_400 + 3_600), Some("MONTH"));
        assert_eq!(granularity(82_800), Some("DAY"));
        assert_eq!(granularity(1_800), Some("HALF_HOUR"));
        assert_eq!(granularity(7 * 86_400), None);
    }
}
