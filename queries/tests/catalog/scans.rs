//! Scans of tables in optimised plans: a table is read once, however many measures an answer has.

use std::collections::{BTreeMap, BTreeSet};

use wabalake_queries::CATALOG;

use crate::answers::laid_out;
use crate::golden::{ask, on_a_large_stack};

/// Tables that a query scans more than once, and the reason.
const SCANNED_AGAIN: &[(&str, &[&str], &str)] = &[
    (
        "audience-breakdown",
        &["audience_tags", "sessions"],
        "deployments, inbound sessions and conversions meet in one answer",
    ),
    ("campaign-performance", &["messages"], "messages and the replies to them"),
    (
        "country-breakdown",
        &["sessions"],
        "deployments, inbound sessions and conversions meet in one answer",
    ),
    (
        "data-quality",
        &["closures", "deployments", "messages", "sessions"],
        "each check has its own rows",
    ),
    (
        "holdout-lift",
        &["audience_tags"],
        "people meet conversions by their sessions and, without a session, by the person that they name",
    ),
    (
        "inbound-channels",
        &["sessions"],
        "a conversion that names a person is attributed to sessions of the whole lake",
    ),
    (
        "meta-sources",
        &["conversions", "sessions"],
        "a conversion that names a person is attributed to sessions of the whole lake",
    ),
    (
        "reconcile",
        &["message_summaries", "messages", "meta_points"],
        "each report has its own rows",
    ),
    ("redirect-paths", &["sessions"], "sessions and their parents"),
    ("session-chains", &["sessions"], "sessions and their parents"),
    ("template-performance", &["messages"], "messages and the replies to them"),
    ("user-history", &["events", "sessions"], "the rows of one person"),
];

#[test]
fn each_table_is_scanned_once() {
    let mut wrong = Vec::new();
    for entry in CATALOG {
        let name = entry.spec.name;
        let plan = ask(entry, &entry.needs()).plan(&laid_out(entry, "scanned")).unwrap();
        let plan = on_a_large_stack(|| plan.explain(true).unwrap());
        let again: BTreeMap<&str, usize> =
            scans(&plan).into_iter().filter(|(_, scans)| *scans > 1).collect();
        let named = SCANNED_AGAIN.iter().filter(|(query, ..)| *query == name);
        let named: BTreeSet<&str> =
            named.flat_map(|(_, tables, _)| tables.iter().copied()).collect();
        for (table, scans) in &again {
            if !named.contains(table) {
                wrong.push(format!("{name} scans {table} {scans} times"));
            }
        }
        for table in named {
            if !again.contains_key(table) {
                wrong
                    .push(format!("{name} scans {table} once now: SCANNED_AGAIN need not name it"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The number of scans of each table in an explained plan. A plan below a cache is run once, wherever it
/// is shown.
fn scans(plan: &str) -> BTreeMap<&str, usize> {
    let mut scans = BTreeMap::new();
    let mut caches = BTreeSet::new();
    // The indentation of a cache that was shown before; deeper lines belong to it.
    let mut shown = None;
    for line in plan.lines() {
        let indentation = line.len() - line.trim_start().len();
        if shown.is_some_and(|shown| indentation > shown) {
            continue;
        }
        shown = None;
        if let Some((_, cache)) = line.split_once("CACHE[id: ") {
            let (id, _) = cache.split_once(']').unwrap();
            if !caches.insert(id) {
                shown = Some(indentation);
            }
        }
        if let Some((_, files)) = line.split_once("Parquet SCAN [") {
            let (folder, _) = files.split_once("/utc_day=").unwrap();
            let (_, table) = folder.rsplit_once('/').unwrap();
            *scans.entry(table).or_default() += 1;
        }
    }
    scans
}

#[test]
fn a_plan_below_a_cache_counts_once() {
    let plan = "UNION
  PLAN 0:
    CACHE[id: a]
      Parquet SCAN [/lake/sessions/utc_day=2025-06-01/0.parquet]
  PLAN 1:
    CACHE[id: a]
      Parquet SCAN [/lake/sessions/utc_day=2025-06-01/0.parquet]
  PLAN 2:
    Parquet SCAN [/lake/sessions/utc_day=2025-06-01/0.parquet, ... 2 other sources]
  PLAN 3:
    Parquet SCAN [/lake/messages/utc_day=2025-06-01/0.parquet]";
    assert_eq!(scans(plan), BTreeMap::from([("messages", 1), ("sessions", 2)]));
}
