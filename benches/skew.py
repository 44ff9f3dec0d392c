"""The time of every query on skewed lakes: no session, no person, or the same person or session in all
rows; and on a plain lake of the same size.

    python benches/skew.py                     # with target/release/wabalake: make build
    python benches/skew.py --program target/ci/wabalake --sessions 2000 8000 --queries funnel

`wabalake sample` makes the exports, whose cells are rewritten and then loaded. The measure is the growth
with four times the rows: a join of a person's rows with each other takes sixteen times as long. Time is
CPU time, which depends little on other programs.
"""

import argparse
import csv
import datetime
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from nightly import START
from processes import Failed, run

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tests/python"))

from program import needs  # noqa: E402

# The targets of the project, with four times the rows: the growth of time and memory, and their ratio
# to the plain lake.
GROWS_AT_MOST = 6
BESIDE_PLAIN_AT_MOST = 10
# Smaller values are start-up and noise.
SECONDS, MEBIBYTE = 0.25, 1 << 20
MEMORY = 256 * MEBIBYTE

COUNTRY_CODE, NUMBER, LINE = "57", "3000000000", "576010000001"
PERSON, SESSION = COUNTRY_CODE + NUMBER, "the-same-session"

# The vendors' names for files tell the tables.
TABLES = {
    "general_sessions": "sessions", "deployments": "deployments", "kaleyra_tabular": "messages",
    "session_close": "closures", "conversions": "conversions", "variables": "variables",
    "audience_tags": "audience_tags", "agent_chats": "agent_chats", "webhooks": "webhooks",
}

# The keys of a person's number and user id in the objects of a webhook.
SHOWN = {"wa_id": "user_id", "from": "from_user_id", "recipient_id": "recipient_user_id", "to": "to_user_id"}


def show(webhook, number):
    """Shows one number, or none, for all people in a webhook."""
    for change in webhook["entry"][0]["changes"]:
        parts = [part for parts in change["value"].values() if isinstance(parts, list) for part in parts]
        for part in parts:
            for key, user_id in SHOWN.items():
                if user_id in part:
                    part |= {key: number, user_id: ""}


def no_session(table, row, _):
    """No row names a session: sends that failed, conversions and variables of a phone alone."""
    if table == "deployments":
        row |= {"session_id": "", "delivery_status": "Failed", "deployment_delivered_timestamp": ""}
    elif table == "sessions":
        row["parent_session_id"] = ""
    elif table == "messages":
        row["CONVERSATION_ID"] = ""
    elif table in ("conversions", "variables"):
        row |= {"session_id": "", "phone": row["phone"] or PERSON}


def nobody(table, row, _):
    """No row names a person, a line, a flow or a template."""
    if table in ("sessions", "deployments"):
        row |= {"user_country_code": "", "user_cellphone": ""}
    if table == "sessions":
        row |= {"line_whatsapp_number": "", "conversation_id": ""}
    if table == "messages":
        row |= {"FROM": "", "TO": "", "COUNTRY": "", "TEMPLATE_NAME": "", "CAMPAIGN_ID": ""}
    if table in ("conversions", "variables"):
        row["phone"] = ""
    if table == "closures":
        row["user"] = {}
    if table == "webhooks":
        show(row, "")


def one_person(table, row, _):
    """All rows are of one person on one line within a day, as with a placeholder phone."""
    if table in ("sessions", "deployments"):
        row |= {"user_country_code": COUNTRY_CODE, "user_cellphone": NUMBER}
    if table == "sessions":
        row |= {"line_whatsapp_number": LINE, "parent_session_id": ""}
    if table == "messages":
        incoming = row["MESSAGE_DIRECTION"] == "true"
        row |= {"FROM": PERSON, "TO": LINE} if incoming else {"FROM": LINE, "TO": PERSON}
    if table == "conversions":
        row |= {"session_id": "", "phone": PERSON}
    if table == "variables":
        row |= {"session_id": "", "phone": PERSON}
    if table in ("audience_tags", "agent_chats"):
        row["phone"] = PERSON
    if table == "webhooks":
        show(row, PERSON)
    if table == "closures":
        row["user"] = {"country_code": COUNTRY_CODE, "cellphone": NUMBER}


def one_session(table, row, place):
    """All rows name one session, flow, template and account, within a day."""
    if table == "sessions":
        own = SESSION if place == 0 else row["session_id"]
        parent = "" if place == 0 else SESSION
        row |= {"session_id": own, "parent_session_id": parent, "conversation_id": "41207"}
        row |= {"conversation_version": "1"}
    if table == "deployments":
        row |= {"session_id": SESSION, "conversation_id": "41207", "conversation_version": "1"}
        row |= {"delivery_status": "Delivered"}
    if table == "messages":
        row |= {"CONVERSATION_ID": "the-same", "WABA ID": "100000000000057"}
        row |= {"TEMPLATE_NAME": row["TEMPLATE_NAME"] and "the_same"}
    if table in ("conversions", "variables"):
        row |= {"session_id": SESSION, "phone": ""}
    if table == "closures":
        row["session"]["external_id"] = SESSION


# How to rewrite the rows of each lake, and the number of its days.
LAKES = {
    "plain": (None, 30), "no-session": (no_session, 30), "nobody": (nobody, 30),
    "one-person": (one_person, 1), "one-session": (one_session, 1),
}


def rewrite(folder, skew):
    """Rewrites the rows of the exports."""
    for file in folder.iterdir():
        table = next((table for name, table in TABLES.items() if file.name.startswith(name)), None)
        if table is None:
            continue
        with file.open(newline="", encoding="utf-8") as lines:
            if file.suffix == ".jsonl":
                rows = [json.loads(line) for line in lines]
            else:
                rows = list(csv.DictReader(lines))
        for place, row in enumerate(rows):
            skew(table, row, place)
        with file.open("w", newline="", encoding="utf-8") as lines:
            if file.suffix == ".jsonl":
                lines.writelines(json.dumps(row) + "\n" for row in rows)
            elif rows:
                writer = csv.DictWriter(lines, list(rows[0]))
                writer.writeheader()
                writer.writerows(rows)


def somebody(folder):
    """The person of the exports with the most sessions."""
    people = Counter()
    for file in folder.glob("general_sessions*"):
        with file.open(newline="", encoding="utf-8") as lines:
            cells = ((row["user_country_code"], row["user_cellphone"]) for row in csv.DictReader(lines))
            people.update(code + number for code, number in cells if number)
    return max(people, key=lambda person: (people[person], person), default=PERSON)


class Bench:
    def __init__(self, asked, folder, say):
        self.asked, self.folder, self.say = asked, folder, say
        self.program = asked.program.resolve()

    def catalog(self):
        """The queries that are asked, as the program describes them."""
        queries = {query["name"]: query for query in json.loads(self.run("queries", "-f", "json").stdout)}
        asked = self.asked.queries or queries
        unknown = [name for name in asked if name not in queries]
        if unknown:
            sys.exit(f"error: no query is called {', '.join(unknown)}")
        return [queries[name] for name in asked]

    def arguments(self, query, phone, days):
        """The options that a query requires: a person and dates of the lake, others as in its example."""
        if query["name"] == "user-history":
            return ["--phone", phone]
        if query["name"] == "what-changed":
            first, last = (START + datetime.timedelta(day) for day in (days // 2, days - 1))
            return ["--from", first, "--to", last]
        return needs(query)

    def run(self, *arguments):
        return run(self.program, *arguments)

    def measure(self, name, sessions):
        """Seconds and peak memory of each query on one lake."""
        skew, days = LAKES[name]
        exports, lake, answer = (self.folder / part for part in ("exports", "lake", "answer.parquet"))
        for place in (exports, lake):
            shutil.rmtree(place, ignore_errors=True)
        self.run(
            "sample", "--out", exports, "--start", START, "--days", days, "--seed", self.asked.seed,
            "--sessions-per-day", max(1, sessions // days),
        )
        if skew:
            rewrite(exports, skew)
        phone = PERSON if name == "one-person" else somebody(exports)
        loaded = self.run("load", exports, "--lake", lake, "--quiet")
        self.say(f"{name}, {sessions:,} sessions: made and loaded, {loaded.seconds:.0f} s")
        found = {}
        for described in self.catalog():
            query = described["name"]
            ask = ["query", query, *self.arguments(described, phone, days), "--lake", lake, "-o", answer]
            try:
                runs = [self.run(*ask) for _ in range(self.asked.rounds)]
                found[query] = {
                    "seconds": min(taken.cpu_seconds for taken in runs),
                    "memory": max(taken.anonymous for taken in runs),
                }
            except Failed as failure:
                found[query] = {"failed": str(failure)}
        return found


def verdict(name, small, large, plain):
    """The missed targets of a query on a lake, as text."""
    faults = []
    if failed := large.get("failed") or small.get("failed"):
        return [f"fails: {failed.splitlines()[-1]}"]
    for what, least in (("seconds", SECONDS), ("memory", MEMORY)):
        # Below the noise there is no growth.
        if large[what] < least:
            continue
        grows = large[what] / max(small[what], least / 4)
        if grows > GROWS_AT_MOST:
            faults.append(f"{what} {grows:.1f} times")
        if name != "plain" and plain and "failed" not in plain:
            beside = large[what] / max(plain[what], least)
            if beside > BESIDE_PLAIN_AT_MOST:
                faults.append(f"{what} {beside:.1f} times the plain lake's")
    return faults


def table(measured, sizes):
    """The figures as lines, and the missed targets."""
    small, large = sizes
    lines, faults = [], []
    header = f"{'query':24}{'lake':13}{f's of {small:,}':>13}{f's of {large:,}':>13}{'times':>7}{'MiB':>7}"
    lines += [header, "-" * len(header)]
    for query in measured["plain"][small]:
        for name, by_size in measured.items():
            first, second = (by_size[size][query] for size in sizes)
            wrong = verdict(name, first, second, measured["plain"][large][query])
            faults += [f"{query} on {name}: {fault}" for fault in wrong]
            cells = f"{query:24}{name:13}"
            if "failed" not in first and "failed" not in second:
                cells += f"{first['seconds']:13.3f}{second['seconds']:13.3f}"
                cells += f"{second['seconds'] / first['seconds']:7.1f}{second['memory'] / MEBIBYTE:7.0f}"
            lines.append(cells + ("  <-- " + ", ".join(wrong) if wrong else ""))
    return lines, faults


def options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--program", type=Path, default=ROOT / "target/release/wabalake")
    parser.add_argument(
        "--sessions", type=int, nargs=2, default=(20_000, 80_000), metavar=("FEW", "MANY"),
        help="of the two lakes of each kind, the second four times the first [20000 80000]",
    )
    parser.add_argument(
        "--lakes", nargs="+", metavar="NAME", help=f"beside the plain one [{' '.join(LAKES)}]"
    )
    parser.add_argument("--queries", nargs="+", metavar="NAME", help="only these [the whole catalog]")
    parser.add_argument("--rounds", type=int, default=2, help="of which the fastest counts [2]")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=ROOT / "benches/skew.json")
    asked = parser.parse_args()
    if not asked.program.exists():
        sys.exit(f"error: there is no `{asked.program}`\n  hint: `make build` makes it")
    asked.lakes = ["plain", *(asked.lakes or LAKES)]
    unknown = [name for name in asked.lakes if name not in LAKES]
    if unknown:
        sys.exit(f"error: no lake is called {', '.join(unknown)}\n  hint: {', '.join(LAKES)}")
    return asked


def main():
    asked = options()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: asked.threads])
    say = lambda text: print(text, file=sys.stderr, flush=True)
    measured = {}
    with tempfile.TemporaryDirectory(prefix="wabalake-skew-") as folder:
        bench = Bench(asked, Path(folder), say)
        for name in dict.fromkeys(asked.lakes):
            measured[name] = {sessions: bench.measure(name, sessions) for sessions in asked.sessions}
    lines, faults = table(measured, asked.sessions)
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty=+"], cwd=ROOT, capture_output=True, text=True
    ).stdout.strip()
    found = {
        "date": datetime.date.today().isoformat(),
        "commit": commit,
        "machine": platform.platform(),
        "sessions": asked.sessions,
        "lakes": measured,
        "faults": faults,
    }
    asked.out.write_text(json.dumps(found, indent=2) + "\n")
    print("\n".join(lines))
    if faults:
        sys.exit("\n".join(["", *(f"not reached: {fault}" for fault in faults)]))
    print(f"\nreached: nothing grows more than {GROWS_AT_MOST} times with four times the rows")


if __name__ == "__main__":
    main()
