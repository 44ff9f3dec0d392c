"""Other Delta readers find the same rows in a lake."""

import json
from zlib import crc32

import duckdb
import pandas
import polars
import pyarrow
import pytest
from pyarrow import parquet

from lakes import tables
from program import run

CLIENTS = {
    "deltalake": lambda table: table.to_pyarrow_table(),
    "duckdb": lambda table: through_duckdb(table.to_pyarrow_dataset()),
    "polars": lambda table: polars.scan_delta(table.table_uri).collect().to_arrow(),
    # NumPy integers cannot hold nulls.
    "pandas": lambda table: table.to_pandas(types_mapper=pandas.ArrowDtype),
}


def through_duckdb(dataset):
    connection = duckdb.connect()
    connection.execute("SET timezone = 'UTC'")
    return connection.from_arrow(dataset).to_arrow_table()


def checksums(rows):
    """For each column, the number of values and a checksum that does not depend on their order."""
    if isinstance(rows, pandas.DataFrame):
        columns = {name: rows[name].astype(object).where(rows[name].notna(), None) for name in rows}
    else:
        columns = {name: rows[name].to_pylist() for name in rows.column_names}
    return {name: (len(values), sum(map(checksum, values))) for name, values in columns.items()}


def checksum(value):
    if value is None:
        return 0
    if hasattr(value, "to_pydatetime"):
        value = value.to_pydatetime()
    return crc32(str(value).encode())


def test_demo_lake_has_the_main_tables(demo_lake):
    assert {"sessions", "deployments", "messages", "rejects"} <= set(tables(demo_lake))


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("lake", ["demo_lake", "sample_lake"])
def test_client_reads_all_rows_of_every_table(client, lake, request):
    lake = request.getfixturevalue(lake)
    status = {table["table"]: table["rows"] for table in json.loads(run("status", "--lake", lake, "-f", "json"))}
    assert set(status) == set(tables(lake))
    for name, table in tables(lake).items():
        files = [parquet.read_table(file, partitioning=None) for file in table.file_uris()]
        expected = checksums(pyarrow.concat_tables(files))
        found = checksums(CLIENTS[client](table))
        found.pop("utc_day")  # the partition column is in the paths of the files only
        assert found == expected, name
        assert {rows for rows, _ in found.values()} == {status[name]}, name
