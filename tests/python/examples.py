"""The examples in README.md and docs/: runs them, and rewrites what they print.

A `console` block is a terminal session: commands after `$ `, with further lines after `> `, each followed
by its output. A `python` block is a program. Blocks in other languages, or marked `not run`, are not run. The blocks of a page run in
order, in a folder of their own that looks like a clone of the repository. A page with the comment
`<!-- with demo/lake -->` starts with the lake that `wabalake demo` loads.

    python tests/python/examples.py --write [PAGE...]    rewrites outputs that differ
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from program import ENVIRONMENT, PROGRAM, ROOT

FENCE = re.compile(
    r"^```(?P<language>console|python)(?P<rest>[^\n]*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)
WITH_LAKE = "<!-- with demo/lake -->"

# What differs between two runs of the same command.
VARIES = [
    (re.compile(r"^.*: [\d.]+ \w*B of [\d.]+ \w*B\n", re.MULTILINE), ""),  # progress of a slow load
    (re.compile(r"\b\d+(\.\d+)? (s|ms|MB/s)\b"), "# s"),
    (re.compile(r"\b20\d\d-\d\d-\d\d(?=: \d+ firing)"), "#"),  # the day that an alert judges
    (re.compile(r"\b20\d\d-\d\d-\d\d[T ]\d\d:\d\d:\d\d\S*"), "#"),
    (re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "#"),
    (re.compile(r" +$", re.MULTILINE), ""),
]


def pages():
    """The documents that have a block to run."""
    documents = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [page for page in documents if any(is_run(fence) for fence in FENCE.finditer(page.read_text()))]


def is_run(fence):
    return "not run" not in fence["rest"]


def commands(session):
    """The commands of a terminal session: each as typed, with its continuation lines, and its output."""
    found = []
    for line in session.splitlines(keepends=True):
        if line.startswith("$ "):
            found.append([line, ""])
        elif found[-1][1] == "" and line.startswith("> "):
            found[-1][0] += line
        else:
            found[-1][1] += line
    return found


def settled(text):
    """The output without what differs between two runs."""
    for varies, instead in VARIES:
        text = varies.sub(instead, text)
    return text.strip("\n")


class Clone:
    """A folder with what the examples need of a clone, and the program on the path."""

    def __init__(self, folder, lake=None):
        self.folder = folder
        shutil.copytree(ROOT / "data/exports", folder / "data/exports")
        (folder / "bin").mkdir()
        (folder / "bin/wabalake").symlink_to(PROGRAM)
        if lake:
            shutil.copytree(lake, folder / "demo/lake")
        path = f"{folder}/bin:{os.environ['PATH']}"
        module = str(ROOT / "python")
        self.environment = ENVIRONMENT | {"WABALAKE": str(PROGRAM), "PATH": path, "PYTHONPATH": module}

    def run(self, command, **options):
        """The exit code, and the output: standard output first, then standard error."""
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, timeout=300, text=True, encoding="utf-8",
            capture_output=True, **options,
        )
        return done.returncode, done.stdout + done.stderr


def rewritten(page, lake):
    """The text of a page with the outputs that its commands print now, and what differed."""
    differences = []
    text = page.read_text()
    with tempfile.TemporaryDirectory() as folder:
        clone = Clone(Path(folder), lake if WITH_LAKE in text else None)

        def run(fence):
            if not is_run(fence):
                return fence[0]
            if fence["language"] == "python":
                code, said = clone.run([sys.executable, "-c", fence["text"]])
                if code != 0:
                    differences.append(f"{fence['text']}\n{said}")
                return fence[0]
            session = ""
            for typed, shown in commands(fence["text"]):
                line = typed.removeprefix("$ ").replace("\n> ", "\n").rstrip()
                _, said = clone.run(line, shell=True)
                if settled(said) != settled(shown):
                    differences.append(f"$ {line}\n{said}")
                    shown = re.sub(r" +$", "", said, flags=re.MULTILINE)
                session += typed + shown
            return f"```console{fence['rest']}\n{session.rstrip()}\n```"

        return FENCE.sub(run, text), differences


def demo_lake(folder):
    """Loads the lake of `wabalake demo`."""
    lake = folder / "demo/lake"
    subprocess.run(
        [PROGRAM, "load", "data/exports", "--lake", lake, "--quiet"],
        cwd=ROOT, env=ENVIRONMENT, check=True, capture_output=True,
    )
    return lake


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--write", action="store_true", required=True)
    arguments.add_argument("pages", nargs="*", type=Path, help="[all]")
    with tempfile.TemporaryDirectory() as made:
        loaded = demo_lake(Path(made))
        for page in arguments.parse_args().pages or pages():
            new, differences = rewritten(page, loaded)
            page.write_text(new)
            print(f"{page}: {len(differences)} differences")
