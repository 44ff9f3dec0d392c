//! The state of a table at one version.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::lake::damage::Hash;
use crate::lake::key_filters::FilterPlaces;
use crate::lake::loads::FileCounts;

/// The protocol versions and features that a reader and a writer must support.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::lake) struct Protocol {
    pub(super) min_reader_version: u32,
    pub(super) min_writer_version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) reader_features: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) writer_features: Option<Vec<String>>,
}

/// The protocol of tables that wabalake creates.
pub(in crate::lake) const PROTOCOL: Protocol = Protocol {
    min_reader_version: 1,
    min_writer_version: 2,
    reader_features: None,
    writer_features: None,
};

/// A data file of a table's current version.
#[derive(Clone, Debug, PartialEq)]
pub struct DataFile {
    /// Its path below the table's folder.
    pub path: String,
    /// The UTC day of its rows; `None` for rows without a time.
    pub day: Option<NaiveDate>,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its number of rows.
    pub rows: u64,
    /// Its column statistics.
    pub(in crate::lake) statistics: Statistics,
    /// The hash of its bytes; `None` if it was written without.
    pub(in crate::lake) hash: Option<Hash>,
    /// The hash of its Parquet footer, likewise.
    pub(in crate::lake) footer: Option<u64>,
    /// Its modification time, in milliseconds since 1970.
    pub(in crate::lake) modified: i64,
    /// Where its Bloom filters are.
    pub(in crate::lake) filters: FilterPlaces,
}

/// The column statistics of a file, parsed on first use: most files are skipped by their day alone.
#[derive(Clone, Debug, Default)]
pub(in crate::lake) struct Statistics(pub(super) Arc<(Option<String>, OnceLock<Bounds>)>);

/// Bounds and null counts of a file's columns, by column name.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::lake) struct Bounds {
    pub(in crate::lake) min_values: Map<String, Value>,
    pub(in crate::lake) max_values: Map<String, Value>,
    pub(in crate::lake) null_count: Map<String, Value>,
}

impl Statistics {
    pub(in crate::lake) fn bounds(&self) -> &Bounds {
        let (text, bounds) = &*self.0;
        bounds.get_or_init(|| {
            text.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
        })
    }

    pub(super) fn rows(&self) -> Option<u64> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct RowCount {
            num_records: Option<u64>,
        }
        serde_json::from_str::<RowCount>(self.0.0.as_deref()?).ok()?.num_records
    }
}

impl PartialEq for Statistics {
    fn eq(&self, other: &Self) -> bool {
        self.0.0 == other.0.0
    }
}

/// The state of a table at one version.
#[derive(Clone, Debug, Default)]
pub(in crate::lake) struct State {
    pub(in crate::lake) version: u64,
    pub(in crate::lake) files: HashMap<String, DataFile>,
    pub(in crate::lake) transactions: HashMap<String, i64>,
    /// Counts of loaded files, by their transactions.
    pub(in crate::lake) counts: HashMap<String, FileCounts>,
    pub(in crate::lake) metadata: Map<String, Value>,
    pub(in crate::lake) protocol: Protocol,
}

impl State {
    /// Returns `true` if both have the same content, ignoring descriptive metadata.
    pub(in crate::lake) fn is_same_as(&self, other: &Self) -> bool {
        const SAID: [&str; 4] = ["id", "schemaString", "partitionColumns", "configuration"];
        let same = |name: &&str| self.metadata.get(*name) == other.metadata.get(*name);
        self.version == other.version
            && self.files == other.files
            && self.transactions == other.transactions
            && self.protocol == other.protocol
            && SAID.iter().all(same)
    }
}
