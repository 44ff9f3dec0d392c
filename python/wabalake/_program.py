"""Finds the program, runs it, and turns what it reports into exceptions."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from signal import Signals


class WabalakeError(Exception):
    """A command that failed: the data, the lake, a cluster or wabalake itself is at fault.

    `what` is wrong, `found` is what was there instead of what was expected, and `hint` tells what to do; the last two
    may be `None`. `exit_code` is that of the program. No message holds a phone number or the text of a cell.
    """

    __module__ = "wabalake"

    def __init__(self, what: str, found: str | None = None, hint: str | None = None, exit_code: int = 1) -> None:
        super().__init__(what, found, hint, exit_code)
        self.what = what
        self.found = found
        self.hint = hint
        self.exit_code = exit_code

    def __str__(self) -> str:
        notes = [("found", self.found), ("hint", self.hint)]
        return "\n".join([self.what, *(f"{label}: {note}" for label, note in notes if note)])


class UsageError(WabalakeError, ValueError):
    """A query, option or value that does not exist or does not fit."""

    __module__ = "wabalake"


class WabalakeWarning(UserWarning):
    """A warning of the program about an answer that it gave."""

    __module__ = "wabalake"


# The exit code of a wrong command line.
USAGE = 2


def find_program() -> str:
    """Returns the path of the program: that of the environment variable `WABALAKE`, else the one that was installed
    with this module, else the one on the path.

    Raises `FileNotFoundError` if there is none.
    """
    if named := os.environ.get("WABALAKE"):
        return named
    name = "wabalake" + (sysconfig.get_config_var("EXE") or "")
    for folder in _folders():
        if (program := folder / name).is_file():
            return str(program)
    if found := shutil.which(name):
        return found
    raise FileNotFoundError(
        "the program `wabalake` is not installed\nhint: `pip install wabalake`, or name it in the variable WABALAKE"
    )


def _folders() -> Iterator[Path]:
    """The folders into which an installer may have put the program."""
    yield Path(sysconfig.get_path("scripts"))
    packages = Path(__file__).resolve().parents[1]
    # `pip install --target`, then `pip install --prefix` and environments that are laid over another one.
    yield packages / "bin"
    if packages.name in ("site-packages", "dist-packages"):
        yield packages.parents[2] / "bin"
    yield Path(sysconfig.get_path("scripts", sysconfig.get_preferred_scheme("user")))


def run(arguments: list[str]) -> tuple[bytes, list[str]]:
    """Runs the program. Returns its standard output and its warnings.

    Raises the error that it reports.
    """
    done = subprocess.run([find_program(), *arguments], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    reports = list(_reports(done.stderr.decode(errors="replace")))
    if done.returncode == 0:
        return done.stdout, ["\n".join([what, *notes]) for label, what, *notes in reports if label == "warning"]
    raise _error(done.returncode, reports)


def _reports(text: str) -> Iterator[list[str]]:
    """The messages on standard error: label, what, and each of the indented notes that follow.

        error: no query `drop-of`
          hint: did you mean `drop-off`?
    """
    report: list[str] = []
    for line in text.splitlines():
        label, colon, what = line.partition(": ")
        if colon and label in ("error", "warning"):
            if report:
                yield report
            report = [label, what]
        elif report and line.startswith("  "):
            report.append(line.strip())
    if report:
        yield report


def _error(code: int, reports: list[list[str]]) -> WabalakeError:
    kind = UsageError if code == USAGE else WabalakeError
    for label, what, *notes in reversed(reports):
        if label == "error":
            said = dict(note.partition(": ")[::2] for note in notes)
            return kind(what, said.get("found"), said.get("hint"), code)
    if code < 0:
        return kind(f"wabalake was stopped by the signal {Signals(-code).name}", exit_code=code)
    return kind(f"wabalake failed with exit code {code} and no message", exit_code=code)
