"""The Rust suite of places passes on each store, although answers are lost."""

import os
import shlex
import subprocess

from program import ROOT
from proxy import Proxy

# As the Makefile builds the tests, so that nothing is compiled for this alone.
CARGO_TEST = shlex.split(os.environ["CARGO_TEST"])
SUITE = "place::tests::server_keeps_the_rules_of_a_place"


def test_rules_of_a_place_though_answers_are_lost(store):
    with Proxy(store.port) as proxy:
        faults = [
            # Few: the client waits before it tries again.
            proxy.fault("lost", times=8, of="PUT", match="races", every=5),
            proxy.fault("cut", times=4, of="GET", match="races", every=3),
            proxy.fault("cut", times=2, of="GET", match="large"),
        ]
        done = subprocess.run(
            [*CARGO_TEST, "--package", "wabalake", "--lib", "--quiet", "--", "--ignored", SUITE],
            cwd=ROOT, capture_output=True, text=True, timeout=120,
            env=store.environment(proxy.port) | {
                "WABALAKE_TEST_STORE": store.url("place"), "WABALAKE_TEST_WRITERS": str(store.writers),
            },
        )
        said = done.stdout[-4000:] + done.stderr[-4000:]
        assert done.returncode == 0 and "1 passed" in done.stdout, said
        assert all(fault.met for fault in faults)
