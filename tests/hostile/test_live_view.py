"""A live view that cannot be read keeps no incident from any page, and a task that ends is started again."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from console.live import Hub
from model.stored import with_checksum
from runtime.configuration import load
from runtime.console_process import desk_of
from runtime.fault_queue import FaultQueue
from runtime.places import Places
from runtime.supervision import Tasks
from tests.site import site_at
from tests.unit.test_outbox import ALERT

GOOD = {"time": "2026-11-20T04:00:00Z", "tracks": [["T1", 31.3, -110.6, 1.0]], "units": []}


def _directory(path: Path) -> None:
    path.mkdir()


def _bytes(data: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(data)


@pytest.mark.parametrize(
    "spoil",
    [
        _directory,
        _bytes(b""),
        _bytes(b'{"tracks": ['),
        _bytes(b"\xff\xfe"),
        _bytes(b"[]"),
        _bytes(b"{}"),
        _bytes(with_checksum(msgspec.json.encode(GOOD)).replace(b"T1", b"T2")),
        _bytes(b'{"tracks": {}, "units": []}'),
        _bytes(b'{"tracks": [7], "units": []}'),
        _bytes(b'{"tracks": [[["x"], 1.0, 2.0]], "units": []}'),
        _bytes(b'{"tracks": [["T1", null, 2.0, 1.0]], "units": []}'),
    ],
)
def test_incidents_are_noticed_whatever_the_live_view_holds(tmp_path: Path, spoil: Callable[[Path], object]) -> None:
    c = load(site_at(tmp_path))
    desk, view = desk_of(c, Tasks(lambda *_: None), FaultQueue()), Places(c.state).picture
    view.parent.mkdir(exist_ok=True)
    view.write_bytes(with_checksum(msgspec.json.encode(GOOD)))
    hub = Hub(desk)
    hub._look()
    assert hub.picture == GOOD
    view.unlink()
    spoil(view)
    desk.outbox.tell((ALERT,), ())
    newest, _ = hub._look()
    assert newest > hub.newest
    assert hub.picture == GOOD


def test_a_task_that_ends_is_reported_counted_and_started_again() -> None:
    ended: list[tuple[str, str]] = []
    tasks = Tasks(lambda name, error: ended.append((name, error)))

    async def scenario() -> None:
        again = asyncio.Event()

        async def run() -> None:
            if tasks.parts()[0].starts == 1:
                raise LookupError("no such thing")
            again.set()
            await asyncio.Event().wait()

        task = asyncio.create_task(tasks.run("live view", run))
        await asyncio.wait_for(again.wait(), 60)
        task.cancel()

    asyncio.run(scenario())
    assert ended == [("live view", "LookupError: no such thing")]
    assert (tasks.parts()[0].starts, tasks.parts()[0].error) == (2, "LookupError: no such thing")
