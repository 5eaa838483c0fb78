"""What the console itself keeps: who is signed in, and notes of the shift. One SQLite file beside the pipeline's."""

import hashlib
import secrets
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TABLES = """
CREATE TABLE IF NOT EXISTS sessions (token TEXT PRIMARY KEY, account TEXT, begun_s INTEGER, used_s INTEGER);
CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, time_s INTEGER, by TEXT, agency TEXT, text TEXT);
"""


@dataclass(frozen=True)
class Lasting:
    """How long a sign-in lasts, s."""

    whole_s: int
    idle_s: int


class Records:
    """A connection, of one thread."""

    def __init__(self, path: Path, lasting: Lasting) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._db = sqlite3.connect(path, isolation_level=None, timeout=10.0)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.executescript(TABLES)
        self._lasting = lasting

    def close(self) -> None:
        self._db.close()

    def begin(self, account: str, now_s: int) -> str:
        """The cookie's value of a new session. Only its hash is kept."""
        token = secrets.token_urlsafe(32)
        self._db.execute("INSERT INTO sessions VALUES (?, ?, ?, ?)", (_hash(token), account, now_s, now_s))
        return token

    def account_of(self, token: str, now_s: int) -> str | None:
        """Whose session it is, if it lasts."""
        row = self._db.execute(
            "SELECT account, begun_s, used_s FROM sessions WHERE token = ?", (_hash(token),)
        ).fetchone()
        if row is None:
            return None
        account, begun_s, used_s = row
        if now_s - begun_s > self._lasting.whole_s or now_s - used_s > self._lasting.idle_s:
            self.end(token)
            return None
        if now_s - used_s >= 30:
            self._db.execute("UPDATE sessions SET used_s = ? WHERE token = ?", (now_s, _hash(token)))
        return str(account)

    def end(self, token: str) -> None:
        self._db.execute("DELETE FROM sessions WHERE token = ?", (_hash(token),))

    def end_all(self, account: str) -> int:
        """Every session of an account; how many."""
        return self._db.execute("DELETE FROM sessions WHERE account = ?", (account,)).rowcount

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
