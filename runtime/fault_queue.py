"""Faults that any thread of a process has met, until the process's own loop has handed them in."""

import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable

from model.faults import Fault, FaultKind, fault_of

WAITING_MAX = 200  # of the same few parts: what is older says nothing more
RETRY_AFTER_S = 2.0


class FaultQueue:
    """`add` from any thread; `hand_in` from the one that has the connection to the database."""

    def __init__(self) -> None:
        self._waiting: deque[Fault] = deque(maxlen=WAITING_MAX)
        self._lock = threading.Lock()
        self._due_s = 0.0

    def add(self, kind: FaultKind, about: str, detail: str) -> None:
        with self._lock:
            self._waiting.append(fault_of(kind, about, detail, time.time_ns()))

    def over(self, kind: FaultKind, about: str) -> None:
        """What was wrong works again."""
        with self._lock:
            self._waiting.append(fault_of(kind, about, "It works again.", time.time_ns(), over=True))

    def part_failed(self, name: str, error: str) -> None:
        self.add(FaultKind.PART_FAILED, name, f"The {name} has ended or failed: {error}")

    def hand_in(self, report_fault: Callable[[Fault], None]) -> None:
        """All of them; those that the database does not take now are handed in later."""
        if not self._waiting or time.monotonic() < self._due_s:
            return
        with self._lock:
            waiting = list(self._waiting)
            self._waiting.clear()
        for number, fault in enumerate(waiting):
            try:
                report_fault(fault)
            except (sqlite3.Error, OSError):
                self._due_s = time.monotonic() + RETRY_AFTER_S
                with self._lock:
                    self._waiting.extendleft(reversed(waiting[number:]))
                return
