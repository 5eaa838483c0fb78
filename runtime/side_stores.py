"""History, plate vault and picture store. Alerting does not wait for them and does not end with them.

A store that is damaged is renamed and begun anew. One that takes no writing is tried again; meanwhile the snapshot waits, so that
a restart would write everything again. After GRACE_S the snapshot goes on without it, and what was to be written there is lost,
which is told as a fault.
"""

import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import pyarrow as pa

from geo.frames import wgs84_from_plane
from history.store import Store
from history.tables import alert_rows, detection_rows, reason_rows, track_rows
from model.faults import FaultKind
from model.rejections import Rejection
from model.stored import Damaged
from model.time import DAY_NS, iso_from_ns
from runtime.advance import Outcome, World
from runtime.entries import Configuration
from runtime.places import Places, history_of
from sensors.keys import set_aside
from sensors.readings import PlateText
from sensors.reducer import Reduction
from sensors.vault import Pictures, Sealed, Shown, Vault

AGAIN_S = 2.0
GRACE_S = 60.0
Say = Callable[[FaultKind, str, str], None]  # (kind, what it is about, a sentence)


class Closing(Protocol):
    def close(self) -> None: ...


S = TypeVar("S", bound=Closing)


@dataclass
class Pending:
    """What came of steps and is in no store yet."""

    plates: list[PlateText]
    pictures: list[tuple[str, Shown]]  # with the sensor's id
    rows: list[tuple[str, pa.Table, int]]  # of the history: (kind, rows, position)

    @classmethod
    def nothing(cls) -> "Pending":
        return cls([], [], [])


class SideStore(Generic[S]):
    """One store, opened when it is first needed, and again after it failed."""

    def __init__(self, name: str, opened: Callable[[], S], file: Path | None, say: Say) -> None:
        self._name, self._open, self._file, self._say = name, opened, file, say
        self._store: S | None = None
        self._failing_since: float | None = None
        self._next_try = 0.0

    @property
    def given_up(self) -> bool:
        """It has failed for so long that nothing waits for it."""
        return self._failing_since is not None and time.monotonic() - self._failing_since >= GRACE_S

    def do(self, work: Callable[[S], None]) -> bool:
        """Has the work been done?"""
        if self._failing_since is not None and time.monotonic() < self._next_try:
            return False
        try:
            self._attempt(work)
        except Exception as error:  # whatever a store can raise, alerting goes on
            if not self._renamed(error):
                return self._failed(error)
            try:
                self._attempt(work)
            except Exception as again:
                return self._failed(again)
        self._failing_since = None
        return True

    def look(self, at: Callable[[S], None]) -> None:
        """Look at a store that is open."""
        if self._store is not None:
            at(self._store)

    def close(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            with suppress(
                Exception
            ):  # it is given up, or the process ends: what it holds is on disk or is written again
                store.close()

    def _attempt(self, work: Callable[[S], None]) -> None:
        if self._store is None:
            self._store = self._open()
        work(self._store)

    def _renamed(self, error: Exception) -> bool:
        """A damaged file gets another name, so that a new one can be begun."""
        damaged = isinstance(error, Damaged) or type(error) is sqlite3.DatabaseError
        if self._file is None or not damaged or not self._file.exists():
            return False
        self.close()
        try:
            aside = set_aside(self._file)
            for suffix in ("-wal", "-shm"):
                self._file.with_name(self._file.name + suffix).unlink(missing_ok=True)
        except OSError:
            return False
        detail = f"{self._file.name} is damaged ({error}). It is kept as {aside.name}, and a new one is begun."
        self._say(FaultKind.STORE_DAMAGED, self._name, detail)
        return True

    def _failed(self, error: Exception) -> bool:
        now = time.monotonic()
        self.close()
        self._failing_since = now if self._failing_since is None else self._failing_since
        self._next_try = now + AGAIN_S
        lost = " What was to be written there is lost." if self.given_up else ""
        detail = f"The {self._name} takes no writing ({error}). Alerting goes on; it is tried again.{lost}"
        self._say(FaultKind.WRITING_FAILED, self._name, detail)
        return False


class SideStores:
    """All that is written beside the outbox."""

    def __init__(self, c: Configuration, say: Say, committed: Mapping[str, Any] | None = None) -> None:
        """`committed`: what `marks` was at the last commit, by which a store that has taken another's place is noticed."""
        vault = Places(c.state).vault
        self._say, self._marks = say, dict(committed or {})
        self._oldest_ns = time.time_ns() - int(c.site.privacy.history_days * DAY_NS)
        self._history: SideStore[Store] = SideStore("history", lambda: self._taken_up(history_of(c, True)), None, say)
        self._vault = SideStore("plate vault", lambda: self._recognised(Vault(vault)), vault / "plates.db", say)
        self._pictures = SideStore(
            "picture store", lambda: self._recognised(Pictures(vault)), vault / "pictures.db", say
        )
        self._reduction = Reduction(lambda text: say(FaultKind.PART_FAILED, "picture reduction", text))
        self._pending = Pending.nothing()
        self._newest_scan_ns = 0

    def marks(self) -> dict[str, Any]:
        """Which databases these are, and how far the history is written: to be committed with what was written to them."""
        self._history.look(lambda history: self._marks.update(history=history.positions()))
        for sealed in (self._vault, self._pictures):
            sealed.look(lambda store: self._marks.update({store.path.name: [store.identity, store.newest_row()]}))
        return dict(self._marks)

    def _recognised(self, store: Sealed) -> Any:
        """The store, when SQLite finds nothing wrong with it. Raises Damaged."""
        wrong = store.check()
        name = store.path.name
        if wrong:
            store.close()
            self._marks.pop(name, None)  # another one takes its place, and that is told
            raise Damaged(wrong)
        identity, newest_row = self._marks.get(name, (store.identity, 0))
        if identity != store.identity:
            detail = f"{name} was removed or exchanged for another one: what it held is missing."
            self._say(FaultKind.STORE_DAMAGED, name, detail)
        elif newest_row > store.newest_row():
            detail = f"{name} has lost its newest rows ({name}-wal was damaged, or an older copy put back)."
            self._say(FaultKind.STORE_DAMAGED, name, detail)
        for text in store.lost_keys():
            self._say(FaultKind.KEY_LOST, name, text)
        return store

    def _taken_up(self, history: Store) -> Store:
        """The history, when it goes as far as it was committed; what it lacks is told."""
        found = history.positions()
        for kind, position in self._marks.get("history", {}).items():
            if found.get(kind, -1) < position and position >= self._oldest_ns:
                ends = f"ends at {iso_from_ns(found[kind])}" if found.get(kind, -1) > 0 else "is empty"
                detail = f"The history of {kind} {ends}, and was written up to {iso_from_ns(position)}: rows are lost."
                self._say(FaultKind.STORE_DAMAGED, "history", detail)
        return history

    def add(self, world: World, outcomes: Iterable[Outcome]) -> None:
        """Take in what came of steps. Rows that cannot be made are left out and told of."""
        ids = world.ground.sensor_ids
        for outcome in outcomes:
            self._pending.plates += outcome.plates
            self._reduction.put((ids[p.sensor], p) for p in outcome.pictures)
            for make in (self._detections, self._scans, self._alerts):
                try:
                    self._pending.rows += make(world, outcome)
                except Exception as error:
                    detail = f"{type(error).__name__}: rows of the history could not be made and are left out."
                    self._say(FaultKind.STEP_FAILED, "history", detail)

    def write(self) -> bool:
        """May a snapshot go on from what has been added? Pictures that are still being reduced are not waited for."""
        self._pending.pictures += self._reduction.reduced()
        pending = self._pending
        stores: list[tuple[SideStore[Any], Callable[[Any], None]]] = [
            (self._vault, lambda vault: vault.seal(pending.plates)),
            (self._pictures, lambda pictures: pictures.keep(pending.pictures)),
            (self._history, self._write_rows),
        ]
        written = [store.do(work) or store.given_up for store, work in stores]
        if all(written):
            self._pending = Pending.nothing()
        return all(written)

    def forget_before(self, plates_ns: int, pictures_ns: int, history_ns: int) -> None:
        """What retention no longer allows."""
        self._vault.do(lambda vault: vault.forget_before(plates_ns) and None)
        self._pictures.do(lambda pictures: pictures.forget_before(pictures_ns) and None)
        self._history.do(lambda history: self._forget_rows(history, history_ns))

    def rejections(self) -> tuple[Rejection, ...]:
        """Of pictures that were not kept since this was asked last."""
        return self._reduction.rejections()

    def close(self) -> None:
        self._reduction.close()
        last = self._reduction.reduced()
        if last:
            self._pictures.do(lambda pictures: pictures.keep(last))
        for store in (self._history, self._vault, self._pictures):
            store.close()

    def _write_rows(self, history: Store) -> None:
        self._tell_damage(history)
        for kind, rows, position in self._pending.rows:
            history.write(kind, rows, position)
        if self._pending.rows:
            history.flush()

    def _forget_rows(self, history: Store, time_ns: int) -> None:
        history.forget_before(time_ns)
        self._tell_damage(history)

    def _tell_damage(self, history: Store) -> None:
        for text in history.damaged:
            self._say(FaultKind.STORE_DAMAGED, "history", f"{text} The file is kept under another name.")
        history.damaged = []

    def _detections(self, world: World, outcome: Outcome) -> list[tuple[str, pa.Table, int]]:
        """Detections as placed."""
        found = outcome.detections
        if not len(found):
            return []
        lat, lon = wgs84_from_plane(world.sectors, found.sector, found.position)
        return [("detections", detection_rows(found, lat, lon, world.ground.sensor_ids), outcome.now_ns)]

    def _scans(self, world: World, outcome: Outcome) -> list[tuple[str, pa.Table, int]]:
        """Tracks as believed when their scan first closed, and why."""
        ids, rows = world.ground.sensor_ids, list[tuple[str, pa.Table, int]]()
        for scan in outcome.scans:
            if scan.time_ns <= self._newest_scan_ns:
                continue
            self._newest_scan_ns = scan.time_ns
            tracks = scan.tracks.take(scan.tracks.confirmed)
            lat, lon = wgs84_from_plane(world.sectors, tracks.sector, tracks.mean[:, :2])
            rows.append(("tracks", track_rows(scan.time_ns, tracks, lat, lon, ids), scan.time_ns))
            rows.append(("reasons", reason_rows(scan.time_ns, scan.reasons, ids), scan.time_ns))
        return rows

    def _alerts(self, _: World, outcome: Outcome) -> list[tuple[str, pa.Table, int]]:
        """Alert revisions."""
        return [("alerts", alert_rows(outcome.alerts), outcome.now_ns)] if outcome.alerts else []
