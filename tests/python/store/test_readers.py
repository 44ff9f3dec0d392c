"""Other Delta readers find the same rows in a lake on S3 as in its folder."""

import duckdb
import polars
import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

import servers
from lakes import data_tables
from stores import copy_lake


@pytest.fixture(scope="module")
def copied(main_s3, demo_lake):
    copy_lake(demo_lake, main_s3.client(), "read")
    return main_s3.url("read")


READERS = {
    "deltalake": lambda url, options: polars.from_arrow(DeltaTable(url, storage_options=options).to_pyarrow_table()),
    "duckdb": lambda url, options: through_duckdb(DeltaTable(url, storage_options=options).to_pyarrow_dataset()),
    "polars": lambda url, options: polars.scan_delta(url, storage_options=options).collect(),
}


def through_duckdb(dataset):
    connection = duckdb.connect()
    connection.execute("SET timezone = 'UTC'")
    return connection.from_arrow(dataset).pl()


def in_order(rows):
    return rows.select(sorted(rows.columns)).sort(polars.all().cast(polars.String), nulls_last=True)


@pytest.mark.parametrize("reader", READERS)
def test_reader_finds_all_rows_of_every_table(reader, main_s3, copied, demo_lake):
    for name, table in data_tables(demo_lake).items():
        here = in_order(polars.from_arrow(table.to_pyarrow_table()))
        found = in_order(READERS[reader](f"{copied}/tables/{name}", main_s3.options()))
        assert found.rows() == here.rows(), name


def test_sail_reads_the_files(main_s3, copied, demo_lake, tmp_path):
    access = {name: value for name, value in main_s3.variables().items() if name.startswith("AWS_")}
    sail = servers.Sail(tmp_path, **access, AWS_ENDPOINT_URL=main_s3.at(), AWS_ALLOW_HTTP="true")
    try:
        sail.wait()
        session = SparkSession.builder.remote(sail.remote).getOrCreate()
        for name, table in data_tables(demo_lake).items():
            read = session.read.format("delta").load(f"{copied}/tables/{name}")
            assert read.count() == table.count(), name
        session.stop()
    finally:
        sail.stop()
