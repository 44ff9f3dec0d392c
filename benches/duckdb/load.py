"""DuckDB's side of the loading benchmark: exports of one table into Parquet by day.

One process; load/TABLE.sql does the work. Typed rows go to a temporary Parquet file, since they do not
fit into memory; a database file takes longer.

    python load.py THREADS TABLE LAKE COUNTRIES EXPORT...
    python load.py THREADS --copy PARQUET EXPORT...
"""

import sys
import tempfile
from pathlib import Path

import duckdb

HERE = Path(__file__).parent
LIMITS = {"memory_limit": "1GiB"}
# The number of rows that DuckDB can sort and write by day within that limit.
SORTED_AT_ONCE = 500_000


def load(limits: dict, table: str, lake: Path, countries: str, exports: list[str]) -> None:
    """Types, checks, merges, sorts and writes the rows."""
    lake.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=lake.parent) as scratch:
        limits = limits | {"temp_directory": f"{scratch}/spill"}
        with duckdb.connect(config=limits) as connection:
            connection.execute("SET preserve_insertion_order = false")
            set_variables(connection, {
                "files": exports,
                "countries": countries,
                "typed": f"{scratch}/typed.parquet",
                "lake": str(lake),
                "rejects": f"{lake}.rejects.parquet",
            })
            for script in ("cells", f"load/{table}", "rejects"):
                sql = (HERE / f"{script}.sql").read_text()
                for statement in connection.extract_statements(sql):
                    if "first_day" in statement.query:
                        for days in date_ranges(connection):
                            set_variables(connection, days)
                            connection.execute(statement)
                    else:
                        connection.execute(statement)


def date_ranges(connection) -> list[dict]:
    """Date ranges whose rows fit into memory for the sort."""
    rows = connection.execute(
        """
        WITH days AS (
            SELECT utc_day, sum(count(*)) OVER (ORDER BY utc_day) // $1 AS place
            FROM typed
            WHERE reason IS NULL
            GROUP BY utc_day
        )
        SELECT min(utc_day), max(utc_day) FROM days GROUP BY place ORDER BY place
        """,
        [SORTED_AT_ONCE],
    )
    return [{"first_day": first, "last_day": last} for first, last in rows.fetchall()]


def set_variables(connection, variables: dict):
    for name, value in variables.items():
        connection.execute(f"SET VARIABLE {name} = $1", [value])


def copy(limits: dict, parquet: str, exports: list[str]) -> None:
    """Copies CSV to Parquet with guessed types: one file, no order, no checks."""
    with duckdb.connect(config=limits) as connection:
        connection.execute("SET preserve_insertion_order = false")
        connection.execute(
            f"COPY (FROM read_csv($1)) TO '{parquet}' (FORMAT parquet, COMPRESSION zstd)",
            [exports],
        )


if __name__ == "__main__":
    match sys.argv[1:]:
        case [threads, "--copy", parquet, *exports] if exports:
            copy(LIMITS | {"threads": threads}, parquet, exports)
        case [threads, table, lake, countries, *exports] if exports:
            load(LIMITS | {"threads": threads}, table, Path(lake), countries, exports)
        case _:
            sys.exit(__doc__)
