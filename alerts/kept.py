"""Incidents, silences and tallies as they are stored: each record by itself, so that none is lost with the state of tracking.

A record is a msgpack map of the fields of its class, with a format number. A field that is added with a default needs nothing.
A field that is renamed or changes its meaning needs the next format number and a function in MIGRATIONS, which works on plain
maps; `tests/unit/test_migrations.py` reads records that earlier versions wrote, and fails where one is missing.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from model.alerts import Incident, Silence, Tally

FORMAT = 1
Plain = dict[str, Any]
MIGRATIONS: dict[int, Callable[[str, Plain], Plain]] = {}  # from a format to the next: (table, record) to record
TABLES: dict[str, type] = {"incidents": Incident, "silences": Silence, "tallies": Tally}
Record = Incident | Silence | Tally


@dataclass(frozen=True)
class Records:
    """What is kept whatever becomes of tracking."""

    incidents: tuple[Incident, ...] = ()
    silences: tuple[Silence, ...] = ()
    tallies: tuple[Tally, ...] = ()


@dataclass(frozen=True)
class Row:
    """A record as it is stored."""

    table: str
    key: str
    place: int  # in its order among those of its table
    format: int
    data: bytes


@dataclass(frozen=True)
class Changes:
    """What has to be written so that the stored records are those of now."""

    rows: tuple[Row, ...] = ()
    gone: tuple[tuple[str, str], ...] = ()  # (table, key)


class Ledger:
    """Remembers which records are stored. Records never change, so the same object at the same place is stored already."""

    def __init__(self, stored: Iterable[tuple[str, str]] = ()) -> None:
        """`stored`: (table, key) of what is there, in whatever form: it is written anew, or goes."""
        self._stored: dict[tuple[str, str], tuple[int, Record | None]] = dict.fromkeys(stored, (-1, None))

    def changes(self, records: Records) -> Changes:
        """What differs from the records before; at first, all of them."""
        now: dict[tuple[str, str], tuple[int, Record]] = {}
        for table in TABLES:
            for place, record in enumerate(getattr(records, table)):
                now[table, key_of(record)] = place, record
        rows = tuple(
            Row(table, key, place, FORMAT, msgspec.msgpack.encode(record))
            for (table, key), (place, record) in now.items()
            if not _is_stored(self._stored.get((table, key)), place, record)
        )
        gone = tuple(each for each in self._stored if each not in now)
        self._stored = {**now}
        return Changes(rows, gone)


def key_of(record: Record) -> str:
    """By which a record is found in its table."""
    if isinstance(record, Incident):
        return record.key
    return record.id if isinstance(record, Silence) else f"{record.sensor}|{record.rule}"


def records_of(rows: Iterable[Row]) -> tuple[Records, list[str]]:
    """The records of stored rows, in their order, and a sentence about each that cannot be read."""
    found: dict[str, list[Any]] = {table: [] for table in TABLES}
    unreadable = []
    for row in sorted(rows, key=lambda r: r.place):
        try:
            found[row.table].append(_record(row))
        except (msgspec.MsgspecError, KeyError, TypeError, ValueError) as error:
            unreadable.append(f"{row.table}: {row.key} cannot be read ({error}).")
    return Records(*(tuple(found[table]) for table in TABLES)), unreadable


def _record(row: Row) -> Record:
    if row.format == FORMAT:
        record: Record = msgspec.msgpack.decode(row.data, type=TABLES[row.table])
        return record
    plain = msgspec.msgpack.decode(row.data)
    for number in range(row.format, FORMAT):
        plain = MIGRATIONS[number](row.table, plain)
    migrated: Record = msgspec.convert(plain, type=TABLES[row.table])
    return migrated


def _is_stored(before: tuple[int, Record | None] | None, place: int, record: Record) -> bool:
    return before is not None and before[0] == place and before[1] is record
