//! The tables of a lake, one module each, and the list of them.
//!
//! A table is described once: the loader parses exports by its [`Column`]s, the lake partitions and
//! sorts its files by `day_of` and `sort`, and queries name its columns by the constants of its
//! module.

pub mod ad_spend;
pub mod agent_chats;
pub mod audience_tags;
pub mod closures;
pub mod conversions;
pub mod deployments;
pub mod events;
pub mod identities;
pub mod loads;
pub mod markets;
pub mod message_summaries;
pub mod messages;
pub mod meta_points;
pub mod nodes;
pub mod persons;
pub mod rates;
pub mod rejects;
pub mod runs;
pub mod session_summaries;
pub mod sessions;
pub mod variables;

pub use crate::table::{
    Aggregate, CLOSURE_KEY, CONVERSION_KEY, CURRENCY, Cell, CellKind, Column, Fate, IDENTITY_KEY,
    MESSAGE_KEY, Meaning, OWN_PERSON, Row, SESSION_KEY, Spread, TAG_KEY, Table, USER_ID, USER_KEY,
    USER_PHONE, USER_PHONE_VALID, UTC_DAY, instant, key_part, text_key,
};

/// Every table that exports are loaded into, in the order of listings.
pub const TABLES: &[&Table] = &[
    &sessions::TABLE,
    &deployments::TABLE,
    &messages::TABLE,
    &message_summaries::TABLE,
    &session_summaries::TABLE,
    &closures::TABLE,
    &agent_chats::TABLE,
    &identities::TABLE,
    &events::TABLE,
    &meta_points::TABLE,
    &ad_spend::TABLE,
    &conversions::TABLE,
    &audience_tags::TABLE,
    &nodes::TABLE,
    &rates::TABLE,
    &markets::TABLE,
    &variables::TABLE,
];

/// The table of that name, if exports are loaded into it.
pub fn table(name: &str) -> Option<&'static Table> {
    TABLES.iter().copied().find(|table| table.name == name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn precedence_is_stated_in_sql_where_rows_become_one_when_they_are_read() {
        for table in TABLES {
            let becomes_one = table.key.contains(&OWN_PERSON) && table.requires_person();
            let ranks = if becomes_one { (table.precedence)().len() } else { 0 };
            assert_eq!(table.precedence_sql.len(), ranks, "{}", table.name);
        }
    }

    #[test]
    fn sums_and_aggregates_are_of_all_rows_with_one_key() {
        for table in TABLES {
            // Rows of one key are on one day because the key has the day, or are found by a hash.
            let has_day = table.key.contains(&table.day_of);
            assert!(table.summed.is_empty() || has_day, "{}", table.name);
            let is_found = has_day || table.key_hash().is_some();
            assert!(table.aggregates.is_empty() || is_found, "{}", table.name);
            let stored = table.stored();
            let aggregates = table.aggregates.iter().map(|(name, _)| name);
            for name in table.summed.iter().chain(table.checked).chain(aggregates) {
                assert!(stored.contains(name), "{}: {name}", table.name);
            }
        }
    }

    #[test]
    fn columns_that_tell_of_people_are_these() {
        let own = [&rejects::TABLE, &runs::TABLE, &persons::TABLE];
        let all = TABLES.iter().copied().chain(own);
        let names: BTreeSet<&str> = all
            .flat_map(|table| table.columns.iter().map(move |column| (table.name, column)))
            .filter(|(_, column)| column.tells_of_people())
            .map(|(table, column)| match (table, column.name) {
                (variables::NAME, variables::VALUE) => "value of variables",
                (rejects::NAME, rejects::RAW) => "raw of rejects",
                (_, name) => name,
            })
            .collect();
        // Whoever adds one of free text decides whether a person writes it.
        let expected = [
            "agent",
            "button_payload",
            "context_id",
            "first_message",
            "from",
            "last_message",
            "last_transfer_from",
            "linked",
            "message",
            "person",
            "raw of rejects",
            "reaction",
            "to",
            "user_cellphone",
            "user_id",
            "user_phone",
            "value of variables",
            "whatsapp_id",
        ];
        assert_eq!(names.into_iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn tables_that_fold_have_no_precedence() {
        let folded: Vec<_> = TABLES.iter().filter(|table| table.folds()).collect();
        assert_eq!(folded, [&&messages::TABLE, &&identities::TABLE, &&events::TABLE]);
        for table in folded {
            assert!((table.precedence)().is_empty() && table.inputs.is_empty(), "{}", table.name);
        }
    }
}
