"""A TAK server's stream of Cursor on Target, as messages for the journal. The ingest takes what has come; `run` reads it, in a
thread that the runtime keeps going.

Version 0 of TAK's protocol: one XML event after another, each ending at the token `</event>`. A server sends version 1, frames of
0xbf, length and Protocol Buffers, to a client that asks for it; this one does not. What comes in such frames all the same is
handed on whole, for the decoder to reject by its name.

The protocol has no answers, so what is said while nobody listens is lost; the next word of each unit says where it is by then.
"""

import queue
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass

END = b"</event>"
MAGIC = b"\xbf"  # begins a frame of version 1, and no text in UTF-8
LENGTH_BYTES_MAX = 5  # of a frame's length, seven bits each, the lowest first
EVENT_BYTES_MAX = 100_000  # what is longer is no position of anybody
WAITING_MAX = 10_000
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0
READ_S = 0.5


@dataclass(frozen=True)
class TakServer:
    """Where the stream comes from, and the topic under which its events go into the journal."""

    topic: str
    host: str
    port: int
    ca_file: str = ""  # empty: no TLS
    cert_file: str = ""
    key_file: str = ""


class TakStream:
    """Events of one server, however often it goes away, until `stop`."""

    def __init__(self, server: TakServer, report: Callable[[str], None], stop: threading.Event) -> None:
        self.topic, self.name = server.topic, f"TAK stream {server.host}:{server.port}"
        self._server, self._report, self._stop = server, report, stop
        self._events: queue.Queue[bytes] = queue.Queue(WAITING_MAX)

    def taken(self) -> list[bytes]:
        """All that has come since the last time."""
        found = []
        while not self._events.empty():
            found.append(self._events.get())
        return found

    def run(self) -> None:
        """Read, until `stop`."""
        wait_s = FIRST_WAIT_S
        while not self._stop.is_set():
            try:
                with self._connected() as connection:
                    self._report(f"Connected to the TAK server at {self._server.host}:{self._server.port}.")
                    wait_s = FIRST_WAIT_S
                    self._read(connection)
            except OSError as error:
                self._report(f"No TAK server at {self._server.host}:{self._server.port}: {error}.")
            self._stop.wait(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    def _connected(self) -> socket.socket:
        plain = socket.create_connection((self._server.host, self._server.port), 5.0)
        if self._server.ca_file:
            context = ssl.create_default_context(cafile=self._server.ca_file)
            if self._server.cert_file:
                context.load_cert_chain(self._server.cert_file, self._server.key_file or None)
            plain = context.wrap_socket(plain, server_hostname=self._server.host)
        plain.settimeout(READ_S)
        return plain

    def _read(self, connection: socket.socket) -> None:
        rest = b""
        while not self._stop.is_set():
            try:
                said = connection.recv(65_536)
            except TimeoutError:
                continue
            if not said:
                raise ConnectionResetError("it closed the connection")
            messages, rest = cut(rest + said)
            for message in messages:
                self._put(message)
            if len(rest) > EVENT_BYTES_MAX:
                self._put(rest[:1000])  # what it is, the decoder says and counts
                rest = b""

    def _put(self, message: bytes) -> None:
        """Into the queue; when nobody takes what is in it, wait, so that the server feels it."""
        while not self._stop.is_set():
            try:
                self._events.put(message, timeout=READ_S)
            except queue.Full:
                continue
            return


def cut(stream: bytes) -> tuple[list[bytes], bytes]:
    """The whole messages at the beginning of a stream, and the rest. Raises ConnectionError for a frame that is too long."""
    messages: list[bytes] = []
    rest = stream.lstrip()
    while end := _end(rest):
        messages.append(rest[:end])
        rest = rest[end:].lstrip()
    return messages, rest


def _end(rest: bytes) -> int:
    """Where the first message of a stream ends; 0: it is not whole yet."""
    if not rest.startswith(MAGIC):
        found = rest.find(END)
        return found + len(END) if found >= 0 else 0
    length = 0
    for number, byte in enumerate(rest[1 : 1 + LENGTH_BYTES_MAX]):
        length |= (byte & 0x7F) << 7 * number
        if byte < 0x80:
            end = 2 + number + length
            if end > EVENT_BYTES_MAX:
                raise ConnectionError(f"it sent a frame of {end:,} bytes")
            return end if len(rest) >= end else 0
    if len(rest) > LENGTH_BYTES_MAX:
        raise ConnectionError("it sent a frame without a length")
    return 0
