"""The journal through `steps`, and every outcome into history, vault and outbox, committed together.

Everything that changes the state comes from the journal, so after kill -9 at any moment the snapshot and the journal behind it
lead to what would have been.
"""

import hashlib
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from alerts.dispatch import views
from alerts.kept import Changes, Ledger, Records, records_of
from alerts.memory import Memory
from alerts.outbox import Commit, Outbox, StoredState
from alerts.outbox_salvage import salvaged
from fusion.order import Checkpoint, Chunk, newest_scan
from model.faults import FaultKind, fault_of
from model.liveness import DOWN, SensorCondition, sensor_conditions
from model.messages import Messages
from model.stored import Damaged, is_whole, with_checksum
from model.time import NS, iso_from_ns
from runtime.advance import Outcome, State, World, beginning, carried_over
from runtime.entries import Configuration
from runtime.picture import picture
from runtime.places import Places, plate_key, plate_key_file
from runtime.side_stores import SideStores
from runtime.snapshot import Parts, Unreadable, restored
from runtime.steps import grid, steps
from runtime.world import world_of
from sensors import journal
from sensors.aside import AsideStore, Kept
from sensors.health import unheard
from sensors.journal import Frame, JournalDamaged, JournalLost, Position
from sensors.journal import fingerprint as fingerprint_of
from sensors.keys import KeyUnusable, set_aside
from sensors.repeats import Bucket, Seen

COMMIT_S = 0.25  # at the latest this long after a step; alerts do not wait for it
COMMIT_S_MAX = 1.0  # under load, when a commit itself takes long
ROUND_MESSAGES = 20_000  # taken from the journal at a time
ROUND_BYTES = 64_000_000  # … of payloads
STEP_NS = NS  # what is earlier by more was written after the clock was set back
SWEEP_S = 3600.0  # how often what is old is forgotten
STATUS_S = 2.0
REPORT_S = 60.0  # the same sentence no more often than this
STATE_FORMAT = 1  # of the state of tracking: another number where values of the same shape mean something else
PARTS = (Checkpoint, Chunk, Bucket, Memory)  # what of a state stays as it is from one commit to the next


@dataclass
class Tallies:
    """What this process has done since it started."""

    messages: int = 0
    detections: int = 0
    alerts: int = 0
    started_ns: int = field(default_factory=time.time_ns)


class Pipeline:
    """Reads the journal from where the last commit stood, and commits what it leads to."""

    def __init__(
        self, c: Configuration, report: Callable[[str], None], wake: Callable[[], None] = lambda: None
    ) -> None:
        self._places, self._report, self.wake = Places(c.state), report, wake
        self._keys = self._places.journal_keys()
        self.outbox, damages = _opened_outbox(self._places)
        self._reported: dict[str, float] = {}
        self._commits = int(self.outbox.status().get("commits", 0))
        for text in (*damages, *_lost_commits(self._places, self._commits)):
            self.fault(FaultKind.STATE_LOST, "marchwarden.db", text)
        for text in journal.missing(self._places.journal):
            self.fault(FaultKind.JOURNAL_LOST, "journal", text)
        self._stores = SideStores(c, self.fault, self.outbox.status().get("stores"))
        self._aside = AsideStore(self._places.aside, self._keys)
        self.tallies = Tallies()
        self._undone: list[Outcome] = []  # done, and not yet part of a snapshot
        self._told = 0  # of these, so many whose alerts are out
        self._stored = 0  # and so many that the stores beside the outbox were given
        self._rest = Messages.none()
        self._frames: list[
            tuple[Position, int, bytes]
        ] = []  # where unfinished frames begin, their messages left, and the segment's identity
        self._commit_due, self._status_due, self._sweep_due = 0.0, 0.0, 0.0
        self._shown_ns = 0
        self._until_ns = 0  # up to when the journal has been read
        self.state: State | None = None
        self._next = Position(0, 0)
        self._segment = b""  # the identity of the segment that this is in, as far as it is known
        self.configure(c)

    def configure(self, c: Configuration) -> None:
        """Take a configuration into use. What the state says of things that the new one no longer has is let go."""
        self._parts = Parts(PARTS)
        self._begun: State | None = None
        self._c, self._world = c, world_of(c, self._plate_key(c))
        self._mark = fingerprint(self._world)
        self._records = self._stored_records()
        self._rest, self._frames = Messages.none(), []
        try:
            position = self.outbox.position()
        except Damaged as error:
            self.fault(FaultKind.STATE_LOST, "marchwarden.db", f"{error} The journal is read again from its beginning.")
            position = None
        if position is None:
            self.state, self._next, self._segment = None, Position(0, 0), b""
            return
        self._next = Position.of(position[0])
        self._segment = bytes.fromhex(self.outbox.status().get("journal_segment", ""))
        self.state = self._stored_state(position[1])

    def _stored_records(self) -> Records:
        """Incidents, silences and tallies as stored, but for those that are damaged."""
        rows, damaged = self.outbox.kept()
        self._ledger = Ledger((row.table, row.key) for row in rows)
        records, unreadable = records_of(rows)
        for text in (*damaged, *unreadable):
            self.fault(FaultKind.STATE_LOST, "marchwarden.db", f"{text} It is left out.")
        return records

    def _stored_state(self, now_ns: int) -> State:
        """The state as stored; or, where its tracking is of no use, one in which tracking begins anew."""
        anew = _with_records(beginning(self._world, now_ns), self._records)
        try:
            stored = self.outbox.state()
            if stored is None:
                return carried_over(self._world, anew)
            self._parts = Parts(PARTS, max(stored.parts, default=0) + 1)
            if stored.format != STATE_FORMAT:
                raise Unreadable("The state of tracking was stored by another version.")
            state = _with_records(restored(State, stored.root, stored.parts), self._records)
        except (Damaged, Unreadable) as error:
            detail = f"{error} Tracking begins anew; incidents are kept."
            self.fault(FaultKind.STATE_LOST, "marchwarden.db", detail)
            return carried_over(self._world, anew)
        if stored.mark != self._mark:
            self._report(
                "The configuration has changed: tracking begins anew, open incidents of rules that remain are kept."
            )
            return carried_over(self._world, state)
        return state

    def _plate_key(self, c: Configuration) -> bytes:
        """The key of plate tokens. One that is gone or another than before is told: old tokens match nothing any more.

        Raises KeyUnusable, where the site names a file of its own and that holds no key.
        """
        file = plate_key_file(c)
        try:
            key = plate_key(c)
        except KeyUnusable:
            if c.site.privacy.plate_key_file:
                raise
            set_aside(file)
            key = plate_key(c)
        before, self._plate_mark = self.outbox.status().get("plate_key", ""), fingerprint_of(key).hex()
        if before not in ("", self._plate_mark):
            self.fault(
                FaultKind.KEY_LOST,
                file.name,
                f"The key of plate tokens is another one than before: tokens and sealed plates of before match nothing. "
                f"Restore {file.name} from a copy, and restart.",
            )
        return key

    def turn(self) -> bool:
        """One round: read, advance, commit when due. Was there anything to read?"""
        frames, until_ns = self._read()
        if frames and self.state is None:
            first_ns = int(self._rest.received_ns[0]) if len(self._rest) else until_ns
            begun = _with_records(beginning(self._world, grid(first_ns) - 1), self._records)
            self.state = self._begun = carried_over(self._world, begun)
        if self.state is not None and until_ns:
            self._advance(until_ns)
        self._commit_when_due()
        return bool(frames)

    def again(self) -> "Pipeline":
        """A pipeline that takes up what is on disk, as after a crash: this one holds what could not be written."""
        self._stores.close()
        with suppress(sqlite3.Error, OSError):
            self.outbox.close()
        return type(self)(self._c, self._report, self.wake)

    def close(self) -> None:
        self.commit()
        self._stores.close()
        self.outbox.close()

    def _read(self) -> tuple[list[Frame], int]:
        frames: list[Frame] = []
        count, size, start, segment, until_ns = 0, 0, self._next, self._segment, 0
        # A state that has only begun stands at the end of its first step, and has taken in nothing of that step yet.
        now_ns = 0 if self.state is None or self.state is self._begun else self.state.now_ns
        parts = [self._rest] if len(self._rest) else []
        try:
            for frame in journal.read(self._places.journal, self._keys, self._next, self._segment):
                if frame.until_ns < self._until_ns - STEP_NS:
                    if frames:
                        break
                    now_ns = self._set_back(frame.until_ns)
                self._until_ns = frame.until_ns
                frames.append(frame)
                messages = frame.messages.between(
                    int(np.searchsorted(frame.messages.received_ns, now_ns, side="right")), len(frame.messages)
                )
                if len(messages):
                    self._frames.append((start, len(messages), segment))
                    parts.append(messages)
                start, segment, until_ns = frame.next, frame.segment, frame.until_ns
                count += len(frame.messages)
                size += sum(map(len, frame.messages.payloads))
                if count >= ROUND_MESSAGES or size >= ROUND_BYTES:
                    break
        except JournalLost as error:
            self.fault(FaultKind.JOURNAL_LOST, "journal", f"{error} Reading begins anew with what is there.")
            start, segment, self._until_ns = error.next, b"", 0
            self._frames = [(start, sum(left for _, left, _ in self._frames), b"")] if self._frames else []
        except JournalDamaged as error:
            self.fault(FaultKind.JOURNAL_LOST, "journal", f"{error} Reading goes on behind it.")
            start, segment = error.next, segment if error.next.segment == start.segment else b""
        self._next, self._segment, self._rest = start, segment, Messages.joined(parts)
        self.tallies.messages += count
        return frames, until_ns

    def fault(self, kind: FaultKind, about: str, detail: str) -> None:
        """Report what is wrong, to the log and to technicians; the same sentence at most once a minute."""
        now = time.monotonic()
        if now - self._reported.get(detail, -REPORT_S) < REPORT_S:
            return
        self._reported = {text: at for text, at in self._reported.items() if now - at < REPORT_S} | {detail: now}
        self._report(detail)
        self.outbox.report_fault(fault_of(kind, about, detail, time.time_ns()))

    def _set_back(self, now_ns: int) -> int:
        """The clock was set back: tracking begins anew at the earlier time, and incidents stay."""
        self._report("The clock was set back: tracking begins anew, incidents stay open.")
        if self.state is not None:
            if len(self._rest):
                self._advance(grid(int(self._rest.received_ns[-1])) + 1)
            self.commit()
            self.state = self._begun = replace(
                carried_over(self._world, self.state),
                now_ns=grid(now_ns) - 1,
                heard_ns=now_ns,
                health=unheard(len(self._world.catalogue), now_ns),
                seen=Seen.none(),
            )
        return 0

    def _advance(self, until_ns: int) -> None:
        assert self.state is not None
        done = 0
        for state, outcome, taken in steps(self._world, self.state, self._rest, until_ns - 1):
            self.state = state
            self._finish(taken - done)
            done = taken
            self._undone.append(outcome)
            self._keep_aside(outcome)
            for fault in outcome.faults:
                self._report(f"{fault.kind.value}, {fault.about}: {fault.detail}")
            self.tallies.detections += len(outcome.detections)
            self.tallies.alerts += len(outcome.alerts)
        self._rest = self._rest.between(done, len(self._rest))

    def _keep_aside(self, outcome: Outcome) -> None:
        kept = (
            Kept(
                Messages(np.array([a.received_ns]), (a.topic,), (a.payload,), np.array([a.retained])), a.stage, a.error
            )
            for a in outcome.aside
        )
        try:
            self._aside.keep(kept)
        except OSError as error:
            self.fault(FaultKind.WRITING_FAILED, "aside", f"What raised an exception could not be kept: {error}.")

    def _finish(self, messages: int) -> None:
        """So many messages more are part of the state: frames that hold no others need not be read again."""
        while messages:
            start, left, segment = self._frames[0]
            used = min(left, messages)
            messages -= used
            self._frames[0] = (start, left - used, segment)
            if left == used:
                self._frames.pop(0)

    def _commit_when_due(self) -> None:
        now = time.monotonic()
        self._tell()
        if self._undone and now >= self._commit_due:
            self.commit()
            self._show()
            took_s = time.monotonic() - now
            self._commit_due = time.monotonic() + min(max(COMMIT_S, 4 * took_s), COMMIT_S_MAX)
        if now >= self._sweep_due:
            self._sweep_due = now + SWEEP_S
            self._forget()

    def _show(self) -> None:
        """The picture of the newest scan."""
        assert self.state is not None
        if self.state.fusion.closed_ns != self._shown_ns:
            self._shown_ns = self.state.fusion.closed_ns
            try:
                _write_whole(self._places.picture, picture(self._world, self.state))
            except Exception as error:  # nothing that the page shows may hold up an alert
                self.fault(
                    FaultKind.STEP_FAILED, "live view", f"The live view was not written: {type(error).__name__}."
                )

    def _tell(self) -> None:
        """Alerts go out at once, ahead of the snapshot: after a crash the journal gives them again, with the same keys."""
        untold, self._told = self._undone[self._told :], len(self._undone)
        alerts = [a for o in untold for a in o.alerts]
        if alerts:
            self.outbox.tell(alerts, [d for o in untold for d in o.deliveries], views(self._world.ground, alerts))
            self.wake()

    def commit(self) -> None:
        """The state after all that has been done so far, and what else it led to, in one transaction."""
        if self.state is None:
            return
        self._tell()
        self._stores.add(self._world, self._undone[self._stored :])
        self._stored = len(self._undone)
        if not self._stores.write():
            return  # the snapshot waits: a restart would give the stores the same again
        undone, self._undone, self._told, self._stored = self._undone, [], 0, 0
        position = self._frames[0][0] if self._frames else self._next
        now = time.monotonic()
        status: dict[str, Any] = {}
        if now >= self._status_due:
            self._status_due = now + STATUS_S
            try:
                status = self._status()
            except Exception as error:
                self.fault(FaultKind.STEP_FAILED, "status", f"The status was not written: {type(error).__name__}.")
        stored, kept = self._to_store(self.state)
        self._commits += 1
        self.outbox.commit(
            Commit(
                state=stored,
                kept=kept,
                position=position.number(),
                now_ns=self.state.now_ns,
                rejections=(*(r for o in undone for r in o.rejections), *self._stores.rejections()),
                withheld=tuple(w for o in undone for w in o.withheld),
                answers=tuple(a for o in undone for a in o.answers),
                faults=tuple(f for o in undone for f in o.faults),
                status=status
                | {
                    "plate_key": self._plate_mark,
                    "stores": self._stores.marks(),
                    "commits": self._commits,
                    "journal_segment": (self._frames[0][2] if self._frames else self._segment).hex(),
                },
            )
        )

        self._count_commit()

    def _count_commit(self) -> None:
        """Beside the database and after it: what the database loses is noticed at the next start."""
        try:
            _write_whole(self._places.commits, msgspec.json.encode(_Commits(self._commits)))
        except OSError as error:
            self.fault(FaultKind.WRITING_FAILED, "commits.json", f"commits.json was not written: {error}.")

    def _to_store(self, state: State) -> tuple[StoredState, Changes]:
        """What a commit writes of the state: that of tracking in parts, and records by themselves."""
        records = Records(state.alerts.incidents, state.alerts.silences, state.alerts.tallies)
        try:
            root, parts, used = self._parts.snapshot(_with_records(state, Records()))
        except Exception as error:  # a restart loses tracking; the service goes on with what it has in memory
            detail = f"The state of tracking cannot be stored ({type(error).__name__}): a restart would begin it anew."
            self.fault(FaultKind.STATE_LOST, "snapshot", detail)
            anew = _with_records(carried_over(self._world, state), Records())
            root, parts, used = self._parts.snapshot(anew)
        stored = StoredState(STATE_FORMAT, self._mark, root, parts, frozenset(used))
        return stored, self._ledger.changes(records)

    def _status(self) -> dict[str, Any]:
        assert self.state is not None
        health, now_ns = self.state.health, time.time_ns()
        conditions = sensor_conditions(health, self._world.catalogue.columns.silent_after_s, self.state.now_ns)
        sensors = [
            {
                "sensor": sensor.id,
                "heard": iso_from_ns(health.heard_ns[i]) if health.messages[i] + health.rejected[i] else None,
                "offline": conditions[i] in DOWN and conditions[i] is not SensorCondition.SILENT,
                "condition": conditions[i].value,
                "messages": int(health.messages[i]),
                "rejected": int(health.rejected[i]),
                "battery": None if np.isnan(health.battery[i]) else round(float(health.battery[i]), 2),
            }
            for i, sensor in enumerate(self._world.catalogue.sensors)
        ]
        return {
            "service": {
                "pid": os.getpid(),
                "started": iso_from_ns(self.tallies.started_ns),
                "time": iso_from_ns(now_ns),
                "kept_aside": self._aside.count(),
                "step_newest": iso_from_ns(self.state.now_ns),
                "journal_newest": iso_from_ns(self._until_ns) if self._until_ns else None,
                "behind_s": round((now_ns - self.state.now_ns) / NS, 1),
                "connected": self.state.listening,
                "messages": self.tallies.messages,
                "detections": self.tallies.detections,
                "alerts": self.tallies.alerts,
                "tracks": len(newest_scan(self._world.fusion, self.state.fusion).reported),
                "incidents_open": sum(i.phase.value != "cleared" for i in self.state.alerts.incidents),
            },
            "sensors": sensors,
            "silences": [
                {
                    "silence": s.id,
                    "by": s.by,
                    "agency": s.agency,
                    "reason": s.reason,
                    "from": iso_from_ns(s.from_ns),
                    "until": iso_from_ns(s.until_ns),
                    "matchers": dict(s.matchers),
                }
                for s in self.state.alerts.silences
                if s.until_ns > self.state.now_ns
            ],
            "dispositions": [
                {"sensor": t.sensor, "rule": t.rule, "genuine": t.genuine, "nuisance": t.nuisance}
                for t in self.state.alerts.tallies
            ],
            "units": [
                {"unit": u.id, "name": u.name, "time": iso_from_ns(u.observed_ns), "lat": u.lat, "lon": u.lon}
                for u in self.state.alerts.units
            ],
        }

    def _forget(self) -> None:
        """What retention no longer allows is gone for good: its keys are destroyed."""
        now_ns, privacy = time.time_ns(), self._c.site.privacy
        self._aside.forget_before(now_ns - int(privacy.journal_hours * 3600) * NS)
        journal.forget_before(self._places.journal, self._keys, now_ns - int(privacy.journal_hours * 3600) * NS)
        open_alerts = () if self.state is None else tuple(i.key for i in self.state.alerts.incidents)
        self.outbox.forget_before(now_ns - int(privacy.history_days * 86_400) * NS, open_alerts)
        self._stores.forget_before(
            *(
                now_ns - int(days * 86_400) * NS
                for days in (privacy.plates_days, privacy.pictures_days, privacy.history_days)
            )
        )


def _with_records(state: State, records: Records) -> State:
    alerts = replace(state.alerts, incidents=records.incidents, silences=records.silences, tallies=records.tallies)
    return replace(state, alerts=alerts)


def fingerprint(world: World) -> bytes:
    """What the rows of a state refer to: its sensors, places and rules, in their order. No names of classes."""
    ground = world.ground
    said = (
        ground.sensor_ids,
        ground.zones.ids,
        ground.lines.ids,
        (world.sectors.lat, world.sectors.lon, world.sectors.reach_m),
        tuple((r.id, r.kind.value, r.places, r.to_lines) for r in ground.rules),
    )
    return hashlib.sha256(repr(said).encode()).digest()


class _Commits(msgspec.Struct):
    commits: int


def _lost_commits(places: Places, commits: int) -> list[str]:
    """A sentence where the database had more commits than it has now."""
    try:
        data = places.commits.read_bytes()
    except FileNotFoundError:
        return ["commits.json is gone: whether marchwarden.db has lost commits cannot be seen."] if commits else []
    if not is_whole(data):
        return ["commits.json is damaged: whether marchwarden.db has lost commits cannot be seen."]
    lost = msgspec.json.decode(data, type=_Commits).commits - commits
    if lost <= 0:
        return []
    return [
        f"marchwarden.db has lost its last {lost} commits (marchwarden.db-wal was damaged, or an older copy put back). "
        "The journal is read again from there; what was delivered since is delivered again, with the same keys."
    ]


def _write_whole(path: Path, data: bytes) -> None:
    """A JSON object with its checksum, whole or not at all: who reads it may do so at any time. Raises OSError."""
    fresh = path.with_suffix(".new")
    fresh.write_bytes(with_checksum(data))
    fresh.replace(path)


def _opened_outbox(places: Places) -> tuple[Outbox, list[str]]:
    """The outbox, and a sentence about each damage to its database. Raises UnreadableFormat, or what the disk raises."""
    path = places.database
    is_gone = not (path.exists() and path.stat().st_size) and any(places.journal.glob("*.journal"))
    try:
        outbox = Outbox(path)
        wrong = outbox.check()
        if not wrong:
            gone = (
                f"{path.name} is gone or empty: a new one is begun, and the journal is read again from its beginning."
            )
            return outbox, [gone] if is_gone else [f"{path.name}: {text}" for text in outbox.mend()]
        outbox.close()
    except Damaged as error:
        wrong = str(error)
    except sqlite3.DatabaseError as error:
        if type(error) is not sqlite3.DatabaseError:
            raise  # locked, full or not to be written: the file itself is whole
        wrong = str(error)
    saved = salvaged(path, time.time_ns())
    return Outbox(path), [f"{path.name} is damaged ({wrong}). {saved}"]
