"""What is kept sealed: under a key a day, so that destroying the key ends its retention, wherever copies may lie.

Plates in clear, by their token; and cameras' pictures, by camera and time.

Format 2: what is sealed is bound to its row, so that it does not open where the row has changed. In format 1 it was bound to its
day only; a database of that format is sealed anew when it is opened.
"""

import secrets
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from model.classes import CLASS_OF_LABEL
from model.stored import Damaged, NewerFormat
from sensors.keys import DayKeys, KeyUnusable, day_of
from sensors.readings import PlateText

FORMAT = 2


class Sealed:
    """A table of one purpose, each row sealed under the key of its day. Raises Damaged and NewerFormat."""

    def __init__(self, folder: Path, purpose: str, columns: str, key: str) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._keys, self._table = DayKeys(folder / "keys", purpose), purpose
        self.path = folder / f"{purpose}.db"
        self._db = sqlite3.connect(self.path, isolation_level=None)
        try:
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._prepare(f"CREATE TABLE {purpose} (day TEXT, {columns}, nonce BLOB, sealed BLOB, PRIMARY KEY ({key}))")
            self.identity = self._identified()
        except sqlite3.DatabaseError as error:
            self._db.close()
            if type(error) is not sqlite3.DatabaseError:
                raise  # locked, full or not to be written: the file itself is whole
            raise Damaged(f"{self.path} is damaged ({error}).") from error
        except BaseException:
            self._db.close()
            raise

    def _identified(self) -> int:
        """A number by which this database is known from one that takes its place; given to it when it is new."""
        (identity,) = self._db.execute("PRAGMA application_id").fetchone()
        if not identity:
            identity = secrets.randbelow((1 << 31) - 1) + 1
            self._db.execute(f"PRAGMA application_id = {identity}")
        return int(identity)

    def _prepare(self, statement: str) -> None:
        """Make the table of a new database, or bring that of an older format up to date."""
        if self._format() == FORMAT:
            return
        self._db.execute("BEGIN IMMEDIATE")
        try:
            format = self._format()  # another process may have been first
            if format > FORMAT:
                raise NewerFormat(str(self.path), format, FORMAT)
            if format == 0:
                self._db.execute(statement)
            for number in range(format, FORMAT):
                if number:
                    MIGRATIONS[number](self)
            self._db.execute(f"PRAGMA user_version = {FORMAT}")
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def _format(self) -> int:
        """0: it is new; 1 was written without a number."""
        (format,) = self._db.execute("PRAGMA user_version").fetchone()
        (tables,) = self._db.execute("SELECT COUNT(*) FROM sqlite_master WHERE name = ?", (self._table,)).fetchone()
        if format and not tables:
            raise Damaged(f"{self.path} is damaged: its table is gone.")
        return int(format) or int(tables)

    def check(self) -> str:
        """What SQLite finds wrong with the file; empty: nothing. An index that does not fit its table is made anew first."""
        try:
            if self._db.execute("PRAGMA integrity_check(1)").fetchone()[0] == "ok":
                return ""
            self._db.execute("REINDEX")
            found = str(self._db.execute("PRAGMA integrity_check(1)").fetchone()[0])
        except sqlite3.DatabaseError as error:
            return str(error)
        return "" if found == "ok" else " ".join(found.split())

    def newest_row(self) -> int:
        """The number of the newest row: it grows, except where retention removes all."""
        return int(self._db.execute(f"SELECT COALESCE(MAX(rowid), 0) FROM {self._table}").fetchone()[0])

    def lost_keys(self) -> list[str]:
        """A sentence for each day of which rows are there and cannot be opened: its key is gone, or another one.

        When retention ends, the rows go together with the key.
        """
        found = []
        for day, count in self._db.execute(
            f"SELECT day, COUNT(*) FROM {self._table} GROUP BY day ORDER BY day"
        ).fetchall():
            _, *columns, nonce, sealed = self._db.execute(
                f"SELECT * FROM {self._table} WHERE day = ? LIMIT 1", (day,)
            ).fetchone()
            try:
                lost = "is gone" if self._open(day, columns, nonce, sealed) is None else ""
            except Damaged:
                lost = "is another one"
            if lost:
                found.append(
                    f"The key {self._table}-{day}.key {lost}: {count} {self._table} of that day cannot be opened. "
                    "Restore it from a copy."
                )
        return found

    def _keep(self, rows: Iterable[tuple[str, tuple[object, ...], bytes]]) -> None:
        """(day, columns, what is to be sealed) of each; what is there already stays. Durable when this returns."""
        sealed = []
        for day, columns, data in rows:
            nonce = secrets.token_bytes(12)
            text = AESGCM(self._keys.key(day)).encrypt(nonce, data, _bound_to(day, columns))
            sealed.append((day, *columns, nonce, text))
        if not sealed:
            return
        marks = ", ".join("?" * len(sealed[0]))
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.executemany(f"INSERT OR IGNORE INTO {self._table} VALUES ({marks})", sealed)
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def _open(self, day: str, columns: Iterable[object], nonce: bytes, sealed: bytes) -> bytes | None:
        """None: its key was destroyed. Raises Damaged."""
        return self._unsealed(day, nonce, sealed, _bound_to(day, columns))

    def _unsealed(self, day: str, nonce: bytes, sealed: bytes, bound_to: bytes) -> bytes | None:
        try:
            key = self._keys.known(day)
            return None if key is None else AESGCM(key).decrypt(nonce, sealed, bound_to)
        except (InvalidTag, KeyUnusable, ValueError, TypeError) as error:
            raise Damaged(f"A row of {day} in {self.path.name} is damaged, or its key is another one.") from error

    def bind_to_rows(self) -> None:
        """From format 1 to 2. What cannot be opened any more, since its key was destroyed, goes."""
        for rowid, day, *columns, nonce, sealed in self._db.execute(f"SELECT rowid, * FROM {self._table}").fetchall():
            data = self._unsealed(day, nonce, sealed, str(day).encode())
            key = self._keys.known(day)
            if data is None or key is None:
                self._db.execute(f"DELETE FROM {self._table} WHERE rowid = ?", (rowid,))
                continue
            fresh = secrets.token_bytes(12)
            again = AESGCM(key).encrypt(fresh, data, _bound_to(day, columns))
            self._db.execute(f"UPDATE {self._table} SET nonce = ?, sealed = ? WHERE rowid = ?", (fresh, again, rowid))

    def forget_before(self, time_ns: int) -> list[str]:
        """Destroy the keys, and the rows, of all days that ended before; the days."""
        days = self._keys.forget_before(time_ns)
        self._db.execute(f"DELETE FROM {self._table} WHERE day < ?", (day_of(time_ns),))
        return days

    def close(self) -> None:
        self._db.close()


MIGRATIONS: dict[int, Callable[[Sealed], None]] = {1: Sealed.bind_to_rows}


def _bound_to(day: str, columns: Iterable[object]) -> bytes:
    return "\x1f".join((day, *map(str, columns))).encode()


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
        """The plate of a token on every day whose key still exists. Raises Damaged."""
        rows = self._db.execute("SELECT day, nonce, sealed FROM plates WHERE token = ? ORDER BY day", (_signed(token),))
        opened = ((day, self._open(day, (_signed(token),), nonce, sealed)) for day, nonce, sealed in rows)
        return [Revealed(day, plate.decode()) for day, plate in opened if plate is not None]


@dataclass(frozen=True)
class Shown:
    """A camera's picture, reduced."""

    received_ns: int
    label: str
    jpeg: bytes


class Pictures(Sealed):
    """The pictures that cameras sent, made small (`sensors/pictures.py`). Who looks is for the caller to write down."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "pictures", "sensor TEXT, received_ns INTEGER, label TEXT", "sensor, received_ns")

    def keep(self, pictures: Iterable[tuple[str, Shown]]) -> None:
        """(sensor's id, reduced picture) of each. Durable when this returns."""
        self._keep((day_of(p.received_ns), (sensor, p.received_ns, p.label), p.jpeg) for sensor, p in pictures)

    def newest(self, sensor: str, from_ns: int, to_ns: int, kind: str = "") -> Shown | None:
        """The last that a camera sent between two times, of a class if there is one.

        None: there is none, or its key is gone. Raises Damaged.
        """
        labels = [label for label, of in CLASS_OF_LABEL.items() if of == kind]
        row = self._db.execute(
            "SELECT day, sensor, received_ns, label, nonce, sealed FROM pictures "
            "WHERE sensor = ? AND received_ns BETWEEN ? AND ? "
            f"ORDER BY label IN ({', '.join('?' * len(labels))}) DESC, received_ns DESC LIMIT 1",
            (sensor, from_ns, to_ns, *labels),
        ).fetchone()
        if row is None:
            return None
        day, *columns, nonce, sealed = row
        jpeg = self._open(day, columns, nonce, sealed)
        return None if jpeg is None else Shown(columns[1], columns[2], jpeg)


def _signed(token: int) -> int:
    """SQLite's integers are signed."""
    return token - (1 << 64) if token >= 1 << 63 else token
