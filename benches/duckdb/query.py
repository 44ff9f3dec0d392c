"""DuckDB's side of the query benchmark: one query over a lake's Parquet files, into Parquet.

One process. Which files are alive is known beforehand (FILES, JSON: table to paths), and only the
tables that the query names are opened.

    python query.py SQL FILES ANSWER THREADS
"""

import json
import re
import resource
import sys
import time
from pathlib import Path

import duckdb

IMPORTED = time.perf_counter()
IMPORTED_USED = resource.getrusage(resource.RUSAGE_SELF)


def answer(sql: str, files: dict[str, list[str]], parquet: str, threads: int):
    """Runs the query and writes its answer."""
    with duckdb.connect(config={"threads": threads}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for table, paths in files.items():
            if re.search(rf"\b{table}\b", sql):
                scan = connection.read_parquet(paths, hive_partitioning=True)
                scan.create_view(table)
        connection.execute(f"COPY ({sql}) TO '{parquet}' (FORMAT parquet)")


if __name__ == "__main__":
    script, files, parquet, threads = sys.argv[1:]
    answer(Path(script).read_text(), json.loads(Path(files).read_text()), parquet, int(threads))
    # Without the interpreter's start and the import: the time that passed, and the processor's.
    used = resource.getrusage(resource.RUSAGE_SELF)
    user = used.ru_utime - IMPORTED_USED.ru_utime
    print(json.dumps({
        "seconds": time.perf_counter() - IMPORTED,
        "user_seconds": user,
        "cpu_seconds": user + used.ru_stime - IMPORTED_USED.ru_stime,
    }))
