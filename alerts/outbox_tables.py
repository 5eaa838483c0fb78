"""The outbox's tables, their version, and the way from each earlier version to the next.

Nothing here may import names whose meaning can change: a migration reads and writes SQL only.
"""

import sqlite3
from collections.abc import Callable

from model.stored import NewerFormat, UnreadableFormat

VERSION = 3
TABLES = """
CREATE TABLE meta (version INTEGER NOT NULL);
CREATE TABLE snapshot (id INTEGER PRIMARY KEY CHECK (id = 1), state BLOB, position INTEGER, now_ns INTEGER);
CREATE TABLE parts (number INTEGER PRIMARY KEY, data BLOB);
CREATE TABLE revisions (
    number INTEGER PRIMARY KEY, alert TEXT, revision INTEGER, phase TEXT, severity TEXT, raised_ns INTEGER, told_ns INTEGER,
    record BLOB, UNIQUE (alert, revision));
CREATE TABLE views (
    alert TEXT, revision INTEGER, agency TEXT, record BLOB, PRIMARY KEY (alert, revision, agency)) WITHOUT ROWID;
CREATE TABLE deliveries (
    number INTEGER PRIMARY KEY, key TEXT UNIQUE, agency TEXT, channel TEXT, alert TEXT, revision INTEGER, body BLOB,
    attempts INTEGER DEFAULT 0, next_ns INTEGER DEFAULT 0, done_ns INTEGER, dead INTEGER DEFAULT 0, error TEXT DEFAULT '');
CREATE INDEX due ON deliveries (channel, number) WHERE done_ns IS NULL AND dead = 0;
CREATE INDEX thread ON deliveries (channel, alert);
CREATE TABLE actions (
    id INTEGER PRIMARY KEY, request TEXT UNIQUE, payload BLOB, taken INTEGER DEFAULT 0, answer TEXT, topic TEXT NOT NULL);
CREATE TABLE rejections (
    reason TEXT, topic TEXT, sensor TEXT, count INTEGER, last_ns INTEGER, detail TEXT, PRIMARY KEY (reason, topic, sensor));
CREATE TABLE withheld (
    number INTEGER PRIMARY KEY, time_ns INTEGER, rule TEXT, zone TEXT, subject TEXT, reason TEXT,
    UNIQUE (time_ns, rule, zone, subject, reason));
CREATE TABLE status (name TEXT PRIMARY KEY, value BLOB);
CREATE TABLE faults (
    kind TEXT, about TEXT, count INTEGER, first_ns INTEGER, last_ns INTEGER, detail TEXT, PRIMARY KEY (kind, about))
"""


def prepared(db: sqlite3.Connection, path: str) -> None:
    """Make the tables of a new database, or bring those of an older version up to date. Raises NewerFormat."""
    if _version(db) == VERSION:
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        version = _version(db)  # another process may have been first
        if version is None:
            _created(db)
        else:
            _migrated(db, version, path)
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _version(db: sqlite3.Connection) -> int | None:
    """The version of what is there; None: nothing is."""
    if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone() is None:
        return None
    row = db.execute("SELECT version FROM meta").fetchone()
    return None if row is None else int(row[0])


def _created(db: sqlite3.Connection) -> None:
    for statement in TABLES.split(";"):
        db.execute(statement.replace("CREATE TABLE meta", "CREATE TABLE IF NOT EXISTS meta"))
    db.execute("INSERT INTO meta VALUES (?)", (VERSION,))


def _migrated(db: sqlite3.Connection, version: int, path: str) -> None:
    if version > VERSION:
        raise NewerFormat(path, version, VERSION)
    if version < min(MIGRATIONS) or not _is_whole(db):
        raise UnreadableFormat(
            f"{path} was written by a version of Marchwarden from before the first release, which cannot be migrated. "
            "Move the file away; the service begins a new one."
        )
    for number in range(version, VERSION):
        MIGRATIONS[number](db)
    db.execute("UPDATE meta SET version = ?", (VERSION,))


def _is_whole(db: sqlite3.Connection) -> bool:
    """Version 2 was changed once without a new number: does this one have all its columns?"""
    columns = {row[1] for row in db.execute("PRAGMA table_info(revisions)")}
    return {"phase", "severity", "raised_ns"} <= columns


def _from_2(db: sqlite3.Connection) -> None:
    """Actions name the topic that they take in the journal; faults have a table of their own."""
    db.execute("ALTER TABLE actions ADD COLUMN topic TEXT NOT NULL DEFAULT '$marchwarden/action'")
    db.execute(
        "CREATE TABLE faults (kind TEXT, about TEXT, count INTEGER, first_ns INTEGER, last_ns INTEGER, detail TEXT, "
        "PRIMARY KEY (kind, about))"
    )


MIGRATIONS: dict[int, Callable[[sqlite3.Connection], None]] = {2: _from_2}
