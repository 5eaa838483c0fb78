"""Keys in the state folder: one a day for what must be forgotten, one for good for plate tokens.

A day's key is random and lives in one file. When that file is destroyed, all that was written under it is gone,
wherever copies of it may lie.
"""

import os
import secrets
from pathlib import Path

import numpy as np

from model.time import DAY_NS

KEY_BYTES = 32


def day_of(time_ns: int) -> str:
    """The UTC day, as keys and segments are named by: `2026-11-21`."""
    return str(np.datetime64(int(time_ns // 1_000_000_000), "s").astype("datetime64[D]"))


def end_of_day_ns(day: str) -> int:
    return (int(np.datetime64(day, "D").astype(np.int64)) + 1) * DAY_NS


class KeyUnusable(Exception):
    """A key file that holds no key. Says which, and what to do."""


def lasting_key(path: Path) -> bytes:
    """The key in a file, made when there is none: the same for all who ask for it at once. Raises KeyUnusable."""
    if not path.exists():
        temporary = written_aside(path, secrets.token_bytes(KEY_BYTES))
        try:
            path.hardlink_to(temporary)  # whole and in one step, and only where there is none yet
        except FileExistsError:
            pass
        finally:
            temporary.unlink()
        sync_folder(path.parent)
    return read_key(path)


def read_key(path: Path) -> bytes:
    """The key in a file. Raises KeyUnusable."""
    key = path.read_bytes()
    if len(key) != KEY_BYTES:
        raise KeyUnusable(
            f"{path} holds {len(key)} bytes, and a key has {KEY_BYTES}: restore it from a copy, or move it away."
        )
    return key


def set_aside(path: Path) -> Path:
    """Rename a file that cannot be used; its new name."""
    aside = path.with_name(f"{path.name}.damaged-{secrets.token_hex(4)}")
    path.replace(aside)
    return aside


class DayKeys:
    """The keys of one purpose, a file a day."""

    def __init__(self, folder: Path, purpose: str) -> None:
        self._folder, self._purpose = folder, purpose
        self._known: dict[str, bytes] = {}
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def key(self, day: str) -> bytes:
        """The day's key, made when there is none that can be used. For writing.

        A file that goes or changes while this process knows its key is written again, so that readers find it.
        """
        path = self._path(day)
        if day not in self._known:
            try:
                self._known[day] = lasting_key(path)
            except KeyUnusable:
                set_aside(path)
                self._known[day] = lasting_key(path)
        elif not path.exists() or path.read_bytes() != self._known[day]:
            write_durably(path, self._known[day])
        return self._known[day]

    def known(self, day: str) -> bytes | None:
        """The day's key, or None when it was destroyed. For reading. Raises KeyUnusable."""
        try:
            return read_key(self._path(day))
        except FileNotFoundError:
            return None

    def forget_before(self, time_ns: int) -> list[str]:
        """Destroy the keys of all days that ended before `time_ns`; the days."""
        days = [p.stem[len(self._purpose) + 1 :] for p in sorted(self._folder.glob(f"{self._purpose}-*.key"))]
        gone = [day for day in days if end_of_day_ns(day) <= time_ns]
        for day in gone:
            self._known.pop(day, None)
            destroy(self._path(day))
        return gone

    def _path(self, day: str) -> Path:
        return self._folder / f"{self._purpose}-{day}.key"


def destroy(path: Path) -> None:
    """Overwrite a file's bytes and remove it."""
    with path.open("r+b") as file:
        file.write(secrets.token_bytes(path.stat().st_size))
        file.flush()
        os.fsync(file.fileno())
    path.unlink()
    sync_folder(path.parent)


def write_durably(path: Path, data: bytes, mode: int = 0o600) -> None:
    """A whole file or none, on disk when this returns."""
    written_aside(path, data, mode).replace(path)
    sync_folder(path.parent)


def written_aside(path: Path, data: bytes, mode: int = 0o600) -> Path:
    """A file of nobody else's beside `path` that holds the data, on disk."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return temporary


def sync_folder(folder: Path) -> None:
    """What was created, renamed or removed in a folder is on disk when this returns."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
