"""Every query answers on Sail as on the local engine.

Sail runs as a cluster of two workers; the program sends the queries itself.
"""

import shutil
from pathlib import Path

import pytest

import engines
import servers
from clusters import a_file_of, compare, days, questions, refusal, there
from program import catalog, needs, run


@pytest.fixture(scope="module")
def sail(tmp_path_factory):
    sail = servers.Sail(tmp_path_factory.mktemp("sail"))
    try:
        sail.wait()
        yield sail
    finally:
        sail.stop()


@pytest.mark.parametrize("question", list(questions()), ids=" ".join)
def test_query(question, sail, odd_lake, tmp_path):
    compare(sail.remote, tmp_path, *question, "--lake", odd_lake, tolerance=engines.Sail.tolerance)


# Some of the queries: the twins are asked of other lakes as well.
@pytest.mark.parametrize("query", catalog()[::3], ids=lambda query: query["name"])
def test_query_of_a_date_range(query, sail, sample_lake, tmp_path):
    asked = (query["name"], *needs(query), *days(query))
    compare(sail.remote, tmp_path, *asked, "--lake", sample_lake, tolerance=engines.Sail.tolerance)


@pytest.mark.parametrize("query", catalog(), ids=lambda query: query["name"])
def test_query_of_an_empty_lake(query, sail, tmp_path):
    (tmp_path / "lake").mkdir()
    compare(sail.remote, tmp_path, query["name"], *needs(query), "--lake", tmp_path / "lake")


def test_limit(sail, odd_lake, tmp_path):
    asked = ("drop-off", "--lake", odd_lake, "--limit", 3)
    assert len(compare(sail.remote, tmp_path, *asked)) == 3


def test_csv_has_the_same_bytes(sail, odd_lake):
    asked = ("activity-hours", "--lake", odd_lake, "-f", "csv")
    assert there(sail.remote, *asked).stdout == run("query", *asked)


def test_lake_with_special_characters_in_its_name(sail, demo_lake, tmp_path):
    lake = tmp_path / "a lake, 100% ñandú #1"
    shutil.copytree(demo_lake, lake)
    compare(sail.remote, tmp_path, "drop-off", "--lake", lake)


def test_map_path(sail, demo_lake, tmp_path):
    lake, elsewhere = tmp_path / "lake", tmp_path / "elsewhere"
    shutil.copytree(demo_lake, lake)
    here = run("query", "activity-hours", "--lake", lake, "-f", "csv")
    lake.rename(elsewhere)
    logs = shutil.ignore_patterns("*.parquet")
    shutil.copytree(elsewhere, lake, ignore=logs)
    asked = ("activity-hours", "--lake", lake, "-f", "csv")
    code, said = refusal(sail.remote, *asked)
    assert code == 1 and "does not see all of the lake's `sessions`" in said
    done = there(sail.remote, *asked, "--map-path", f"{lake}=file://{elsewhere}")
    assert (done.returncode, done.stdout, done.stderr) == (0, here, "")
    code, said = refusal(sail.remote, *asked, "--map-path", f"{elsewhere}=file://{lake}")
    assert code == 2 and "`--map-path` maps" in said


def test_missing_data_file(sail, demo_lake, tmp_path):
    """Sail skips the file silently; the row count reveals it."""
    shutil.copytree(demo_lake, tmp_path / "lake")
    Path(a_file_of(tmp_path / "lake", "sessions")).unlink()
    code, said = refusal(sail.remote, "drop-off", "--lake", tmp_path / "lake")
    assert code == 1 and "--map-path" in said


def test_no_server_at_the_address(demo_lake):
    code, said = refusal(f"sc://{servers.HERE}:{servers.free_port()}", "drop-off", "--lake", demo_lake)
    assert code == 1 and "no Spark Connect server answers at sc://127.0.0.1" in said
