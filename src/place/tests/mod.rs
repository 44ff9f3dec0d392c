//! One suite over every kind of place, and requests that fail.

mod fake;
mod faults;
mod suite;
mod versions;

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use bytes::Bytes;
use object_store::ObjectStore;
use object_store::memory::InMemory;

use self::suite::Races;
use super::counting::Counting;
use super::{Address, Environment, IN_ONE_PUT, Key, Payload, Place, StoreOptions};

const RACES: Races = Races { writers: 8, rounds: 5 };

fn key(text: &str) -> Key {
    Key::parse(text).unwrap()
}

fn memory(prefix: &str) -> Place {
    Place::over(Arc::new(InMemory::new()), prefix).unwrap()
}

#[test]
fn folder_keeps_the_rules_of_a_place() {
    let folder = tempfile::tempdir().unwrap();
    suite::run(&Place::folder(folder.path()), RACES);
}

#[test]
fn store_in_memory_keeps_the_rules_of_a_place() {
    suite::run(&memory(""), RACES);
    suite::run(&memory("env=prod/my lake"), RACES);
}

/// Runs the suite on a server: `WABALAKE_TEST_STORE=s3://bucket/prefix`, with credentials and
/// `WABALAKE_STORE_OPTIONS` in the environment. The prefix should be new. `WABALAKE_TEST_WRITERS` is the
/// number of writers that race for a file.
#[test]
#[ignore = "needs a server"]
fn server_keeps_the_rules_of_a_place() {
    let environment = Environment::of_process();
    let address = environment.get("WABALAKE_TEST_STORE").expect("WABALAKE_TEST_STORE is not set");
    let options = StoreOptions::parse(environment.get("WABALAKE_STORE_OPTIONS"), []).unwrap();
    let open = |address: &str| {
        Place::open(&Address::parse(address).unwrap(), &options, &environment).unwrap()
    };
    let writers = environment.get("WABALAKE_TEST_WRITERS").map_or(4, |text| text.parse().unwrap());
    suite::run(&open(address), Races { writers, rounds: 2 });
    suite::run_quick(&open(&format!("{address}/env=prod/my lake")));
}

#[test]
fn nothing_of_a_place_shows_credentials() {
    let secret = "wJalrXUtnFEMI";
    let environment = Environment::of([
        ("AWS_ACCESS_KEY_ID", secret),
        ("AWS_SECRET_ACCESS_KEY", secret),
        ("AWS_REGION", "eu-west-1"),
    ]);
    let address = Address::parse("s3://events/lake").unwrap();
    let place = Place::open(&address, &StoreOptions::default(), &environment).unwrap();
    let shown = format!("{place:?} {environment:?} {} {}", place.shown(), place.url(&key("a")));
    assert!(!shown.contains(secret), "{shown}");
    assert!(shown.contains("s3://events/lake/a"), "{shown}");
}

#[cfg(unix)]
#[test]
fn folder_lists_no_links_and_nothing_behind_them() {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().unwrap();
    let (lake, other) = (folder.path().join("lake"), folder.path().join("other"));
    for place in [&lake, &other] {
        std::fs::create_dir_all(place.join("tables")).unwrap();
        std::fs::write(place.join("tables/a.json"), "a").unwrap();
    }
    symlink(other.join("tables"), lake.join("marts")).unwrap();
    symlink(other.join("tables/a.json"), lake.join("tables/b.json")).unwrap();
    let place = Place::folder(&lake);
    let listed = place.list(&Key::root(), None).unwrap();
    assert_eq!(listed.iter().map(|file| file.key.as_str()).collect::<Vec<_>>(), ["tables/a.json"]);
    assert!(place.list(&key("marts"), None).unwrap().is_empty());
    assert_eq!(place.folders(&Key::root()).unwrap(), [key("tables")]);
    assert!(place.read(&key("tables/b.json")).unwrap().is_some(), "reading follows links");
}

#[test]
fn folder_leaves_no_temporary_files() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::folder(folder.path());
    let file = key("tables/sessions/a.json");
    for _ in 0..2 {
        let _ = place.make(&file, "a".into()).unwrap();
        let _ = place.swap(&file, "b".into(), "no such tag").unwrap();
    }
    let names: Vec<_> = place.list(&Key::root(), None).unwrap();
    let names: Vec<_> = names.iter().map(|entry| entry.key.as_str()).collect();
    assert_eq!(names, [".wabalake/locks/swap", "tables/sessions/a.json"]);
}

#[test]
fn upload_that_fails_leaves_no_parts_behind() {
    let whole = Bytes::from(vec![7; IN_ONE_PUT + 1]);
    let folder = tempfile::tempdir().unwrap();
    let written = folder.path().join("rows");
    std::fs::write(&written, &whole).unwrap();
    for broken in 0..=5 {
        for payload in [Payload::from(whole.clone()), Payload::File(written.clone())] {
            let store = Arc::new(Counting::default());
            let place = Place::over(Arc::clone(&store) as Arc<dyn ObjectStore>, "lake").unwrap();
            let uploads = &store.uploads;
            uploads.broken.store(broken, SeqCst);
            let put = place.put(&key("rows"), payload);
            let ends = [&uploads.completed, &uploads.aborted].map(|of| of.load(SeqCst));
            let there = place.read(&key("rows")).unwrap();
            if broken == 0 {
                put.unwrap();
                assert!(
                    ends == [1, 0]
                        && uploads.parts.load(SeqCst) == 5
                        && there == Some(whole.clone())
                );
            } else {
                assert!(put.is_err() && ends == [0, 1] && there.is_none(), "{broken}: {ends:?}");
            }
        }
    }
}
