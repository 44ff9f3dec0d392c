//! The slots of the twin.
//!
//! | slot | SQL |
//! |---|---|
//! | `{entry_windows}` | the relations of windows |
//! | `{answered}` | the relation of the clicks that count, with the time until their answer, and those that it needs |
//! | `{keys}` | the columns that groups are made of, by name |
//! | `{keys_of_spend}`, `{ads_of_spend}` | the select list of these columns, and the joins that it needs |
//! | `{is_counted}`, `{is_inside}`, `{is_spent}` | a row of a relation belongs to the group `met` |
//! | `{began}` | the stamp of the clicks' table |
//! | `{answer_then}`, `{order}` | the columns of the dimensions, and the sort keys |

use chrono_tz::Tz;

use super::Params;
use crate::meta_sources::names::Named;
use crate::query::tags::tagged_sql;
use crate::query::{Bindings, Dimension, Order, OutputColumn};

/// Fills the slots, and binds the parameters. `:with_spend` is `false` if ads do not have the
/// columns.
pub(super) fn bind(params: &Params) -> Bindings {
    let Params { days, filters, by, clicks, .. } = params;
    let table = clicks.table();
    let keys = by.keys(*clicks, Tz::UTC);
    let names: Vec<&str> = keys.iter().map(|key| key.name).collect();
    let of_spend = keys.iter().zip(by.columns()).map(|(key, column)| {
        let sql = key.of_spend.as_ref().map(|(_, sql)| sql.clone());
        let sql = sql.unwrap_or_else(|| format!("CAST(NULL AS {})", column.of.sql()));
        format!("{sql} AS {}", key.name)
    });
    let is = |relation: &str| -> String {
        let equal = names.iter().map(|name| format!("{relation}.{name} <=> met.{name}"));
        equal.collect::<Vec<_>>().join("\n        AND ")
    };
    let answer = by.columns().into_iter().map(|OutputColumn { name, of, .. }| {
        format!("CAST(met.{name} AS {}) AS {name},\n    ", of.sql())
    });
    let order = by.order().into_iter().map(|by| match by {
        Order::Descending(name) => format!("{name} DESC NULLS LAST"),
        by => format!("{} NULLS LAST", by.column()),
    });
    // Ads with as many clicks are in the order of their ids.
    let is_by_clicks = by.order().iter().all(|by| !names.contains(&by.column()));
    let ties = names.iter().filter(|_| is_by_clicks).map(|name| format!("{name} NULLS LAST"));
    let order: Vec<String> = order.chain(ties).collect();

    let (asked_from, asked_until) = days.instants();
    let bindings = days.bind_dates(Bindings::new());
    let bindings = filters.bind_relation(bindings, "clicked", table);
    params
        .options()
        .bind(params.windows().bind(bindings))
        // Of all messages: those inside may lie after the range.
        .instant("from_at", None)
        .instant("until_at", None)
        .instant("asked_from", asked_from)
        .instant("asked_until", asked_until)
        .boolean("with_spend", keys.iter().all(|key| key.of_spend.is_some()))
        .slot("entry_windows", params.windows().sql("", "messages"))
        .slot("answered", answered(params))
        .slot("keys", names.join(", "))
        .slot("keys_of_spend", of_spend.collect::<Vec<_>>().join(",\n        "))
        .slot("ads_of_spend", ads(params, "ad_spend.ad_id"))
        .slot("is_counted", is("counted"))
        .slot("is_inside", is("inside"))
        .slot("is_spent", is("spent"))
        .slot("began", table.day_of.to_owned())
        .slot("answer_then", answer.collect())
        .slot("order", order.join(",\n    "))
}

/// The joins with what is asked for of ads.
fn ads(params: &Params, ad: &str) -> String {
    let relations = params.by.named().into_iter().map(Named::relation);
    let joins = relations.map(|of| format!("\n    LEFT JOIN {of} ON {of}.ad_id = {ad}"));
    joins.collect()
}

/// The relations of clicks, with all slots filled.
fn answered(params: &Params) -> String {
    let clicks = params.clicks;
    let table = clicks.table();
    let keys = params.by.keys(clicks, Tz::UTC).into_iter();
    let keys: Vec<String> = keys.map(|key| format!("{} AS {}", key.click_sql, key.name)).collect();
    let names: String = params.by.named().into_iter().map(Named::sql).collect();
    let tagged = if params.by.has(Dimension::Tag) {
        format!("\n    {}", tagged_sql(table))
    } else {
        String::new()
    };
    let clicked = params.filters.bind_relation(Bindings::new(), "clicked", table);
    include_str!("answered.sql")
        .trim_end()
        .replace("{names_then}", &names)
        .replace("{rows}", &clicks.rows_sql())
        .replace("{keys}", &keys.join(",\n        "))
        .replace("{clicked}", &clicked.fill_slots("{clicked}"))
        .replace("{ads}", &ads(params, &format!("clicked.{}", clicks.ad())))
        .replace("{tagged}", &tagged)
        .replace("{began}", table.day_of)
}
