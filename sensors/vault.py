"""Plates in clear, sealed: encrypted under a key a day, so that destroying the key ends their retention."""

import secrets
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sensors.keys import DayKeys, day_of
from sensors.readings import PlateText


@dataclass(frozen=True)
class Revealed:
    """A plate and the day on which it was read."""

    day: str
    plate: str


class Vault:
    """The sealed plates of a site. Whoever opens one is written into the audit log by the caller."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._keys = DayKeys(folder / "keys", "plates")
        self._db = sqlite3.connect(folder / "plates.db", isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS plates (day TEXT, token INTEGER, nonce BLOB, sealed BLOB, PRIMARY KEY (day, token))"
        )

    def seal(self, plates: Iterable[PlateText]) -> None:
        """Keep each plate once a day. Durable when this returns."""
        rows = []
        for plate in {(day_of(p.observed_ns), p.token): p for p in plates}.values():
            day, nonce = day_of(plate.observed_ns), secrets.token_bytes(12)
            sealed = AESGCM(self._keys.key(day)).encrypt(nonce, plate.text.encode(), day.encode())
            rows.append((day, _signed(plate.token), nonce, sealed))
        if rows:
            self._db.execute("BEGIN")
            self._db.executemany("INSERT OR IGNORE INTO plates VALUES (?, ?, ?, ?)", rows)
            self._db.execute("COMMIT")

    def reveal(self, token: int) -> list[Revealed]:
        """The plate of a token on every day whose key still exists."""
        found = []
        for day, nonce, sealed in self._db.execute(
            "SELECT day, nonce, sealed FROM plates WHERE token = ? ORDER BY day", (_signed(token),)
        ):
            key = self._keys.known(day)
            if key is not None:
                found.append(Revealed(day, AESGCM(key).decrypt(nonce, sealed, day.encode()).decode()))
        return found

    def forget_before(self, time_ns: int) -> list[str]:
        """Destroy the keys, and the rows, of all days that ended before; the days."""
        days = self._keys.forget_before(time_ns)
        self._db.execute("DELETE FROM plates WHERE day < ?", (day_of(time_ns),))
        return days

    def close(self) -> None:
        self._db.close()


def _signed(token: int) -> int:
    """SQLite's integers are signed."""
    return token - (1 << 64) if token >= 1 << 63 else token
