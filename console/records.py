"""What the console itself keeps: who is signed in, and notes of the shift. One SQLite file beside the pipeline's."""

import hashlib
import secrets
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

VERSION = 2
TABLES = """
CREATE TABLE IF NOT EXISTS sessions (
    token TEXT PRIMARY KEY, account TEXT, begun_s INTEGER, used_s INTEGER, credential TEXT);
CREATE TABLE IF NOT EXISTS devices (token TEXT PRIMARY KEY, account TEXT, used_s INTEGER);
CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, time_s INTEGER, by TEXT, agency TEXT, text TEXT);
"""
TOUCH_S = 30  # a session's last use is written this often at most
DEVICE_S = 180 * 86_400  # a device that nobody has signed in with for this long is forgotten


@dataclass(frozen=True)
class Lasting:
    """How long a sign-in lasts, s."""

    whole_s: int
    idle_s: int


class RecordsOfAnotherVersion(Exception):
    """The file was written by a newer Marchwarden."""


class Records:
    """A connection, of one thread."""

    def __init__(self, path: Path, lasting: Lasting) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._db = sqlite3.connect(path, isolation_level=None, timeout=10.0)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._migrate(path)
        self._lasting = lasting

    def close(self) -> None:
        self._db.close()

    def _migrate(self, path: Path) -> None:
        """Make the tables what this version expects. Sessions of version 1 name no credential, so they end."""
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise RecordsOfAnotherVersion(f"{path} has version {version}; this Marchwarden reads up to {VERSION}.")
        if version < VERSION:
            self._db.execute("DROP TABLE IF EXISTS sessions")
        self._db.executescript(TABLES)
        self._db.execute(f"PRAGMA user_version = {VERSION}")

    def begin(self, account: str, credential: str, now_s: int) -> str:
        """The cookie's value of a new session. Only its hash is kept; `credential` is what it was begun with."""
        token = secrets.token_urlsafe(32)
        self._db.execute(
            "INSERT INTO sessions VALUES (?, ?, ?, ?, ?)", (_hash(token), account, now_s, now_s, credential)
        )
        self._db.execute("DELETE FROM sessions WHERE begun_s < ?", (now_s - self._lasting.whole_s,))
        return token

    def session(self, token: str, now_s: int, *, touch: bool = True) -> tuple[str, str] | None:
        """(account, credential) of a session that lasts; `touch` counts as its use."""
        row = self._db.execute(
            "SELECT account, credential, begun_s, used_s FROM sessions WHERE token = ?", (_hash(token),)
        ).fetchone()
        if row is None:
            return None
        account, credential, begun_s, used_s = row
        if now_s - begun_s > self._lasting.whole_s or now_s - used_s > self._lasting.idle_s:
            self.end(token)
            return None
        if touch and now_s - used_s >= TOUCH_S:
            self._db.execute("UPDATE sessions SET used_s = ? WHERE token = ?", (now_s, _hash(token)))
        return account, credential

    def end(self, token: str) -> None:
        self._db.execute("DELETE FROM sessions WHERE token = ?", (_hash(token),))

    def remember_device(self, account: str, now_s: int) -> str:
        """The value of a new device cookie. Only its hash is kept."""
        token = secrets.token_urlsafe(32)
        self._db.execute("DELETE FROM devices WHERE used_s < ?", (now_s - DEVICE_S,))
        self._db.execute("INSERT INTO devices VALUES (?, ?, ?)", (_hash(token), account, now_s))
        return token

    def is_device_of(self, token: str, account: str, now_s: int) -> bool:
        """Has this account signed in with this device before?"""
        found = self._db.execute(
            "SELECT 1 FROM devices WHERE token = ? AND account = ? AND used_s >= ?",
            (_hash(token), account, now_s - DEVICE_S),
        ).fetchone()
        return found is not None

    def write_note(self, now_s: int, by: str, agency: str, text: str) -> int:
        done = self._db.execute(
            "INSERT INTO notes (time_s, by, agency, text) VALUES (?, ?, ?, ?)", (now_s, by, agency, text)
        )
        return int(done.lastrowid or 0)

    def notes(self, agency: str, from_s: int, to_s: int) -> list[dict[str, Any]]:
        """The notes of a time, oldest first: an agency's own; for the site, everybody's."""
        rows = self._db.execute(
            "SELECT id, time_s, by, agency, text FROM notes "
            "WHERE time_s >= ?1 AND time_s < ?2 AND (?3 = '' OR agency = ?3) ORDER BY id",
            (from_s, to_s, agency),
        )
        return [dict(zip(("id", "time_s", "by", "agency", "text"), row, strict=True)) for row in rows]


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
