"""A cluster reads a lake on S3 by itself, and answers as the program does here."""

import pytest

import servers
from clusters import refusal, there
from program import run
from stores import SECRETS, copy_lake

# A prefix with all that needs care.
PREFIX = "env=prod/a cluster's lake"


def start_sail(folder, **access):
    sail = servers.Sail(folder, AWS_REGION="us-east-1", AWS_EC2_METADATA_DISABLED="true", **access)
    sail.wait()
    return sail


@pytest.fixture(scope="module")
def sail(s3, tmp_path_factory):
    """A cluster with credentials of its own."""
    access = {name: value for name, value in s3.variables().items() if name.startswith("AWS_ACCESS")}
    secret = s3.variables()["AWS_SECRET_ACCESS_KEY"]
    sail = start_sail(
        tmp_path_factory.mktemp("sail"), **access, AWS_SECRET_ACCESS_KEY=secret, AWS_ENDPOINT_URL=s3.at(),
        AWS_ALLOW_HTTP="true",
    )
    try:
        yield sail
    finally:
        sail.stop()


@pytest.fixture(scope="module")
def lake(s3, demo_lake):
    copy_lake(demo_lake, s3.client(), PREFIX)
    return s3.url(PREFIX)


# A range of one table, several tables, and another kind of table.
QUERIES = ("drop-off", "--from", "2025-05-10", "--to", "2025-05-20"), ("funnel",), ("failure-reasons",)


@pytest.mark.parametrize("question", QUERIES, ids=lambda question: question[0])
def test_answers_have_the_same_bytes(question, sail, s3, lake):
    asked = (*question, "--lake", lake, "-f", "csv")
    done = there(sail.remote, *asked, environment=s3.environment())
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == run("query", *asked, environment=s3.environment())


def test_map_path(sail, s3, lake, demo_lake):
    asked = ("activity-hours", "-f", "csv")
    here = run("query", *asked, "--lake", demo_lake)
    # Sail reads both schemes.
    mapped = (*asked, "--lake", lake, "--map-path", "s3://lake=s3a://lake")
    done = there(sail.remote, *mapped, environment=s3.environment())
    assert (done.returncode, done.stdout, done.stderr) == (0, here, "")
    done = there(sail.remote, *asked, "--lake", demo_lake, "--map-path", f"{demo_lake}={lake}")
    assert (done.returncode, done.stdout, done.stderr) == (0, here, "")
    code, said = refusal(
        sail.remote, *asked, "--lake", lake, "--map-path", "s3://another=s3a://lake", environment=s3.environment(),
    )
    assert code == 2 and "`--map-path` maps `s3://another`" in said


def test_object_that_is_missing(sail, s3, demo_lake):
    copy_lake(demo_lake, s3.client(), "without a file")
    files = [entry["path"] for page in s3.client().list("without a file/tables/sessions") for entry in page]
    s3.client().delete(next(file for file in files if file.endswith(".parquet")))
    code, said = refusal(
        sail.remote, "activity-hours", "--lake", s3.url("without a file"), environment=s3.environment(),
    )
    assert code == 1 and ("does not see all of the lake's `sessions`" in said or "does not find a file" in said)


def test_cluster_without_access(s3, lake, tmp_path):
    """Its credentials are its own: the error says so, and shows none."""
    sail = start_sail(tmp_path, AWS_ENDPOINT_URL=s3.at(servers.free_port()), AWS_ALLOW_HTTP="true")
    try:
        code, said = refusal(sail.remote, "activity-hours", "--lake", lake, environment=s3.environment())
    finally:
        sail.stop()
    assert code == 1 and "credentials, a region and an endpoint of its own" in said
    assert not any(secret in said for secret in SECRETS)
