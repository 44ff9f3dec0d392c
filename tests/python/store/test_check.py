"""`wabalake check` of a store tells whether a lake works there, leaves nothing behind, and shows no secret."""

import json
import subprocess

import pytest

import stores
from program import ROOT, command, load
from proxy import LEAK, Proxy
from stores import copy_lake


def said_of(environment, *arguments):
    return subprocess.run(command(*arguments), env=environment, capture_output=True, text=True, timeout=120)


def check(address, environment, *options):
    """Returns the exit code, the findings by subject, and all that was printed."""
    done = said_of(environment, "check", "--lake", address, "-f", "json", *options)
    said = done.stdout + done.stderr
    for secret in (*stores.SECRETS, LEAK, "X-Amz-"):
        assert secret not in said
    findings = json.loads(done.stdout) if done.stdout else []
    return done.returncode, {finding["check"]: finding for finding in findings}, said


def objects(store):
    return [entry["path"] for page in store.client().list() for entry in page]


@pytest.mark.parametrize("options", [("--deep",), ("--write",)], ids=["reads", "writes"])
def test_store(options, store, demo_lake):
    copy_lake(demo_lake, store.client(), "checked")
    before = objects(store)
    code, found, _ = check(store.url("checked"), store.environment(), *options)
    assert code == 0 and {finding["verdict"] for finding in found.values()} <= {"good", "neutral", None}
    assert found["access"]["verdict"] == found["lake"]["verdict"] == found["clock"]["verdict"] == "good"
    assert (found["conditions"]["verdict"] == "good") == ("--write" in options)
    assert objects(store) == before


def test_damaged_files(s3, tmp_path):
    load(tmp_path / "lake", ROOT / "data/exports/general_sessions_report_2025_06_10.csv")
    copy_lake(tmp_path / "lake", s3.client(), "damaged")
    client = s3.client()
    altered, cut, missing = sorted(path for path in objects(s3) if path.startswith("damaged/tables/sessions/utc_day"))[:3]
    whole = bytearray(client.get(altered).bytes())
    whole[len(whole) // 2] ^= 1
    client.put(altered, bytes(whole))
    client.put(cut, bytes(whole))
    client.delete(missing)
    for options, expected in ((), (cut, missing)), (("--deep",), (altered, cut, missing)):
        done = said_of(s3.environment(), "check", "--lake", s3.url("damaged"), "-f", "json", *options)
        files = [row for row in json.loads(done.stdout) if row["check"] == "file"]
        assert done.returncode == 1 and [f"damaged/{row['file']}" for row in files] == list(expected)
        assert all(row["verdict"] == "bad" and row["hint"] and row["load_ids"] for row in files)
    done = said_of(s3.environment(), "query", "activity-hours", "--lake", s3.url("damaged"))
    assert done.returncode == 1 and "the lake is damaged: `tables/sessions/" in done.stderr, done.stderr
    assert "wabalake undo" in done.stderr, done.stderr


def test_store_without_a_lake(store):
    code, found, _ = check(store.url("nothing here"), store.environment(), "--write")
    assert code == 0 and found["lake"]["found"] == "no tables yet"


def test_store_that_ignores_conditions_is_refused(bad_store):
    code, found, said = check(bad_store.url(), bad_store.environment(), "--write")
    assert code == 1 and found["conditions"]["verdict"] == "bad" and "conditions" in said
    assert objects(bad_store) == []


def test_bucket_that_is_missing(store):
    code, found, said = check(store.url(bucket="another"), store.environment())
    assert code == 1 and found["access"]["verdict"] == "bad" and "404" in said


def test_wrong_credentials(store):
    for wrong in store.wrong_credentials:
        code, found, said = check(store.url(), store.environment() | wrong)
        assert code == 1 and found["access"]["verdict"] == "bad" and "403" in said
        assert not any(value in said for value in wrong.values())


def test_versions_that_are_kept(s3):
    s3.make_bucket("versions")
    s3.keep_versions("versions")
    code, found, _ = check(s3.url(bucket="versions"), s3.environment())
    assert code == 0 and "kept" in found["versions"]["found"]
    assert found["versions"] != check(s3.url(), s3.environment())[1]["versions"]


@pytest.mark.parametrize("kind", ["403", "503", "lost"])
def test_store_that_does_not_answer(kind, s3):
    with Proxy(s3.port) as proxy:
        proxy.fault(kind, times=10_000)
        options = {"WABALAKE_STORE_OPTIONS": "retries=1"}
        code, found, said = check(s3.url(), s3.environment(proxy.port) | options)
    assert code == 1 and found["access"]["verdict"] == "bad"
    if kind != "lost":
        assert kind in said
