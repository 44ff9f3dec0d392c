//! A lake that 0.1.0 wrote: it is read, loaded into and upgraded as one that this version wrote.

use std::io::Cursor;
use std::sync::Arc;

use object_store::memory::InMemory;
use wabalake_data::TABLES;
use wabalake_data::tables::{
    ad_spend, audience_tags, closures, conversions, messages, meta_points, variables,
};

use super::stores::{answers_of_each, assert_same};
use super::*;
use crate::load::{LoadReport, Options as LoadOptions, UpgradedTable, upgrade, upgrade_table};

/// A copy of the lake, in a folder of its own.
fn older() -> (TempDir, Lake) {
    let folder = tempfile::tempdir().unwrap();
    let packed = fs::read(kept("lake.zip")).unwrap();
    let mut packed = ::zip::ZipArchive::new(Cursor::new(packed)).unwrap();
    packed.extract(folder.path().join("lake")).unwrap();
    let lake = Lake::open(folder.path().join("lake")).unwrap();
    (folder, lake)
}

/// A file that is kept with the lake.
fn kept(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lakes/0.1.0").join(name)
}

fn load_files(lake: &Lake, files: &[PathBuf]) -> LoadReport {
    crate::load::load(lake, files, &LoadOptions::default()).unwrap()
}

/// A lake that this version makes of the same exports.
fn newer() -> (TempDir, Lake) {
    let (folder, lake) = lake();
    load_files(&lake, &[kept("exports")]);
    (folder, lake)
}

/// Every stored column of each row of a table as text, sorted.
fn stored(lake: &Lake, table: &'static Table) -> Vec<String> {
    let rows = lake.snapshot(table).unwrap().scan().unwrap().collect().unwrap();
    let names: Vec<_> = table.schema().iter_names().cloned().collect();
    let rows = rows.select(names).unwrap();
    let row = |row| {
        let cells = rows.get_row(row).unwrap().0;
        cells.iter().map(ToString::to_string).collect::<Vec<_>>().join("|")
    };
    let mut texts: Vec<String> = (0..rows.height()).map(row).collect();
    texts.sort();
    texts
}

/// Files of tables that gained columns which exports fill: they are to be loaded again.
fn loaded_again() -> [PathBuf; 2] {
    [kept("exports/ad_spend.csv"), kept("exports/points.json")]
}

/// Answers that do not tell when files were loaded.
fn answers(lake: &Lake) -> Vec<(&'static str, DataFrame)> {
    let of_rows = |(name, _): &(&str, DataFrame)| !["coverage", "data-quality"].contains(name);
    answers_of_each(lake, 1).into_iter().filter(of_rows).collect()
}

/// Each table as `NAME: rows, merged, days, loads`; all 0 for one that only gains columns.
fn plain(upgraded: &[UpgradedTable]) -> Vec<String> {
    let line = |table: &UpgradedTable| {
        let UpgradedTable { table, rows, merged, days, loads, .. } = table;
        let days: Vec<_> = days.iter().map(|day| day.format("%m-%d").to_string()).collect();
        format!("{table}: {rows}, {merged}, {}, {loads}", days.join("+"))
    };
    upgraded.iter().map(line).collect()
}

/// What the upgrade of the lake does, by the rows in its exports.
const UPGRADE: [&str; 13] = [
    "sessions: 3, 0, 06-02, 1",
    "deployments: 2, 1, 06-01+06-03, 1",
    "messages: 2, 0, 06-01+06-02, 1",
    "message_summaries: 0, 0, , 1",
    "session_summaries: 0, 0, , 1",
    "closures: 1, 0, 06-02, 1",
    "meta_points: 0, 0, , 1",
    "ad_spend: 0, 0, , 1",
    "conversions: 1, 0, 06-02, 1",
    "audience_tags: 2, 2, 06-01, 1",
    "rates: 0, 0, , 1",
    "variables: 1, 1, 06-02, 1",
    "runs: 0, 0, , 0",
];

#[test]
fn every_query_is_answered_before_and_after_the_upgrade() {
    let (_folder, lake) = older();
    let before = answers_of_each(&lake, 1);
    assert!(before.iter().filter(|(_, answer)| answer.height() > 0).count() > 25);
    assert_eq!(lake.status().unwrap().open_rejects, 1);
    assert_eq!(lake.loads().unwrap().height(), 12);

    // A dry run tells what is done, and does nothing.
    let planned = upgrade(&lake, true).unwrap();
    assert!(stored_tables().all(|table| lake.history(table).unwrap().len() < 4));
    let loads = lake.loads().unwrap();
    let done = upgrade(&lake, false).unwrap();
    let without_version = done.iter().map(|table| UpgradedTable { version: None, ..table.clone() });
    assert_eq!(without_version.collect::<Vec<_>>(), planned);
    assert_eq!(plain(&done), UPGRADE);
    assert!(upgrade(&lake, false).unwrap().is_empty(), "nothing is left to do");
    assert!(lake.loads().unwrap().equals_missing(&loads));

    let (_other, expected) = newer();
    for table in
        TABLES.iter().filter(|table| ![&ad_spend::TABLE, &meta_points::TABLE].contains(table))
    {
        assert_eq!(stored(&lake, table), stored(&expected, table), "{}", table.name);
    }
    load_files(&lake, &loaded_again());
    for table in TABLES {
        assert_eq!(stored(&lake, table), stored(&expected, table), "{}", table.name);
    }
    assert_same(&answers(&lake), &answers(&expected));
}

#[test]
fn columns_that_tables_gained_are_told() {
    let (_folder, lake) = older();
    let columns = |table: &Table| {
        let upgraded = upgrade(&lake, true).unwrap().into_iter();
        let mut found = upgraded.filter(|upgraded| upgraded.table == table.name);
        found.next().unwrap().columns
    };
    assert_eq!(columns(&closures::TABLE), ["user_id"]);
    assert_eq!(columns(&conversions::TABLE), ["user_id"]);
    assert!(columns(&messages::TABLE).contains(&"pricing_type".to_owned()));
    assert!(columns(&variables::TABLE).contains(&"conversation_version".to_owned()));
    assert!(columns(&meta_points::TABLE).contains(&"product_type".to_owned()));
}

#[test]
fn a_load_settles_the_persons_of_its_days() {
    let (folder, lake) = older();
    let again = folder.path().join("again.csv");
    let header = "conversation_id,conversation_version,user_country_code,user_cellphone,\
                  deployment_timestamp,delivery_status\n";
    fs::write(&again, format!("{header}418,1,57,3005550107,2025-06-01T08:30:00Z,Sent\n")).unwrap();
    load_files(&lake, std::slice::from_ref(&again));
    // Two spellings of one number are one row now, and the other days are as they were.
    assert_eq!(lake.snapshot(&deployments::TABLE).unwrap().rows(), 4);
    let upgraded = plain(&upgrade(&lake, true).unwrap());
    assert!(upgraded.contains(&"deployments: 1, 0, 06-03, 1".to_owned()), "{upgraded:?}");

    // All files again, and the upgrade, in either order.
    let (_folder, first) = older();
    upgrade(&first, false).unwrap();
    for lake in [&lake, &first] {
        load_files(lake, std::slice::from_ref(&again));
        load_files(lake, &[kept("exports")]);
    }
    upgrade(&lake, false).unwrap();
    let (_folder, expected) = newer();
    load_files(&expected, &[again]);
    for table in TABLES {
        for lake in [&lake, &first] {
            assert_eq!(stored(lake, table), stored(&expected, table), "{}", table.name);
        }
    }
    assert_eq!(lake.snapshot(&audience_tags::TABLE).unwrap().rows(), 3);
}

/// A copy of a lake on a store in memory.
fn on_store(lake: &Lake) -> Lake {
    let place = Place::over(Arc::new(InMemory::new()), "lake").unwrap();
    for table in ["tables", "marts"] {
        let folder = lake.root().join(table);
        let mut folders = vec![folder];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                if entry.is_dir() {
                    folders.push(entry);
                    continue;
                }
                let key = entry.strip_prefix(lake.root()).unwrap().to_str().unwrap();
                let key = Key::parse(key).unwrap();
                place.put(&key, bytes::Bytes::from(fs::read(&entry).unwrap())).unwrap();
            }
        }
    }
    Lake::at(place)
}

#[test]
fn a_store_is_upgraded_as_a_folder() {
    let (_folder, lake) = older();
    let copied = on_store(&lake);
    assert_eq!(plain(&upgrade(&copied, true).unwrap()), UPGRADE);
    assert_eq!(plain(&upgrade(&copied, false).unwrap()), UPGRADE);
    assert!(upgrade(&copied, false).unwrap().is_empty());
    upgrade(&lake, false).unwrap();
    for table in TABLES {
        assert_eq!(stored(&copied, table), stored(&lake, table), "{}", table.name);
    }
}

#[test]
fn an_upgrade_that_stops_midway_is_completed_by_the_next() {
    // As if it had been stopped after each table: every table is as before, or upgraded.
    let (_folder, whole) = older();
    upgrade(&whole, false).unwrap();
    for stopped in [1, 4, 9] {
        let (_folder, part) = older();
        for table in stored_tables().take(stopped) {
            upgrade_table(&part, table, false).unwrap();
        }
        answers_of_each(&part, 6);
        upgrade(&part, false).unwrap();
        for table in TABLES {
            assert_eq!(stored(&part, table), stored(&whole, table), "{}", table.name);
        }
    }
}
