//! Refuses protocol features and table properties that wabalake does not support.

use deltalake::DeltaTableError;
use deltalake::kernel::transaction::TransactionError;
use serde_json::Value;

use super::{Log, State};
use crate::error::{Error, Result};

impl Log {
    /// Refuses to replace rows of an append-only table, as another program may have set it.
    pub(in crate::lake) fn check_replaceable(&self, state: &State) -> Result<()> {
        let setting =
            state.metadata.get("configuration").and_then(|all| all.get("delta.appendOnly"));
        let is_set =
            setting.and_then(Value::as_str).is_some_and(|set| set.eq_ignore_ascii_case("true"));
        let features = state.protocol.writer_features.iter().flatten();
        let is_heeded = match state.protocol.min_writer_version {
            ..2 => false,
            2..7 => true,
            7.. => features.into_iter().any(|feature| feature == "appendOnly"),
        };
        if !is_set || !is_heeded {
            return Ok(());
        }
        Err(Error::lake(format!("{} is append-only: its rows may not be replaced", self.name()))
            .found("another program set `delta.appendOnly`")
            .hint(
                "set `delta.appendOnly` to false with that program; nothing was changed in the table",
            ))
    }

    /// Converts the error of a commit; unsupported writer features get a hint.
    pub(in crate::lake) fn refused(&self, error: DeltaTableError) -> Error {
        let asked = match &error {
            DeltaTableError::Transaction { source } => match source {
                TransactionError::UnsupportedTableFeatures(features) => features.clone(),
                TransactionError::TableFeaturesRequired(feature) => vec![feature.clone()],
                _ => Vec::new(),
            },
            _ => Vec::new(),
        };
        if asked.is_empty() {
            return Error::from(error).context(format!("committing to {}", self.name()));
        }
        let asked: Vec<String> = asked.iter().map(ToString::to_string).collect();
        Error::lake(format!(
            "{} requires writer features that wabalake does not support: {}",
            self.name(),
            asked.join(", ")
        ))
        .hint("another program enabled them: disable them there, or load into a new lake")
    }

    /// Refuses tables that would be read wrongly.
    pub(in crate::lake) fn check_readable(&self, state: &State) -> Result<()> {
        let setting = |name: &str| state.metadata.get("configuration")?.get(name)?.as_str();
        if setting("delta.columnMapping.mode").is_some_and(|mode| mode != "none") {
            return Err(self.unreadable("column mapping"));
        }
        let features = state.protocol.reader_features.iter().flatten();
        // These two do not change how files are read.
        let strange = features
            .map(String::as_str)
            .find(|feature| !["timestampNtz", "vacuumProtocolCheck"].contains(feature));
        match strange {
            Some("deletionVectors") => Err(self.unreadable("deletion vectors")),
            Some("columnMapping") => Err(self.unreadable("column mapping")),
            Some(feature) => Err(self.unreadable(&format!("the feature {feature}"))),
            None if state.protocol.min_reader_version > 3 => {
                Err(self.unreadable("a newer version of Delta"))
            }
            None => Ok(()),
        }
    }

    pub(super) fn unreadable(&self, feature: &str) -> Error {
        Error::lake(format!("{} uses {feature}, which wabalake does not read", self.name()))
            .hint("another program changed it: rewrite the table without it, or load it again")
    }
}
