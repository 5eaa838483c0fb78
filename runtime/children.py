"""The processes beside the pipeline: the ingest, and the console where it is wanted. One that ends is started again."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from runtime.process_report import Part
from runtime.supervision import Ended, Record, described

END_S = 10.0  # how long a process may take to end in order


class ChildProcesses:
    """Each is `python -m runtime.<name>_process SITE PID`, where PID is this process."""

    def __init__(self, names: Iterable[str], folder: Path, prepare: Callable[[], None], on_end: Ended) -> None:
        """`prepare` is called before each start: what a process reads is there and whole."""
        self._folder, self._prepare, self._on_end = folder, prepare, on_end
        self._records = {name: Record(f"{name} process") for name in names}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._due_s = dict.fromkeys(self._records, 0.0)

    def look(self) -> None:
        """Start what is due, and notice what has ended."""
        for name, record in self._records.items():
            process = self._processes.get(name)
            if process is not None and process.poll() is not None:
                del self._processes[name]
                self._ended(name, f"It ended with code {process.returncode}.")
            elif process is None and time.monotonic() >= self._due_s[name]:
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

    def _ended(self, name: str, error: str) -> None:
        record = self._records[name]
        self._due_s[name] = time.monotonic() + record.ended(error)
        self._on_end(record.name, error)

    def _start(self, name: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-m", f"runtime.{name}_process", str(self._folder), str(os.getpid())])
