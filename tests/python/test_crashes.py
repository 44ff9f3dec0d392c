"""What is killed, and what runs at once: a load or a night is done or not at all; an erasure is ended by the next."""

import json
import os
import shutil
import subprocess
import time
from collections import Counter
from pathlib import Path
from random import Random

import pyarrow.parquet
import pytest
from deltalake import DeltaTable

from lakes import rows, tables
from program import ENVIRONMENT, command, exports, load, run

KILLS = 10


@pytest.fixture(scope="module")
def sessions(tmp_path_factory):
    """Downloads of sessions, whose days overlap: a later one knows more of the same sessions."""
    folder = tmp_path_factory.mktemp("sessions")
    run("sample", "--out", folder, "--days", 40, "--sessions-per-day", 50, "--seed", 11, "--dirt")
    downloads = [path for path in exports(folder) if path.name.startswith("general_sessions") and "(1)" not in path.name]
    assert len(downloads) > 1
    return downloads


def contents(lake):
    """What can be seen of a lake: its rows, and its rejects without the time they were made."""
    rejects = json.loads(run("rejects", "--all", "--lake", lake, "-f", "json"))
    return rows(lake), sorted((r["file"], r["record"], r["reason"]) for r in rejects)


def start(*arguments):
    return subprocess.Popen(
        command(*arguments), env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("loaded_before", [0, 1])
def test_a_load_killed_at_any_instant(loaded_before, sessions, tmp_path):
    before, after = tmp_path / "before", tmp_path / "after"
    before.mkdir()
    for export in sessions[:loaded_before]:
        load(before, export)
    export = sessions[loaded_before]
    shutil.copytree(before, after)
    started = time.monotonic()
    load(after, export)
    whole = time.monotonic() - started
    as_before, as_after = contents(before), contents(after)
    assert as_before != as_after

    seed = int(os.environ.get("WABALAKE_SEED", time.time_ns()))
    print(f"seed {seed}: set WABALAKE_SEED to it for the same instants")
    random = Random(seed)
    unfinished = 0
    for kill in range(KILLS):
        lake = tmp_path / f"killed-{kill}"
        shutil.copytree(before, lake)
        instant = random.uniform(0.02, 1.0) * whole
        loading = start("load", export, "--lake", lake)
        time.sleep(instant)
        loading.kill()
        _, said = loading.communicate()
        assert loading.returncode in (0, -9), said
        unfinished += loading.returncode == -9
        killed = contents(lake)
        assert killed in (as_before, as_after), f"killed after {instant:.3f} s: neither before nor after"
        load(lake, export)
        assert contents(lake) == as_after, f"killed after {instant:.3f} s, loaded again: rows differ"
        shutil.rmtree(lake)
    assert unfinished > 0, "every load ended before it was killed"


def holding(lake, number):
    """The files of a lake that hold a number, as it stands or in a text of a Parquet file."""
    def holds(path):
        if number.encode() in path.read_bytes():
            return True
        if path.suffix != ".parquet" or "_delta_log" in path.parts:
            return False
        try:
            columns = pyarrow.parquet.read_table(path, partitioning=None).columns
        except pyarrow.ArrowInvalid:
            return False
        texts = (text for column in columns if "string" in str(column.type) for text in column.to_pylist())
        return any(number in text for text in texts if text)

    return [path for path in Path(lake).rglob("*") if path.is_file() and holds(path)]


def test_an_erasure_killed_at_any_instant(tmp_path):
    before, after = tmp_path / "before", tmp_path / "after"
    run("sample", "--lake", before, "--days", 6, "--sessions-per-day", 60, "--seed", 5)
    deployments = tables(before)["deployments"].to_pyarrow_table(columns=["user_phone"])
    (number, sends), = Counter(filter(None, deployments["user_phone"].to_pylist())).most_common(1)
    assert sends > 1
    shutil.copytree(before, after)
    started = time.monotonic()
    run("erase", "--lake", after, "--yes", "--phone", "-", input=number)
    whole = time.monotonic() - started
    erased = rows(after)
    assert holding(before, number) and not holding(after, number)
    runs = tables(after)["runs"].to_pyarrow_table().to_pylist()
    assert [run["command"] for run in runs] == ["erase"] and number not in str(runs)

    seed = int(os.environ.get("WABALAKE_SEED", time.time_ns()))
    print(f"seed {seed}: set WABALAKE_SEED to it for the same instants")
    random = Random(seed)
    unfinished = 0
    for kill in range(KILLS):
        lake = tmp_path / f"erasing-{kill}"
        shutil.copytree(before, lake)
        instant = random.uniform(0.3, 1.0) * whole
        erasing = start("erase", "--lake", lake, "--yes", "--phone", number)
        time.sleep(instant)
        erasing.kill()
        _, said = erasing.communicate()
        assert erasing.returncode in (0, -9), said
        unfinished += erasing.returncode == -9
        run("erase", "--lake", lake, "--yes", "--phone", number)
        assert rows(lake) == erased, f"killed after {instant:.3f} s, erased again: rows differ"
        assert not holding(lake, number), f"killed after {instant:.3f} s, erased again: the number is there"
        shutil.rmtree(lake)
    assert unfinished > 0, "every erasure ended before it was killed"


SETTINGS = """
timezone = "America/Bogota"
[inbox]
settle_seconds = 0
folders = ["../inbox"]
after = "move"
loaded = "../loaded"
[[marts]]
name = "days"
query = "session-duration"
params = { by = ["day", "country"] }
[[marts]]
name = "weeks"
query = "session-duration"
params = { by = ["week"] }
[[marts]]
name = "flows"
query = "drop-off"
[[marts]]
name = "returns"
query = "return-rate"
"""


def marts(lake):
    """The rows of every mart, read by another program."""
    found = {}
    for log in sorted(lake.glob("marts/*/_delta_log")):
        if any(log.glob("*.json")):
            columns = DeltaTable(log.parent).to_pyarrow_table().drop_columns(["mart_day"]).columns
            found[log.parent.name] = sorted(zip(*(column.to_pylist() for column in columns)), key=repr)
    return found


def runs(lake):
    """How the nights ended, in their order."""
    table = DeltaTable(lake / "tables/runs").to_pyarrow_table(columns=["started_at", "outcome"])
    return table.sort_by("started_at")["outcome"].to_pylist()


def desk(folder, exports):
    """A lake with settings, and an inbox with exports."""
    (folder / "lake").mkdir(parents=True)
    (folder / "inbox").mkdir()
    (folder / "lake/wabalake.toml").write_text(SETTINGS)
    arrive(folder, exports)
    return folder


def arrive(folder, exports):
    for export in exports:
        shutil.copy(export, folder / "inbox")


def test_a_night_killed_at_any_instant(sessions, tmp_path):
    """It is begun again until it lives to its end; the marts are those of one full run."""
    before = desk(tmp_path / "before", sessions[:1])
    run("nightly", "--lake", before / "lake")
    arrive(before, sessions[1:])
    after = tmp_path / "after"
    shutil.copytree(before, after)
    started = time.monotonic()
    run("nightly", "--lake", after / "lake")
    whole = time.monotonic() - started
    expected = (rows(after / "lake"), marts(after / "lake"))
    assert set(expected[1]) == {"days", "weeks", "flows", "returns"} and all(expected[1].values())
    assert marts(before / "lake") != expected[1]
    run("nightly", "--full", "--lake", after / "lake")
    assert marts(after / "lake") == expected[1], "worked out as a whole, marts differ"

    seed = int(os.environ.get("WABALAKE_SEED", time.time_ns()))
    print(f"seed {seed}: set WABALAKE_SEED to it for the same instants")
    random = Random(seed)
    killed = 0
    for kill in range(KILLS):
        folder = tmp_path / f"killed-{kill}"
        shutil.copytree(before, folder)
        instants = [random.uniform(0.05, 1.0) * whole for _ in range(2)]
        for instant in instants:
            night = start("nightly", "--lake", folder / "lake")
            time.sleep(instant)
            night.kill()
            _, said = night.communicate()
            assert night.returncode in (0, -9), said
            killed += night.returncode == -9
        run("nightly", "--lake", folder / "lake")
        at = ", ".join(f"{instant:.3f} s" for instant in instants)
        assert (rows(folder / "lake"), marts(folder / "lake")) == expected, f"killed after {at}"
        assert runs(folder / "lake")[-1] == "done"
        assert not any((folder / "inbox").iterdir())
        shutil.rmtree(folder)
    assert killed > 0, "every night ended before it was killed"


def test_nights_at_once(sessions, tmp_path):
    """One is the night; the others are told so, or come after it."""
    folder = desk(tmp_path / "desk", sessions)
    nights = [start("nightly", "--lake", folder / "lake") for _ in range(4)]
    for night in nights:
        _, said = night.communicate()
        assert night.returncode == 0 or "another nightly run is in progress" in said, said
    codes = [night.returncode for night in nights]
    assert 0 in codes
    assert runs(folder / "lake") == ["done"] * codes.count(0)
    kept = marts(folder / "lake")
    run("nightly", "--full", "--lake", folder / "lake")
    assert marts(folder / "lake") == kept and all(kept.values())


def test_loads_at_once(sessions, tmp_path):
    one_after_another = tmp_path / "one-after-another"
    for export in sessions:
        load(one_after_another, export)

    lake = tmp_path / "at-once"
    twice = [*sessions, sessions[-1]]
    loads = [start("load", export, "--lake", lake) for export in twice]
    for loading in loads:
        _, said = loading.communicate(timeout=120)
        assert loading.returncode == 0, said
    assert contents(lake) == contents(one_after_another)
