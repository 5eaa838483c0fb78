"""The outbox's tables, their version, and the way from each earlier version to the next.

Nothing here may import names whose meaning can change: a migration reads and writes SQL only.
"""

import sqlite3
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import msgspec

from alerts.checksums import checksum
from model.stored import Damaged, NewerFormat, UnreadableFormat

VERSION = 4
WAL_BYTES_KEPT = 16 * 1024 * 1024
TABLES = """
CREATE TABLE meta (version INTEGER NOT NULL);
CREATE TABLE position (id INTEGER PRIMARY KEY CHECK (id = 1), position INTEGER, now_ns INTEGER, checksum BLOB);
CREATE TABLE snapshot (id INTEGER PRIMARY KEY CHECK (id = 1), format INTEGER, mark BLOB, state BLOB, checksum BLOB);
CREATE TABLE parts (number INTEGER PRIMARY KEY, data BLOB, checksum BLOB);
CREATE TABLE incidents (key TEXT PRIMARY KEY, place INTEGER, format INTEGER, record BLOB, checksum BLOB);
CREATE TABLE silences (key TEXT PRIMARY KEY, place INTEGER, format INTEGER, record BLOB, checksum BLOB);
CREATE TABLE tallies (key TEXT PRIMARY KEY, place INTEGER, format INTEGER, record BLOB, checksum BLOB);
CREATE TABLE revisions (
    number INTEGER PRIMARY KEY, alert TEXT, revision INTEGER, phase TEXT, severity TEXT, raised_ns INTEGER, told_ns INTEGER,
    record BLOB, viewed TEXT NOT NULL DEFAULT '', checksum BLOB, UNIQUE (alert, revision));
CREATE TABLE views (
    alert TEXT, revision INTEGER, agency TEXT, record BLOB, checksum BLOB, PRIMARY KEY (alert, revision, agency)) WITHOUT ROWID;
CREATE TABLE deliveries (
    number INTEGER PRIMARY KEY, key TEXT UNIQUE, agency TEXT, channel TEXT, alert TEXT, revision INTEGER, body BLOB,
    attempts INTEGER DEFAULT 0, next_ns INTEGER DEFAULT 0, done_ns INTEGER, dead INTEGER DEFAULT 0, error TEXT DEFAULT '',
    checksum BLOB, state_checksum BLOB);
CREATE INDEX due ON deliveries (channel, number) WHERE done_ns IS NULL AND dead = 0;
CREATE INDEX thread ON deliveries (channel, alert);
CREATE TABLE actions (
    id INTEGER PRIMARY KEY, request TEXT UNIQUE, topic TEXT NOT NULL, payload BLOB, entered_ns INTEGER NOT NULL DEFAULT 0,
    taken INTEGER DEFAULT 0, answer TEXT, checksum BLOB, state_checksum BLOB);
CREATE TABLE rejections (
    reason TEXT, topic TEXT, sensor TEXT, count INTEGER, last_ns INTEGER, detail TEXT, checksum BLOB,
    PRIMARY KEY (reason, topic, sensor));
CREATE TABLE withheld (
    number INTEGER PRIMARY KEY, time_ns INTEGER, rule TEXT, zone TEXT, subject TEXT, reason TEXT, checksum BLOB,
    UNIQUE (time_ns, rule, zone, subject, reason));
CREATE TABLE status (name TEXT PRIMARY KEY, value BLOB, checksum BLOB);
CREATE TABLE faults (
    kind TEXT, about TEXT, count INTEGER, first_ns INTEGER, last_ns INTEGER, detail TEXT, checksum BLOB,
    PRIMARY KEY (kind, about))
"""
# What each checksum is made of, in this order. `viewed`: the agencies that have a view of their own of a revision.
CHECKED = {
    "position": ("position", "now_ns"),
    "snapshot": ("format", "mark", "state"),
    "parts": ("number", "data"),
    "incidents": ("key", "place", "format", "record"),
    "silences": ("key", "place", "format", "record"),
    "tallies": ("key", "place", "format", "record"),
    "revisions": ("alert", "revision", "phase", "severity", "raised_ns", "told_ns", "record", "viewed"),
    "views": ("alert", "revision", "agency", "record"),
    "deliveries": ("key", "agency", "channel", "alert", "revision", "body"),
    "actions": ("request", "topic", "payload"),
    "rejections": ("reason", "topic", "sensor", "count", "last_ns", "detail"),
    "withheld": ("time_ns", "rule", "zone", "subject", "reason"),
    "status": ("name", "value"),
    "faults": ("kind", "about", "count", "first_ns", "last_ns", "detail"),
}
# What changes after a row was written has a checksum of its own, with the value that each begins with.
STATES = {
    "deliveries": {"attempts": "0", "next_ns": "0", "done_ns": "NULL", "dead": "0"},
    "actions": {"taken": "0"},
}


def whole(table: str, alias: str = "") -> str:
    """The SQL of whether a row is as it was written."""
    at = alias or table
    return f"{at}.checksum = {_checksum(f'{at}.{column}' for column in CHECKED[table])}"


def whole_state(table: str) -> str:
    """The SQL of whether what changes of a row is as it was written."""
    return f"state_checksum = {_checksum(STATES[table])}"


def inserted(table: str, *more: str, or_what: str = "REPLACE", on_conflict: Mapping[str, str] | None = None) -> str:
    """The SQL that writes a row with its checksums. Values: those that the checksum is made of, then `more`.

    `on_conflict`: the expressions of the columns that change where the row is there already.
    """
    names = (*CHECKED[table], *more)
    given = [f"?{n}" for n in range(1, len(names) + 1)]
    sums = {"checksum": _checksum(given[: len(CHECKED[table])])}
    if table in STATES:
        sums["state_checksum"] = _checksum(STATES[table].values())
    statement = f"INSERT OR {or_what} INTO {table} ({', '.join((*names, *sums))}) VALUES ({', '.join((*given, *sums.values()))})"
    if on_conflict is None:
        return statement
    checked = _checksum(on_conflict.get(column, column) for column in CHECKED[table])
    return f"{statement} ON CONFLICT DO UPDATE SET {_set(on_conflict)}, checksum = {checked}"


def changed(table: str, **state: str) -> str:
    """The SQL that changes a row's state: an expression for each column that changes."""
    checked = _checksum(state.get(column, column) for column in STATES[table])
    return f"UPDATE {table} SET {_set(state)}, state_checksum = {checked}"


def _set(expressions: Mapping[str, str]) -> str:
    return ", ".join(f"{column} = {expression}" for column, expression in expressions.items())


def _checksum(expressions: Iterable[str]) -> str:
    """The SQL of a checksum. Values go in as bytes: text that damage left without an encoding could not be handed over."""
    return f"checksum({', '.join(f'typeof({each}), CAST({each} AS BLOB)' for each in expressions)})"


def _text(data: bytes) -> str:
    """A text as it is stored, also where damage left bytes that are no UTF-8: its checksum tells."""
    return data.decode("utf-8", "replace")


def opened(path: Path) -> sqlite3.Connection:
    """A connection to the database, its tables up to date.

    Raises UnreadableFormat or Damaged, or what SQLite does, with the path as a note.
    """
    try:
        db = sqlite3.connect(path, isolation_level=None, timeout=10.0)
        try:
            _given_functions(db)
            db.execute("PRAGMA auto_vacuum = INCREMENTAL")  # for a new database: pages that are free can be given back
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            db.execute(f"PRAGMA journal_size_limit = {WAL_BYTES_KEPT}")
            prepared(db, str(path))
        except BaseException:
            db.close()
            raise
    except sqlite3.DatabaseError as error:
        if type(error) is sqlite3.DatabaseError:
            raise Damaged(
                f"{path} is damaged ({error}). Restart the service: it keeps what can be read and reads the journal again."
            ) from error
        error.add_note(str(path))
        raise
    return db


def opened_for_reading(path: Path) -> sqlite3.Connection:
    """A connection where nothing can be written. Raises UnreadableFormat or Damaged, or what SQLite does."""
    ahead = path.with_name(f"{path.name}-wal")
    alone = not (ahead.exists() and ahead.stat().st_size)  # then SQLite need not write beside it to read it
    uri = f"{path.absolute().as_uri()}?mode=ro{'&immutable=1' if alone else ''}"
    db = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=10.0)
    try:
        _given_functions(db)
        version = _version(db, str(path))
        if version != VERSION:
            raise UnreadableFormat(
                f"{path} has version {version}, and cannot be migrated while nothing can be written."
            )
    except BaseException:
        db.close()
        raise
    return db


def _given_functions(db: sqlite3.Connection) -> None:
    db.text_factory = _text
    db.create_function("checksum", -1, checksum, deterministic=True)


def prepared(db: sqlite3.Connection, path: str) -> None:
    """Make the tables of a new database, or bring those of an older version up to date. Raises UnreadableFormat or Damaged."""
    if _version(db, path) == VERSION:
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        version = _version(db, path)  # another process may have been first
        if version is None:
            _created(db)
        elif version != VERSION:
            _migrated(db, version, path)
        db.execute(f"PRAGMA user_version = {VERSION}")
        db.execute("COMMIT")
        if version is not None:
            db.execute("VACUUM")  # lets free pages be given back from now on
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _version(db: sqlite3.Connection, path: str) -> int | None:
    """The version of what is there; None: nothing is. From 4 on it stands in two places, so that damage is no version."""
    (header,) = db.execute("PRAGMA user_version").fetchone()
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables and not header:
        return None
    rows = db.execute("SELECT version FROM meta").fetchall() if "meta" in tables else []
    says = rows[0][0] if len(rows) == 1 else None
    if not isinstance(says, int) or (says != header if header else says > 3):
        raise Damaged(f"{path} is damaged: it does not say one version of its tables.")
    return says


def _created(db: sqlite3.Connection) -> None:
    for statement in TABLES.split(";"):
        db.execute(statement)
    db.execute("INSERT INTO meta VALUES (?)", (VERSION,))


def _migrated(db: sqlite3.Connection, version: int, path: str) -> None:
    if version > VERSION:
        raise NewerFormat(path, version, VERSION)
    if version < min(MIGRATIONS) or not _is_whole(db):
        raise UnreadableFormat(
            f"{path} was written by a version of Marchwarden from before the first release, which cannot be migrated. "
            "Move the file away; the service begins a new one."
        )
    try:
        for number in range(version, VERSION):
            MIGRATIONS[number](db)
    except (msgspec.MsgspecError, LookupError, TypeError, ValueError) as error:
        raise Damaged(
            f"{path} is damaged: it cannot be brought from version {version} to {VERSION} ({error})."
        ) from error
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


def _from_3(db: sqlite3.Connection) -> None:
    """Checksums; incidents, silences and tallies in tables of their own."""
    kept = _kept_in_3(db)
    position = db.execute("SELECT position, now_ns FROM snapshot").fetchone()
    for old in ("snapshot", "parts"):
        db.execute(f"DROP TABLE {old}")  # tracking begins anew: its state was in a form that hung on names in the code
    for table in ("position", "snapshot", "parts", *kept):
        db.execute(_statement(table))
    if position is not None:
        db.execute(f"INSERT INTO position VALUES (1, ?1, ?2, {_checksum(('?1', '?2'))})", position)
    for table, records in kept.items():
        db.executemany(
            f"INSERT INTO {table} VALUES (?1, ?2, 1, ?3, {_checksum(('?1', '?2', '1', '?3'))})",
            [(key, place, record) for place, (key, record) in enumerate(records)],
        )
    db.execute("ALTER TABLE actions ADD COLUMN entered_ns INTEGER NOT NULL DEFAULT 0")
    db.execute("ALTER TABLE revisions ADD COLUMN viewed TEXT NOT NULL DEFAULT ''")
    db.execute(
        "UPDATE revisions SET viewed = COALESCE((SELECT GROUP_CONCAT(agency, ' ') FROM (SELECT agency FROM views AS v "
        "WHERE v.alert = revisions.alert AND v.revision = revisions.revision ORDER BY agency)), '')"
    )
    for table in ("revisions", "views", "deliveries", "actions", "rejections", "withheld", "status", "faults"):
        db.execute(f"ALTER TABLE {table} ADD COLUMN checksum BLOB")
        db.execute(f"UPDATE {table} SET checksum = {_checksum(CHECKED[table])}")
    for table, columns in STATES.items():
        db.execute(f"ALTER TABLE {table} ADD COLUMN state_checksum BLOB")
        db.execute(f"UPDATE {table} SET state_checksum = {_checksum(columns)}")


def _kept_in_3(db: sqlite3.Connection) -> dict[str, list[tuple[str, bytes]]]:
    """(key, record in format 1) of what versions 2 and 3 held in their snapshot.

    That was a mark of 32 bytes, a digest of 16, and the state as lists: its last value is that of alerting (memories,
    incidents, silences, tallies, units). An incident stood there as the number of its part, which holds a map.
    """
    row = db.execute("SELECT state FROM snapshot").fetchone()
    if row is None:
        return {"incidents": [], "silences": [], "tallies": []}
    _, incidents, silences, tallies, *_ = msgspec.msgpack.decode(row[0][48:])[-1]
    parts = dict(db.execute("SELECT number, data FROM parts").fetchall())
    names = ("id", "by", "reason", "from_ns", "until_ns", "matchers")
    return {
        "incidents": [(msgspec.msgpack.decode(d)["key"], d) for d in (parts[i["part"]] for i in incidents)],
        "silences": [(s[0], msgspec.msgpack.encode(dict(zip(names, s, strict=True)))) for s in silences],
        "tallies": [
            (
                f"{t[0]}|{t[1]}",
                msgspec.msgpack.encode(dict(zip(("sensor", "rule", "genuine", "nuisance"), t, strict=True))),
            )
            for t in tallies
        ],
    }


def _statement(table: str) -> str:
    """The statement that makes a table, as of now. A later version that changes it keeps the old text in its migration."""
    return next(s for s in TABLES.split(";") if s.strip().startswith(f"CREATE TABLE {table} "))


MIGRATIONS: dict[int, Callable[[sqlite3.Connection], None]] = {2: _from_2, 3: _from_3}
