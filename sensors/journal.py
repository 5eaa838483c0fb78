"""The journal: every message that arrived, encrypted, on disk before the broker is told that it was received.

Append-only segments of frames, one frame a batch:

    magic 4 · body length 4 · count 4 · first received_ns 8 · last received_ns 8 · nonce 12 · CRC-32 of all that and the body 4
    body: AES-256-GCM under the key of the segment's day, the header (without its CRC) as associated data

A frame without messages is a tick: nothing arrived until its time. A position is a segment's number and an offset in it.

Each writer begins a segment of its own. So what a power failure took from the end of one that a reader had already seen is
missing there for good, and the reader, whose position lies behind it, goes on with the next.
"""

import fcntl
import os
import secrets
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import msgspec
import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from model.messages import Messages
from sensors.keys import DayKeys, day_of, end_of_day_ns, sync_folder

HEADER = struct.Struct("<4sIIqq12s")
CRC = struct.Struct("<I")
MAGIC = b"MWJ1"
HEAD_BYTES = HEADER.size + CRC.size
SEGMENT_BYTES = 64 * 1024 * 1024
OFFSET_BITS = 40


class JournalDamaged(Exception):
    """A frame that was whole on disk no longer is. Says where, and from where reading can go on."""

    def __init__(self, what: str, going_on: "Position") -> None:
        super().__init__(what)
        self.next = going_on


class JournalTaken(Exception):
    """Another process writes this journal."""


@dataclass(frozen=True, order=True)
class Position:
    """The place of a frame."""

    segment: int
    offset: int

    def number(self) -> int:
        return self.segment << OFFSET_BITS | self.offset

    @classmethod
    def of(cls, number: int) -> "Position":
        return cls(number >> OFFSET_BITS, number & ((1 << OFFSET_BITS) - 1))


@dataclass(frozen=True)
class Frame:
    """What one frame says: its messages, until when nothing else arrived, and where the next one begins."""

    messages: Messages
    until_ns: int
    next: Position


class Writer:
    """The one writer. Appends batches; `sync` makes all that was appended durable."""

    def __init__(self, folder: Path, keys: DayKeys, segment_bytes: int = SEGMENT_BYTES) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder, self._keys, self._segment_bytes = folder, keys, segment_bytes
        self._lock = (folder / "writer.lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._lock.close()
            raise JournalTaken(f"Another process writes the journal in {folder}.") from error
        self._number, self.newest_ns = _recovered(folder)
        self._day, self._size = "", 0
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def append(self, messages: Messages) -> None:
        """Add a batch. Its times are never before those already written: a clock stepped back can't reorder."""
        received = np.maximum.accumulate(np.maximum(messages.received_ns, self.newest_ns))
        self._write(
            Messages(received, messages.topics, messages.payloads, messages.retained),
            int(received[0]),
            int(received[-1]),
        )

    def tick(self, now_ns: int) -> None:
        """Nothing else arrived until now."""
        if now_ns > self.newest_ns:
            self._write(Messages.none(), now_ns, now_ns)

    def set_back(self, now_ns: int) -> None:
        """The clock was set back: what comes now is earlier than what was. Readers begin anew there."""
        self.newest_ns = min(self.newest_ns, now_ns)

    def flush(self) -> None:
        """Let readers see all that was appended, without waiting for the disk."""
        if self._file is not None:
            self._file.flush()

    def sync(self) -> None:
        """Let all that was appended survive."""
        if self._file is not None:
            self._file.flush()
            os.fdatasync(self._file.fileno())

    def close(self) -> None:
        if self._file is not None:
            self.sync()
            self._file.close()
        self._lock.close()

    def _write(self, messages: Messages, first_ns: int, last_ns: int) -> None:
        day = day_of(first_ns)
        if self._file is None or self._day != day or self._size >= self._segment_bytes:
            self._roll(day)
        frame = _framed(self._keys.key(day), messages, first_ns, last_ns)
        assert self._file is not None
        self._file.write(frame)
        self._size += len(frame)
        self.newest_ns = last_ns

    def _roll(self, day: str) -> None:
        if self._file is not None:
            self.sync()
            self._file.close()
        self._number, self._day, self._size = self._number + 1, day, 0
        self._file = (self._folder / _name(self._number, day)).open("ab")
        sync_folder(self._folder)


def _recovered(folder: Path) -> tuple[int, int]:
    """(number of the newest segment, the newest time in any), after a torn frame at the end of the newest has been cut off."""
    segments = _segments(folder)
    if segments:
        path = segments[-1][2]
        with path.open("r+b") as file:
            end, torn = _end_of_whole(file)
            if torn:
                file.truncate(end)
                os.fsync(file.fileno())
    newest_ns = 0
    for _, _, path in reversed(segments):
        with path.open("rb") as file:
            newest_ns = max((last_ns for last_ns, _ in _whole(file)), default=0)
        if newest_ns:
            break
    return (segments[-1][0] if segments else 0), newest_ns


def read(folder: Path, keys: DayKeys, start: Position) -> Iterator[Frame]:
    """Frames from a position on, until what is written so far ends. Raises JournalDamaged.

    Segments whose key was destroyed are passed over: they are forgotten.
    """
    segments = _segments(folder)
    for number, day, path in segments:
        if number < start.segment:
            continue
        key = keys.known(day)
        if key is None:
            continue
        with path.open("rb") as file:
            file.seek(start.offset if number == start.segment else 0)
            while True:
                at = file.tell()
                head = file.read(HEAD_BYTES)
                if not head:
                    break
                newest = not any(n > number for n, _, _ in _segments(folder))
                if len(head) < HEAD_BYTES:
                    if newest:
                        break  # still being written
                    raise JournalDamaged(f"{path.name} ends within a frame at {at}.", Position(number + 1, 0))
                magic, length, count, _, last_ns, nonce = HEADER.unpack_from(head)
                body = file.read(length) if magic == MAGIC else b""
                if magic == MAGIC and len(body) < length and newest:
                    break  # still being written
                if not _fits(magic, head, body, length):
                    going_on = _next_whole(file, at + 1)
                    if going_on is None and newest:
                        going_on = file.seek(0, os.SEEK_END)
                    raise JournalDamaged(
                        f"{path.name} is damaged at {at}: the checksum does not fit.",
                        Position(number + 1, 0) if going_on is None else Position(number, going_on),
                    )
                after = Position(number, file.tell())
                try:
                    messages = _opened(key, nonce, head[: HEADER.size], body) if count else Messages.none()
                except InvalidTag as error:
                    raise JournalDamaged(
                        f"{path.name} at {at} does not open with the key of {day}: it is another key, or was changed.",
                        after,
                    ) from error
                yield Frame(messages, last_ns, after)


def forget_before(folder: Path, keys: DayKeys, time_ns: int) -> list[str]:
    """Destroy the keys of days that ended before, and remove their segments; the days.

    The newest segment stays, unreadable, so that the numbering goes on from it.
    """
    days = keys.forget_before(time_ns)
    for _, day, path in _segments(folder)[:-1]:
        if end_of_day_ns(day) <= time_ns:
            path.unlink()
    return days


def _framed(key: bytes, messages: Messages, first_ns: int, last_ns: int) -> bytes:
    nonce = secrets.token_bytes(12)
    body = b""
    if len(messages):
        plain = msgspec.msgpack.encode(
            (
                messages.received_ns.astype("<i8").tobytes(),
                messages.topics,
                messages.payloads,
                np.packbits(messages.retained).tobytes(),
            )
        )
        length = len(plain) + 16
    else:
        plain, length = b"", 0
    head = HEADER.pack(MAGIC, length, len(messages), first_ns, last_ns, nonce)
    if length:
        body = AESGCM(key).encrypt(nonce, plain, head)
    return head + CRC.pack(zlib.crc32(body, zlib.crc32(head))) + body


_Body = tuple[bytes, list[str], list[bytes], bytes]
_body = msgspec.msgpack.Decoder(_Body)


def _opened(key: bytes, nonce: bytes, head: bytes, body: bytes) -> Messages:
    received, topics, payloads, retained = _body.decode(AESGCM(key).decrypt(nonce, body, head))
    times = np.frombuffer(received, "<i8").astype(np.int64)
    flags = np.unpackbits(np.frombuffer(retained, np.uint8), count=len(times)).astype(np.bool_)
    return Messages(times, tuple(topics), tuple(payloads), flags)


def _crc(head: bytes, body: bytes) -> int:
    return zlib.crc32(body, zlib.crc32(head[: HEADER.size]))


def _fits(magic: bytes, head: bytes, body: bytes, length: int) -> bool:
    return magic == MAGIC and len(body) == length and CRC.unpack_from(head, HEADER.size)[0] == _crc(head, body)


def _whole(file: BinaryIO) -> Iterator[tuple[int, int]]:
    """(last received_ns, end) of each whole frame; what is damaged is passed over."""
    at: int | None = 0
    while at is not None:
        file.seek(at)
        head = file.read(HEAD_BYTES)
        if len(head) == HEAD_BYTES:
            magic, length, _, _, last_ns, _ = HEADER.unpack_from(head)
            body = file.read(length) if magic == MAGIC else b""
            if _fits(magic, head, body, length):
                at = file.tell()
                yield last_ns, at
                continue
        at = _next_whole(file, at + 1)


def _next_whole(file: BinaryIO, start: int) -> int | None:
    """Where the next whole frame at or after `start` begins."""
    file.seek(start)
    rest = file.read()
    at = rest.find(MAGIC)
    while at >= 0:
        head = rest[at : at + HEAD_BYTES]
        if len(head) == HEAD_BYTES:
            length = HEADER.unpack_from(head)[1]
            if _fits(MAGIC, head, rest[at + HEAD_BYTES : at + HEAD_BYTES + length], length):
                return start + at
        at = rest.find(MAGIC, at + 1)
    return None


def _end_of_whole(file: BinaryIO) -> tuple[int, bool]:
    """Where the last whole frame ends, and whether what follows is a frame torn off by a crash, and not damage."""
    end = max((end for _, end in _whole(file)), default=0)
    size = file.seek(0, os.SEEK_END)
    file.seek(end)
    head = file.read(HEAD_BYTES)
    if len(head) < HEAD_BYTES:
        return end, size > end
    magic, length, *_ = HEADER.unpack_from(head)
    return end, magic == MAGIC and size - end - HEAD_BYTES < length


def _name(number: int, day: str) -> str:
    return f"{number:08d}-{day}.journal"


def _segments(folder: Path) -> list[tuple[int, str, Path]]:
    """(number, day, path) of every segment, in order."""
    return [(int(p.name[:8]), p.name[9:19], p) for p in sorted(folder.glob("*.journal"))]
