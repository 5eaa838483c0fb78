"""Own units: which tracks are patrols of ours. A patrol is no intruder, and who stops walking with it is none of it.

A unit that explains too much hides intruders, so what it may explain is bounded: only registered units explain tracks; one with
more tracks about it than it has people explains none, since nobody can say which are ours; and one that is where it cannot be by
now explains nothing for a while, and technicians are told.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from alerts.memory import KEPT_NS, Marks, looked_up
from alerts.rules import Ground
from alerts.subjects import Subjects
from geo.frames import EARTH_M_PER_DEGREE, plane_from_plane, plane_from_wgs84, sector_of
from model.faults import Fault, FaultKind, fault_of
from model.time import NS
from model.units import UnitReport

GATE = 9.21  # χ² with two degrees of freedom, 99 %
LETTING_GO = 4.0  # times the gate: what is farther off is no longer with the unit
CONFIRM_NS = 3 * NS  # this long with a unit: it is held to be one
GROWN_M_MAX = 50.0  # standard deviation that a word's age adds, at most: silence must not widen what a unit explains
WORD_NS = NS // 2  # a word so soon after the one before is left out: a step so short shows no speed
DISTRUST_NS = 60 * NS  # this long a unit that jumped explains nothing
WAVER_MPS2 = 1.0  # how a unit's velocity changes since its last word, 1 axis, m/s per √s


@dataclass(frozen=True)
class Unit:
    """The last word of a unit."""

    token: int  # of its id, not 0
    id: str
    name: str
    observed_ns: int
    until_ns: int  # it holds until then
    sector: int
    position: tuple[float, float]  # m
    velocity: tuple[float, float]  # m/s; zero where it said nothing
    sigma_m: float
    lat: float
    lon: float
    distrusted_ns: int  # until then it explains nothing, since it jumped; 0: it did not


def token_of(unit: str) -> int:
    return int.from_bytes(blake2b(unit.encode(), digest_size=8).digest()) or 1


def reported(
    ground: Ground, units: tuple[Unit, ...], reports: Iterable[UnitReport]
) -> tuple[tuple[Unit, ...], list[Fault]]:
    """The last word of every registered unit, sorted by id, and a fault for each that jumped. The long unheard are let go."""
    last = {unit.id: unit for unit in units}
    faults: list[Fault] = []
    newest_ns = 0
    for report in reports:
        newest_ns = max(newest_ns, report.received_ns)
        before = last.get(report.unit)
        if report.unit not in ground.units or (before and report.observed_ns < before.observed_ns + WORD_NS):
            continue
        unit = _unit(ground, report)
        if before is not None:
            unit = replace(unit, distrusted_ns=before.distrusted_ns)
            if _is_jump(ground, before, unit):
                unit = replace(unit, distrusted_ns=report.observed_ns + DISTRUST_NS)
                faults.append(_jump(before, unit, report.received_ns))
        last[report.unit] = unit
    if not newest_ns:
        return units, faults
    return tuple(u for _, u in sorted(last.items()) if newest_ns - u.observed_ns <= KEPT_NS), faults


def _is_jump(ground: Ground, before: Unit, unit: Unit) -> bool:
    """Is a unit farther from its last place than it can have moved, and than its errors explain?"""
    since_s = (unit.observed_ns - before.observed_ns) / NS
    error_m = np.sqrt(GATE * (before.sigma_m**2 + unit.sigma_m**2))
    return bool(_apart_m(before, unit) > ground.habits.unit_speed_mps_max * since_s + error_m)


def _apart_m(before: Unit, unit: Unit) -> float:
    """Between two places of a unit, over sectors and near enough for a jump."""
    east = (unit.lon - before.lon + 180.0) % 360.0 - 180.0
    return float(EARTH_M_PER_DEGREE * np.hypot(unit.lat - before.lat, east * np.cos(np.radians(unit.lat))))


def _jump(before: Unit, unit: Unit, received_ns: int) -> Fault:
    since_s = (unit.observed_ns - before.observed_ns) / NS
    detail = (
        f"{_apart_m(before, unit) / 1000:,.1f} km in {since_s:,.0f} s: two devices speak for it, or somebody else does. "
        f"It explains nothing for {DISTRUST_NS // NS} s."
    )
    return fault_of(FaultKind.UNIT_SUSPECT, unit.id, detail, received_ns)


def explaining(ground: Ground, units: tuple[Unit, ...], now_ns: int) -> list[Unit]:
    """Those of whom it is known where they are at an instant: registered, trusted, heard lately, and within the site."""
    return [
        u
        for u in units
        if u.id in ground.units
        and u.sector >= 0
        and u.observed_ns - ground.habits.unit_fresh_ns <= now_ns <= u.until_ns
        and now_ns >= u.distrusted_ns
    ]


def _unit(ground: Ground, report: UnitReport) -> Unit:
    lat, lon = np.array([report.lat]), np.array([report.lon])
    sector = sector_of(ground.sectors, lat, lon)
    x, y = plane_from_wgs84(ground.sectors, sector, lat, lon)[0].tolist()
    course, speed = np.radians(report.course_deg or 0.0), report.speed_mps or 0.0
    speed = 0.0 if report.course_deg is None or not 0 <= speed <= ground.habits.unit_speed_mps_max else speed
    fresh_until_ns = report.observed_ns + ground.habits.unit_fresh_ns
    return Unit(
        token_of(report.unit),
        report.unit,
        ground.units[report.unit].name or report.name,
        report.observed_ns,
        fresh_until_ns if report.until_ns is None else min(fresh_until_ns, report.until_ns),
        int(sector[0]),
        (x, y),
        (float(speed * np.sin(course)), float(speed * np.cos(course))),
        report.sigma_m,
        report.lat,
        report.lon,
        0,
    )


def marked(ground: Ground, units: tuple[Unit, ...], before: Marks, subjects: Subjects) -> tuple[Marks, Subjects]:
    """Which tracks of a scan are where a unit is, and the subjects that say so."""
    ids, now_ns, n = subjects.tracks.id, subjects.time_ns, len(subjects.tracks)
    fresh = explaining(ground, units, now_ns)
    if not fresh:
        return Marks.none(), subjects
    distance = _distances(ground, fresh, subjects)
    tokens = np.array([u.token for u in fresh], np.uint64)
    nearest = distance.argmin(axis=1)
    least = distance[np.arange(n), nearest]
    was, row = looked_up(ids, before.track)
    rows = before.take(row) if len(before) else Marks.blank(n)
    held, at = looked_up(rows.unit, np.sort(tokens))
    own: NDArray[np.intp] = np.argsort(tokens, kind="stable")[at]
    stays = was & held & (distance[np.arange(n), own] <= LETTING_GO * GATE)
    comes = ~stays & (least <= GATE)
    unit = np.where(stays, rows.unit, tokens[nearest])
    since_ns = np.where(stays, rows.since_ns, now_ns)
    marks = ~_crowded(ground, fresh, np.where(stays, own, nearest), stays | comes) & (stays | comes)
    sure = marks & (now_ns - since_ns >= CONFIRM_NS)
    here = Marks(ids[marks], np.full(int(marks.sum()), now_ns, np.int64), unit[marks], since_ns[marks])
    return here, replace(subjects, unit=np.where(sure, unit, np.uint64(0)), perhaps=marks & ~sure)


def _crowded(ground: Ground, units: list[Unit], unit: NDArray[np.intp], near: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(n,) whether the unit of each track, by its number, has more tracks near it than it may explain."""
    counts = np.bincount(unit[near], minlength=len(units))
    return (counts > np.array([ground.units[u.id].tracks_max for u in units]))[unit]


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
        grown = min(WAVER_MPS2**2 * abs(since_s) ** 3 / 3, GROWN_M_MAX**2)
        variance = unit.sigma_m**2 + ground.habits.unit_m**2 + grown
        apart = tracks.mean[near, :2] - place
        spread = tracks.covariance[near, :2, :2] + np.eye(2) * variance
        out[near, k] = np.einsum("ni,nij,nj->n", apart, np.linalg.inv(spread), apart)
    return out
