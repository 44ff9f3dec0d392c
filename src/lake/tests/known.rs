//! Changes on stores that are computed from versions that were read before.

use super::stores::Copied;
use super::*;

/// Merges a session through a transaction. Returns the number of attempts.
fn transact(lake: &Lake, load_id: &str) -> usize {
    let mut attempts = 0;
    let done = lake.transact(SESSIONS, |snapshot, staging| {
        attempts += 1;
        Ok(Some(merge(snapshot, staging, load_id, day(1), &[load_id])))
    });
    assert!(done.unwrap().is_committed);
    attempts
}

#[test]
fn change_from_a_known_version_keeps_what_others_committed() {
    let (_folder, lake) = lake();
    load(&lake, "first", day(1), &["first"]);
    let copied = Copied::of(&lake);
    let (one, other) = (copied.lake(), copied.lake());

    let lease = one.writing().unwrap();
    one.snapshot(SESSIONS).unwrap();
    copied.asked();
    assert_eq!(transact(&one, "known"), 1);
    let asked = copied.asked();
    let is_log = |asked: &&String| asked.starts_with("LIST ") && asked.ends_with("_delta_log");
    assert_eq!(asked.iter().find(is_log), None, "the log is not listed again");

    one.snapshot(SESSIONS).unwrap();
    assert_eq!(transact(&other, "another"), 1);
    assert_eq!(transact(&one, "after a conflict"), 2);
    // Its own commit is no version that was read.
    assert_eq!(transact(&one, "after its own"), 1);
    assert_eq!(
        all(&copied.lake()),
        ["after a conflict", "after its own", "another", "first", "known"]
    );

    // That there is nothing to change is true of the newest version.
    one.snapshot(SESSIONS).unwrap();
    transact(&other, "awaited");
    let mut versions = Vec::new();
    let done = one.transact(SESSIONS, |snapshot, _| {
        versions.push(snapshot.version);
        Ok(None)
    });
    assert_eq!(done.unwrap().version, Some(5));
    assert_eq!(versions, [Some(4), Some(5)]);

    // What was read under a lease that has ended is read again.
    drop(lease);
    let _lease = one.writing().unwrap();
    assert_eq!(one.read_before(&SESSIONS.into()).unwrap().map(|known| known.version), None);
}
