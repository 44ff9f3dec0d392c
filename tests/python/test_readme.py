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
        return subprocess.run(
            command, cwd=clone, env=environment, timeout=300, text=True, encoding="utf-8",
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options,
        )

    ran = 0
    for language, block in readme.blocks(readme.README.read_text()):
        if language == "python":
            done = run([sys.executable, "-c", block])
            assert done.returncode == 0, f"{block}\n{done.stdout}"
            ran += 1
            continue
        for command in block:
            done = run(command.line, shell=True)
            assert settled(done.stdout) == settled(command.shown), f"$ {command.line}\n{done.stdout}"
            ran += 1
    assert ran > 5


def settled(text):
    for varies, instead in VARIES:
        text = varies.sub(instead, text)
    return text.strip("\n")


def test_the_table_of_queries_is_the_catalog():
    text = readme.README.read_text()
    assert readme.with_table(text) == text, "`make readme` rewrites it"
