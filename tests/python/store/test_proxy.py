"""The proxy passes everything on, counts it, and fails when it is asked to."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import obstore
import pytest
from obstore.exceptions import BaseError

from proxy import Proxy

NEVER_AGAIN = {"max_retries": 0, "retry_timeout": timedelta(seconds=10)}


@pytest.fixture
def proxy(quick_store):
    with Proxy(quick_store.port) as running:
        yield running


@pytest.fixture
def client(quick_store, proxy):
    """A client behind the proxy that tries once and waits for a second."""
    return quick_store.client(proxy.port, retry_config=NEVER_AGAIN, client_options={"timeout": "1s"})


def test_requests_and_bytes_are_counted_by_kind(client, proxy):
    obstore.put(client, "counted/a b", b"x" * 1_000)
    obstore.put(client, "counted/b", b"y" * 10)
    assert len(obstore.list(client, "counted").collect()) == 2
    assert (proxy.counts["PUT"], proxy.bytes["in"], proxy.counts["LIST"]) == (2, 1_010, 1)
    before = proxy.bytes["out"]
    obstore.head(client, "counted/b")
    assert obstore.get(client, "counted/a b").bytes() == b"x" * 1_000
    obstore.copy(client, "counted/b", "counted/c")
    assert (proxy.counts["HEAD"], proxy.counts["GET"], proxy.counts["COPY"]) == (1, 1, 1)
    assert proxy.bytes["out"] == before + 1_000
    assert proxy.requests[0] == ("PUT", "/lake/counted/a b")
    assert proxy.statuses["PUT", 200] == 2
    proxy.reset()
    assert not proxy.counts


def test_64_requests_at_once(quick_store):
    obstore.put(quick_store.client(), "many", b"z" * 100_000)
    with Proxy(quick_store.port, delay=0.2) as proxy, ThreadPoolExecutor(64) as pool:
        client = quick_store.client(proxy.port)
        got = pool.map(lambda _: len(obstore.get(client, "many").bytes()), range(256))
        assert set(got) == {100_000}
        assert proxy.most_at_once == 64
        assert (proxy.counts["GET"], proxy.bytes["out"]) == (256, 25_600_000)


@pytest.mark.parametrize("status", ["403", "409", "429", "500", "503"])
def test_refused_before_it_reaches_the_server(status, client, proxy):
    fault = proxy.fault(status, of="PUT", match="refused")
    with pytest.raises(BaseError):
        obstore.put(client, f"refused-{status}", b"-")
    assert fault.met == 1
    with pytest.raises(FileNotFoundError):
        obstore.head(client, f"refused-{status}")
    obstore.put(client, f"refused-{status}", b"-")


@pytest.mark.parametrize("kind", ["lost", "lost-503", "stall"])
def test_written_though_the_answer_is_lost(kind, client, proxy):
    proxy.fault(kind, of="PUT", match=kind)
    with pytest.raises(BaseError):
        obstore.put(client, f"written-{kind}", b"here")
    assert obstore.get(client, f"written-{kind}").bytes() == b"here"


@pytest.mark.parametrize("kind", ["cut", "stall-body"])
def test_half_of_a_body(kind, client, proxy):
    obstore.put(client, "half", b"h" * 100_000)
    proxy.fault(kind, of="GET")
    with pytest.raises(BaseError):
        obstore.get(client, "half").bytes()
    assert len(obstore.get(client, "half").bytes()) == 100_000
