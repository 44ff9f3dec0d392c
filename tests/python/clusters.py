"""Every query, asked here and on a cluster: what is asked, and how the answers are compared."""

import json
import subprocess
import shlex

from pyarrow import parquet

from engines import difference
from program import ENVIRONMENT, catalog, command, needs, run

ZONE = "Australia/Lord_Howe"


def questions(split=True):
    """Every query, and each way to split it, by a clock that is odd; their goldens are asked of the twins."""
    for query in catalog():
        asked = (query["name"], *needs(query), "--timezone", ZONE)
        yield asked
        if split:
            yield from ((*asked, "--by", by) for by in query["dimensions"])


def days(query):
    """A range of some days, if the query takes one."""
    takes_days = any(parameter["name"] == "--from" for parameter in query["parameters"])
    return ("--from", "2025-01-03", "--to", "2025-01-09") if takes_days else ()


def there(remote, *arguments, token=None, **options):
    """Asks a cluster, and gives the process once it has ended."""
    return subprocess.run(
        command("query", *arguments, "--engine", "spark", "--remote", remote),
        env=ENVIRONMENT | ({"WABALAKE_TOKEN": token} if token else {}),
        capture_output=True, text=True, encoding="utf-8", timeout=300, **options,
    )


def refusal(remote, *arguments, **options):
    """What is said of a query that fails, and the code it ends with."""
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
    """Fails where the two answers differ."""
    here = answer_here(folder, *arguments)
    differs = difference(here, answer_there(remote, folder, *arguments, **options), tolerance)
    assert differs is None, f"wabalake query {shlex.join(map(str, arguments))}\n{differs}"
    return here


def a_file_of(lake, table):
    """One of the files of a table's newest version."""
    from lakes import tables

    return tables(lake)[table].file_uris()[0].removeprefix("file://")
