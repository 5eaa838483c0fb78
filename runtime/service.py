"""The live service: the pipeline, the delivery workers, and the processes beside them, until it is told to end.

Three processes: `ingest_process` fills the journal, this one reads it, `console_process` shows what came of it.
"""

import fcntl
import gc
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from console.tiles import Tiles
from model.faults import FaultKind
from model.time import iso_from_ns
from runtime.accepted import Accepted, AcceptedDamaged, accept, accepted
from runtime.anchoring import AuditWatch
from runtime.channels import channel_builders, password_of
from runtime.children import ChildProcesses
from runtime.configuration import load
from runtime.delivery_workers import DeliveryWorkers
from runtime.disk_problems import disk_problem
from runtime.entries import Configuration
from runtime.fault_queue import FaultQueue
from runtime.mistakes import Mistake, Mistakes
from runtime.pipeline import Pipeline
from runtime.places import Places, plate_key, private_folder
from runtime.process_report import InUse, Refused, Reporter
from runtime.supervision import described
from runtime.world import world_of

Say = Callable[[str], None]
IDLE_S = 0.02
MEND_S = 2.0  # after a disk was full
REPORT_S = 60.0  # a disk that stays full is reported no more often
# Decoding makes and drops hundreds of thousands of small tuples a second, none in a cycle. With Python's defaults the
# collector walks them over and over: a fifth of the pipeline's time at 100,000 detections a second.
GC_THRESHOLDS = (200_000, 20, 100)


class AlreadyRunning(Exception):
    """Another service works on this site's state."""


class SystemClock:
    """Time in the shell."""

    def now_ns(self) -> int:
        return time.time_ns()

    def wait(self, seconds: float, stop: threading.Event) -> None:
        stop.wait(seconds)


def serve(folder: Path, stop: threading.Event, reload: threading.Event, report: Say) -> None:
    """Run a site until `stop`. Raises Mistakes or AlreadyRunning before anything has begun."""
    gc.set_threshold(*GC_THRESHOLDS)
    report = _never_failing(report)
    c, refused = _loaded(folder, report)
    private_folder(c.state)
    with (c.state / "service.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AlreadyRunning(f"Another service works on {c.state}.") from error
        in_use, refused = _accepted(folder, c, refused, report)
        service = Service(folder, in_use, refused, report)
        try:
            while not stop.is_set():
                busy = service.run_once(stop)
                if reload.is_set():
                    reload.clear()
                    service.reload(stop)
                elif not busy:
                    stop.wait(IDLE_S)
        finally:
            service.close()


class Service:
    """The parts of a running service, all with one configuration."""

    def __init__(self, folder: Path, in_use: Accepted, refused: Refused | None, report: Say) -> None:
        self._folder, self._in_use, self._refused, self._report = folder, in_use, refused, report
        self._faults = FaultQueue()
        if refused is not None:
            self._faults.add(FaultKind.CONFIGURATION_REFUSED, "site folder", _first(refused))
        self._pipeline = Pipeline(in_use.configuration, report)
        self._reporter = Reporter(
            Places(in_use.configuration.state).processes,
            "service",
            lambda: (*self._children.parts(), *self._workers.parts(), *self._audit_watch.parts()),
            lambda: InUse(self._in_use.digest, self._in_use.time, self._refused),
        )
        self._start_parts()

    def run_once(self, stop: threading.Event) -> bool:
        """One round of everything. Was there anything to read?"""
        busy = True
        try:
            busy = self._pipeline.turn()
        except (sqlite3.Error, OSError) as error:
            self._resume(error, stop)
        if not stop.is_set():
            self._look_after()
        return busy

    def reload(self, stop: threading.Event) -> None:
        """Take the folder's configuration into use, in every process; where it has a mistake, all keep the one they have."""
        c = self._in_use.configuration
        try:
            new = rehearsed(load(self._folder))
            if new.state != c.state:
                raise Mistakes([_STATE_MOVED])
            self._in_use, self._refused = accept(new, time.time_ns()), None
        except Exception as error:  # whatever is wrong with the new one, the old one goes on
            self._refused = _refusal(error)
            self._report(_refused_text(self._refused, "the old one stays in use"))
            self._faults.add(FaultKind.CONFIGURATION_REFUSED, "site folder", _first(self._refused))
        else:
            self._end_parts()
            self._configure(stop)
            self._start_parts()
            self._report("The new configuration is in use.")
        self._reporter.write()

    def _configure(self, stop: threading.Event) -> None:
        try:
            self._pipeline.turn()
            self._pipeline.commit()
            self._pipeline.configure(self._in_use.configuration)
        except (sqlite3.Error, OSError) as error:
            self._resume(error, stop)

    def close(self) -> None:
        """What has come is taken in and committed; what cannot be is read from the journal at the next start."""
        self._children.end()
        try:
            self._pipeline.turn()
            self._pipeline.close()
        except (sqlite3.Error, OSError) as error:
            self._report(f"Could not be written: {error}. It is taken up from what is on disk at the next start.")
        self._workers.stop()
        self._audit_watch.stop()
        self._reporter.write(ended=True)

    def _start_parts(self) -> None:
        c = self._in_use.configuration
        self._workers = DeliveryWorkers(
            Places(c.state).database, channel_builders(c), SystemClock(), self._report, self._on_end, self._on_failure
        )
        self._pipeline.wake = self._workers.wake
        self._audit_watch = AuditWatch(c, self._report, self._faults, self._on_end)
        names = ["ingest", *(["console"] if c.site.console.enabled else [])]
        self._children = ChildProcesses(
            names, self._folder, Places(c.state).processes, self._keep_accepted, self._on_end
        )

    def _end_parts(self) -> None:
        self._workers.stop()
        self._audit_watch.stop()
        self._children.end()

    def _keep_accepted(self) -> None:
        """The copy that a process is about to read is there and whole, even where somebody has damaged it."""
        accept(self._in_use.configuration, time.time_ns())

    def _on_end(self, name: str, error: str) -> None:
        self._report(f"The {name} is down: {error} It is started again.")
        self._faults.part_failed(name, error)
        self._reporter.soon()

    def _on_failure(self, name: str, detail: str) -> None:
        self._report(f"The {name} has failed: {detail} It is tried again.")
        self._faults.part_failed(name, detail)

    def _look_after(self) -> None:
        self._children.look()
        self._reporter.tick()
        self._faults.hand_in(self._pipeline.outbox.report_fault)

    def _resume(self, error: Exception, stop: threading.Event) -> None:
        """Take up what is on disk, as soon as the disk lets us."""
        text, told_s = disk_problem(error) or str(error), -REPORT_S
        self._faults.add(FaultKind.WRITING_FAILED, "state folder", f"Nothing could be written. {text}")
        while not stop.is_set():
            if time.monotonic() - told_s >= REPORT_S:
                told_s = time.monotonic()
                self._report(
                    f"Could not be written: {text} It is tried again every {MEND_S:g} s, from what is on disk."
                )
            stop.wait(MEND_S)
            self._look_after()
            try:
                self._pipeline = self._pipeline.again()
                self._pipeline.configure(self._in_use.configuration)
            except (sqlite3.Error, OSError) as again:
                text = disk_problem(again) or str(
                    again
                )  # the words only: the error holds on to what was half made, and to its locks
            else:
                self._report("The disk takes writing again.")
                return


# ── which configuration ──────────────────────────────────────────────────────────────────────────

_STATE_MOVED = Mistake(
    "site.toml",
    "",
    "files.state",
    "is not where the running service keeps its state.",
    "Stop the service, move the folder, and start it again.",
)


def rehearsed(c: Configuration) -> Configuration:
    """The same, once it has been seen that a service can be made of it. Raises what stands in the way."""
    world_of(c, plate_key(c))
    password_of(c)
    if c.site.console.base_map:
        Tiles(c.path(c.site.console.base_map))
    for build in channel_builders(c).values():
        build().close()
    return c


def _loaded(folder: Path, report: Say) -> tuple[Configuration, Refused | None]:
    """The folder's configuration; where it has a mistake, the one accepted last, and what was refused."""
    try:
        return rehearsed(load(folder)), None
    except Exception as error:  # whatever is wrong with it, what ran before runs again
        last, refused = _last_accepted(folder, error, report)
        return last.configuration, refused


def _accepted(folder: Path, c: Configuration, refused: Refused | None, report: Say) -> tuple[Accepted, Refused | None]:
    """The configuration, kept as the accepted one; where the disk does not take it, the one accepted last."""
    try:
        return accept(c, time.time_ns()), refused
    except OSError as error:
        return _last_accepted(folder, error, report)


def _last_accepted(folder: Path, error: Exception, report: Say) -> tuple[Accepted, Refused]:
    """The configuration accepted last. Where there is none, raises the error for which it is needed."""
    try:
        last = accepted(folder)
    except (AcceptedDamaged, Mistakes) as damage:
        report(f"The accepted configuration cannot be used instead: {damage}")
        last = None
    if last is None:
        raise error
    refused = _refusal(error)
    report(_refused_text(refused, f"THE LAST ACCEPTED ONE IS IN USE, OF {last.time}"))
    return last, refused


def _refusal(error: Exception) -> Refused:
    """Why a configuration is not taken into use."""
    found = tuple(map(str, error.found)) if isinstance(error, Mistakes) else (described(error),)
    return Refused(iso_from_ns(time.time_ns()), found)


def _first(refused: Refused) -> str:
    """The first mistake, and how many more there are."""
    more = len(refused.mistakes) - 1
    return refused.mistakes[0] + (f" And {more} more." if more else "")


def _refused_text(refused: Refused, instead: str) -> str:
    return f"The configuration in the folder is refused; {instead}.\n" + "\n\n".join(refused.mistakes)


def _never_failing(report: Say) -> Say:
    """What is said to a log that takes nothing more, on a full disk, is lost and ends nothing."""

    def say(text: str) -> None:
        with suppress(OSError, ValueError):
            report(text)

    return say
