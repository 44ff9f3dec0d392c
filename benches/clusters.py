"""The catalog's queries here, on Sail and on Apache Spark: one machine, the same files.

Sail and Spark run as servers before the measurement, like a cluster. The time is that of the whole
wabalake process; answers are compared first.
"""

import signal
import sys
import tempfile
from pathlib import Path

from answers import difference
from processes import Failed, run

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests/python"))

import servers  # noqa: E402


# Questions of each kind: Spark takes half an hour for all of them.
ASKED = [
    "activity-hours",
    "conversation-summary",
    "country-breakdown",
    "delivery-rate",
    "deployment-sessions",
    "drop-off",
    "failure-reasons",
    "message-summary",
    "return-rate",
    "session-duration",
]


class Spark(servers.Spark):
    """Spark with its own limits; those of the tests end streams early."""

    LIMITS = {}


def measure(bench, say) -> list[dict]:
    """Seconds of each query, by engine."""
    names = bench.catalog() if bench.asked.queries else ASKED
    # The servers are stopped on SIGTERM, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    with tempfile.TemporaryDirectory() as folder:
        sail, spark = servers.Sail(make(folder, "sail")), Spark(make(folder, "spark"))
        try:
            sail.wait()
            spark.start()
            engines = {
                "here": [],
                "Sail": ["--engine", "spark", "--remote", sail.remote],
                "Spark": ["--engine", "spark", "--remote", f"{spark.remote}/;token={spark.TOKEN}"],
            }
            return [one(bench, name, engines, say) for name in names]
        finally:
            spark.stop()
            sail.stop()


def one(bench, name: str, engines: dict, say) -> dict:
    result = {"name": name, "wrong": None}
    answers = {engine: bench.scratch / f"{name}.{engine}.parquet" for engine in engines}
    runs = {engine: [] for engine in engines}
    for turn in range(bench.asked.rounds + 1):
        for engine, options in engines.items():
            ask = bench.question(name, bench.lake)
            try:
                runs[engine].append(run(*ask, "-o", answers[engine], *options))
            except Failed as failure:
                result["wrong"] = str(failure)
                return result
        if turn == 0:
            # Sail rounds the interpolation of percentiles to six digits.
            tolerances = {"Sail": 1e-4, "Spark": 1e-9}
            for engine, tolerance in tolerances.items():
                differs = difference(answers["here"], answers[engine], tolerance)
                result["wrong"] = result["wrong"] or (differs and f"{engine}: {differs}")
    say(f"{name}: done")
    seconds = {
        engine: sorted(taken.seconds for taken in runs[engine][1:])[len(runs[engine][1:]) // 2]
        for engine in engines
    }
    return result | {"seconds": seconds}


def make(folder: str, name: str) -> Path:
    made = Path(folder) / name
    made.mkdir()
    return made
