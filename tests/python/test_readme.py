"""Do the README's commands print what it shows?"""

import os
import re
import shutil
import subprocess
import sys

import pytest

import readme
from program import ENVIRONMENT, PROGRAM, ROOT

# What differs from one run to the next.
VARIES = [
    (re.compile(r"^.*: [\d.]+ \w*B of [\d.]+ \w*B\n", re.MULTILINE), ""),  # progress, when it is slow
    (re.compile(r"\b\d+(\.\d+)? (s|ms|MB/s)\b"), "# s"),
    (re.compile(r"\b20\d\d-\d\d-\d\d[T ]\d\d:\d\d:\d\d\S*"), "#"),
    (re.compile(r" +$", re.MULTILINE), ""),
]


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """What a command needs of a clone, with the program on the path."""
    folder = tmp_path_factory.mktemp("clone")
    shutil.copy(ROOT / "Makefile", folder)
    shutil.copytree(ROOT / "data/exports", folder / "data/exports")
    (folder / "bin").mkdir()
    (folder / "bin/wabalake").symlink_to(PROGRAM)
    return folder


def test_what_can_be_run(clone):
    environment = ENVIRONMENT | {"WABALAKE": str(PROGRAM), "PATH": f"{clone}/bin:{os.environ['PATH']}"}

    def run(command, **options):
        done = subprocess.run(
            command, cwd=clone, env=environment, timeout=300, text=True, encoding="utf-8",
            capture_output=True, **options,
        )
        # One after the other, since in a pipe nothing says which came first.
        return done.returncode, done.stdout + done.stderr

    ran = 0
    for language, block in readme.blocks(readme.README.read_text()):
        if language == "python":
            code, said = run([sys.executable, "-c", block])
            assert code == 0, f"{block}\n{said}"
            ran += 1
            continue
        for command in block:
            _, said = run(command.line, shell=True)
            assert settled(said) == settled(command.shown), f"$ {command.line}\n{said}"
            ran += 1
    assert ran > 5


def settled(text):
    for varies, instead in VARIES:
        text = varies.sub(instead, text)
    return text.strip("\n")


def test_the_table_of_queries_is_the_catalog():
    text = readme.README.read_text()
    assert readme.with_table(text) == text, "`make readme` rewrites it"
