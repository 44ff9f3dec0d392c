"""A lake on an object store whose requests take 30 ms, beside the same lake in a folder.

    python benches/store.py                    # with target/release/wabalake: make build

SeaweedFS holds the lake on this machine, behind a proxy that delays each request, and counts. A query reads one
table of it; Polars and DuckDB read the same table from there. Then a day is loaded, and nightly runs load a day
each and update six marts. Every command is a process of its own; the figures are those of the median.
"""

import argparse
import datetime
import json
import platform
import shutil
import subprocess
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests/python"), str(ROOT / "tests/python/store")]

from lakes import tables
from nightly import BY_DAY, START, settings
from processes import ENVIRONMENT, run
from proxy import Proxy
from stores import SeaweedFS, copy_lake

DELAY = 0.030
PEERS = ("polars", "duckdb")
# The targets of the project, in seconds; and requests beside one for each file.
COLD_AT_MOST = 2.0
WARM_AT_MOST = lambda folder: 1.3 * folder + 0.2
REQUESTS_BESIDE_FILES = 5
QUERY = ("session-duration", "--by", "day")
LOADED = "sessions,deployments,messages"
WRITES = (
    ("load", "a day loaded without a cache", 3.0),
    ("nightly", "a nightly run with a new day, without a cache", 5.0),
    ("nightly_warm", "the same with the cache", 2.0),
)


class Bench:
    def __init__(self, asked, folder, server, proxy, say):
        self.asked, self.folder, self.server, self.proxy, self.say = asked, folder, server, proxy, say
        self.program = asked.program.resolve()
        self.lake = asked.lake or folder / "lake"
        self.caches = 0

    def make_lake(self):
        if not self.lake.exists():
            self.say(f"making a lake of {self.asked.days} days")
            run(
                self.program, "sample", "--lake", self.lake, "--days", self.asked.days, "--sessions-per-day",
                self.asked.sessions_per_day, "--tables", LOADED,
            )
        copy_lake(self.lake, self.server.client(), "lake")
        self.days = self.asked.days
        self.files = len(tables(self.lake)["sessions"].file_uris())

    def measure(self, name, *command, environment=ENVIRONMENT, prepare=lambda: None):
        """The median of rounds: seconds, requests by kind and megabytes. Returns the last answer, too."""
        rounds = []
        for _ in range(self.asked.rounds):
            extra = prepare() or {}
            self.proxy.reset()
            done = run(*command, environment=environment | extra)
            rounds.append({
                "seconds": done.seconds, "requests": sum(self.proxy.counts.values()),
                "by_kind": dict(self.proxy.counts), "megabytes": self.proxy.bytes["out"] / 1e6,
                "at_once": self.proxy.most_at_once,
            })
        rounds.sort(key=lambda found: found["seconds"])
        found = rounds[len(rounds) // 2]
        self.say(
            f"{name:8} {found['seconds']:6.2f} s  {found['requests']:5} requests  {found['megabytes']:6.1f} MB  "
            f"{found['at_once']:3} at once  {found['by_kind']}"
        )
        return found, done.stdout

    def new_cache(self):
        self.caches += 1
        return {"WABALAKE_CACHE": str(self.folder / f"cache-{self.caches}")}

    def new_day(self):
        """Writes the exports of the day after the lake's last one to the folder `day`."""
        day = self.folder / "day"
        shutil.rmtree(day, ignore_errors=True)
        run(
            self.program, "sample", "--out", day, "--start", START + timedelta(self.days), "--days", 1,
            "--sessions-per-day", self.asked.sessions_per_day, "--seed", 1_000 + self.days, "--tables", LOADED,
        )
        # New links of user ids would recompute every mart as a whole.
        for webhooks in day.glob("webhooks*"):
            webhooks.unlink()
        self.days += 1

    def write(self):
        """A day's exports loaded into three tables, and nightly runs that load a day and update marts."""
        there, lake = self.server.environment(self.proxy.port), self.server.url("lake")
        found = {}

        def day_without_cache():
            self.new_day()
            return self.new_cache()

        load = self.program, "load", self.folder / "day", "--lake", lake, "--quiet"
        found["load"], _ = self.measure("load", *load, environment=there, prepare=day_without_cache)
        own = settings(BY_DAY).replace("../inbox", str(self.folder / "day")).replace('"delete"', '"leave"')
        self.server.client().put("lake/wabalake.toml", own.encode())
        nightly = self.program, "nightly", "--lake", lake, "--json"
        run(*nightly, environment=there)
        found["nightly"], _ = self.measure("nightly", *nightly, environment=there, prepare=day_without_cache)
        kept = there | {"WABALAKE_CACHE": str(self.folder / f"cache-{self.caches}")}
        found["nightly_warm"], report = self.measure(
            "  warm", *nightly, environment=kept, prepare=self.new_day
        )
        report = json.loads(report)
        assert report["inbox"]["rows_new"] > 0, report
        assert {mart["worked_out"] for mart in report["marts"]} == {"some"}, report
        return found

    def read(self):
        """One table over all days: from the folder, from the store, and by the peers."""
        query = (self.program, "query", *QUERY, "-f", "csv", "--lake")
        there = self.server.environment(self.proxy.port)
        found, answers = {}, {}
        found["folder"], answers["folder"] = self.measure("folder", *query, self.lake)
        if not self.asked.peers_only:
            query = (*query, self.server.url("lake"))
            found["cold"], answers["cold"] = self.measure(
                "cold", *query, environment=there, prepare=self.new_cache
            )
            kept = there | {"WABALAKE_CACHE": str(self.folder / f"cache-{self.caches}")}
            found["warm"], answers["warm"] = self.measure("warm", *query, environment=kept)
            assert answers["cold"] == answers["warm"] == answers["folder"], "the answers differ"
        expected = days_and_sessions(answers["folder"])
        table = self.server.url("lake/tables/sessions")
        for peer in PEERS:
            found[peer], answer = self.measure(
                peer, sys.executable, ROOT / "benches/store_peers.py", peer, table, environment=there
            )
            assert answer.split() == expected, f"{peer} has another answer"
        return found


def days_and_sessions(answer):
    """The first two columns of the answer."""
    return [line.rsplit(",", line.count(",") - 1)[0] for line in answer.splitlines()[1:]]


def verdicts(found, files):
    if "cold" not in found:
        return []
    cold, warm, folder = found["cold"], found["warm"], found["folder"]["seconds"]
    most = WARM_AT_MOST(folder)
    return [
        (
            cold["seconds"] <= COLD_AT_MOST,
            f"one table without a cache: {cold['seconds']:.2f} s, at most {COLD_AT_MOST} s",
        ),
        (
            cold["requests"] <= files + REQUESTS_BESIDE_FILES,
            f"its requests: {cold['requests']} for {files} files, at most {REQUESTS_BESIDE_FILES} more",
        ),
        (warm["seconds"] <= most, f"with the cache: {warm['seconds']:.2f} s, at most {most:.2f} s"),
    ] + [
        (found[name]["seconds"] <= most, f"{what}: {found[name]['seconds']:.2f} s, at most {most} s")
        for name, what, most in WRITES
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", type=Path, default=ROOT / "target/release/wabalake")
    parser.add_argument("--lake", type=Path, help="a folder where the lake is kept for the next time")
    parser.add_argument("--days", type=int, default=400)
    parser.add_argument("--sessions-per-day", type=int, default=2_740)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--delay-ms", type=float, default=DELAY * 1000)
    parser.add_argument("--peers-only", action="store_true", help="only the folder, Polars and DuckDB")
    parser.add_argument("--out", type=Path, default=ROOT / "benches/store.json")
    asked = parser.parse_args()
    say = lambda text: print(text, file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="wabalake-store-") as folder:
        server = SeaweedFS(Path(folder))
        try:
            server.start()
            with Proxy(server.port, asked.delay_ms / 1000) as proxy:
                bench = Bench(asked, Path(folder), server, proxy, say)
                bench.make_lake()
                found = bench.read()
                if not asked.peers_only:
                    found |= bench.write()
        finally:
            server.stop()
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty=+"], cwd=ROOT, capture_output=True, text=True
    ).stdout.strip()
    judged = verdicts(found, bench.files)
    asked.out.write_text(json.dumps({
        "date": datetime.date.today().isoformat(), "commit": commit, "machine": platform.platform(),
        "days": asked.days, "sessions_per_day": asked.sessions_per_day, "rounds": asked.rounds,
        "delay_ms": asked.delay_ms, "files": bench.files, "query": " ".join(QUERY), "readings": found,
        "verdicts": [{"reached": reached, "what": what} for reached, what in judged],
    }, indent=2) + "\n")
    for reached, what in judged:
        print(f"{'reached' if reached else 'not reached'}: {what}")


if __name__ == "__main__":
    main()
