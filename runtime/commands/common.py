"""What commands share: the words for people, the options that many take, the audit log."""

import getpass
import sqlite3
import time
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from alerts import audit as audit_log
from alerts.outbox import Outbox
from model.faults import FaultKind, fault_of
from model.liveness import judged
from model.time import iso_from_ns
from runtime.accepted import configuration_in_use
from runtime.anchoring import LOG
from runtime.configuration import load
from runtime.disk_problems import disk_problem
from runtime.entries import Configuration
from runtime.mistakes import Mistakes
from runtime.places import Places, audit_key, private_folder
from runtime.process_report import read_reports
from runtime.terminal import terminal

people = terminal(stderr=True)

Site = Annotated[Path, typer.Argument(help="A folder with a site.toml", show_default=False)]
SiteHere = Annotated[Path, typer.Option("--site", help="A folder with a site.toml")]
Json = Annotated[bool, typer.Option("--json", help="JSON instead of a table")]
By = Annotated[str, typer.Option(help="Who you are; your login name unless given")]
Reason = Annotated[str, typer.Option(help="Why you look; goes into the audit log")]
HERE = Path("configs")


def who(by: str) -> str:
    """As said, or the login name."""
    return by or getpass.getuser()


def audited(c: Configuration, by: str, what: str, about: str, reason: str) -> None:
    """A line in the audit log. Raises AuditUnusable."""
    places = Places(c.state)
    private_folder(c.state)
    found = audit_log.append(places.audit, audit_key(c), iso_from_ns(time.time_ns()), who(by), what, about, reason)
    if found:
        people.print(f"{found} `marchwarden audit verify` shows where.", markup=False)
        outbox_of(c).report_fault(fault_of(FaultKind.AUDIT_BROKEN, LOG, found, time.time_ns()))


def in_use_with_notes(site: Path) -> Configuration:
    """The configuration in use, and on standard error how the folder differs from it. Raises Mistakes."""
    c = configuration_in_use(site)
    if c.copies:  # it is one that was accepted
        try:
            differs = load(site).sources != c.sources
            note = (
                "holds changes that are not in use: a running service takes them into use on SIGHUP" if differs else ""
            )
        except Mistakes as mistakes:
            note = f"has {count(mistakes)} (`marchwarden check {site}`)"
        if note:
            people.print(f"This is what is in use. The folder {note}.", markup=False)
    return c


def count(mistakes: Mistakes) -> str:
    return f"{len(mistakes.found)} {'mistake' if len(mistakes.found) == 1 else 'mistakes'}"


def status_of(c: Configuration) -> dict[str, Any]:
    """What the service last said of itself, as it is to be read now."""
    places = Places(c.state)
    reports = msgspec.to_builtins(read_reports(places.processes))
    return judged(outbox_of(c).status(), reports, time.time_ns())


def outbox_of(c: Configuration) -> Outbox:
    """The outbox; where nothing can be written, for reading only, which is said."""
    path = Places(c.state).database
    try:
        return Outbox(path)
    except (sqlite3.OperationalError, OSError) as error:
        problem = disk_problem(error)
        if problem is None or not path.exists():
            raise
        try:
            outbox = Outbox(path, read_only=True)
        except sqlite3.Error:
            raise error from None
        people.print(f"{problem} What was committed is shown.", markup=False)
        return outbox
