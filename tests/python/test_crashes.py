"""What is killed, and what runs at once: all of a load is in the lake, or none of it; an erasure is ended by the next."""

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
    run("erase", "--lake", after, "--phone", "-", input=number)
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
        erasing = start("erase", "--lake", lake, "--phone", number)
        time.sleep(instant)
        erasing.kill()
        _, said = erasing.communicate()
        assert erasing.returncode in (0, -9), said
        unfinished += erasing.returncode == -9
        run("erase", "--lake", lake, "--phone", number)
        assert rows(lake) == erased, f"killed after {instant:.3f} s, erased again: rows differ"
        assert not holding(lake, number), f"killed after {instant:.3f} s, erased again: the number is there"
        shutil.rmtree(lake)
    assert unfinished > 0, "every erasure ended before it was killed"


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
