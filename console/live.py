"""What happens now, for every page that is open: incidents as they change, the picture as it moves, the service's condition.

Server-Sent Events. An incident's event carries the number of its revision as its id, so that a page that lost its connection
says where it stood (`Last-Event-ID`) and misses nothing; the number outlives a restart of everything.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import msgspec

from console.desk import Desk
from console.people import May, Person
from console.scope import Subjects, subjects_of, tracks_for, without_class
from model.liveness import ALIVE, DOWN
from model.stored import is_whole
from model.time import NS, iso_from_ns

POLL_S = 0.1
STATUS_S = 5.0
SESSION_S = 1.0  # how often a stream looks whether its session lasts
STREAMS_MAX = 150  # of one account: it cannot take all of the console's connections
ALIVE_S = 15.0  # a comment at least this often, so that both ends notice a dead connection
NOTHING: dict[str, Any] = {"time": None, "tracks": [], "units": []}


class Hub:
    """Looks for changes once, for all pages: the number of the newest revision, the live view, the service's condition.

    The database is read in threads; what many pages are sent is encoded once for each agency.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.newest = desk.outbox.newest_number()
        self.picture: dict[str, Any] = NOTHING
        self.pictures = 0  # how many there have been
        self._file = (0, 0)
        self.change = asyncio.Event()  # set once there is more than there was when it was made
        self._subjects: dict[str, tuple[int, Subjects]] = {}
        self._encoded: dict[str, tuple[tuple[int, int], asyncio.Task[bytes]]] = {}
        self.status_event = b""
        self.listening = Counter[str]()  # how many streams each account has open
        self._status_at = -STATUS_S

    async def run(self) -> None:
        """For as long as the console lives."""
        while True:
            newest, changed = await asyncio.to_thread(self._look)
            if changed or newest != self.newest:
                self.newest = newest
                self._wake()
            await asyncio.sleep(POLL_S)

    def _look(self) -> tuple[int, bool]:
        """(the newest revision's number, is there a new live view or condition)."""
        return self._desk.outbox.newest_number(), self._read_picture() | self._read_status()

    def _read_status(self) -> bool:
        if time.monotonic() - self._status_at < STATUS_S:
            return False
        self.status_event = event("status", condition(self._desk.status(), iso_from_ns(int(self._desk.now_s() * NS))))
        self._status_at = time.monotonic()
        return True

    def _read_picture(self) -> bool:
        try:
            file = self._desk.picture.stat()
            mark = (file.st_mtime_ns, file.st_ino)
            if mark == self._file:
                return False
            data = self._desk.picture.read_bytes()
            picture = msgspec.json.decode(data)
        except FileNotFoundError:  # the service has not seen anything yet
            return False
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return False  # the next one comes with the next scan; until then the page shows the age of this one
        self._file = mark
        if not (is_whole(data) and _is_picture(picture)):
            return False
        del picture["checksum"]
        self.picture = picture
        self.pictures += 1
        return True

    def _wake(self) -> None:
        past, self.change = self.change, asyncio.Event()
        past.set()

    async def picture_event(self, agency: str) -> bytes:
        """The live view as an agency may see it, made once for all its pages."""
        mark, made = (self.pictures, self.newest), self._encoded.get(agency)
        if made is None or made[0] != mark:
            made = (mark, asyncio.create_task(asyncio.to_thread(self._encode, agency, self.picture)))
            self._encoded[agency] = made
        return await asyncio.shield(made[1])

    async def incidents_after(self, number: int, agency: str) -> list[tuple[int, Any]]:
        """(number, record) of the revisions after a number that an agency is given."""
        return await asyncio.to_thread(lambda: list(self._desk.outbox.revisions_after(number, agency)))

    def _encode(self, agency: str, picture: dict[str, Any]) -> bytes:
        tracks = tracks_for(self._desk.areas, agency, picture["tracks"], self._subjects_of(agency))
        rows = [track if classed else without_class(track) for track, classed in tracks]
        return event("picture", picture | {"tracks": rows})

    def _subjects_of(self, agency: str) -> Subjects:
        """What an agency's open incidents are about."""
        if not agency:
            return Subjects()
        newest, found = self.newest, self._subjects.get(agency)
        if found is None or found[0] != newest:
            open_ones = self._desk.outbox.incidents(open_only=True, agency=agency)
            found = (newest, subjects_of(open_ones))
            self._subjects[agency] = found
        return found[1]


def _is_picture(picture: Any) -> bool:
    """Is it what the pipeline writes? Another program, or a damaged disk, may have left something else."""
    if not isinstance(picture, dict):
        return False
    tracks, units = picture.get("tracks"), picture.get("units")
    return isinstance(tracks, list) and isinstance(units, list) and all(map(_is_track, tracks))


def _is_track(row: Any) -> bool:
    return isinstance(row, list) and [type(value) for value in row[:3]] == [str, float, float]


async def stream(hub: Hub, person: Person, after: int, lasts: Callable[[], bool]) -> AsyncIterator[bytes]:
    """`events`, counted while they are read."""
    hub.listening[person.id] += 1
    try:
        async for part in events(hub, person, after, lasts):
            yield part
    finally:
        hub.listening[person.id] -= 1


async def events(hub: Hub, person: Person, after: int, lasts: Callable[[], bool]) -> AsyncIterator[bytes]:
    """What a page is sent, from the revision after a number on, while its session `lasts`."""
    clock = asyncio.get_running_loop().time
    number = after if after <= hub.newest else 0  # further on than there is: the database was begun anew
    pictures, status, looked_at, alive_at = -1, b"", -SESSION_S, clock()
    yield b"retry: 1000\n\n"
    while True:
        change = hub.change  # taken before looking, so that nothing slips in between
        if clock() - looked_at >= SESSION_S:
            looked_at = clock()
            if not await asyncio.to_thread(lasts):
                return
        parts: list[bytes] = []
        if person.may(May.SEE):
            if hub.newest > number:
                newest = hub.newest
                for revision, record in await hub.incidents_after(number, person.agency):
                    parts.append(event("incident", record, revision))
                    number = revision
                number = max(number, newest)  # past those of others
                parts.append(f"id: {number}\n\n".encode())
            if hub.pictures != pictures:
                pictures = hub.pictures
                parts.append(await hub.picture_event(person.agency))
        if hub.status_event is not status:
            status = hub.status_event
            parts.append(status)
        if not parts and clock() - alive_at >= ALIVE_S:
            parts.append(b": still here\n\n")
        if parts:
            alive_at = clock()
            yield b"".join(parts)
        with suppress(TimeoutError):
            await asyncio.wait_for(change.wait(), SESSION_S)


def event(name: str, data: Any, number: int | None = None) -> bytes:
    """One event; with a number, one that a page can go on from."""
    head = f"id: {number}\n" if number is not None else ""
    return f"{head}event: {name}\ndata: ".encode() + msgspec.json.encode(data) + b"\n\n"


def condition(status: dict[str, Any], now: str) -> dict[str, Any]:
    """Of all that the service says of itself, what everybody sees at the head of the page."""
    service = status.get("service", {})
    sensors = status.get("sensors", [])
    return {
        "running": status["condition"] in ALIVE,
        "condition": status["condition"],
        "down": len(status["down"]),
        "now": now,  # the server's clock, which is the page's too: that of a service that has stopped stands still
        "behind_s": service.get("behind_s"),
        "connected": service.get("connected", False),
        "tracks": service.get("tracks", 0),
        "waiting": status["deliveries"]["waiting"],
        "dead": status["deliveries"]["dead"],
        "sensors": len(sensors),
        "offline": [s["sensor"] for s in sensors if s["condition"] in DOWN],
    }
