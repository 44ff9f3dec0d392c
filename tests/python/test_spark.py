"""Every query answers on Apache Spark as on the local engine, despite failures on the way: each of one lake, since Sail
is asked all of them as well.

Spark runs as a master, two workers and a Connect server that needs a token and ends response streams
early. The order of the tests matters: the last ones stop parts of the cluster.
"""

import csv
import shutil
import signal
import subprocess
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from pyarrow import parquet
from pyspark.sql import SparkSession

import servers
from clusters import a_file_of, answer_here, compare, days, questions, refusal, there
from engines import create_views, difference
from program import ENVIRONMENT, catalog, command, load, needs, run

TOKEN = servers.Spark.TOKEN


@pytest.fixture(scope="module")
def spark(tmp_path_factory):
    spark = servers.Spark(tmp_path_factory.mktemp("spark"))
    try:
        spark.start()
        yield spark
    finally:
        spark.stop()


@pytest.fixture(scope="module")
def ask(spark, tmp_path_factory):
    """Compares a query on Spark and here, and returns the answer."""
    folder = tmp_path_factory.mktemp("answers")
    return lambda *arguments: compare(spark.remote, folder, *arguments, token=TOKEN)


@pytest.mark.parametrize("question", list(questions(split=False))[::2], ids=" ".join)
def test_query(question, ask, odd_lake):
    ask(*question, "--lake", odd_lake)


@pytest.mark.parametrize("query", catalog()[1::4], ids=lambda query: query["name"])
def test_query_of_other_lakes(query, ask, sample_lake, tmp_path):
    asked = (query["name"], *needs(query))
    ask(*asked, *days(query), "--lake", sample_lake, "--limit", 5)
    (tmp_path / "empty").mkdir()
    ask(*asked, "--lake", tmp_path / "empty")


def test_lake_with_special_characters_in_its_name(ask, demo_lake, tmp_path):
    shutil.copytree(demo_lake, tmp_path / "a lake, 100% ñandú #1")
    ask("drop-off", "--lake", tmp_path / "a lake, 100% ñandú #1")


def test_printed_twins_run_as_they_are(spark, odd_lake, tmp_path):
    """The output of `wabalake queries NAME --sql` can be pasted into Spark."""
    # Without TLS, PySpark sends a token to `localhost` only.
    url = f"sc://localhost:{spark.port}/;token={TOKEN}"
    session = SparkSession.builder.remote(url).getOrCreate()
    session.conf.set("spark.sql.session.timeZone", "UTC")
    try:
        create_views(session, odd_lake)
        for query in catalog()[3::4]:
            name, zone = query["name"], (*needs(query), "--timezone", "Asia/Kathmandu")
            here = answer_here(tmp_path, name, *zone, "--lake", odd_lake)
            there = session.sql(run("queries", name, "--sql", *zone)).toArrow()
            assert difference(here, there, lambda _: 1e-9) is None, name
    finally:
        session.stop()


SESSIONS = 60_000
# An answer of about 10 MB: every session ends at another node.
LARGE = ("drop-off",)
# Seconds of computation: every visit is compared with every day.
LONG = ("return-rate", "--cohort", "day", "--mode", "on-or-after", "--days", ",".join(map(str, range(1, 201))))


@pytest.fixture(scope="module")
def big_lake(tmp_path_factory):
    """So many sessions that one answer exceeds the size of a response stream, and another its duration."""
    folder = tmp_path_factory.mktemp("big")
    first = datetime(2025, 1, 1, tzinfo=timezone.utc)
    with (folder / "sessions.csv").open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow([
            "session_id", "session_started_timestamp", "session_finished_timestamp", "session_type",
            "session_status", "conversation_id", "conversation_version", "user_cellphone", "last_node_id",
        ])
        for number in range(SESSIONS):
            started = first + timedelta(minutes=3 * number)
            lines.writerow([
                f"session-{number:06}", started.isoformat(), (started + timedelta(seconds=number)).isoformat(),
                "Inbound", "BOT", "welcome", 1, f"999000{number % 20_000:06}", f"node-{number:06}-" + "x" * 100,
            ])
    load(folder / "lake", folder / "sessions.csv")
    return folder / "lake"


# Log line of the server when it ends a stream before the response is complete.
CUT = "Deadline reached, shutting down stream"
# Log line of the server when it gets a request.
OPERATION = "INFO SparkConnectExecutionManager: ExecuteHolder ExecuteKey("


def test_answer_larger_than_a_stream(spark, ask, big_lake):
    before = spark.connect.said().count(CUT)
    assert len(ask(*LARGE, "--lake", big_lake)) == SESSIONS
    assert spark.connect.said().count(CUT) >= before + 3


def test_answer_slower_than_a_stream(spark, ask, big_lake):
    before = spark.connect.said().count(CUT)
    assert len(ask(*LONG, "--lake", big_lake)) > 1000
    assert spark.connect.said().count(CUT) > before


def test_missing_data_file(spark, demo_lake, tmp_path):
    shutil.copytree(demo_lake, tmp_path / "lake")
    Path(a_file_of(tmp_path / "lake", "sessions")).unlink()
    code, said = refusal(spark.remote, "drop-off", "--lake", tmp_path / "lake", token=TOKEN)
    assert code == 1 and "does not find a file of the lake" in said and "--map-path" in said


def test_damaged_data_file(spark, demo_lake, tmp_path):
    shutil.copytree(demo_lake, tmp_path / "lake")
    Path(a_file_of(tmp_path / "lake", "sessions")).write_bytes(b"PAR1 573005550101 PAR1")
    code, said = refusal(spark.remote, "drop-off", "--lake", tmp_path / "lake", token=TOKEN)
    assert code == 1 and "573005550101" not in said


def test_tokens(spark, demo_lake):
    asked = ("drop-off", "--lake", demo_lake)
    code, said = refusal(spark.remote, *asked, token="another")
    assert code == 1 and "does not accept the token" in said and "another" not in said
    code, said = refusal(spark.remote, *asked)
    assert code == 1 and "wants a token" in said and "WABALAKE_TOKEN" in said
    assert there(f"{spark.remote}/;token={TOKEN}", *asked, token="another").returncode == 0
    # An address reserved for documentation: the token is refused before anything is sent.
    started = time.monotonic()
    code, said = refusal("sc://192.0.2.1:15002", *asked, token=TOKEN)
    assert code == 2 and "use_ssl=true" in said and TOKEN not in said
    assert time.monotonic() - started < 5


def test_no_server_at_the_address(spark, demo_lake):
    for remote in (f"sc://{servers.HERE}:{servers.free_port()}", f"{spark.remote}/;use_ssl=true"):
        started = time.monotonic()
        code, said = refusal(remote, "drop-off", "--lake", demo_lake, token=TOKEN)
        assert code == 1 and "no Spark Connect server answers" in said
        assert time.monotonic() - started < 15


def begin(spark, *arguments):
    """Starts a query and returns while the cluster computes it."""
    operations = spark.connect.said().count(OPERATION)
    asking = subprocess.Popen(
        command("query", *arguments, "--engine", "spark", "--remote", spark.remote),
        env=ENVIRONMENT | {"WABALAKE_TOKEN": TOKEN}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )
    # A probe, a view and a count come first.
    until = time.monotonic() + 60
    while spark.connect.said().count(OPERATION) < operations + 4:
        assert asking.poll() is None and time.monotonic() < until, asking.communicate()
        time.sleep(0.05)
    time.sleep(2)
    assert asking.poll() is None, "the query ended too early for this test"
    return asking


def test_ctrl_c_cancels_the_query(spark, big_lake):
    asking = begin(spark, *LONG, "--lake", big_lake)
    asking.send_signal(signal.SIGINT)
    said, errors = asking.communicate(timeout=20)
    assert (asking.returncode, said) == (130, "")
    assert "interrupted" in errors
    assert "cancel" in spark.connect.said().lower()


def test_lost_worker(spark, big_lake, tmp_path):
    """One worker dies during the query; the other completes it."""
    here = answer_here(tmp_path, *LONG, "--lake", big_lake)
    path = tmp_path / "there.parquet"
    asking = begin(spark, *LONG, "--lake", big_lake, "-o", path)
    spark.workers[0].kill()
    assert asking.poll() is None, "the query ended before the worker died"
    _, errors = asking.communicate(timeout=240)
    assert (asking.returncode, errors) == (0, "")
    assert difference(here, parquet.read_table(path), lambda _: 1e-9) is None
    assert "LOST" in spark.connect.said() or "lost" in spark.connect.said()


def test_lost_server(spark, big_lake):
    asking = begin(spark, *LONG, "--lake", big_lake)
    spark.connect.kill()
    _, errors = asking.communicate(timeout=120)
    assert asking.returncode == 1
    assert errors.startswith("error: ") and "closed the connection" in errors, errors
