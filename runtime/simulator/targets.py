"""How targets move: along their path, at a speed that wavers, with rests, beside the middle of the way.

A path is as long as a border may be, so it is cut into pieces along the geodesic, each as long as it is in the plane of its own
sector. Where a target is, is then held in the plane of the sector in which its path begins: that plane is only a chart, which
goes back to latitude and longitude exactly.
"""

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pyproj import Geod

from geo.frames import Sectors, nearest_sector, plane_from_wgs84
from runtime.simulator.exercise import Exercise, Targets

Array = NDArray[np.float64]
# Within so long a piece a plane's scale is as good as constant: to 2 parts in 10,000 at 300 km from its centre.
PIECE_M = 20_000.0
ELLIPSOID = Geod(ellps="WGS84")


@dataclass(frozen=True)
class Moving:
    """n targets over T whole seconds, each in the plane of one sector."""

    ids: tuple[str, ...]
    classes: tuple[str, ...]
    plates: tuple[str, ...]
    units: tuple[str, ...]  # the unit that each belongs to; empty: none
    groups: tuple[str, ...]  # who go together have the same: the exercise's entry, and which wave of it
    sector: NDArray[np.int16]  # (n,)
    position: Array  # (T, n, 2) m
    velocity: Array  # (T, n, 2) m/s
    active: NDArray[np.bool_]  # (T, n)


def moving(exercise: Exercise, sectors: Sectors, random: Generator) -> Moving:
    """All targets of an exercise."""
    ids, classes, plates, units, groups, ways = [], [], [], [], [], []
    for group in exercise.targets:
        starts = [group.depart_s]
        while group.again_every_s and starts[-1] + group.again_every_s < exercise.duration_s:
            starts.append(starts[-1] + group.again_every_s)
        for wave, start_s in enumerate(starts):
            for member in range(group.count):
                number = wave * group.count + member
                ids.append(group.id if len(starts) * group.count == 1 else f"{group.id}-{number + 1}")
                classes.append(group.what)
                plates.append(group.plates[number % len(group.plates)] if group.plates else "")
                units.append(group.unit)
                groups.append(f"{group.id}/{wave}")
                ways.append(_way(group, start_s, exercise.duration_s, sectors, random))
    if not ways:
        nothing = np.zeros((exercise.duration_s + 1, 0, 2))
        none = np.zeros(0, np.int16)
        return Moving((), (), (), (), (), none, nothing, nothing, np.zeros((exercise.duration_s + 1, 0), np.bool_))
    position = np.stack([p for _, p, _ in ways], axis=1)
    active = np.stack([a for _, _, a in ways], axis=1)
    return Moving(
        tuple(ids),
        tuple(classes),
        tuple(plates),
        tuple(units),
        tuple(groups),
        np.array([sector for sector, _, _ in ways], np.int16),
        position,
        np.gradient(position, axis=0),
        active,
    )


def _way(
    group: Targets, start_s: float, duration_s: int, sectors: Sectors, random: Generator
) -> tuple[int, Array, NDArray[np.bool_]]:
    """Its sector, (T, 2) m in that plane, and (T,) while it is there, for one member."""
    seconds = np.arange(duration_s + 1.0)
    lat, lon, stop = _pieces(group.path)
    sector = nearest_sector(sectors, lat, lon)
    points = plane_from_wgs84(sectors, np.full_like(sector, sector[0]), lat, lon)
    aside = random.normal(0, group.spread_m / 2, 2)
    roaming = _wavering(random, len(seconds), 60.0)[:, None] * [1, 0] + _wavering(random, len(seconds), 60.0)[
        :, None
    ] * [0, 1]
    wander = aside + roaming * group.roam_m + np.stack([_wavering(random, len(seconds), 15.0) for _ in "xy"], axis=1)
    if len(points) == 1:
        return int(sector[0]), points[0] + wander, seconds >= start_s
    leg = np.hypot(
        *(
            plane_from_wgs84(sectors, sector[:-1], lat[1:], lon[1:])
            - plane_from_wgs84(sectors, sector[:-1], lat[:-1], lon[:-1])
        ).T
    )
    along = np.r_[0.0, np.cumsum(leg)]
    speed = group.speed_mps * np.clip(1 + 0.12 * _wavering(random, len(seconds), 20.0), 0.5, 1.5)
    walked = np.where(seconds > start_s, speed, 0.0).cumsum()
    for pause in sorted(group.pause, key=lambda p: p.at):
        reached = int(np.searchsorted(walked, along[stop[pause.at]]))
        walked = np.r_[
            walked[:reached], np.full(int(pause.for_s), walked[min(reached, len(walked) - 1)]), walked[reached:]
        ]
        walked = walked[: len(seconds)]
    position = np.stack([np.interp(walked, along, points[:, axis]) for axis in (0, 1)], axis=1)
    return int(sector[0]), position + wander, (seconds >= start_s) & (walked < along[-1])


def _pieces(path: list[tuple[float, float]]) -> tuple[Array, Array, list[int]]:
    """A path's latitudes and longitudes with points between them where they are far apart, and which of them the path names."""
    points, stop = [path[0]], [0]
    for (lat, lon), (next_lat, next_lon) in itertools.pairwise(path):
        length_m = ELLIPSOID.inv(lon, lat, next_lon, next_lat)[2]
        between = max(int(np.ceil(length_m / PIECE_M)) - 1, 0)
        points += [(y, x) for x, y in ELLIPSOID.npts(lon, lat, next_lon, next_lat, between)] if between else []
        points.append((next_lat, next_lon))
        stop.append(len(points) - 1)
    lat, lon = np.array(points).T
    return lat, lon, stop


def _wavering(random: Generator, n: int, memory_s: float) -> Array:
    """(n,) a stationary first-order Gauss–Markov process of unit variance, one value a second."""
    keep = np.exp(-1 / memory_s)
    steps = random.normal(0, np.sqrt(1 - keep**2), n)
    out = np.empty(n)
    value = random.normal()
    for i in range(n):
        value = keep * value + steps[i]
        out[i] = value
    return out
