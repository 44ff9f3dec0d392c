"""DuckDB's side of the comparison: SQL for each query, as quick as it gets.

It is the query's twin in DuckDB's dialect. Where DuckDB is quicker otherwise, a fragment of the twin has a
version of its own, `queries/query/sql/NAME.duckdb.sql`, or the whole query has, `queries/NAME/duckdb.sql`.
Such a version answers what the benchmark asks only: all days, in UTC, without options. It stays as long as it
saves a query `WORTH` of the processor's time, which `compare.py --peers` measures.
"""

import json
import re
import sys
from pathlib import Path

from sqlglot import exp

from answers import difference
from keys import by_keys
from processes import Failed, run

ROOT = Path(__file__).resolve().parents[1]
QUERIES = ROOT / "queries"
FRAGMENTS = QUERIES / "query/sql"
sys.path.append(str(ROOT / "tests/python"))

from dialect import duckdb_dialect, duckdb_tree, text  # noqa: E402

# The share of the twin's time that SQL for DuckDB alone must save.
WORTH = 0.05


def statement(bench, name: str) -> str:
    """The quickest SQL for DuckDB that answers a query."""
    query, *arguments = name.split()
    if arguments:
        return text(by_keys(duckdb_tree(twin(bench, name))))
    whole = QUERIES / query.replace("-", "_") / "duckdb.sql"
    if not whole.exists():
        return tuned(twin(bench, name))
    # A slot stands for DuckDB's version of a fragment.
    return re.sub(r"\{(\w+)\}", lambda slot: uncommented(FRAGMENTS / f"{slot[1]}.duckdb.sql"), uncommented(whole))


def twin(bench, name: str) -> str:
    """The query's twin, its parameters filled in."""
    return run(bench.program, "queries", name.split()[0], "--sql", *bench.arguments(name)).stdout


def tuned(sql: str) -> str:
    """A twin in DuckDB's dialect, with DuckDB's versions of its fragments."""
    tree = duckdb_tree(sql)
    clause = tree.args.get("with_")
    # What a fragment answers of ids, so that its columns may become keys as well.
    ids = {"converted_session_id": exp.column("session_id").as_("converted_session_id"), "user_phone": exp.column("user_phone")}
    replaced = {}
    for version in sorted(FRAGMENTS.glob("*.duckdb.sql")):
        fragment = version.name.removesuffix(".duckdb.sql")
        defined = {expression.alias: expression for expression in clause.expressions} if clause else {}
        names = expression_names(version.with_name(f"{fragment}.sql"))
        if names <= set(defined):
            replaced[fragment] = uncommented(version)
            clause.set("recursive", True)
            for name in names - {fragment}:
                defined[name].pop()
            columns = [ids.get(column) or exp.null().as_(column) for column in defined[fragment].this.named_selects]
            defined[fragment].this.replace(exp.select(exp.Literal.string(fragment), *columns))
    sql = text(by_keys(tree))
    for fragment, version in replaced.items():
        sql = re.sub(rf"\b{fragment} AS \(\s*SELECT\s*'{fragment}'[^)]*\)", lambda _: version, sql)
    return sql


def uncommented(file: Path) -> str:
    """A file's SQL without comments, which may name tables that it does not read."""
    return re.sub(r"(?m)^\s*--.*\n", "", file.read_text()).rstrip().removesuffix(";")


def expression_names(fragment: Path) -> set[str]:
    """The common table expressions that a fragment of the twins defines."""
    return set(re.findall(r"(?m)^(?:\{\w+\})?(\w+) AS \(", fragment.read_text()))


def measure(bench, say) -> list[dict]:
    """The least of the processor's time that DuckDB takes for its own SQL and for the twin, in turns."""
    return [result for name in bench.catalog() if (result := one(bench, name, say))]


def one(bench, name: str, say) -> dict | None:
    """Measures a query that has SQL for DuckDB alone."""
    sides = {"own": statement(bench, name), "twin": duckdb_dialect(twin(bench, name))}
    if sides["own"] == sides["twin"]:
        return None
    asks = {side: bench.duckdb(f"{name}.{side}", sql) for side, sql in sides.items()}
    result = {"name": name, "wrong": None}
    taken = {side: [] for side in sides}
    for turn in range(bench.asked.rounds + 1):
        for side, (command, _) in asks.items():
            try:
                taken[side].append(json.loads(run(*command).stdout)["user_seconds"])
            except Failed as failure:
                return result | {"wrong": f"{side}: {failure}"}
        if turn == 0:
            result["wrong"] = difference(*(answer for _, answer in asks.values()))
    say(f"{name}: done")
    return result | {side: min(times[1:]) for side, times in taken.items()}
