"""The journal: every message that arrived, encrypted, on disk before the broker is told that it was received.

Append-only segments of frames, one frame a batch:

    magic 4 · body length 4 · count 4 · first received_ns 8 · last received_ns 8 · nonce 12 · CRC-32 of all that and the body 4
    body: AES-256-GCM under the key of the segment's day, the header (without its CRC) as associated data

A frame without messages is a tick: nothing arrived until its time. A position is a segment's number and an offset in it.
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
    """A frame that was whole on disk no longer is. Says where; reading can go on at the next segment."""


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
        self._number, self._day, self._size = 0, "", 0
        self._file: BinaryIO | None = None
        self.newest_ns = 0
        self._recover()

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

    def _recover(self) -> None:
        """Cut a torn frame off the newest segment, and go on there."""
        segments = _segments(self._folder)
        if not segments:
            return
        number, day, path = segments[-1]
        whole, newest_ns = 0, 0
        with path.open("rb") as file:
            for head, size in _heads(file):
                whole, newest_ns = size, head
        if whole < path.stat().st_size:
            with path.open("r+b") as file:
                file.truncate(whole)
                os.fsync(file.fileno())
        self._number, self._day, self._size, self.newest_ns = number, day, whole, newest_ns
        self._file = path.open("ab")
        for _, _, earlier in reversed(segments[:-1]):
            if self.newest_ns:
                break
            with earlier.open("rb") as file:
                self.newest_ns = max((head for head, _ in _heads(file)), default=0)


def read(folder: Path, keys: DayKeys, start: Position) -> Iterator[Frame]:
    """Frames from a position on, until what is written so far ends. Raises JournalDamaged.

    Segments whose key was destroyed are passed over: they are forgotten.
    """
    for number, day, path in _segments(folder):
        if number < start.segment:
            continue
        key = keys.known(day)
        if key is None:
            continue
        newest = not any(n > number for n, _, _ in _segments(folder))
        with path.open("rb") as file:
            file.seek(start.offset if number == start.segment else 0)
            while True:
                at = file.tell()
                head = file.read(HEAD_BYTES)
                if len(head) < HEAD_BYTES:
                    if head and not newest:
                        raise JournalDamaged(f"{path.name} ends within a frame at {at}.")
                    break
                magic, length, count, _, last_ns, nonce = HEADER.unpack_from(head)
                body = file.read(length) if magic == MAGIC else b""
                if magic == MAGIC and len(body) < length and newest:
                    break  # still being written
                if magic != MAGIC or len(body) < length or CRC.unpack_from(head, HEADER.size)[0] != _crc(head, body):
                    raise JournalDamaged(f"{path.name} is damaged at {at}: the checksum does not fit.")
                messages = _opened(key, nonce, head[: HEADER.size], body) if count else Messages.none()
                yield Frame(messages, last_ns, Position(number, file.tell()))


def forget_before(folder: Path, keys: DayKeys, time_ns: int) -> list[str]:
    """Destroy the keys of days that ended before, and remove their segments; the days."""
    days = keys.forget_before(time_ns)
    for _, day, path in _segments(folder):
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


def _heads(file: BinaryIO) -> Iterator[tuple[int, int]]:
    """(last received_ns, end) of each whole frame."""
    while True:
        head = file.read(HEAD_BYTES)
        if len(head) < HEAD_BYTES:
            return
        magic, length, _, _, last_ns, _ = HEADER.unpack_from(head)
        body = file.read(length) if magic == MAGIC else b""
        if magic != MAGIC or len(body) < length or CRC.unpack_from(head, HEADER.size)[0] != _crc(head, body):
            return
        yield last_ns, file.tell()


def _name(number: int, day: str) -> str:
    return f"{number:08d}-{day}.journal"


def _segments(folder: Path) -> list[tuple[int, str, Path]]:
    """(number, day, path) of every segment, in order."""
    return [(int(p.name[:8]), p.name[9:19], p) for p in sorted(folder.glob("*.journal"))]
