//! Races of writers of one file: whatever the place and whatever answers are lost, exactly one is told
//! that it wrote, and its bytes are there.

use std::sync::Barrier;

use bytes::Bytes;
use uuid::Uuid;

use super::*;

const WRITERS: usize = 8;

/// Lets writers begin at once, each with bytes of its own. Returns the bytes of those that were told
/// that they wrote.
fn race(write: impl Fn(Bytes) -> Result<Made> + Sync) -> Vec<Bytes> {
    let start = Barrier::new(WRITERS);
    let writer = || {
        let mine = Bytes::from(Uuid::new_v4().to_string());
        start.wait();
        match write(mine.clone()).expect("a writer is told whether it wrote") {
            Made::Done => Some(mine),
            Made::Taken => None,
        }
    };
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS).map(|_| scope.spawn(writer)).collect();
        writers.into_iter().filter_map(|writer| writer.join().expect("no writer panics")).collect()
    })
}

fn tag(place: &Place, key: &Key) -> Option<String> {
    let entry = place.entries(std::slice::from_ref(key)).remove(0).unwrap().unwrap();
    entry.tag
}

fn races(place: &Place, rounds: usize) {
    let folder = Key::root().join("races").join(Uuid::new_v4());
    for round in 0..rounds {
        let key = folder.join(round);
        let made = race(|mine| place.make(&key, mine));
        assert_eq!(made.len(), 1, "writers that made the same file");
        assert_eq!(place.read(&key).unwrap().as_ref(), made.first());

        let tag = tag(place, &key).expect("every place that can be raced for has tags");
        let swapped = race(|mine| place.swap(&key, mine, &tag));
        assert_eq!(swapped.len(), 1, "writers that replaced the same version of a file");
        assert_eq!(place.read(&key).unwrap().as_ref(), swapped.first());
    }
    let keys: Vec<Key> = (0..rounds).map(|round| folder.join(round)).collect();
    place.delete(&keys).unwrap();
    assert!(place.list(&folder, None).unwrap().is_empty());
}

#[test]
fn one_writer_wins_in_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    races(&Place::folder(folder.path()), 20);
}
