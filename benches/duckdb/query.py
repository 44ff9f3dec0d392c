"""DuckDB's side of the query benchmark: one query over a lake's Parquet files, into Parquet.

One process. Which files are alive is known beforehand (FILES, JSON: table to paths), and only the
tables that the query names are opened.

    python query.py SQL FILES COUNTRIES ANSWER THREADS [PHONE]
"""

import json
import re
import sys
import time
from pathlib import Path

import duckdb

IMPORTED = time.perf_counter()


def answer(
    sql: str, files: dict[str, list[str]], countries: str, parquet: str, threads: int, phone: str = ""
):
    """Runs the query and writes what it answers. PHONE is whom it is about, if it is about one."""
    with duckdb.connect(config={"threads": threads}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for table, paths in files.items():
            if re.search(rf"\b{table}\b", sql):
                scan = connection.read_parquet(paths, hive_partitioning=True)
                scan.create_view(table)
        if "countries" in sql:
            connection.execute("SET VARIABLE countries = $1", [countries])
        if "getvariable('phone')" in sql:
            connection.execute("SET VARIABLE phone = $1", [phone])
        connection.execute(f"COPY ({sql}) TO '{parquet}' (FORMAT parquet)")


if __name__ == "__main__":
    script, files, countries, parquet, threads, *phone = sys.argv[1:]
    sql = Path(script).read_text().rstrip().removesuffix(";")
    answer(sql, json.loads(Path(files).read_text()), countries, parquet, int(threads), *phone)
    # What DuckDB took by itself, without the interpreter's start and the import.
    print(json.dumps({"seconds": time.perf_counter() - IMPORTED}))
