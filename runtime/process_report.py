"""What each process of the service says of itself, so that others can judge whether it runs.

A file a process in `state/processes`, replaced as a whole every two seconds. They are files and not rows of the
database, so that they can be written and read while the database is locked, full or damaged.
"""

import os
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from model.stored import is_whole, with_checksum
from model.time import iso_from_ns

EVERY_S = 2.0


class Part(msgspec.Struct, frozen=True):
    """A process, thread or task that runs for as long as the service does."""

    name: str
    since: str | None  # ISO 8601, since when it runs; None while it is down
    starts: int  # how often it was started
    error: str = ""  # how it last ended


class Refused(msgspec.Struct, frozen=True):
    """What was found in the site folder and not taken into use."""

    time: str
    mistakes: tuple[str, ...]


class InUse(msgspec.Struct, frozen=True):
    """The configuration in use."""

    digest: str
    accepted: str
    refused: Refused | None = None  # since then


class ProcessReport(msgspec.Struct, frozen=True):
    """One process at one time."""

    process: str
    pid: int
    started: str
    time: str
    ended: bool = False  # in order
    parts: tuple[Part, ...] = ()
    configuration: InUse | None = None


class Reporter:
    """Writes the report of this process whenever it is due. Called from the loop that does the process's work: a process whose
    loop stands still says nothing."""

    def __init__(
        self,
        folder: Path,
        process: str,
        parts: Callable[[], tuple[Part, ...]],
        configuration: Callable[[], InUse | None] = lambda: None,
    ) -> None:
        self._folder, self._process, self._parts, self._configuration = folder, process, parts, configuration
        self._started, self._due_s = iso_from_ns(time.time_ns()), 0.0

    def tick(self) -> None:
        if time.monotonic() >= self._due_s:
            self.write()

    def soon(self) -> None:
        """Something has changed: the next tick writes. May be called from any thread."""
        self._due_s = 0.0

    def write(self, ended: bool = False) -> None:
        self._due_s = time.monotonic() + EVERY_S
        report = ProcessReport(
            self._process,
            os.getpid(),
            self._started,
            iso_from_ns(time.time_ns()),
            ended,
            () if ended else self._parts(),
            self._configuration(),
        )
        with suppress(OSError):  # a report that is missing says that nothing is known of us, which is then true
            write_report(self._folder, report)


def write_report(folder: Path, report: ProcessReport) -> None:
    """Whole or not at all: who reads it may do so at any time."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = folder / f".{report.process}.{os.getpid()}.{secrets.token_hex(4)}"
    try:
        fresh.write_bytes(with_checksum(msgspec.json.encode(report)))
        fresh.replace(folder / f"{report.process}.json")
    finally:
        with suppress(FileNotFoundError):
            fresh.unlink()


def read_reports(folder: Path) -> list[ProcessReport]:
    """The newest of every process; of one whose file cannot be read there is none."""
    found = []
    for path in sorted(folder.glob("*.json")):
        with suppress(OSError, msgspec.DecodeError, UnicodeDecodeError):
            data = path.read_bytes()
            if is_whole(data):
                found.append(msgspec.json.decode(data, type=ProcessReport))
    return found
