//! Older versions that S3 keeps: how they are listed and deleted.

use super::fake::{Fake, Trouble};
use super::key;
use crate::place::versions::{Kept, Version};
use crate::place::{Environment, Key};

use Trouble::{Answer, Before};

fn answer(status: u16, body: &str) -> Trouble {
    Answer(status, body.to_owned())
}

fn entry(kind: &str, key: &str, id: &str, is_latest: bool) -> String {
    format!(
        "<{kind}><Key>{key}</Key><VersionId>{id}</VersionId><IsLatest>{is_latest}</IsLatest></{kind}>"
    )
}

fn page(entries: &[String], next: Option<&str>) -> Trouble {
    let next = next.map(|next| {
        format!(
            "<IsTruncated>true</IsTruncated><NextKeyMarker>{next}</NextKeyMarker>\
             <NextVersionIdMarker>v</NextVersionIdMarker>"
        )
    });
    let entries = entries.concat();
    answer(
        200,
        &format!("<ListVersionsResult>{}{entries}</ListVersionsResult>", next.unwrap_or_default()),
    )
}

#[test]
fn store_tells_what_it_keeps() {
    let status = |status| {
        format!("<VersioningConfiguration><Status>{status}</Status></VersioningConfiguration>")
    };
    for (troubles, kept) in [
        (vec![answer(200, &status("Enabled"))], Kept::Versions { is_on: true }),
        (vec![answer(200, &status("Suspended"))], Kept::Versions { is_on: false }),
        (vec![answer(200, "<VersioningConfiguration/>")], Kept::Nothing),
        (vec![answer(501, "")], Kept::Nothing),
        (vec![answer(403, "")], Kept::Unknown(Some(403))),
        (vec![Before(503), Trouble::BrokenBefore, answer(403, "")], Kept::Unknown(Some(403))),
        (vec![Trouble::Refused; 5], Kept::Unknown(None)),
    ] {
        assert_eq!(Fake::with(troubles.clone()).place().kept().unwrap(), kept, "{troubles:?}");
    }
    let fake = Fake::with([answer(403, ""), answer(200, &status("Enabled"))]);
    let place = fake.place();
    assert_eq!(place.kept().unwrap(), place.kept().unwrap(), "it is asked once");
    let account = [("AZURE_STORAGE_ACCOUNT", "acme"), ("AZURE_STORAGE_ACCOUNT_KEY", "c2VjcmV0")];
    let azure = Fake::with([]).place_at("az://events/lake", &Environment::of(account));
    assert!(matches!(azure.kept().unwrap(), Kept::Maybe(what) if what.contains("Azure")));
}

#[test]
fn versions_are_listed_to_the_last_page() {
    let first =
        [entry("Version", "lake/a", "1", false), entry("DeleteMarker", "lake/a", "2", true)];
    let others =
        [entry("Version", "lake2/a", "1", true), entry("Version", "lake/b c", "null", true)];
    let fake = Fake::with([page(&first, Some("lake/a")), page(&others, None)]);
    let found = fake.place().versions(&Key::root()).unwrap();
    let found: Vec<_> =
        found.iter().map(|of| (of.key.as_str(), &*of.id, of.is_latest, of.is_marker)).collect();
    assert_eq!(
        found,
        [("a", "1", false, false), ("a", "2", true, true), ("b c", "null", true, false)]
    );
    for troubles in [
        vec![page(&[], Some("lake/a")), page(&[], Some("lake/a"))],
        vec![answer(403, "")],
        vec![answer(200, "<html>")],
    ] {
        let error = Fake::with(troubles).place().versions(&key("tables")).unwrap_err();
        assert!(error.lines().contains("s3:ListBucketVersions"), "{}", error.lines());
    }
}

#[test]
fn versions_that_are_not_deleted_are_named() {
    let version = |key: &str| Version {
        key: super::key(key),
        id: "3/L4+k".to_owned(),
        bytes: 1,
        is_latest: false,
        is_marker: false,
    };
    let versions = [version("a b.parquet"), version("c.parquet")];
    let fake = Fake::with([answer(204, ""), answer(404, "")]);
    fake.place().delete_versions(&versions).unwrap();
    let requests = fake.requests.lock().unwrap().clone();
    assert_eq!(requests, ["DELETE /events/lake/a%20b.parquet", "DELETE /events/lake/c.parquet"]);
    for status in [403, 409] {
        let fake = Fake::with([answer(status, ""), answer(status, "")]);
        let error = fake.place().delete_versions(&versions).unwrap_err();
        let lines = error.lines();
        assert!(
            lines.contains("s3://events/lake/a b.parquet, s3://events/lake/c.parquet"),
            "{lines}"
        );
        assert!(lines.contains("Object Lock") && lines.contains(&status.to_string()), "{lines}");
        assert_eq!(error.exit_code(), 1);
    }
}
