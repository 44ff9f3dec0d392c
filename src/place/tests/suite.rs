//! The rules that every place keeps.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;
use uuid::Uuid;

use super::key;
use crate::place::{Key, Made, Part, Place, tail};

/// The writers of a race.
#[derive(Clone, Copy)]
pub(super) struct Races {
    pub(super) writers: usize,
    pub(super) rounds: usize,
}

/// Checks a place that is empty at first. It is empty again afterwards.
pub(super) fn run(place: &Place, races: Races) {
    run_quick(place);
    for rule in [one_of_many_makes_a_file, one_of_many_swaps_a_file] {
        clean_up_after(place, |place| rule(place, races));
    }
    for rule in [large_files_are_whole, deletion_covers_thousands] {
        clean_up_after(place, rule);
    }
}

/// Like [`run`], without the rules that take long on a server.
pub(super) fn run_quick(place: &Place) {
    for rule in [
        files_are_listed_in_order,
        files_are_read_as_they_were_written,
        many_files_are_read_in_order,
        tails_are_ends_of_files,
        what_is_missing_is_no_error,
        conditions_are_heeded,
    ] {
        clean_up_after(place, rule);
    }
}

fn clean_up_after(place: &Place, rule: impl Fn(&Place)) {
    rule(place);
    let left = place.list(&Key::root(), None).unwrap();
    let left: Vec<Key> = left.into_iter().map(|file| file.key).collect();
    place.delete(&left).unwrap();
}

fn put(place: &Place, name: &str, text: &str) {
    place.put(&key(name), Bytes::copy_from_slice(text.as_bytes())).unwrap();
}

fn names(place: &Place, below: &str, after: Option<&str>) -> Vec<String> {
    let below = Key::root().join(below);
    let listed = place.list(&below, after).unwrap();
    listed.into_iter().map(|file| file.key.as_str().to_owned()).collect()
}

fn files_are_listed_in_order(place: &Place) {
    let all = [
        "a/b c.json",
        "a/b%20c.json",
        "a/b.json",
        "a/b/1.json",
        "a/b/é=ü.json",
        "a/utc_day=2025-06-01/x.parquet",
        "ab.json",
        "b/_delta_log/00000000000000000009.json",
        "b/_delta_log/00000000000000000010.checkpoint.parquet",
        "b/_delta_log/00000000000000000010.json",
        "b/_delta_log/00000000000000000011.json",
    ];
    for name in all {
        put(place, name, name);
    }
    let mut sorted = all.map(str::to_owned).to_vec();
    sorted.sort();
    assert_eq!(names(place, "", None), sorted);
    let below = |prefix: &str| -> Vec<String> {
        sorted.iter().filter(|name| name.starts_with(prefix)).cloned().collect()
    };
    assert_eq!(names(place, "a", None), below("a/"), "not `ab.json`");
    assert_eq!(names(place, "a/b", None), below("a/b/"));
    assert_eq!(names(place, "nowhere", None), [""; 0]);
    let log = "b/_delta_log";
    assert_eq!(names(place, log, Some("00000000000000000010")), below("b/_delta_log/")[1..]);
    assert_eq!(names(place, log, Some("00000000000000000010.json")), below("b/_delta_log/")[3..]);
    assert_eq!(names(place, log, Some("00000000000000000012")), [""; 0]);
    let folders = |below: &str| -> Vec<String> {
        let folders = place.folders(&Key::root().join(below)).unwrap();
        folders.into_iter().map(|folder| folder.as_str().to_owned()).collect()
    };
    assert_eq!(folders(""), ["a", "b"]);
    assert_eq!(folders("a"), ["a/b", "a/utc_day=2025-06-01"]);
    assert_eq!(folders("nowhere"), [""; 0]);
    for file in place.list(&Key::root(), None).unwrap() {
        assert_eq!(file.bytes, file.key.as_str().len() as u64);
        assert_eq!(place.read(&file.key).unwrap().unwrap(), file.key.as_str().as_bytes());
        let entry = place.entry(&file.key).unwrap().unwrap();
        assert_eq!((&entry.key, entry.bytes, &entry.tag), (&file.key, file.bytes, &file.tag));
        let age = chrono::Utc::now() - file.modified;
        assert!(age.num_minutes().abs() < 15, "{age}");
    }
}

fn files_are_read_as_they_were_written(place: &Place) {
    let file = key("tables/a.json");
    put(place, "tables/a.json", "first");
    let first = place.entry(&file).unwrap().unwrap();
    put(place, "tables/a.json", "second");
    assert_eq!(place.read(&file).unwrap().unwrap(), "second");
    let second = place.entry(&file).unwrap().unwrap();
    assert_ne!(first.tag, second.tag);
    put(place, "tables/empty", "");
    assert_eq!(place.read(&key("tables/empty")).unwrap().unwrap(), "");
    place.copy(&file, &key("copies/b.json")).unwrap();
    assert_eq!(place.read(&key("copies/b.json")).unwrap().unwrap(), "second");
    assert!(place.copy(&key("nowhere"), &key("copies/c.json")).is_err());
    let scratch = place.scratch().unwrap();
    let written = scratch.path().join("rows.parquet");
    std::fs::write(&written, "rows").unwrap();
    place.put(&key("tables/rows.parquet"), crate::place::Payload::File(written)).unwrap();
    assert_eq!(place.read(&key("tables/rows.parquet")).unwrap().unwrap(), "rows");
    place.sync(&[file, key("tables/rows.parquet")]).unwrap();
}

fn many_files_are_read_in_order(place: &Place) {
    let all: BTreeMap<Key, String> =
        (0..150).map(|at| (key(&format!("many/{at}")), "x".repeat(at * 7))).collect();
    for (name, text) in &all {
        put(place, name.as_str(), text);
    }
    let mut keys: Vec<Key> = all.keys().rev().cloned().collect();
    keys.insert(70, key("many/nowhere"));
    let read = place.read_all(&keys);
    assert_eq!(read.len(), keys.len());
    for (key, bytes) in keys.iter().zip(read) {
        assert_eq!(bytes.unwrap().as_deref(), all.get(key).map(String::as_bytes), "{key}");
    }
    assert!(place.read_all(&[]).is_empty());
}

fn tails_are_ends_of_files(place: &Place) {
    let whole: Vec<u8> = (0..100_000_u32).map(|at| (at % 251) as u8).collect();
    let sizes = [0_u64, 1, 8191, 8192, 8193, 40_000, 100_000];
    let files = sizes.map(|size| (key(&format!("tails/{size}")), size));
    for (file, size) in &files {
        place.put(file, Bytes::copy_from_slice(&whole[..usize::try_from(*size).unwrap()])).unwrap();
    }
    let tails = |files: &[(Key, u64)], share| -> Vec<Part> {
        let tail = |(key, size): &(Key, u64)| (key.clone(), *size, tail(*size, share));
        let part = |(key, size, range)| Part { key, size, range };
        files.iter().map(tail).map(part).collect()
    };
    for share in [1, 3, 4] {
        let tails = tails(&files, share);
        for ((size, tail), found) in sizes.iter().zip(&tails).zip(place.parts(&tails)) {
            let Range { start, end } = tail.range;
            assert!(end == *size && end - start >= size / share);
            let expected = &whole[usize::try_from(start).unwrap()..usize::try_from(*size).unwrap()];
            assert_eq!(found.unwrap(), expected, "{tail:?}");
        }
    }
    let wrong = [(key("tails/8193"), 40_000), (key("tails/nowhere"), 10)];
    for tail in place.parts(&tails(&wrong, 4)) {
        assert!(tail.is_err());
    }
}

/// Runs writers at once. Returns how many were done, by number.
fn race(writers: usize, write: impl Fn(usize, Bytes) -> Made + Sync) -> Vec<(usize, Bytes)> {
    let all: Vec<(usize, Bytes)> =
        (0..writers).map(|at| (at, format!("{at} {}", Uuid::new_v4()).into())).collect();
    std::thread::scope(|scope| {
        let threads: Vec<_> = all
            .iter()
            .map(|(at, bytes)| scope.spawn(|| write(*at, bytes.clone()) == Made::Done))
            .collect();
        let won: Vec<bool> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        all.iter().zip(won).filter(|(_, won)| *won).map(|(writer, _)| writer.clone()).collect()
    })
}

fn one_of_many_makes_a_file(place: &Place, races: Races) {
    for round in 0..races.rounds {
        let file = key(&format!("races/{round:020}.json"));
        let won = race(races.writers, |_, bytes| place.make(&file, bytes).unwrap());
        assert_eq!(won.len(), 1, "{won:?}");
        assert_eq!(place.read(&file).unwrap().unwrap(), won[0].1);
        // Whoever made it may ask again, and others may not.
        assert_eq!(place.make(&file, won[0].1.clone()).unwrap(), Made::Done);
        assert_eq!(place.make(&file, "other".into()).unwrap(), Made::Taken);
    }
}

fn one_of_many_swaps_a_file(place: &Place, races: Races) {
    let file = key("races/beat");
    let tag = || place.entry(&file).unwrap().and_then(|entry| entry.tag).unwrap();
    put(place, "races/beat", "first");
    for _ in 0..races.rounds {
        let before = tag();
        let won = race(races.writers, |_, bytes| place.swap(&file, bytes, &before).unwrap());
        assert_eq!(won.len(), 1, "{won:?}");
        assert_eq!(place.read(&file).unwrap().unwrap(), won[0].1);
        assert_eq!(place.swap(&file, "late".into(), &before).unwrap(), Made::Taken);
    }
    let before = tag();
    place.delete(std::slice::from_ref(&file)).unwrap();
    assert_eq!(place.swap(&file, "gone".into(), &before).unwrap(), Made::Taken);
    assert!(place.read(&file).unwrap().is_none());
}

fn large_files_are_whole(place: &Place) {
    // One part more than a whole number of them.
    let whole: Bytes = (0..33_u8).flat_map(|at| vec![at; 1 << 20]).collect::<Vec<u8>>().into();
    let (of_bytes, of_file) = (key("large/bytes"), key("large/file"));
    place.put(&of_bytes, whole.clone()).unwrap();
    let scratch = place.scratch().unwrap();
    let written = scratch.path().join("large");
    std::fs::write(&written, &whole).unwrap();
    place.put(&of_file, crate::place::Payload::File(written)).unwrap();
    for read in place.read_all(&[of_bytes, of_file]) {
        assert!(read.unwrap().unwrap() == whole);
    }
}

fn what_is_missing_is_no_error(place: &Place) {
    put(place, "a/file", "a");
    let missing = [key("nowhere"), key("a/nowhere"), key("a"), key("a/file/below")];
    for name in &missing {
        assert!(place.read(name).is_ok_and(|read| read.is_none()) || *name == key("a"), "{name}");
    }
    for entry in place.entries(&missing) {
        assert!(entry.unwrap().is_none());
    }
    place.delete(&[key("nowhere"), key("a/nowhere"), key("a/file")]).unwrap();
    place.delete(&[]).unwrap();
    assert!(place.read(&key("a/file")).unwrap().is_none());
    assert!(place.list(&Key::root(), None).unwrap().is_empty());
}

fn deletion_covers_thousands(place: &Place) {
    let keys: Vec<Key> = (0..1100).map(|at| key(&format!("deleted/{at}"))).collect();
    std::thread::scope(|scope| {
        for keys in keys.chunks(100) {
            scope.spawn(move || keys.iter().for_each(|key| put(place, key.as_str(), "x")));
        }
    });
    assert_eq!(place.list(&key("deleted"), None).unwrap().len(), keys.len());
    place.delete(&keys).unwrap();
    assert!(place.list(&key("deleted"), None).unwrap().is_empty());
}

fn conditions_are_heeded(place: &Place) {
    assert!(place.probe().unwrap().are_heeded());
    assert!(place.list(&key(".wabalake/probe"), None).unwrap().is_empty());
    for _ in 0..2 {
        place.require_conditions().unwrap();
    }
}
