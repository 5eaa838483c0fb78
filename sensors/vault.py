"""What is kept sealed: under a key a day, so that destroying the key ends its retention, wherever copies may lie.

Plates in clear, by their token; and cameras' pictures, by camera and time.
"""

import secrets
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from model.classes import CLASS_OF_LABEL
from sensors.keys import DayKeys, day_of
from sensors.readings import Picture, PlateText


class Sealed:
    """A table of one purpose, each row sealed under the key of its day."""

    def __init__(self, folder: Path, purpose: str, columns: str, key: str) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._keys, self._table = DayKeys(folder / "keys", purpose), purpose
        self._db = sqlite3.connect(folder / f"{purpose}.db", isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.execute(
            f"CREATE TABLE IF NOT EXISTS {purpose} (day TEXT, {columns}, nonce BLOB, sealed BLOB, PRIMARY KEY ({key}))"
        )

    def _keep(self, rows: Iterable[tuple[str, tuple[object, ...], bytes]]) -> None:
        """(day, columns, what is to be sealed) of each; what is there already stays. Durable when this returns."""
        sealed = []
        for day, columns, data in rows:
            nonce = secrets.token_bytes(12)
            sealed.append((day, *columns, nonce, AESGCM(self._keys.key(day)).encrypt(nonce, data, day.encode())))
        if sealed:
            marks = ", ".join("?" * len(sealed[0]))
            self._db.execute("BEGIN")
            self._db.executemany(f"INSERT OR IGNORE INTO {self._table} VALUES ({marks})", sealed)
            self._db.execute("COMMIT")

    def _open(self, day: str, nonce: bytes, sealed: bytes) -> bytes | None:
        """None: its key was destroyed."""
        key = self._keys.known(day)
        return None if key is None else AESGCM(key).decrypt(nonce, sealed, day.encode())

    def forget_before(self, time_ns: int) -> list[str]:
        """Destroy the keys, and the rows, of all days that ended before; the days."""
        days = self._keys.forget_before(time_ns)
        self._db.execute(f"DELETE FROM {self._table} WHERE day < ?", (day_of(time_ns),))
        return days

    def close(self) -> None:
        self._db.close()


@dataclass(frozen=True)
class Revealed:
    """A plate and the day on which it was read."""

    day: str
    plate: str


class Vault(Sealed):
    """The sealed plates of a site. Whoever opens one is written into the audit log by the caller."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "plates", "token INTEGER", "day, token")

    def seal(self, plates: Iterable[PlateText]) -> None:
        """Keep each plate once a day. Durable when this returns."""
        once = {(day_of(p.observed_ns), p.token): p for p in plates}
        self._keep((day, (_signed(token),), p.text.encode()) for (day, token), p in once.items())

    def reveal(self, token: int) -> list[Revealed]:
        """The plate of a token on every day whose key still exists."""
        rows = self._db.execute("SELECT day, nonce, sealed FROM plates WHERE token = ? ORDER BY day", (_signed(token),))
        opened = ((day, self._open(day, nonce, sealed)) for day, nonce, sealed in rows)
        return [Revealed(day, plate.decode()) for day, plate in opened if plate is not None]


@dataclass(frozen=True)
class Shown:
    """A camera's picture."""

    received_ns: int
    label: str
    jpeg: bytes


class Pictures(Sealed):
    """The pictures that cameras sent, made small (`sensors/pictures.py`). Who looks is for the caller to write down."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "pictures", "sensor TEXT, received_ns INTEGER, label TEXT", "sensor, received_ns")

    def keep(self, pictures: Iterable[tuple[str, Picture]]) -> None:
        """(sensor's id, picture) of each. Durable when this returns."""
        self._keep((day_of(p.received_ns), (sensor, p.received_ns, p.label), p.jpeg) for sensor, p in pictures)

    def newest(self, sensor: str, from_ns: int, to_ns: int, kind: str = "") -> Shown | None:
        """The last that a camera sent between two times, of a class if there is one. None: there is none, or its key is gone."""
        labels = [label for label, of in CLASS_OF_LABEL.items() if of == kind]
        row = self._db.execute(
            "SELECT day, received_ns, label, nonce, sealed FROM pictures "
            "WHERE sensor = ? AND received_ns BETWEEN ? AND ? "
            f"ORDER BY label IN ({', '.join('?' * len(labels))}) DESC, received_ns DESC LIMIT 1",
            (sensor, from_ns, to_ns, *labels),
        ).fetchone()
        if row is None:
            return None
        day, received_ns, label, nonce, sealed = row
        jpeg = self._open(day, nonce, sealed)
        return None if jpeg is None else Shown(received_ns, label, jpeg)


def _signed(token: int) -> int:
    """SQLite's integers are signed."""
    return token - (1 << 64) if token >= 1 << 63 else token
