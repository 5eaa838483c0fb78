"""A TAK server's stream, read from a real socket."""

import threading
from pathlib import Path

import pytest

from sensors.tak import TakServer, TakStream, cut
from tests.receivers import Certificates, tak
from tests.site import until

ONE, TWO = b'<event uid="1"></event>', b'<event uid="2"><point/></event>'


@pytest.mark.parametrize("secure", [False, True])
def test_events_come_whole_however_the_stream_is_cut_and_the_server_may_go_away(tmp_path: Path, secure: bool) -> None:
    certificates = Certificates(tmp_path) if secure else None
    said: list[str] = []
    with tak(certificates) as server:
        stop = threading.Event()
        stream = TakStream(
            TakServer("cot/tak", "127.0.0.1", server.port, str(certificates.authority) if certificates else ""),
            said.append,
            stop,
        )
        reader = threading.Thread(target=stream.run)
        reader.start()
        got: list[bytes] = []
        until(lambda: server.clients, "the stream connected")
        server.say(ONE + TWO[:12])
        until(lambda: got.extend(stream.taken()) or got == [ONE], "the first event came")
        server.say(TWO[12:] + b"\n" + ONE)
        until(lambda: got.extend(stream.taken()) or len(got) == 3, "the others came")
        assert got == [ONE, TWO, ONE]
        server.drop()
        until(lambda: server.clients, "the stream connected again")
        server.say(TWO)
        until(lambda: got.extend(stream.taken()) or len(got) == 4, "and reads on")
        stop.set()
        reader.join()
    assert any("closed the connection" in text for text in said)


DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>\n'
SHORT, LONG = b"\xbf\x03abc", b"\xbf\xac\x02" + b"</event>".ljust(300, b"x")  # frames of version 1 of the protocol


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100, 10_000])
def test_a_stream_is_cut_at_the_same_places_however_it_comes(size: int) -> None:
    whole = [DECLARATION + ONE, SHORT, TWO, LONG, LONG, DECLARATION + TWO]
    stream, rest, found = b" \r\n".join(whole), b"", list[bytes]()
    for at in range(0, len(stream), size):
        messages, rest = cut(rest + stream[at : at + size])
        found += messages
    assert (found, rest) == (whole, b"")


@pytest.mark.parametrize(
    "frame", [b"\xbf\xff\xff\xff\xff\x07", b"\xbf" + b"\xff" * 6, b"\xbf\x80\x80\x10" + b"x" * 100]
)
def test_a_frame_that_is_too_long_ends_the_connection_and_fills_no_memory(frame: bytes) -> None:
    with pytest.raises(ConnectionError):
        cut(ONE + frame)


def test_a_stream_without_end_is_no_event_and_fills_no_memory() -> None:
    with tak() as server:
        stop = threading.Event()
        stream = TakStream(TakServer("cot/tak", "127.0.0.1", server.port), lambda _: None, stop)
        reader = threading.Thread(target=stream.run)
        reader.start()
        until(lambda: server.clients, "the stream connected")
        server.say(b"x" * 300_000)
        got: list[bytes] = []
        until(lambda: got.extend(stream.taken()) or got, "what came is handed on to be counted")
        assert all(len(event) <= 1000 for event in got)
        stop.set()
        reader.join()
