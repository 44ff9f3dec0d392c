"""Compares answers of every query on a cluster with those of the local engine."""

import json
import subprocess
import shlex

from pyarrow import parquet

from engines import difference
from filters import dimensions_of, filters_of
from program import ENVIRONMENT, catalog, command, needs, run

ZONE = "Australia/Lord_Howe"


def questions(split=True):
    """Arguments for every query, for every second one also some of its dimensions and filters, in a time zone with a
    half-hour DST shift.

    The twins are asked for every dimension, on Sail as well.
    """
    for number, query in enumerate(catalog()):
        asked = (query["name"], *needs(query), "--timezone", ZONE)
        yield asked
        if split and number % 2:
            filters, by = filters_of(query), dimensions_of(query)
            if by:
                yield (*asked, "--by", ",".join(by[-4:]), *next(filters), *next(filters))


def days(query):
    """Arguments of a date range, if the query takes one and does not need it anyway."""
    takes_days = any(option["name"] == "--from" and not option["required"] for option in query["parameters"])
    return ("--from", "2025-01-03", "--to", "2025-01-09") if takes_days else ()


def there(remote, *arguments, token=None, environment=ENVIRONMENT, **options):
    """Runs a query on the cluster and returns the completed process."""
    return subprocess.run(
        command("query", *arguments, "--engine", "spark", "--remote", remote),
        env=environment | ({"WABALAKE_TOKEN": token} if token else {}),
        capture_output=True, text=True, encoding="utf-8", timeout=300, **options,
    )


def refusal(remote, *arguments, **options):
    """Runs a query that must fail; returns exit code and standard error."""
    done = there(remote, *arguments, **options)
    assert done.returncode != 0, done.stdout
    assert done.stdout == ""
    assert done.stderr.startswith("error: ") and "\n  hint: " in done.stderr, done.stderr
    return done.returncode, done.stderr


def answer_there(remote, folder, *arguments, **options):
    path = folder / "there.parquet"
    done = there(remote, *arguments, "-f", "parquet", "-o", path, **options)
    assert done.returncode == 0, f"wabalake query {shlex.join(map(str, arguments))}\n{done.stderr}"
    assert done.stderr == ""
    return parquet.read_table(path)


def answer_here(folder, *arguments):
    path = folder / "here.parquet"
    run("query", *arguments, "-f", "parquet", "-o", path)
    return parquet.read_table(path)


def compare(remote, folder, *arguments, tolerance=lambda _: 1e-9, **options):
    """Fails if the answers differ; returns the local one."""
    here = answer_here(folder, *arguments)
    differs = difference(here, answer_there(remote, folder, *arguments, **options), tolerance)
    assert differs is None, f"wabalake query {shlex.join(map(str, arguments))}\n{differs}"
    return here


def a_file_of(lake, table):
    """A data file of a table's newest version."""
    from lakes import tables

    return tables(lake)[table].file_uris()[0].removeprefix("file://")
