"""A lake that is written on a store is as one that is written in a folder."""

import json
import shutil
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


def test_what_is_not_possible_yet_says_so(protocol, environment):
    for arguments in ("nightly",), ("init",), ("erase", "--phone", "12025550143", "--yes"):
        with pytest.raises(AssertionError, match="needs a lake in a folder"):
            run(*arguments, "--lake", protocol.url("none"), environment=environment)


def test_export_on_a_store(protocol, environment, tmp_path):
    name = SESSIONS[0]
    protocol.client().put(f"exports/{name.name}", name.read_bytes())
    for lake, file in (tmp_path / "here", name), (tmp_path / "there", protocol.url(f"exports/{name.name}")):
        run("load", file, "--lake", lake, "--quiet", environment=environment)
    same((tmp_path / "here", tmp_path / "there"), "query", "session-duration", environment=environment)
    with pytest.raises(AssertionError, match="none.csv"):
        run("load", protocol.url("exports/none.csv"), "--lake", tmp_path / "there", environment=environment)
