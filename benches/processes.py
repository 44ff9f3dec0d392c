"""Runs processes, and measures their time and memory."""

import os
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

# The interval between two samples of memory.
EVERY_SECONDS = 0.01

# Settings of the caller must not change the measurement.
ENVIRONMENT = {
    name: value for name, value in os.environ.items() if not name.startswith("WABALAKE")
} | {"TZ": "UTC", "LC_ALL": "C.UTF-8"}


class Failed(Exception):
    """A process that failed."""


@dataclass
class Run:
    """One process, from its start to its end."""

    seconds: float
    cpu_seconds: float
    # Peaks in bytes: the resident set with mapped files, and the anonymous memory, which must be free.
    resident: int
    anonymous: int
    stdout: str


def run(*command, environment=ENVIRONMENT) -> Run:
    """Runs a command until it ends."""
    command = [str(part) for part in command]
    with tempfile.TemporaryFile("w+") as stdout, tempfile.TemporaryFile("w+") as stderr:
        started = time.perf_counter()
        process = subprocess.Popen(command, env=environment, stdout=stdout, stderr=stderr)
        memory = Memory(process.pid)
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        memory.stop()
        process.returncode = os.waitstatus_to_exitcode(status)
        stdout.seek(0)
        stderr.seek(0)
        if process.returncode != 0:
            said = stderr.read().strip()[-2000:]
            raise Failed(f"{' '.join(command[:8])}: exit {process.returncode}\n{said}")
        return Run(
            seconds=seconds,
            cpu_seconds=used.ru_utime + used.ru_stime,
            resident=memory.resident,
            anonymous=memory.anonymous,
            stdout=stdout.read(),
        )


class Memory:
    """Samples the memory of a process until `stop`."""

    def __init__(self, pid: int):
        self.resident = self.anonymous = 0
        self.status = Path(f"/proc/{pid}/status")
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()

    def watch(self):
        while not self.ended.wait(EVERY_SECONDS):
            try:
                lines = self.status.read_text().splitlines()
            except OSError:
                return
            fields = dict(line.split(":", 1) for line in lines if ":" in line)
            self.resident = max(self.resident, kibibytes(fields.get("VmHWM")))
            self.anonymous = max(self.anonymous, kibibytes(fields.get("RssAnon")))

    def stop(self):
        self.ended.set()
        self.thread.join()


def kibibytes(field: str | None) -> int:
    """`  1234 kB` in bytes. A process that has ended has none."""
    return int(field.split()[0]) * 1024 if field else 0
