"""A query on a store that fails now and then answers as ever; one that cannot be answered says why, and no secret."""

import subprocess

import pytest

import stores
from program import command, run
from proxy import LEAK, Proxy
from stores import copy_lake

QUESTION = ("query", "session-duration", "--by", "day", "-f", "csv")


@pytest.fixture(scope="module")
def copied(s3, demo_lake):
    copy_lake(demo_lake, s3.client(), "faults")
    return s3.url("faults")


@pytest.fixture
def proxy(s3):
    with Proxy(s3.port) as running:
        yield running


@pytest.fixture
def environment(s3, proxy):
    return s3.environment(proxy.port) | {"WABALAKE_CACHE": "off"}


def refusal(lake, environment, *options):
    """Asks a question that fails. Returns the exit code and the messages, in which there is no secret."""
    done = subprocess.run(
        command(*QUESTION, "--lake", lake, *options), env=environment, capture_output=True, text=True, timeout=60,
    )
    assert done.returncode != 0
    said = done.stdout + done.stderr
    for secret in (*stores.SECRETS, LEAK, "X-Amz-"):
        assert secret not in said
    return done.returncode, said


@pytest.mark.parametrize("kind", ["503", "429", "500", "cut", "lost"])
@pytest.mark.parametrize("match", [".json", ".parquet"])
def test_failures_that_pass(kind, match, copied, demo_lake, proxy, environment):
    here = run(*QUESTION, "--lake", demo_lake)
    fault = proxy.fault(kind, times=2, of="GET", match=match)
    assert run(*QUESTION, "--lake", copied, environment=environment) == here
    assert fault.met == 2


def test_a_stall_ends_after_the_timeout(copied, demo_lake, proxy, environment):
    here = run(*QUESTION, "--lake", demo_lake)
    for kind in ("stall", "stall-body"):
        proxy.fault(kind, of="GET", match=".parquet")
    options = {"WABALAKE_STORE_OPTIONS": "silence_timeout=1"}
    assert run(*QUESTION, "--lake", copied, environment=environment | options) == here


@pytest.mark.parametrize("match", [".json", ".parquet", "list-type"])
def test_credentials_that_run_out(match, copied, proxy, environment):
    proxy.fault("403", times=1_000, match=match)
    code, said = refusal(copied, environment)
    assert code == 1 and "403" in said and "ExpiredToken" in said and "AWS_ACCESS_KEY_ID" in said


def test_a_file_that_is_missing(s3, copied, proxy, environment):
    listed = [entry["path"] for page in s3.client().list("faults/tables/sessions") for entry in page]
    file = next(key for key in listed if key.endswith(".parquet") and "_delta_log" not in key)
    data = bytes(s3.client().get(file).bytes())
    s3.client().delete(file)
    try:
        code, said = refusal(copied, environment)
    finally:
        s3.client().put(file, data)
    assert code == 1 and file.rpartition("/")[2] in said
