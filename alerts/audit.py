"""The audit log: who looked at or did what, when and why, in a chain that shows every later change.

Each line holds a keyed hash (HMAC-SHA256) of itself and of the line before, so no line can be changed, dropped or exchanged
without the key. A head file beside it is a signed checkpoint: how many lines there are, the newest hash and where it ends. It
shows a cut end, and lets the next line be written without reading those before. Who has the key, or puts back an older log
with its own head, is found by a checkpoint that was kept elsewhere: an anchor.

Where the end of the log is not as it was left, the next line says so and names the hash on which it hangs: what follows can be
proved by itself, and what stood before as far as it goes.
"""

import fcntl
import hashlib
import hmac
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

START = "0" * 64
HEAD_LOST = "audit head lost"  # a line that says that the head before it was missing, or not signed by this key
RESUMED = "audit log resumed"  # a line that says that the lines before it are not as they were left
OURS = "marchwarden"
RANGES_NAMED = 8
HEAD_BYTES_MAX = 4096


class AuditUnusable(Exception):
    """The audit log cannot be read or written; a sentence says why."""


@dataclass(frozen=True)
class Checkpoint:
    """What the log was at a time, signed (Ed25519, under a key derived from the log's)."""

    time: str
    lines: int
    hash: str  # of the last of them
    size: int  # bytes of the file
    key: str  # which key signed it: the public key's first digits
    signature: str

    def encoded(self) -> bytes:
        return json.dumps(asdict(self)).encode()


@dataclass(frozen=True)
class Verdict:
    """What `verify` found."""

    lines: int
    findings: tuple[str, ...] = ()  # what is not as it was written, and how; empty: all is
    notes: tuple[str, ...] = ()  # what else should be known: up to where an anchor vouches for it

    @property
    def broken(self) -> str:
        return " ".join(self.findings)


@dataclass(frozen=True)
class _End:
    """Where a log ends, as far as it stands."""

    lines: int = 0
    hash: str = START
    size: int = 0  # bytes


@dataclass(frozen=True)
class _Head:
    """The head file: `signed`, of the `old` form without a signature, `missing`, or `wrong`."""

    state: str
    end: _End = field(default_factory=_End)


# ── writing ──────────────────────────────────────────────────────────────────────────────────────


def append(path: Path, key: bytes, time: str, who: str, what: str, about: str, reason: str) -> str:
    """Write one line, on disk when this returns. Several processes may, and the log's length does not matter.

    Returns a sentence where the end of the log is not as it was left, else nothing. Raises AuditUnusable.
    """
    with _locked(path, fcntl.LOCK_EX) as log:
        end, found = _taken_up(path, log, key, time)
        if found:
            mark = HEAD_LOST if found.startswith("Its head") else RESUMED
            end = _write(log, key, end, _line(end, time, OURS, mark, end.hash, found))
        end = _write(log, key, end, _line(end, time, who, what, about, reason))
        log.flush()
        os.fsync(log.fileno())
        _write_head(path, _checkpoint(key, time, end))
    return f"The audit log is not as it was left: {found}" if found else ""


def checkpoint(path: Path, key: bytes, time: str) -> Checkpoint:
    """What the log is now, to be kept elsewhere. Raises AuditUnusable."""
    if not path.exists():
        return _checkpoint(key, time, _head(path, key).end)
    with _locked(path, fcntl.LOCK_EX) as log:
        end, _ = _taken_up(path, log, key, time)
        return _checkpoint(key, time, end)


def _taken_up(path: Path, log: BinaryIO, key: bytes, time: str) -> tuple[_End, str]:
    """Where to go on, and what is not as it was left; empty: nothing. A line that a crash left half is removed."""
    size, head = os.fstat(log.fileno()).st_size, _head(path, key)
    if head.state == "missing" and size == 0:
        _write_head(path, _checkpoint(key, time, _End()))  # before the first line: then no log has lines and no head
        return _End(), ""
    if head.state == "signed" and size < head.end.size:
        end = _End(head.end.lines, head.end.hash, _whole_lines(log, size))
        return end, f"It had {head.end.lines} lines in {head.end.size} bytes, and has {size} bytes: it was cut."
    end, foreign = _read_on(log, key, head.end if head.state == "signed" else _End())
    if head.state == "old" and head.end.lines > end.lines:
        end = _End(head.end.lines, head.end.hash, end.size)
    if head.state in ("missing", "wrong"):
        return end, f"Its head file was {head.state}."
    is_are = "line that is" if foreign == 1 else "lines that are"
    return end, f"Behind line {end.lines} stood {foreign} {is_are} none of it." if foreign else ""


def _read_on(log: BinaryIO, key: bytes, end: _End) -> tuple[_End, int]:
    """The end of the log, from a place up to which it stands, and how many lines behind that are none of it.

    What a crash left of a line is removed: nobody relied on it.
    """
    log.seek(end.size)
    foreign = 0
    for line in log:
        if not line.endswith(b"\n"):
            log.truncate(end.size)
            break
        record, size = _record(line), end.size + len(line)
        if record is not None and _follows(key, record, line, {end.hash}):
            end = _End(_number(record, end.lines + 1), record["hash"], size)
        else:
            end, foreign = _End(end.lines, end.hash, size), foreign + 1
    return end, foreign


def _whole_lines(log: BinaryIO, size: int) -> int:
    """The log's size, after a line that was cut in two is ended, so that the next begins on its own."""
    if size and os.pread(log.fileno(), 1, size - 1) != b"\n":
        log.write(b"\n")
        return size + 1
    return size


def _line(end: _End, time: str, who: str, what: str, about: str, reason: str) -> dict[str, Any]:
    return {"number": end.lines + 1, "time": time, "who": who, "what": what, "about": about, "reason": reason}


def _write(log: BinaryIO, key: bytes, end: _End, record: dict[str, Any]) -> _End:
    chained = _chained(key, record, end.hash)
    line = _encoded(record | {"hash": chained})
    log.write(line)
    return _End(end.lines + 1, chained, end.size + len(line))


class _locked:
    """The log, open and to ourselves among all processes."""

    def __init__(self, path: Path, lock: int) -> None:
        self._path, self._lock = path, lock
        try:
            self._log = self._opened()
        except OSError as error:
            raise self._unusable(error) from error

    def __enter__(self) -> BinaryIO:
        fcntl.flock(self._log, self._lock)
        return self._log

    def __exit__(self, _: object, error: object, __: object) -> None:
        with suppress(OSError):  # what could not be written then was in the error before
            self._log.close()
        if isinstance(error, OSError):
            raise self._unusable(error) from error

    def _opened(self) -> BinaryIO:
        if self._lock == fcntl.LOCK_SH:
            return self._path.open("rb")
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return os.fdopen(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "r+b")

    def _unusable(self, error: OSError) -> AuditUnusable:
        done = "read" if self._lock == fcntl.LOCK_SH else "written"
        return AuditUnusable(f"The audit log {self._path} cannot be {done}: {error.strerror or error}.")


# ── looking ──────────────────────────────────────────────────────────────────────────────────────


def verify(path: Path, key: bytes, anchors: Iterable[Checkpoint] = ()) -> Verdict:
    """Does every line stand as it was written, and is none missing? Without anchors a log that was cut with its head passes.

    Nobody who writes waits for this: it looks at what was there when it began. Raises AuditUnusable.
    """
    usable, findings = _usable(key, list(anchors))
    if not path.exists():
        if _head(path, key).end.lines or any(anchor.lines for anchor in usable):
            findings.append("The log is gone; it had lines.")
        return Verdict(0, tuple(findings))
    with _locked(path, fcntl.LOCK_SH) as log:
        head, size = _head(path, key), os.fstat(log.fileno()).st_size
        fcntl.flock(log, fcntl.LOCK_UN)
        walk = _Walk(key, {head.end.lines, *(a.lines for a in usable)})
        walk.read(log, size)
    number, hashes, notes = walk.number, walk.hashes, walk.notes
    findings = [
        *walk.findings,
        *_head_findings(head, number, hashes),
        *_anchor_findings(usable, number, hashes),
        *findings,
    ]
    if walk.findings:
        notes.insert(0, f"As they were written stand {walk.standing()}.")
    if head.state == "old" and number:
        notes.append("Its head is of an older version and not signed; the next line signs it.")
    newest = max((a.lines for a in usable), default=0)
    if number:
        notes.append(
            f"An anchor vouches for lines 1 to {newest}."
            if newest
            else "No anchor was given: that nobody has cut it together with its head is not shown."
        )
    return Verdict(number, tuple(findings), tuple(notes))


class _Walk:
    """A look at every line, in order. After one that does not stand it goes on from where the next ones do."""

    def __init__(self, key: bytes, wanted: set[int]) -> None:
        self._key, self._wanted = key, wanted
        self._stands, self._after = (
            START,
            START,
        )  # hashes on which the next line may hang: the last that stands, the one after
        self.number, self.hashes = 0, {0: START}  # of the last line, and of each wanted one
        self.findings, self.notes = list[str](), list[str]()
        self._ranges = list[list[int]]()  # first and last number of lines that stand one after the other

    def read(self, log: BinaryIO, size: int) -> None:
        log.seek(0)
        for line in log:
            size -= len(line)
            if size < 0:
                return  # written since
            if not line.endswith(b"\n"):
                self.notes.append(
                    f"Behind line {self.number} lies a part of one, which a crash has left; the next line takes its place."
                )
                return
            self._look_at(line, _record(line))

    def standing(self) -> str:
        """In words: which lines do."""
        ranges = [f"line {a}" if a == b else f"lines {a} to {b}" for a, b in self._ranges]
        return ", ".join(ranges[:RANGES_NAMED]) + (", …" if len(ranges) > RANGES_NAMED else "") if ranges else "none"

    def _look_at(self, line: bytes, record: dict[str, Any] | None) -> None:
        if record is None:
            self.number += 1
            self.findings.append(f"Line {self.number} is no record.")
            return
        before, stands = self.number, _follows(self._key, record, line, {self._stands, self._after})
        self.number = _number(record, before + 1) if stands else before + 1
        if not stands:
            self.findings.append(f"Line {self.number} is not as it was written, or a line before it is missing.")
            self._after = str(record["hash"])
            return
        if _is_mark(record):
            self.findings.append(_break_at(record, before, self.number))
        elif self.number > before + 1:
            self.findings.append(f"Before line {self.number} lines are missing, from {before + 1} on.")
        self._stands = self._after = str(record["hash"])
        if self.number in self._wanted:
            self.hashes[self.number] = str(record["hash"])
        if self._ranges and self._ranges[-1][1] == self.number - 1:
            self._ranges[-1][1] = self.number
        else:
            self._ranges.append([self.number, self.number])


def _break_at(record: dict[str, Any], before: int, number: int) -> str:
    """What a line says that was written where the log's end was not as it had been left."""
    if record["what"] == HEAD_LOST:
        return f"Before line {number} the head was lost, so lines may be missing there: {record['reason']}"
    missing = f" Lines {before + 1} to {number - 1} are missing." if number > before + 1 else ""
    return f"Before line {number} the log was broken: {record['reason']}{missing} It goes on with line {number}."


def _head_findings(head: _Head, number: int, hashes: dict[int, str]) -> list[str]:
    match head.state:
        case "missing":
            return ["The head file is missing."] if number else []
        case "wrong":
            return ["The head file is not as this log's key signed it."]
    ahead = head.end.lines > number
    if head.state == "old":
        ahead = number not in (head.end.lines, head.end.lines + 1)
    if ahead:
        return [f"The log has {number} lines; its head says {head.end.lines}."]
    return [] if hashes.get(head.end.lines) == head.end.hash else ["The head is not of this log."]


def _usable(key: bytes, anchors: list[Checkpoint]) -> tuple[list[Checkpoint], list[str]]:
    """Anchors that this log's key signed, and what is wrong with others."""
    ours = [a for a in anchors if a.key == _fingerprint(key)]
    usable = [a for a in ours if _is_signed(key, a)]
    findings = [f"{len(ours) - len(usable)} anchors were changed since they were signed."] if usable != ours else []
    if anchors and not ours:
        findings.append(
            f"None of {len(anchors)} anchors is signed by this log's key: it was exchanged, or they are of another site."
        )
    return usable, findings


def _anchor_findings(anchors: list[Checkpoint], number: int, hashes: dict[int, str]) -> Iterator[str]:
    """The first anchor that the log contradicts; those after it say the same."""
    for anchor in sorted(anchors, key=lambda a: a.lines):
        if anchor.lines > number:
            yield f"The log has {number} lines; at {anchor.time} it had {anchor.lines}: it was cut."
            return
        if hashes.get(anchor.lines) != anchor.hash:
            yield f"Line {anchor.lines}, or one before it, is not what it was at {anchor.time}: it was written anew."
            return


def anchors_in(text: str) -> list[Checkpoint]:
    """The checkpoints in a text, one a line, whatever stands before each, as in a syslog."""
    found = (_checkpoint_in(line) for line in text.splitlines())
    return [checkpoint for checkpoint in found if checkpoint is not None]


def _checkpoint_in(line: str) -> Checkpoint | None:
    try:
        fields, _ = json.JSONDecoder().raw_decode(line, line.index("{"))
        found = Checkpoint(**fields)
    except (ValueError, TypeError, RecursionError):
        return None
    whole = all(isinstance(x, str) for x in (found.time, found.hash, found.key, found.signature))
    return found if whole and type(found.lines) is int and type(found.size) is int else None


# ── what a line, a head and a signature are ──────────────────────────────────────────────────────


def _record(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    whole = isinstance(record, dict) and {"who", "what", "reason", "hash"} <= record.keys()
    return record if whole and isinstance(record["hash"], str) else None


def _is_mark(record: dict[str, Any]) -> bool:
    return record["who"] == OURS and record["what"] in (HEAD_LOST, RESUMED)


def _number(record: dict[str, Any], expected: int) -> int:
    """As the line says itself; those that a version before wrote after a mark were counted on."""
    return record["number"] if type(record.get("number")) is int else expected


def _follows(key: bytes, record: dict[str, Any], line: bytes, before: set[str]) -> bool:
    """Does the line stand after one of these, or after the one that it names itself where the log was broken?"""
    named = {str(record.get("about"))} if _is_mark(record) else set[str]()
    return any(_stands(key, record, line, each) for each in (*before, *named))


def _stands(key: bytes, record: dict[str, Any], line: bytes, before: str) -> bool:
    """Is the line as it was written after the one before?"""
    said = {name: value for name, value in record.items() if name != "hash"}
    return line == _encoded(said | {"hash": record["hash"]}) and hmac.compare_digest(
        record["hash"].encode(errors="replace"), _chained(key, said, before).encode()
    )


def _encoded(record: dict[str, Any]) -> bytes:
    return json.dumps(record, ensure_ascii=False).encode(errors="surrogatepass") + b"\n"


def _chained(key: bytes, record: dict[str, Any], before: str) -> str:
    text = before + json.dumps(record, ensure_ascii=False, sort_keys=True)
    return hmac.new(key, text.encode(errors="surrogatepass"), hashlib.sha256).hexdigest()


def _signer(key: bytes) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(hmac.new(key, b"audit checkpoint", hashlib.sha256).digest())


def _fingerprint(key: bytes) -> str:
    return _signer(key).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()[:16]


def _signed_part(time: str, end: _End, fingerprint: str) -> bytes:
    return json.dumps(["marchwarden audit", time, end.lines, end.hash, end.size, fingerprint]).encode()


def _checkpoint(key: bytes, time: str, end: _End) -> Checkpoint:
    fingerprint = _fingerprint(key)
    signature = _signer(key).sign(_signed_part(time, end, fingerprint)).hex()
    return Checkpoint(time, end.lines, end.hash, end.size, fingerprint, signature)


def _is_signed(key: bytes, checkpoint: Checkpoint) -> bool:
    end = _End(checkpoint.lines, checkpoint.hash, checkpoint.size)
    try:
        _signer(key).public_key().verify(
            bytes.fromhex(checkpoint.signature), _signed_part(checkpoint.time, end, checkpoint.key)
        )
    except (InvalidSignature, ValueError):
        return False
    return True


def _head(path: Path, key: bytes) -> _Head:
    file = path.with_suffix(".head")
    if not file.exists():
        return _Head("missing")
    try:
        with file.open("rb") as opened:
            text = opened.read(HEAD_BYTES_MAX).decode(errors="replace")
    except IsADirectoryError:
        return _Head("wrong")
    match text.split():
        case [count, newest] if count.isascii() and count.isdigit() and len(newest) == len(START):
            return _Head("old", _End(int(count), newest, 0))
    found = _checkpoint_in(text)
    if found is None or not _is_signed(key, found):
        return _Head("wrong")
    return _Head("signed", _End(found.lines, found.hash, found.size))


def _write_head(path: Path, head: Checkpoint) -> None:
    file = path.with_suffix(".head")
    temporary = file.with_name(f".{file.name}")  # one writer at a time: the log is locked
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as opened:
        opened.write(head.encoded() + b"\n")
        opened.flush()
        os.fsync(opened.fileno())
    temporary.replace(file)
