//! Erasures on stores that are killed, and that wait for others.

use bytes::Bytes;

use super::killed::{killed_at_each_write, lake_in};
use super::machine::{Cloud, Machine};
use super::writing::{TIMES, lake_on};
use super::*;
use crate::lake::erase::Options as Erasure;
use crate::load;

/// Exports in which some rows name only a session of the person.
const EXPORTS: [(&str, &str); 3] = [
    (
        "sessions.csv",
        "session_id,session_started_timestamp,user_country_code,user_cellphone,first_message\n\
         p1,2025-06-01 10:00:00,1,2025550143,hi\n\
         a1,2025-06-01 11:00:00,1,2025550144,ask 12025550143\n",
    ),
    (
        "variables.csv",
        "session_id,phone,conversation_id,name,value,at\n\
         p1,,11,city,of theirs,2025-06-01T10:05:00Z\n\
         a1,,11,city,Cali,2025-06-01T11:05:00Z\n",
    ),
    (
        "broken.csv",
        "session_id,session_started_timestamp,user_country_code,user_cellphone,first_message\n\
         p1,yesterday,,,of a session of theirs\n",
    ),
];

/// A store with a lake that holds the person, also in an old version and in a log.
fn held() -> Arc<Cloud> {
    let cloud = Arc::new(Cloud::default());
    let lake = lake_in(&cloud);
    let folder = tempfile::tempdir().unwrap();
    let options = load::Options { quiet: true, ..load::Options::default() };
    for (file, text) in EXPORTS {
        let path = folder.path().join(file);
        fs::write(&path, text).unwrap();
        let loaded = load::load(&lake, &[path], &options);
        assert_eq!(loaded.is_ok(), file != "broken.csv", "{file}");
    }
    let named = folder.path().join("of 12025550143.csv");
    fs::write(&named, EXPORTS[0].1.replace("1,2025550143", "1,2025550145")).unwrap();
    load::load(&lake, &[named], &options).unwrap();
    lake.undo().unwrap();
    cloud
}

/// Objects that hold the person: their number, or the value of a variable of theirs.
fn holding(cloud: &Arc<Cloud>) -> Vec<String> {
    let place = Place::over(Machine::alive(cloud), "").unwrap();
    let holds = |text: &str| text.contains(PHONE) || text.contains("of theirs");
    let mut found = Vec::new();
    for entry in place.list(&Key::root(), None).unwrap() {
        // A lock of another machine may be gone since it was listed.
        let Some(bytes) = place.read(&entry.key).unwrap() else { continue };
        let mut held = holds(&String::from_utf8_lossy(&bytes));
        if entry.key.name().ends_with(".parquet") && entry.key.parent().name() != "_delta_log" {
            let rows = ParquetReader::new(std::io::Cursor::new(bytes)).finish().unwrap();
            for column in rows.columns() {
                let texts = column.str().into_iter().flat_map(StringChunked::iter).flatten();
                held |= texts.into_iter().any(holds);
            }
        }
        if held {
            found.push(entry.key.to_string());
        }
    }
    found
}

fn options() -> Erasure {
    Erasure { keep_out: true, ..Erasure::default() }
}

#[test]
fn killed_erasure_is_completed_by_the_next_one() {
    let base = held();
    assert!(holding(&base).len() >= 5, "{:?}", holding(&base));
    let erase = |lake: &Lake| lake.erase(PHONE, options()).map(drop);
    let kills = killed_at_each_write(&base, erase, |cloud, at| {
        let next = lake_in(cloud);
        let done = next.erase(PHONE, options()).unwrap();
        assert_eq!(holding(cloud), [] as [&str; 0], "{at}");
        assert!(next.place().entry(&Key::root().join(OWN).join("erasing")).unwrap().is_none());
        let again = next.erase(PHONE, options()).unwrap();
        assert!(again.is_nothing(), "{at}: {done:?} {again:?}");
        assert_eq!(next.snapshot(SESSIONS).unwrap().rows(), 1);
        assert!(next.keep_out().unwrap().unwrap().has_person(PHONE));
    });
    assert!(kills > 10, "it writes the list, a journal, files and commits: {kills}");
}

#[test]
fn erasure_waits_for_writers_of_other_machines() {
    let cloud = held();
    let (writer, lake) = (lake_in(&cloud), lake_in(&cloud));
    let writing = writer.writing().unwrap();
    // A dry run needs not wait, and writes nothing.
    let before = holding(&cloud);
    let only_reads = lake_on(&Machine::killed_at(&cloud, 0, false));
    let tried = only_reads.erase(PHONE, Erasure { dry_run: true, ..options() }).unwrap();
    assert_eq!(tried.rows(), 3);
    std::thread::scope(|scope| {
        let erasing = scope.spawn(|| lake.erase(PHONE, options()).unwrap());
        std::thread::sleep(TIMES.look * 30);
        assert!(!erasing.is_finished());
        assert_eq!(holding(&cloud), before);
        drop(writing);
        assert_eq!(erasing.join().unwrap().rows(), 3);
    });
    assert_eq!(holding(&cloud), [] as [&str; 0]);
}

#[test]
fn erasure_empties_the_cache_of_this_machine() {
    let objects = Machine::alive(&held());
    let folder = tempfile::tempdir().unwrap();
    let cached = || {
        let options =
            crate::place::cache::Options { folder: folder.path().to_owned(), limit: 1 << 30 };
        let place = Place::over(Arc::clone(&objects), stores::PREFIX).unwrap();
        Lake { times: TIMES, ..Lake::at(place.with_cache(Some(options))) }
    };
    assert_eq!(all(&cached()), ["a1", "p1"]);
    assert!(crate::place::cache::size(folder.path()).1 > 0);
    let lake = cached();
    lake.erase(PHONE, options()).unwrap();
    assert_eq!(crate::place::cache::size(folder.path()), (0, 0));
    assert_eq!(all(&lake), ["a1"]);
    let other = Key::root().join("notes.txt");
    lake.place().put(&other, Bytes::from_static(b"12025550143")).unwrap();
    assert_eq!(lake.erase(PHONE, options()).unwrap().left, [Path::new("notes.txt")]);
}
