"""DuckDB's side of the query benchmark: one query over a lake's Parquet files, into Parquet.

One process. Which files are alive is known beforehand (FILES, JSON: `tables`, table to paths), and only
the tables that the query names are opened. Rows without a number show their person (`nameless`, table to
a Parquet file of user ids with person and key), as queries see them.

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


def answer(sql: str, files: dict, parquet: str, threads: int):
    """Runs the query and writes its answer."""
    with duckdb.connect(config={"threads": threads}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for table, paths in files["tables"].items():
            if not re.search(rf"\b{table}\b", sql):
                continue
            scan = connection.read_parquet(paths, hive_partitioning=True)
            people = files["nameless"].get(table)
            if people is None:
                scan.create_view(table)
                continue
            scan.create_view(f"stored_{table}")
            connection.execute(f"""
                CREATE VIEW {table} AS
                SELECT each_row.* REPLACE (
                    coalesce(each_row.user_phone, people.person, each_row.user_id) AS user_phone,
                    coalesce(people.user_key, each_row.user_key) AS user_key
                )
                FROM stored_{table} AS each_row
                LEFT JOIN read_parquet('{people}') AS people
                    ON each_row.user_phone IS NULL AND people.user_id = each_row.user_id
            """)
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
