//! Tables that another program changed.

use super::*;

#[test]
fn unsupported_features_are_refused() {
    let refusal = |action: serde_json::Value| {
        let (_folder, lake) = lake();
        load(&lake, "a", day(1), &["a1"]);
        let commit = table_folder(&lake).join(format!("_delta_log/{:020}.json", 1));
        fs::write(commit, action.to_string()).unwrap();
        lake.snapshot(SESSIONS).unwrap_err().to_string()
    };
    let protocol = |feature: &str| {
        json!({"protocol": {
            "minReaderVersion": 3, "minWriterVersion": 7,
            "readerFeatures": [feature], "writerFeatures": [feature],
        }})
    };
    for (feature, said) in [
        ("deletionVectors", "deletion vectors"),
        ("columnMapping", "column mapping"),
        ("v2Checkpoint", "the feature v2Checkpoint"),
    ] {
        let found = refusal(protocol(feature));
        assert_eq!(found, format!("table `sessions` uses {said}, which wabalake does not read"));
    }
    let mapped = json!({"metaData": {
        "partitionColumns": [UTC_DAY], "schemaString": "{}",
        "configuration": {"delta.columnMapping.mode": "name"},
    }});
    assert!(refusal(mapped).contains("column mapping"));
    let field = json!({"name": sessions::CONVERSATION_ID, "type": "long", "nullable": true});
    let schema = json!({"type": "struct", "fields": [field]}).to_string();
    let retyped = json!({"metaData": {"partitionColumns": [UTC_DAY], "schemaString": schema}});
    assert_eq!(refusal(retyped), "column `conversation_id` of table `sessions` should be a string");
}

/// `deltalake` prepares commits to a table that another program changed.
#[test]
fn append_only_table_loses_no_file() {
    let (_folder, lake) = lake();
    append(&lake, day(1), &["a"]);
    let snapshot = lake.snapshot(SESSIONS).unwrap();
    assert!(snapshot.is_as_made_here());
    let mut metadata = snapshot.state.as_ref().unwrap().metadata.clone();
    metadata["configuration"]["delta.appendOnly"] = json!("true");
    let change = table_folder(&lake).join("_delta_log/00000000000000000001.json");
    fs::write(change, json!({"metaData": metadata}).to_string()).unwrap();

    append(&lake, day(2), &["b"]);
    let snapshot = lake.snapshot(SESSIONS).unwrap();
    assert!(!snapshot.is_as_made_here());
    let change = Change {
        remove: snapshot.files_of(day(1)).map(|file| file.path.clone()).collect(),
        ..Change::new(Operation::Load)
    };
    let said = lake.commit(&snapshot, change).unwrap_err().lines();
    assert!(said.contains("append-only"), "{said}");
    assert_eq!(all(&lake), ["a", "b"]);
}

/// Undo and erase respect `delta.appendOnly`, like loads.
#[test]
fn undo_and_erase_respect_append_only() {
    let (_folder, lake) = lake();
    add_deployment(&lake, Some("b"));
    load(&lake, "b", day(1), &["s1", "s2"]);
    append(&lake, day(1), &["s3"]);
    let metadata = |set: &str| {
        let mut metadata =
            lake.snapshot(SESSIONS).unwrap().state.as_ref().unwrap().metadata.clone();
        metadata["configuration"]["delta.appendOnly"] = json!(set);
        json!({"metaData": metadata})
    };
    commit_as_another(&lake, &[metadata("true")]);
    let found = || (all(&lake), lake.snapshot(&deployments::TABLE).unwrap().rows());
    let before = found();
    let versions = || {
        [SESSIONS, &deployments::TABLE].map(|table| lake.snapshot(table).unwrap().version.unwrap())
    };
    let at = versions();
    let undone = lake.undo().unwrap_err().lines();
    let erased = lake.erase(PHONE, erase::Options::default()).unwrap_err().lines();
    for said in [&undone, &erased] {
        assert!(said.starts_with("error: table `sessions` is append-only"), "{said}");
        assert!(said.contains("\n  hint: set `delta.appendOnly` to false"), "{said}");
    }
    assert_eq!(versions(), at, "nothing was changed");
    assert_eq!(found(), before);
    // Compaction keeps the rows, so it is allowed.
    assert_eq!(lake.compact().unwrap().len(), 1);
    assert_eq!(all(&lake), before.0);
    commit_as_another(&lake, &[metadata("false")]);
    assert!(lake.erase(PHONE, erase::Options::default()).unwrap().rows() > 0);
}

#[test]
fn changes_of_another_program_are_errors_with_a_hint() {
    let hint_for_log_file =
        |said: &str| said.contains("\n  hint: ") && said.contains("another program");
    // It enabled writer features that wabalake does not support.
    let (_folder, asked) = lake();
    load(&asked, "a", day(1), &["a1"]);
    let protocol = json!({"protocol": {
        "minReaderVersion": 1, "minWriterVersion": 7, "writerFeatures": ["checkConstraints"],
    }});
    commit_as_another(&asked, &[protocol]);
    let snapshot = asked.snapshot(SESSIONS).unwrap();
    let staging = asked.staging(SESSIONS).unwrap();
    let change = Change {
        add: vec![staging.write(day(2), rows(noon(day(2)), &["b1"])).unwrap()],
        info: load_info("b"),
        ..Change::new(Operation::Load)
    };
    let said = asked.commit(&snapshot, change).unwrap_err().lines();
    let begins =
        "error: table `sessions` requires writer features that wabalake does not support: ";
    assert!(said.starts_with(begins) && said.contains("checkConstraints"), "{said}");
    assert!(hint_for_log_file(&said), "{said}");
    assert_eq!(all(&asked), ["a1"]);

    // It wrote an unknown action.
    let (_folder, strange) = lake();
    load(&strange, "a", day(1), &["a1"]);
    commit_as_another(
        &strange,
        &[json!({"commitInfo": {"operation": "SPARKLE"}}), json!({"sparkle": {}})],
    );
    let said = strange.snapshot(SESSIONS).unwrap_err().lines();
    assert!(said.contains("uses the action `sparkle`, which wabalake does not read"), "{said}");
    assert!(hint_for_log_file(&said), "{said}");

    // It merged the files of a load, which can then not be undone.
    let (_folder, merged) = lake();
    load(&merged, "a", day(1), &["a1"]);
    let snapshot = merged.snapshot(SESSIONS).unwrap();
    let file = &snapshot.files[0];
    let other = file.path.replace(".parquet", "-other.parquet");
    fs::copy(snapshot.place(file), table_folder(&merged).join(&other)).unwrap();
    commit_as_another(
        &merged,
        &[
            json!({"commitInfo": {"operation": "OPTIMIZE", "timestamp": 0}}),
            json!({"remove": {"path": file.path, "dataChange": false, "deletionTimestamp": 0}}),
            json!({"add": {
                "path": other, "partitionValues": {UTC_DAY: "2025-06-01"}, "size": file.bytes,
                "modificationTime": file.modified, "dataChange": false,
            }}),
        ],
    );
    let said = merged.undo().unwrap_err().lines();
    assert!(said.contains("another program (version 1, OPTIMIZE) rewrote"), "{said}");
    assert!(hint_for_log_file(&said), "{said}");
    assert_eq!(all(&merged), ["a1"]);
}
