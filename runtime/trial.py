"""A rule tried on the past: the tracks and plate readings of the history, judged by it alone.

What the history keeps of a track is less than fusion knew: its uncertainty as a circle, one class, and no uncertainty of its
velocity, for which a walker's is taken. What sensors said of themselves is not kept, so rules about sensors are tried on
recordings instead.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from alerts.judge import judged, untold
from alerts.rules import Rule
from geo.frames import plane_from_wgs84, sector_of
from history.store import Query, Store
from model.alerts import EQUIPMENT, Alert
from model.classes import CLASS_INDEX, CLASSES
from model.detections import PLATES, Detections
from model.time import NS
from model.tracks import SENSORS_KEPT, Reasons, Scan, Tracks, key_of
from runtime.advance import World
from runtime.configuration import read_rules
from runtime.entries import Configuration
from runtime.mistakes import Mistake, Mistakes, nearest
from runtime.ruleset import rules_of
from sensors.health import unheard

VELOCITY_SIGMA_MPS = 0.5
WARM_UP_NS = 300 * NS  # what was so before the time asked about is no news in it
PART_NS = 3600 * NS  # read at a time
NO_ROWS = pa.table({"track": []})
QUIET_SCANS = 900  # after the last track, so many empty scans let what is open end


@dataclass(frozen=True)
class Past:
    """What the history holds of one instant."""

    scan: Scan
    read: Detections  # plates, since the instant before


def chosen_rules(c: Configuration, world: World, rule: str) -> tuple[Rule, ...]:
    """A rule of the site by its id, or all those of a rules file. Raises Mistakes."""
    if Path(rule).is_file():
        with_these = replace(c, rules=read_rules(c, Path(rule)))
        rules = rules_of(with_these, world.sectors, world.zones, world.ground.lines, world.catalogue)
    else:
        rules = tuple(r for r in world.ground.rules if r.id == rule)
    if not rules:
        known = [r.id for r in world.ground.rules]
        raise Mistakes([Mistake(c.site.files.rules, "", rule, "is no rule, and no file.", nearest(rule, known))])
    for each in rules:
        if each.kind in EQUIPMENT:
            wrong = f"{each.kind.value!r} is about sensors or the system: the history does not keep their condition."
            raise Mistakes([Mistake(c.site.files.rules, each.id, "kind", wrong, "Replay a recording with it instead.")])
    return rules


def tried(world: World, rules: tuple[Rule, ...], store: Store, from_ns: int, to_ns: int) -> Iterator[Alert]:
    """Every revision that the rules would have told between two times."""
    ground = replace(world.ground, rules=rules, inhibitions=())
    state, health, before_ns = untold(), unheard(len(world.catalogue), to_ns), from_ns - WARM_UP_NS
    for past in _past(world, store, from_ns - WARM_UP_NS, to_ns):
        now_ns = past.scan.time_ns
        state, said = judged(ground, state, past.read, (), (past.scan,), health, (), before_ns, now_ns)
        before_ns = now_ns
        yield from (alert for alert in said.alerts if alert.told_ns >= from_ns)


def _past(world: World, store: Store, from_ns: int, to_ns: int) -> Iterator[Past]:
    step_ns, last_ns = world.fusion.scan_ns, 0
    for start_ns in range(from_ns, to_ns, PART_NS):
        end_ns = min(start_ns + PART_NS, to_ns)
        tracks = store.query(Query("tracks", start_ns, end_ns, limit=1 << 40))
        plates = store.query(Query("detections", start_ns, end_ns, limit=1 << 40))
        read = _readings(world, plates)
        times = np.asarray(tracks["time_ns"])
        for time_ns in np.unique(np.concatenate([times, -(-read.observed_ns // step_ns) * step_ns])).tolist():
            for empty_ns in _quiet(last_ns, time_ns, step_ns):
                yield Past(_scan(world, NO_ROWS, empty_ns, step_ns), Detections.none())
            rows = np.searchsorted(times, [time_ns, time_ns + 1])
            here = tracks.slice(int(rows[0]), int(rows[1] - rows[0]))
            seen = read.take((read.observed_ns > time_ns - step_ns) & (read.observed_ns <= time_ns))
            yield Past(_scan(world, here, time_ns, step_ns), seen)
            last_ns = time_ns
    for empty_ns in _quiet(last_ns, to_ns, step_ns):
        yield Past(_scan(world, NO_ROWS, empty_ns, step_ns), Detections.none())


def _quiet(last_ns: int, next_ns: int, step_ns: int) -> range:
    """Instants between two in which nothing was tracked, as many as it takes for all to be over."""
    if not last_ns:
        return range(0)
    return range(last_ns + step_ns, min(next_ns, last_ns + QUIET_SCANS * step_ns), step_ns)


def _scan(world: World, rows: pa.Table, time_ns: int, step_ns: int) -> Scan:
    """The confirmed tracks of one scan, as far as the history keeps them."""
    n = rows.num_rows
    tracks = Tracks.none()
    if n:
        lat, lon = np.asarray(rows["lat"]), np.asarray(rows["lon"])
        sector = sector_of(world.sectors, lat, lon)
        velocity = np.column_stack([np.asarray(rows["east_mps"]), np.asarray(rows["north_mps"])])
        covariance = np.zeros((n, 4, 4))
        covariance[:, [0, 1], [0, 1]] = np.asarray(rows["sigma_m"])[:, None] ** 2
        covariance[:, [2, 3], [2, 3]] = VELOCITY_SIGMA_MPS**2
        classes = np.zeros((n, len(CLASSES)))
        share = np.asarray(rows["class_share"])
        classes[:] = ((1 - share) / (len(CLASSES) - 1))[:, None]
        classes[np.arange(n), [CLASS_INDEX[name] for name in rows["class"].to_pylist()]] = share
        sensors = np.full((n, SENSORS_KEPT), -1, np.int32)
        for i, names in enumerate(rows["sensors"].to_pylist()):
            known = [world.catalogue.row_of_id[s] for s in names.split() if s in world.catalogue.row_of_id]
            sensors[i, : len(known[:SENSORS_KEPT])] = known[:SENSORS_KEPT]
        tracks = Tracks.blank(n).but(
            id=np.array([key_of(name) for name in rows["track"].to_pylist()], np.uint64),
            sector=sector,
            seen_ns=np.full(n, time_ns, np.int64),
            mean=np.column_stack([plane_from_wgs84(world.sectors, sector, lat, lon), velocity]),
            covariance=covariance,
            existence=np.asarray(rows["existence"]),
            confirmed=np.ones(n, np.bool_),
            class_probability=classes,
            sensors=sensors,
            sensors_ns=np.where(sensors >= 0, time_ns, 0),
            plate=np.array([int(p, 16) if p else 0 for p in rows["plate"].to_pylist()], np.uint64),
        )
    return Scan(time_ns, time_ns - step_ns, tracks, Reasons.none())


def _readings(world: World, rows: pa.Table) -> Detections:
    """Readings of plates, the best guess of each."""
    keep = [
        i
        for i, (plate, sensor) in enumerate(zip(rows["plate"].to_pylist(), rows["sensor"].to_pylist(), strict=True))
        if plate and sensor in world.catalogue.row_of_id
    ]
    rows = rows.take(np.array(keep, np.int64))
    n = rows.num_rows
    lat, lon = np.asarray(rows["lat"], np.float64), np.asarray(rows["lon"], np.float64)
    sector = sector_of(world.sectors, lat, lon)
    plate = np.array([int(p, 16) for p in rows["plate"].to_pylist()], np.uint64)
    plates, shares = np.zeros((n, PLATES), np.uint64), np.zeros((n, PLATES))
    plates[:, 0], shares[:, 0] = plate, 1.0
    sigma = np.asarray(rows["sigma_m"], np.float64)
    return Detections.blank(n).but(
        observed_ns=np.asarray(rows["time_ns"], np.int64),
        received_ns=np.asarray(rows["received_ns"], np.int64),
        sensor=np.array([world.catalogue.row_of_id[s] for s in rows["sensor"].to_pylist()], np.int32),
        sector=sector,
        position=plane_from_wgs84(world.sectors, sector, lat, lon),
        covariance=np.eye(2) * (sigma**2)[:, None, None],
        confidence=np.asarray(rows["confidence"], np.float64),
        plate=plate,
        plates=plates,
        plate_share=shares,
    )
