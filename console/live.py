"""What happens now, for every page that is open: incidents as they change, the picture as it moves, the service's condition.

Server-Sent Events. An incident's event carries the number of its revision as its id, so that a page that lost its connection
says where it stood (`Last-Event-ID`) and misses nothing; the number outlives a restart of everything.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import msgspec

from console.desk import Desk
from console.people import May, Person
from console.scope import tracks_for

POLL_S = 0.1
STATUS_S = 5.0
ALIVE_S = 15.0  # a comment at least this often, so that both ends notice a dead connection
NOTHING: dict[str, Any] = {"time": None, "tracks": [], "units": []}


class Hub:
    """Looks for news once, for all: the number of the newest revision, and the picture."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.newest = desk.outbox.newest_number()
        self.picture: dict[str, Any] = NOTHING
        self.pictures = 0  # how many there have been
        self._file = (0, 0)
        self._news = asyncio.Event()
        self._subjects: dict[str, tuple[int, frozenset[str]]] = {}

    async def run(self) -> None:
        """For as long as the console lives."""
        while True:
            newest, changed = self._desk.outbox.newest_number(), self._look()
            if changed or newest != self.newest:
                self.newest = newest
                told, self._news = self._news, asyncio.Event()
                told.set()
            await asyncio.sleep(POLL_S)

    def _look(self) -> bool:
        try:
            told = self._desk.picture.stat()
            mark = (told.st_mtime_ns, told.st_ino)
            if mark == self._file:
                return False
            self.picture = msgspec.json.decode(self._desk.picture.read_bytes())
        except FileNotFoundError:  # the service has not seen anything yet
            return False
        self._file = mark
        self.pictures += 1
        return True

    async def news(self, seconds: float) -> None:
        """Until there is something new, or the time is up."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), seconds)

    def seen_by(self, agency: str) -> dict[str, Any]:
        """The picture, as an agency may see it."""
        tracks = tracks_for(self._desk.areas, agency, self.picture["tracks"], self._subjects_of(agency))
        return self.picture | {"tracks": tracks}

    def _subjects_of(self, agency: str) -> frozenset[str]:
        """What an agency's open incidents are about."""
        if not agency:
            return frozenset()
        known = self._subjects.get(agency)
        if known is None or known[0] != self.newest:
            open_ones = self._desk.outbox.incidents(open_only=True, agency=agency)
            known = (self.newest, frozenset(s for record in open_ones for s in record["subjects"]))
            self._subjects[agency] = known
        return known[1]


async def stream(hub: Hub, desk: Desk, person: Person, after: int) -> AsyncIterator[bytes]:
    """What a page is sent, from the revision after a number on."""
    clock = asyncio.get_running_loop().time
    number = after if after <= hub.newest else 0  # further on than there is: the database was begun anew
    pictures, status_at, alive_at = -1, -STATUS_S, clock()
    yield b"retry: 1000\n\n"
    while True:
        said: list[bytes] = []
        if person.may(May.SEE):
            if hub.newest > number:
                newest = hub.newest
                for number, record in desk.outbox.revisions_after(number, person.agency):  # noqa: B020
                    said.append(event("incident", record, number))
                number = max(number, newest)  # past those of others
                said.append(f"id: {number}\n\n".encode())
            if hub.pictures != pictures:
                pictures = hub.pictures
                said.append(event("picture", hub.seen_by(person.agency)))
        now = clock()
        if now - status_at >= STATUS_S:
            status_at = now
            said.append(event("status", condition(desk.outbox.status())))
        if not said and now - alive_at >= ALIVE_S:
            said.append(b": still here\n\n")
        if said:
            alive_at = now
            yield b"".join(said)
        await hub.news(min(STATUS_S, ALIVE_S))


def event(name: str, data: Any, number: int | None = None) -> bytes:
    """One event; with a number, one that a page can go on from."""
    head = f"id: {number}\n" if number is not None else ""
    return f"{head}event: {name}\ndata: ".encode() + msgspec.json.encode(data) + b"\n\n"


def condition(status: dict[str, Any]) -> dict[str, Any]:
    """Of all that the service says of itself, what everybody sees at the head of the page."""
    service = status.get("service", {})
    sensors = status.get("sensors", [])
    return {
        "running": bool(service),
        "time": service.get("time"),
        "behind_s": service.get("behind_s"),
        "connected": service.get("connected", False),
        "tracks": service.get("tracks", 0),
        "waiting": status["deliveries"]["waiting"],
        "dead": status["deliveries"]["dead"],
        "sensors": len(sensors),
        "offline": [s["sensor"] for s in sensors if s["offline"]],
    }
