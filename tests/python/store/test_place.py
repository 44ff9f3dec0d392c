"""The Rust suite of places passes on each store: also when answers are lost."""

import os
import shlex
import subprocess

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


def test_rules_of_a_place_though_answers_are_lost(store):
    with Proxy(store.port) as proxy:
        faults = [
            proxy.fault("lost", times=1_000, of="PUT", match="races", every=3),
            proxy.fault("lost-503", times=1_000, of="PUT", match="races", every=5),
            proxy.fault("cut", times=1_000, of="GET", match="races", every=10),
            proxy.fault("cut", times=1_000, of="GET", match="large", every=2),
        ]
        suite(store, "faults", proxy.port)
        assert all(fault.met for fault in faults)
