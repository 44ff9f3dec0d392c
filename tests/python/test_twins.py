"""Does each query answer as its SQL twin does, on engines that are not ours?

The plan here, its twin on Sail, for whose dialect it is written, and its twin on DuckDB must give
the same names, types, values and order. What is asked are the goldens' commands; and, of every
query, each way to split it, by one of several clocks.
"""

import functools
import itertools
import shlex

import pytest
from pyarrow import parquet

from engines import DuckDB, Sail, difference
from program import catalog, goldens, needs, run

# Without an offset, with summer time, with a quarter of an hour, with half an hour of summer time,
# with a change of the clock at midnight.
ZONES = ["UTC", "Europe/Madrid", "Asia/Kathmandu", "Australia/Lord_Howe", "America/Sao_Paulo"]

# Asked beside the goldens: people by their user ids.
ASKED_TOO = {
    "message-log": {("--phone", "CO.2"), ("--phone", "CO.3,573005550101,US.7")},
    "user-history": {("--phone", id) for id in ["CO.1", "CO.3", "BR.6", "US.7"]},
}

# What DuckDB is not asked, and why not.
NOT_FOR_DUCKDB = {}


def questions():
    """What is asked, and of which lake. The clocks go round, so that each is asked often."""
    zones = itertools.cycle(ZONES)
    for query in catalog():
        name = query["name"]
        asked = needs(query)
        commands = {asked, *goldens(name)} | ASKED_TOO.get(name, set())
        commands |= {(*asked, "--timezone", next(zones)) for _ in range(2)}
        commands |= {(*asked, "--timezone", next(zones), "--by", by) for by in query["dimensions"]}
        for arguments in sorted(commands):
            yield "odd_lake", (name, *arguments)
        yield "sample_lake", (name, *asked, "--timezone", next(zones))


@pytest.fixture(scope="module")
def ask_engine(request):
    """Runs a twin on an engine that has a lake open. Each engine opens each lake once."""
    opened = {}

    def ask(kind, lake, sql):
        if (kind, lake) not in opened:
            opened[kind, lake] = kind()
            opened[kind, lake].open(request.getfixturevalue(lake))
        return opened[kind, lake].ask(sql)

    yield ask
    for engine in opened.values():
        engine.close()


@pytest.fixture(scope="module")
def answer(request, tmp_path_factory):
    """The answer here, and its twin, computed once for both engines."""
    path = tmp_path_factory.mktemp("answers") / "answer.parquet"

    @functools.cache
    def ask(lake, name, *arguments):
        lake = request.getfixturevalue(lake)
        run("query", name, *arguments, "--lake", lake, "-f", "parquet", "-o", path)
        return parquet.read_table(path), run("queries", name, "--sql", *arguments)

    return ask


@pytest.mark.parametrize("engine", [Sail, DuckDB])
@pytest.mark.parametrize("lake, question", list(questions()), ids=lambda of: of if isinstance(of, str) else " ".join(of))
def test_twin(lake, question, engine, answer, ask_engine):
    if engine is DuckDB and question[0] in NOT_FOR_DUCKDB:
        pytest.skip(NOT_FOR_DUCKDB[question[0]])
    ours, sql = answer(lake, *question)
    differs = difference(ours, ask_engine(engine, lake, sql), engine.tolerance)
    assert differs is None, f"wabalake query {shlex.join(question)}\n{differs}\n\n{sql}"


def test_the_odd_lake_is_odd(odd_lake):
    """Else most of the above would compare empty answers."""
    # The latest message is one person's.
    when = {"open-windows": ("--at", "2025-06-02T06:00:00Z")}
    for query in catalog():
        asked = (query["name"], *needs(query), *when.get(query["name"], ()))
        rows = run("query", *asked, "--lake", odd_lake, "-f", "csv").splitlines()
        assert len(rows) > 2, query["name"]
