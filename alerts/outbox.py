"""The outbox: alerts, their deliveries, the snapshot and the journal position, in one SQLite database.

`commit` puts all that a stretch of the journal led to, and the state after it, into one transaction. What crashed before
it is done again from the snapshot, and what is then written a second time has the same keys and changes nothing.
"""

import secrets
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import msgspec

from alerts.outbox_tables import prepared
from alerts.wire import encoded, record_of
from model.alerts import Alert, Delivery, View, Withheld
from model.faults import Fault
from model.messages import ACTION_TOPIC, FAULT_TOPIC
from model.rejections import Rejection
from model.time import DAY_NS, NS

SEEN_BY = (
    "SELECT r.number, COALESCE(v.record, r.record) FROM revisions r "
    "LEFT JOIN views v ON v.alert = r.alert AND v.revision = r.revision AND v.agency = ?"
)
LONGEST_WAIT_NS = 300 * NS  # that a delivery is ever put off for
BEHIND = "An earlier word of this alert is a dead letter."
FAULTS_KEPT = 200
TOPICS_KEPT = 200  # rejections of more topics than this within a day are counted together
REJECTIONS_KEPT = 5_000  # rows; beyond them those are forgotten that were last seen longest ago
TOPIC_LETTERS, DETAIL_LETTERS = 200, 300
MANY = "(many)"


class UnknownAlert(LookupError):
    """No alert, or more than one, has a key that begins so."""


@dataclass(frozen=True)
class Commit:
    """What a stretch of the journal led to."""

    state: bytes  # the snapshot, but for its parts
    parts: dict[int, bytes]  # those that are new
    parts_used: set[int]  # all that it refers to; others are removed
    position: int  # of the journal frame from which reading goes on
    now_ns: int
    alerts: tuple[Alert, ...] = ()
    deliveries: tuple[Delivery, ...] = ()
    rejections: tuple[Rejection, ...] = ()
    withheld: tuple[Withheld, ...] = ()
    answers: tuple[tuple[str, str], ...] = ()  # (request, empty or why it could not be done) of what people did
    faults: tuple[Fault, ...] = ()
    status: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Due:
    """A delivery whose time has come."""

    number: int
    delivery: Delivery
    attempts: int


class Outbox:
    """A connection to the database. Each thread and process has one of its own. Raises UnreadableFormat."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._db = sqlite3.connect(path, isolation_level=None, timeout=10.0)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        prepared(self._db, str(path))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._db.close()

    # ── the pipeline's side ──────────────────────────────────────────────────────────────────────

    def tell(self, alerts: Iterable[Alert], deliveries: Iterable[Delivery], views: Iterable[View] = ()) -> None:
        """Alerts, their deliveries and who may see less of them at once, ahead of the snapshot that knows of them.

        After a crash the same journal gives them again from the snapshot before, with the same keys, and what is here stays.
        """
        with self._transaction():
            self._add(alerts, deliveries)
            self._db.executemany(
                "INSERT OR IGNORE INTO views VALUES (?, ?, ?, ?)",
                [(v.incident, v.revision, v.agency, v.record) for v in views],
            )

    def commit(self, step: Commit) -> None:
        """All of it, or nothing."""
        with self._transaction():
            self._add(step.alerts, step.deliveries)
            self._write(step)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:  # a full disk has ended it already
                self._db.execute("ROLLBACK")
            raise

    def _add(self, alerts: Iterable[Alert], deliveries: Iterable[Delivery]) -> None:
        db = self._db
        db.executemany(
            "INSERT OR IGNORE INTO revisions (alert, revision, phase, severity, raised_ns, told_ns, record) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    a.incident.key,
                    a.incident.revision,
                    a.incident.phase.value,
                    a.incident.severity,
                    a.incident.raised_ns,
                    a.told_ns,
                    encoded(record_of(a)),
                )
                for a in alerts
            ],
        )
        deliveries = list(deliveries)
        db.executemany(
            "INSERT OR IGNORE INTO deliveries (key, agency, channel, alert, revision, body) VALUES (?, ?, ?, ?, ?, ?)",
            [(d.key, d.agency, d.channel, d.incident, d.revision, d.body) for d in deliveries],
        )
        db.executemany(
            "UPDATE deliveries SET dead = 1, error = ? WHERE key = ? AND done_ns IS NULL AND EXISTS "
            "(SELECT 1 FROM deliveries AS d WHERE d.channel = deliveries.channel AND d.alert = deliveries.alert AND d.dead = 1)",
            [(BEHIND, d.key) for d in deliveries if d.revision > 1],
        )

    def _write(self, step: Commit) -> None:
        db = self._db
        db.execute("INSERT OR REPLACE INTO snapshot VALUES (1, ?, ?, ?)", (step.state, step.position, step.now_ns))
        held = {number for (number,) in db.execute("SELECT number FROM parts")}
        db.executemany("DELETE FROM parts WHERE number = ?", [(n,) for n in held - step.parts_used])
        db.executemany("INSERT INTO parts VALUES (?, ?)", list(step.parts.items()))
        db.executemany(
            "INSERT OR IGNORE INTO withheld (time_ns, rule, zone, subject, reason) VALUES (?, ?, ?, ?, ?)",
            [
                (w.event.observed_ns, w.event.rule, w.event.zone, " ".join(w.event.subjects), w.reason)
                for w in step.withheld
            ],
        )
        db.executemany("UPDATE actions SET answer = ? WHERE request = ?", [(a, r) for r, a in step.answers])
        self._count_rejections(step.rejections)
        self._count_faults(step.faults)
        for name, value in step.status.items():
            db.execute("INSERT OR REPLACE INTO status VALUES (?, ?)", (name, msgspec.json.encode(value)))

    def _count_rejections(self, rejections: Iterable[Rejection]) -> None:
        """Add to the counts. Topics are the senders' to choose: the table stays bounded whatever they are."""
        rejections = list(rejections)
        if not rejections:
            return
        topics = {topic for (topic,) in self._db.execute("SELECT DISTINCT topic FROM rejections")} - {MANY}
        if len(topics) >= TOPICS_KEPT:
            forgotten_ns = max(r.received_ns for r in rejections) - DAY_NS
            self._db.execute("DELETE FROM rejections WHERE last_ns < ?", (forgotten_ns,))
            topics = {topic for (topic,) in self._db.execute("SELECT DISTINCT topic FROM rejections")} - {MANY}
        rows = []
        for r in rejections:
            topic = r.topic[:TOPIC_LETTERS]
            if topic not in topics and len(topics) >= TOPICS_KEPT:
                topic = MANY
            elif topic != MANY:
                topics.add(topic)
            rows.append((r.reason.value, topic, r.sensor, r.count, r.received_ns, r.detail[:DETAIL_LETTERS]))
        self._db.executemany(
            "INSERT INTO rejections VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
            "count = count + excluded.count, last_ns = MAX(last_ns, excluded.last_ns), detail = excluded.detail",
            rows,
        )
        self._db.execute(
            "DELETE FROM rejections WHERE (reason, topic, sensor) IN (SELECT reason, topic, sensor FROM rejections "
            "ORDER BY last_ns DESC, reason, topic, sensor LIMIT -1 OFFSET ?)",
            (REJECTIONS_KEPT,),
        )

    def _count_faults(self, faults: Iterable[Fault]) -> None:
        self._db.executemany(
            "INSERT INTO faults VALUES (?1, ?2, 1, ?3, ?3, ?4) ON CONFLICT DO UPDATE SET "
            "count = count + 1, last_ns = MAX(last_ns, excluded.last_ns), detail = excluded.detail",
            [(f.kind.value, f.about, f.observed_ns, f.detail) for f in faults],
        )
        self._db.execute(
            "DELETE FROM faults WHERE rowid IN (SELECT rowid FROM faults ORDER BY last_ns DESC LIMIT -1 OFFSET ?)",
            (FAULTS_KEPT,),
        )

    def snapshot(self) -> tuple[bytes, dict[int, bytes], int] | None:
        """(state, its parts, position) of the last commit."""
        self._db.execute("BEGIN")
        row = self._db.execute("SELECT state, position FROM snapshot").fetchone()
        parts = dict(self._db.execute("SELECT number, data FROM parts").fetchall())
        self._db.execute("COMMIT")
        return None if row is None else (row[0], parts, row[1])

    def now_ns(self) -> int:
        """The received time up to which the last commit goes; 0 before the first."""
        row = self._db.execute("SELECT now_ns FROM snapshot").fetchone()
        return 0 if row is None else int(row[0])

    # ── actions: from people, by way of the journal ──────────────────────────────────────────────

    def add_action(self, said: dict[str, Any]) -> str:
        """Hand in what a person did; the request's id, by which the answer is found."""
        request = secrets.token_hex(8)
        payload = msgspec.json.encode(said | {"request": request})
        self._db.execute(
            "INSERT INTO actions (request, topic, payload) VALUES (?, ?, ?)", (request, ACTION_TOPIC, payload)
        )
        return request

    def report_fault(self, fault: Fault) -> None:
        """Hand in what is wrong with the system: it travels through the journal as actions do, and rules make an incident of it.

        The same fault is handed in at most once a minute, so a caller may report it as often as it meets it.
        """
        request = f"{fault.subject}:{fault.observed_ns // (60 * NS)}"
        payload = msgspec.json.encode(fault)
        self._db.execute(
            "INSERT OR IGNORE INTO actions (request, topic, payload) VALUES (?, ?, ?)", (request, FAULT_TOPIC, payload)
        )

    def answer_to(self, request: str) -> str | None:
        """Empty: it is done; None: not yet; otherwise why it could not be."""
        row = self._db.execute("SELECT answer FROM actions WHERE request = ?", (request,)).fetchone()
        return None if row is None else row[0]

    def waiting_actions(self) -> list[tuple[int, str, bytes]]:
        """(id, topic, payload) of what the journal does not hold yet: actions and faults."""
        return self._db.execute("SELECT id, topic, payload FROM actions WHERE taken = 0 ORDER BY id").fetchall()

    def actions_taken(self, ids: list[int]) -> None:
        self._db.executemany("UPDATE actions SET taken = 1 WHERE id = ?", [(id,) for id in ids])

    # ── deliveries ───────────────────────────────────────────────────────────────────────────────

    def due(self, channel: str, now_ns: int, limit: int = 100) -> list[Due]:
        """The oldest open delivery of each alert and agency on a channel, of those whose time has come.

        One that is to wait longer than anybody is ever told to was put off by a clock that has been set back since.
        """
        rows = self._db.execute(
            "SELECT number, key, agency, channel, alert, revision, body, attempts FROM deliveries WHERE number IN ("
            "SELECT MIN(number) FROM deliveries WHERE channel = ?1 AND done_ns IS NULL AND dead = 0 GROUP BY agency, alert"
            ") AND (next_ns <= ?2 OR next_ns > ?2 + ?4) ORDER BY number LIMIT ?3",
            (channel, now_ns, limit, LONGEST_WAIT_NS),
        ).fetchall()
        return [Due(n, Delivery(k, g, c, a, r, b), t) for n, k, g, c, a, r, b, t in rows]

    def delivered(self, numbers: Iterable[int], now_ns: int) -> None:
        with self._transaction():
            self._db.executemany(
                "UPDATE deliveries SET done_ns = ?, attempts = attempts + 1, error = '' WHERE number = ?",
                [(now_ns, n) for n in numbers],
            )

    def failed(self, due: Due, error: str, next_ns: int | None) -> None:
        """Try again at `next_ns`, or, without one, call it dead, and with it what waits behind it: nobody is told of a change to
        an alert that he was never told of."""
        with self._transaction():
            self._db.execute(
                "UPDATE deliveries SET attempts = attempts + 1, error = ?, next_ns = ?, dead = ? WHERE number = ?",
                (error, next_ns or 0, int(next_ns is None), due.number),
            )
            if next_ns is None:
                self._db.execute(
                    "UPDATE deliveries SET dead = 1, error = ? "
                    "WHERE channel = ? AND alert = ? AND number > ? AND done_ns IS NULL",
                    (BEHIND, due.delivery.channel, due.delivery.incident, due.number),
                )

    def dead_letters(self) -> list[dict[str, Any]]:
        """Deliveries that were given up, the oldest first."""
        rows = self._db.execute(
            "SELECT key, agency, channel, alert, revision, attempts, error FROM deliveries WHERE dead = 1 ORDER BY number"
        )
        names = ("delivery", "agency", "channel", "alert", "revision", "attempts", "error")
        return [dict(zip(names, row, strict=True)) for row in rows]

    def revive(self, channel: str = "", alert: str = "") -> int:
        """Open dead letters again, of one channel or alert, or all; how many."""
        return self._db.execute(
            "UPDATE deliveries SET dead = 0, next_ns = 0, attempts = 0 WHERE dead = 1 "
            "AND (?1 = '' OR channel = ?1) AND (?2 = '' OR alert = ?2)",
            (channel, alert),
        ).rowcount

    # ── for people ───────────────────────────────────────────────────────────────────────────────

    def incidents(self, open_only: bool = False, agency: str = "", since_ns: int = 0) -> list[dict[str, Any]]:
        """The newest revision of every alert, newest first: those that are not over, and the others told of since a time.

        For an agency, of those that it has, as it may see them.
        """
        rows = self._db.execute(
            f"{SEEN_BY} WHERE r.revision = (SELECT MAX(revision) FROM revisions WHERE alert = r.alert) "
            "AND (r.phase != 'cleared' OR (NOT ? AND r.told_ns >= ?)) ORDER BY r.raised_ns DESC, r.number DESC",
            (agency, open_only, since_ns),
        )
        return [record for _, record in _of_agency(rows, agency)]

    def revisions_after(self, number: int, agency: str = "") -> list[tuple[int, dict[str, Any]]]:
        """(number, record) of every revision written since; for an agency as above."""
        rows = self._db.execute(f"{SEEN_BY} WHERE r.number > ? ORDER BY r.number", (agency, number))
        return list(_of_agency(rows, agency))

    def newest_number(self) -> int:
        return int(self._db.execute("SELECT COALESCE(MAX(number), 0) FROM revisions").fetchone()[0])

    def full_key(self, start: str) -> str:
        """The one alert whose key begins so. Raises UnknownAlert."""
        rows = self._db.execute(
            "SELECT DISTINCT alert FROM revisions WHERE alert LIKE ? || '%' ESCAPE '\\' LIMIT 6",
            (start.upper().replace("%", "\\%").replace("_", "\\_"),),
        ).fetchall()
        if len(rows) == 1:
            return str(rows[0][0])
        if rows:
            raise UnknownAlert(
                f"Several alerts begin with {start!r}: {', '.join(r[0] for r in rows)}. Write more of the key."
            )
        raise UnknownAlert(f"No alert begins with {start!r}. `marchwarden alerts list` shows them.")

    def history_of(self, key: str, agency: str = "") -> list[dict[str, Any]]:
        """Every revision of one alert, oldest first; for an agency as above."""
        rows = self._db.execute(f"{SEEN_BY} WHERE r.alert = ? ORDER BY r.revision", (agency, key))
        return [record for _, record in _of_agency(rows, agency)]

    def deliveries_of(self, key: str) -> list[dict[str, Any]]:
        rows = self._db.execute(
            "SELECT key, agency, channel, revision, attempts, done_ns, dead, error FROM deliveries "
            "WHERE alert = ? ORDER BY number",
            (key,),
        )
        names = ("delivery", "agency", "channel", "revision", "attempts", "done_ns", "dead", "error")
        return [dict(zip(names, row, strict=True)) for row in rows]

    def withheld(self, limit: int = 200) -> list[dict[str, Any]]:
        """What raised nothing, and why, newest first."""
        rows = self._db.execute(
            "SELECT time_ns, rule, zone, subject, reason FROM withheld ORDER BY number DESC LIMIT ?", (limit,)
        )
        return [dict(zip(("time_ns", "rule", "zone", "subject", "reason"), row, strict=True)) for row in rows]

    def status(self) -> dict[str, Any]:
        """What the service last said of itself, and the counts of what waits."""
        said = {name: msgspec.json.decode(value) for name, value in self._db.execute("SELECT name, value FROM status")}
        waiting, dead, done = self._db.execute(
            "SELECT COALESCE(SUM(done_ns IS NULL AND dead = 0), 0), COALESCE(SUM(dead), 0), "
            "COALESCE(SUM(done_ns IS NOT NULL), 0) FROM deliveries"
        ).fetchone()
        return said | {
            "deliveries": {"waiting": waiting, "dead": dead, "delivered": done},
            "rejections": self.rejections(),
            "faults": self.faults(),
        }

    def faults(self) -> list[dict[str, Any]]:
        """System faults, the newest first; those that the journal does not hold yet are `waiting`, and come before."""
        waiting = self._db.execute(
            "SELECT payload FROM actions WHERE taken = 0 AND topic = ? ORDER BY id DESC", (FAULT_TOPIC,)
        )
        held = self._db.execute(
            "SELECT kind, about, count, first_ns, last_ns, detail FROM faults ORDER BY last_ns DESC"
        )
        names = ("kind", "about", "count", "first_ns", "last_ns", "detail")
        return [
            *(_waiting_fault(msgspec.json.decode(payload)) for (payload,) in waiting),
            *(dict(zip(names, row, strict=True)) | {"waiting": False} for row in held),
        ]

    def rejections(self) -> list[dict[str, Any]]:
        """Counted rejections, the most frequent first."""
        rows = self._db.execute(
            "SELECT reason, topic, sensor, count, last_ns, detail FROM rejections ORDER BY count DESC, reason, topic, sensor"
        )
        names = ("reason", "topic", "sensor", "count", "last_ns", "detail")
        return [dict(zip(names, row, strict=True)) for row in rows]


def _waiting_fault(payload: dict[str, Any]) -> dict[str, Any]:
    observed_ns = payload.pop("observed_ns")
    return payload | {"count": 1, "first_ns": observed_ns, "last_ns": observed_ns, "waiting": True}


def _of_agency(rows: Iterable[tuple[int, bytes]], agency: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, data in rows:
        record = msgspec.json.decode(data)
        if not agency or agency in record["agencies"]:
            yield number, record
