"""Compares answers of two programs, and the rows of two lakes."""

import math
from pathlib import Path

import duckdb

# The relative tolerance of floats.
TOLERANCE = 1e-9

# Columns from libphonenumber, which SQL does not have.
BY_NUMBERING_PLAN = {"user_phone", "country", "user_phone_valid"}


def difference(ours: Path, theirs: Path, tolerance: float = TOLERANCE) -> str | None:
    """The first difference of two Parquet answers in columns, types or rows in order; `None` if equal."""
    connection = duckdb.connect()
    (our_columns, our_rows), (their_columns, their_rows) = (
        read(connection, answer) for answer in (ours, theirs)
    )
    if our_columns != their_columns:
        return f"columns are {our_columns}, the peer's are {their_columns}"
    if len(our_rows) != len(their_rows):
        return f"{len(our_rows)} rows, the peer has {len(their_rows)}"
    for number, (our_row, their_row) in enumerate(zip(our_rows, their_rows), start=1):
        for (column, _), our_value, their_value in zip(our_columns, our_row, their_row):
            if not same(our_value, their_value, tolerance):
                return f"row {number}, {column}: {our_value!r}, the peer says {their_value!r}"
    return None


def read(connection, answer: Path):
    """The columns with types, and the rows, instants as microseconds."""
    rows = connection.read_parquet(str(answer))
    columns = list(zip(rows.columns, map(str, rows.types)))
    instant = "TIMESTAMP WITH TIME ZONE"
    values = [
        f'epoch_us("{name}")' if type_ == instant else f'"{name}"' for name, type_ in columns
    ]
    return columns, rows.project(", ".join(values)).fetchall()


def same(ours, theirs, tolerance: float) -> bool:
    if isinstance(ours, float) and isinstance(theirs, float):
        return math.isclose(ours, theirs, rel_tol=tolerance, abs_tol=0.0)
    return ours == theirs


def rows_differ(ours: list[str], theirs: list[str]) -> tuple[str | None, list[str]]:
    """Compares the rows of a table in two lakes by a sum of hashes of each column, in any order.
    Returns the difference, and the columns that differ for lack of numbering plans."""
    connection = duckdb.connect(config={"memory_limit": "4GB"})
    one, other = (connection.read_parquet(files, hive_partitioning=True) for files in (ours, theirs))
    columns = [name for name in one.columns if name in set(other.columns)]
    kept = [name for name in columns if not name.endswith("_key")]
    # Columns of other exports than these, which are null here.
    missing = sorted(set(one.columns) - set(columns))
    filled = one.aggregate(", ".join(f'count("{name}")' for name in missing)).fetchall()[0] if missing else ()
    if any(filled):
        return f"DuckDB's rows lack {', '.join(name for name, rows in zip(missing, filled) if rows)}", []
    sums = ", ".join(f'sum(hash("{name}"))' for name in kept)
    (count, *ours), (their_count, *theirs) = (
        rows.aggregate(f"count(*), {sums}").fetchall()[0] for rows in (one, other)
    )
    if count != their_count:
        return f"{count} rows, DuckDB has {their_count}", []
    unequal = [name for name, our, their in zip(kept, ours, theirs) if our != their]
    grave = [name for name in unequal if name not in BY_NUMBERING_PLAN]
    return (f"columns differ: {', '.join(grave)}" if grave else None), unequal
