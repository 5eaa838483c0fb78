"""What each process of the service says of itself, so that others can judge whether it runs.

A file a process in `state/processes`, replaced as a whole every two seconds. They are files and not rows of the
database, so that they can be written and read while the database is locked, full or damaged.
"""

import os
import secrets
from contextlib import suppress
from pathlib import Path

import msgspec

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


def write_report(folder: Path, report: ProcessReport) -> None:
    """Whole or not at all: who reads it may do so at any time."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = folder / f".{report.process}.{os.getpid()}.{secrets.token_hex(4)}"
    try:
        fresh.write_bytes(msgspec.json.encode(report))
        fresh.replace(folder / f"{report.process}.json")
    finally:
        with suppress(FileNotFoundError):
            fresh.unlink()


def read_reports(folder: Path) -> list[ProcessReport]:
    """The newest of every process; of one whose file cannot be read there is none."""
    found = []
    for path in sorted(folder.glob("*.json")):
        with suppress(OSError, msgspec.DecodeError, UnicodeDecodeError):
            found.append(msgspec.json.decode(path.read_bytes(), type=ProcessReport))
    return found
