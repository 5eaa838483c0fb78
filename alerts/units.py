"""Own units: which tracks are patrols of ours. A patrol is no intruder, and who stops walking with it is none of it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from alerts.memory import KEPT_NS, Marks, looked_up
from alerts.rules import Ground
from alerts.subjects import Subjects
from geo.frames import plane_from_plane, plane_from_wgs84, sector_of
from model.time import NS
from model.units import UnitReport

UNITS_MAX = 2_000  # the ids are the senders' to choose
GATE = 9.21  # χ² with two degrees of freedom, 99 %
LETTING_GO = 4.0  # times the gate: what is farther off is no longer with the unit
CONFIRM_NS = 3 * NS  # this long with a unit: it is held to be one
WAVER_MPS2 = 1.0  # how a unit's velocity changes since its last word, 1 axis, m/s per √s


@dataclass(frozen=True)
class Unit:
    """The last word of a unit."""

    token: int  # of its id, not 0
    id: str
    name: str
    observed_ns: int
    sector: int
    position: tuple[float, float]  # m
    velocity: tuple[float, float]  # m/s; zero where it said nothing
    sigma_m: float
    lat: float
    lon: float


def token_of(unit: str) -> int:
    return int.from_bytes(blake2b(unit.encode(), digest_size=8).digest()) or 1


def reported(ground: Ground, units: tuple[Unit, ...], reports: Iterable[UnitReport]) -> tuple[Unit, ...]:
    """The last word of every unit, sorted by id. One of whom nothing is heard for long is let go."""
    known = {unit.id: unit for unit in units}
    newest_ns = 0
    for report in reports:
        newest_ns = max(newest_ns, report.received_ns)
        before = known.get(report.unit)
        if (before is None and len(known) >= UNITS_MAX) or (before and before.observed_ns > report.observed_ns):
            continue
        known[report.unit] = _unit(ground, report)
    if not newest_ns:
        return units
    return tuple(u for _, u in sorted(known.items()) if newest_ns - u.observed_ns <= KEPT_NS)


def _unit(ground: Ground, report: UnitReport) -> Unit:
    lat, lon = np.array([report.lat]), np.array([report.lon])
    sector = sector_of(ground.sectors, lat, lon)
    x, y = plane_from_wgs84(ground.sectors, sector, lat, lon)[0].tolist()
    course, speed = np.radians(report.course_deg or 0.0), report.speed_mps or 0.0
    speed = 0.0 if report.course_deg is None else speed
    return Unit(
        token_of(report.unit),
        report.unit,
        report.name,
        report.observed_ns,
        int(sector[0]),
        (x, y),
        (float(speed * np.sin(course)), float(speed * np.cos(course))),
        report.sigma_m,
        report.lat,
        report.lon,
    )


def marked(ground: Ground, units: tuple[Unit, ...], before: Marks, subjects: Subjects) -> tuple[Marks, Subjects]:
    """Which tracks of a scan are where a unit is, and the subjects that say so."""
    ids, now_ns, n = subjects.tracks.id, subjects.time_ns, len(subjects.tracks)
    fresh = [u for u in units if u.sector >= 0 and abs(now_ns - u.observed_ns) <= ground.habits.unit_fresh_ns]
    if not fresh:
        return Marks.none(), subjects
    distance = _distances(ground, fresh, subjects)
    tokens = np.array([u.token for u in fresh], np.uint64)
    nearest = distance.argmin(axis=1)
    least = distance[np.arange(n), nearest]
    was, row = looked_up(ids, before.track)
    rows = before.take(row) if len(before) else Marks.blank(n)
    held, at = looked_up(rows.unit, np.sort(tokens))
    own = np.argsort(tokens, kind="stable")[at]
    stays = was & held & (distance[np.arange(n), own] <= LETTING_GO * GATE)
    comes = ~stays & (least <= GATE)
    unit = np.where(stays, rows.unit, tokens[nearest])
    since_ns = np.where(stays, rows.since_ns, now_ns)
    marks = stays | comes
    sure = marks & (now_ns - since_ns >= CONFIRM_NS)
    here = Marks(ids[marks], np.full(int(marks.sum()), now_ns, np.int64), unit[marks], since_ns[marks])
    return here, replace(subjects, unit=np.where(sure, unit, np.uint64(0)), perhaps=marks & ~sure)


def _distances(ground: Ground, units: list[Unit], subjects: Subjects) -> NDArray[np.float64]:
    """(n, units) squared Mahalanobis distance of each track to where each unit should be by now."""
    tracks, n = subjects.tracks, len(subjects.tracks)
    out = np.full((n, len(units)), np.inf)
    for k, unit in enumerate(units):
        near = np.flatnonzero(np.abs(tracks.sector.astype(np.int64) - unit.sector) <= 1)
        since_s = (subjects.time_ns - unit.observed_ns) / NS
        there = np.array(unit.position) + np.array(unit.velocity) * since_s
        sector = np.full(len(near), unit.sector, np.int16)
        place = plane_from_plane(ground.sectors, sector, tracks.sector[near], np.broadcast_to(there, (len(near), 2)))
        variance = unit.sigma_m**2 + ground.habits.unit_m**2 + WAVER_MPS2**2 * abs(since_s) ** 3 / 3
        apart = tracks.mean[near, :2] - place
        spread = tracks.covariance[near, :2, :2] + np.eye(2) * variance
        out[near, k] = np.einsum("ni,nij,nj->n", apart, np.linalg.inv(spread), apart)
    return out
