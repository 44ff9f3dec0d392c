"""Does each query answer as its SQL twin does, on engines that are not ours?

The plan here, its twin on Sail, for whose dialect it is written, and its twin on DuckDB must give
the same names, types, values and order. What is asked of every query: each way to split it, by one of several
clocks, each of its filters, the people behind each number; and the goldens' commands with other options.
Without filters and splits, both engines are asked; what is left, one after the other, in turn.
"""

import functools
import itertools
import os
import shlex

import pytest
from pyarrow import parquet

from engines import DuckDB, Sail, difference
from filters import dimensions_of, filters_of, others_of
from program import catalog, goldens, needs, run

# Without an offset, with summer time, with a quarter of an hour, with half an hour of summer time,
# with a change of the clock at midnight.
ZONES = ["UTC", "Europe/Madrid", "Asia/Kathmandu", "Australia/Lord_Howe", "America/Sao_Paulo"]

TIMES = ["half-hour", "hour", "day", "week", "month"]

# Asked beside the goldens: people by their user ids; tags, horizons and periods in which the odd lake has many rows; prices
# by windows of entry points.
ASKED_TOO = {
    "entry-windows": {
        ("--clicks", "messages", "--by", "day,tag", "--rules", "2026-10-01", "--free-service-messages", "0"),
        ("--clicks", "messages", "--by", "month", "--country", "none,CO", "--timezone", "Asia/Kathmandu"),
        ("--by", "line,week", "--answer-hours", "2000", "--window-hours", "3000", "--rules", "2026-10-01"),
    },
    "pricing-analytics": {
        ("--dimensions", "PHONE,PRICING_TYPE", "--entry-point", entry, "--granularity", "month", *others)
        for entry in ["window", "either"]
        for others in [(), ("--rules", "2026-10-01", "--free-service-messages", "2")]
    },
    "reply-bursts": {
        ("--seconds", "90000", "--rules", "2026-10-01", "--free-service-messages", "1", "--entry-point", entry)
        for entry in ["type", "window", "either", "none"]
    },
    "holdout-lift": {
        ("--treated", "menu", "--control", "it's"),
        ("--treated", "menu", "--control", "of nobody"),
        ("--treated", "of nobody", "--control", "it's", "--days", "300"),
    },
    "maturity": {
        ("--horizon-days", "200"),
        ("--of", "deliveries", "--horizon-days", "70", "--timezone", "Europe/Madrid"),
        ("--of", "finishes", "--horizon-days", "100", "--timezone", "Australia/Lord_Howe"),
        ("--of", "conversions", "--horizon-days", "100", "--timezone", "Asia/Kathmandu"),
    },
    "what-changed": {
        (
            "--from", "2025-10-01", "--to", "2025-12-31", "--before-from", "2025-03-01", "--before-to", "2025-06-30",
            *others,
        )
        for others in [
            ("--of", "read", "--by", "country,line,template,ref"),
            ("--of", "conversion", "--by", "channel,conversation", "--timezone", "Australia/Lord_Howe"),
        ]
    },
    "message-log": {("--phone", "CO.2"), ("--phone", "CO.3,573005550101,US.7")},
    "user-history": {("--phone", id) for id in ["CO.1", "CO.3", "BR.6", "US.7"]},
}

# What DuckDB is not asked, and why not.
NOT_FOR_DUCKDB = {}


# Options that every query may have; they are asked in turn.
OF_ALL = {"--by", "--from", "--to", "--timezone", "--limit", "--people", "--with-people", "--in", "--cell"}


def goldens_with_own_options(query):
    """The commands of the golden that have an option of the query's own, beside its filters."""
    shared = OF_ALL | set(query["filters"])
    is_own = lambda word: word.startswith("--") and word.split("=")[0] not in shared
    return [command for command in goldens(query["name"]) if any(map(is_own, command))]


def questions():
    """What is asked, of which lake, of which engine. The clocks go round, so that each is asked often."""
    zones, engines = itertools.cycle(ZONES), itertools.cycle([Sail, DuckDB])
    for query in catalog():
        name = query["name"]
        asked = needs(query)
        of_both = {asked, *goldens_with_own_options(query)} | ASKED_TOO.get(name, set())
        commands = {(*asked, "--timezone", next(zones))}
        filters = filters_of(query)
        splits = list(splits_of(query))
        commands |= {(*asked, "--timezone", next(zones), *by, *next(filters)) for by in splits}
        left = max(0, len(query["filters"]) - len(splits))
        commands |= {(*asked, *given) for given in itertools.islice(filters, left)}
        commands |= {(*asked, *others) for others in others_of(query)}
        # The people behind each number, split by one dimension after the other.
        splits = itertools.cycle(splits or [()])
        people = ("--people", "--with-people", "--in")
        commands |= {
            (*asked, *people, count, *next(splits), *next(filters)) for count in query["counts"][-2:]
        }
        for arguments in sorted(of_both):
            yield from (("odd_lake", (name, *arguments), engine) for engine in (Sail, DuckDB))
        for arguments in sorted(commands - of_both):
            yield "odd_lake", (name, *arguments), next(engines)
        yield "sample_lake", (name, *asked, "--timezone", next(zones)), next(engines)


def part_of(asked):
    """All that is asked, or with PART=1 or PART=2 that of every other query."""
    part = os.environ.get("PART")
    ours = {query["name"] for query in catalog()[int(part) - 1 :: 2]} if part else None
    return [one for one in asked if not part or one[1][0] in ours]


def splits_of(query):
    """Each dimension of a query once: those of time each with another one."""
    dimensions = dimensions_of(query)
    times = [by for by in dimensions if by in TIMES]
    others = [by for by in dimensions if by not in TIMES]
    for pair in itertools.zip_longest(times, others):
        yield "--by", ",".join(by for by in pair if by)


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


def id_of(part):
    """Of a lake, a question or an engine, in the name of a test."""
    return {tuple: " ".join, type: lambda engine: engine.__name__}.get(type(part), str)(part)


@pytest.mark.parametrize("lake, question, engine", part_of(questions()), ids=id_of)
def test_twin(lake, question, engine, answer, ask_engine):
    if engine is DuckDB and question[0] in NOT_FOR_DUCKDB:
        pytest.skip(NOT_FOR_DUCKDB[question[0]])
    ours, sql = answer(lake, *question)
    differs = difference(ours, ask_engine(engine, lake, sql), engine.tolerance)
    assert differs is None, f"wabalake query {shlex.join(question)}\n{differs}\n\n{sql}"


def test_the_odd_lake_is_odd(odd_lake):
    """Else most of the above would compare empty answers."""
    # The latest message is one person's.
    when = {"open-windows": ("--at", "2025-06-02T06:00:00Z"), "maturity": ("--horizon-days", "400")}
    for query in catalog():
        asked = (query["name"], *needs(query), *when.get(query["name"], ()))
        rows = run("query", *asked, "--lake", odd_lake, "-f", "csv").splitlines()
        assert len(rows) > 2, query["name"]
