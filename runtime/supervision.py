"""What must run for as long as the service does: what ends is reported, counted, and started again after a pause.

A `Record` is the bookkeeping of one part, the same for processes, threads and tasks. The pause grows while a part keeps
ending soon after its start, and is short again once it has run for a while.
"""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from model.time import iso_from_ns
from runtime.process_report import Part

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0
STEADY_S = 60.0  # a part that has run for this long begins again with the first pause
JOIN_S = 5.0

Ended = Callable[[str, str], None]  # is told a part's name and how it ended


@dataclass
class Record:
    """One part: since when it runs, how often it was started, how it last ended."""

    name: str
    starts: int = 0
    error: str = ""
    _since_ns: int = 0  # 0 while it is down
    _started_s: float = field(default=0.0)
    _pause_s: float = FIRST_PAUSE_S

    def started(self) -> None:
        self.starts += 1
        self._since_ns, self._started_s = time.time_ns(), time.monotonic()

    def ended(self, error: str) -> float:
        """How it ended; the pause before it is started again, s."""
        if time.monotonic() - self._started_s >= STEADY_S:
            self._pause_s = FIRST_PAUSE_S
        pause_s, self._pause_s = self._pause_s, min(2 * self._pause_s, LONGEST_PAUSE_S)
        self.error, self._since_ns = error, 0
        return pause_s

    def part(self) -> Part:
        since_ns = self._since_ns
        return Part(self.name, iso_from_ns(since_ns) if since_ns else None, self.starts, self.error)


class Threads:
    """Threads that are started again when they end, until `stop`."""

    def __init__(self, on_end: Ended) -> None:
        self._on_end = on_end
        self._records: list[Record] = []
        self._threads: list[threading.Thread] = []
        self.stopping = threading.Event()

    def start(self, name: str, run: Callable[[], None]) -> None:
        """Run a function in a thread of its own. It returns only once `stopping` is set; otherwise it is called again."""
        record = Record(name)
        thread = threading.Thread(target=self._supervise, args=(record, run), name=name, daemon=True)
        self._records.append(record)
        self._threads.append(thread)
        thread.start()

    def parts(self) -> tuple[Part, ...]:
        return tuple(record.part() for record in self._records)

    def stop(self, timeout_s: float = JOIN_S) -> None:
        self.stopping.set()
        until_s = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(until_s - time.monotonic(), 0.0))

    def _supervise(self, record: Record, run: Callable[[], None]) -> None:
        while not self.stopping.is_set():
            record.started()
            error = _ending_of(run)
            if not self.stopping.is_set():
                pause_s = record.ended(error)
                self._on_end(record.name, error)
                self.stopping.wait(pause_s)


class Tasks:
    """The same for tasks of an event loop. A task is ended by cancelling it."""

    def __init__(self, on_end: Ended) -> None:
        self._on_end = on_end
        self._records: list[Record] = []

    async def run(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Await a coroutine for as long as the caller's task lives, anew whenever it ends."""
        record = Record(name)
        self._records.append(record)
        while True:
            record.started()
            try:
                await run()
                error = "It returned."
            except Exception as problem:
                error = described(problem)
            pause_s = record.ended(error)
            self._on_end(name, error)
            await asyncio.sleep(pause_s)

    def parts(self) -> tuple[Part, ...]:
        return tuple(record.part() for record in self._records)


def described(error: BaseException) -> str:
    """An exception that nobody foresaw, in a line."""
    return f"{type(error).__name__}: {error}"[:300]


def _ending_of(run: Callable[[], None]) -> str:
    try:
        run()
    except BaseException as error:  # nothing is above a thread that could do anything else with it
        return described(error)
    return "It returned."
