"""Shows the results of a benchmark: on the terminal, and on the page docs/benchmarks.md."""

import json
import re
from pathlib import Path
from statistics import geometric_mean

from peers import WORTH

# The targets of the project.
GEOMETRIC_MEAN_AT_MOST = 0.6
RATIO_AT_MOST = 0.95
LOAD_RATIO_AT_MOST = 1.0
LOAD_ANONYMOUS_AT_MOST = 1 << 30
EMPTY_LAKE_SECONDS_AT_MOST = 0.05


def ratios(results: dict, of: str = "ratio") -> dict[str, float]:
    """wabalake's time over DuckDB's, or with `cpu_ratio` the processor's time, by query."""
    return {query["name"]: query[of] for query in results.get("queries", []) if of in query}


def above_one(results: dict) -> list[str]:
    """Queries that take longer than DuckDB's, the worst first."""
    slower = [(ratio, name) for name, ratio in ratios(results).items() if ratio > 1]
    return [f"`{name}` ({ratio:.2f})" for ratio, name in sorted(slower, reverse=True)]


def failures(results: dict) -> list[str]:
    """Queries and loads with a wrong answer or a failed process."""
    measured = [*results.get("queries", []), *results.get("loads", [])]
    return [f"{one['name']}: {one['wrong']}" for one in measured if one["wrong"]]


def targets(results: dict) -> list[tuple[str, bool]]:
    """The targets with their measured values; `True` if reached."""
    rows = []
    for of, kind in (("ratio", "time"), ("cpu_ratio", "processor's time")):
        by_query = ratios(results, of)
        if not by_query:
            continue
        mean, worst = geometric_mean(by_query.values()), max(by_query, key=by_query.get)
        rows.append((
            f"queries, {kind}, geometric mean of the ratios: {mean:.2f}, at most {GEOMETRIC_MEAN_AT_MOST}",
            mean <= GEOMETRIC_MEAN_AT_MOST,
        ))
        rows.append((
            f"queries, {kind}, largest ratio: {by_query[worst]:.2f} (`{worst}`), at most {RATIO_AT_MOST}",
            by_query[worst] <= RATIO_AT_MOST,
        ))
    loads = [load for load in results.get("loads", []) if "ratio" in load]
    if loads:
        ratio = total(loads, "wabalake") / total(loads, "duckdb")
        rows.append((
            f"loading, all tables: {ratio:.2f} of DuckDB's time, at most {LOAD_RATIO_AT_MOST:.1f}",
            ratio <= LOAD_RATIO_AT_MOST,
        ))
        anonymous = max(load["wabalake"]["anonymous"] for load in loads)
        rows.append((
            f"loading, anonymous memory: {mebibytes(anonymous)} MiB, less than "
            f"{mebibytes(LOAD_ANONYMOUS_AT_MOST)}",
            anonymous < LOAD_ANONYMOUS_AT_MOST,
        ))
    if "empty_lake" in results:
        median = results["empty_lake"]["median"]
        rows.append((
            f"a query on an empty lake: {milliseconds(median)} ms, less than "
            f"{milliseconds(EMPTY_LAKE_SECONDS_AT_MOST)}",
            median < EMPTY_LAKE_SECONDS_AT_MOST,
        ))
    return rows


def query_rows(results: dict) -> list[list[str]]:
    """A row for each query, then the geometric means."""
    rows = []
    for query in results.get("queries", []):
        row = [query["name"]]
        if "ratio" in query:
            ours, theirs = query["wabalake"], query["duckdb"]
            row += [
                milliseconds(ours["median"]),
                milliseconds(theirs["own_median"]),
                f"{query['ratio']:.2f}",
                milliseconds(ours["cpu_median"]),
                milliseconds(theirs["own_cpu_median"]),
                f"{query['cpu_ratio']:.2f}",
                mebibytes(ours["resident"]),
                mebibytes(theirs["resident"]),
            ]
        rows.append(row if not query["wrong"] else [*row, "WRONG"][:1] + ["wrong"] * 8)
    compared = [query for query in results.get("queries", []) if "ratio" in query]
    if compared:
        means = [geometric_mean(q[name] for q in compared) for name in ("ratio", "cpu_ratio")]
        rows.append(
            ["geometric mean", "", "", f"{means[0]:.2f}", "", "", f"{means[1]:.2f}", "", ""]
        )
    return rows


QUERY_TITLES = [
    "query", "wabalake ms", "DuckDB ms", "ratio", "wabalake CPU ms", "DuckDB CPU ms", "ratio",
    "wabalake MiB", "DuckDB MiB",
]


def load_rows(results: dict) -> list[list[str]]:
    """A row for each table, then the total."""
    rows = []
    loads = [load for load in results.get("loads", []) if "ratio" in load]
    tables = results["data"]["tables"]
    for load in loads:
        table = tables[load["name"]]
        sides = [load[side] for side in ("wabalake", "duckdb", "copy") if side in load]
        rows.append([
            load["name"],
            thousands(table["rows"]),
            thousands(table["csv_bytes"] // 1_000_000),
            *(f"{side['median']:.1f}" for side in sides),
            f"{load['ratio']:.2f}",
            f"{table['csv_bytes'] / 1e6 / load['wabalake']['median']:.0f}",
            *(mebibytes(side["anonymous"]) for side in sides),
        ])
    if loads:
        megabytes = sum(tables[load["name"]]["csv_bytes"] for load in loads) / 1e6
        totals = [total(loads, side) for side in ("wabalake", "duckdb", "copy")]
        rows.append([
            "all",
            thousands(sum(tables[load["name"]]["rows"] for load in loads)),
            thousands(int(megabytes)),
            *(f"{seconds:.1f}" for seconds in totals),
            f"{totals[0] / totals[1]:.2f}",
            f"{megabytes / totals[0]:.0f}",
            *(
                mebibytes(max(load[side]["anonymous"] for load in loads))
                for side in ("wabalake", "duckdb", "copy")
            ),
        ])
    return rows


LOAD_TITLES = [
    "table", "rows", "CSV MB", "wabalake s", "DuckDB s", "COPY s", "ratio", "wabalake MB/s",
    "wabalake MiB", "DuckDB MiB", "COPY MiB",
]


def total(loads: list[dict], side: str) -> float:
    return sum(load[side]["median"] for load in loads)


def text(results: dict) -> str:
    """The results for a terminal."""
    parts = [where(results)]
    for titles, rows in ((QUERY_TITLES, query_rows(results)), (LOAD_TITLES, load_rows(results))):
        if rows:
            parts.append(columns(titles, rows))
    slower = above_one(results)
    if slower:
        parts.append("slower than DuckDB: " + ", ".join(slower).replace("`", ""))
    parts.append("\n".join(
        f"{'reached' if reached else 'MISSED '}  {target}".replace("`", "")
        for target, reached in targets(results)
    ))
    return "\n\n".join(parts)


def columns(titles: list[str], rows: list[list[str]]) -> str:
    table = [titles, *rows]
    widths = [max(len(row[at]) for row in table if at < len(row)) for at in range(len(titles))]
    lines = []
    for row in table:
        first, *others = (cell.rjust(width) for cell, width in zip(row, widths))
        lines.append("  ".join([row[0].ljust(widths[0]), *others]))
    return "\n".join(lines)


def section(results: dict) -> str:
    """The results against DuckDB, for the page."""
    parts = [where(results)]
    if query_rows(results):
        parts.append("Queries. Below 1, wabalake takes less time:")
        parts.append(markdown(QUERY_TITLES, query_rows(results)))
        slower = above_one(results)
        parts.append(
            f"Slower than DuckDB: {', '.join(slower)}." if slower else "None is slower than DuckDB."
        )
    if load_rows(results):
        parts.append("Loading, with DuckDB held to 1 GiB; memory is what no file backs:")
        parts.append(markdown(LOAD_TITLES, load_rows(results)))
    aims = "\n".join(
        f"- {'reached' if reached else '**missed**'}: {target}" for target, reached in targets(results)
    )
    parts.append("Targets of the project:\n\n" + aims)
    return "\n\n".join(parts)


def where(results: dict) -> str:
    """The date, versions, machine and sizes of a measurement."""
    machine, versions, data = (results[name] for name in ("machine", "versions", "data"))
    rows = ", ".join(f"{thousands(t['rows'])} {name}" for name, t in data["tables"].items())
    parquet = sum(table["parquet_bytes"] for table in data["tables"].values())
    csv = sum(table["csv_bytes"] for table in data["tables"].values())
    return (
        f"{results['at'][:10]}, wabalake {versions['wabalake']} at {versions['commit']}, "
        f"DuckDB {versions['duckdb']} in Python {versions['python']}, {results['threads']} of "
        f"{machine['cores']} cores ({machine['processor']}), "
        f"{machine['memory_bytes'] / 2**30:.0f} GiB, Linux {machine['kernel']}, load average "
        f"{machine['load_average']} at the start. {rows} over {data['days']} days: "
        f"{csv / 1e9:.2f} GB of CSV, {parquet / 1e6:,.0f} MB of Parquet. `{results['command']}`."
    )


def markdown(titles: list[str], rows: list[list[str]]) -> str:
    lines = [titles, ["---", *["---:"] * (len(titles) - 1)], *rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in lines)


def clusters(results: dict) -> str:
    """Times of the queries here and on clusters, as Markdown."""
    titles = ["query", "here s", "Sail s", "Spark s"]
    rows = [
        [one["name"], *(f"{one['seconds'][engine]:.2f}" for engine in ("here", "Sail", "Spark"))]
        for one in results["clusters"]
        if "seconds" in one
    ]
    return f"{where(results)}\n\n{markdown(titles, rows)}"


def growth(results: dict) -> str:
    """Times and memory of the queries by the size of the lake, as Markdown."""
    sizes = results["growth"]
    titles = ["query"]
    for size in sizes:
        titles += [f"{size['tables']['sessions'] / 1e6:.1f} M sessions, s", "MiB"]
    rows = []
    for name in sizes[0]["queries"]:
        row = [name]
        for size in sizes:
            query = size["queries"][name]
            row += [f"{query['seconds']:.2f}", mebibytes(query["resident"])]
        rows.append(row)
    lakes = "; ".join(
        f"{sum(size['tables'].values()) / 1e6:,.0f} M rows in {size['bytes'] / 1e9:.2f} GB of Parquet"
        for size in sizes
    )
    machine = results["machine"]
    conditions = (
        f"{results['at'][:10]}, {results['threads']} cores ({machine['processor']}), "
        f"{machine['memory_bytes'] / 2**30:.0f} GiB. Lakes of a year: {lakes}. One run of "
        f"each. `{results['command']}`."
    )
    return f"{conditions}\n\n{markdown(titles, rows)}"


def peers(results: dict) -> str:
    """DuckDB's processor time for each query's own statement and for its twin."""
    titles = ["query", "duckdb.sql s", "twin s", "ratio", ""]
    rows = []
    for one in results["peers"]:
        if not one["wrong"]:
            ratio = one["own"] / one["twin"]
            verdict = "keep" if ratio <= 1 - WORTH else "the twin serves"
            rows.append([one["name"], f"{one['own']:.2f}", f"{one['twin']:.2f}", f"{ratio:.2f}", verdict])
    return f"{where(results)}\n\n{markdown(titles, rows)}"


def nightly(results: dict) -> str:
    """Times of nightly runs on a small and on a large lake, as Markdown."""
    lakes = results["lakes"]
    titles = ["", *(f"lake of {lake['days']} days" for lake in lakes)]
    rows = [
        [what, *(f"{lake[name]:.2f} s" for lake in lakes if name in lake)]
        for name, what in (
            ("new_day", "run with one new day"),
            ("marts", "its marts alone"),
            ("full", "run that recomputes all marts as a whole"),
            ("full_marts", "its marts alone"),
            ("nothing_new", "run with nothing new"),
            ("start", "query that reads no row"),
        )
        if all(name in lake for lake in lakes)
    ]
    conditions = (
        f"{results['date']}, wabalake at {results['commit']}, {results['machine']}, "
        f"{results['sessions_per_day']:,} sessions a day, {results.get('marts', 6)} marts, {results['rounds']} rounds. `make bench-nightly`."
    )
    return f"{conditions}\n\n{markdown(titles, rows)}\n\n{verdicts(results)}"


def store(results: dict) -> str:
    """Times and requests of readings and writings on an object store, as Markdown."""
    titles = ["", "s", "requests", "MB", "at once"]
    kinds = (
        ("folder", "one table in a folder"),
        ("cold", "on the store, without the cache"),
        ("warm", "on the store, with the cache"),
        ("polars", "Polars, the same files"),
        ("duckdb", "DuckDB, the same files"),
        ("load", "a day's load, without the cache"),
        ("nightly", "nightly run with a new day, without the cache"),
        ("nightly_warm", "nightly run with a new day, with the cache"),
    )
    readings = results["readings"]
    rows = [
        [what, f"{one['seconds']:.2f}", thousands(one["requests"]), f"{one['megabytes']:.1f}", str(one["at_once"])]
        for name, what in kinds
        if (one := readings.get(name))
    ]
    conditions = (
        f"{results['date']}, wabalake at {results['commit']}, {results['machine']}, {results['days']} days of "
        f"{results['sessions_per_day']:,} sessions, `{results['query']}`, {results['delay_ms']:.0f} ms a request, "
        f"{results['rounds']} rounds, medians. `make bench-store`."
    )
    return f"{conditions}\n\n{markdown(titles, rows)}\n\n{verdicts(results)}"


def verdicts(results: dict) -> str:
    """The targets of a measurement, as a list."""
    return "\n".join(
        f"- {'reached' if one['reached'] else '**missed**'}: {one['what']}" for one in results["verdicts"]
    )


# The parts of the page, by the name of their results and their marks.
PAGES = {"results": section, "clusters": clusters, "growth": growth, "nightly": nightly, "store": store}


def write(root: Path):
    """Puts the last results between the marks of docs/benchmarks.md."""
    page = root / "docs/benchmarks.md"
    words = page.read_text()
    for name, show in PAGES.items():
        measured = root / f"benches/{name}.json"
        if not measured.exists():
            continue
        results = json.loads(measured.read_text())
        begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        shown = f"{begin}\n{show(results)}\n{end}"
        pattern = f"{re.escape(begin)}.*?{re.escape(end)}"
        words, places = re.subn(pattern, lambda _, shown=shown: shown, words, flags=re.DOTALL)
        if places != 1:
            raise SystemExit(f"error: {page} has {places} places `{begin} … {end}`, not one")
    page.write_text(words)


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:,.0f}"


def mebibytes(number: int) -> str:
    return f"{number / 2**20:,.0f}"


def thousands(number: int) -> str:
    return f"{number:,}"
