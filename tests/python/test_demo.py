"""`make demo` as a newcomer runs it, twice."""

import csv
import os
import subprocess

import pytest

from program import ENVIRONMENT, PROGRAM, ROOT, catalog, exports


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")

    def make():
        done = subprocess.run(
            ["make", "--no-print-directory", "demo", f"DEMO={folder}"],
            cwd=ROOT, env=ENVIRONMENT | {"WABALAKE": str(PROGRAM)}, timeout=600,
            text=True, encoding="utf-8", stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        print(done.stdout)
        assert done.returncode == 0, done.stdout
        answers = {path.name: path.read_bytes() for path in (folder / "answers").iterdir()}
        return done.stdout, answers

    return make(), make()


def test_every_query_is_answered(demo):
    (_, answers), _ = demo
    assert set(answers) == {f"{query['name']}.csv" for query in catalog()}
    for name, answer in answers.items():
        assert len(list(csv.reader(answer.decode().splitlines()))) > 1, f"{name} has no row"


def test_the_second_time_every_file_was_already_loaded(demo):
    (first, _), (second, _) = demo
    copies = 1  # of a file that is there under another name
    assert first.count("already loaded") == copies
    assert second.count("already loaded") == len(exports(ROOT / "data/exports"))


def test_the_second_time_the_answers_are_the_same_bytes(demo):
    (_, first), (_, second) = demo
    assert first == second
