"""A lake that was copied to a store as it is answers there as in its folder, byte for byte."""

import pytest

from program import catalog, needs, run
from proxy import Proxy
from stores import copy_lake

# Both are common in the addresses of lakes.
PREFIX = "env=prod/a lake"


@pytest.fixture(scope="module")
def copied(store, demo_lake):
    copy_lake(demo_lake, store.client(), PREFIX)
    return store.url(PREFIX)


def ask(lake, *arguments, environment, **options):
    return run(*arguments, "--lake", lake, "-f", "csv", environment=environment, **options)


def test_every_query(store, copied, demo_lake, tmp_path):
    cache = {"WABALAKE_CACHE": str(tmp_path / "cache")}
    for query in catalog():
        asked = ("query", query["name"], *needs(query))
        here = ask(demo_lake, *asked, environment=store.environment())
        assert ask(copied, *asked, environment=store.environment() | cache) == here, query["name"]


@pytest.mark.parametrize("cache", ["off", "folder"])
def test_query_of_some_days(cache, store, copied, demo_lake, tmp_path):
    environment = store.environment() | {"WABALAKE_CACHE": "off" if cache == "off" else str(tmp_path / "cache")}
    asked = ("query", "session-duration", "--by", "day", "--from", "2025-06-02", "--to", "2025-06-03")
    here = ask(demo_lake, *asked, environment=environment)
    for _ in range(2):
        assert ask(copied, *asked, environment=environment) == here


@pytest.mark.parametrize("asked", [("status",), ("history", "sessions"), ("rejects",)], ids=" ".join)
def test_what_is_told_of_the_lake(asked, store, copied, demo_lake):
    environment = store.environment() | {"WABALAKE_CACHE": "off"}
    assert ask(copied, *asked, environment=environment) == ask(demo_lake, *asked, environment=environment)


def test_queries_need_a_request_for_each_file_and_few_more(store, copied, demo_lake, tmp_path):
    files = len(list((demo_lake / "tables/sessions").rglob("*.parquet")))
    environment = {"WABALAKE_CACHE": str(tmp_path / "cache")}
    with Proxy(store.port) as proxy:
        asked = ("query", "session-duration", "--by", "day")
        ask(copied, *asked, environment=store.environment(proxy.port) | environment)
        assert sum(proxy.counts.values()) <= files + 5, proxy.counts
        assert proxy.counts["HEAD"] == 0
        proxy.reset()
        ask(copied, *asked, environment=store.environment(proxy.port) | environment)
        assert sum(proxy.counts.values()) <= 5, proxy.counts
