//! The slots of the twin that depend on `--by`.
//!
//! | slot | SQL |
//! |---|---|
//! | `{names_then}` | the relations of what ads are called |
//! | `{keys_of_sessions}`, `{keys_of_spend}` | the select lists of what groups are made of |
//! | `{ads_of_sessions}`, `{ads_of_spend}` | the joins that these lists need, to follow the table |
//! | `{keys}`, `{groups}` | these columns by name; with the event of conversions |
//! | `{headed_then}`, `{join_headed}` | the relation of headlines, and the join with it |
//! | `{is_counted}`, `{is_converted}`, `{is_earned}`, `{is_spent}` | a row of a relation belongs to the group `met` |
//! | `{is_of_event}` | a row of `met_events` belongs to the group of a session |
//! | `{answer_then}`, `{order}` | the columns of the dimensions, and the sort keys |

use chrono_tz::Tz;
use wabalake_data::tables::conversions::EVENT;
use wabalake_data::tables::sessions::{META_SOURCE_HEADLINE, META_SOURCE_ID, META_SOURCE_TYPE};

use super::by::{AD_OF_SESSION_SQL, By, Split};
use crate::query::{Bindings, Order, OutputColumn};

/// Fills the slots, and binds `:with_spend`, which is `false` if ads do not have the columns.
pub(super) fn bind(by: &By, bindings: Bindings) -> Bindings {
    let keys = by.keys(Tz::UTC);
    let names: Vec<&str> = keys.iter().map(|key| key.name).collect();
    let event = by.has(Split::Event).then_some(EVENT);
    let groups: Vec<&str> = names.iter().copied().chain(event).collect();
    let of_sessions = keys.iter().map(|key| format!("{} AS {}", key.session_sql, key.name));
    let of_spend = keys.iter().map(|key| {
        let sql = key.of_spend.as_ref().map(|(_, sql)| sql.as_str());
        let of_spend = sql.unwrap_or("CAST(NULL AS STRING)");
        format!("{of_spend} AS {}", key.name)
    });

    let of_ads = by.named();
    let relations: String = of_ads.iter().map(|named| named.sql()).collect();
    let ads = |ad: &str| -> String {
        let relations = of_ads.iter().map(|named| named.relation());
        let joins = relations.map(|of| format!("\n    LEFT JOIN {of} ON {of}.ad_id = {ad}"));
        joins.collect::<Vec<_>>().concat()
    };

    let is = |relation: &str, group: &str| -> String {
        let equal = names.iter().map(|name| format!("{relation}.{name} <=> {group}.{name}"));
        equal.collect::<Vec<_>>().join("\n        AND ")
    };
    let of_event = event.map(|name| format!("\n        AND earned.{name} <=> converted.{name}"));
    let (headed, join_headed) = if by.has(Split::Source) {
        let headed = include_str!("headed.sql").replace("{keys}", &names.join(", "));
        let is_headed = is("headed", "met");
        (headed, format!("\nLEFT JOIN headed\n    ON {is_headed}\n        AND headed.place = 1"))
    } else {
        (String::new(), String::new())
    };

    let answer = by.columns().into_iter().map(|OutputColumn { name, of, .. }| {
        let relation = match name {
            META_SOURCE_HEADLINE => "headed",
            EVENT => "converted",
            _ => "met",
        };
        format!("CAST({relation}.{name} AS {}) AS {name},\n    ", of.sql())
    });
    let order = by.order().into_iter().map(|by| match by {
        Order::Descending(name) => format!("{name} DESC NULLS LAST"),
        by => format!("{} NULLS LAST", by.column()),
    });
    let of_source = [META_SOURCE_TYPE, META_SOURCE_ID].into_iter();
    let of_source = of_source.filter(|name| by.key().contains(name));
    let order = order.chain(of_source.map(|name| format!("{name} NULLS LAST")));

    bindings
        .boolean("with_spend", keys.iter().all(|key| key.of_spend.is_some()))
        .slot("names_then", relations)
        .slot("keys_of_sessions", of_sessions.collect::<Vec<_>>().join(",\n        "))
        .slot("keys_of_spend", of_spend.collect::<Vec<_>>().join(",\n        "))
        .slot("ads_of_sessions", ads(AD_OF_SESSION_SQL))
        .slot("ads_of_spend", ads("ad_spend.ad_id"))
        .slot("keys", names.join(", "))
        .slot("groups", groups.join(", "))
        .slot("headed_then", headed)
        .slot("join_headed", join_headed)
        .slot("is_counted", is("counted", "met"))
        .slot("is_converted", is("converted", "met"))
        .slot("is_earned", is("earned", "met") + &of_event.unwrap_or_default())
        .slot("is_spent", is("spent", "met"))
        .slot("is_of_event", is("met_events", "sourced"))
        .slot("answer_then", answer.collect())
        .slot("order", order.collect::<Vec<_>>().join(",\n    "))
}
