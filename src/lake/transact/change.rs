//! Changes to a table, and the actions of the log that make them.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use deltalake::kernel::{Action, Add, Remove};
use deltalake::protocol::{DeltaOperation, SaveMode};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::checkpoint::CHECKPOINT_INTERVAL;
use crate::error::{Error, Result};
use crate::lake::log::PROTOCOL;
use crate::lake::snapshot::{fields, fields_of};
use crate::lake::{DataFile, Layout, Snapshot, StagedFile};

/// The purpose of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Rows of exports were loaded.
    Load,
    /// A load was undone.
    Undo,
    /// Files of a day were merged, without changing rows.
    Compact,
    /// A person was erased.
    Erase,
    /// A mart was refreshed.
    Mart,
    /// A run was recorded.
    Run,
    /// What an older version wrote was brought up to date.
    Upgrade,
}

impl Operation {
    const ALL: [Self; 7] =
        [Self::Load, Self::Undo, Self::Compact, Self::Erase, Self::Mart, Self::Run, Self::Upgrade];

    /// Its name, usually that of the subcommand.
    pub fn name(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Undo => "undo",
            Self::Compact => "compact",
            Self::Erase => "erase",
            Self::Mart => "mart",
            Self::Run => "run",
            Self::Upgrade => "upgrade",
        }
    }

    /// Returns `true` if rows change; `false` if only their files do.
    fn changes_rows(self) -> bool {
        self != Self::Compact
    }

    pub(super) fn in_delta(self, replaces: bool, partition: &str) -> DeltaOperation {
        match self {
            Self::Load | Self::Mart | Self::Run | Self::Upgrade => DeltaOperation::Write {
                mode: if replaces { SaveMode::Overwrite } else { SaveMode::Append },
                partition_by: Some(vec![partition.to_owned()]),
                predicate: None,
            },
            Self::Undo => DeltaOperation::Restore { version: None, datetime: None },
            Self::Compact => DeltaOperation::Optimize { predicate: None, target_size: 0 },
            // The predicate would name the person.
            Self::Erase => DeltaOperation::Delete { predicate: None },
        }
    }
}

/// The operation with a name; `None` for those of other programs and versions.
pub(in crate::lake) fn operation_named(name: &str) -> Option<Operation> {
    Operation::ALL.into_iter().find(|operation| operation.name() == name)
}

/// The version of a file's application transaction: odd while the file is loaded, even while it is
/// not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loaded(pub i64);

impl Loaded {
    /// Returns `true` if the file is loaded.
    pub fn is_loaded(self) -> bool {
        self.0 % 2 == 1
    }

    /// Returns `true` if the file was loaded, and its load undone.
    pub fn is_undone(self) -> bool {
        self.0 > 0 && !self.is_loaded()
    }

    /// The version after loading a file that is not loaded, or after undoing its load.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// A change to a table.
#[derive(Clone, Debug)]
pub struct Change {
    /// Its purpose.
    pub operation: Operation,
    /// Application transactions of files, and their new versions.
    pub transactions: Vec<(String, Loaded)>,
    /// Paths of files to remove.
    pub remove: Vec<String>,
    /// Files to add: staged ones, or those of an older version.
    pub add: Vec<StagedFile>,
    /// Further entries of the commit's `commitInfo`, such as `load_id`.
    pub info: Map<String, Value>,
    /// The time of the commit; `None` for the time at which it is written.
    pub time: Option<DateTime<Utc>>,
}

impl Change {
    /// A change that does nothing yet.
    pub fn new(operation: Operation) -> Self {
        Self {
            operation,
            transactions: Vec::new(),
            remove: Vec::new(),
            add: Vec::new(),
            info: Map::new(),
            time: None,
        }
    }

    /// The actions that make the change, without `commitInfo` and transactions.
    pub(super) fn actions(&self, base: &Snapshot) -> Result<Vec<Action>> {
        let name = &base.layout.name;
        if let [column, ..] = &base.unknown_columns()[..] {
            return Err(Error::lake(format!("table `{name}` has a column `{column}`"))
                .found(format!("wabalake {} does not know it", env!("CARGO_PKG_VERSION")))
                .hint("a newer version wrote it: use that version to change the lake"));
        }
        let data_change = self.operation.changes_rows();
        if !self.remove.is_empty() && data_change {
            base.check_replaceable()?;
        }
        let mut actions = schema_actions(base)?;
        let mut removed = HashSet::new();
        for path in &self.remove {
            let file = base.state.as_ref().and_then(|state| state.files.get(path));
            let Some(file) = file.filter(|_| removed.insert(path.as_str())) else {
                return Err(Error::bug(format!(
                    "`{path}` does not exist, so it cannot be removed"
                )));
            };
            actions.push(Action::Remove(tombstone(&base.layout, file, data_change)));
        }
        for file in &self.add {
            let add = file.add.clone();
            // Readers take a path that one commit both removes and adds as removed.
            if removed.contains(add.path.as_str()) {
                return Err(Error::bug(format!(
                    "`{}` is removed and added by one commit",
                    add.path
                )));
            }
            actions.push(Action::Add(Add { data_change, ..add }));
        }
        Ok(actions)
    }
}

fn tombstone(layout: &Layout, file: &DataFile, data_change: bool) -> Remove {
    let day = file.day.map(|day| day.to_string());
    Remove {
        path: file.path.clone(),
        data_change,
        deletion_timestamp: Some(Utc::now().timestamp_millis()),
        extended_file_metadata: Some(true),
        partition_values: Some([(layout.partition.to_owned(), day)].into()),
        size: i64::try_from(file.bytes).ok(),
        ..Remove::default()
    }
}

/// The properties of tables that wabalake creates.
pub(in crate::lake) fn configuration() -> Value {
    json!({
        // Undo and exactly-once loading need the whole log.
        "delta.enableExpiredLogCleanup": "false",
        "delta.checkpointInterval": CHECKPOINT_INTERVAL.to_string(),
    })
}

/// The `protocol` and `metaData` actions that create a table or add the columns that it lacks.
fn schema_actions(base: &Snapshot) -> Result<Vec<Action>> {
    let schema = |fields: Vec<Value>| json!({"type": "struct", "fields": fields}).to_string();
    let missing = base.missing_fields()?;
    let others = base.layout.is_mart && {
        let own = fields_of(&base.layout)?;
        base.state.as_deref().is_some_and(|state| fields(state) != own)
    };
    if missing.is_empty() && !others {
        return Ok(Vec::new());
    }
    let Some(state) = &base.state else {
        let protocol = json!({"protocol": PROTOCOL});
        let metadata = json!({"metaData": {
            "id": Uuid::new_v4().to_string(),
            "name": base.layout.name.as_str(),
            "format": {"provider": "parquet", "options": {}},
            "schemaString": schema(fields_of(&base.layout)?),
            "partitionColumns": [base.layout.partition],
            "configuration": configuration(),
            "createdTime": Utc::now().timestamp_millis(),
        }});
        return Ok(vec![action(protocol)?, action(metadata)?]);
    };
    let all = if others {
        fields_of(&base.layout)?
    } else {
        fields(state).into_iter().chain(missing).collect()
    };
    let mut metadata = state.metadata.clone();
    metadata.insert("schemaString".to_owned(), json!(schema(all)));
    Ok(vec![action(json!({"metaData": metadata}))?])
}

fn action(value: Value) -> Result<Action> {
    serde_json::from_value(value).map_err(|e| Error::bug(format!("an action of the log: {e}")))
}
