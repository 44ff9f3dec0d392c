//! Requests that fail: nothing is lost, nothing is taken for another's, no secret is shown.

use proptest::prelude::*;
use uuid::Uuid;

use super::fake::{Fake, Trouble};
use super::key;
use crate::place::access::Environment;
use crate::place::{Key, Made};

use Trouble::{After, Before, BrokenAfter, BrokenBefore, Cut, Silent};

const COMMIT: &str = "lake/tables/sessions/_delta_log/00000000000000000007.json";

fn commit() -> Key {
    key(COMMIT.strip_prefix("lake/").unwrap())
}

#[test]
fn own_file_is_not_taken_for_anothers() {
    for trouble in [After(503), After(500), After(429), BrokenAfter, Silent] {
        let fake = Fake::with([trouble.clone()]);
        assert_eq!(fake.place().make(&commit(), "mine".into()).unwrap(), Made::Done, "{trouble:?}");
        assert_eq!(fake.object(COMMIT).unwrap(), "mine");
    }
}

#[test]
fn conflict_under_way_is_no_other_writer() {
    // S3 answers 409 if another request for the same key is not done; that one may fail.
    let fake = Fake::with([Before(409)]);
    assert_eq!(fake.place().make(&commit(), "mine".into()).unwrap(), Made::Done);
    let fake = Fake::with([Before(409)]);
    fake.set(COMMIT, "theirs");
    assert_eq!(fake.place().make(&commit(), "mine".into()).unwrap(), Made::Taken);
}

#[test]
fn swap_in_doubt_is_read_back() {
    for trouble in [After(503), BrokenAfter, Silent, Before(409), Before(503)] {
        let fake = Fake::with([]);
        let place = fake.place();
        fake.set("lake/beat", "first");
        let tag = place.entry(&key("beat")).unwrap().unwrap().tag.unwrap();
        fake.troubles.lock().unwrap().push_back(trouble.clone());
        let made = place.swap(&key("beat"), "second".into(), &tag).unwrap();
        assert_eq!(made, Made::Done, "{trouble:?}");
        assert_eq!(place.swap(&key("beat"), "third".into(), &tag).unwrap(), Made::Taken);
        assert_eq!(fake.object("lake/beat").unwrap(), "second");
    }
}

#[test]
fn refused_write_is_certain_and_asked_once() {
    for status in [400, 401, 403, 405, 501] {
        let fake = Fake::with([Before(status)]);
        let error = fake.place().make(&commit(), "mine".into()).unwrap_err();
        assert!(!error.is_in_doubt(), "{error}");
        assert!(error.details().hint.is_some());
        assert_eq!(fake.requests.lock().unwrap().len(), 1, "{status}");
        assert!(fake.object(COMMIT).is_none());
    }
}

#[test]
fn write_that_cannot_be_read_back_is_in_doubt() {
    let troubles = [After(503)].into_iter().chain((0..40).map(|_| Before(503)));
    let fake = Fake::with(troubles);
    let error = fake.place().make(&commit(), "mine".into()).unwrap_err();
    assert!(error.is_in_doubt(), "{error}");
    // The credentials end between two tries.
    let fake = Fake::with([After(503), Before(403), Before(403)]);
    assert!(fake.place().make(&commit(), "mine".into()).unwrap_err().is_in_doubt());
}

#[test]
fn failed_read_is_tried_again() {
    for trouble in [Before(503), Before(500), Before(429), BrokenBefore, Silent, Cut] {
        let fake = Fake::with([trouble.clone()]);
        fake.set("lake/a.json", "0123456789");
        let read = fake.place().read(&key("a.json")).unwrap();
        assert_eq!(read.unwrap(), "0123456789", "{trouble:?}");
    }
}

#[test]
fn body_of_another_size_is_not_taken() {
    // A server that answers the second request with the whole file, and not the rest of it.
    let fake = Fake::with([Cut, Trouble::Whole]);
    fake.set("lake/a.json", "0123456789");
    assert_eq!(fake.place().read(&key("a.json")).unwrap().unwrap(), "0123456789");
    let fake = Fake::with([Cut, Trouble::Whole, Cut, Trouble::Whole, Cut, Trouble::Whole]);
    fake.set("lake/a.json", "0123456789");
    let error = fake.place().read(&key("a.json")).unwrap_err();
    assert!(error.to_string().contains("the connection to the store broke"), "{error}");
}

#[test]
fn missing_bucket_is_no_missing_file() {
    let body = "<Error><Code>NoSuchBucket</Code><BucketName>events</BucketName></Error>";
    let fake = Fake::with([Trouble::Answer(404, body.to_owned())]);
    let place = fake.place();
    let error = place.read(&key("a.json")).unwrap_err();
    assert!(error.to_string().contains("the bucket does not exist (404 NoSuchBucket)"), "{error}");
    assert!(place.read(&key("a.json")).unwrap().is_none());
}

#[test]
fn fault_says_status_code_key_and_what_to_do() {
    let body = |code: &str| format!("<Error><Code>{code}</Code><Message>no</Message></Error>");
    for (status, code, what, hint) in [
        (403, "AccessDenied", "the store refused it (403 AccessDenied)", "AWS_ACCESS_KEY_ID"),
        (403, "SignatureDoesNotMatch", "does not accept the credentials", "AWS_ACCESS_KEY_ID"),
        (400, "ExpiredToken", "the credentials have expired", "renew"),
        (403, "RequestTimeTooSkewed", "clock is wrong", "set the clock"),
        (301, "PermanentRedirect", "in another region", "AWS_REGION"),
        (400, "AuthorizationHeaderMalformed", "in another region", "AWS_REGION"),
        (418, "Teapot", "rejected the request (418 Teapot)", "wabalake check"),
    ] {
        let fake = Fake::with([Trouble::Answer(status, body(code))]);
        let error = fake.place().read(&key("tables/a.json")).unwrap_err();
        let lines = error.lines();
        assert!(lines.contains("reading `s3://events/lake/tables/a.json`: "), "{lines}");
        assert!(lines.contains(what), "{lines}");
        assert!(error.details().hint.as_ref().unwrap().contains(hint), "{lines}");
        assert_eq!(error.exit_code(), 1);
    }
    let absent = Fake::with([Trouble::Refused]);
    let place = absent.place();
    let error = place.read(&key("a.json")).unwrap_err();
    assert!(error.to_string().ends_with("cannot connect to the store: nothing listens there"));
    assert!(place.read(&key("a.json")).unwrap().is_none());
    absent.troubles.lock().unwrap().push_back(Trouble::Refused);
    assert!(place.read(&key("a.json")).is_ok(), "a store that was reached is tried again");
    let overloaded = Fake::with([Before(503), Before(503), Before(503), Before(503)]);
    let error = overloaded.place().read(&key("a.json")).unwrap_err();
    assert!(error.to_string().contains("overloaded (503)"), "{error}");
    let silent = Fake::with([Silent, Silent, Silent, Silent]);
    let error = silent.place().read(&key("a.json")).unwrap_err();
    assert!(error.to_string().contains("does not answer"), "{error}");
}

#[test]
fn requests_and_bytes_are_counted() {
    let fake = Fake::with([Before(503)]);
    let place = fake.place();
    let _ = place.make(&commit(), "mine".into()).unwrap();
    place.read(&commit()).unwrap();
    let counts = place.counts();
    assert_eq!((counts.requests, counts.sent, counts.received), (3, 8, 4));
    assert_eq!(place.store().unwrap().connected().meter.clock_ahead().map(i64::abs), Some(0));
}

fn troubles() -> impl Strategy<Value = Vec<Trouble>> {
    let one = prop_oneof![
        Just(Trouble::None),
        Just(After(503)),
        Just(After(500)),
        Just(Before(503)),
        Just(Before(409)),
        Just(Before(403)),
        Just(BrokenAfter),
        Just(BrokenBefore),
        Just(Cut),
    ];
    proptest::collection::vec(one, 0..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn outcome_of_a_write_is_true_whatever_fails(troubles in troubles(), taken in any::<bool>()) {
        let fake = Fake::with(troubles);
        if taken {
            fake.set(COMMIT, "theirs");
        }
        let mine = Uuid::new_v4().to_string();
        let made = fake.place().make(&commit(), mine.clone().into());
        let is_mine = fake.object(COMMIT).is_some_and(|there| there == mine);
        match made {
            Ok(Made::Done) => prop_assert!(is_mine),
            Ok(Made::Taken) => prop_assert!(taken && !is_mine),
            Err(error) => prop_assert!(error.is_in_doubt() || !is_mine, "{}", error),
        }
        prop_assert!(!(taken && is_mine), "another's file was replaced");
    }

    #[test]
    fn no_message_shows_credentials(
        id in "[A-Z0-9]{16,20}",
        secret in "[A-Za-z0-9/+]{24,40}",
        token in "[A-Za-z0-9/+]{24,60}",
        status in prop_oneof![Just(400_u16), Just(401), Just(403), Just(404), Just(409), Just(500)],
        code in "(AccessDenied|InvalidAccessKeyId|[A-Za-z0-9]{20}|)",
        on_azure in any::<bool>(),
    ) {
        let body = format!(
            "<Error><Code>{code}</Code><AWSAccessKeyId>{id}</AWSAccessKeyId>\
             <StringToSign>{secret} {token}</StringToSign></Error>"
        );
        let fake = Fake::with((0..12).map(|_| Trouble::Answer(status, body.clone())));
        let signature = format!("sv=2022-11-02&sig={}", token.replace('+', "%2B"));
        let (address, environment) = match on_azure {
            true => ("az://events/lake", Environment::of([
                ("AZURE_STORAGE_ACCOUNT", "acme"),
                ("AZURE_STORAGE_SAS_TOKEN", signature.as_str()),
            ])),
            false => ("s3://events/lake", Environment::of([
                ("AWS_ACCESS_KEY_ID", id.as_str()),
                ("AWS_SECRET_ACCESS_KEY", &secret),
                ("AWS_SESSION_TOKEN", &token),
                ("AWS_REGION", "eu-west-1"),
            ])),
        };
        let place = fake.place_at(address, &environment);
        let mut shown = format!("{place:?} {environment:?} {}", place.shown());
        for done in [
            place.read(&key("a")).map(drop),
            place.list(&Key::root(), None).map(drop),
            place.make(&key("a"), "a".into()).map(drop),
            place.delete(&[key("a")]),
        ] {
            if let Err(error) = done {
                shown = format!("{shown} {error:?} {error:#?} {error} {}", error.lines());
            }
        }
        for secret in [&id, &secret, &token, &signature, "StringToSign"] {
            prop_assert!(!shown.contains(secret), "{} in {}", secret, shown);
        }
        if status == 403 {
            prop_assert!(shown.contains("403"));
        }
    }
}
