"""Benchmarks wabalake against DuckDB on one machine: every query of the catalog, and loading. Also
measures clusters, larger lakes, and DuckDB's own SQL against the twins.

Both sides run as whole processes, alternating, on the same files; the result is the median of the
rounds after a warm-up. A time counts only if the answers are equal.

    python benches/compare.py               a year, 20 million rows: 90 minutes, 15 GB of disk
    python benches/compare.py --small       a quick look, which changes no file of the repository
    python benches/compare.py --engine spark    the queries here, on Sail and on Spark
    python benches/compare.py --growth          the queries as a lake grows 16 times as large
    python benches/compare.py --peers           SQL for DuckDB alone against the twins
    python benches/compare.py --write-docs      shows the last results in docs/benchmarks.md
"""

import argparse
import functools
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

import duckdb
from deltalake import DeltaTable

import clusters
import growth
import peers
import report
from answers import difference, rows_differ
from processes import Failed, Run, run
from program import needs

ROOT = Path(__file__).resolve().parents[1]
BENCHES = ROOT / "benches"
COUNTRIES = ROOT / "data/reference/countries.tsv"
# Isolated mode starts faster.
PYTHON = [sys.executable, "-I"]
# The tables to load are those with a script for DuckDB.
LOADED = sorted(script.stem for script in (BENCHES / "duckdb/load").glob("*.sql"))
# Arguments of queries; others have those that they require, with the values of their example. A query's
# `duckdb.sql` answers with these.
ASKED = {
    "coverage": ["--today", "2026-07-01", "--now", "2026-07-01T12:00:00Z"],
    "message-log": ["--status", "failed"],
    "what-changed": ["--from", "2025-07-01", "--to", "2025-09-30"],
}
# Questions with filters and dimensions, beside every query without: name and arguments.
CUT = [
    "agent-response --by week,agent --sla-seconds 600",
    "delivery-rate --by week,tag --country CO,MX",
    "drop-off --by country --channel meta-ad,organic",
    "failure-reasons --by day,country --state frequency_capped,excluded",
    "list-burn --by exposure,country",
    "return-rate --by country --session-type inbound",
    "session-duration --by month,tag --conversation-version 1,2",
    "template-performance --by country --message-source api,campaign",
]


def main():
    asked = options()
    if asked.write_docs:
        report.write(ROOT)
        return
    # The same cores for both sides.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: asked.threads])
    bench = Bench(asked)
    # SQL for DuckDB reads the reference data below it.
    os.chdir(ROOT)
    if asked.engine or asked.growth or asked.peers:
        beside(bench)
        return
    results = bench.results()
    small = bench.folder / "results.json"
    target = small if asked.small or asked.queries or asked.only else BENCHES / "results.json"
    target.write_text(json.dumps(results, indent=2) + "\n")
    print(report.text(results))
    if target is not small:
        report.write(ROOT)
    print(f"\nwritten to {target.relative_to(ROOT) if target.is_relative_to(ROOT) else target}")
    failures = report.failures(results)
    if failures:
        sys.exit("\n".join(f"FAILED: {failure}" for failure in failures))


def beside(bench):
    """Measures clusters, growth or peers in place of the comparison with DuckDB."""
    name = "clusters" if bench.asked.engine else "growth" if bench.asked.growth else "peers"
    bench.prepare()
    measured = {"clusters": clusters, "growth": growth, "peers": peers}[name].measure(bench, say)
    shutil.rmtree(bench.scratch)
    results = bench.conditions() | {name: measured}
    folder = bench.folder if bench.asked.small or bench.asked.queries else BENCHES
    (folder / f"{name}.json").write_text(json.dumps(results, indent=2) + "\n")
    print(getattr(report, name)(results))
    wrong = [f"FAILED: {one['name']}: {one['wrong']}" for one in measured if one.get("wrong")]
    if wrong:
        sys.exit("\n".join(wrong))


def options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--small", action="store_true", help="a hundredth of the rows, two rounds")
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--sessions-per-day", type=int, help="[13700, five million in a year]")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, help="of queries [3]")
    parser.add_argument("--load-rounds", type=int, help="of loads [3]")
    parser.add_argument("--threads", type=int, default=2, help="for both sides [2]")
    parser.add_argument("--engine", choices=["spark"], help="ask clusters instead of DuckDB")
    parser.add_argument("--growth", action="store_true", help="ask larger lakes, and no peer")
    parser.add_argument(
        "--peers", action="store_true", help="time each `duckdb.sql` against the twin, on DuckDB"
    )
    parser.add_argument("--only", choices=["queries", "loads"])
    parser.add_argument(
        "--queries", nargs="+", metavar="QUESTION",
        help="only these, each a name or a name with its arguments in quotes [the whole catalog]",
    )
    parser.add_argument("--program", type=Path, default=ROOT / "target/release/wabalake")
    parser.add_argument("--folder", type=Path, default=ROOT / "bench", help="for files [bench]")
    parser.add_argument(
        "--write-docs", action="store_true", help="only show the last results in docs/benchmarks.md"
    )
    asked = parser.parse_args()
    for name, whole, small in (
        ("sessions_per_day", 13_700, 137), ("rounds", 3, 2), ("load_rounds", 3, 1)
    ):
        if getattr(asked, name) is None:
            setattr(asked, name, small if asked.small else whole)
    return asked


class Bench:
    """The files of a benchmark, and the measurements on them."""

    def __init__(self, asked):
        self.asked = asked
        self.program = asked.program.resolve()
        if not self.program.exists():
            sys.exit(f"error: there is no `{asked.program}`\n  hint: `make build` makes it")
        self.folder = asked.folder.resolve() / ("small" if asked.small else "year")
        self.lake = self.folder / "lake"
        self.exports = self.folder / "exports"
        self.scratch = self.folder / "scratch"

    def results(self) -> dict:
        """Runs the requested measurements."""
        self.prepare()
        results = self.conditions()
        if self.asked.only != "loads":
            results["empty_lake"] = self.empty_lake()
            results["queries"] = self.queries()
        if self.asked.only != "queries":
            results["loads"] = [self.load(table) for table in LOADED]
        shutil.rmtree(self.scratch)
        return results

    def prepare(self):
        """Makes the lake, the exports, and an empty scratch folder."""
        self.generate()
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.scratch.mkdir()

    def conditions(self) -> dict:
        """The time, machine, versions and data of the measurement."""
        return {
            "at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "command": " ".join(["python", *sys.argv]),
            "machine": machine(),
            "versions": self.versions(),
            "threads": self.asked.threads,
            "rounds": self.asked.rounds,
            "load_rounds": self.asked.load_rounds,
            "data": self.data(),
        }

    # ---- Data ----

    def generate(self):
        """Makes the lake and the exports, unless the last run left the same."""
        asked = self.asked
        plan = [
            "--days", asked.days, "--sessions-per-day", asked.sessions_per_day, "--seed", asked.seed,
        ]
        expected = json.dumps([*plan, self.wabalake_version(), "lake of every table", *LOADED])
        mark = self.folder / "plan.json"
        if mark.exists() and mark.read_text() == expected:
            say(f"using the lake and the exports in {self.folder}")
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        exported = ["--tables", ",".join(LOADED)]
        for kind, place, of in (("--lake", self.lake, []), ("--out", self.exports, exported)):
            made = run(self.program, "sample", kind, place, *plan, *of)
            say(f"made {place} in {made.seconds:.1f} s")
        mark.write_text(expected)

    def tables(self) -> list[str]:
        """The tables of the lake."""
        return sorted(folder.name for folder in (self.lake / "tables").iterdir())

    def files(self, lake: Path, table: str) -> list[str]:
        """The live files of a table, by the lake's log."""
        files = DeltaTable(lake / "tables" / table).file_uris()
        return sorted(file.removeprefix("file://") for file in files)

    def loads(self) -> Path:
        """The loads of the commits of the lake, as a Parquet file."""
        rows = []
        for table in self.tables():
            for commit in sorted((self.lake / "tables" / table / "_delta_log").glob("*.json")):
                actions = map(json.loads, commit.read_text().splitlines())
                infos = [action["commitInfo"] for action in actions if "commitInfo" in action]
                for info in infos:
                    rows += [
                        (
                            table, info["timestamp"] * 1000, file["rows_read"],
                            file["rows_rejected"], file["rows_with_sentinel"], file.get("window_from"),
                            file.get("window_to"),
                        )
                        for file in info.get("files", [])
                    ]
        listed = self.scratch / "loads.parquet"
        with duckdb.connect() as connection:
            connection.execute(
                "CREATE TABLE loads (kind VARCHAR, loaded_at BIGINT, records BIGINT, "
                "rejected BIGINT, with_sentinel BIGINT, window_from DATE, window_to DATE)"
            )
            connection.executemany("INSERT INTO loads VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
            connection.execute(
                "COPY (SELECT * REPLACE (make_timestamptz(loaded_at) AS loaded_at) FROM loads) "
                f"TO '{listed}' (FORMAT parquet)"
            )
        return listed

    def exports_of(self, table: str) -> list[Path]:
        """The exports of a table, found by the vendors' file names."""
        names = {
            "sessions": "general_sessions*", "deployments": "deployments*", "messages": "kaleyra_tabular*",
        }
        return sorted(self.exports.glob(names[table]))

    def data(self) -> dict:
        tables = {}
        for table in self.tables():
            files = self.files(self.lake, table)
            exports = self.exports_of(table) if table in LOADED else []
            tables[table] = {
                "rows": self.rows_of(self.lake, table),
                "files": len(files),
                "parquet_bytes": sum(Path(file).stat().st_size for file in files),
                "exports": len(exports),
                "csv_bytes": sum(export.stat().st_size for export in exports),
            }
        return {"days": self.asked.days, "seed": self.asked.seed, "tables": tables}

    def rows_of(self, lake: Path, table: str) -> int:
        files = duckdb.read_parquet(self.files(lake, table))
        return files.aggregate("count(*)").fetchall()[0][0]

    def wabalake_version(self) -> str:
        return run(self.program, "--version").stdout.strip()

    def versions(self) -> dict:
        return {
            "wabalake": self.wabalake_version().removeprefix("wabalake "),
            "commit": commit(),
            "duckdb": duckdb.__version__,
            "python": platform.python_version(),
        }

    # ---- Queries ----

    def empty_lake(self) -> dict:
        """The time of a query on an empty folder, which is a valid lake."""
        nothing = self.scratch / "nothing"
        nothing.mkdir()
        name = self.catalog()[0]
        command = [*self.question(name, nothing), "-o", self.scratch / "nothing.parquet"]
        runs = [run(*command) for _ in range(self.asked.rounds + 1)][1:]
        return {"query": name} | summary(runs)

    def catalog(self) -> list[str]:
        """The names of the queries, as the program lists them, and the questions that are cut."""
        names = list(self.described())
        if not self.asked.queries:
            return names + CUT
        unknown = [question for question in self.asked.queries if question.split(" ")[0] not in names]
        if unknown:
            sys.exit(f"error: no query is called {', '.join(unknown)}")
        return self.asked.queries

    @functools.cache
    def described(self) -> dict[str, dict]:
        """Each query as the program describes it, by name."""
        queries = json.loads(run(self.program, "queries", "-f", "json").stdout)
        return {query["name"]: query for query in queries}

    def question(self, name: str, lake: Path) -> list:
        """The command of a query, without the path of the answer."""
        query = name.split()[0]
        return [self.program, "query", query, *self.arguments(name), "--lake", lake, "-f", "parquet"]

    def arguments(self, name: str) -> list[str]:
        """The arguments of a query or of a question that is cut."""
        query, *given = name.split()
        if query == "user-history":
            return ["--phone", self.phone()]
        if name in ASKED or given:
            return ASKED.get(name, given)
        return list(needs(self.described()[query]))

    def duckdb(self, name: str, sql: str) -> tuple[list, Path]:
        """The command that has DuckDB answer a statement, and the file that the answer goes to."""
        statement, answer = (self.scratch / f"{name}.{ext}" for ext in ("sql", "duckdb.parquet"))
        statement.write_text(sql)
        return [
            *PYTHON, BENCHES / "duckdb/query.py", statement, self.listed(), answer, self.asked.threads,
        ], answer

    @functools.cache
    def listed(self) -> Path:
        """A file that lists the files of each table of the lake."""
        files = {table: self.files(self.lake, table) for table in self.tables()}
        listed = self.scratch / "files.json"
        persons = self.persons()
        nameless = {table: self.nameless(table, persons) for table in files}
        listed.write_text(json.dumps({
            "tables": files | {"loads": [str(self.loads())], "persons": [str(persons)]},
            "nameless": {table: str(file) for table, file in nameless.items() if file},
        }))
        return listed

    def nameless(self, table: str, persons: Path) -> Path | None:
        """The person of each user id in rows without a number, and the key of the person's own rows, as a
        Parquet file; `None` if the table has no such rows."""
        answer = self.scratch / f"nameless-{table}.parquet"
        rows = duckdb.read_parquet(self.files(self.lake, table))
        if not {"user_phone", "user_id", "user_key"} <= set(rows.columns):
            return None
        ids = rows.filter("user_phone IS NULL AND user_id IS NOT NULL").project("user_id, user_key").distinct()
        if not ids.limit(1).fetchall():
            return None
        known = rows.filter("user_phone IS NOT NULL").aggregate("user_phone, any_value(user_key) AS key_of_phone")
        ids.set_alias("ids")
        seen = duckdb.sql(
            f"SELECT ids.user_id, person, coalesce(key_of_phone, ids.user_key) AS user_key FROM ids "
            f"JOIN read_parquet('{persons}') AS persons ON persons.user_id = ids.user_id "
            f"LEFT JOIN known ON known.user_phone = persons.person"
        )
        seen.write_parquet(str(answer))
        return answer

    def persons(self) -> Path:
        """The person of each user id, as a Parquet file; none if the lake has no links of user ids."""
        answer = self.scratch / "persons.parquet"
        run(self.program, "sql", "SELECT * FROM persons", "--lake", self.lake, "-f", "parquet", "-o", answer)
        return answer

    @functools.cache
    def phone(self) -> str:
        """The person of the lake with the most sessions."""
        sessions = duckdb.read_parquet(self.files(self.lake, "sessions"))
        people = sessions.filter("user_phone IS NOT NULL").aggregate("user_phone, count(*) AS n")
        return people.order("n DESC, user_phone").limit(1).fetchall()[0][0]

    def queries(self) -> list[dict]:
        names = self.catalog()
        runs = {name: {"wabalake": [], "duckdb": []} for name in names}
        notes = {}
        for turn in range(self.asked.rounds + 1):
            for name in names:
                ours = self.scratch / f"{name}.parquet"
                command, theirs = self.duckdb(name, peers.statement(self, name))
                ask = {"wabalake": [*self.question(name, self.lake), "-o", ours], "duckdb": command}
                try:
                    for side in in_turns(ask, turn):
                        runs[name][side].append(run(*ask[side]))
                    if turn == 0:
                        notes[name] = difference(ours, theirs)
                except Failed as failure:
                    notes[name] = str(failure)
            say(f"queries: {'warm-up' if turn == 0 else f'round {turn}'} done")
        return [measured(name, runs[name], notes[name]) for name in names]

    # ---- Loading ----

    def load(self, table: str) -> dict:
        exports = self.exports_of(table)
        lakes = {side: self.scratch / f"{side}-lake" for side in ("wabalake", "duckdb")}
        one_file = self.scratch / "copy.parquet"
        script = [*PYTHON, BENCHES / "duckdb/load.py"]
        ask = {
            "wabalake": [
                self.program, "load", table, *exports, "--lake", lakes["wabalake"], "--quiet"
            ],
            "duckdb": [
                *script, self.asked.threads, table, lakes["duckdb"] / table, COUNTRIES, *exports
            ],
            "copy": [*script, self.asked.threads, "--copy", one_file, *exports],
        }
        runs = {side: [] for side in ask}
        note, guessed = None, []
        for turn in range(self.asked.load_rounds + 1):
            for side in in_turns(ask, turn):
                for lake in (lakes.get(side), one_file if side == "copy" else None):
                    remove(lake)
                # Pending writes must not slow down the next process.
                os.sync()
                try:
                    runs[side].append(run(*ask[side]))
                except Failed as failure:
                    note = f"{side}: {failure}"
            if turn == 0 and note is None:
                theirs = sorted(map(str, (lakes["duckdb"] / table).rglob("*.parquet")))
                note, guessed = rows_differ(self.files(lakes["wabalake"], table), theirs)
            say(f"load {table}: {'warm-up' if turn == 0 else f'round {turn}'} done")
        for leftover in (*lakes.values(), one_file):
            remove(leftover)
        return measured(table, runs, note) | {"columns_by_numbering_plan": guessed}


def measured(name: str, runs: dict[str, list[Run]], note: str | None) -> dict:
    """The results of a comparison, without the warm-up round."""
    result = {"name": name, "wrong": note}
    for side, all_runs in runs.items():
        if all_runs[1:]:
            result[side] = summary(all_runs[1:])
    if "wabalake" in result and "duckdb" in result:
        ours, theirs = result["wabalake"], result["duckdb"]
        result["ratio"] = ours["median"] / theirs.get("own_median", theirs["median"])
        if "own_cpu_median" in theirs:
            result["cpu_ratio"] = ours["cpu_median"] / theirs["own_cpu_median"]
    return result


def summary(runs: list[Run]) -> dict:
    """Median times in seconds and peaks of memory in bytes."""
    result = {
        "median": statistics.median(run.seconds for run in runs),
        "seconds": [round(run.seconds, 4) for run in runs],
        "cpu_median": statistics.median(run.cpu_seconds for run in runs),
        "resident": max(run.resident for run in runs),
        "anonymous": max(run.anonymous for run in runs),
    }
    # DuckDB's process prints its time without the start of Python.
    own = [json.loads(run.stdout) for run in runs if run.stdout.startswith("{")]
    if own:
        result["own_median"] = statistics.median(run["seconds"] for run in own)
        result["own_cpu_median"] = statistics.median(run["cpu_seconds"] for run in own)
    return result


def in_turns(sides, turn: int) -> list[str]:
    """The sides, in reverse order in every other round."""
    return list(sides) if turn % 2 == 0 else list(reversed(list(sides)))


def remove(place: Path | None):
    if place is not None and place.is_dir():
        shutil.rmtree(place)
    elif place is not None:
        place.unlink(missing_ok=True)


def machine() -> dict:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    models = [
        line.split(":", 1)[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "cores": os.cpu_count(),
        "processor": models[0] if models else platform.machine(),
        "memory_bytes": memory,
        "kernel": platform.release(),
        "load_average": round(os.getloadavg()[0], 2),
    }


def commit() -> str:
    """The current commit, with `+` if files were changed."""
    def git(*words):
        done = subprocess.run(["git", "-C", ROOT, *words], capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else ""
    changed = git("status", "--porcelain", "--untracked-files=no")
    return git("rev-parse", "--short", "HEAD") + ("+" if changed else "")


def say(words: str):
    print(words, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
