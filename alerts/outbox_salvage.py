"""A database that is damaged: kept under another name, and what can be read of it carried into a new one.

What is lost comes again from the journal, with the same keys, as far as the journal is kept. So the state of tracking and the
place in the journal are not carried over; alerts, deliveries, actions, incidents and silences are.
"""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from alerts.outbox_tables import CHECKED, opened, whole

CARRIED = ("incidents", "silences", "tallies", "revisions", "views", "deliveries", "actions")
SUFFIXES = ("", "-wal", "-shm")


def salvaged(path: Path, time_ns: int) -> str:
    """Begin a new database in place of a damaged one; a sentence about what was carried over."""
    aside = path.with_name(f"{path.name}.damaged-{time_ns // 1_000_000_000}")
    for suffix in SUFFIXES:
        file = path.with_name(path.name + suffix)
        if file.exists():
            file.replace(aside.with_name(aside.name + suffix))
    new = opened(path)
    try:
        counts = _carried_over(aside, new)
    finally:
        new.close()
    said = ", ".join(f"{count} {table}" for table, count in counts.items())
    return f"It is kept as {aside.name}. Carried over: {said}. The rest is read from the journal again."


def _carried_over(aside: Path, new: sqlite3.Connection) -> dict[str, int]:
    counts = dict.fromkeys(CARRIED, 0)
    try:
        old = sqlite3.connect(aside, isolation_level=None)
    except sqlite3.DatabaseError:
        return counts
    try:
        new.execute("BEGIN IMMEDIATE")
        for table in CARRIED:
            columns = [row[1] for row in new.execute(f"PRAGMA table_info({table})")]
            marks = ", ".join("?" * len(columns))
            for row in _rows(old, table, columns):
                new.execute(f"INSERT OR IGNORE INTO {table} ({', '.join(columns)}) VALUES ({marks})", row)
            new.execute(f"DELETE FROM {table} WHERE NOT COALESCE({whole(table)}, 0)")
            counts[table] = int(new.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0])
        new.execute("COMMIT")
    finally:
        old.close()
    return counts


def _rows(old: sqlite3.Connection, table: str, columns: list[str]) -> Iterator[tuple[Any, ...]]:
    """The rows that can be read, from either end of the table up to where it is damaged."""
    by = ", ".join(CHECKED[table][:3])
    for direction in ("ASC", "DESC"):
        order = f"{by} {direction}" if table == "views" else f"rowid {direction}"
        try:
            yield from old.execute(f"SELECT {', '.join(columns)} FROM {table} ORDER BY {order}")
        except sqlite3.DatabaseError:
            continue  # up to here; the other end follows
        return
