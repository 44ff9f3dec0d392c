"""The README as a program sees it: what can be run in it, and its table of queries.

A `console` block is a terminal session: commands after `$ `, and what they print. A `python` block
is a program. Blocks in other languages, or followed by `not run`, are for the eye only.

    python tests/python/readme.py --write    rewrites the table of queries
"""

import argparse
import re
from dataclasses import dataclass

from program import ROOT, catalog

README = ROOT / "README.md"
FENCE = re.compile(r"^```(?P<language>\w+)(?P<rest>[^\n]*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
TABLE = re.compile(r"(?<=<!-- queries -->\n).*?(?=<!-- /queries -->)", re.DOTALL)


@dataclass
class Command:
    line: str
    shown: str


def blocks(text):
    """The blocks that can be run, in order: a language and what is to be run in it."""
    for fence in FENCE.finditer(text):
        if fence["language"] == "python" and "not run" not in fence["rest"]:
            yield "python", fence["text"]
        if fence["language"] == "console":
            yield "console", commands(fence["text"])


def commands(session):
    """The commands of a terminal session, each with what it shows."""
    found = []
    for line in session.splitlines(keepends=True):
        if line.startswith("$ "):
            found.append(Command(line[2:].rstrip(), ""))
        elif found[-1].line.endswith("\\"):
            found[-1].line = found[-1].line[:-1] + line.strip()
        else:
            found[-1].shown += line
    return found


def table_of_queries():
    lines = ["| query | what it answers |", "|---|---|"]
    for query in catalog():
        lines.append(f"| `{query['name']}` | {query['question']} |")
    return "\n".join(lines) + "\n"


def with_table(text):
    assert TABLE.search(text), "the README has no <!-- queries --> … <!-- /queries -->"
    return TABLE.sub(lambda _: table_of_queries(), text)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--write", action="store_true", required=True)
    arguments.parse_args()
    README.write_text(with_table(README.read_text()))
