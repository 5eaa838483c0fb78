"""The audit log: who looked at or did what, when and why, in a chain that shows every later change.

Each line holds a keyed hash (HMAC-SHA256) of itself and of the line before, so no line can be changed, dropped or
exchanged without the key. A head file holds the count and the newest hash, so that the end cannot be cut off either.
"""

import fcntl
import hashlib
import hmac
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

START = "0" * 64


@dataclass(frozen=True)
class Verdict:
    """What `verify` found."""

    lines: int
    broken: str  # empty: all is as it was written; otherwise which line is not, and how


def append(path: Path, key: bytes, time: str, who: str, what: str, about: str, reason: str) -> None:
    """Write one line, on disk when this returns. Several processes may."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with path.open("a+b") as log:
        fcntl.flock(log, fcntl.LOCK_EX)
        count, before = _newest(path, key)
        said = {"number": count + 1, "time": time, "who": who, "what": what, "about": about, "reason": reason}
        chained = _chained(key, said, before)
        log.write(json.dumps(said | {"hash": chained}, ensure_ascii=False).encode() + b"\n")
        log.flush()
        os.fsync(log.fileno())
        _write_head(path, count + 1, chained)


def verify(path: Path, key: bytes) -> Verdict:
    """Does every line stand as it was written?"""
    if not path.exists():
        return Verdict(0, "" if _head(path)[0] == 0 else "The log is gone; its head file says that it had lines.")
    before, number = START, 0
    for number, line in enumerate(path.read_bytes().splitlines(keepends=True), 1):
        try:
            said = json.loads(line)
            chained = said.pop("hash")
        except (ValueError, KeyError, AttributeError, TypeError):
            return Verdict(number, f"Line {number} is no record.")
        whole = line == json.dumps(said | {"hash": chained}, ensure_ascii=False).encode() + b"\n"
        if not whole or not hmac.compare_digest(str(chained), _chained(key, said, before)):
            return Verdict(number, f"Line {number} is not as it was written, or a line before it is missing.")
        before = chained
    count, newest = _head(path)
    if number == count + 1 or (number == count and newest == before):
        return Verdict(number, "")  # a line may be on disk before its head is, when power fails between the two
    return Verdict(number, f"The log has {number} lines; its head says {count}.")


def _newest(path: Path, key: bytes) -> tuple[int, str]:
    """(lines, newest hash) of the head file; or of the line after it, which a power cut may have left ahead."""
    count, newest = _head(path)
    lines = path.read_bytes().splitlines()
    if len(lines) == count + 1:
        said = json.loads(lines[-1])
        chained = said.pop("hash")
        if hmac.compare_digest(chained, _chained(key, said, newest)):
            return count + 1, chained
    return count, newest


def _chained(key: bytes, said: dict[str, Any], before: str) -> str:
    text = before + json.dumps(said, ensure_ascii=False, sort_keys=True)
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def _head(path: Path) -> tuple[int, str]:
    """(lines, newest hash) as the head file says."""
    head = path.with_suffix(".head")
    count, newest = 0, START
    if head.exists():
        number, newest = head.read_text().split()
        count = int(number)
    return count, newest


def _write_head(path: Path, count: int, newest: str) -> None:
    head = path.with_suffix(".head")
    temporary = head.with_name(f".{head.name}.{os.getpid()}")
    with temporary.open("w") as file:
        file.write(f"{count} {newest}\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(head)
