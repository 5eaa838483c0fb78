"""The processes beside the pipeline: the ingest, and the console where it is wanted. One that ends is started again, and so is
one that hangs: that has written no report of itself for a time in which this process has written its own.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from runtime.process_report import Part, read_reports
from runtime.supervision import Ended, Record, described

END_S = 10.0  # how long a process may take to end in order
HUNG_S = 60.0  # without a report: killed, and started again
HUNG_AT_START_S = 180.0  # the same, before its first one
READ_S = 1.0  # how often reports are read
OWN = "service"  # this process, in its report
PAUSED_S = 20.0  # between two looks, after which nothing is held against anybody: all of us may have been stopped


class ChildProcesses:
    """Each is `python -m runtime.<name>_process SITE PID`, where PID is this process."""

    def __init__(
        self, names: Iterable[str], folder: Path, reports: Path, prepare: Callable[[], None], on_end: Ended
    ) -> None:
        """`reports` is where processes report; `prepare` is called before each start: what a process reads is there and whole."""
        self._folder, self._prepare, self._on_end = folder, prepare, on_end
        self._signs = SignsOfLife(reports)
        self._killed = dict[str, str]()  # why, of those that are ending for it
        self._records = {name: Record(f"{name} process") for name in names}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._due_s = dict.fromkeys(self._records, 0.0)

    def look(self) -> None:
        """Start what is due, and notice what has ended, or hangs."""
        self._signs.read({name: process.pid for name, process in self._processes.items()})
        for name, record in self._records.items():
            process = self._processes.get(name)
            if process is not None and process.poll() is not None:
                del self._processes[name]
                self._ended(name, self._killed.pop(name, f"It ended with code {process.returncode}."))
            elif process is not None:
                self._kill_if_hung(name, process)
            elif time.monotonic() >= self._due_s[name]:
                try:
                    self._prepare()
                    self._processes[name] = self._start(name)
                    record.started()
                except OSError as error:
                    self._ended(name, described(error))

    def parts(self) -> tuple[Part, ...]:
        return tuple(record.part() for record in self._records.values())

    def end(self) -> None:
        """All of them, in order."""
        for process in self._processes.values():
            process.terminate()
        until_s = time.monotonic() + END_S
        for process in self._processes.values():
            try:
                process.wait(max(until_s - time.monotonic(), 0.0))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes = {}

    def _kill_if_hung(self, name: str, process: subprocess.Popen[bytes]) -> None:
        hung_s = self._signs.hung_s(name)
        if hung_s and name not in self._killed:
            self._killed[name] = f"It gave no sign of life for {hung_s:.0f} s, and was killed."
            process.kill()  # its end is noticed at a later look

    def _ended(self, name: str, error: str) -> None:
        record = self._records[name]
        self._due_s[name] = time.monotonic() + record.ended(error)
        self._on_end(record.name, error)

    def _start(self, name: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-m", f"runtime.{name}_process", str(self._folder), str(os.getpid())])


class SignsOfLife:
    """When each process was last seen to have written a report, by this process's clock that nobody sets."""

    def __init__(self, reports: Path, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._reports, self._clock_s = reports, clock_s
        self._read_s = clock_s()
        self._seen = dict[str, tuple[int, str]]()  # (pid, time) of the newest report
        self._since_s = dict[str, float]()  # when that was first seen
        self._pids = dict[str, int]()

    def read(self, pids: dict[str, int]) -> None:
        """The reports, of processes that have these pids now, and of this one."""
        now_s = self._clock_s()
        pids = pids | {OWN: os.getpid()}
        self._since_s |= {name: now_s for name, pid in pids.items() if self._pids.get(name) != pid}
        self._pids = pids
        if now_s - self._read_s > PAUSED_S:
            self._since_s = dict.fromkeys(self._since_s, now_s)
        elif now_s - self._read_s < READ_S:
            return
        self._read_s = now_s
        for report in read_reports(self._reports):
            seen = (report.pid, report.time)
            if pids.get(report.process) == report.pid and self._seen.get(report.process) != seen:
                self._seen[report.process], self._since_s[report.process] = seen, now_s

    def hung_s(self, name: str) -> float:
        """For how long the process has given no sign, where that is too long; else 0. Where we cannot write a report ourselves,
        as on a full disk, none is missed."""
        now_s = self._clock_s()
        if now_s - self._since_s[OWN] > PAUSED_S:
            return 0.0
        reported = self._seen.get(name, (0, ""))[0] == self._pids[name]
        still_s = now_s - self._since_s[name]
        return still_s if still_s > (HUNG_S if reported else HUNG_AT_START_S) else 0.0
