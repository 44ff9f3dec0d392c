//! Integer columns of files on stores, of which the ends are fetched.

use std::collections::BTreeMap;

use super::stores::Copied;
use super::*;

/// The values of a column of all files.
fn integers(snapshot: &Snapshot, column: &str) -> Result<Vec<Vec<i64>>> {
    let files: Vec<_> = snapshot.files.iter().collect();
    snapshot.integers(&files, column, |_, values| Ok(values))
}

/// The number of requests for each data file.
fn gets(copied: &Copied) -> BTreeMap<String, usize> {
    let mut gets = BTreeMap::new();
    for asked in copied.asked() {
        if asked.starts_with("GET ") && asked.ends_with(".parquet") {
            *gets.entry(asked).or_default() += 1;
        }
    }
    gets
}

#[test]
fn end_of_each_file_is_fetched_once_and_kept() {
    let (_folder, lake) = lake();
    for date in 1..=9 {
        append(&lake, day(date), &["a", "b", "c"]);
    }
    let copied = Copied::of(&lake);
    let expected = integers(&lake.snapshot(SESSIONS).unwrap(), USER_KEY).unwrap();
    assert_eq!(expected, vec![vec![7_318_008_555_512_345_678_i64; 3]; 9]);
    let read = |lake: Lake, requests| {
        let snapshot = lake.snapshot(SESSIONS).unwrap();
        copied.asked();
        assert_eq!(integers(&snapshot, USER_KEY).unwrap(), expected);
        assert_eq!(gets(&copied).values().sum::<usize>(), requests);
    };
    read(copied.lake(), 9);
    read(copied.lake(), 9);
    read(copied.cached(), 9);
    read(copied.cached(), 0);
    append(&lake, day(10), &["d"]);
    copied.update(&lake);
    let snapshot = copied.cached().snapshot(SESSIONS).unwrap();
    copied.asked();
    assert_eq!(integers(&snapshot, USER_KEY).unwrap().len(), 10);
    assert_eq!(gets(&copied).len(), 1, "the new one");
}

#[test]
fn files_that_a_scan_fetched_whole_are_not_fetched_again() {
    let (_folder, lake) = lake();
    append(&lake, day(1), &["a"]);
    let copied = Copied::of(&lake);
    assert_eq!(all(&copied.cached()), ["a"]);
    let snapshot = copied.cached().snapshot(SESSIONS).unwrap();
    copied.asked();
    assert_eq!(integers(&snapshot, USER_KEY).unwrap().concat().len(), 1);
    assert!(gets(&copied).is_empty());
}

/// A lake of one file with these rows, in row groups of a size.
fn lake_of(columns: Vec<Column>, group: usize) -> (Copied, Snapshot) {
    let (_folder, lake) = lake();
    append(&lake, day(1), &["a"]);
    let copied = Copied::of(&lake);
    let mut rows = DataFrame::new(columns[0].len(), columns).unwrap();
    let mut bytes = Vec::new();
    let writer = ParquetWriter::new(&mut bytes).with_row_group_size(Some(group));
    writer.finish(&mut rows).unwrap();
    let mut snapshot = copied.lake().snapshot(SESSIONS).unwrap();
    let file = &mut snapshot.files[0];
    file.bytes = bytes.len() as u64;
    copied.put(&format!("tables/sessions/{}", file.path), bytes);
    copied.asked();
    (copied, snapshot)
}

fn numbers(name: &str, rows: i64) -> Column {
    let seed = i64::try_from(name.len()).unwrap();
    let numbers: Vec<i64> =
        (0..rows).map(|row| (row + seed).wrapping_mul(0x9E37_79B9_7F4A)).collect();
    Column::new(name.into(), numbers)
}

#[test]
fn column_in_front_of_the_end_is_fetched_for_each_row_group() {
    let columns =
        ["key", "another", "a third", "a fourth column"].map(|name| numbers(name, 60_000));
    let (copied, snapshot) = lake_of(columns.to_vec(), 10_000);
    for column in columns {
        let expected: Vec<i64> = column.i64().unwrap().iter().flatten().collect();
        assert_eq!(integers(&snapshot, column.name()).unwrap(), [expected]);
        // Two of six row groups are in the last third, but for the first columns of one.
        let requests = gets(&copied).values().sum::<usize>();
        assert!((5..=6).contains(&requests), "{requests}");
    }
    assert_eq!(integers(&snapshot, "none").unwrap(), [[0_i64; 0]]);
    assert_eq!(gets(&copied).values().sum::<usize>(), 1);
}

#[test]
fn footer_that_is_longer_than_the_end_is_fetched_whole() {
    let columns: Vec<Column> = (1..400).map(|at| numbers(&"n".repeat(at), 2)).collect();
    let (copied, snapshot) = lake_of(columns, 10);
    let expected: Vec<i64> = numbers("nn", 2).i64().unwrap().iter().flatten().collect();
    assert_eq!(integers(&snapshot, "nn").unwrap(), [expected]);
    let requests = gets(&copied).values().sum::<usize>();
    assert!((2..=3).contains(&requests), "{requests}");
}

#[test]
fn file_that_is_missing_or_replaced_is_damage() {
    let (copied, snapshot) = lake_of(vec![numbers("key", 9_000)], 1_000);
    let file = format!("tables/sessions/{}", snapshot.files[0].path);
    for (bytes, what) in
        [(Some(100), "differs in size"), (Some(50_000), "differs in size"), (None, "is missing")]
    {
        match bytes {
            Some(bytes) => copied.put(&file, vec![0; bytes]),
            None => copied.delete(&file),
        }
        let error = integers(&snapshot, "key").unwrap_err().lines();
        assert!(error.contains(what) && error.contains(&file), "{error}");
    }
    copied.put(&file, vec![0; usize::try_from(snapshot.files[0].bytes).unwrap()]);
    let error = integers(&snapshot, "key").unwrap_err().lines();
    assert!(error.contains(&snapshot.files[0].path), "{error}");
}
