"""Two engines that are not ours, asked the same question of the same files.

Both read the files that are active in the lake's Delta log, and see the columns of the catalog only.
"""

import os
import re

import duckdb
import pyarrow

from dialect import duckdb_dialect
from lakes import data_tables, loads, persons, seen, viewed_columns

os.environ.setdefault("RUST_LOG", "off")
# gRPC would go through a proxy even to reach this machine.
os.environ["no_proxy"] = os.environ["NO_PROXY"] = "127.0.0.1,localhost"


PERCENTILE = re.compile(r"(^|_)(median|p\d\d)_")


def create_views(session, lake):
    """The tables of a lake as views of a session of Spark Connect, with persons, as the twins read them."""
    people = [tuple(row.values()) for row in persons(lake).to_pylist()]
    session.createDataFrame(people, "user_id string, person string").createOrReplaceTempView("persons")
    for name, table in data_tables(lake).items():
        columns = viewed_columns(table)
        view = session.read.parquet(*table.file_uris()).select(*columns)
        has_people = "user_phone" in columns
        view.createOrReplaceTempView(f"stored_{name}" if has_people else name)
        # Sail passes over a file that is not there without a word.
        assert view.count() == table.count(), f"the server does not see every row of {name}"
        if has_people:
            session.sql(seen(name, columns, "`")).createOrReplaceTempView(name)
    session.createDataFrame(loads(lake)).createOrReplaceTempView("loads")


class Sail:
    """A Spark Connect server within this process; the dialect that the twins are written in."""

    def __init__(self):
        from pysail.spark import SparkConnectServer
        from pyspark.sql import SparkSession

        self.server = SparkConnectServer("127.0.0.1", 0)
        self.server.start(background=True)
        _, port = self.server.listening_address
        self.session = SparkSession.builder.remote(f"sc://127.0.0.1:{port}").create()
        self.session.conf.set("spark.sql.session.timeZone", "UTC")

    def open(self, lake):
        create_views(self.session, lake)

    def ask(self, sql):
        return self.session.sql(sql).toArrow()

    @staticmethod
    def tolerance(column):
        # Its percentile_cont cuts the fraction between two values off after six digits.
        return 1e-4 if PERCENTILE.search(column) else 1e-9

    def close(self):
        self.session.stop()
        self.server.stop()


class DuckDB:
    """A third opinion, in its own dialect."""

    def __init__(self):
        self.connection = duckdb.connect()
        self.connection.execute("SET timezone = 'UTC'")

    def open(self, lake):
        self.connection.register("persons", persons(lake))
        for name, table in data_tables(lake).items():
            columns = viewed_columns(table)
            files = self.connection.read_parquet(table.file_uris(), hive_partitioning=False)
            view = files.project(", ".join(f'"{column}"' for column in columns))
            has_people = "user_phone" in columns
            view.create_view(f"stored_{name}" if has_people else name, replace=True)
            if has_people:
                self.connection.sql(seen(name, columns, '"')).create_view(name, replace=True)
        self.connection.register("loads", loads(lake))

    @staticmethod
    def tolerance(_column):
        return 1e-9

    def ask(self, sql):
        return self.connection.sql(duckdb_dialect(sql)).to_arrow_table()

    def close(self):
        self.connection.close()


def normal(table):
    """The table with one of the several Arrow types that hold the same values."""
    types = {
        pyarrow.large_string(): pyarrow.string(),
        pyarrow.string_view(): pyarrow.string(),
    }
    fields = [pyarrow.field(f.name, types.get(f.type, f.type)) for f in table.schema]
    return table.cast(pyarrow.schema(fields))


def difference(ours, theirs, tolerance):
    """The first thing that differs, or nothing: names, types, number of rows, values in order."""
    ours, theirs = normal(ours), normal(theirs)
    # Whether a column may be null is said by some engines, and differently.
    if ours.schema.names != theirs.schema.names or ours.schema.types != theirs.schema.types:
        return f"{ours.schema.to_string()}\nagainst\n{theirs.schema.to_string()}"
    if len(ours) != len(theirs):
        return f"{len(ours)} rows against {len(theirs)}"
    for row, (mine, other) in enumerate(zip(ours.to_pylist(), theirs.to_pylist())):
        for column in mine:
            if not same(mine[column], other[column], tolerance(column)):
                return f"`{column}` of row {row}\n{mine}\nagainst\n{other}"
    return None


def same(mine, other, tolerance):
    """Equal, or floats that differ by no more than a share of the larger."""
    if isinstance(mine, float) and isinstance(other, float):
        return mine == other or abs(mine - other) <= tolerance * max(abs(mine), abs(other))
    return mine == other
