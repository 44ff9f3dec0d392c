"""The program under test, run as a person runs it."""

import json
import os
import shlex
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ.get("WABALAKE", ROOT / "target/debug/wabalake")).resolve()

# Nothing that whoever runs the tests has set may change an answer.
ENVIRONMENT = {
    name: value for name, value in os.environ.items() if not name.startswith("WABALAKE")
} | {"TZ": "UTC", "LC_ALL": "C.UTF-8", "COLUMNS": "100"}


def command(*arguments):
    return [str(PROGRAM), *map(str, arguments)]


def run(*arguments, **options):
    """What it prints. Fails with what it said if it fails."""
    done = subprocess.run(
        command(*arguments),
        env=ENVIRONMENT, capture_output=True, text=True, encoding="utf-8", timeout=300, **options,
    )
    if done.returncode != 0:
        said = f"wabalake {' '.join(map(str, arguments))}: exit {done.returncode}\n{done.stderr}"
        raise AssertionError(said)
    return done.stdout


def load(lake, *files):
    """Loads exports and gives the report."""
    return json.loads(run("load", *files, "--lake", lake, "--quiet", "--report-json", "-"))


def catalog():
    """Every query, as `wabalake queries` lists them."""
    return json.loads(run("queries", "-f", "json"))


def needs(query):
    """The words of a query's example without which it cannot be asked."""
    words = shlex.split(query["example"])
    required = [option["name"] for option in query["parameters"] if option["required"]]
    return tuple(word for option in required for word in (option, words[words.index(option) + 1]))


def goldens(query):
    """The arguments of a room's golden commands."""
    lines = (ROOT / "queries" / query.replace("-", "_") / "golden.txt").read_text().splitlines()
    return [tuple(shlex.split(line)[2:]) for line in lines if line.startswith("$ ")]


def exports(folder):
    """The exports in a folder, packed or not."""
    return sorted([*Path(folder).glob("*.csv*"), *Path(folder).glob("*.json*")])
