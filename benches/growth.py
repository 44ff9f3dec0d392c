"""The queries on growing lakes: a year with half a million sessions, then 4 and 16 times as many."""

import shutil

from processes import run

SESSIONS_PER_DAY = 1_370
TIMES = (1, 4, 16)


def measure(bench, say) -> list[dict]:
    """Seconds and peak memory of each query, by the size of the lake."""
    grown = []
    for times in TIMES:
        lake = bench.folder / "grown"
        shutil.rmtree(lake, ignore_errors=True)
        made = run(
            bench.program, "sample", "--lake", lake, "--days", bench.asked.days,
            "--sessions-per-day", SESSIONS_PER_DAY * times, "--seed", bench.asked.seed,
        )
        say(f"made a lake {times} times as large in {made.seconds:.0f} s")
        queries = {}
        for name in bench.catalog():
            ask = bench.question(name, lake)
            # Its files are in the system's cache, for they have just been written.
            taken = run(*ask, "-o", bench.scratch / "answer.parquet")
            queries[name] = {
                "seconds": taken.seconds,
                "resident": taken.resident,
                "anonymous": taken.anonymous,
            }
        tables = {table: bench.rows_of(lake, table) for table in ("sessions", "deployments", "messages")}
        size = sum(file.stat().st_size for file in lake.rglob("*.parquet"))
        grown.append({"times": times, "tables": tables, "bytes": size, "queries": queries})
        say(f"{times} times: done")
        shutil.rmtree(lake)
    return grown
