"""A lake that is written on a store is as one that is written in a folder."""

import json
import re
import shutil
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest

from program import ROOT, exports, run

PREFIX = "env=prod/written lake"

FILES = exports(ROOT / "data/exports")
SESSIONS = [file for file in FILES if "sessions_report" in file.name]


@pytest.fixture(scope="module")
def environment(protocol, tmp_path_factory):
    return protocol.environment() | {"WABALAKE_CACHE": str(tmp_path_factory.mktemp("cache"))}


@pytest.fixture(scope="module")
def lakes(protocol, environment, demo_lake, tmp_path_factory):
    """A lake in a folder, and the same on a store."""
    here, there = tmp_path_factory.mktemp("lakes") / "lake", protocol.url(PREFIX)
    shutil.copytree(demo_lake, here)
    run("load", *FILES, "--lake", there, "--quiet", environment=environment)
    return here, there


def same(lakes, *arguments, environment):
    here, there = (run(*arguments, "--lake", lake, "-f", "csv", environment=environment) for lake in lakes)
    assert there == here


# Between them, they read every table of exports. That all queries answer the same is tested in Rust.
QUERIES = "country-breakdown", "meta-sources", "message-summary", "audience-breakdown"


@pytest.mark.parametrize("query", QUERIES)
def test_queries(query, lakes, environment):
    same(lakes, "query", query, environment=environment)


def test_files_are_loaded_once(lakes, environment):
    for lake in lakes:
        run("load", *FILES, "--lake", lake, environment=environment)
    same(lakes, "query", "session-duration", environment=environment)


def test_load_undo_compact_vacuum(lakes, environment):
    for lake in lakes:
        for arguments in ("undo",), ("compact",), ("vacuum", "--dry-run"), ("vacuum", "--retain-days", 0):
            run(*arguments, "--lake", lake, environment=environment)
        with pytest.raises(AssertionError, match="no load to undo"):
            run("undo", "--lake", lake, environment=environment)
        run("load", *SESSIONS, "--lake", lake, "--quiet", environment=environment)
    same(lakes, "query", "session-duration", "--by", "day", environment=environment)


def test_several_load_at_once(protocol, environment):
    lake = protocol.url("several")
    with ThreadPoolExecutor(4) as pool:
        load = lambda file: run("load", file, "--lake", lake, "--quiet", environment=environment)
        list(pool.map(load, [*FILES[:3], FILES[0]]))
    again = run("load", *FILES[:3], "--lake", lake, "--quiet", "--report-json", "-", environment=environment)
    assert all(file["already_loaded"] for file in json.loads(again)["files"]), again


def test_exports_on_a_store(protocol, environment, tmp_path):
    """Named one by one, as a folder, by a pattern and in an archive, they are the same exports."""
    files = [file for file in FILES if "2025_06_10" in file.name and file.suffix == ".csv"][:3]
    assert len(files) == 3
    put = lambda key, data: protocol.client().put(key, data)
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for file in files:
            put(f"exports/{file.name}", file.read_bytes())
            archive.write(file, file.name)
    put("packed/all.zip", (tmp_path / "all.zip").read_bytes())
    put("packed/notes.csv.part", b"not complete")

    def load(lake, *exports, dry=("--dry-run",)):
        said = run("load", *exports, *dry, "--lake", lake, "-q", "--report-json", "-", environment=environment)
        report = json.loads(said)
        return sorted(file["file_id"] for file in report["files"]), report["passed_over"]

    here, there = tmp_path / "here", tmp_path / "there"
    ids, _ = load(here, *files, dry=())
    for urls in [f"exports/{file.name}" for file in files], ["exports/"], ["exports"], ["exports/*_06_*.csv"], ["ex*/**/*.csv"]:
        assert load(there, *map(protocol.url, urls)) == (ids, []), urls
    assert not there.exists()
    found, skipped = load(there, protocol.url("packed"), dry=())
    assert found == ids and [skip["file"] for skip in skipped] == ["packed/notes.csv.part"]
    for query in "meta-sources", "audience-breakdown":
        same((here, there), "query", query, environment=environment)


def test_exports_that_are_not_there(protocol, environment, tmp_path):
    lake = tmp_path / "lake"
    for url in "missing/none.csv", "missing/", "missing/*.csv":
        with pytest.raises(AssertionError, match=re.escape(protocol.url(url).rstrip("/"))):
            run("load", protocol.url(url) + "/" * url.endswith("/"), "--lake", lake, environment=environment)
    assert not lake.exists()
    good = protocol.url(f"per file/{FILES[0].name}")
    protocol.client().put(f"per file/{FILES[0].name}", FILES[0].read_bytes())
    with pytest.raises(AssertionError, match="1 of 2 files was not loaded"):
        run("load", "--per-file", protocol.url("missing.csv"), good, "--lake", lake, environment=environment)
    said = run("load", good, "--lake", lake, "--quiet", "--report-json", "-", environment=environment)
    assert json.loads(said)["files"][0]["already_loaded"]
