"""The journal: every message that arrived, encrypted, on disk before the broker is told that it was received.

Append-only segments of frames, one frame a batch. Format 3:

    segment: magic 4 · format 4 · fingerprint of its key 8 · its own identity 8 · CRC-32 of all that 4, then frames
    frame: magic 4 · body length 4 · count 4 · first received_ns 8 · last received_ns 8 · nonce 12
           · CRC-32 of all that 4 · CRC-32 of the body 4
    body: AES-256-GCM under the key of the segment's day, the first 40 bytes of the frame as associated data

Format 2, which is still read, did not say which messages the broker marks as duplicates; format 1, which is read as well, had no
segment header and one CRC over frame and body.

A frame without messages is a tick: nothing arrived until its time. A position is a segment's number and an offset in it.

Each writer begins a segment of its own. So what a power failure took from the end of one that a reader had already seen is
missing there for good, and the reader, whose position lies behind it, goes on with the next.
"""

import fcntl
import os
import re
import secrets
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import msgspec
import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from numpy.typing import NDArray

from model.messages import Messages
from model.stored import Damaged, NewerFormat, is_whole, with_checksum
from sensors.keys import DayKeys, KeyUnusable, day_of, end_of_day_ns, sync_folder, write_durably

FORMAT = 3
HEADER = struct.Struct("<4sIIqq12s")
CRC = struct.Struct("<I")
SEGMENT = struct.Struct("<4sI8s8s")
SEGMENT_MAGIC = b"MWJS"
SEGMENT_HEAD_BYTES = SEGMENT.size + CRC.size
FORGOTTEN = bytes(
    8
)  # in place of a key's fingerprint: the key was destroyed when retention ended, and the frames are gone
FRAME_MAGIC = {1: b"MWJ1", 2: b"MWJ2", 3: b"MWJ3"}
FRAME_HEAD_BYTES = {1: HEADER.size + CRC.size, 2: HEADER.size + 2 * CRC.size, 3: HEADER.size + 2 * CRC.size}
SEGMENT_BYTES = 64 * 1024 * 1024
OFFSET_BITS = 40
FORGOTTEN_FILE = "forgotten.json"  # the newest segment whose retention has ended: those before are not missing
NAME = re.compile(r"\d{8}-\d{4}-\d\d-\d\d\.journal")


class JournalDamaged(Exception):
    """A frame that was whole on disk no longer is. Says where, and from where reading can go on."""

    def __init__(self, what: str, going_on: "Position") -> None:
        super().__init__(what)
        self.next = going_on


class JournalLost(JournalDamaged):
    """The journal ends before the position from which it is to be read: it was removed, or exchanged for an older one."""


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
    segment: bytes = b""  # the identity of its segment: a number may come again, when a journal was removed


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
        if not (folder / FORGOTTEN_FILE).exists():
            first = next((number for number, _, _ in _segments(folder)), 1)
            _write_forgotten(folder, first - 1)
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
            Messages(received, messages.topics, messages.payloads, messages.retained, messages.duplicate),
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
        self._number, self._day = self._number + 1, day
        head = _segment_head(fingerprint(self._keys.key(day)), secrets.token_bytes(8))
        self._file, self._size = (self._folder / _name(self._number, day)).open("ab"), len(head)
        self._file.write(head)
        self._file.flush()
        sync_folder(self._folder)


def _recovered(folder: Path) -> tuple[int, int]:
    """(number of the newest segment, the newest time in any), after a torn frame at the end of the newest has been cut off.

    Raises NewerFormat.
    """
    segments = _segments(folder)
    if segments:
        path = segments[-1][2]
        with path.open("r+b") as file:
            end, torn = _end_of_whole(file, _head_of(file, path.name))
            if torn:
                file.truncate(end)
                os.fsync(file.fileno())
    newest_ns = 0
    for _, _, path in reversed(segments):
        with path.open("rb") as file:
            newest_ns = max((last_ns for last_ns, _ in _whole(file, _head_of(file, path.name))), default=0)
        if newest_ns:
            break
    return (segments[-1][0] if segments else 0), newest_ns


def read(folder: Path, keys: DayKeys, start: Position, segment: bytes = b"") -> Iterator[Frame]:
    """Frames from a position on, until what is written so far ends. Raises JournalDamaged or NewerFormat.

    `segment` is the identity of the segment that the position is in, where it is known.
    """
    segments = _segments(folder)
    _is_there(segments, start, segment)
    before = start.segment if start.segment else _forgotten(folder, segments)
    for number, day, path in segments:
        if number < start.segment:
            continue
        if before is not None and number > before + 1:
            raise JournalDamaged(_gap(before, number), Position(number, 0))
        before = number
        yield from _frames(folder, keys, day, path, number, start.offset if number == start.segment else 0)


def read_whole(folder: Path, keys: DayKeys, report: Callable[[str], None]) -> Iterator[Frame]:
    """All frames that can be read, from the beginning; a sentence about what cannot. Raises NewerFormat."""
    at = Position(0, 0)
    while True:
        try:
            for frame in read(folder, keys, at):
                yield frame
                at = frame.next
        except JournalDamaged as error:
            report(str(error))
            if error.next <= at:
                return
            at = error.next
        else:
            return


def missing(folder: Path) -> list[str]:
    """A sentence about each stretch of segments that are gone, and whose retention has not ended."""
    segments, found = _segments(folder), list[str]()
    try:
        before = _forgotten(folder, segments)
    except JournalDamaged as error:
        before, found = None, [str(error)]
    for number, _, _ in segments:
        if before is not None and number > before + 1:
            found.append(_gap(before, number))
        before = number
    return found


def _gap(before: int, number: int) -> str:
    gone = f"{before + 1}" if number == before + 2 else f"{before + 1} to {number - 1}"
    return f"The journal's segment {gone} is missing."


class _Forgotten(msgspec.Struct):
    segment: int


def _forgotten(folder: Path, segments: list[tuple[int, str, Path]]) -> int | None:
    """The newest segment whose retention has ended; None: not known. Raises JournalDamaged."""
    try:
        data = (folder / FORGOTTEN_FILE).read_bytes()
    except FileNotFoundError:
        return None
    if not is_whole(data):
        first = segments[0][0] if segments else 1
        raise JournalDamaged(
            f"The journal's {FORGOTTEN_FILE} is damaged: whether its first segments are missing cannot be seen.",
            Position(first, 0),
        )
    return msgspec.json.decode(data, type=_Forgotten).segment


def _write_forgotten(folder: Path, number: int) -> None:
    write_durably(folder / FORGOTTEN_FILE, with_checksum(msgspec.json.encode(_Forgotten(number))))


def _is_there(segments: list[tuple[int, str, Path]], start: Position, segment: bytes) -> None:
    """Is the position in this journal? Raises JournalLost."""
    lost = start > Position(segments[-1][0] + 1 if segments else 1, 0)
    path = next((path for number, _, path in segments if number == start.segment), None)
    if path is not None and segment:
        with path.open("rb") as file:
            identity = _head_of(file, path.name).identity
        lost = identity not in (b"", segment)
    if lost:
        raise JournalLost("The journal is another one than that which was read, or it is gone.", Position(0, 0))


def _frames(folder: Path, keys: DayKeys, day: str, path: Path, number: int, offset: int) -> Iterator[Frame]:
    """The frames of one segment from an offset on."""
    following = Position(number + 1, 0)
    with path.open("rb") as file:
        head = _head_of(file, path.name)
        if head.fingerprint == FORGOTTEN:
            return
        size = file.seek(0, os.SEEK_END)
        if offset > size:
            raise JournalDamaged(
                f"{path.name} ends {offset - size} bytes before the place up to which it was read: they are lost.",
                Position(number, size) if _is_newest(folder, number) else following,
            )
        if head.cut_off and _is_newest(folder, number):
            return
        key = _key_of(head, keys, day, path.name, Position(number, offset) if _is_newest(folder, number) else following)
        if head.damaged and offset < head.size:
            whole = _next_whole(file, 0, head.format)
            going_on = following if whole is None else Position(number, whole)
            raise JournalDamaged(f"The head of {path.name} is damaged.", going_on)
        file.seek(max(offset, head.size))
        while True:
            at = file.tell()
            frame = _frame_at(file, head.format)
            if frame is None or (isinstance(frame, _Incomplete) and _is_newest(folder, number)):
                return  # all that is written so far
            if not isinstance(frame, _Whole):
                raise JournalDamaged(
                    f"{path.name} is damaged at {at}: the checksum does not fit.",
                    _behind(file, at, head, folder, number),
                )
            after = Position(number, file.tell())
            try:
                messages = _opened(key, frame) if frame.count else Messages.none()
            except (InvalidTag, msgspec.MsgspecError, ValueError) as error:
                raise JournalDamaged(
                    f"{path.name} at {at} does not open with the key of {day}: it is another key, or was changed.",
                    after,
                ) from error
            yield Frame(messages, frame.last_ns, after, head.identity)


def _key_of(head: "_Head", keys: DayKeys, day: str, name: str, following: Position) -> bytes:
    """The key that opens a segment. Raises JournalDamaged where there is none.

    Of the newest segment the reader waits for it: the writer has it, and writes it again.
    """
    if head.cut_off:
        raise JournalDamaged(f"{name} is cut off within its first bytes.", following)
    try:
        key = keys.known(day)
    except KeyUnusable as error:
        raise JournalDamaged(f"{name} cannot be read: {error}", following) from error
    if key is None:
        raise JournalDamaged(f"{name} cannot be read: the key of {day} is gone.", following)
    if head.fingerprint and head.fingerprint != fingerprint(key):
        raise JournalDamaged(f"{name} cannot be read: the key of {day} is another one.", following)
    return key


def _behind(file: BinaryIO, at: int, head: "_Head", folder: Path, number: int) -> Position:
    """From where reading goes on behind a damaged place."""
    whole = _next_whole(file, at + 1, head.format)
    if whole is not None:
        return Position(number, whole)
    return Position(number, file.seek(0, os.SEEK_END)) if _is_newest(folder, number) else Position(number + 1, 0)


def _is_newest(folder: Path, number: int) -> bool:
    return not any(n > number for n, _, _ in _segments(folder))


def forget_before(folder: Path, keys: DayKeys, time_ns: int) -> list[str]:
    """Destroy the keys of days that ended before, and remove their segments; the days.

    Of the newest segment the head stays, so that the numbering goes on from it.
    """
    days = keys.forget_before(time_ns)
    segments = _segments(folder)
    ended = [(number, path) for number, day, path in segments[:-1] if end_of_day_ns(day) <= time_ns]
    if ended:
        _write_forgotten(folder, ended[-1][0])
    for _, path in ended:
        path.unlink()
    for _, day, path in segments[-1:]:
        if end_of_day_ns(day) <= time_ns and path.stat().st_size != SEGMENT_HEAD_BYTES:
            write_durably(path, _segment_head(FORGOTTEN, bytes(8)))
    return days


# ── frames ───────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _Head:
    """What a segment's first bytes say."""

    format: int
    size: int  # how many bytes they are
    fingerprint: bytes = b""  # of its key; empty: not known
    identity: bytes = b""
    damaged: bool = False
    cut_off: bool = False  # the file ends within them


@dataclass(frozen=True)
class _Whole:
    """A frame whose checksums fit."""

    count: int
    last_ns: int
    nonce: bytes
    head: bytes
    body: bytes


class _Incomplete:
    """The file ends within the frame."""


class _Unfit:
    """There is no frame here, or its checksum does not fit."""


def fingerprint(key: bytes) -> bytes:
    """By which a key is recognised, and not found out."""
    return blake2b(key, digest_size=8, person=b"mw-journal").digest()


def sealed(key: bytes, messages: Messages) -> bytes:
    """A segment of one frame, for what is kept beside the journal as the journal keeps it."""
    times = messages.received_ns
    return _segment_head(fingerprint(key), secrets.token_bytes(8)) + _framed(
        key, messages, int(times[0]), int(times[-1])
    )


def unsealed(key: bytes, data: bytes) -> Messages:
    """The messages of such a segment. Raises Damaged."""
    file = BytesIO(data)
    head = _head_of(file, "It")
    file.seek(head.size)
    frame = _frame_at(file, head.format)
    if not isinstance(frame, _Whole):
        raise Damaged("It is damaged.")
    try:
        return _opened(key, frame)
    except (InvalidTag, msgspec.MsgspecError, ValueError) as error:
        raise Damaged("It does not open with the key of its day.") from error


def _segment_head(of_key: bytes, identity: bytes) -> bytes:
    head = SEGMENT.pack(SEGMENT_MAGIC, FORMAT, of_key, identity)
    return head + CRC.pack(zlib.crc32(head))


def _head_of(file: BinaryIO, name: str) -> _Head:
    """The head of a segment. Raises NewerFormat."""
    file.seek(0)
    head = file.read(SEGMENT_HEAD_BYTES)
    if head[:4] == FRAME_MAGIC[1]:
        return _Head(1, 0)
    if len(head) < SEGMENT_HEAD_BYTES:
        return _Head(FORMAT, SEGMENT_HEAD_BYTES, cut_off=True)
    magic, format, of_key, identity = SEGMENT.unpack_from(head)
    if magic != SEGMENT_MAGIC or CRC.unpack_from(head, SEGMENT.size)[0] != zlib.crc32(head[: SEGMENT.size]):
        found = (format for format in reversed(FRAME_MAGIC) if _next_whole(file, 0, format) is not None)
        return _Head(next(found, FORMAT), SEGMENT_HEAD_BYTES, damaged=True)
    if format > FORMAT:
        raise NewerFormat(f"The journal's {name}", format, FORMAT)
    return _Head(format, SEGMENT_HEAD_BYTES, of_key, b"" if of_key == FORGOTTEN else identity)


def _framed(key: bytes, messages: Messages, first_ns: int, last_ns: int) -> bytes:
    nonce = secrets.token_bytes(12)
    plain = b""
    if len(messages):
        plain = msgspec.msgpack.encode(
            (
                messages.received_ns.astype("<i8").tobytes(),
                messages.topics,
                messages.payloads,
                np.packbits(messages.retained).tobytes(),
                np.packbits(messages.duplicate).tobytes(),
            )
        )
    length = len(plain) + 16 if plain else 0
    head = HEADER.pack(FRAME_MAGIC[FORMAT], length, len(messages), first_ns, last_ns, nonce)
    body = AESGCM(key).encrypt(nonce, plain, head) if plain else b""
    return head + CRC.pack(zlib.crc32(head)) + CRC.pack(zlib.crc32(body)) + body


class _Body(msgspec.Struct, array_like=True):
    received_ns: bytes
    topics: list[str]
    payloads: list[bytes]
    retained: bytes
    duplicate: bytes | None = None  # since format 3


_body = msgspec.msgpack.Decoder(_Body)


def _opened(key: bytes, frame: _Whole) -> Messages:
    body = _body.decode(AESGCM(key).decrypt(frame.nonce, frame.body, frame.head))
    times = np.frombuffer(body.received_ns, "<i8").astype(np.int64)
    retained = _flags(body.retained, len(times))
    duplicate = np.zeros(len(times), np.bool_) if body.duplicate is None else _flags(body.duplicate, len(times))
    return Messages(times, tuple(body.topics), tuple(body.payloads), retained, duplicate)


def _flags(packed: bytes, count: int) -> NDArray[np.bool_]:
    return np.unpackbits(np.frombuffer(packed, np.uint8), count=count).astype(np.bool_)


def _frame_at(file: BinaryIO, format: int) -> _Whole | _Incomplete | _Unfit | None:
    """The frame at the file's position, which is then behind it; None: the file ends here."""
    head = file.read(FRAME_HEAD_BYTES[format])
    if not head:
        return None
    if len(head) < FRAME_HEAD_BYTES[format]:
        return _Incomplete()
    magic, length, count, _, last_ns, nonce = HEADER.unpack_from(head)
    if magic != FRAME_MAGIC[format] or (format > 1 and _crc_in(head, 0) != zlib.crc32(head[: HEADER.size])):
        return _Unfit()
    body = file.read(length)
    if len(body) < length:
        return _Incomplete()
    crc = zlib.crc32(body) if format > 1 else zlib.crc32(body, zlib.crc32(head[: HEADER.size]))
    if _crc_in(head, 1 if format > 1 else 0) != crc:
        return _Unfit()
    return _Whole(count, last_ns, nonce, head[: HEADER.size], body)


def _crc_in(head: bytes, number: int) -> int:
    return int(CRC.unpack_from(head, HEADER.size + number * CRC.size)[0])


def _whole(file: BinaryIO, head: _Head) -> Iterator[tuple[int, int]]:
    """(last received_ns, end) of each whole frame; what is damaged is passed over."""
    at: int | None = head.size
    while at is not None:
        file.seek(at)
        frame = _frame_at(file, head.format)
        if isinstance(frame, _Whole):
            at = file.tell()
            yield frame.last_ns, at
        else:
            at = _next_whole(file, at + 1, head.format)


def _next_whole(file: BinaryIO, start: int, format: int) -> int | None:
    """Where the next whole frame at or after `start` begins."""
    file.seek(start)
    rest = BytesIO(file.read())
    at = rest.getvalue().find(FRAME_MAGIC[format])
    while at >= 0:
        rest.seek(at)
        if isinstance(_frame_at(rest, format), _Whole):
            return start + at
        at = rest.getvalue().find(FRAME_MAGIC[format], at + 1)
    return None


def _end_of_whole(file: BinaryIO, head: _Head) -> tuple[int, bool]:
    """Where the last whole frame ends, and whether what follows is a frame torn off by a crash, and not damage."""
    size = file.seek(0, os.SEEK_END)
    if head.cut_off:
        return 0, size > 0
    end = max((end for _, end in _whole(file, head)), default=head.size)
    file.seek(end)
    return end, isinstance(_frame_at(file, head.format), _Incomplete)


def _name(number: int, day: str) -> str:
    return f"{number:08d}-{day}.journal"


def _segments(folder: Path) -> list[tuple[int, str, Path]]:
    """(number, day, path) of every segment, in order."""
    return [(int(p.name[:8]), p.name[9:19], p) for p in sorted(folder.glob("*.journal")) if NAME.fullmatch(p.name)]
