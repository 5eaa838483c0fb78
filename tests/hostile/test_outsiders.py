"""What senders, officers and other accounts put into texts and connections, and who is kept from what."""

import asyncio
import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.text import Text
from starlette.testclient import TestClient

from console.api import _whose, incident
from console.app import make_app
from console.live import STREAMS_MAX, Hub, stream
from console.people import LOCAL
from runtime.configuration import load
from runtime.console_process import desk_of
from runtime.fault_queue import FaultQueue
from runtime.supervision import Tasks
from runtime.terminal import SIGN, Terminal, terminal, visible
from runtime.terminal_table import Column, print_table
from tests.site import site_at

# Clear the screen; set the clipboard; the same with one character of C1; turn the order of letters; ring; go back over a line.
STEERS = ["\x1b[2J", "\x1b]52;c;aGVsbG8=\x07", "\x9b2J", "\u202egnp.exe", "\u2066", "\x07", "\rall is well"]


@pytest.mark.parametrize("steers", STEERS)
def test_nothing_that_somebody_else_wrote_steers_a_technicians_terminal(
    steers: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A topic of the broker in `status`, an officer's note in `alerts watch`, a server's answer in the log."""
    print_table((Column("topic"), Column("why", words=True)), [(f"frigate/{steers}", f"No sensor. {steers}")], steers)
    terminal().print(f"noted: {steers}", markup=False)
    terminal(stderr=True).print(Text(f"noted: {steers}"))
    shown = capsys.readouterr()
    for out in (shown.out, shown.err):
        assert SIGN in out or steers[0] in "\x07\r"  # which rich leaves out
        assert steers[0] not in out
    assert "\n" in shown.out


def test_colours_of_our_own_are_still_there() -> None:
    out = io.StringIO()
    Terminal(file=out, force_terminal=True, color_system="standard").print(Text("grave \x1b[0m", "red"))
    assert out.getvalue().startswith("\x1b[31mgrave ")
    assert out.getvalue().count("\x1b") == 2
    assert visible("Ñandú\tβ\n漢") == "Ñandú\tβ\n漢"


@pytest.mark.parametrize(
    ("silence", "agency"),
    [
        (
            {"agency": "rangers", "matchers": {"zone": "yard"}},
            "rangers",
        ),  # by `marchwarden alerts silence --for rangers`
        ({"agency": "", "matchers": {"zone": "yard"}}, ""),
        ({"agency": "", "matchers": {"agency": "sheriff"}}, "sheriff"),
        ({"matchers": {"agency": "sheriff"}}, "sheriff"),  # as a version before wrote it
    ],
)
def test_a_silence_is_the_agencys_that_made_it(silence: dict[str, object], agency: str) -> None:
    assert _whose(silence) == agency


@pytest.mark.parametrize("length", ["²", "9" * 5000, "-1", "1_0", " 1", ""])
def test_a_length_that_is_none_is_refused_with_the_protective_headers(tmp_path: Path, length: str) -> None:
    app = make_app(desk_of(load(site_at(tmp_path)), Tasks(lambda *_: None), FaultQueue()))
    headers = [(b"host", b"127.0.0.1"), (b"content-length", length.encode("latin-1"))]
    scope = {"type": "http", "method": "POST", "path": "/api/session", "headers": headers, "query_string": b""}
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(app(scope, lambda: asyncio.sleep(60), send))  # type: ignore[arg-type]
    assert sent[0]["status"] == 413
    assert b"content-security-policy" in dict(sent[0]["headers"])


def test_a_pictures_label_does_not_say_the_class_that_is_withheld() -> None:
    record = {
        "merged_into": None,
        "split_from": None,
        "parts": [],
        "subjects": [],
        "class": {},
        "evidence": [{"sensor": "cam-1"}],
        "observed": "2026-11-20T04:00:00Z",
        "last_seen": "2026-11-20T04:00:00Z",
    }
    for more, label in (({}, "person"), ({"withheld": ["class"]}, "")):
        outbox = SimpleNamespace(
            history_of=lambda *_, more=more: [record | more], incidents=lambda **_: [], deliveries_of=lambda _: []
        )
        desk: Any = SimpleNamespace(
            outbox=outbox, now_s=lambda: 1e9, audit=lambda *_: True, shown=lambda *_: (1, "person", b"")
        )
        request: Any = SimpleNamespace(app=SimpleNamespace(state=SimpleNamespace(looked={})))
        (picture,) = incident(request, desk, LOCAL, "A0").pictures
        assert picture["label"] == label


def test_one_account_cannot_take_all_connections_for_streams(tmp_path: Path) -> None:
    desk = desk_of(load(site_at(tmp_path)), Tasks(lambda *_: None), FaultQueue())
    app = make_app(desk)
    with TestClient(app, base_url="http://127.0.0.1") as client:
        app._app.state.hub.listening[LOCAL.id] = STREAMS_MAX
        assert client.get("/api/stream").status_code == 429
        assert client.get("/api/incidents").status_code == 200

    async def counted() -> None:
        hub = Hub(desk)
        listening = [stream(hub, LOCAL, 0, lambda: True) for _ in range(3)]
        for each in listening:
            await anext(each)
        assert hub.listening[LOCAL.id] == 3
        for each in listening:
            await each.aclose()  # type: ignore[attr-defined]
        assert hub.listening[LOCAL.id] == 0

    asyncio.run(counted())
