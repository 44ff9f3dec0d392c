"""The Rust suite of places passes on each store: with every request answered, and with answers that are lost."""

import os
import shlex
import subprocess

import pytest

from program import ROOT
from proxy import Proxy

CARGO_TEST = shlex.split(os.environ.get("CARGO_TEST", "cargo test --locked --workspace"))
SUITE = "place::tests::server_keeps_the_rules_of_a_place"


def suite(store, prefix, port=None):
    done = subprocess.run(
        [*CARGO_TEST, "--package", "wabalake", "--lib", "--quiet", "--", "--ignored", SUITE],
        cwd=ROOT, capture_output=True, text=True, timeout=120,
        env=store.environment(port) | {"WABALAKE_TEST_STORE": store.url(prefix)},
    )
    assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout[-4000:] + done.stderr[-4000:]


def test_rules_of_a_place(store):
    suite(store, "place")


@pytest.mark.parametrize("kind", ["lost", "lost-503"])
def test_rules_of_a_place_though_answers_are_lost(kind, store):
    with Proxy(store.port) as proxy:
        fault = proxy.fault(kind, times=1_000, of="PUT", every=5)
        suite(store, f"place-{kind}", proxy.port)
        assert fault.met > 5
