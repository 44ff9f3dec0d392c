"""Runs the program under test, and parses what it prints."""

import json
import os
import shlex
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ.get("WABALAKE", ROOT / "target/debug/wabalake")).resolve()

# Without the WABALAKE variables of the developer, which change answers.
ENVIRONMENT = {
    name: value for name, value in os.environ.items() if not name.startswith("WABALAKE")
} | {"TZ": "UTC", "LC_ALL": "C.UTF-8", "COLUMNS": "100"}


def command(*arguments):
    return [str(PROGRAM), *map(str, arguments)]


def run(*arguments, environment=ENVIRONMENT, **options):
    """Runs the program and returns its standard output; a failure raises with standard error."""
    done = subprocess.run(
        command(*arguments),
        env=environment, capture_output=True, text=True, encoding="utf-8", timeout=300, **options,
    )
    if done.returncode != 0:
        said = f"wabalake {' '.join(map(str, arguments))}: exit {done.returncode}\n{done.stderr}"
        raise AssertionError(said)
    return done.stdout


def load(lake, *files):
    """Loads exports and returns the report."""
    return json.loads(run("load", *files, "--lake", lake, "--quiet", "--report-json", "-"))


def catalog():
    """Every query, as `wabalake queries -f json` lists them."""
    return json.loads(run("queries", "-f", "json"))


def needs(query):
    """The required arguments of a query and the instant that is now, with the values of its example."""
    words = shlex.split(query["example"])
    required = [option["name"] for option in query["parameters"] if option["required"] or option["name"] == "--now"]
    return tuple(word for option in required for word in (option, words[words.index(option) + 1]))


def goldens(query):
    """The arguments of each command in a query's golden."""
    lines = (ROOT / "queries" / query.replace("-", "_") / "golden.txt").read_text().splitlines()
    return [tuple(shlex.split(line)[2:]) for line in lines if line.startswith("$ ")]


def exports(folder):
    """The exports in a folder, compressed or not."""
    return sorted([*Path(folder).glob("*.csv*"), *Path(folder).glob("*.json*")])
