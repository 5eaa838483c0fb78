"""All that the console works with: put together by the runtime from configuration, and given to every part of it."""

import threading
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from alerts.outbox import Outbox
from console.people import Accounts
from console.records import Records
from console.scope import Areas
from console.tiles import Tiles
from history.store import Store
from model.liveness import judged
from model.time import NS

T = TypeVar("T")


class PerThread(Generic[T]):
    """A connection of its own for each thread that asks. Requests are answered in threads, so that no disk holds up the page."""

    def __init__(self, connect: Callable[[], T]) -> None:
        self._connect, self._local = connect, threading.local()

    def __call__(self) -> T:
        if not hasattr(self._local, "connection"):
            self._local.connection = self._connect()
        connection: T = self._local.connection
        return connection


@dataclass(frozen=True)
class Desk:
    """What does not change while the console runs, and the ways to what does."""

    site: dict[str, Any]  # name, title, time zone, agencies, rules, dispositions: what every page needs
    scene: dict[str, Any]  # GeoJSON of line, zones, jurisdictions, sensors with their cover, roads
    accounts: Accounts
    areas: Areas
    outboxes: PerThread[Outbox]
    all_records: PerThread[Records]
    picture: Path  # the live picture's file
    # A camera's last picture between two times, of a class if there is one: (ns, what it called it, JPEG).
    shown: Callable[[str, int, int, str], tuple[int, str, bytes] | None]
    history: Callable[[], Store]  # a store of the calling thread's own
    audit: Callable[[str, str, str, str], bool]  # who, what, about, reason; was it written?
    tiles: Tiles | None
    hosts: tuple[str, ...]  # by which names it may be called
    secure: bool  # TLS: cookies only travel over it
    now_s: Callable[[], float]
    supervise: Callable[[str, Callable[[], Awaitable[None]]], Coroutine[Any, Any, None]]  # keeps a named task going
    processes: Callable[[], list[dict[str, Any]]]  # what each process of the service last said of itself

    @property
    def outbox(self) -> Outbox:
        """The calling thread's own connection."""
        return self.outboxes()

    def status(self) -> dict[str, Any]:
        """What the service last said of itself, as it is to be read now."""
        return judged(self.outbox.status(), self.processes(), int(self.now_s() * NS))

    @property
    def records(self) -> Records:
        """The calling thread's own connection."""
        return self.all_records()
