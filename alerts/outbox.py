"""The outbox: alerts, their deliveries, the snapshot and the journal position, in one SQLite database.

`commit` puts all that a stretch of the journal led to, and the state after it, into one transaction. What crashed before
it is done again from the snapshot, and what is then written a second time has the same keys and changes nothing.
"""

import secrets
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import msgspec

from alerts.kept import TABLES, Changes, Row
from alerts.outbox_tables import CHECKED, changed, inserted, opened, opened_for_reading, whole, whole_state
from alerts.wire import encoded, record_of
from model.alerts import Alert, Delivery, View, Withheld
from model.faults import Fault, FaultKind, fault_of
from model.messages import ACTION_TOPIC, FAULT_TOPIC
from model.rejections import Rejection
from model.stored import Damaged
from model.time import DAY_NS, NS

HAS_VIEW = "(?1 != '' AND instr(' ' || r.viewed || ' ', ' ' || ?1 || ' ') > 0)"
# (number, record, whether it is as it was written) for an agency: its own view, where the revision says that there is one.
SEEN_BY = (
    f"SELECT r.number, CASE WHEN {HAS_VIEW} THEN v.record ELSE r.record END, "
    f"{whole('revisions', 'r')} AND (NOT {HAS_VIEW} OR COALESCE({whole('views', 'v')}, 0)) FROM revisions r "
    "LEFT JOIN views v ON v.alert = r.alert AND v.revision = r.revision AND v.agency = ?1"
)
LONGEST_WAIT_NS = 300 * NS  # that a delivery is ever put off for
BEHIND = "An earlier word of this alert is a dead letter."
FAULTS_KEPT = 200
DAMAGED = "It was damaged on disk."
PAGES_FREED = 50_000  # when what is old is forgotten
FREE_PAGES_KEPT = 2_000  # for what comes next; what a flood needed beyond them is given back, as many at each commit
TOPICS_KEPT = 200  # rejections of more topics than this within a day are counted together
REJECTIONS_KEPT = 5_000  # rows; beyond them those are forgotten that were last seen longest ago
TOPIC_LETTERS, DETAIL_LETTERS = 200, 300
MANY = "(many)"
NO_TEXT = "''"
COUNTED_TOGETHER = {
    "count": "count + excluded.count",
    "last_ns": "MAX(last_ns, excluded.last_ns)",
    "detail": "excluded.detail",
}


class UnknownAlert(LookupError):
    """No alert, or more than one, has a key that begins so."""


@dataclass(frozen=True)
class StoredState:
    """The state of tracking as it is stored."""

    format: int
    mark: bytes  # of the configuration that its rows refer to
    root: bytes  # the state, but for its parts
    parts: dict[int, bytes]  # written: those that are new; read: all
    parts_used: frozenset[int] = frozenset()  # all that it refers to; others are removed


@dataclass(frozen=True)
class Commit:
    """What a stretch of the journal led to."""

    state: "StoredState | None"  # None: what is stored stays
    position: int  # of the journal frame from which reading goes on
    now_ns: int
    alerts: tuple[Alert, ...] = ()
    deliveries: tuple[Delivery, ...] = ()
    rejections: tuple[Rejection, ...] = ()
    withheld: tuple[Withheld, ...] = ()
    answers: tuple[tuple[str, str], ...] = ()  # (request, empty or why it could not be done) of what people did
    faults: tuple[Fault, ...] = ()
    kept: Changes = field(default_factory=Changes)  # of incidents, silences and tallies
    status: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Due:
    """A delivery whose time has come."""

    number: int
    delivery: Delivery
    attempts: int


class Outbox:
    """A connection to the database. Each thread and process has one of its own. Raises UnreadableFormat or Damaged."""

    def __init__(self, path: Path, read_only: bool = False) -> None:
        self._path = path
        if read_only:
            self._db = opened_for_reading(path)
        else:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._db = opened(path)
        self._file = path.stat().st_ino

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
        views = list(views)
        with self._transaction():
            self._add(alerts, deliveries, views)
            self._db.executemany(
                inserted("views", or_what="IGNORE"), [(v.incident, v.revision, v.agency, v.record) for v in views]
            )

    def commit(self, step: Commit) -> None:
        """All of it, or nothing."""
        with self._transaction():
            self._add(step.alerts, step.deliveries)
            self._write(step)
        if self._db.execute("PRAGMA freelist_count").fetchone()[0] > FREE_PAGES_KEPT:
            self._free_pages(FREE_PAGES_KEPT)

    def _free_pages(self, count: int) -> None:
        """Give pages that are free back to the disk."""
        self._db.executescript(f"PRAGMA incremental_vacuum({count})")  # `execute` would free a single one

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield self._db
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:  # a full disk has ended it already
                self._db.execute("ROLLBACK")
            raise

    def _add(self, alerts: Iterable[Alert], deliveries: Iterable[Delivery], views: Iterable[View] = ()) -> None:
        db = self._db
        viewed: dict[tuple[str, int], list[str]] = {}
        for view in views:
            viewed.setdefault((view.incident, view.revision), []).append(view.agency)
        db.executemany(
            inserted("revisions", or_what="IGNORE"),
            [
                (
                    a.incident.key,
                    a.incident.revision,
                    a.incident.phase.value,
                    a.incident.severity,
                    a.incident.raised_ns,
                    a.told_ns,
                    encoded(record_of(a)),
                    " ".join(sorted(viewed.get((a.incident.key, a.incident.revision), ()))),
                )
                for a in alerts
            ],
        )
        deliveries = list(deliveries)
        db.executemany(
            inserted("deliveries", or_what="IGNORE"),
            [(d.key, d.agency, d.channel, d.incident, d.revision, d.body) for d in deliveries],
        )
        db.executemany(
            f"{changed('deliveries', dead='1', error='?')} WHERE key = ? AND done_ns IS NULL AND EXISTS "
            "(SELECT 1 FROM deliveries AS d WHERE d.channel = deliveries.channel AND d.alert = deliveries.alert AND d.dead = 1)",
            [(BEHIND, d.key) for d in deliveries if d.revision > 1],
        )

    def _write(self, step: Commit) -> None:
        db = self._db
        db.execute(inserted("position", "id"), (step.position, step.now_ns, 1))
        if step.state is not None:
            self._write_state(step.state)
        for table, key in step.kept.gone:
            db.execute(f"DELETE FROM {table} WHERE key = ?", (key,))
        for row in step.kept.rows:
            db.execute(inserted(row.table), (row.key, row.place, row.format, row.data))
        db.executemany(
            inserted("withheld", or_what="IGNORE"),
            [
                (w.event.observed_ns, w.event.rule, w.event.zone, " ".join(w.event.subjects), w.reason)
                for w in step.withheld
            ],
        )
        db.executemany("UPDATE actions SET answer = ? WHERE request = ?", [(a, r) for r, a in step.answers])
        self._count_rejections(step.rejections)
        self._count_faults(step.faults)
        for name, value in step.status.items():
            db.execute(inserted("status"), (name, msgspec.json.encode(value)))

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
            inserted("rejections", or_what="ABORT", on_conflict=COUNTED_TOGETHER),
            rows,
        )
        self._db.execute(
            "DELETE FROM rejections WHERE (reason, topic, sensor) IN (SELECT reason, topic, sensor FROM rejections "
            "ORDER BY last_ns DESC, reason, topic, sensor LIMIT -1 OFFSET ?)",
            (REJECTIONS_KEPT,),
        )

    def _count_faults(self, faults: Iterable[Fault]) -> None:
        self._db.executemany(
            inserted("faults", or_what="ABORT", on_conflict=COUNTED_TOGETHER),
            [(f.kind.value, f.about, 1, f.observed_ns, f.observed_ns, f.detail) for f in faults if not f.over],
        )
        self._db.executemany(
            "DELETE FROM faults WHERE kind = ? AND about = ?", [(f.kind.value, f.about) for f in faults if f.over]
        )
        self._db.execute(
            "DELETE FROM faults WHERE rowid IN (SELECT rowid FROM faults ORDER BY last_ns DESC LIMIT -1 OFFSET ?)",
            (FAULTS_KEPT,),
        )

    def _write_state(self, state: StoredState) -> None:
        db = self._db
        db.execute(inserted("snapshot", "id"), (state.format, state.mark, state.root, 1))
        held = {number for (number,) in db.execute("SELECT number FROM parts")}
        db.executemany("DELETE FROM parts WHERE number = ?", [(n,) for n in held - state.parts_used])
        db.executemany(inserted("parts"), list(state.parts.items()))

    def position(self) -> tuple[int, int] | None:
        """(position in the journal, received time up to which everything is taken in) of the last commit. Raises Damaged."""
        row = self._db.execute(f"SELECT position, now_ns, {whole('position')} FROM position").fetchone()
        if row is not None and not row[2]:
            raise Damaged("Where reading of the journal stood is damaged.")
        return None if row is None else (int(row[0]), int(row[1]))

    def state(self) -> StoredState | None:
        """The state of tracking at the last commit. Raises Damaged."""
        with self._reading():
            row = self._db.execute(f"SELECT format, mark, state, {whole('snapshot')} FROM snapshot").fetchone()
            parts = self._db.execute(f"SELECT number, data, {whole('parts')} FROM parts").fetchall()
        if row is None:
            return None
        if not row[3] or not all(part[2] for part in parts):
            raise Damaged("The state of tracking is damaged.")
        return StoredState(row[0], row[1], row[2], {number: data for number, data, _ in parts})

    def kept(self) -> tuple[list[Row], list[str]]:
        """The rows of incidents, silences and tallies, and a sentence about each that was damaged, which is gone now."""
        rows, damaged = list[Row](), list[str]()
        with self._transaction():
            for table in TABLES:
                for key, place, format, data, is_whole in self._db.execute(
                    f"SELECT key, place, format, record, {whole(table)} FROM {table}"
                ):
                    if is_whole:
                        rows.append(Row(table, key, place, format, data))
                    else:
                        damaged.append(f"{table}: {key} is damaged.")
                self._db.execute(f"DELETE FROM {table} WHERE NOT COALESCE({whole(table)}, 0)")
        return rows, damaged

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Several queries of one state of the database."""
        self._db.execute("BEGIN")
        try:
            yield
        finally:
            self._db.execute("COMMIT")

    def now_ns(self) -> int:
        """The received time up to which the last commit goes; 0 before the first."""
        row = self._db.execute("SELECT now_ns FROM position").fetchone()
        return 0 if row is None else int(row[0])

    def check(self) -> str:
        """What SQLite finds wrong with the file; empty: nothing. Indexes that do not fit their tables are made anew first."""
        try:
            if self._db.execute("PRAGMA integrity_check(1)").fetchone()[0] == "ok":
                return ""
            self._db.execute("REINDEX")
            found = str(self._db.execute("PRAGMA integrity_check(1)").fetchone()[0])
        except sqlite3.DatabaseError as error:
            return str(error)
        return "" if found == "ok" else " ".join(found.split())

    def mend(self) -> list[str]:
        """Put right each row that is not as it was written; a sentence about what was found in each table."""
        with self._transaction():
            return [*self._end_damaged(), *self._remove_damaged(), *self._open_uncertain()]

    def _end_damaged(self) -> Iterator[str]:
        """A delivery that waits and is damaged is a dead letter, an action that waits is answered."""
        for table, waits, ended in (
            ("deliveries", "done_ns IS NULL AND dead = 0", {"dead": "1", "error": "?"}),
            ("actions", "taken = 0", {"taken": "1", "answer": "?"}),
        ):
            update = f"{changed(table, **ended)} WHERE NOT COALESCE({whole(table)}, 0) AND {waits}"
            count = self._db.execute(update, (DAMAGED,)).rowcount
            if count:
                yield f"{count} of the table {table} are damaged, and are not carried out."

    def _remove_damaged(self) -> Iterator[str]:
        """Of other tables, and of what was carried out before. A damaged view stays: nobody sees the whole record instead."""
        for table, of_these in (
            *((table, "1") for table in ("revisions", "withheld", "rejections", "faults", "status")),
            ("deliveries", "done_ns IS NOT NULL"),
            ("actions", f"taken = 1 AND answer IS NOT '{DAMAGED}'"),
        ):
            delete = f"DELETE FROM {table} WHERE NOT COALESCE({whole(table)}, 0) AND {of_these}"
            count = self._db.execute(delete).rowcount
            if count:
                yield f"{count} of the table {table} are damaged, and are removed."
        (hidden,) = self._db.execute(f"SELECT COUNT(*) FROM views WHERE NOT COALESCE({whole('views')}, 0)").fetchone()
        if hidden:
            yield f"{hidden} of the table views are damaged: their agencies do not see these revisions."

    def _open_uncertain(self) -> Iterator[str]:
        """Where it is not certain whether a delivery or an action was carried out, it is again: its key is the same."""
        for table, state, of_these in (
            ("deliveries", {"attempts": "0", "next_ns": "0", "done_ns": "NULL", "dead": "0"}, "1"),
            ("actions", {"taken": "0"}, "answer IS NULL"),
        ):
            update = f"{changed(table, **state)} WHERE NOT COALESCE({whole_state(table)}, 0) AND {of_these}"
            count = self._db.execute(update).rowcount
            if count:
                yield f"{count} of the table {table} are damaged, and are done again."

    def forget_before(self, time_ns: int, open_alerts: Iterable[str]) -> None:
        """Remove what is older, in every table, but for open alerts; and give free pages back to the disk."""
        with self._transaction() as db:
            db.execute("CREATE TEMP TABLE IF NOT EXISTS forgotten (alert TEXT PRIMARY KEY)")
            db.execute("DELETE FROM forgotten")
            db.execute(
                "INSERT INTO forgotten SELECT alert FROM revisions GROUP BY alert HAVING MAX(told_ns) < ?", (time_ns,)
            )
            db.executemany("DELETE FROM forgotten WHERE alert = ?", [(alert,) for alert in open_alerts])
            for table in ("revisions", "views", "deliveries"):
                db.execute(f"DELETE FROM {table} WHERE alert IN (SELECT alert FROM forgotten)")
            db.execute("DELETE FROM withheld WHERE time_ns < ?", (time_ns,))
            db.execute("DELETE FROM actions WHERE taken = 1 AND entered_ns < ?", (time_ns,))
            for table in ("rejections", "faults"):
                db.execute(f"DELETE FROM {table} WHERE last_ns < ?", (time_ns,))
        self._free_pages(PAGES_FREED)

    # ── actions: from people, by way of the journal ──────────────────────────────────────────────

    def add_action(self, said: dict[str, Any]) -> str:
        """Hand in what a person did; the request's id, by which the answer is found."""
        request = secrets.token_hex(8)
        payload = msgspec.json.encode(said | {"request": request})
        row = (request, ACTION_TOPIC, payload, time.time_ns())
        self._db.execute(inserted("actions", "entered_ns", or_what="ABORT"), row)
        return request

    def report_fault(self, fault: Fault) -> None:
        """Hand in what is wrong with the system: it travels through the journal as actions do, and rules make an incident of it.

        The same fault is handed in at most once a minute, so a caller may report it as often as it meets it.
        """
        request = f"{fault.subject}:{fault.observed_ns if fault.over else fault.observed_ns // (60 * NS)}"
        payload = msgspec.json.encode(fault)
        self._db.execute(
            inserted("actions", "entered_ns", or_what="IGNORE"), (request, FAULT_TOPIC, payload, fault.observed_ns)
        )

    def answer_to(self, request: str) -> str | None:
        """Empty: it is done; None: not yet; otherwise why it could not be."""
        row = self._db.execute("SELECT answer FROM actions WHERE request = ?", (request,)).fetchone()
        return None if row is None else row[0]

    def waiting_actions(self) -> list[tuple[int, str, bytes]]:
        """(id, topic, payload) of what the journal does not hold yet: actions and faults."""
        self._follow()
        rows = self._db.execute(
            f"SELECT id, topic, payload, {whole('actions')} FROM actions WHERE taken = 0 ORDER BY id"
        ).fetchall()
        for id, topic, _, is_whole in rows:
            if not is_whole:
                self._db.execute(f"{changed('actions', taken='1', answer='?')} WHERE id = ?", (DAMAGED, id))
                self._report_damage("actions", f"A message to {topic} is damaged, and was not carried out.")
        return [(id, topic, payload) for id, topic, payload, is_whole in rows if is_whole]

    def actions_taken(self, ids: list[int]) -> None:
        self._db.executemany(f"{changed('actions', taken='1')} WHERE id = ?", [(id,) for id in ids])

    # ── deliveries ───────────────────────────────────────────────────────────────────────────────

    def due(self, channel: str, now_ns: int, limit: int = 100) -> list[Due]:
        """The oldest open delivery of each alert and agency on a channel, of those whose time has come.

        One that is to wait longer than anybody is ever told to was put off by a clock that has been set back since.
        """
        self._follow()
        rows = self._db.execute(
            f"SELECT {', '.join(CHECKED['deliveries'])}, number, attempts, {whole('deliveries')} FROM deliveries "
            "WHERE number IN ("
            "SELECT MIN(number) FROM deliveries WHERE channel = ?1 AND done_ns IS NULL AND dead = 0 GROUP BY agency, alert"
            ") AND (next_ns <= ?2 OR next_ns > ?2 + ?4) ORDER BY number LIMIT ?3",
            (channel, now_ns, limit, LONGEST_WAIT_NS),
        ).fetchall()
        due = list[Due]()
        for *delivery, number, attempts, is_whole in rows:
            if is_whole:
                due.append(Due(number, Delivery(*delivery), attempts))
            else:
                self._db.execute(f"{changed('deliveries', dead='1', error='?')} WHERE number = ?", (DAMAGED, number))
                self._report_damage("deliveries", f"A delivery to {channel} is damaged, and is a dead letter.")
        return due

    def delivered(self, numbers: Iterable[int], now_ns: int) -> None:
        with self._transaction():
            self._db.executemany(
                f"{changed('deliveries', done_ns='?1', attempts='attempts + 1', error=NO_TEXT)} WHERE number = ?2",
                [(now_ns, n) for n in numbers],
            )

    def failed(self, due: Due, error: str, next_ns: int | None) -> None:
        """Try again at `next_ns`, or, without one, call it dead, and with it what waits behind it: nobody is told of a change to
        an alert that he was never told of."""
        with self._transaction():
            self._db.execute(
                f"{changed('deliveries', attempts='attempts + 1', error='?1', next_ns='?2', dead='?3')} WHERE number = ?4",
                (error, next_ns or 0, int(next_ns is None), due.number),
            )
            if next_ns is None:
                self._db.execute(
                    f"{changed('deliveries', dead='1', error='?')} "
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
            f"{changed('deliveries', dead='0', next_ns='0', attempts='0')} WHERE dead = 1 "
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
        return [record for _, record in self._of_agency(rows, agency)]

    def revisions_after(self, number: int, agency: str = "") -> list[tuple[int, dict[str, Any]]]:
        """(number, record) of every revision written since; for an agency as above."""
        rows = self._db.execute(f"{SEEN_BY} WHERE r.number > ? ORDER BY r.number", (agency, number))
        return list(self._of_agency(rows, agency))

    def _of_agency(self, rows: Iterable[tuple[int, bytes, int]], agency: str) -> Iterator[tuple[int, dict[str, Any]]]:
        """(number, record) of those that an agency has, and that are as they were written."""
        for number, data, is_whole in rows:
            if not is_whole:
                self._report_damage("revisions", "A revision of an alert is damaged, and is not shown.")
                continue
            record = msgspec.json.decode(data)
            if _has(record, agency):
                yield number, record

    def _follow(self) -> None:
        """Where another database has taken the place of this one, which was damaged, go on with that."""
        try:
            file = self._path.stat().st_ino
        except FileNotFoundError:
            return
        if file != self._file:
            self._db.close()
            self._db, self._file = opened(self._path), file

    def _report_damage(self, table: str, detail: str) -> None:
        self.report_fault(fault_of(FaultKind.STATE_LOST, f"marchwarden.db: {table}", detail, time.time_ns()))

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
        return [record for _, record in self._of_agency(rows, agency)]

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
        rows = self._db.execute(f"SELECT name, value FROM status WHERE {whole('status')}")
        said = {name: msgspec.json.decode(value) for name, value in rows}
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
            f"SELECT payload FROM actions WHERE taken = 0 AND topic = ? AND {whole('actions')} ORDER BY id DESC",
            (FAULT_TOPIC,),
        )
        held = self._db.execute(
            f"SELECT kind, about, count, first_ns, last_ns, detail FROM faults WHERE {whole('faults')} ORDER BY last_ns DESC"
        )
        names = ("kind", "about", "count", "first_ns", "last_ns", "detail")
        return [
            *(_waiting_fault(said) for (payload,) in waiting if not (said := msgspec.json.decode(payload)).get("over")),
            *(dict(zip(names, row, strict=True)) | {"waiting": False} for row in held),
        ]

    def rejections(self) -> list[dict[str, Any]]:
        """Counted rejections, the most frequent first."""
        rows = self._db.execute(
            f"SELECT reason, topic, sensor, count, last_ns, detail FROM rejections WHERE {whole('rejections')} "
            "ORDER BY count DESC, reason, topic, sensor"
        )
        names = ("reason", "topic", "sensor", "count", "last_ns", "detail")
        return [dict(zip(names, row, strict=True)) for row in rows]


def _has(record: dict[str, Any], agency: str) -> bool:
    return not agency or agency in record["agencies"]


def _waiting_fault(payload: dict[str, Any]) -> dict[str, Any]:
    observed_ns = payload.pop("observed_ns")
    payload.pop("over", None)
    return payload | {"count": 1, "first_ns": observed_ns, "last_ns": observed_ns, "waiting": True}
