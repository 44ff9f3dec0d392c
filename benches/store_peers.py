"""Sessions per day and their average duration, read from an object store by Polars or DuckDB.

    python benches/store_peers.py polars|duckdb s3://BUCKET/LAKE/tables/sessions

Both read the Delta log with the package deltalake; Polars then reads the files with its own client. DuckDB's
extensions for S3 and Delta are not on PyPI, so that it gets the files from pyarrow, as deltalake opens them.
"""

import os
import sys

READER, TABLE = sys.argv[1:]
OPTIONS = {
    "aws_endpoint_url": os.environ["AWS_ENDPOINT_URL_S3"], "aws_region": os.environ["AWS_REGION"],
    "aws_access_key_id": os.environ["AWS_ACCESS_KEY_ID"],
    "aws_secret_access_key": os.environ["AWS_SECRET_ACCESS_KEY"], "aws_allow_http": "true",
}


def through_polars():
    import polars
    from polars import col

    started, finished = col("session_started_timestamp"), col("session_finished_timestamp")
    days = (
        polars.scan_delta(TABLE, storage_options=OPTIONS)
        .group_by(started.dt.date().alias("day"))
        .agg(polars.len(), (finished - started).dt.total_microseconds().mean())
        .sort("day")
    )
    return days.collect().select("day", "len").rows()


def through_duckdb():
    import duckdb
    from deltalake import DeltaTable

    sessions = DeltaTable(TABLE, storage_options=OPTIONS).to_pyarrow_dataset()
    connection = duckdb.connect()
    connection.execute("SET timezone = 'UTC'")
    connection.register("sessions", sessions)
    return connection.execute("""
        SELECT day, sessions FROM (
            SELECT session_started_timestamp::DATE AS day, count(*) AS sessions,
                avg(epoch_us(session_finished_timestamp) - epoch_us(session_started_timestamp)) AS duration
            FROM sessions GROUP BY day
        ) ORDER BY day
    """).fetchall()


for day, sessions in {"polars": through_polars, "duckdb": through_duckdb}[READER]():
    print(f"{day},{sessions}")
