"""The live service: the pipeline, the couriers, and the processes beside them, until it is told to end.

Three processes: `ingest_process` fills the journal, this one reads it, `console_process` shows what came of it.
"""

import fcntl
import gc
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from alerts.delivery import Couriers
from runtime.channels import channels_of
from runtime.configuration import load
from runtime.entries import Configuration
from runtime.mistakes import Mistakes, render
from runtime.pipeline import Pipeline
from runtime.places import Places

IDLE_S = 0.02
MEND_S = 2.0  # after a disk was full
AGAIN_S = 1.0  # before a process that ended is started again
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


def serve(folder: Path, stop: threading.Event, reload: threading.Event, report: Callable[[str], None]) -> None:
    """Run a site until `stop`. Raises Mistakes or AlreadyRunning before anything has begun."""
    gc.set_threshold(*GC_THRESHOLDS)
    c = load(folder)
    c.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (c.state / "service.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AlreadyRunning(f"Another service works on {c.state}.") from error
        pipeline = Pipeline(c, report)
        couriers = Couriers(Places(c.state).database, channels_of(c), SystemClock(), report)
        beside = Beside(folder, c, report)
        pipeline.wake = couriers.wake
        try:
            while not stop.is_set():
                try:
                    busy = pipeline.turn()
                except (sqlite3.Error, OSError) as error:
                    pipeline = _mended(pipeline, error, stop, report)
                    continue
                if not busy:
                    stop.wait(IDLE_S)
                beside.look(stop)
                if reload.is_set():
                    reload.clear()
                    c = _reloaded(folder, c, pipeline, report)
                    couriers.stop()
                    couriers = Couriers(Places(c.state).database, channels_of(c), SystemClock(), report)
                    pipeline.wake = couriers.wake
                    beside.end()
                    beside = Beside(folder, c, report)
        finally:
            beside.end()
            _finished(pipeline, report)
            couriers.stop()


def _mended(pipeline: Pipeline, error: Exception, stop: threading.Event, report: Callable[[str], None]) -> Pipeline:
    """A pipeline that takes up what is on disk, as soon as the disk lets it."""
    said = str(error)
    while not stop.is_set():
        report(f"Could not be written: {said}. It is tried again from what is on disk in {MEND_S:g} s.")
        stop.wait(MEND_S)
        try:
            return pipeline.again()
        except (sqlite3.Error, OSError) as again:
            said = str(again)  # the words only: the error holds on to what was half made, and to its locks
    return pipeline


def _finished(pipeline: Pipeline, report: Callable[[str], None]) -> None:
    """What has come is taken in and committed; what cannot be is read from the journal at the next start."""
    try:
        pipeline.turn()
        pipeline.close()
    except (sqlite3.Error, OSError) as error:
        report(f"Could not be written: {error}. It is taken up from what is on disk at the next start.")


def _reloaded(folder: Path, old: Configuration, pipeline: Pipeline, report: Callable[[str], None]) -> Configuration:
    """The new configuration in use, or, where it has mistakes, the old one still."""
    try:
        new = load(folder)
    except Mistakes as mistakes:
        report(f"The configuration has mistakes; the old one stays in use.\n{render(mistakes.found)}")
        return old
    pipeline.turn()
    pipeline.commit()
    pipeline.configure(new)
    report("The new configuration is in use.")
    return new


class Beside:
    """The processes beside the pipeline: the ingest, and the console where it is wanted. One that ends is started again."""

    def __init__(self, folder: Path, c: Configuration, report: Callable[[str], None]) -> None:
        self._folder, self._report = folder, report
        self._names = ["ingest", *(["console"] if c.site.console.enabled else [])]
        self._processes = {name: self._started(name) for name in self._names}
        self._again: dict[str, float] = {}

    def look(self, stop: threading.Event) -> None:
        """Is each still there?"""
        for name, process in self._processes.items():
            if process.poll() is None or stop.is_set():
                continue
            due = self._again.setdefault(name, time.monotonic() + AGAIN_S)
            if time.monotonic() >= due:
                self._report(f"The {name} process ended with code {process.returncode}; starting it again.")
                self._processes[name] = self._started(name)
                del self._again[name]
                return

    def end(self) -> None:
        for process in self._processes.values():
            _end(process)

    def _started(self, name: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-m", f"runtime.{name}_process", str(self._folder), str(os.getpid())])


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
