//! What a mart was computed from: its definition, and a fingerprint of each table that it reads.
//!
//! The commit of a mart stores it as JSON. A mart is fresh while its provenance equals the one that
//! the tables have now.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use wabalake_data::tables::identities;

use super::Mart;
use super::pinned::{Fingerprint, PinnedTables};
use crate::error::Result;
use crate::lake::{Lake, Snapshot};

/// The inputs of one version of a mart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Provenance {
    #[serde(rename = "definition")]
    pub(crate) fingerprint: String,
    query: String,
    #[serde(rename = "sources")]
    pub(crate) tables: BTreeMap<String, Fingerprint>,
}

impl Provenance {
    /// The provenance of a mart that is computed now.
    pub(crate) fn now(mart: &Mart, tables: &PinnedTables<'_>) -> Result<Self> {
        let mut fingerprints = BTreeMap::new();
        let reads = mart.reads();
        for table in reads.iter().copied() {
            let fingerprint = tables.fingerprint(table)?;
            let by_day = mart.is_judged_by_day(table);
            let fingerprint = if by_day { fingerprint } else { fingerprint.without_days() };
            fingerprints.insert(table.name.to_owned(), fingerprint);
        }
        // Identities say whom rows are about, so a change of theirs reaches every row.
        let has_people = reads.iter().any(|table| table.has_people());
        let links = tables.table(&identities::TABLE)?;
        if has_people && links.snapshot.version.is_some() {
            let fingerprint = links.fingerprint.without_days();
            fingerprints.insert(identities::NAME.to_owned(), fingerprint);
        }
        // The name of a file could name anybody.
        let query = mart.question().map_or("sql", |question| question.spec().name).to_owned();
        Ok(Self { fingerprint: mart.fingerprint(), query, tables: fingerprints })
    }

    /// The provenance of a version of a mart; `None` if its log does not have it or cannot be read.
    pub(crate) fn stored(lake: &Lake, mart: &Snapshot) -> Option<Self> {
        let stored = lake.provenance(mart).ok().flatten()?;
        serde_json::from_value(stored).ok()
    }

    /// Returns `true` if both were computed with the same links of user ids.
    pub(crate) fn has_same_identities(&self, other: &Self) -> bool {
        let links = |of: &Self| of.tables.get(identities::NAME).cloned().unwrap_or_default();
        links(self).matches(&links(other))
    }

    /// The tables of which other files were read, by name.
    pub(crate) fn changed_since<'a>(&'a self, before: &'a Self) -> BTreeSet<&'a str> {
        let names = self.tables.keys().chain(before.tables.keys()).map(String::as_str);
        let has_changed = |name: &&str| match (self.tables.get(*name), before.tables.get(*name)) {
            (Some(now), Some(before)) => !now.matches(before),
            _ => true,
        };
        names.filter(has_changed).collect()
    }

    /// Returns `true` if both give the same rows.
    pub(crate) fn matches(&self, other: &Self) -> bool {
        let same = |(table, fingerprint): (&String, &Fingerprint)| {
            other.tables.get(table).is_some_and(|before| before.matches(fingerprint))
        };
        self.fingerprint == other.fingerprint
            && self.tables.len() == other.tables.len()
            && self.tables.iter().all(same)
    }
}
