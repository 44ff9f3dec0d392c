"""A lake that was copied to a store as it is answers there as in its folder, byte for byte."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from program import catalog, needs, run
from proxy import Proxy
from stores import NO_CLOUD, copy_lake

# Both are common in the addresses of lakes.
PREFIX = "env=prod/a lake"


@pytest.fixture(scope="module")
def copied(protocol, demo_lake):
    copy_lake(demo_lake, protocol.client(), PREFIX)
    return protocol.url(PREFIX)


def ask(lake, *arguments, environment, **options):
    return run(*arguments, "--lake", lake, "-f", "csv", environment=environment, **options)


def answers(lake, environment, step=1):
    """The answers of each so-many-th query, by name."""
    asked = {query["name"]: ("query", query["name"], *needs(query)) for query in catalog()[::step]}
    with ThreadPoolExecutor(2) as pool:
        answer = lambda arguments: ask(lake, *arguments, environment=environment)
        return dict(zip(asked, pool.map(answer, asked.values())))


@pytest.fixture(scope="session")
def expected(demo_lake):
    return answers(demo_lake, NO_CLOUD)


def test_every_query(protocol, copied, expected, tmp_path):
    # What a query reads is asked of each protocol in the same way, so some are enough on the others.
    step = 1 if protocol.name == "seaweedfs" else 6
    found = answers(copied, protocol.environment() | {"WABALAKE_CACHE": str(tmp_path / "cache")}, step)
    assert found == {name: expected[name] for name in found} and len(found) > 5


@pytest.mark.parametrize("cache", ["off", "folder"])
def test_query_of_some_days(cache, protocol, copied, demo_lake, tmp_path):
    environment = protocol.environment() | {"WABALAKE_CACHE": "off" if cache == "off" else str(tmp_path / "cache")}
    asked = ("query", "session-duration", "--by", "day", "--from", "2025-06-02", "--to", "2025-06-03")
    here = ask(demo_lake, *asked, environment=environment)
    for _ in range(2):
        assert ask(copied, *asked, environment=environment) == here


@pytest.mark.parametrize("asked", [("status",), ("history", "sessions"), ("rejects",)], ids=" ".join)
def test_what_is_told_of_the_lake(asked, protocol, copied, demo_lake):
    environment = protocol.environment() | {"WABALAKE_CACHE": "off"}
    assert ask(copied, *asked, environment=environment) == ask(demo_lake, *asked, environment=environment)


def test_queries_need_a_request_for_each_file_and_few_more(protocol, copied, demo_lake, tmp_path):
    files = len(list((demo_lake / "tables/sessions").rglob("*.parquet")))
    environment = {"WABALAKE_CACHE": str(tmp_path / "cache")}
    with Proxy(protocol.port) as proxy:
        asked = ("query", "session-duration", "--by", "day")
        ask(copied, *asked, environment=protocol.environment(proxy.port) | environment)
        assert sum(proxy.counts.values()) <= files + 5, proxy.counts
        assert proxy.counts["HEAD"] == 0
        proxy.reset()
        ask(copied, *asked, environment=protocol.environment(proxy.port) | environment)
        assert sum(proxy.counts.values()) <= 5, proxy.counts
