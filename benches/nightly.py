"""The time of a nightly run: one new day on a lake of 40 days and on one of 400, and a full refresh; and how long
a query takes to start, which reads no row.

    python benches/nightly.py                  # with target/release/wabalake: make build

A run loads the day's exports from the inbox and updates the marts: of queries whose answers by day depend on the rows
of that day. Marts of others are recomputed as a whole, which takes longer the larger the lake.
"""

import argparse
import datetime
import json
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from processes import run

ROOT = Path(__file__).resolve().parents[1]
START = datetime.date(2025, 5, 1)

# Marts whose rows depend on the rows of one day.
BY_DAY = {
    "deliveries": ("delivery-rate", 'by = ["day", "country"]'),
    "deliveries-by-hour": ("delivery-rate", 'by = ["hour"]'),
    "sessions": ("session-duration", 'by = ["day", "channel"]'),
    "sessions-by-flow": ("session-duration", 'by = ["day", "conversation"]'),
    "sessions-by-country": ("session-duration", 'by = ["country", "day"]'),
    "latencies": ("message-latency", 'by = ["day", "template"]'),
}
# Those, and one of a table of its own.
MARTS = BY_DAY | {"agents": ("agent-response", 'by = ["day", "country"], sla_seconds = 600')}
# The targets of the project.
GROWS_AT_MOST = 1.3
FULL_AT_LEAST = 20
STARTS_WITHIN_MS = 20
LOG_ADDS_AT_MOST_MS = 20


def settings(marts):
    sections = (
        f'[[marts]]\nname = "{name}"\nquery = "{query}"\nparams = {{ {params} }}\n'
        for name, (query, params) in marts.items()
    )
    return '[inbox]\nfolders = ["../inbox"]\nafter = "delete"\nsettle_seconds = 0\n' + "\n".join(sections)


class Bench:
    def __init__(self, program, folder, sessions_per_day, rounds, say):
        self.program, self.folder, self.rounds, self.say = program, folder, rounds, say
        self.sessions_per_day = sessions_per_day

    def run(self, *arguments):
        return run(self.program, *arguments)

    def nightly(self, lake, *options):
        done = self.run("nightly", "--lake", lake, "--json", *options)
        return done.seconds, json.loads(done.stdout)

    def start(self, lake):
        """Seconds of a query whose range has no row."""
        before = "2000-01-01"
        asked = ("query", "delivery-rate", "--from", before, "--to", before, "--lake", lake)
        return statistics.median(self.run(*asked).seconds for _ in range(4 * self.rounds + 1))

    def start_on_empty_lake(self):
        lake = self.folder / "empty"
        self.run("init", "--lake", lake)
        return self.start(lake)

    def new_day(self, day, seed):
        inbox = self.folder / "inbox"
        shutil.rmtree(inbox, ignore_errors=True)
        self.run(
            "sample", "--out", inbox, "--start", START + datetime.timedelta(day), "--days", 1,
            "--sessions-per-day", self.sessions_per_day, "--seed", seed,
            "--tables", "sessions,deployments,messages,agent_chats",
        )
        # Most of their links are of known persons: what new ones cost differs from day to day.
        for webhooks in inbox.glob("webhooks*"):
            webhooks.unlink()

    def measure(self, days, marts):
        """Seconds of runs with a new day each, and of full ones, on a lake of `days`."""
        lake = self.folder / "lake"
        shutil.rmtree(lake, ignore_errors=True)
        (self.folder / "inbox").mkdir(exist_ok=True)
        self.run("sample", "--lake", lake, "--days", days, "--sessions-per-day", self.sessions_per_day)
        (lake / "wabalake.toml").write_text(settings(marts))
        first, _ = self.nightly(lake)
        self.say(f"{days} days: the first run took {first:.2f} s")
        runs, refreshing = [], []
        for day in range(self.rounds):
            self.new_day(days + day, seed=1_000 + day)
            seconds, report = self.nightly(lake)
            scopes = {mart["mart"]: mart["worked_out"] for mart in report["marts"]}
            assert set(scopes.values()) == {"some"}, scopes
            assert report["inbox"]["rows_new"] > 0, report["inbox"]
            runs.append(seconds)
            refreshing.append(sum(mart["seconds"] for mart in report["marts"]))
        full = [self.nightly(lake, "--full") for _ in range(self.rounds)]
        nothing = [self.nightly(lake)[0] for _ in range(self.rounds)]
        found = {
            "days": days,
            "new_day": statistics.median(runs),
            "marts": statistics.median(refreshing),
            "full": statistics.median(seconds for seconds, _ in full),
            "full_marts": statistics.median(
                sum(mart["seconds"] for mart in report["marts"]) for _, report in full
            ),
            "nothing_new": statistics.median(nothing),
            "start": self.start(lake),
        }
        self.say("  ".join(f"{name} {value:.3f}" for name, value in found.items()))
        shutil.rmtree(lake)
        return found


def verdicts(empty, small, large):
    log = (large["start"] - empty) * 1_000
    grows = large["new_day"] / small["new_day"]
    full = large["full_marts"] / large["marts"]
    return [
        (
            grows <= GROWS_AT_MOST,
            f"a nightly run with a new day: {grows:.2f} times as long on {large['days']} days as on "
            f"{small['days']}, at most {GROWS_AT_MOST}",
        ),
        (
            full >= FULL_AT_LEAST,
            f"a full refresh of the marts of {large['days']} days: {full:.0f} times as long as for a new day, "
            f"at least {FULL_AT_LEAST}",
        ),
        (
            empty * 1_000 <= STARTS_WITHIN_MS,
            f"a query on an empty lake takes {empty * 1_000:.0f} ms, at most {STARTS_WITHIN_MS}",
        ),
        (
            log <= LOG_ADDS_AT_MOST_MS,
            f"the log of {large['days']} days adds {max(log, 0):.0f} ms, at most {LOG_ADDS_AT_MOST_MS}",
        ),
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", type=Path, default=ROOT / "target/release/wabalake")
    parser.add_argument("--days", type=int, nargs=2, default=(40, 400))
    parser.add_argument("--sessions-per-day", type=int, default=2_740)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=ROOT / "benches/nightly.json")
    asked = parser.parse_args()
    say = lambda text: print(text, file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="wabalake-nightly-") as folder:
        bench = Bench(asked.program.resolve(), Path(folder), asked.sessions_per_day, asked.rounds, say)
        empty = bench.start_on_empty_lake()
        small, large = (bench.measure(days, MARTS) for days in asked.days)
    judged = verdicts(empty, small, large)
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty=+"], cwd=ROOT, capture_output=True, text=True
    ).stdout.strip()
    found = {
        "date": datetime.date.today().isoformat(),
        "commit": commit,
        "machine": platform.platform(),
        "sessions_per_day": asked.sessions_per_day,
        "rounds": asked.rounds,
        "marts": len(MARTS),
        "start": empty,
        "lakes": [small, large],
        "verdicts": [{"reached": reached, "what": what} for reached, what in judged],
    }
    asked.out.write_text(json.dumps(found, indent=2) + "\n")
    for reached, what in judged:
        print(f"{'reached' if reached else 'not reached'}: {what}")


if __name__ == "__main__":
    main()
